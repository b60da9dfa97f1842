#include "internal.h"

#include <stdio.h>
#include <stdlib.h>

void cimage_release(uint8_t *bytes) { free(bytes); }

void cimage_say(cimage_picture *picture, const char *text, bool replace) {
    if (picture->message[0] != 0 && !replace) return;
    size_t used = 0;
    for (; text[used] != 0 && used + 1 < CIMAGE_MESSAGE_BYTES; used += 1) {
        // File content (chunk names, marker codes) gets into libraries' messages: nothing unprintable passes.
        char letter = text[used];
        picture->message[used] = letter >= 0x20 && letter < 0x7f ? letter : '?';
    }
    picture->message[used] = 0;
}

cimage_status cimage_check_size(uint64_t width, uint64_t height, cimage_limits limits, cimage_picture *picture) {
    if (width == 0 || height == 0) {
        cimage_say(picture, "declares a width or height of zero", true);
        return CIMAGE_CORRUPT;
    }
    // Sides first: the product of two 32-bit sides cannot overflow 64 bits.
    if (width > limits.max_side || height > limits.max_side || width * height > limits.max_pixels) {
        char text[CIMAGE_MESSAGE_BYTES];
        snprintf(
            text, sizeof text, "declares %llu x %llu pixels", (unsigned long long)width, (unsigned long long)height);
        cimage_say(picture, text, true);
        return CIMAGE_TOO_LARGE;
    }
    return CIMAGE_OK;
}
