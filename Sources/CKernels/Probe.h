// What the processor can do at most, for benchmarks to compare with. Included after `Vector.h`.

/// Independent sums: twelve cover four cycles of latency on two (AVX-512) or three ports.
#define CK_PROBE_SUMS 12

/// `steps` rounds of CK_PROBE_SUMS multiply-adds on vectors that never leave their registers.
/// The factor keeps the values finite, and the result keeps the compiler from leaving the work out.
static float ck_probe(long steps) {
  vec sum[CK_PROBE_SUMS];
  const vec factor = (vec)(0.5f), term = (vec)(1.0f);
  // No sum may begin at 2, which the multiply-add maps to itself: the compiler would leave that one out.
  CK_UNROLL for (int i = 0; i < CK_PROBE_SUMS; i++) sum[i] = (vec)((float)i + 0.25f);
  for (long step = 0; step < steps; step++) {
    CK_UNROLL for (int i = 0; i < CK_PROBE_SUMS; i++) sum[i] = sum[i] * factor + term;
    // Without this the loop's closed form might be found.
    __asm__ volatile("" : : : "memory");
  }
  vec total = (vec)(0.0f);
  CK_UNROLL for (int i = 0; i < CK_PROBE_SUMS; i++) total += sum[i];
  float result = 0;
  for (int i = 0; i < CK_LANES; i++) result += total[i];
  return result;
}
