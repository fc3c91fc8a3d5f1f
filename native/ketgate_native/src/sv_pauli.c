/* Pauli strings without sampling. With x and z as masks, P|i> = i^|x & z| (-1)^|i & z| |i ^ x>.
 *
 * Strings with the same x share one pass over memory, however many they are: the products of a chunk are made once, and a
 * Walsh-Hadamard transform of them holds the sums for every z at once.
 */
#include <stdlib.h>
#include <string.h>

#include "parallel.h"
#include "sv_run.h"

typedef struct {
    const kg_sv_state *s;
    kg_sv_state *out;
    kg_sv_paulis paulis;
    int first, end; /* strings of one x */
    int chunk_bits, items, even, odd; /* whether there are strings with an even, an odd number of Y */
    double *sums; /* (items, paulis.count) */
    kg_sv_how how;
    atomic_int stopped;
} pauli_run;

static int parity(uint64_t bits) { return __builtin_parityll(bits); }

static int number_of_y(const pauli_run *run, int k) { return __builtin_popcountll(run->paulis.x[k] & run->paulis.z[k]); }

static const char *at(const kg_sv_state *s, uint64_t index) {
    return (const char *)s->amplitudes + index * (s->precision == KG_SV_DOUBLE ? 16 : 8);
}

static int should_stop(pauli_run *run, int64_t chunk) {
    if ((chunk & 15) == 0 && kg_sv_stopped(run->how)) atomic_store(&run->stopped, 1);
    return atomic_load_explicit(&run->stopped, memory_order_relaxed);
}

static void expect_item(void *context, int item) {
    pauli_run *run = context;
    const kg_sv_isa *isa = run->s->isa;
    int64_t chunks = (int64_t)1 << (run->s->stored - run->chunk_bits), end = chunks * (item + 1) / run->items;
    int length = 1 << run->chunk_bits;
    uint64_t low = (uint64_t)length - 1, x = run->paulis.x[run->first], high = x & ~low;
    uint64_t half = high ? (uint64_t)1 << (63 - __builtin_clzll(high)) : 0; /* i and i ^ x give the same: take one */
    double re[1 << KG_SV_CHUNK_BITS], im[1 << KG_SV_CHUNK_BITS];
    for (int64_t chunk = chunks * item / run->items; chunk < end; chunk++) {
        uint64_t base = (uint64_t)chunk << run->chunk_bits;
        if (should_stop(run, chunk)) return;
        if ((base & half) || (base & ~run->s->support & ~low) || ((base ^ high) & ~run->s->support & ~low)) continue;
        isa->loops[run->s->precision].products(at(run->s, base), at(run->s, base ^ high), (int)(x & low), length,
                                               run->even ? re : NULL, run->odd ? im : NULL);
        if (run->even) isa->walsh(re, length);
        if (run->odd) isa->walsh(im, length);
        double *sums = run->sums + (size_t)item * (size_t)run->paulis.count, twice = half ? 2.0 : 1.0;
        for (int k = run->first; k < run->end; k++) {
            uint64_t z = run->paulis.z[k];
            int y = number_of_y(run, k);
            double sum = (y & 1 ? im : re)[z & low];
            sums[k] += ((y + 1) / 2 + parity(base & z)) & 1 ? -twice * sum : twice * sum;
        }
    }
}

static void apply_item(void *context, int item) {
    pauli_run *run = context;
    const kg_sv_isa *isa = run->s->isa;
    int64_t chunks = (int64_t)1 << (run->s->stored - run->chunk_bits), end = chunks * (item + 1) / run->items;
    int length = 1 << run->chunk_bits;
    uint64_t low = (uint64_t)length - 1, x = run->paulis.x[run->first];
    double weight[1 << KG_SV_CHUNK_BITS];
    for (int64_t chunk = chunks * item / run->items; chunk < end; chunk++) {
        uint64_t to = (uint64_t)chunk << run->chunk_bits, base = to ^ (x & ~low);
        if (should_stop(run, chunk)) return;
        for (int odd = 0; odd < 2; odd++) {
            if (!(odd ? run->odd : run->even)) continue;
            memset(weight, 0, sizeof *weight * (size_t)length);
            for (int k = run->first; k < run->end; k++) {
                uint64_t z = run->paulis.z[k];
                int y = number_of_y(run, k);
                if ((y & 1) == odd)
                    weight[z & low] += (y / 2 + parity(base & z)) & 1 ? -run->paulis.coefficients[k] : run->paulis.coefficients[k];
            }
            isa->walsh(weight, length);
            isa->loops[run->s->precision].add_weighted((char *)at(run->out, to), at(run->s, base), weight, (int)(x & low),
                                                       length, odd);
        }
    }
}

static int by_groups(pauli_run *run, kg_item item) {
    run->chunk_bits = run->s->stored < KG_SV_CHUNK_BITS ? run->s->stored : KG_SV_CHUNK_BITS;
    int64_t chunks = (int64_t)1 << (run->s->stored - run->chunk_bits);
    run->items = chunks < KG_SV_ITEMS_MAX ? (int)chunks : KG_SV_ITEMS_MAX;
    if (run->sums) memset(run->sums, 0, sizeof *run->sums * (size_t)(run->items * run->paulis.count));
    for (run->first = 0; run->first < run->paulis.count && !atomic_load(&run->stopped); run->first = run->end) {
        run->even = run->odd = 0;
        for (run->end = run->first; run->end < run->paulis.count; run->end++) {
            if (run->paulis.x[run->end] != run->paulis.x[run->first]) break;
            *(number_of_y(run, run->end) & 1 ? &run->odd : &run->even) = 1;
        }
        kg_parallel_for(run->how.threads, run->items, item, run);
    }
    return atomic_load(&run->stopped) ? KG_SV_STOPPED : KG_SV_OK;
}

int kg_sv_expect(const kg_sv_state *s, kg_sv_paulis paulis, double *out, kg_sv_how how) {
    pauli_run run = {.s = s, .paulis = paulis, .how = how};
    run.sums = malloc(sizeof(double) * KG_SV_ITEMS_MAX * (size_t)(paulis.count + 1));
    if (!run.sums) return KG_SV_NO_MEMORY;
    int status = by_groups(&run, expect_item);
    for (int k = 0; k < paulis.count; k++) {
        out[k] = 0.0;
        for (int item = 0; item < run.items; item++) out[k] += run.sums[(size_t)item * (size_t)paulis.count + (size_t)k];
    }
    free(run.sums);
    return status;
}

int kg_sv_paulis_apply(const kg_sv_state *s, kg_sv_paulis paulis, kg_sv_state *out, kg_sv_how how) {
    pauli_run run = {.s = s, .out = out, .paulis = paulis, .how = how};
    memset(out->amplitudes, 0, out->bytes);
    out->support = ~(uint64_t)0;
    return by_groups(&run, apply_item);
}
