/* Pauli strings without sampling. With x and z as masks, P|i> = i^|x & z| (-1)^|i & z| |i ^ x>.
 *
 * Strings with the same x are a group: the products of a chunk of memory are made once for all of them, and a Walsh-Hadamard
 * transform holds the sums for every z at once. A chunk stays in the cache while all groups go over it.
 */
#include <stdlib.h>
#include <string.h>

#include "parallel.h"
#include "sv_run.h"

enum { FEW = 4 }; /* strings of one x: so many are added up one by one sooner than by a transform */

typedef struct {
    uint64_t x;
    int first, end, even, odd; /* strings; whether any has an even, an odd number of Y */
} group;

typedef struct {
    const kg_sv_state *s;
    kg_sv_state *out;
    kg_sv_paulis paulis;
    const kg_sv_isa *isa;
    group *groups;
    int count, chunk_bits, items;
    double *sums; /* (items, paulis.count) */
    kg_sv_how how;
    atomic_int stopped;
} pauli_run;

typedef void (*on_chunk)(pauli_run *run, const group *g, uint64_t base, double *sums);

static int parity(uint64_t bits) { return __builtin_parityll(bits); }

static int number_of_y(const pauli_run *run, int k) { return __builtin_popcountll(run->paulis.x[k] & run->paulis.z[k]); }

static char *at(const kg_sv_state *s, uint64_t index) {
    return (char *)s->amplitudes + index * (s->precision == KG_SV_DOUBLE ? 16 : 8);
}

static void expect_chunk(pauli_run *run, const group *g, uint64_t base, double *sums) {
    double re[1 << KG_SV_CHUNK_BITS], im[1 << KG_SV_CHUNK_BITS], copy[1 << KG_SV_CHUNK_BITS];
    int length = 1 << run->chunk_bits, few = g->end - g->first <= FEW;
    uint64_t low = (uint64_t)length - 1, high = g->x & ~low, support = run->s->support | low;
    uint64_t half = high ? (uint64_t)1 << (63 - __builtin_clzll(high)) : 0; /* i and i ^ x give the same: take one */
    if ((base & half) || (base & ~support) || ((base ^ high) & ~support)) return;
    run->isa->loops[run->s->precision].products(at(run->s, base), at(run->s, base ^ high), (int)(g->x & low), length,
                                                g->even ? re : NULL, g->odd ? im : NULL);
    if (g->even && !few) run->isa->walsh(re, length);
    if (g->odd && !few) run->isa->walsh(im, length);
    for (int k = g->first; k < g->end; k++) {
        uint64_t z = run->paulis.z[k];
        int y = number_of_y(run, k), single = few && g->end - g->first == 1;
        double *values = y & 1 ? im : re, sum;
        if (few && !single) values = memcpy(copy, values, sizeof *copy * (size_t)length);
        sum = few ? run->isa->folded(values, length, (int)(z & low)) : values[z & low];
        if (half) sum *= 2.0;
        sums[k] += ((y + 1) / 2 + parity(base & z)) & 1 ? -sum : sum;
    }
}

static void apply_chunk(pauli_run *run, const group *g, uint64_t to, double *sums) {
    double weight[1 << KG_SV_CHUNK_BITS];
    int length = 1 << run->chunk_bits, few = g->end - g->first <= FEW;
    uint64_t low = (uint64_t)length - 1, base = to ^ (g->x & ~low);
    (void)sums;
    if (base & ~(run->s->support | low)) return;
    for (int odd = 0; odd < 2; odd++) {
        if (!(odd ? g->odd : g->even)) continue;
        memset(weight, 0, sizeof *weight * (size_t)length);
        for (int k = g->first; k < g->end; k++) {
            uint64_t z = run->paulis.z[k];
            int y = number_of_y(run, k);
            if ((y & 1) != odd) continue;
            double c = run->paulis.coefficients[k], factor = (y / 2 + parity(base & z)) & 1 ? -c : c;
            if (few) run->isa->add_signs(weight, length, (int)(z & low), factor);
            else weight[z & low] += factor;
        }
        if (!few) run->isa->walsh(weight, length);
        run->isa->loops[run->s->precision].add_weighted(at(run->out, to), at(run->s, base), weight, (int)(g->x & low), length,
                                                        odd);
    }
}

static void over_chunks(pauli_run *run, int item, on_chunk chunk_of) {
    int64_t chunks = (int64_t)1 << (run->s->stored - run->chunk_bits), end = chunks * (item + 1) / run->items;
    double *sums = run->sums ? run->sums + (size_t)item * (size_t)run->paulis.count : NULL;
    for (int64_t chunk = chunks * item / run->items; chunk < end; chunk++)
        for (int k = 0; k < run->count; k++) {
            if ((k & 31) == 0 && kg_sv_stopped(run->how)) atomic_store(&run->stopped, 1);
            if (atomic_load_explicit(&run->stopped, memory_order_relaxed)) return;
            chunk_of(run, &run->groups[k], (uint64_t)chunk << run->chunk_bits, sums);
        }
}

static void expect_item(void *context, int item) { over_chunks(context, item, expect_chunk); }
static void apply_item(void *context, int item) { over_chunks(context, item, apply_chunk); }

static int go(pauli_run *run, kg_item item) {
    run->isa = run->s->isa;
    run->chunk_bits = run->s->stored < KG_SV_CHUNK_BITS ? run->s->stored : KG_SV_CHUNK_BITS;
    int64_t chunks = (int64_t)1 << (run->s->stored - run->chunk_bits);
    run->items = chunks < KG_SV_ITEMS_MAX ? (int)chunks : KG_SV_ITEMS_MAX;
    run->groups = malloc(((size_t)run->paulis.count + 1) * sizeof *run->groups);
    if (!run->groups) return KG_SV_NO_MEMORY;
    for (int k = 0; k < run->paulis.count; k++) {
        group *g = &run->groups[run->count - 1];
        if (!run->count || g->x != run->paulis.x[k]) {
            g = &run->groups[run->count++];
            *g = (group){.x = run->paulis.x[k], .first = k};
        }
        g->end = k + 1;
        *(number_of_y(run, k) & 1 ? &g->odd : &g->even) = 1;
    }
    kg_parallel_for(run->how.threads, run->items, item, run);
    free(run->groups);
    return atomic_load(&run->stopped) ? KG_SV_STOPPED : KG_SV_OK;
}

int kg_sv_expect(const kg_sv_state *s, kg_sv_paulis paulis, double *out, kg_sv_how how) {
    pauli_run run = {.s = s, .paulis = paulis, .how = how};
    run.sums = calloc(KG_SV_ITEMS_MAX * (size_t)(paulis.count + 1), sizeof *run.sums);
    if (!run.sums) return KG_SV_NO_MEMORY;
    int status = go(&run, expect_item);
    for (int k = 0; k < paulis.count; k++) {
        out[k] = 0.0;
        for (int item = 0; item < KG_SV_ITEMS_MAX; item++) out[k] += run.sums[(size_t)item * (size_t)paulis.count + (size_t)k];
    }
    free(run.sums);
    return status;
}

int kg_sv_paulis_apply(const kg_sv_state *s, kg_sv_paulis paulis, kg_sv_state *out, kg_sv_how how) {
    pauli_run run = {.s = s, .out = out, .paulis = paulis, .how = how};
    memset(out->amplitudes, 0, out->bytes);
    out->support = ~(uint64_t)0;
    return go(&run, apply_item);
}
