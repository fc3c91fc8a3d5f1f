/* The loops over amplitudes for AVX-512. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma,bmi,bmi2,avx512f,avx512dq,avx512vl,prefer-vector-width=512")
#include <immintrin.h>

#define KG_VECTOR_BYTES 64
#define KG_ISA avx512
#define KG_ISA_NAME "avx512"
#define KG_FMA_DOUBLE(a, b, c) ((V)_mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#define KG_FMA_SINGLE(a, b, c) ((V)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))

static int supported(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#include "sv_isa_body.h"
#else
typedef int kg_no_avx512_here;
#endif
