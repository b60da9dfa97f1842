// AVX-512: tiles of 14 x 32 (28 of 32 registers) and 8 x 32. Common network widths are multiples of 7, 8 and 32.
#if defined(__x86_64__)

#include <stddef.h>
#include <string.h>

#include "CKernels.h"

#define CK_LANES 16
#define CK_ROWS 14
#define CK_GRADIENT_ROWS 8
#define CK_TABLE ck_avx512
#define CK_NAME "avx512"

#pragma clang fp contract(fast)
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"))), apply_to = function)
#include "Vector.h"

#include "Microkernels.h"

#include "Winograd.h"

#include "Elementwise.h"
#include "Probe.h"

#include "Table.h"
#pragma clang attribute pop

#endif
