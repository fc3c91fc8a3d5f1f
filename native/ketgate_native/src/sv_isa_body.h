/* Everything over amplitudes that is compiled for each instruction set. The including file defines KG_VECTOR_BYTES, KG_ISA
 * (suffix of names), KG_ISA_NAME, KG_FMA_DOUBLE, KG_FMA_SINGLE and supported(). */
#include <string.h>

#include "sv_isa.h"

#define KG_JOIN2(a, b) a##_##b
#define KG_JOIN(a, b) KG_JOIN2(a, b)
#define KG_INLINE static inline __attribute__((always_inline))

/* Three levels at a time: the values are read and written a third as often. */
static void walsh_levels(double *values, int count, int half) {
    for (int block = 0; block < count; block += 8 * half)
        for (int j = block; j < block + half; j++) {
            double v[8];
            for (int k = 0; k < 8; k++) v[k] = values[j + k * half];
            for (int step = 1; step < 8; step *= 2)
                for (int k = 0; k < 8; k++)
                    if (!(k & step)) {
                        double a = v[k], b = v[k + step];
                        v[k] = a + b, v[k + step] = a - b;
                    }
            for (int k = 0; k < 8; k++) values[j + k * half] = v[k];
        }
}

static void walsh(double *values, int count) {
    int half = 1;
    for (; 8 * half <= count; half *= 8) walsh_levels(values, count, half);
    for (; half < count; half *= 2)
        for (int i = 0; i < count; i += 2 * half)
            for (int j = i; j < i + half; j++) {
                double a = values[j], b = values[j + half];
                values[j] = a + b, values[j + half] = a - b;
            }
}

/* sum_j (-1)^|j & signs| values[j], which are overwritten: folded in half by half. */
static double folded(double *values, int count, int signs) {
    while (count > 1) {
        int half = count / 2;
        if (signs & half)
            for (int j = 0; j < half; j++) values[j] -= values[j + half];
        else
            for (int j = 0; j < half; j++) values[j] += values[j + half];
        count = half;
    }
    return values[0];
}

/* values[j] += factor (-1)^|j & signs| */
static void add_signs(double *values, int count, int signs, double factor) {
    double sign[8];
    for (int k = 0; k < 8; k++) sign[k] = __builtin_parity((unsigned)(k & signs)) ? -factor : factor;
    for (int j = 0; j < count; j += 8) {
        double flip = __builtin_parity((unsigned)(j & signs)) ? -1.0 : 1.0;
        for (int k = 0; k < 8; k++) values[j + k] += flip * sign[k];
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
    .folded = folded,
    .add_signs = add_signs,
};
