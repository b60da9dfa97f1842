// JPEG encoding over libjpeg-turbo, for phantoms and for tests.

#include "internal.h"

#include <stdio.h>

#include <jpeglib.h>

#include <setjmp.h>

typedef struct {
    struct jpeg_error_mgr errors;
    jmp_buf escape;
} encoder_side;

static void on_error(j_common_ptr info) {
    encoder_side *side = info->client_data;
    longjmp(side->escape, 1);
}

static void print_nothing(j_common_ptr info) { (void)info; }

static void configure(j_compress_ptr info, uint32_t channels, cimage_jpeg_options options) {
    info->input_components = (int)channels;
    info->in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(info);
    jpeg_set_quality(info, options.quality, TRUE);
    info->dct_method = JDCT_ISLOW;
    if (channels == 3) {
        info->comp_info[0].h_samp_factor = options.subsampled ? 2 : 1;
        info->comp_info[0].v_samp_factor = options.subsampled ? 2 : 1;
    }
    if (options.progressive) jpeg_simple_progression(info);
}

cimage_status cimage_encode_jpeg(
    const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels, cimage_jpeg_options options,
    cimage_buffer *output) {
    *output = (cimage_buffer){NULL, 0};
    bool known = channels == 1 || channels == 3 || channels == 4;
    if (width == 0 || height == 0 || width > JPEG_MAX_DIMENSION || height > JPEG_MAX_DIMENSION || !known) {
        return CIMAGE_UNSUPPORTED;
    }
    struct jpeg_compress_struct info = {0};
    encoder_side side;
    unsigned char *encoded = NULL;
    unsigned long encoded_count = 0;
    info.err = jpeg_std_error(&side.errors);
    side.errors.error_exit = on_error;
    side.errors.output_message = print_nothing;
    info.client_data = &side;
    if (setjmp(side.escape)) {
        // `encoded` is not freed: while libjpeg grows its buffer, the address it keeps here may be a freed one. The only
        // error that leads here is want of memory.
        jpeg_destroy_compress(&info);
        return CIMAGE_NO_MEMORY;
    }
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &encoded, &encoded_count);
    info.image_width = width;
    info.image_height = height;
    configure(&info, channels, options);
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
        JSAMPROW row = (JSAMPROW)(pixels + (size_t)info.next_scanline * width * channels);
        jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    output->bytes = encoded;
    output->count = encoded_count;
    return CIMAGE_OK;
}
