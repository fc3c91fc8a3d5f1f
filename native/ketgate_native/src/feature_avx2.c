/* Feature maps: avx2. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma")
#include <immintrin.h>

#include "feature.h"

#define KG_VECTOR_BYTES 32
#define WIDE_FMA(a, b, c) ((wide)_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#define WIDE_FNMA(a, b, c) ((wide)_mm256_fnmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#include "feature_body.h"

static int supported(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

const kg_feature_isa kg_feature_avx2 = {"avx2", supported, encode};
#else
typedef int kg_no_avx2_here;
#endif
