/* Everything over amplitudes that is compiled for each instruction set. The including file defines KG_VECTOR_BYTES, KG_ISA
 * (suffix of names), KG_ISA_NAME, KG_FMA_DOUBLE, KG_FMA_SINGLE and supported(). */
#include <string.h>

#include "sv_isa.h"

#define KG_JOIN2(a, b) a##_##b
#define KG_JOIN(a, b) KG_JOIN2(a, b)
#define KG_INLINE static inline __attribute__((always_inline))

static void walsh(double *values, int count) {
    for (int half = 1; half < count; half *= 2)
        for (int i = 0; i < count; i += 2 * half)
            for (int j = i; j < i + half; j++) {
                double a = values[j], b = values[j + half];
                values[j] = a + b;
                values[j + half] = a - b;
            }
}

#define REAL double
#define INTEGER int64_t
#define NAME(x) KG_JOIN(double, x)
#define FMA KG_FMA_DOUBLE
#define V NAME(vector)
#define VI NAME(integers)
#define REALS (KG_VECTOR_BYTES / 8)
#include "sv_loops_body.h"

#define REAL float
#define INTEGER int32_t
#define NAME(x) KG_JOIN(single, x)
#define FMA KG_FMA_SINGLE
#define V NAME(vector)
#define VI NAME(integers)
#define REALS (KG_VECTOR_BYTES / 4)
#include "sv_loops_body.h"

#define KG_LOG2(x) ((x) == 1 ? 0 : (x) == 2 ? 1 : (x) == 4 ? 2 : 3)
#define KG_LOOPS(p, bytes)                                                                                              \
    {KG_LOG2(KG_VECTOR_BYTES / (bytes)), p##_dense,    p##_diagonal,    p##_transition,                                 \
     p##_norm,                           p##_products, p##_add_weighted}

const kg_sv_isa KG_JOIN(kg_sv_isa, KG_ISA) = {
    .name = KG_ISA_NAME,
    .supported = supported,
    .loops = {KG_LOOPS(double, 16), KG_LOOPS(single, 8)},
    .walsh = walsh,
};
