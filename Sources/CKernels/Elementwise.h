// Kernels that work element by element or channel by channel, on `vec` of CK_LANES floats. Included by one file per
// instruction set, after `Vector.h`.

// ---- channels: x is [rows][channels]. A column of vectors at a time keeps the per-channel values in registers; rows in
// short bands, so that a band is read from memory once and its other columns from the first cache.

CK_INLINE long band_end(long row, long rows, long channels) {
  long height = 2048 / channels;
  if (height < 8) height = 8;
  return rows - row < height ? rows : row + height;
}

static void ck_scale_shift(const float *x, long rows, long channels, const float *scale, const float *shift,
                           const float *residual, int relu, float *out) {
  for (long first = 0, end; first < rows; first = end) {
    end = band_end(first, rows, channels);
    long c = 0;
    for (; c + CK_LANES <= channels; c += CK_LANES) {
      vec a = load(scale + c), b = load(shift + c);
      for (long r = first; r < end; r++) {
        long i = r * channels + c;
        vec y = load(x + i) * a + b;
        if (residual) y += load(residual + i);
        store(out + i, relu ? positive(y) : y);
      }
    }
    for (; c < channels; c++) {
      for (long i = first * channels + c; i < end * channels; i += channels) {
        float y = x[i] * scale[c] + shift[c];
        if (residual) y += residual[i];
        out[i] = relu && y < 0 ? 0 : y;
      }
    }
  }
}

static void ck_moments(const float *x, long rows, long channels, double *sums) {
  for (long first = 0, end; first < rows; first = end) {
    end = band_end(first, rows, channels);
    long c = 0;
    for (; c + CK_LANES <= channels; c += CK_LANES) {
      wide s = load_wide(sums + c), q = load_wide(sums + channels + c);
      for (long r = first; r < end; r++) {
        wide v = widen(load(x + r * channels + c));
        s += v;
        q += v * v;
      }
      store_wide(sums + c, s);
      store_wide(sums + channels + c, q);
    }
    for (; c < channels; c++) {
      for (long r = first; r < end; r++) {
        double v = x[r * channels + c];
        sums[c] += v;
        sums[channels + c] += v * v;
      }
    }
  }
}

static void ck_column_sums(const float *x, long rows, long channels, double *sums) {
  memset(sums, 0, (size_t)channels * sizeof(double));
  for (long first = 0, end; first < rows; first = end) {
    end = band_end(first, rows, channels);
    long c = 0;
    for (; c + CK_LANES <= channels; c += CK_LANES) {
      wide s = load_wide(sums + c);
      for (long r = first; r < end; r++) s += widen(load(x + r * channels + c));
      store_wide(sums + c, s);
    }
    for (; c < channels; c++) {
      for (long r = first; r < end; r++) sums[c] += x[r * channels + c];
    }
  }
}

/// Whether a gradient passes the ReLU behind the normalisation, at place `i` of channel `c`. The product and sum are those of
/// `ck_scale_shift`, contracted alike: a value that was rounded to zero there is zero here.
CK_INLINE int counts(const ck_active *active, float x, long i, long c) {
  if (active->y) return active->y[i] > 0;
  return !active->scale || x * active->scale[c] + active->shift[c] > 0;
}

static void ck_gradient_sums(const float *x, const float *dy, const ck_active *active, long rows, long channels,
                             const float *mean, const float *inv_std, float *masked, double *sums) {
  const float *y = active->y, *scale = active->scale, *shift = active->shift;
  memset(sums, 0, (size_t)(2 * channels) * sizeof(double));
  for (long first = 0, end; first < rows; first = end) {
    end = band_end(first, rows, channels);
    long c = 0;
    for (; c + CK_LANES <= channels; c += CK_LANES) {
      vec m = load(mean + c), v = load(inv_std + c);
      vec a = scale ? load(scale + c) : (vec)(0.0f), b = scale ? load(shift + c) : (vec)(0.0f);
      wide s = load_wide(sums + c), q = load_wide(sums + channels + c);
      for (long r = first; r < end; r++) {
        long i = r * channels + c;
        vec gradient = load(dy + i), value = load(x + i);
        if (y) gradient = where(load(y + i) > 0.0f, gradient);
        if (scale) gradient = where(value * a + b > 0.0f, gradient);
        if (masked) store(masked + i, gradient);
        wide g = widen(gradient);
        s += g;
        q += g * widen((value - m) * v);
      }
      store_wide(sums + c, s);
      store_wide(sums + channels + c, q);
    }
    for (; c < channels; c++) {
      for (long i = first * channels + c; i < end * channels; i += channels) {
        float gradient = counts(active, x[i], i, c) ? dy[i] : 0;
        if (masked) masked[i] = gradient;
        sums[c] += (double)gradient;
        sums[channels + c] += (double)gradient * (double)((x[i] - mean[c]) * inv_std[c]);
      }
    }
  }
}

