/* Probabilities, samples and what a measurement leaves. Sums are made of chunks in a fixed order, whatever the threads. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "parallel.h"
#include "sv_run.h"

static double squared(const kg_sv_state *s, uint64_t index) {
    if (s->precision == KG_SV_DOUBLE) {
        const double *a = (const double *)s->amplitudes + 2 * index;
        return a[0] * a[0] + a[1] * a[1];
    }
    const float *a = (const float *)s->amplitudes + 2 * index;
    return (double)a[0] * (double)a[0] + (double)a[1] * (double)a[1];
}

static const char *amplitude_at(const kg_sv_state *s, uint64_t index) {
    return (const char *)s->amplitudes + index * (s->precision == KG_SV_DOUBLE ? 16 : 8);
}

typedef struct {
    const kg_sv_state *s;
    const uint8_t *qubit;
    int count, chunk_bits, items, shared; /* shared: items write to places of their own, so they need no copies */
    int64_t chunks;
    double *out; /* (items, 2^count), or (2^count) where shared */
    kg_sv_how how;
    atomic_int stopped;
} marginal_run;

static uint64_t key_of(const marginal_run *run, uint64_t index) {
    uint64_t key = 0;
    for (int k = 0; k < run->count; k++) key |= (index >> run->qubit[k] & 1) << k;
    return key;
}

static void marginal_item(void *context, int item) {
    marginal_run *run = context;
    uint64_t length = (uint64_t)1 << run->chunk_bits, low_key[1 << KG_SV_CHUNK_BITS];
    double *out = run->out + (run->shared ? 0 : (size_t)item << run->count);
    for (uint64_t j = 0; j < length; j++) low_key[j] = key_of(run, j);
    int64_t end = run->chunks * (item + 1) / run->items;
    for (int64_t chunk = run->chunks * item / run->items; chunk < end; chunk++) {
        uint64_t base = (uint64_t)chunk << run->chunk_bits, high_key = key_of(run, base);
        if ((chunk & 15) == 0 && kg_sv_stopped(run->how)) atomic_store(&run->stopped, 1);
        if (atomic_load_explicit(&run->stopped, memory_order_relaxed)) return;
        if (base & ~run->s->support & ~(length - 1)) continue;
        for (uint64_t j = 0; j < length; j++) out[high_key | low_key[j]] += squared(run->s, base | j);
    }
}

int kg_sv_probabilities(const kg_sv_state *s, const uint8_t *qubit, int count, double *out, kg_sv_how how) {
    enum { COPIED_MAX = 14 };
    marginal_run run = {.s = s, .qubit = qubit, .count = count, .how = how, .out = out};
    run.chunk_bits = s->stored < KG_SV_CHUNK_BITS ? s->stored : KG_SV_CHUNK_BITS;
    run.chunks = (int64_t)1 << (s->stored - run.chunk_bits);
    run.items = run.chunks < 16 ? (int)run.chunks : 16;
    run.shared = count >= s->qubits; /* every amplitude has its own place */
    if (!run.shared && count > COPIED_MAX) run.items = 1, run.shared = 1;
    size_t places = (size_t)1 << count;
    memset(out, 0, places * sizeof *out);
    if (!run.shared && !(run.out = calloc(places * (size_t)run.items, sizeof *out))) return KG_SV_NO_MEMORY;
    kg_parallel_for(how.threads, run.items, marginal_item, &run);
    if (!run.shared) {
        for (int item = 0; item < run.items; item++)
            for (size_t k = 0; k < places; k++) out[k] += run.out[((size_t)item << count) + k];
        free(run.out);
    }
    return atomic_load(&run.stopped) ? KG_SV_STOPPED : KG_SV_OK;
}

typedef struct {
    const kg_sv_state *s;
    int chunk_bits, items;
    int64_t chunks, shots;
    double *upto;      /* (chunks + 1): sum of what lies before each chunk */
    int64_t *first;    /* (chunks + 1): places in order, by chunk */
    const double *draw; /* by shot */
    int64_t *order;    /* shots, by chunk */
    uint64_t *out;
    kg_sv_how how;
    atomic_int stopped;
} sample_run;

