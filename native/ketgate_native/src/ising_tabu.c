/* One-flip tabu search with recombination of its own elite.
 *
 * A trajectory that stalls enters a small population; the next start takes what two of its members share and chooses the
 * rest at random (memetic search: Lu, Glover, Hao 2010; Wu and Hao 2012), so that later starts explore only what is open. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ising_isa.h"
#include "ising_tabu.h"
#include "parallel.h"

enum { TENURE_SPREAD = 10, RING = 4096, REBASE = 1 << 30, POLL_WORK = 1 << 18 };

typedef struct {
    kg_run *run;
    int64_t iterations;
    int tenure;
} tabu_job;

typedef struct {
    kg_run *run;
    kg_row_state row;
    int chunks, tenure, tenure_base, tenure_fixed, elite;
    int32_t iteration;
    uint8_t *dirty;           /* sparse: chunks whose maxima must be found anew */
    int32_t moved[RING];      /* sparse: which spin moved at iteration t % RING */
    int at_best;              /* the state is the best one, not copied yet */
    int8_t *best, *scratch;   /* of the trajectory since its last start */
    double best_energy;
    int8_t *elite_spins;
    double elite_energy[KG_ELITE];
    kg_rng rng;
} tabu_state;

static void *aligned(size_t bytes) { return aligned_alloc(64, (bytes + 64) / 64 * 64); }

static int init(tabu_state *s, kg_run *run, uint64_t stream, int tenure) {
    const kg_ising *p = run->p;
    memset(s, 0, sizeof *s);
    s->run = run;
    s->rng = kg_rng_stream(run->seed ^ 0x7ABu, stream);
    s->chunks = (p->n + KG_CHUNK - 1) / KG_CHUNK;
    size_t padded = (size_t)s->chunks * KG_CHUNK;
    s->tenure_fixed = tenure;
    s->tenure_base = 10 + p->n / 100;
    s->row.p = p;
    s->row.spins = aligned(padded * 4), s->row.fields = aligned(padded * 4), s->row.until = aligned(padded * 4);
    s->row.free_max = aligned((size_t)s->chunks * 4), s->row.any_max = aligned((size_t)s->chunks * 4);
    s->dirty = calloc((size_t)s->chunks + 1, 1);
    s->best = malloc(padded + 1), s->scratch = malloc(padded + 1);
    s->elite_spins = malloc(KG_ELITE * (size_t)p->n + 1);
    return s->row.spins && s->row.fields && s->row.until && s->row.free_max && s->row.any_max && s->dirty &&
           s->best && s->scratch && s->elite_spins;
}

static void release(tabu_state *s) {
    free(s->row.spins), free(s->row.fields), free(s->row.until), free(s->row.free_max), free(s->row.any_max);
    free(s->dirty), free(s->best), free(s->scratch), free(s->elite_spins);
}

static void flip_sparse(tabu_state *s, int i) {
    const kg_ising *p = s->row.p;
    float *spins = s->row.spins, *fields = s->row.fields, change = -2.0f * spins[i];
    s->row.energy -= 2.0 * (double)(spins[i] * fields[i]);
    spins[i] = -spins[i];
    s->dirty[i / KG_CHUNK] = 1;
    for (int64_t e = p->start[i]; e < p->start[i + 1]; e++) {
        int j = p->edges[e].col;
        fields[j] += p->weight32[e] * change;
        s->dirty[j / KG_CHUNK] = 1;
    }
}

static void flip(tabu_state *s, int i) {
    if (s->row.p->dense) s->run->isa->rows_flip[s->row.p->lane](&s->row, i);
    else flip_sparse(s, i);
}

/* Fields anew for `spins`: sparse by summing, dense by turning from the all-up state. 0 when stopped. */
static int load(tabu_state *s, const int8_t *spins) {
    const kg_ising *p = s->row.p;
    if (p->dense) {
        memcpy(s->row.fields, p->field_up, (size_t)p->stride * sizeof(float));
        s->row.energy = p->search_energy_up;
        for (int i = 0; i < s->chunks * KG_CHUNK; i++) s->row.spins[i] = 1.0f;
        for (int i = 0; i < p->n; i++) {
            if (spins[i] < 0) flip(s, i);
            if (i % 64 == 63 && kg_run_stopped(s->run)) return 0;
        }
        return 1;
    }
    double energy = 0.0;
    for (int i = 0; i < s->chunks * KG_CHUNK; i++) {
        s->row.spins[i] = i < p->n ? (float)spins[i] : 1.0f;
        s->row.fields[i] = i < p->n ? p->field[i] : -INFINITY;
        if (i >= p->n) continue;
        for (int64_t e = p->start[i]; e < p->start[i + 1]; e++)
            s->row.fields[i] += p->weight32[e] * (float)spins[p->edges[e].col];
        energy += 0.5 * spins[i] * ((double)s->row.fields[i] + (double)p->field[i]);
        if (i % 4096 == 4095 && kg_run_stopped(s->run)) return 0;
    }
    s->row.energy = energy;
    return 1;
}

