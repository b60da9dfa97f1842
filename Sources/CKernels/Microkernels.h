// Matrix product and weight gradient tiles: two vectors wide, accumulators in registers. Included by one file per
// instruction set, after `Vector.h`.

#define CK_WIDTH (2 * CK_LANES)
#define CK_UNROLL _Pragma("clang loop unroll(full)")

/// A tile of `rows` x (`vectors` * CK_LANES). `rows` and `vectors` are literals at every call, so that the loops unroll
/// and the accumulators live in registers.
CK_INLINE void tile_multiply(const int rows, const int vectors, const ck_multiply *s, const float *a, float *c,
                             const float *prefetch) {
  vec sum0[CK_ROWS], sum1[CK_ROWS];
  const long columns = s->columns;
  const int whole = columns == vectors * CK_LANES;
  // Ragged columns pass through a small buffer: only panels at the right edge pay for it.
  float edge[CK_ROWS * CK_WIDTH];

  if (s->accumulate) {
    const float *from = c;
    long stride = s->c_stride;
    if (!whole) {
      for (int i = 0; i < rows; i++) memcpy(edge + i * CK_WIDTH, c + i * stride, (size_t)columns * sizeof(float));
      from = edge;
      stride = CK_WIDTH;
    }
    CK_UNROLL for (int i = 0; i < rows; i++) {
      sum0[i] = load(from + i * stride);
      sum1[i] = vectors > 1 ? load(from + i * stride + CK_LANES) : (vec)(0.0f);
    }
  } else {
    vec start0 = (vec)(0.0f), start1 = (vec)(0.0f);
    if (s->bias) {
      start0 = load(s->bias);
      start1 = load(s->bias + CK_LANES);
    }
    // The lines of `c` travel while the sums are made; a store that misses would wait for them.
    CK_UNROLL for (int i = 0; i < rows; i++) {
      __builtin_prefetch(c + i * s->c_stride, 1, 3);
      if (CK_LANES * vectors > 16) __builtin_prefetch(c + i * s->c_stride + 16, 1, 3);
      sum0[i] = start0;
      sum1[i] = start1;
    }
  }

  const float *b = s->panel;
  const long stride = s->row_stride, step = s->depth_stride, ahead = s->prefetch_stride;
  for (long t = 0; t < s->taps; t++) {
    const float *p = a + t * s->tap_stride;
    for (long k = 0; k < s->depth; k++) {
      vec b0 = load(b), b1 = vectors > 1 ? load(b + CK_LANES) : b0;
      if (vectors > 1) {
        __builtin_prefetch(prefetch, 0, 2);
        prefetch += ahead;
      }
      CK_UNROLL for (int i = 0; i < rows; i++) {
        vec x = (vec)(p[i * stride]);
        sum0[i] += x * b0;
        if (vectors > 1) sum1[i] += x * b1;
      }
      p += step;
      b += CK_WIDTH;
    }
  }

  if (s->residual) {
    const float *from = s->residual + (c - s->c);
    long from_stride = s->c_stride;
    if (!whole) {
      for (int i = 0; i < rows; i++)
        memcpy(edge + i * CK_WIDTH, from + i * from_stride, (size_t)columns * sizeof(float));
      from = edge;
      from_stride = CK_WIDTH;
    }
    CK_UNROLL for (int i = 0; i < rows; i++) {
      sum0[i] += load(from + i * from_stride);
      if (vectors > 1) sum1[i] += load(from + i * from_stride + CK_LANES);
    }
  }
  if (s->relu) {
    CK_UNROLL for (int i = 0; i < rows; i++) {
      sum0[i] = positive(sum0[i]);
      if (vectors > 1) sum1[i] = positive(sum1[i]);
    }
  }

  if (whole) {
    CK_UNROLL for (int i = 0; i < rows; i++) {
      store(c + i * s->c_stride, sum0[i]);
      if (vectors > 1) store(c + i * s->c_stride + CK_LANES, sum1[i]);
    }
  } else {
    CK_UNROLL for (int i = 0; i < rows; i++) {
      store(edge + i * CK_WIDTH, sum0[i]);
      if (vectors > 1) store(edge + i * CK_WIDTH + CK_LANES, sum1[i]);
    }
    for (int i = 0; i < rows; i++) memcpy(c + i * s->c_stride, edge + i * CK_WIDTH, (size_t)columns * sizeof(float));
  }
}

typedef void (*tile_multiply_function)(const ck_multiply *, const float *, float *, const float *);

