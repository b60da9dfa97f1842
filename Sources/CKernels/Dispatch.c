// Chooses the kernels at run time: one binary serves every processor of its architecture.
#include "CKernels.h"

#include <stddef.h>

extern const ck_kernels ck_scalar;
#if defined(__x86_64__)
extern const ck_kernels ck_avx2;
extern const ck_kernels ck_avx512;
#elif defined(__aarch64__)
extern const ck_kernels ck_neon;
#endif

const ck_kernels *ck_kernels_for(int instruction_set) {
#if defined(__x86_64__)
  // Asks the operating system too: vector registers that it does not save may not be used.
  __builtin_cpu_init();
#endif
  switch (instruction_set) {
    case CK_SCALAR:
      return &ck_scalar;
#if defined(__x86_64__)
    case CK_AVX2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &ck_avx2 : NULL;
    case CK_AVX512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
                 ? &ck_avx512
                 : NULL;
#elif defined(__aarch64__)
    case CK_NEON:
      return &ck_neon;
#endif
    default:
      return NULL;
  }
}
