/* The dense kernels for any CPU, and the choice among the instruction sets. */
#include "linalg.h"

#include <string.h>

#define KG_VECTOR_BYTES 16
#define KG_TILE_ROWS 2
#define KG_TABLE kg_linalg_base
#define KG_ISA "base"
#define KG_MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#include "linalg_body.h"

const kg_linalg *kg_linalg_select(const char *isa) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
    if (avx512 && (isa == NULL || strcmp(isa, "avx512") == 0)) return &kg_linalg_avx512;
    if (avx2 && (isa == NULL || strcmp(isa, "avx2") == 0)) return &kg_linalg_avx2;
#endif
    return isa == NULL || strcmp(isa, "base") == 0 ? &kg_linalg_base : NULL;
}
