/* QAOA's instruction set avx512: its table, and sines and cosines. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma,avx512f,avx512dq")
#include <immintrin.h>

#include "qaoa_pass.h"

#define KG_VECTOR_BYTES 64
#define WIDE_FMA(a, b, c) ((wide)_mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#define WIDE_FNMA(a, b, c) ((wide)_mm512_fnmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#include "qaoa_sincos_body.h"

void kg_sincos_avx512(size_t count, const double *angle, double *cosine, double *sine);
void kg_sincos_avx512(size_t count, const double *angle, double *cosine, double *sine) {
    sincos_many(count, angle, cosine, sine);
}

static int supported(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
}

extern const kg_qaoa_loops kg_qaoa_loops_avx512_double, kg_qaoa_loops_avx512_single;
const kg_qaoa_isa kg_qaoa_avx512 = {
    "avx512", supported, {&kg_qaoa_loops_avx512_double, &kg_qaoa_loops_avx512_single}, kg_sincos_avx512};
#else
typedef int kg_no_avx512_here;
#endif
