#if defined(__x86_64__)
#pragma GCC target("avx2,bmi,bmi2,avx512f,avx512dq,avx512vl,prefer-vector-width=512")
#include "dm_isa.h"

static int has_avx512(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

#define ISA avx512
#define ISA_NAME "avx512"
#define ISA_SUPPORTED has_avx512
#include "dm_isa_body.h"
#else
typedef int kg_no_avx512_here;
#endif
