// Holds one instruction set's kernel table against plain loops in float64, without Swift: for processors that the machine at
// hand can only emulate. Scripts/arm.sh builds and runs it; the Swift tests do the same, and more, on a real processor.
// Prints one line for each kernel; exit status 1 where an error is too large.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "CKernels.h"

static unsigned long long state = 1;

/// xorshift64*, to -1...1.
static float number(void) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return (float)((double)(state * 2685821657736338717ULL >> 11) / 4503599627370496.0 - 1.0);
}

static float *numbers(long count) {
  float *values = malloc((size_t)(count ? count : 1) * sizeof(float));
  if (!values) exit(70);
  for (long i = 0; i < count; i++) values[i] = number();
  return values;
}

/// The largest difference of two rows of numbers, relative to the largest number.
static double difference(const float *found, const double *expected, long count) {
  double worst = 0, largest = 1e-30;
  for (long i = 0; i < count; i++) {
    largest = fmax(largest, fabs(expected[i]));
    double error = fabs(found[i] - expected[i]);
    if (!(error <= worst)) worst = isnan(error) ? INFINITY : error;
  }
  return worst / largest;
}

static int failures = 0;

static void report(const char *kernel, double error, double limit) {
  printf("%-16s %.2e %s\n", kernel, error, error <= limit ? "good" : "WRONG");
  failures += !(error <= limit);
}

static double multiply(const ck_kernels *k, long rows, long columns, long depth, int relu) {
  float *a = numbers(rows * depth), *b = numbers(columns * depth), *c = numbers(rows * columns);
  float *residual = numbers(rows * columns), *panel = numbers(depth * k->width), *bias = numbers(k->width);
  double *expected = malloc((size_t)(rows * columns) * sizeof(double));
  k->pack_transposed(b, depth, depth, columns, panel);
  ck_multiply strip = {.a = a, .row_stride = depth, .rows = rows, .taps = 1, .depth = depth, .depth_stride = 1,
                       .panel = panel, .bias = bias, .c = c, .c_stride = columns, .columns = columns,
                       .residual = relu ? residual : NULL, .relu = relu};
  k->multiply(&strip);
  for (long i = 0; i < rows; i++) {
    for (long j = 0; j < columns; j++) {
      double sum = bias[j];
      for (long d = 0; d < depth; d++) sum += (double)a[i * depth + d] * b[j * depth + d];
      if (relu) sum = fmax(0, sum + residual[i * columns + j]);
      expected[i * columns + j] = sum;
    }
  }
  double error = difference(c, expected, rows * columns);
  free(a), free(b), free(c), free(residual), free(panel), free(bias), free(expected);
  return error;
}

static double correlate(const ck_kernels *k, long height, long pixels) {
  const long width = k->width;
  float *x = numbers(pixels * height), *dy = numbers(pixels * width), *tile = numbers(height * width);
  double *expected = malloc((size_t)(height * width) * sizeof(double));
  for (long i = 0; i < height; i++) {
    for (long j = 0; j < width; j++) {
      double sum = tile[i * width + j];
      for (long p = 0; p < pixels; p++) sum += (double)x[p * height + i] * dy[p * width + j];
      expected[i * width + j] = sum;
    }
  }
  ck_correlate grid = {.x = x, .x_stride = height, .x_row_stride = pixels * height, .dy = dy, .rows = 1,
                       .pixels = pixels, .height = height, .columns = width, .tile = tile};
  k->correlate(&grid);
  double error = difference(tile, expected, height * width);
  free(x), free(dy), free(tile), free(expected);
  return error;
}

static double scale_shift(const ck_kernels *k, long rows, long channels) {
  float *x = numbers(rows * channels), *scale = numbers(channels), *shift = numbers(channels);
  float *residual = numbers(rows * channels), *out = numbers(rows * channels);
  double *expected = malloc((size_t)(rows * channels) * sizeof(double));
  for (long i = 0; i < rows * channels; i++) {
    expected[i] = fmax(0, (double)x[i] * scale[i % channels] + shift[i % channels] + residual[i]);
  }
  k->scale_shift(x, rows, channels, scale, shift, residual, 1, out);
  double error = difference(out, expected, rows * channels);
  free(x), free(scale), free(shift), free(residual), free(out), free(expected);
  return error;
}

static double moments(const ck_kernels *k, long rows, long channels) {
  float *x = numbers(rows * channels), *found = numbers(2 * channels);
  double *sums = calloc((size_t)(2 * channels), sizeof(double));
  double *expected = calloc((size_t)(2 * channels), sizeof(double));
  for (long i = 0; i < rows * channels; i++) {
    expected[i % channels] += x[i];
    expected[channels + i % channels] += (double)x[i] * x[i];
  }
  k->moments(x, rows, channels, sums);
  for (long c = 0; c < 2 * channels; c++) found[c] = (float)sums[c];
  double error = difference(found, expected, 2 * channels);
  free(x), free(found), free(sums), free(expected);
  return error;
}

static double adam(const ck_kernels *k, long count) {
  float *weight = numbers(count), *gradient = numbers(count), *anchor = numbers(count);
  float *first = numbers(count), *second = numbers(count);
  double *expected = malloc((size_t)count * sizeof(double));
  for (long i = 0; i < count; i++) second[i] = fabsf(second[i]);
  ck_update sweep = {.weight = weight, .gradient = gradient, .anchor = anchor, .first = first, .second = second,
                     .count = count, .weight_decay = 0.01f, .mu = 0.1f, .step = 0.002f, .beta1 = 0.9f,
                     .beta2 = 0.999f, .second_scale = 1.5f, .epsilon = 1e-8f};
  for (long i = 0; i < count; i++) {
    double g = gradient[i] + 0.01f * (double)weight[i] + 0.1f * ((double)weight[i] - anchor[i]);
    double m = 0.9f * (double)first[i] + (1 - 0.9f) * g, v = 0.999f * (double)second[i] + (1 - 0.999f) * g * g;
    expected[i] = weight[i] - 0.002f * m / (sqrt(v) * 1.5 + 1e-8f);
  }
  k->adam(&sweep);
  double error = difference(weight, expected, count);
  free(weight), free(gradient), free(anchor), free(first), free(second), free(expected);
  return error;
}

