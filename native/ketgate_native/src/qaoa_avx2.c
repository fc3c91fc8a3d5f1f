/* QAOA's instruction set avx2: its table, and sines and cosines. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma")
#include <immintrin.h>

#include "qaoa_pass.h"

#define KG_VECTOR_BYTES 32
#define WIDE_FMA(a, b, c) ((wide)_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#define WIDE_FNMA(a, b, c) ((wide)_mm256_fnmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#include "qaoa_sincos_body.h"

void kg_sincos_avx2(size_t count, const double *angle, double *cosine, double *sine);
void kg_sincos_avx2(size_t count, const double *angle, double *cosine, double *sine) {
    sincos_many(count, angle, cosine, sine);
}

static int supported(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

extern const kg_qaoa_loops kg_qaoa_loops_avx2_double, kg_qaoa_loops_avx2_single;
const kg_qaoa_isa kg_qaoa_avx2 = {
    "avx2", supported, {&kg_qaoa_loops_avx2_double, &kg_qaoa_loops_avx2_single}, kg_sincos_avx2};
#else
typedef int kg_no_avx2_here;
#endif
