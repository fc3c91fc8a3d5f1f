/* The register in memory, and what can be asked of it. */
#define _GNU_SOURCE
#include "qaoa_pass.h"

#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    ONE_TILE_BITS = 13, /* up to here the register is one tile: 128 KiB in double precision */
    HUGE_PAGE = 1 << 21,
    CHUNK = 1 << 10 /* amplitudes whose weights are summed before single ones are looked at */
};

const kg_qaoa_isa *kg_qaoa_isa_named(const char *name) {
#if defined(__x86_64__)
    const kg_qaoa_isa *known[] = {&kg_qaoa_avx512, &kg_qaoa_avx2, &kg_qaoa_base};
#else
    const kg_qaoa_isa *known[] = {&kg_qaoa_base};
#endif
    for (unsigned k = 0; k < sizeof known / sizeof *known; k++)
        if (known[k]->supported() && (!name || !strcmp(name, known[k]->name))) return known[k];
    return NULL;
}

const char *kg_qaoa_isa_name(const kg_qaoa_isa *isa) { return isa->name; }

static void tile(kg_qaoa_state *state) {
    int n = state->n, run = KG_RUN_BITS + (state->single ? 1 : 0), low;
    if (n <= ONE_TILE_BITS + (state->single ? 1 : 0)) {
        state->tilings = 1, low = n;
    } else {
        state->tilings = 2, low = (n + run + 1) / 2;
    }
    kg_tiling *t = &state->tiling[0];
    t->bits = t->run = low, t->outer = n - low;
    for (int k = 0; k < n; k++) t->qubit[k] = k;
    if (state->tilings == 1) return;
    t = &state->tiling[1];
    t->run = run, t->bits = run + n - low, t->outer = low - run;
    for (int k = 0; k < run; k++) t->qubit[k] = k;
    for (int k = run; k < t->bits; k++) t->qubit[k] = low + k - run;
    for (int k = 0; k < t->outer; k++) t->qubit[t->bits + k] = run + k;
}

size_t kg_qaoa_state_bytes(int n, int single) { return (size_t)(single ? 8 : 16) << n; }

static void *room(size_t bytes) {
    void *at = NULL;
    if (posix_memalign(&at, bytes >= HUGE_PAGE ? HUGE_PAGE : 64, bytes)) return NULL;
#ifdef MADV_HUGEPAGE
    if (bytes >= HUGE_PAGE) madvise(at, bytes, MADV_HUGEPAGE); /* high tiles touch a page a row */
#endif
    return at;
}

int kg_qaoa_state_make(kg_qaoa_state *state, int n, int single, const kg_qaoa_isa *isa) {
    memset(state, 0, sizeof *state);
    state->isa = isa, state->n = n, state->single = single;
    state->lanes = isa->loops[single]->lanes;
    state->norm = 1.0;
    tile(state);
    state->psi = room(kg_qaoa_state_bytes(n, single));
    return state->psi ? 0 : KG_QAOA_NO_MEMORY;
}

int kg_qaoa_state_double(kg_qaoa_state *state) {
    if (!state->lambda) state->lambda = room(kg_qaoa_state_bytes(state->n, state->single));
    return state->lambda ? 0 : KG_QAOA_NO_MEMORY;
}

void kg_qaoa_state_free(kg_qaoa_state *state) {
    free(state->psi), free(state->lambda);
    memset(state, 0, sizeof *state);
}

static void amplitude(const kg_qaoa_state *state, uint64_t index, double out[2]) {
    uint64_t lanes = (uint64_t)state->lanes, at = index / lanes * 2 * lanes + index % lanes;
    if (state->single) {
        const float *p = state->psi;
        out[0] = (double)p[at] * state->norm, out[1] = (double)p[at + lanes] * state->norm;
    } else {
        const double *p = state->psi;
        out[0] = p[at] * state->norm, out[1] = p[at + lanes] * state->norm;
    }
}

void kg_qaoa_export(const kg_qaoa_state *state, uint64_t from, uint64_t count, double *out) {
    for (uint64_t k = 0; k < count; k++) amplitude(state, from + k, out + 2 * k);
}

static double weight(const kg_qaoa_state *state, uint64_t index) {
    double a[2];
    amplitude(state, index, a);
    return a[0] * a[0] + a[1] * a[1];
}

