// AVX2 with FMA: tiles of 6 x 16 (12 of 16 registers) and 4 x 16.
#if defined(__x86_64__)

#include <stddef.h>
#include <string.h>

#include "CKernels.h"

#define CK_LANES 8
#define CK_ROWS 6
#define CK_GRADIENT_ROWS 4
#define CK_TABLE ck_avx2
#define CK_NAME "avx2"

#pragma clang fp contract(fast)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "Vector.h"

#include "Microkernels.h"

#include "Winograd.h"

#include "Elementwise.h"
#include "Probe.h"

#include "Table.h"
#pragma clang attribute pop

#endif
