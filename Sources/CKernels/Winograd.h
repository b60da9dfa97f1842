// Winograd's minimal filtering F(4x4, 3x3) with the interpolation points 0, 1, -1, 2, -2 and infinity: the matrices B^T,
// G and A^T of Lavin and Gray 2016 (arXiv 1509.09308), section 4.3. An output tile of 4 x 4 is
// `A^T [(G g G^T) * (B^T d B)] A` (equation 11), `d` the 6 x 6 pixels under it and `g` the kernel; the products run over
// channels as matrix products, one for each of the 36 points (section 4.1). The weight gradient is the same equation
// transposed: `G^T [sum over tiles of (B^T d B) * (A dy A^T)] G`.
//
// Every transform handles CK_LANES channels at a time, rows first, columns second. Included by one file per instruction
// set, after `Microkernels.h`.

#define CK_POINTS 6
#define CK_OUTPUTS 4
#define CK_TAPS 3

/// `B^T d` for one line of input.
CK_INLINE void input_line(const vec *d, vec *out) {
  const vec even = d[4] - 4.0f * d[2], odd = d[3] - 4.0f * d[1];
  const vec far_even = d[4] - d[2], far_odd = 2.0f * (d[3] - d[1]);
  out[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
  out[1] = even + odd;
  out[2] = even - odd;
  out[3] = far_even + far_odd;
  out[4] = far_even - far_odd;
  out[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
}

/// `G g` for one line of a kernel.
CK_INLINE void weight_line(const vec *g, vec *out) {
  const vec near = (g[0] + g[2]) * (-1.0f / 6), near_odd = g[1] * (-1.0f / 6);
  const vec far = g[0] * (1.0f / 24) + g[2] * (1.0f / 6), far_odd = g[1] * (1.0f / 12);
  out[0] = g[0] * 0.25f;
  out[1] = near + near_odd;
  out[2] = near - near_odd;
  out[3] = far + far_odd;
  out[4] = far - far_odd;
  out[5] = g[2];
}

/// `A^T m` for one line of products.
CK_INLINE void output_line(const vec *m, vec *out) {
  const vec near = m[1] + m[2], near_odd = m[1] - m[2], far = m[3] + m[4], far_odd = m[3] - m[4];
  out[0] = m[0] + near + far;
  out[1] = near_odd + 2.0f * far_odd;
  out[2] = near + 4.0f * far;
  out[3] = near_odd + 8.0f * far_odd + m[5];
}

/// `A y` for one line of an output gradient.
CK_INLINE void gradient_line(const vec *y, vec *out) {
  const vec near = y[0] + y[2], near_odd = y[1] + y[3];
  const vec far = y[0] + 4.0f * y[2], far_odd = 2.0f * y[1] + 8.0f * y[3];
  out[0] = y[0];
  out[1] = near + near_odd;
  out[2] = near - near_odd;
  out[3] = far + far_odd;
  out[4] = far - far_odd;
  out[5] = y[3];
}

/// `G^T u` for one line of a transformed weight gradient.
CK_INLINE void weight_gradient_line(const vec *u, vec *out) {
  const vec near = (u[1] + u[2]) * (-1.0f / 6), far = u[3] + u[4];
  out[0] = 0.25f * u[0] + near + far * (1.0f / 24);
  out[1] = (u[2] - u[1]) * (1.0f / 6) + (u[3] - u[4]) * (1.0f / 12);
  out[2] = near + far * (1.0f / 6) + u[5];
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

/// A tile's pixels, whole or with pixels and channels missing, which count as zero.
CK_INLINE void transform_tile(const line_transform line, const int from, const ck_winograd_tile *s) {
  const int whole = s->row_end - s->first_row == from && s->column_end - s->first_column == from;
  float *out = s->out;
  long place = 0;
  for (long c = 0; c < s->channels; c += CK_LANES) {
    const long lanes = s->channels - c < CK_LANES ? s->channels - c : CK_LANES;
    const float *x = s->x + c;
    for (int p = 0; p < CK_POINTS * CK_POINTS; p++) __builtin_prefetch(out + place + CK_LANES + p * s->point_stride, 1, 3);
    if (whole && lanes == CK_LANES) {
      transform_square(line, from, CK_POINTS, x, s->row_stride, s->pixel_stride, out + place, s->point_stride);
    } else {
      float edge[CK_POINTS * CK_POINTS * CK_LANES];
      for (int i = 0; i < from; i++) {
        for (int j = 0; j < from; j++) {
          float *to = edge + (i * from + j) * CK_LANES;
          const int inside = i >= s->first_row && i < s->row_end && j >= s->first_column && j < s->column_end;
          if (!inside || lanes < CK_LANES) store(to, (vec)(0.0f));
          if (!inside) continue;
          const float *pixel = x + (i - s->first_row) * s->row_stride + (j - s->first_column) * s->pixel_stride;
          if (lanes == CK_LANES) {
            store(to, load(pixel));
          } else {
            memcpy(to, pixel, (size_t)lanes * sizeof(float));
          }
        }
      }
      transform_square(line, from, CK_POINTS, edge, from * CK_LANES, CK_LANES, out + place, s->point_stride);
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
    for (int i = 0; i < s->rows; i++)
      for (int j = 0; j < s->columns; j++) __builtin_prefetch(s->y + i * s->row_stride + j * s->pixel_stride + c + CK_LANES, 1, 3);
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