static void sums_item(void *context, int item) {
    sample_run *run = context;
    const kg_sv_loops *loops = &run->s->isa->loops[run->s->precision];
    int64_t end = run->chunks * (item + 1) / run->items, length = (int64_t)1 << run->chunk_bits;
    for (int64_t chunk = run->chunks * item / run->items; chunk < end; chunk++) {
        uint64_t base = (uint64_t)chunk << run->chunk_bits;
        if ((chunk & 63) == 0 && kg_sv_stopped(run->how)) atomic_store(&run->stopped, 1);
        if (atomic_load_explicit(&run->stopped, memory_order_relaxed)) return;
        int zero = (base & ~run->s->support & ~(uint64_t)(length - 1)) != 0;
        run->upto[chunk + 1] = zero ? 0.0 : loops->norm(amplitude_at(run->s, base), length);
    }
}

/* The first place whose sum is above the draw; never one of probability 0. */
static int64_t above(const double *sums, int64_t count, double draw) {
    int64_t low = 0, high = count - 1;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (sums[middle] > draw) high = middle;
        else low = middle + 1;
    }
    return low;
}

static void draws_item(void *context, int item) {
    sample_run *run = context;
    int64_t end = run->chunks * (item + 1) / run->items, length = (int64_t)1 << run->chunk_bits;
    double sums[1 << KG_SV_CHUNK_BITS];
    for (int64_t chunk = run->chunks * item / run->items; chunk < end; chunk++) {
        if (run->first[chunk] == run->first[chunk + 1]) continue;
        if (kg_sv_stopped(run->how)) atomic_store(&run->stopped, 1);
        if (atomic_load_explicit(&run->stopped, memory_order_relaxed)) return;
        uint64_t base = (uint64_t)chunk << run->chunk_bits;
        double sum = run->upto[chunk];
        int64_t last = 0; /* rounding may leave a draw behind the end: it goes to the last that can be */
        for (int64_t j = 0; j < length; j++) {
            double p = squared(run->s, base | (uint64_t)j);
            sums[j] = sum += p;
            if (p > 0.0) last = j;
        }
        for (int64_t k = run->first[chunk]; k < run->first[chunk + 1]; k++)
            run->out[run->order[k]] = base | (uint64_t)above(sums, last + 1, run->draw[run->order[k]]);
    }
}

static double unit(uint64_t seed, uint64_t counter) { /* splitmix64 of both, mixed: 53 bits */
    uint64_t z = seed + 0x9E3779B97F4A7C15u;
    for (int round = 0; round < 2; round++) {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        z ^= z >> 31;
        if (round == 0) z += (counter + 1) * 0x9E3779B97F4A7C15u;
    }
    return (double)(z >> 11) * 0x1p-53;
}

static int64_t *by_chunk(sample_run *run, double *draw, uint32_t *chunk_of) {
    for (int64_t k = 0; k < run->shots; k++) {
        chunk_of[k] = (uint32_t)above(run->upto + 1, run->chunks, draw[k]);
        run->first[chunk_of[k] + 1]++;
    }
    for (int64_t c = 0; c < run->chunks; c++) run->first[c + 1] += run->first[c];
    int64_t *place = malloc((size_t)(run->chunks + 1) * sizeof *place);
    if (!place) return NULL;
    memcpy(place, run->first, (size_t)(run->chunks + 1) * sizeof *place);
    for (int64_t k = 0; k < run->shots; k++) run->order[place[chunk_of[k]]++] = k;
    return place;
}

