/// Decoding and encoding of PNG and JPEG in memory, over libpng and libjpeg-turbo.
///
/// Rules:
/// 1. Both libraries report errors by longjmp; every jump lands inside the function of this layer that called them, so
///    no frame of Swift is ever crossed.
/// 2. Nothing is read from or written to files, nothing is printed; one message of one line comes back in the result.
/// 3. Work and memory are bounded by `cimage_limits` before a pixel buffer is allocated.
/// 4. A picture is returned whole or not at all: a file that ends early, or whose data are damaged, is refused.
#ifndef CIMAGEIO_H
#define CIMAGEIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    CIMAGE_OK = 0,
    /// The format is broken, or its checksums do not agree.
    CIMAGE_CORRUPT = 1,
    /// The data end before the picture does.
    CIMAGE_TRUNCATED = 2,
    /// A well-formed variant that the library does not decode (lossless or 12-bit JPEG).
    CIMAGE_UNSUPPORTED = 3,
    /// More pixels or scans than the limits allow.
    CIMAGE_TOO_LARGE = 4,
    CIMAGE_NO_MEMORY = 5,
} cimage_status;

typedef struct {
    uint32_t max_side;
    uint64_t max_pixels;
    /// Scans of one progressive JPEG: each costs a pass over all coefficients.
    uint32_t max_scans;
} cimage_limits;

enum { CIMAGE_MESSAGE_BYTES = 160 };

/// A decoded picture: rows from the top, no padding, `channels` interleaved bytes a pixel (1 gray, 3 RGB).
typedef struct {
    uint8_t *pixels;
    uint32_t width, height, channels;
    /// Complaints of the library that did not harm the pixels.
    uint32_t warnings;
    /// The error, or the first warning; printable ASCII, empty when there was none.
    char message[CIMAGE_MESSAGE_BYTES];
} cimage_picture;

/// `gray` asks for one channel whatever the file holds: Y of a YCbCr JPEG as it is stored, else Rec. 601 luma.
/// On `CIMAGE_OK` the caller owns `picture->pixels` (cimage_release); on any other status it is NULL.
cimage_status cimage_decode_png(
    const uint8_t *bytes, size_t count, bool gray, cimage_limits limits, cimage_picture *picture);
cimage_status cimage_decode_jpeg(
    const uint8_t *bytes, size_t count, bool gray, cimage_limits limits, cimage_picture *picture);

typedef struct {
    uint8_t *bytes;
    size_t count;
} cimage_buffer;

typedef struct {
    /// 1 to 100, libjpeg's scale.
    int quality;
    bool progressive;
    /// 4:2:0 chroma subsampling of colour pictures; else 4:4:4.
    bool subsampled;
} cimage_jpeg_options;

/// `channels` is 1 (gray) or 3 (RGB). On `CIMAGE_OK` the caller owns `output->bytes` (cimage_release).
cimage_status cimage_encode_png(
    const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels, cimage_buffer *output);
/// As above; `channels` 4 writes Adobe's inverted CMYK (255 = no ink) from inverted values.
cimage_status cimage_encode_jpeg(
    const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels, cimage_jpeg_options options,
    cimage_buffer *output);

/// Frees what a function above returned; NULL is allowed.
void cimage_release(uint8_t *bytes);

#endif
