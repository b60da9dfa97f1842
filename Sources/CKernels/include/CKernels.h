/// Float kernels of Consilium's training engine. Every kernel exists once, in `Microkernels.h`, `Winograd.h` and
/// `Elementwise.h`, and is compiled for each instruction set; `ck_kernels_for` hands out the table that this processor can run.
///
/// Conventions: matrices are row-major; extents, strides and offsets count floats; outputs do not overlap inputs unless
/// a comment allows it. Nothing here allocates, and nothing starts a thread.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A strip of a matrix product with one panel of packed weights:
/// `c[i][j] = start + sum over t, k of a[i*row_stride + t*tap_stride + k*depth_stride] * panel[(t*depth + k)*width + j]`
/// for `0 <= i < rows`, `0 <= j < columns`, where `width` is the table's panel width and `columns <= width`.
/// A plain product has one tap; a convolution has one per kernel row, with kernel columns and channels folded into `depth`.
typedef struct {
  const float *a;
  long row_stride;
  long rows;
  long taps;
  long tap_stride;
  long depth;
  long depth_stride;
  const float *panel;
  /// `start` is `c` itself where this is set, `bias[j]` (a whole panel width of it) where that is given, zero otherwise.
  int accumulate;
  const float *bias;
  float *c;
  long c_stride;
  long columns;
  /// What is done to the finished sums: `residual[i*c_stride + j]` is added where it is given, then `max(0, .)` where `relu`
  /// is set (NaN stays NaN). Set with the last of several passes over `c` only.
  const float *residual;
  int relu;
  /// Memory that will be needed soon, read ahead by one place for every row of `panel` and tile of rows; NULL for none.
  const float *prefetch;
  /// Floats from the place that one step reads ahead to the next one's: 16 for a cache line each, fewer to spread the lines of
  /// a slow memory over several calls, since a core can wait for a dozen lines only.
  long prefetch_stride;
} ck_multiply;

/// A tile of a weight gradient, summed over a grid of pixels:
/// `tile[i][j] += sum over r, p of x[r*x_row_stride + p*x_stride + i] * dy[(r*pixels + p)*width + j]`
/// for `0 <= i < height`, `0 <= j < width`; `height <= gradient_rows`, `columns` says how many of the `width` are of use.
typedef struct {
  const float *x;
  long x_stride;
  long x_row_stride;
  const float *dy;
  long rows;
  long pixels;
  long height;
  long columns;
  float *tile;
} ck_correlate;

/// A tile of pixels to be transformed for Winograd's F(4x4, 3x3), see `Winograd.h`: 6 x 6 of an input, or 4 x 4 of an output
/// gradient. Pixels of the tile outside of the stated rows and columns lie in the padding and count as zero.
typedef struct {
  /// Channel 0 of the tile's first pixel inside, (`first_row`, `first_column`).
  const float *x;
  long row_stride;
  long pixel_stride;
  long first_row;
  long row_end;
  long first_column;
  long column_end;
  long channels;
  /// Point `p` of 36, channel `c`: `out[p*point_stride + c/block*block_stride + c%block]`. `block` is a multiple of the vector
  /// length; channels are filled up with zeros to a multiple of it.
  float *out;
  long point_stride;
  long block;
  long block_stride;
} ck_winograd_tile;

/// A tile of products transformed back to 4 x 4 pixels of the output, of which `rows` x `columns` exist:
/// `y = transformed + bias (+ residual)`, then `max(0, .)` where `relu` is set (NaN stays NaN).
typedef struct {
  /// Point `p` of 36, channel `c`: `products[p*point_stride + c]`, readable up to a multiple of the vector length.
  const float *products;
  long point_stride;
  long channels;
  long rows;
  long columns;
  /// `bias[c]`, readable as `products` is; or NULL.
  const float *bias;
  /// Laid out as `y` is; or NULL.
  const float *residual;
  int relu;
  float *y;
  long row_stride;
  long pixel_stride;
} ck_winograd_result;

