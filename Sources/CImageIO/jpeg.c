// JPEG decoding over libjpeg-turbo: gray, YCbCr, RGB, CMYK and YCCK; baseline, progressive, arithmetic.
//
// What is refused (documented in `ImageDecoder`): a file that ends before its last coefficient, and entropy-coded data
// that do not decode. libjpeg would go on and fill the rest with gray; a half-gray picture is worse than none.

#include "internal.h"

#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    cimage_picture *picture;
    uint32_t max_scans;
    /// The source ran dry; an end marker was made up.
    bool ended;
    cimage_status refusal;
} jpeg_side;

static JOCTET const end_of_image[2] = {0xff, JPEG_EOI};

_Noreturn static void refuse(j_common_ptr info, cimage_status status, const char *text) {
    jpeg_side *side = info->client_data;
    if (text) {
        cimage_say(side->picture, text, true);
    } else {
        char message[JMSG_LENGTH_MAX];
        side->errors.format_message(info, message);
        cimage_say(side->picture, message, true);
    }
    side->refusal = status;
    longjmp(side->escape, 1);
}

static void on_error(j_common_ptr info) {
    jpeg_side *side = info->client_data;
    cimage_status status = side->ended ? CIMAGE_TRUNCATED : CIMAGE_CORRUPT;
    switch (side->errors.msg_code) {
    case JERR_SOF_UNSUPPORTED:
    case JERR_BAD_PRECISION:
    case JERR_ARITH_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_CCIR601_NOTIMPL:
        status = CIMAGE_UNSUPPORTED;
        break;
    case JERR_IMAGE_TOO_BIG:
    case JERR_WIDTH_OVERFLOW:
        status = CIMAGE_TOO_LARGE;
        break;
    case JERR_OUT_OF_MEMORY:
        status = CIMAGE_NO_MEMORY;
        break;
    default:
        break;
    }
    refuse(info, status, status == CIMAGE_TRUNCATED ? "the file ends before the picture does" : NULL);
}

static void on_message(j_common_ptr info, int level) {
    jpeg_side *side = info->client_data;
    if (level >= 0) return;  // traces
    switch (side->errors.msg_code) {
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
        if (side->ended) refuse(info, CIMAGE_TRUNCATED, "the file ends before the picture does");
        refuse(info, CIMAGE_CORRUPT, NULL);
    default:
        break;
    }
    char message[JMSG_LENGTH_MAX];
    side->errors.format_message(info, message);
    side->picture->warnings += 1;
    cimage_say(side->picture, message, false);
}

static void print_nothing(j_common_ptr info) { (void)info; }

static void source_nothing(j_decompress_ptr info) { (void)info; }

static boolean source_refill(j_decompress_ptr info) {
    jpeg_side *side = info->client_data;
    side->ended = true;
    side->source.next_input_byte = end_of_image;
    side->source.bytes_in_buffer = sizeof end_of_image;
    return TRUE;
}

static void source_skip(j_decompress_ptr info, long count) {
    jpeg_side *side = info->client_data;
    if (count <= 0) return;
    if ((size_t)count > side->source.bytes_in_buffer) {
        source_refill(info);
    } else {
        side->source.next_input_byte += count;
        side->source.bytes_in_buffer -= (size_t)count;
    }
}

static void on_progress(j_common_ptr info) {
    jpeg_side *side = info->client_data;
    if (((j_decompress_ptr)info)->input_scan_number > (int)side->max_scans) {
        refuse(info, CIMAGE_TOO_LARGE, "has too many progressive scans");
    }
}

static void prepare(j_decompress_ptr info, jpeg_side *side, const uint8_t *bytes, size_t count) {
    info->err = jpeg_std_error(&side->errors);
    side->errors.error_exit = on_error;
    side->errors.emit_message = on_message;
    side->errors.output_message = print_nothing;
    info->client_data = side;
    side->source = (struct jpeg_source_mgr){
        .next_input_byte = bytes,
        .bytes_in_buffer = count,
        .init_source = source_nothing,
        .fill_input_buffer = source_refill,
        .skip_input_data = source_skip,
        .resync_to_restart = jpeg_resync_to_restart,
        .term_source = source_nothing,
    };
    side->progress.progress_monitor = on_progress;
}