#define CK_TILE(ROWS)                                                                                         \
  static __attribute__((noinline)) void multiply_##ROWS##_1(const ck_multiply *s, const float *a, float *c,    \
                                                            const float *prefetch) {                          \
    tile_multiply(ROWS, 1, s, a, c, prefetch);                                                                \
  }                                                                                                           \
  static __attribute__((noinline)) void multiply_##ROWS##_2(const ck_multiply *s, const float *a, float *c,    \
                                                            const float *prefetch) {                          \
    tile_multiply(ROWS, 2, s, a, c, prefetch);                                                                \
  }
#define CK_ENTRY(ROWS) {multiply_##ROWS##_1, multiply_##ROWS##_2}

CK_TILE(1) CK_TILE(2) CK_TILE(3) CK_TILE(4)
#if CK_ROWS >= 6
CK_TILE(5) CK_TILE(6)
#endif
#if CK_ROWS >= 14
CK_TILE(7) CK_TILE(8) CK_TILE(9) CK_TILE(10) CK_TILE(11) CK_TILE(12) CK_TILE(13) CK_TILE(14)
#endif

static const tile_multiply_function tile_multiply_table[CK_ROWS][2] = {
    CK_ENTRY(1),  CK_ENTRY(2),  CK_ENTRY(3),  CK_ENTRY(4),
#if CK_ROWS >= 6
    CK_ENTRY(5),  CK_ENTRY(6),
#endif
#if CK_ROWS >= 14
    CK_ENTRY(7),  CK_ENTRY(8),  CK_ENTRY(9),  CK_ENTRY(10), CK_ENTRY(11), CK_ENTRY(12), CK_ENTRY(13), CK_ENTRY(14),
#endif
};

static void ck_multiply_strip(const ck_multiply *s) {
  const int narrow = s->columns <= CK_LANES ? 0 : 1;
  // Rows in blocks of nearly one height: 32 as 11 + 11 + 10 keeps more of the machine busy than 14 + 14 + 4.
  const long blocks = (s->rows + CK_ROWS - 1) / CK_ROWS;
  const long steps = s->taps * s->depth;
  const float *prefetch = s->prefetch ? s->prefetch : s->panel;
  const long advance = s->prefetch ? s->prefetch_stride * steps : 0;
  long row = 0;
  for (long block = 0; block < blocks; block++) {
    long height = (s->rows - row) / (blocks - block);
    tile_multiply_table[height - 1][narrow](s, s->a + row * s->row_stride, s->c + row * s->c_stride, prefetch);
    prefetch += advance;
    row += height;
  }
}

/// A weight gradient tile of `height` x (`vectors` * CK_LANES); literals as in `tile_multiply`.
CK_INLINE void tile_correlate(const int height, const int vectors, const ck_correlate *s) {
  vec sum0[CK_GRADIENT_ROWS], sum1[CK_GRADIENT_ROWS];
  CK_UNROLL for (int i = 0; i < height; i++) {
    sum0[i] = load(s->tile + i * CK_WIDTH);
    sum1[i] = load(s->tile + i * CK_WIDTH + CK_LANES);
  }
  const float *y = s->dy;
  for (long r = 0; r < s->rows; r++) {
    const float *x = s->x + r * s->x_row_stride;
    for (long p = 0; p < s->pixels; p++) {
      vec y0 = load(y), y1 = vectors > 1 ? load(y + CK_LANES) : y0;
      CK_UNROLL for (int i = 0; i < height; i++) {
        vec v = (vec)(x[i]);
        sum0[i] += v * y0;
        if (vectors > 1) sum1[i] += v * y1;
      }
      x += s->x_stride;
      y += CK_WIDTH;
    }
  }
  CK_UNROLL for (int i = 0; i < height; i++) {
    store(s->tile + i * CK_WIDTH, sum0[i]);
    store(s->tile + i * CK_WIDTH + CK_LANES, sum1[i]);
  }
}

#define CK_GRADIENT(HEIGHT)                                                                                  \
  static __attribute__((noinline)) void correlate_##HEIGHT##_1(const ck_correlate *s) { tile_correlate(HEIGHT, 1, s); } \
  static __attribute__((noinline)) void correlate_##HEIGHT##_2(const ck_correlate *s) { tile_correlate(HEIGHT, 2, s); }
#define CK_GRADIENT_ENTRY(HEIGHT) {correlate_##HEIGHT##_1, correlate_##HEIGHT##_2}

CK_GRADIENT(1) CK_GRADIENT(2) CK_GRADIENT(3) CK_GRADIENT(4)
#if CK_GRADIENT_ROWS >= 8
CK_GRADIENT(5) CK_GRADIENT(6) CK_GRADIENT(7) CK_GRADIENT(8)
#endif

