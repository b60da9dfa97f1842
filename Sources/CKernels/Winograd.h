// Winograd's minimal filtering F(4x4, 3x3), after Lavin and Gray 2016 (arXiv 1509.09308). An output tile of 4 x 4 is
// `A^T [(G g G^T) * (B^T d B)] A` (equation 8), `d` the 6 x 6 pixels under it, `g` the kernel and `*` element by
// element; summed over channels that is a matrix product for each of the 36 points (section 4.1). The weight gradient
// is the same transposed: `G^T [sum over tiles of (B^T d B) * (A dy A^T)] G`.
//
// B^T, G and A^T follow from six interpolation points: 0, a, -a, b, -b and infinity. Section 4.3 has a = 1 and b = 2;
// here a = 5/8 and b = 3/2. Points whose powers differ less round better (Barabasz et al. 2020, arXiv 1803.10986): half
// the error of 1 and 2, at the same cost, and every power of them that the transforms use is a float.
//
//   B^T = a2*b2    0   -(a2+b2)     0      1  0     G = 1/(a2*b2)   0     0      A^T = 1  1   1   1   1  0
//          0    -a*b2    -b2        a      1  0         1/n       a/n  a2/n            0  a  -a   b  -b  0
//          0     a*b2    -b2       -a      1  0         1/n      -a/n  a2/n            0  a2  a2  b2  b2 0
//          0    -b*a2    -a2        b      1  0         1/f       b/f  b2/f            0  a3 -a3  b3 -b3 1
//          0     b*a2    -a2       -b      1  0         1/f      -b/f  b2/f
//          0    a2*b2     0     -(a2+b2)   0  1          0         0     1      n = 2*a2*(a2 - b2), f = 2*b2*(b2 - a2)
//
// Every transform handles CK_LANES channels at a time, rows first, columns second. Included by one file per instruction
// set, after `Microkernels.h`.

#define CK_POINTS 6
#define CK_OUTPUTS 4
#define CK_TAPS 3

static const float near1 = 5.0f / 8, near2 = 25.0f / 64, near3 = 125.0f / 512;
static const float far1 = 3.0f / 2, far2 = 9.0f / 4, far3 = 27.0f / 8;
static const float powers_product = 225.0f / 256, powers_sum = 169.0f / 64;
// 1/(a2*b2); 1, a and a2 over n = -2975/2048; 1, b and b2 over f = 1071/128.
static const float zero_scale = 256.0f / 225;
static const float near_scale0 = -2048.0f / 2975, near_scale1 = -1280.0f / 2975, near_scale2 = -800.0f / 2975;
static const float far_scale0 = 128.0f / 1071, far_scale1 = 192.0f / 1071, far_scale2 = 288.0f / 1071;

/// `B^T d` for one line of input.
CK_INLINE void input_line(const vec *d, vec *out) {
  const vec near_even = d[4] - far2 * d[2], near_odd = near1 * (d[3] - far2 * d[1]);
  const vec far_even = d[4] - near2 * d[2], far_odd = far1 * (d[3] - near2 * d[1]);
  out[0] = powers_product * d[0] - powers_sum * d[2] + d[4];
  out[1] = near_even + near_odd;
  out[2] = near_even - near_odd;
  out[3] = far_even + far_odd;
  out[4] = far_even - far_odd;
  out[5] = powers_product * d[1] - powers_sum * d[3] + d[5];
}

/// `G g` for one line of a kernel.
CK_INLINE void weight_line(const vec *g, vec *out) {
  const vec near_even = near_scale0 * g[0] + near_scale2 * g[2], near_odd = near_scale1 * g[1];
  const vec far_even = far_scale0 * g[0] + far_scale2 * g[2], far_odd = far_scale1 * g[1];
  out[0] = zero_scale * g[0];
  out[1] = near_even + near_odd;
  out[2] = near_even - near_odd;
  out[3] = far_even + far_odd;
  out[4] = far_even - far_odd;
  out[5] = g[2];
}