/// One output row of a max pooling. `x` is one picture, [height][width][channels]; the first window begins at
/// (`first_row`, `first_column`), which may lie in the padding (negative); every window holds a pixel of the picture.
typedef struct {
  const float *x;
  long height;
  long width;
  long channels;
  long first_row;
  long first_column;
  long kernel_height;
  long kernel_width;
  long stride;
  long pixels;
  /// [pixels][channels]: the maximum, and its tap `ky*kernel_width + kx`.
  float *y;
  uint8_t *index;
} ck_pool;

/// One optimiser sweep, PyTorch's formulas with weight decay coupled to the gradient (L2):
/// `g = gradient + weight_decay*w + mu*(w - anchor)`, the last term where `anchor` is given (FedProx, arXiv 1812.06127).
typedef struct {
  float *weight;
  const float *gradient;
  const float *anchor;
  /// SGD: velocity, or NULL for no momentum. Adam: first moment.
  float *first;
  /// Adam only: second moment.
  float *second;
  long count;
  float weight_decay;
  float mu;
  /// SGD: the learning rate. Adam: learning rate / (1 - beta1^t).
  float step;
  /// SGD: the momentum. Adam: beta1.
  float beta1;
  float beta2;
  /// Adam: 1 / sqrt(1 - beta2^t).
  float second_scale;
  float epsilon;
} ck_update;

/// Where a ReLU behind a normalisation let values pass: where its output `y` is positive, or where `x*scale + shift` is (per
/// channel, as `scale_shift` computes it), which saves reading the output; everywhere where both are NULL.
typedef struct {
  const float *y;
  const float *scale;
  const float *shift;
} ck_active;