static void ck_correlate_tile(const ck_correlate *s) {
  static void (*const table[CK_GRADIENT_ROWS][2])(const ck_correlate *) = {
      CK_GRADIENT_ENTRY(1), CK_GRADIENT_ENTRY(2), CK_GRADIENT_ENTRY(3), CK_GRADIENT_ENTRY(4),
#if CK_GRADIENT_ROWS >= 8
      CK_GRADIENT_ENTRY(5), CK_GRADIENT_ENTRY(6), CK_GRADIENT_ENTRY(7), CK_GRADIENT_ENTRY(8),
#endif
  };
  table[s->height - 1][s->columns <= CK_LANES ? 0 : 1](s);
}

// ---- packing

typedef float quad __attribute__((ext_vector_type(4)));
typedef float quad_memory __attribute__((ext_vector_type(4), aligned(4), may_alias));

/// `out[k][j] = source[j][k]` for a 4 x 4 block.
CK_INLINE void transpose4(const float *source, long stride, float *out, long out_stride) {
  quad r0 = *(const quad_memory *)source, r1 = *(const quad_memory *)(source + stride);
  quad r2 = *(const quad_memory *)(source + 2 * stride), r3 = *(const quad_memory *)(source + 3 * stride);
  quad lo01 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5), hi01 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
  quad lo23 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5), hi23 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
  *(quad_memory *)out = __builtin_shufflevector(lo01, lo23, 0, 1, 4, 5);
  *(quad_memory *)(out + out_stride) = __builtin_shufflevector(lo01, lo23, 2, 3, 6, 7);
  *(quad_memory *)(out + 2 * out_stride) = __builtin_shufflevector(hi01, hi23, 0, 1, 4, 5);
  *(quad_memory *)(out + 3 * out_stride) = __builtin_shufflevector(hi01, hi23, 2, 3, 6, 7);
}

/// `out[k][j] = source[j][k]` for `j < rows`, `k < columns`. A cache line of every source row at a time: rows may lie so
/// far apart that few of their lines fit into the first cache together.
CK_INLINE void transpose(const float *source, long stride, long rows, long columns, float *out, long out_stride) {
  const long rows4 = rows / 4 * 4, columns4 = columns / 4 * 4;
  for (long first = 0; first < columns4; first += 16) {
    const long end = columns4 - first < 16 ? columns4 : first + 16;
    for (long j = 0; j < rows4; j += 4) {
      for (long k = first; k < end; k += 4) {
        transpose4(source + j * stride + k, stride, out + k * out_stride + j, out_stride);
      }
    }
  }
  for (long k = 0; k < columns; k++) {
    for (long j = k < columns4 ? rows4 : 0; j < rows; j++) out[k * out_stride + j] = source[j * stride + k];
  }
}

static void ck_pack_transposed(const float *source, long stride, long depth, long columns, float *panel) {
  transpose(source, stride, columns, depth, panel, CK_WIDTH);
  for (long k = 0; k < depth; k++) {
    for (long j = columns; j < CK_WIDTH; j++) panel[k * CK_WIDTH + j] = 0;
  }
}

CK_INLINE void split(const long block, const float *x, long x_stride, long pixels, long channels, float *out,
                     long block_stride) {
  const long whole = channels / block, rest = channels % block;
  for (long p = 0; p < pixels; p++) {
    const float *from = x + p * x_stride;
    float *to = out + p * block;
    for (long b = 0; b < whole; b++) {
      memcpy(to, from, (size_t)block * sizeof(float));
      from += block;
      to += block_stride;
    }
    if (rest > 0) {
      for (long i = 0; i < block; i++) to[i] = i < rest ? from[i] : 0;
    }
  }
}

static void ck_stage_blocks(const float *x, long x_stride, long pixels, long channels, long block, float *out,
                            long block_stride) {
  if (block == CK_WIDTH) {
    split(CK_WIDTH, x, x_stride, pixels, channels, out, block_stride);
  } else {
    split(CK_GRADIENT_ROWS, x, x_stride, pixels, channels, out, block_stride);
  }
}

static void ck_reduce_tile(const float *tile, long slots, long slot_stride, long height, long columns, float *out,
                           long out_stride) {
  float sum[CK_GRADIENT_ROWS * CK_WIDTH];
  memcpy(sum, tile, (size_t)(height * CK_WIDTH) * sizeof(float));
  for (long s = 1; s < slots; s++) {
    const float *from = tile + s * slot_stride;
    for (long i = 0; i < height * CK_WIDTH; i += CK_LANES) store(sum + i, load(sum + i) + load(from + i));
  }
  transpose(sum, CK_WIDTH, height, columns, out, out_stride);
}
