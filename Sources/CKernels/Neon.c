// NEON, part of every 64-bit ARM: tiles of 14 x 8 (28 of 32 registers) and 8 x 8.
#if defined(__aarch64__)

#include <stddef.h>
#include <string.h>

#include "CKernels.h"

#define CK_LANES 4
#define CK_ROWS 14
#define CK_GRADIENT_ROWS 8
#define CK_TABLE ck_neon
#define CK_NAME "neon"

#pragma clang fp contract(fast)
#include "Vector.h"

#include "Microkernels.h"

#include "Winograd.h"

#include "Elementwise.h"
#include "Probe.h"

#include "Table.h"

#endif
