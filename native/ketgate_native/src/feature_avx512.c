/* Feature maps: avx512. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma,avx512f,avx512dq")
#include <immintrin.h>

#include "feature.h"

#define KG_VECTOR_BYTES 64
#define WIDE_FMA(a, b, c) ((wide)_mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#define WIDE_FNMA(a, b, c) ((wide)_mm512_fnmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#include "feature_body.h"

static int supported(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
}

const kg_feature_isa kg_feature_avx512 = {"avx512", supported, encode};
#else
typedef int kg_no_avx512_here;
#endif
