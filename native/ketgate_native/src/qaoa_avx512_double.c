/* QAOA's loops in double precision: avx512. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma,avx512f,avx512dq")
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define KG_VECTOR_BYTES 64
#define KG_REAL_BYTES 8
#define REAL double
#define MASK int64_t
#define FMA(a, b, c) ((vec)_mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#define FNMA(a, b, c) ((vec)_mm512_fnmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#define ISA_SINCOS kg_sincos_avx512
#define LOOPS kg_qaoa_loops_avx512_double

void kg_sincos_avx512(size_t count, const double *angle, double *cosine, double *sine);

#include "qaoa_loops_body.h"
#else
typedef int kg_no_avx512_here;
#endif
