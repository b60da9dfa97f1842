// The portable fallback: IEEE arithmetic lane by lane, with no fused multiply-add, so that every processor computes the
// same bytes. Four lanes are what every 64-bit processor has.
#include <stddef.h>
#include <string.h>

#include "CKernels.h"

#define CK_LANES 4
#define CK_ROWS 4
#define CK_GRADIENT_ROWS 4
#define CK_TABLE ck_scalar
#define CK_NAME "scalar"

#pragma clang fp contract(off)
#include "Vector.h"

#include "Microkernels.h"

#include "Winograd.h"

#include "Elementwise.h"
#include "Probe.h"

#include "Table.h"
