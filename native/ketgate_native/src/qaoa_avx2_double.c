/* QAOA's loops in double precision: avx2. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma")
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define KG_VECTOR_BYTES 32
#define KG_REAL_BYTES 8
#define REAL double
#define MASK int64_t
#define FMA(a, b, c) ((vec)_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#define FNMA(a, b, c) ((vec)_mm256_fnmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#define ISA_SINCOS kg_sincos_avx2
#define LOOPS kg_qaoa_loops_avx2_double

void kg_sincos_avx2(size_t count, const double *angle, double *cosine, double *sine);

#include "qaoa_loops_body.h"
#else
typedef int kg_no_avx2_here;
#endif