/// `A^T m` for one line of products.
CK_INLINE void output_line(const vec *m, vec *out) {
  const vec near_even = m[1] + m[2], near_odd = m[1] - m[2], far_even = m[3] + m[4], far_odd = m[3] - m[4];
  out[0] = m[0] + near_even + far_even;
  out[1] = near1 * near_odd + far1 * far_odd;
  out[2] = near2 * near_even + far2 * far_even;
  out[3] = near3 * near_odd + far3 * far_odd + m[5];
}

/// `A y` for one line of an output gradient.
CK_INLINE void gradient_line(const vec *y, vec *out) {
  const vec near_even = y[0] + near2 * y[2], near_odd = near1 * y[1] + near3 * y[3];
  const vec far_even = y[0] + far2 * y[2], far_odd = far1 * y[1] + far3 * y[3];
  out[0] = y[0];
  out[1] = near_even + near_odd;
  out[2] = near_even - near_odd;
  out[3] = far_even + far_odd;
  out[4] = far_even - far_odd;
  out[5] = y[3];
}

/// `G^T u` for one line of a transformed weight gradient.
CK_INLINE void weight_gradient_line(const vec *u, vec *out) {
  const vec near_even = u[1] + u[2], near_odd = u[1] - u[2], far_even = u[3] + u[4], far_odd = u[3] - u[4];
  out[0] = zero_scale * u[0] + near_scale0 * near_even + far_scale0 * far_even;
  out[1] = near_scale1 * near_odd + far_scale1 * far_odd;
  out[2] = near_scale2 * near_even + far_scale2 * far_even + u[5];
}

typedef void (*line_transform)(const vec *, vec *);

/// Applies `line` along the rows, then along the columns, of `from` x `from` vectors that lie `row_stride` and
/// `pixel_stride` floats apart, and stores `to` x `to` vectors `out_stride` apart. All literals, so that loops unroll.
CK_INLINE void transform_square(const line_transform line, const int from, const int to, const float *x,
                                long row_stride, long pixel_stride, float *out, long out_stride) {
  vec half[CK_POINTS][CK_POINTS];
  CK_UNROLL for (int i = 0; i < from; i++) {
    vec d[CK_POINTS];
    CK_UNROLL for (int j = 0; j < from; j++) d[j] = load(x + i * row_stride + j * pixel_stride);
    line(d, half[i]);
  }
  CK_UNROLL for (int j = 0; j < to; j++) {
    vec d[CK_POINTS], o[CK_POINTS];
    CK_UNROLL for (int i = 0; i < from; i++) d[i] = half[i][j];
    line(d, o);
    CK_UNROLL for (int i = 0; i < to; i++) store(out + (i * to + j) * out_stride, o[i]);
  }
}

/// Copies the pixels of a tile that exist, `lanes` of their channels from `x` on, into `from` x `from` vectors.
CK_INLINE void copy_inside(const int from, const ck_winograd_tile *s, const float *x, long lanes, vec *edge) {
  for (long i = s->first_row; i < s->row_end; i++) {
    const float *pixel = x + (i - s->first_row) * s->row_stride;
    for (long j = s->first_column; j < s->column_end; j++) {
      if (lanes == CK_LANES) {
        edge[i * from + j] = load(pixel);
      } else {
        vec some = (vec)(0.0f);
        memcpy(&some, pixel, (size_t)lanes * sizeof(float));
        edge[i * from + j] = some;
      }
      pixel += s->pixel_stride;
    }
  }
}