/// One tile, each channel with a kernel of its own: the output, or (`gradient`) the gradient by the kernels.
static double winograd(const ck_kernels *k, int gradient) {
  enum { CHANNELS = 32, POINTS = 36 };
  float *x = numbers(36 * CHANNELS), *taps = numbers(9 * CHANNELS), *dy = numbers(16 * CHANNELS);
  float *pixels = numbers(POINTS * CHANNELS), *others = numbers(POINTS * CHANNELS), *y = numbers(16 * CHANNELS);
  double expected[16 * CHANNELS];
  ck_winograd_tile tile = {.x = x, .row_stride = 6 * CHANNELS, .pixel_stride = CHANNELS, .row_end = 6, .column_end = 6,
                           .channels = CHANNELS, .out = pixels, .point_stride = CHANNELS, .block = CHANNELS};
  k->winograd_input(&tile);
  if (gradient) {
    ck_winograd_tile of_gradient = {.x = dy, .row_stride = 4 * CHANNELS, .pixel_stride = CHANNELS, .row_end = 4,
                                    .column_end = 4, .channels = CHANNELS, .out = others, .point_stride = CHANNELS,
                                    .block = CHANNELS};
    k->winograd_gradient(&of_gradient);
  } else {
    k->winograd_weight(taps, CHANNELS, CHANNELS, others, CHANNELS);
  }
  for (int i = 0; i < POINTS * CHANNELS; i++) pixels[i] *= others[i];
  if (gradient) {
    k->winograd_weight_gradient(pixels, CHANNELS, 1, 0, CHANNELS, y, CHANNELS);
  } else {
    ck_winograd_result result = {.products = pixels, .point_stride = CHANNELS, .channels = CHANNELS, .rows = 4,
                                 .columns = 4, .y = y, .row_stride = 4 * CHANNELS, .pixel_stride = CHANNELS};
    k->winograd_output(&result);
  }
  // Correlation of the 6 x 6 pixels with whichever of the two is given.
  const float *small = gradient ? dy : taps;
  const int reach = gradient ? 4 : 3, edge = gradient ? 3 : 4;
  for (int c = 0; c < CHANNELS; c++) {
    for (int i = 0; i < edge * edge; i++) {
      double sum = 0;
      for (int j = 0; j < reach * reach; j++) {
        int row = i / edge + j / reach, column = i % edge + j % reach;
        sum += (double)x[(row * 6 + column) * CHANNELS + c] * small[j * CHANNELS + c];
      }
      expected[i * CHANNELS + c] = sum;
    }
  }
  double error = difference(y, expected, edge * edge * CHANNELS);
  free(x), free(taps), free(dy), free(pixels), free(others), free(y);
  return error;
}

/// Bit patterns must agree with the scalar table's, there and back.
static double halves(const ck_kernels *k, const ck_kernels *scalar, long count) {
  float *x = numbers(count), *back = numbers(count), *expected = numbers(count);
  uint16_t *found = malloc((size_t)count * 2), *wanted = malloc((size_t)count * 2);
  for (long i = 0; i < count; i++) x[i] *= powf(2, (float)(i % 36) - 20);
  k->to_half(x, count, found);
  scalar->to_half(x, count, wanted);
  k->from_half(found, count, back);
  scalar->from_half(wanted, count, expected);
  int same = !memcmp(found, wanted, (size_t)count * 2) && !memcmp(back, expected, (size_t)count * sizeof(float));
  free(x), free(back), free(expected), free(found), free(wanted);
  return same ? 0 : 1;
}

int main(int count, char **arguments) {
  const char *name = count > 1 ? arguments[1] : "neon";
  const ck_kernels *scalar = ck_kernels_for(CK_SCALAR), *k = NULL;
  for (int set = CK_SCALAR; set <= CK_NEON; set++) {
    const ck_kernels *table = ck_kernels_for(set);
    if (table && !strcmp(table->name, name)) k = table;
  }
  if (!k) {
    fprintf(stderr, "compare: this processor has no %s\n", name);
    return 69;
  }
  double worst = 0;
  for (long rows = 1; rows <= 2 * k->rows + 1; rows++) {
    for (long columns = 1; columns <= k->width; columns += 3) worst = fmax(worst, multiply(k, rows, columns, 37, rows % 2));
  }
  report("multiply", fmax(worst, multiply(k, k->rows, k->width, 400, 0)), 2e-6);
  worst = 0;
  for (long height = 1; height <= k->gradient_rows; height++) worst = fmax(worst, correlate(k, height, 91));
  report("correlate", worst, 2e-6);
  report("winograd", winograd(k, 0), 5e-6);
  report("winograd, back", winograd(k, 1), 5e-6);
  worst = 0;
  for (long channels = 1; channels < 40; channels += 2) worst = fmax(worst, scale_shift(k, 5, channels));
  report("scale_shift", worst, 1e-6);
  report("moments", fmax(moments(k, 33, 5), moments(k, 33, 64)), 1e-6);
  report("adam", fmax(adam(k, 100), adam(k, 7)), 2e-6);
  report("halves", halves(k, scalar, 1009), 0);
  return failures ? 1 : 0;
}
