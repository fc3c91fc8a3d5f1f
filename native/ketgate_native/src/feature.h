/* States of samples under feature maps, a batch at a time; qubit i encodes feature i. */
#ifndef KETGATE_FEATURE_H
#define KETGATE_FEATURE_H

#include <stddef.h>
#include <stdint.h>

#include "monitor.h"

enum { KG_FEATURE_QUBITS_MAX = 24, KG_FEATURE_STOPPED = 1, KG_FEATURE_NO_MEMORY = -1 };

typedef enum {
    KG_FEATURE_ZZ,       /* layers of H, then exp(-i (sum x_i Z_i + sum x_i x_j Z_i Z_j)) */
    KG_FEATURE_IQP,      /* H, that diagonal `layers` times, H */
    KG_FEATURE_UPLOADING /* layers of RY(x_i), RZ(x_i), then a permutation of the basis states */
} kg_feature_kind;

typedef struct {
    kg_feature_kind kind;
    int n, layers, pairs;
    const int32_t *pair;    /* (pairs, 2), pair[0] < pair[1] */
    const int32_t *permuted; /* (2^n): the state that each place takes its amplitude from */
} kg_feature_map;

typedef struct {
    const char *name;
    int (*supported)(void);
    /* One sample: x (n) -> re, im (2^n each), with room for 3 * 2^n more. */
    void (*encode)(const kg_feature_map *map, const double *x, double *re, double *im, double *room);
} kg_feature_isa;

extern const kg_feature_isa kg_feature_base;
#if defined(__x86_64__)
extern const kg_feature_isa kg_feature_avx2, kg_feature_avx512;
#endif

const kg_feature_isa *kg_feature_isa_named(const char *name); /* NULL name: the best; NULL: unknown or not here */

/* samples (count, n) -> out (count, 2, 2^n), real parts then imaginary ones. 0 or a reason as above. */
int kg_feature_states(const kg_feature_map *map, const kg_feature_isa *isa, const double *samples, int64_t count,
                      int threads, kg_monitor *monitor, double *out);

#endif
