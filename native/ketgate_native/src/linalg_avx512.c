/* The dense kernels for AVX-512. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma,avx512f,avx512dq")
#define KG_VECTOR_BYTES 64
#define KG_TILE_ROWS 4
#define KG_TABLE kg_linalg_avx512
#define KG_ISA "avx512"
#define KG_MULTIPLY_ADD(a, b, c) __builtin_fma((a), (b), (c))
#define KG_VECTOR_FMA(a, b, c) (vector) _mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c))
#include <immintrin.h>
#include "linalg_body.h"
#endif
