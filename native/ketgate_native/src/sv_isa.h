/* The loops over amplitudes, compiled for each instruction set and precision. Vectors hold 2^lane_bits amplitudes. */
#ifndef KETGATE_SV_ISA_H
#define KETGATE_SV_ISA_H

#include "sv.h"

typedef struct {
    int lane_bits;
    void (*dense)(void *block, const kg_sv_step *step);
    /* place: of the block's constant qubits in the table */
    void (*diagonal)(void *block, const kg_sv_step *step, int64_t place);
    /* Adds sum_r state[a, r] conj(other[b, r]) to the step's transition matrix, or its diagonal. */
    void (*transition)(const void *state, const void *other, const kg_sv_step *step, int64_t place, double *out);
    double (*norm)(const void *amplitudes, int64_t count);
    /* re + i im = conj(partner[j ^ flip]) amplitudes[j]; either may be NULL */
    void (*products)(const void *amplitudes, const void *partner, int flip, int count, double *re, double *im);
    /* out[j] += factor amplitude[j ^ flip] weight[j ^ flip]; factor = i^quarter */
    void (*add_weighted)(void *out, const void *amplitudes, const double *weight, int flip, int count, int quarter);
} kg_sv_loops;

typedef struct kg_sv_isa {
    const char *name;
    int (*supported)(void);
    kg_sv_loops loops[2]; /* by kg_sv_precision */
    void (*walsh)(double *values, int count); /* sums over all sign patterns, in place */
    double (*folded)(double *values, int count, int signs); /* one of these sums; overwrites the values */
    void (*add_signs)(double *values, int count, int signs, double factor);
} kg_sv_isa;

extern const kg_sv_isa kg_sv_isa_base;
#if defined(__x86_64__)
extern const kg_sv_isa kg_sv_isa_avx2, kg_sv_isa_avx512;
#endif

const kg_sv_isa *kg_sv_isa_named(const char *name); /* NULL name: the best; NULL result: unknown or not supported */

#endif