static void forget(tabu_state *s) { /* every spin may move; iterations count from 0 */
    memset(s->row.until, 0, (size_t)s->chunks * KG_CHUNK * sizeof *s->row.until);
    for (int i = s->row.p->n; i < s->chunks * KG_CHUNK; i++) s->row.until[i] = INT32_MAX;
    memset(s->dirty, 1, (size_t)s->chunks);
    s->iteration = 0;
    for (int c = 0; c < s->chunks; c++) s->run->isa->scan(&s->row, c, 0);
}

/* A spin of the highest value, ties broken by where the search begins. */
static int choose(tabu_state *s) {
    float any = -INFINITY, open = -INFINITY;
    for (int c = 0; c < s->chunks; c++) {
        any = s->row.any_max[c] > any ? s->row.any_max[c] : any;
        open = s->row.free_max[c] > open ? s->row.free_max[c] : open;
    }
    double margin = s->row.p->integer ? 0.0 : 1e-6 * fabs(s->best_energy);
    int aspire = s->row.energy - 2.0 * (double)any < s->best_energy - margin;
    float wanted = aspire ? any : open;
    if (wanted == -INFINITY) return (int)kg_rng_below(&s->rng, (uint32_t)s->row.p->n);
    const float *maxima = aspire ? s->row.any_max : s->row.free_max;
    uint64_t r = kg_rng_next(&s->rng);
    int first = (int)((r >> 32) * (uint64_t)s->chunks >> 32), within = (int)(r % KG_CHUNK);
    for (int k = 0; k < s->chunks; k++) {
        int c = first + k < s->chunks ? first + k : first + k - s->chunks;
        if (maxima[c] != wanted) continue;
        for (int m = 0; m < KG_CHUNK; m++) {
            int i = c * KG_CHUNK + (within + m) % KG_CHUNK;
            if (s->row.spins[i] * s->row.fields[i] == wanted && (aspire || s->row.until[i] <= s->iteration)) return i;
        }
    }
    return (int)kg_rng_below(&s->rng, (uint32_t)s->row.p->n);
}

/* Spins whose tenure ends now: they moved between tenure and tenure + TENURE_SPREAD iterations ago. */
static void expire(tabu_state *s) {
    for (int k = 0; k < TENURE_SPREAD; k++) {
        int32_t then = s->iteration - 1 - s->tenure - k;
        if (then < 0) return;
        int i = s->moved[then % RING];
        if (s->row.until[i] == s->iteration) s->dirty[i / KG_CHUNK] = 1;
    }
}

static void remember(tabu_state *s) {
    for (int i = 0; s->at_best && i < s->row.p->n; i++) s->best[i] = (int8_t)s->row.spins[i];
    s->at_best = 0;
}

static void move(tabu_state *s, int i) {
    const kg_ising *p = s->row.p;
    if (s->row.spins[i] * s->row.fields[i] <= 0.0f) remember(s); /* else an even better state comes next */
    s->moved[s->iteration % RING] = i;
    s->row.until[i] = s->iteration + 1 + s->tenure +
                      (s->tenure > 0 ? (int32_t)kg_rng_below(&s->rng, TENURE_SPREAD) : 0);
    s->iteration++;
    if (p->dense) {
        s->run->isa->rows_flip_scan[p->lane](&s->row, i, s->iteration);
    } else {
        flip_sparse(s, i);
        expire(s);
        for (int c = 0; c < s->chunks; c++)
            if (s->dirty[c]) s->dirty[c] = 0, s->run->isa->scan(&s->row, c, s->iteration);
    }
    if (s->row.energy < s->best_energy) s->best_energy = s->row.energy, s->at_best = 1;
}

/* The trajectory's best joins the elite unless it is there or worse than all. */
static void enlist(tabu_state *s) {
    remember(s);
    size_t n = (size_t)s->row.p->n;
    int worst = 0;
    for (int k = 0; k < s->elite; k++) {
        if (s->elite_energy[k] == s->best_energy && !memcmp(s->elite_spins + (size_t)k * n, s->best, n)) return;
        if (s->elite_energy[k] > s->elite_energy[worst]) worst = k;
    }
    if (s->elite < KG_ELITE) worst = s->elite++;
    else if (s->elite_energy[worst] <= s->best_energy) return;
    s->elite_energy[worst] = s->best_energy;
    memcpy(s->elite_spins + (size_t)worst * n, s->best, n);
}

