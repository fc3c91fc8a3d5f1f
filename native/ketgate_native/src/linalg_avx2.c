/* The dense kernels for AVX2 with FMA. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma")
#define KG_VECTOR_BYTES 32
#define KG_TILE_ROWS 3
#define KG_TABLE kg_linalg_avx2
#define KG_ISA "avx2"
#define KG_MULTIPLY_ADD(a, b, c) __builtin_fma((a), (b), (c))
#define KG_VECTOR_FMA(a, b, c) (vector) _mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c))
#include <immintrin.h>
#include "linalg_body.h"
#endif