/// One instruction set's kernels: constants, so any number of threads may read them.
#if defined(__clang__)
typedef struct __attribute__((swift_attr("@Sendable"))) {
#else
typedef struct {
#endif
  const char *name;
  /// Columns of a weight panel.
  long width;
  /// Rows of the largest tile of `multiply`.
  long rows;
  /// Rows of the largest tile of `correlate`.
  long gradient_rows;

  void (*multiply)(const ck_multiply *strip);
  void (*correlate)(const ck_correlate *tile);

  /// `panel[k][j] = source[j*stride + k]` for `k < depth`, `j < columns`, zero for `columns <= j < width`.
  void (*pack_transposed)(const float *source, long stride, long depth, long columns, float *panel);

  /// Splits pixels' channels into blocks: `out[b*block_stride + p*block + i] = x[p*x_stride + b*block + i]`, zero where
  /// `b*block + i >= channels`. `block` is `gradient_rows` or `width`.
  void (*stage_blocks)(const float *x, long x_stride, long pixels, long channels, long block, float *out,
                       long block_stride);
  /// Sums a weight gradient tile over its slots, in their order, and turns it:
  /// `out[j*out_stride + i] = sum over s of tile[s*slot_stride + i*width + j]` for `i < height`, `j < columns`.
  void (*reduce_tile)(const float *tile, long slots, long slot_stride, long height, long columns, float *out,
                      long out_stride);

  // Winograd's F(4x4, 3x3), see `Winograd.h`.

  /// A 6 x 6 tile of an input to its 36 points.
  void (*winograd_input)(const ck_winograd_tile *tile);
  /// A 4 x 4 tile of an output gradient to its 36 points.
  void (*winograd_gradient)(const ck_winograd_tile *tile);
  /// Products of 36 points to a 4 x 4 tile of the output.
  void (*winograd_output)(const ck_winograd_result *tile);
  /// `count` 3 x 3 kernels, element `i` of tap `t` at `taps[t*tap_stride + i]`, to 36 points each:
  /// `out[p*point_stride + i]`. `count` is a multiple of the vector length.
  void (*winograd_weight)(const float *taps, long tap_stride, long count, float *out, long point_stride);
  /// Adds up the slots of `count` transformed weight gradients, in their order, and transforms them back to 3 x 3 taps:
  /// `sums[p*point_stride + s*slot_stride + i]` to `taps[t*tap_stride + i]`; `count` as above.
  void (*winograd_weight_gradient)(const float *sums, long point_stride, long slots, long slot_stride, long count,
                                   float *taps, long tap_stride);

  /// `out = x*scale + shift (+ residual)`, then `max(0, .)` if `relu`; NaN stays NaN. `out` may be `x` or `residual`.
  void (*scale_shift)(const float *x, long rows, long channels, const float *scale, const float *shift,
                      const float *residual, int relu, float *out);
  /// `sums[c]` += sum of x, `sums[channels + c]` += sum of x squared, over the rows, in float64, row by row: it does not matter
  /// in how many calls.
  void (*moments)(const float *x, long rows, long channels, double *sums);
  /// `sums[c]` = sum of x over the rows, in float64.
  void (*column_sums)(const float *x, long rows, long channels, double *sums);
  /// `sums[c]` = sum of dy, `sums[channels + c]` = sum of dy * (x - mean) * inv_std, in float64. Where the ReLU let nothing
  /// pass, dy counts as zero; `masked`, where given, takes what counts, and may be dy.
  void (*gradient_sums)(const float *x, const float *dy, const ck_active *active, long rows, long channels,
                        const float *mean, const float *inv_std, float *masked, double *sums);
  /// `dx = factor * (dy - offset - (x - mean)*slope)`, all four per channel; `active` as above. `dx` may be any input.
  void (*normal_gradient)(const float *x, const float *dy, const ck_active *active, long rows, long channels,
                          const float *mean, const float *factor, const float *offset, const float *slope, float *dx);
  /// `dx = y > 0 ? dy : 0`. `dx` may be `dy`.
  void (*relu_gradient)(const float *y, const float *dy, long count, float *dx);
  /// `sum += x`.
  void (*add)(const float *x, long count, float *sum);
  /// `x *= factor`.
  void (*scale)(float factor, long count, float *x);

  /// One row of max pooling: the first maximum is kept, NaN wins, padding never does, as in PyTorch.
  void (*max_pool)(const ck_pool *row);

  // One kernel tap along one row of pixels; `x_stride` and so on lead from pixel to pixel.

  /// `dx += index == tap ? dy : 0`, with `dy` and `index` [pixels][channels].
  void (*select_add)(const float *dy, const uint8_t *index, uint8_t tap, long pixels, long channels, float *dx,
                     long dx_stride);
  /// `sum += factor * x`.
  void (*add_scaled)(float factor, const float *x, long x_stride, long pixels, long channels, float *sum,
                     long sum_stride);
  /// `mean[c]` = factor * sum of x over the rows, summed in float64.
  void (*column_means)(const float *x, long rows, long channels, double factor, float *mean);

  /// Rounds to IEEE 754 binary16, to the nearest, ties to even; beyond +-65504 to that.
  void (*to_half)(const float *x, long count, uint16_t *half);
  /// Exactly back; for finite numbers.
  void (*from_half)(const uint16_t *half, long count, float *x);

  void (*sgd)(const ck_update *sweep);
  void (*adam)(const ck_update *sweep);

  /// Multiply-adds in registers and nothing else, `probe_flops` operations a step: the peak that kernels are measured by.
  float (*probe)(long steps);
  int probe_flops;
} ck_kernels;

/// Instruction sets, in the order of rising speed on one family.
enum { CK_SCALAR = 0, CK_AVX2 = 1, CK_AVX512 = 2, CK_NEON = 3 };

/// The table for an instruction set, or NULL where this build or this processor has none.
const ck_kernels *ck_kernels_for(int instruction_set);

#ifdef __cplusplus
}
#endif
