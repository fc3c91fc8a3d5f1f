/* QAOA's loops in single precision: avx2. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma")
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define KG_VECTOR_BYTES 32
#define KG_REAL_BYTES 4
#define REAL float
#define MASK int32_t
#define FMA(a, b, c) ((vec)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define FNMA(a, b, c) ((vec)_mm256_fnmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define ISA_SINCOS kg_sincos_avx2
#define LOOPS kg_qaoa_loops_avx2_single

void kg_sincos_avx2(size_t count, const double *angle, double *cosine, double *sine);

#include "qaoa_loops_body.h"
#else
typedef int kg_no_avx2_here;
#endif
