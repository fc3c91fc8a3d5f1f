/* QAOA's loops in single precision: avx512. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma,avx512f,avx512dq")
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define KG_VECTOR_BYTES 64
#define KG_REAL_BYTES 4
#define REAL float
#define MASK int32_t
#define FMA(a, b, c) ((vec)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define FNMA(a, b, c) ((vec)_mm512_fnmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define ISA_SINCOS kg_sincos_avx512
#define LOOPS kg_qaoa_loops_avx512_single

void kg_sincos_avx512(size_t count, const double *angle, double *cosine, double *sine);

#include "qaoa_loops_body.h"
#else
typedef int kg_no_avx512_here;
#endif
