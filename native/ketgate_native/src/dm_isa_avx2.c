#if defined(__x86_64__)
#pragma GCC target("avx2,bmi,bmi2")
#include "dm_isa.h"

static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"); }

#define ISA avx2
#define ISA_NAME "avx2"
#define ISA_SUPPORTED has_avx2
#include "dm_isa_body.h"
#else
typedef int kg_no_avx2_here;
#endif