static void ck_normal_gradient(const float *x, const float *dy, const ck_active *active, long rows, long channels,
                               const float *mean, const float *factor, const float *offset, const float *slope,
                               float *dx) {
  const float *y = active->y, *scale = active->scale, *shift = active->shift;
  for (long first = 0, end; first < rows; first = end) {
    end = band_end(first, rows, channels);
    long c = 0;
    for (; c + CK_LANES <= channels; c += CK_LANES) {
      vec m = load(mean + c), f = load(factor + c), s = load(offset + c), k = load(slope + c);
      vec a = scale ? load(scale + c) : (vec)(0.0f), b = scale ? load(shift + c) : (vec)(0.0f);
      for (long r = first; r < end; r++) {
        long i = r * channels + c;
        vec gradient = load(dy + i), value = load(x + i);
        if (y) gradient = where(load(y + i) > 0.0f, gradient);
        if (scale) gradient = where(value * a + b > 0.0f, gradient);
        store(dx + i, f * (gradient - s - (value - m) * k));
      }
    }
    for (; c < channels; c++) {
      for (long i = first * channels + c; i < end * channels; i += channels) {
        float gradient = counts(active, x[i], i, c) ? dy[i] : 0;
        dx[i] = factor[c] * (gradient - offset[c] - (x[i] - mean[c]) * slope[c]);
      }
    }
  }
}

// ---- flat arrays

static void ck_relu_gradient(const float *y, const float *dy, long count, float *dx) {
  long i = 0;
  for (; i + CK_LANES <= count; i += CK_LANES) store(dx + i, where(load(y + i) > 0.0f, load(dy + i)));
  for (; i < count; i++) dx[i] = y[i] > 0 ? dy[i] : 0;
}

static void ck_add(const float *x, long count, float *sum) {
  long i = 0;
  for (; i + CK_LANES <= count; i += CK_LANES) store(sum + i, load(sum + i) + load(x + i));
  for (; i < count; i++) sum[i] += x[i];
}

static void ck_scale(float factor, long count, float *x) {
  long i = 0;
  for (; i + CK_LANES <= count; i += CK_LANES) store(x + i, load(x + i) * factor);
  for (; i < count; i++) x[i] *= factor;
}

// ---- pooling

static void ck_max_pool(const ck_pool *s) {
  const long top = s->first_row < 0 ? -s->first_row : 0;
  const long bottom = s->first_row + s->kernel_height > s->height ? s->height - s->first_row : s->kernel_height;
  for (long p = 0; p < s->pixels; p++) {
    const long column = s->first_column + p * s->stride;
    const long left = column < 0 ? -column : 0;
    const long right = column + s->kernel_width > s->width ? s->width - column : s->kernel_width;
    const float *window = s->x + (s->first_row * s->width + column) * s->channels;
    float *y = s->y + p * s->channels;
    uint8_t *index = s->index + p * s->channels;
    // Where all values are minus infinity, the window's first pixel counts as the maximum.
    const int start = (int)(top * s->kernel_width + left);
    long c = 0;
    for (; c + CK_LANES <= s->channels; c += CK_LANES) {
      vec best = (vec)(-__builtin_inff());
      mask at = (mask)(start);
      for (long ky = top; ky < bottom; ky++) {
        for (long kx = left; kx < right; kx++) {
          vec x = load(window + (ky * s->width + kx) * s->channels + c);
          mask take = (x > best) | (x != x);
          best = (vec)(((mask)x & take) | ((mask)best & ~take));
          at = ((mask)((int)(ky * s->kernel_width + kx)) & take) | (at & ~take);
        }
      }
      store(y + c, best);
      *(bytes_memory *)(index + c) = __builtin_convertvector(at, bytes);
    }
    for (; c < s->channels; c++) {
      float best = -__builtin_inff();
      int at = start;
      for (long ky = top; ky < bottom; ky++) {
        for (long kx = left; kx < right; kx++) {
          float x = window[(ky * s->width + kx) * s->channels + c];
          if (x > best || x != x) {
            best = x;
            at = (int)(ky * s->kernel_width + kx);
          }
        }
      }
      y[c] = best;
      index[c] = (uint8_t)at;
    }
  }
}

// A plain loop: the compiler handles the mixed widths of float and byte well.
static void ck_select_add(const float *dy, const uint8_t *index, uint8_t tap, long pixels, long channels, float *dx,
                          long dx_stride) {
  for (long p = 0; p < pixels; p++) {
    const float *restrict from = dy + p * channels;
    const uint8_t *restrict at = index + p * channels;
    float *restrict to = dx + p * dx_stride;
    for (long c = 0; c < channels; c++) to[c] += at[c] == tap ? from[c] : 0.0f;
  }
}