/* Where to start next, into scratch. */
static void recombine(tabu_state *s) {
    int n = s->row.p->n, differ = 0;
    int full = s->elite == KG_ELITE;
    const int8_t *a = s->elite_spins + (size_t)kg_rng_below(&s->rng, KG_ELITE) * (size_t)n;
    const int8_t *b = s->elite_spins + (size_t)kg_rng_below(&s->rng, KG_ELITE) * (size_t)n;
    for (int i = 0; i < n; i++) {
        int8_t coin = kg_rng_next(&s->rng) >> 63 ? 1 : -1;
        if (full) differ += a[i] != b[i];
        s->scratch[i] = full && a[i] == b[i] ? a[i] : coin;
    }
    if (full && differ < n / 50 + 2) /* parents alike: shake instead */
        for (int k = 0; k < n / 8 + 1; k++) {
            uint32_t i = kg_rng_below(&s->rng, (uint32_t)n);
            s->scratch[i] = (int8_t)-s->scratch[i];
        }
}

/* No single tenure suits all problems (measured best: 10 for sparse rows, 40 for full ones at n = 1000). */
static void draw_tenure(tabu_state *s) {
    int limit = RING - TENURE_SPREAD - 1 < s->row.p->n / 3 ? RING - TENURE_SPREAD - 1 : s->row.p->n / 3;
    int drawn = (s->tenure_base << kg_rng_below(&s->rng, 4)) / 2;
    s->tenure = s->tenure_fixed > 0 ? s->tenure_fixed : drawn;
    if (s->tenure > limit) s->tenure = limit;
}

static int begin(tabu_state *s, const int8_t *spins) {
    draw_tenure(s);
    if (!load(s, spins)) return 0;
    forget(s);
    s->best_energy = s->row.energy;
    s->at_best = 1;
    remember(s);
    return 1;
}

static void offer(tabu_state *s) {
    remember(s);
    memcpy(s->scratch, s->best, (size_t)s->row.p->n);
    kg_run_offer(s->run, s->scratch, s->best_energy);
}

static void admit(tabu_state *s, const kg_elite *elite) {
    for (int k = 0; elite && k < elite->count; k++) {
        memcpy(s->best, elite->spins + (int64_t)k * s->row.p->n, (size_t)s->row.p->n);
        s->best_energy = elite->energies[k];
        s->at_best = 0;
        enlist(s);
    }
}

/* Iterate; start anew from a recombination at every stall. What it offers does not depend on where it is cut off. */
static void iterate(tabu_state *s, int64_t iterations) {
    kg_run *run = s->run;
    int n = run->p->n, going = begin(s, s->scratch);
    int64_t stall_max = 5 * (int64_t)n + 1000, stall = 0, unpolled = 0;
    double offered = INFINITY;
    for (int64_t t = 0; going && t < iterations; t++) {
        double before = s->best_energy;
        move(s, choose(s));
        stall = s->best_energy < before ? 0 : stall + 1;
        unpolled += n;
        if (stall >= stall_max || s->iteration >= REBASE) {
            offer(s);
            enlist(s);
            recombine(s);
            going = begin(s, s->scratch);
            stall = 0, offered = INFINITY;
        }
        if (unpolled >= POLL_WORK) {
            atomic_fetch_add_explicit(&run->work, unpolled, memory_order_relaxed);
            unpolled = 0;
            if (s->best_energy < offered && stall > 0) offer(s), offered = s->best_energy;
            going = going && !kg_run_stopped(run);
        }
    }
    atomic_fetch_add_explicit(&run->work, unpolled, memory_order_relaxed);
    if (isfinite(s->best_energy) && s->best_energy < offered) offer(s);
}

void kg_tabu_trajectory(kg_run *run, uint64_t stream, int64_t iterations, int tenure, const int8_t *initial,
                        const kg_elite *elite) {
    tabu_state *s = malloc(sizeof *s);
    if (!s || !init(s, run, stream, tenure)) {
        atomic_store(&run->no_memory, 1);
    } else {
        admit(s, elite);
        recombine(s);
        if (initial) memcpy(s->scratch, initial, (size_t)run->p->n);
        s->best_energy = INFINITY;
        iterate(s, iterations);
    }
    if (s) release(s);
    free(s);
}

static void trajectory(void *context, int index) {
    const tabu_job *job = context;
    kg_run *run = job->run;
    if (kg_run_stopped(run)) return;
    const int8_t *from = run->initial_count ? run->initial + (int64_t)(index % run->initial_count) * run->p->n : NULL;
    kg_tabu_trajectory(run, (uint64_t)index, job->iterations, job->tenure, from, NULL);
}

void kg_tabu(kg_run *run, int64_t iterations, int restarts, int tenure) {
    tabu_job job = {run, iterations, tenure};
    kg_parallel_for(run->threads, restarts, trajectory, &job);
}
