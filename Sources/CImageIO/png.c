// PNG over libpng. All ancillary chunks but tRNS are skipped unread: gamma, colour profiles and EXIF do not change the
// pixels, and compressed text cannot inflate.

#include "internal.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

/// What libpng's callbacks need: where to jump, what to say, and the bytes on either side.
typedef struct {
    jmp_buf escape;
    cimage_picture *picture;
    const uint8_t *bytes;
    size_t count, position;
    bool ended;
    cimage_buffer *output;
    size_t capacity;
} png_side;

static PNG_NORETURN void fail(png_structp png, png_const_charp text) {
    png_side *side = png_get_error_ptr(png);
    if (side->picture) cimage_say(side->picture, text, true);
    longjmp(side->escape, 1);
}

static void warn(png_structp png, png_const_charp text) {
    png_side *side = png_get_error_ptr(png);
    if (!side->picture) return;
    side->picture->warnings += 1;
    cimage_say(side->picture, text, false);
}

static void read_bytes(png_structp png, png_bytep target, size_t count) {
    png_side *side = png_get_io_ptr(png);
    if (count > side->count - side->position) {
        side->ended = true;
        png_error(png, "the file ends before the picture does");
    }
    memcpy(target, side->bytes + side->position, count);
    side->position += count;
}

/// Gray or RGB with alpha, composited on black; or RGB to luma. Works in place from the front: the output never
/// overtakes the input.
static uint32_t reduce(uint8_t *pixels, size_t pixel_count, uint32_t channels, bool gray) {
    if (channels == 1 || (channels == 3 && !gray)) return channels;
    const uint8_t *in = pixels;
    uint8_t *out = pixels;
    for (size_t pixel = 0; pixel < pixel_count; pixel += 1, in += channels) {
        unsigned alpha = channels == 2 ? in[1] : channels == 4 ? in[3] : 255;
        if (channels == 2) {
            *out++ = cimage_scale(in[0], alpha);
            continue;
        }
        uint8_t red = cimage_scale(in[0], alpha), green = cimage_scale(in[1], alpha), blue = cimage_scale(in[2], alpha);
        if (gray) {
            *out++ = cimage_luma(red, green, blue);
        } else {
            *out++ = red;
            *out++ = green;
            *out++ = blue;
        }
    }
    return channels == 2 || gray ? 1 : 3;
}

/// Asks libpng for 8-bit samples: palette and low depths expanded, tRNS as alpha, 16 bits rounded (v * 255 / 65535).
static void request_bytes(png_structp png, png_infop info) {
    png_set_expand(png);
    png_set_scale_16(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
}

cimage_status cimage_decode_png(
    const uint8_t *bytes, size_t count, bool gray, cimage_limits limits, cimage_picture *picture) {
    memset(picture, 0, sizeof *picture);
    png_side side = {.picture = picture, .bytes = bytes, .count = count};
    // Written after setjmp and read after a jump, hence volatile.
    uint8_t *volatile pixels = NULL;
    png_bytepp volatile rows = NULL;
    volatile cimage_status refusal = CIMAGE_CORRUPT;

    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &side, fail, warn);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_read_struct(&png, NULL, NULL);
        cimage_say(picture, "not enough memory", true);
        return CIMAGE_NO_MEMORY;
    }
    if (setjmp(side.escape)) {
        png_destroy_read_struct(&png, &info, NULL);
        free(rows);
        free(pixels);
        return side.ended ? CIMAGE_TRUNCATED : refusal;
    }
    png_set_read_fn(png, &side, read_bytes);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_read_info(png, info);

    uint32_t width = png_get_image_width(png, info), height = png_get_image_height(png, info);
    refusal = cimage_check_size(width, height, limits, picture);
    if (refusal != CIMAGE_OK) longjmp(side.escape, 1);
    refusal = CIMAGE_CORRUPT;
    // Deflate packs at most 1032 : 1, so a short file that declares many pixels cannot hold them.
    if ((uint64_t)png_get_rowbytes(png, info) * height / 1032 > count) {
        side.ended = true;
        png_error(png, "the file is too short for the pixels it declares");
    }

    request_bytes(png, info);
    uint32_t channels = png_get_channels(png, info);
    size_t stride = png_get_rowbytes(png, info);
    if (png_get_bit_depth(png, info) != 8 || stride != (size_t)width * channels) png_error(png, "unexpected row layout");
    pixels = malloc(stride * height);
    rows = malloc(sizeof(png_bytep) * height);
    if (!pixels || !rows) {
        refusal = CIMAGE_NO_MEMORY;
        png_error(png, "not enough memory");
    }
    for (uint32_t row = 0; row < height; row += 1) rows[row] = pixels + row * stride;
    png_read_image(png, rows);
    png_read_end(png, NULL);
    png_destroy_read_struct(&png, &info, NULL);
    free(rows);

    picture->channels = reduce(pixels, (size_t)width * height, channels, gray);
    picture->width = width;
    picture->height = height;
    picture->pixels = pixels;
    return CIMAGE_OK;
}

static void write_bytes(png_structp png, png_bytep source, size_t count) {
    png_side *side = png_get_io_ptr(png);
    cimage_buffer *output = side->output;
    if (output->count + count > side->capacity) {
        size_t capacity = (output->count + count) * 2;
        uint8_t *larger = realloc(output->bytes, capacity);
        if (!larger) png_error(png, "not enough memory");
        output->bytes = larger;
        side->capacity = capacity;
    }
    memcpy(output->bytes + output->count, source, count);
    output->count += count;
}

static void flush_nothing(png_structp png) { (void)png; }

cimage_status cimage_encode_png(
    const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels, cimage_buffer *output) {
    *output = (cimage_buffer){NULL, 0};
    if (width == 0 || height == 0 || (channels != 1 && channels != 3)) return CIMAGE_UNSUPPORTED;
    png_side side = {.output = output};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &side, fail, warn);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_write_struct(&png, NULL);
        return CIMAGE_NO_MEMORY;
    }
    if (setjmp(side.escape)) {
        png_destroy_write_struct(&png, &info);
        free(output->bytes);
        *output = (cimage_buffer){NULL, 0};
        return CIMAGE_NO_MEMORY;
    }
    png_set_write_fn(png, &side, write_bytes, flush_nothing);
    int type = channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB;
    png_set_IHDR(
        png, info, width, height, 8, type, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (uint32_t row = 0; row < height; row += 1) png_write_row(png, pixels + (size_t)row * width * channels);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    return CIMAGE_OK;
}