static void ck_add_scaled(float factor, const float *x, long x_stride, long pixels, long channels, float *sum,
                          long sum_stride) {
  for (long p = 0; p < pixels; p++) {
    const float *from = x + p * x_stride;
    float *to = sum + p * sum_stride;
    long c = 0;
    for (; c + CK_LANES <= channels; c += CK_LANES) store(to + c, load(to + c) + load(from + c) * factor);
    for (; c < channels; c++) to[c] += from[c] * factor;
  }
}

static void ck_column_means(const float *x, long rows, long channels, double factor, float *mean) {
  long c = 0;
  for (; c + CK_LANES <= channels; c += CK_LANES) {
    wide s = {0};
    for (long r = 0; r < rows; r++) s += widen(load(x + r * channels + c));
    store(mean + c, __builtin_convertvector(s * factor, vec));
  }
  for (; c < channels; c++) {
    double s = 0;
    for (long r = 0; r < rows; r++) s += x[r * channels + c];
    mean[c] = (float)(s * factor);
  }
}

// ---- optimisers

static void ck_sgd(const ck_update *s) {
  float decay = s->weight_decay, mu = s->anchor ? s->mu : 0;
  long i = 0;
  for (; i + CK_LANES <= s->count; i += CK_LANES) {
    vec w = load(s->weight + i);
    vec g = load(s->gradient + i) + w * decay;
    if (s->anchor) g += (w - load(s->anchor + i)) * mu;
    if (s->first) {
      g += load(s->first + i) * s->beta1;
      store(s->first + i, g);
    }
    store(s->weight + i, w - g * s->step);
  }
  for (; i < s->count; i++) {
    float w = s->weight[i];
    float g = s->gradient[i] + w * decay;
    if (s->anchor) g += (w - s->anchor[i]) * mu;
    if (s->first) {
      g += s->first[i] * s->beta1;
      s->first[i] = g;
    }
    s->weight[i] = w - g * s->step;
  }
}

static void ck_adam(const ck_update *s) {
  float decay = s->weight_decay, mu = s->anchor ? s->mu : 0;
  float rest1 = 1.0f - s->beta1, rest2 = 1.0f - s->beta2;
  long i = 0;
  for (; i + CK_LANES <= s->count; i += CK_LANES) {
    vec w = load(s->weight + i);
    vec g = load(s->gradient + i) + w * decay;
    if (s->anchor) g += (w - load(s->anchor + i)) * mu;
    vec m = load(s->first + i) * s->beta1 + g * rest1;
    vec v = load(s->second + i) * s->beta2 + g * g * rest2;
    store(s->first + i, m);
    store(s->second + i, v);
    store(s->weight + i, w - m * s->step / (__builtin_elementwise_sqrt(v) * s->second_scale + s->epsilon));
  }
  for (; i < s->count; i++) {
    float w = s->weight[i];
    float g = s->gradient[i] + w * decay;
    if (s->anchor) g += (w - s->anchor[i]) * mu;
    float m = s->first[i] * s->beta1 + g * rest1;
    float v = s->second[i] * s->beta2 + g * g * rest2;
    s->first[i] = m;
    s->second[i] = v;
    s->weight[i] = w - m * s->step / (__builtin_sqrtf(v) * s->second_scale + s->epsilon);
  }
}

// ---- half precision, IEEE 754 binary16, in integer arithmetic that the compiler vectorises: every processor makes the
// same bits, and none needs a library for it.

static void ck_to_half(const float *x, long count, uint16_t *half) {
  for (long i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, 4);
    uint32_t sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    // What is too large for a half becomes its largest number. NaN does, too: callers look for it beforehand.
    if (bits > 0x477fe000) bits = 0x477fe000;
    // Normal numbers: rebias the exponent and round to the nearest, ties to even.
    uint32_t normal = (bits - 0x38000000 + 0xfff + (bits >> 13 & 1)) >> 13;
    // Below 2^-14: adding 1/2 leaves multiples of 2^-24 in the low bits, rounded by the addition itself.
    float small;
    memcpy(&small, &bits, 4);
    small += 0.5f;
    uint32_t subnormal;
    memcpy(&subnormal, &small, 4);
    subnormal -= 0x3f000000;
    half[i] = (uint16_t)(sign | (bits < 0x38800000 ? subnormal : normal));
  }
}

static void ck_from_half(const uint16_t *half, long count, float *x) {
  for (long i = 0; i < count; i++) {
    // The exponent is rebiased by a multiplication with 2^112, which is exact for subnormal numbers, too.
    uint32_t bits = (uint32_t)(half[i] & 0x7fff) << 13;
    float value;
    memcpy(&value, &bits, 4);
    value *= 0x1p112f;
    memcpy(&bits, &value, 4);
    bits |= (uint32_t)(half[i] & 0x8000) << 16;
    memcpy(x + i, &bits, 4);
  }
}