/// CMYK bytes to RGB or luma, in place. Adobe's files hold inverted ink (255 = none), others plain ink.
/// R = (1 - C)(1 - K), and so on: the usual conversion without colour profiles.
static uint32_t reduce_cmyk(uint8_t *pixels, size_t pixel_count, bool inverted, bool gray) {
    const uint8_t *in = pixels;
    uint8_t *out = pixels;
    unsigned flip = inverted ? 0 : 255;
    for (size_t pixel = 0; pixel < pixel_count; pixel += 1, in += 4) {
        unsigned light = in[3] ^ flip;
        uint8_t red = cimage_scale(in[0] ^ flip, light);
        uint8_t green = cimage_scale(in[1] ^ flip, light);
        uint8_t blue = cimage_scale(in[2] ^ flip, light);
        if (gray) {
            *out++ = cimage_luma(red, green, blue);
        } else {
            *out++ = red;
            *out++ = green;
            *out++ = blue;
        }
    }
    return gray ? 1 : 3;
}

static J_COLOR_SPACE output_space(j_decompress_ptr info, bool gray) {
    switch (info->jpeg_color_space) {
    case JCS_CMYK:
    case JCS_YCCK:
        return JCS_CMYK;
    case JCS_GRAYSCALE:
        return JCS_GRAYSCALE;
    default:
        return gray ? JCS_GRAYSCALE : JCS_RGB;
    }
}

cimage_status cimage_decode_jpeg(
    const uint8_t *bytes, size_t count, bool gray, cimage_limits limits, cimage_picture *picture) {
    memset(picture, 0, sizeof *picture);
    struct jpeg_decompress_struct info = {0};
    jpeg_side side = {.picture = picture, .max_scans = limits.max_scans, .refusal = CIMAGE_CORRUPT};
    uint8_t *volatile pixels = NULL;  // written after setjmp and read after a jump

    prepare(&info, &side, bytes, count);
    if (setjmp(side.escape)) {
        jpeg_destroy_decompress(&info);
        free(pixels);
        return side.refusal;
    }
    jpeg_create_decompress(&info);
    info.src = &side.source;
    info.progress = &side.progress;
    jpeg_read_header(&info, TRUE);

    cimage_status size = cimage_check_size(info.image_width, info.image_height, limits, picture);
    if (size != CIMAGE_OK) {
        jpeg_destroy_decompress(&info);
        return size;
    }
    uint64_t pixel_count = (uint64_t)info.image_width * info.image_height;
    // A Huffman code has at least one bit, and each 8 x 8 block of the largest component one code: fewer bytes than one
    // per 512 pixels cannot hold the picture. Arithmetic coding knows no such bound.
    if (!info.arith_code && pixel_count / 512 > count) {
        refuse((j_common_ptr)&info, CIMAGE_TRUNCATED, "the file is too short for the pixels it declares");
    }
    info.out_color_space = output_space(&info, gray);
    info.dct_method = JDCT_ISLOW;  // the exact integer transform, with the same bytes on every platform
    jpeg_start_decompress(&info);

    uint32_t channels = (uint32_t)info.output_components;
    size_t stride = (size_t)info.output_width * channels;
    pixels = malloc(stride * info.output_height);
    if (!pixels) refuse((j_common_ptr)&info, CIMAGE_NO_MEMORY, "not enough memory");
    while (info.output_scanline < info.output_height) {
        JSAMPROW row = pixels + info.output_scanline * stride;
        jpeg_read_scanlines(&info, &row, 1);
    }
    // In one Huffman scan a missing coefficient has been noticed; otherwise only the end marker proves completeness.
    if (side.ended && (jpeg_has_multiple_scans(&info) || info.arith_code)) {
        refuse((j_common_ptr)&info, CIMAGE_TRUNCATED, "the file ends before the picture does");
    }
    picture->width = info.output_width;
    picture->height = info.output_height;
    picture->channels = channels;
    if (info.out_color_space == JCS_CMYK) {
        picture->channels = reduce_cmyk(pixels, pixel_count, info.saw_Adobe_marker, gray);
    }
    picture->pixels = pixels;
    jpeg_destroy_decompress(&info);
    return CIMAGE_OK;
}
