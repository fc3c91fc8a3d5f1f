/* The loops over amplitudes for AVX2 with FMA. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma,bmi,bmi2")
#include <immintrin.h>

#define KG_VECTOR_BYTES 32
#define KG_ISA avx2
#define KG_ISA_NAME "avx2"
#define KG_FMA_DOUBLE(a, b, c) ((V)_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#define KG_FMA_SINGLE(a, b, c) ((V)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))

static int supported(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

#include "sv_isa_body.h"
#else
typedef int kg_no_avx2_here;
#endif
