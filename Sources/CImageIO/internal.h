/// Shared by the PNG and the JPEG side; not visible outside this target.
#ifndef CIMAGEIO_INTERNAL_H
#define CIMAGEIO_INTERNAL_H

#include "cimageio.h"

/// Rec. 601 luma in 16-bit fixed point, rounded: the weights and the rounding of libjpeg's own RGB to Y, so that a PNG
/// and a JPEG of one picture give the same gray values.
static inline uint8_t cimage_luma(unsigned red, unsigned green, unsigned blue) {
    return (uint8_t)((19595u * red + 38470u * green + 7471u * blue + 32768u) >> 16);
}

/// a * b / 255, rounded to nearest, for a and b in 0...255.
static inline uint8_t cimage_scale(unsigned a, unsigned b) { return (uint8_t)((a * b + 127u) / 255u); }

/// Refuses sizes outside the limits, zero included; says so in `picture->message`.
cimage_status cimage_check_size(uint64_t width, uint64_t height, cimage_limits limits, cimage_picture *picture);

/// Copies one printable line into `picture->message`, unless one is already there and `replace` is false.
void cimage_say(cimage_picture *picture, const char *text, bool replace);

#endif