int kg_sv_sample(const kg_sv_state *s, uint64_t seed, int64_t shots, uint64_t *out, kg_sv_how how) {
    sample_run run = {.s = s, .shots = shots, .out = out, .how = how};
    run.chunk_bits = s->stored < KG_SV_CHUNK_BITS ? s->stored : KG_SV_CHUNK_BITS;
    run.chunks = (int64_t)1 << (s->stored - run.chunk_bits);
    run.items = run.chunks < KG_SV_ITEMS_MAX ? (int)run.chunks : KG_SV_ITEMS_MAX;
    run.upto = calloc((size_t)run.chunks + 1, sizeof *run.upto);
    run.first = calloc((size_t)run.chunks + 1, sizeof *run.first);
    run.order = malloc(((size_t)shots + 1) * sizeof *run.order);
    double *draw = malloc(((size_t)shots + 1) * sizeof *draw);
    uint32_t *chunk_of = malloc(((size_t)shots + 1) * sizeof *chunk_of);
    int64_t *place = NULL;
    int status = KG_SV_NO_MEMORY;
    if (run.upto && run.first && run.order && draw && chunk_of) {
        kg_parallel_for(how.threads, run.items, sums_item, &run);
        int64_t last = 0;
        for (int64_t c = 0; c < run.chunks; c++) {
            if (run.upto[c + 1] > 0.0) last = c;
            run.upto[c + 1] += run.upto[c];
        }
        double total = run.upto[run.chunks];
        for (int64_t c = last; c < run.chunks; c++) run.upto[c + 1] = INFINITY; /* nothing lies behind the last */
        for (int64_t k = 0; k < shots; k++) draw[k] = total * unit(seed, (uint64_t)k);
        run.draw = draw;
        if (!atomic_load(&run.stopped)) place = by_chunk(&run, draw, chunk_of);
        if (place) kg_parallel_for(how.threads, run.items, draws_item, &run);
        status = atomic_load(&run.stopped) ? KG_SV_STOPPED : place ? KG_SV_OK : KG_SV_NO_MEMORY;
    }
    free(run.upto), free(run.first), free(run.order), free(draw), free(chunk_of), free(place);
    return status;
}

typedef struct {
    kg_sv_state *s;
    uint64_t mask, value;
    double factor;
    int chunk_bits, items;
    kg_sv_how how;
    atomic_int stopped;
} collapse_run;

static void collapse_item(void *context, int item) {
    collapse_run *run = context;
    int64_t chunks = (int64_t)1 << (run->s->stored - run->chunk_bits), end = chunks * (item + 1) / run->items;
    uint64_t length = (uint64_t)1 << run->chunk_bits;
    size_t amplitude = run->s->precision == KG_SV_DOUBLE ? 16 : 8;
    for (int64_t chunk = chunks * item / run->items; chunk < end; chunk++) {
        uint64_t base = (uint64_t)chunk << run->chunk_bits;
        if ((chunk & 63) == 0 && kg_sv_stopped(run->how)) atomic_store(&run->stopped, 1);
        if (atomic_load_explicit(&run->stopped, memory_order_relaxed)) return;
        char *a = (char *)run->s->amplitudes + base * amplitude;
        if ((base ^ run->value) & run->mask & ~(length - 1)) {
            memset(a, 0, length * amplitude);
            continue;
        }
        for (uint64_t j = 0; j < length; j++) {
            double factor = (j ^ run->value) & run->mask & (length - 1) ? 0.0 : run->factor;
            if (run->s->precision == KG_SV_DOUBLE) ((double *)a)[2 * j] *= factor, ((double *)a)[2 * j + 1] *= factor;
            else ((float *)a)[2 * j] *= (float)factor, ((float *)a)[2 * j + 1] *= (float)factor;
        }
    }
}

int kg_sv_collapse(kg_sv_state *s, uint64_t mask, uint64_t value, double factor, kg_sv_how how) {
    collapse_run run = {.s = s, .mask = mask, .value = value, .factor = factor, .how = how};
    run.chunk_bits = s->stored < KG_SV_CHUNK_BITS ? s->stored : KG_SV_CHUNK_BITS;
    int64_t chunks = (int64_t)1 << (s->stored - run.chunk_bits);
    run.items = chunks < KG_SV_ITEMS_MAX ? (int)chunks : KG_SV_ITEMS_MAX;
    kg_parallel_for(how.threads, run.items, collapse_item, &run);
    return atomic_load(&run.stopped) ? KG_SV_STOPPED : KG_SV_OK;
}
