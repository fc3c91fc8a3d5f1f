#include "feature.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "parallel.h"

enum { SAMPLES_AT_ONCE = 8 };

const kg_feature_isa *kg_feature_isa_named(const char *name) {
#if defined(__x86_64__)
    const kg_feature_isa *known[] = {&kg_feature_avx512, &kg_feature_avx2, &kg_feature_base};
#else
    const kg_feature_isa *known[] = {&kg_feature_base};
#endif
    for (unsigned k = 0; k < sizeof known / sizeof *known; k++)
        if (known[k]->supported() && (!name || !strcmp(name, known[k]->name))) return known[k];
    return NULL;
}

typedef struct {
    const kg_feature_map *map;
    const kg_feature_isa *isa;
    const double *samples;
    int64_t count;
    kg_monitor *monitor;
    double *out;
    atomic_int failed, stopped;
} batch;

static void some(void *context, int index) {
    batch *b = context;
    const size_t size = (size_t)1 << b->map->n;
    double *room = malloc(3 * size * sizeof *room);
    if (!room) atomic_store(&b->failed, 1);
    for (int64_t k = (int64_t)index * SAMPLES_AT_ONCE; room && k < (int64_t)(index + 1) * SAMPLES_AT_ONCE; k++) {
        if (k >= b->count) break;
        if (b->monitor && kg_should_stop(b->monitor)) {
            atomic_store(&b->stopped, 1);
            break;
        }
        double *re = b->out + (size_t)k * 2 * size;
        b->isa->encode(b->map, b->samples + k * b->map->n, re, re + size, room);
    }
    free(room);
}

int kg_feature_states(const kg_feature_map *map, const kg_feature_isa *isa, const double *samples, int64_t count,
                      int threads, kg_monitor *monitor, double *out) {
    batch b = {.map = map, .isa = isa, .samples = samples, .count = count, .monitor = monitor, .out = out};
    kg_parallel_for(threads, (int)((count + SAMPLES_AT_ONCE - 1) / SAMPLES_AT_ONCE), some, &b);
    if (atomic_load(&b.failed)) return KG_FEATURE_NO_MEMORY;
    return atomic_load(&b.stopped) ? KG_FEATURE_STOPPED : 0;
}