/// A tile's pixels, whole or with pixels and channels missing, which count as zero.
CK_INLINE void transform_tile(const line_transform line, const int from, const ck_winograd_tile *s) {
  const int whole = s->row_end - s->first_row == from && s->column_end - s->first_column == from;
  vec edge[CK_POINTS * CK_POINTS];
  if (!whole) memset(edge, 0, sizeof edge);
  float *out = s->out;
  long place = 0;
  for (long c = 0; c < s->channels; c += CK_LANES) {
    const long lanes = s->channels - c < CK_LANES ? s->channels - c : CK_LANES;
    const float *x = s->x + c;
    // The next channels' or tile's lines travel while these are transformed; 36 stores that miss would wait one by one.
    for (int p = 0; p < CK_POINTS * CK_POINTS; p++) {
      __builtin_prefetch(out + place + CK_LANES + p * s->point_stride, 1, 3);
    }
    if (whole && lanes == CK_LANES) {
      transform_square(line, from, CK_POINTS, x, s->row_stride, s->pixel_stride, out + place, s->point_stride);
    } else {
      copy_inside(from, s, x, lanes, edge);
      transform_square(line, from, CK_POINTS, (const float *)edge, from * CK_LANES, CK_LANES, out + place,
                       s->point_stride);
    }
    place += CK_LANES;
    if (place == s->block) {
      place = 0;
      out += s->block_stride;
    }
  }
}

static void ck_winograd_input(const ck_winograd_tile *tile) { transform_tile(input_line, CK_POINTS, tile); }

static void ck_winograd_gradient(const ck_winograd_tile *tile) { transform_tile(gradient_line, CK_OUTPUTS, tile); }

static void ck_winograd_output(const ck_winograd_result *s) {
  for (long c = 0; c < s->channels; c += CK_LANES) {
    const long lanes = s->channels - c < CK_LANES ? s->channels - c : CK_LANES;
    vec half[CK_OUTPUTS][CK_POINTS];
    CK_UNROLL for (int j = 0; j < CK_POINTS; j++) {
      vec m[CK_POINTS], o[CK_OUTPUTS];
      CK_UNROLL for (int i = 0; i < CK_POINTS; i++) m[i] = load(s->products + (i * CK_POINTS + j) * s->point_stride + c);
      output_line(m, o);
      CK_UNROLL for (int i = 0; i < CK_OUTPUTS; i++) half[i][j] = o[i];
    }
    for (int i = 0; i < s->rows; i++) {
      for (int j = 0; j < s->columns; j++) {
        __builtin_prefetch(s->y + i * s->row_stride + j * s->pixel_stride + c + CK_LANES, 1, 3);
      }
    }
    const vec bias = s->bias ? load(s->bias + c) : (vec)(0.0f);
    CK_UNROLL for (int i = 0; i < CK_OUTPUTS; i++) {
      if (i >= s->rows) break;
      vec o[CK_OUTPUTS];
      output_line(half[i], o);
      CK_UNROLL for (int j = 0; j < CK_OUTPUTS; j++) {
        if (j >= s->columns) break;
        const long place = i * s->row_stride + j * s->pixel_stride + c;
        vec y = o[j] + bias;
        if (lanes == CK_LANES) {
          if (s->residual) y += load(s->residual + place);
          store(s->y + place, s->relu ? positive(y) : y);
        } else {
          float edge[CK_LANES] = {0};
          if (s->residual) memcpy(edge, s->residual + place, (size_t)lanes * sizeof(float));
          y += load(edge);
          store(edge, s->relu ? positive(y) : y);
          memcpy(s->y + place, edge, (size_t)lanes * sizeof(float));
        }
      }
    }
  }
}

static void ck_winograd_weight(const float *taps, long tap_stride, long count, float *out, long point_stride) {
  for (long i = 0; i < count; i += CK_LANES) {
    transform_square(weight_line, CK_TAPS, CK_POINTS, taps + i, CK_TAPS * tap_stride, tap_stride, out + i, point_stride);
  }
}

static void ck_winograd_weight_gradient(const float *sums, long point_stride, long slots, long slot_stride, long count,
                                        float *taps, long tap_stride) {
  for (long i = 0; i < count; i += CK_LANES) {
    vec total[CK_POINTS * CK_POINTS];
    for (int p = 0; p < CK_POINTS * CK_POINTS; p++) {
      const float *from = sums + p * point_stride + i;
      vec sum = load(from);
      for (long s = 1; s < slots; s++) sum += load(from + s * slot_stride);
      total[p] = sum;
    }
    transform_square(weight_gradient_line, CK_POINTS, CK_TAPS, (const float *)total, CK_POINTS * CK_LANES, CK_LANES,
                     taps + i, tap_stride);
  }
}
