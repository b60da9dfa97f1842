// Vectors of CK_LANES floats in clang's portable extension: one source gives AVX-512, AVX2, NEON and baseline code.
// The including file sets CK_LANES, CK_ROWS, CK_GRADIENT_ROWS, CK_TABLE, CK_NAME and the target attribute, and
// includes the system headers.

typedef float vec __attribute__((ext_vector_type(CK_LANES)));
typedef float vec_memory __attribute__((ext_vector_type(CK_LANES), aligned(4), may_alias));
typedef int32_t mask __attribute__((ext_vector_type(CK_LANES)));
typedef double wide __attribute__((ext_vector_type(CK_LANES)));
typedef double wide_memory __attribute__((ext_vector_type(CK_LANES), aligned(8), may_alias));
typedef uint8_t bytes __attribute__((ext_vector_type(CK_LANES)));
typedef uint8_t bytes_memory __attribute__((ext_vector_type(CK_LANES), aligned(1), may_alias));

#define CK_INLINE static inline __attribute__((always_inline))

CK_INLINE vec load(const float *p) { return *(const vec_memory *)p; }
CK_INLINE void store(float *p, vec v) { *(vec_memory *)p = v; }

// Macros, because these vectors are wider than a register and would change the calling convention.
#define widen(v) __builtin_convertvector((v), wide)
#define load_wide(p) (*(const wide_memory *)(p))
#define store_wide(p, v) (*(wide_memory *)(p) = (v))

// Comparisons give lanes of all ones or all zeros.
CK_INLINE vec where(mask m, vec v) { return (vec)((mask)v & m); }

// max(0, v) that lets NaN through, so that a diverged network is seen and not hidden behind zeros.
CK_INLINE vec positive(vec v) { return (vec)((mask)v & ~(v < 0.0f)); }