/* Of CHUNK amplitudes: their reals, in whatever order, squared; partial sums keep rounding small. */
static double chunk_weight(const kg_qaoa_state *state, uint64_t chunk, uint64_t amps) {
    double sums[8] = {0}, total = 0.0;
    const uint64_t from = chunk * amps * 2;
    for (uint64_t k = 0; k < amps * 2; k += 8)
        for (int j = 0; j < 8; j++) {
            double x = state->single ? (double)((const float *)state->psi)[from + k + j]
                                     : ((const double *)state->psi)[from + k + j];
            sums[j] += x * x;
        }
    for (int j = 0; j < 8; j++) total += sums[j];
    return total * state->norm * state->norm;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int64_t kg_qaoa_sample(const kg_qaoa_state *state, uint64_t shots, uint64_t seed, uint64_t *index, int64_t *counts) {
    const uint64_t size = (uint64_t)1 << state->n, amps = size < CHUNK ? size : CHUNK, chunks = size / amps;
    double *draw = malloc(shots * sizeof *draw), *mass = malloc(chunks * sizeof *mass), total = 0.0, below = 0.0;
    int64_t found = 0;
    if (!draw || !mass) {
        free(draw), free(mass);
        return KG_QAOA_NO_MEMORY;
    }
    for (uint64_t c = 0; c < chunks; c++) total += mass[c] = chunk_weight(state, c, amps);
    kg_rng rng = kg_rng_stream(seed, 0);
    for (uint64_t k = 0; k < shots; k++) draw[k] = kg_rng_unit(&rng) * total;
    qsort(draw, shots, sizeof *draw, ascending);
    uint64_t k = 0;
    for (uint64_t c = 0; c < chunks && k < shots; c++) {
        if (draw[k] >= below + mass[c] && c + 1 < chunks) {
            below += mass[c];
            continue;
        }
        double sum = below;
        int64_t last = -1; /* rounding may leave draws beyond the chunk's end: they take its last possible outcome */
        for (uint64_t z = c * amps; z < (c + 1) * amps; z++) {
            double w = weight(state, z);
            if (w <= 0.0) continue;
            sum += w;
            int64_t count = 0;
            while (k < shots && draw[k] < sum) count++, k++;
            if (count) index[found] = z, counts[found++] = count;
            last = (int64_t)z;
        }
        below += mass[c];
        int64_t left = 0;
        while (k < shots && (draw[k] < below || c + 1 == chunks)) left++, k++;
        if (!left || last < 0) continue;
        if (found && index[found - 1] == (uint64_t)last) counts[found - 1] += left;
        else index[found] = (uint64_t)last, counts[found++] = left;
    }
    free(draw), free(mass);
    return found;
}

/* Calls visit with the values of each cell, in order of index, on one low tile after the other. */
typedef struct {
    double least, greatest, bound, share;
    uint64_t least_at;
    const kg_qaoa_state *state;
} summary;

static void see_extremes(summary *s, uint64_t from, const double *value) {
    double least = value[0], greatest = value[0];
    for (int c = 1; c < KG_CELL; c++) {
        least = value[c] < least ? value[c] : least;
        greatest = value[c] > greatest ? value[c] : greatest;
    }
    if (greatest > s->greatest) s->greatest = greatest;
    if (least >= s->least) return;
    s->least = least;
    for (int c = KG_CELL - 1; c >= 0; c--)
        if (value[c] == least) s->least_at = from + (uint64_t)c;
}

static void see_share(summary *s, uint64_t from, const double *value) {
    for (int c = 0; c < KG_CELL; c++)
        if (value[c] <= s->bound) s->share += weight(s->state, from + (uint64_t)c);
}

static void cell_row(const kg_cut *cut, const double *field, const double *table, double *value) {
    value[0] = field[KG_CELL_BITS];
    for (int b = 0; b < KG_CELL_BITS; b++)
        for (int c = 0; c < 1 << b; c++) {
            value[c + (1 << b)] = value[c] - field[b];
            value[c] += field[b];
        }
    for (int c = 0; c < KG_CELL; c++) value[c] += cut->inner[c] + (table ? table[c] : 0.0);
}

static int every_cell(const kg_diagonal *diagonal, int n, kg_monitor *monitor, summary *s,
                      void (*see)(summary *, uint64_t, const double *)) {
    kg_qaoa_state shape = {.n = n};
    tile(&shape);
    const kg_tiling *tiling = &shape.tiling[0];
    size_t cells = kg_cells(tiling);
    kg_cut *cut = malloc(sizeof *cut);
    double *fields = malloc(cells * (2 * KG_CELL_BITS + 2) * sizeof *fields), value[KG_CELL];
    int status = KG_QAOA_NO_MEMORY;
    if (cut && fields) {
        status = 0;
        cut->cell_field = fields + cells * (KG_CELL_BITS + 1);
        cut->cell_rest = cut->cell_field + cells * KG_CELL_BITS;
        kg_cut_make(cut, kg_qaoa_isa_named(NULL), tiling, n, diagonal, 1.0, NULL, 0.0, 1.0);
        for (int64_t t = 0; t < kg_tiles(tiling) && !status; t++) {
            kg_cut_tile(cut, t, fields);
            for (size_t cell = 0; cell < cells; cell++) {
                uint64_t from = kg_tile_at(tiling, t) + cell * KG_CELL;
                cell_row(cut, fields + cell * (KG_CELL_BITS + 1), cut->table ? cut->table + from : NULL, value);
                see(s, from, value);
            }
            if (monitor && kg_should_stop(monitor)) status = KG_QAOA_STOPPED;
        }
    }
    free(cut), free(fields);
    return status;
}

int kg_diagonal_extremes(const kg_diagonal *diagonal, int n, kg_monitor *monitor, double *least, double *greatest,
                         uint64_t *least_at) {
    summary s = {.least = INFINITY, .greatest = -INFINITY};
    int status = every_cell(diagonal, n, monitor, &s, see_extremes);
    *least = s.least, *greatest = s.greatest, *least_at = s.least_at;
    return status;
}

int kg_qaoa_share_below(const kg_qaoa_state *state, const kg_diagonal *diagonal, double bound, kg_monitor *monitor,
                        double *share) {
    summary s = {.bound = bound, .state = state};
    int status = every_cell(diagonal, state->n, monitor, &s, see_share);
    *share = s.share;
    return status;
}
