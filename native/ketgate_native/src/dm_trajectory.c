#include "dm_trajectory.h"

#include <stdlib.h>
#include <string.h>

#include "parallel.h"
#include "rng.h"

/* Pieces of the shots for each thread: groups of unequal work even out. */
enum { PIECES_PER_THREAD = 4, STOP_EVERY = 64, RENORMALISE_EVERY = 512 };

typedef struct {
    double *re, *im; /* NULL: to begin anew */
    int64_t first, count;
    int64_t step;
} group;

typedef struct {
    const kg_program *p;
    const kg_trajectories *t;
    size_t size;
    group *waiting;
    int64_t waiting_count, waiting_room;
    double **spare; /* states that nobody uses; each re and im in one block */
    int64_t spare_count, spare_room, states;
    int64_t *shots, *other; /* of this piece: shot numbers, and room to sort them */
    uint16_t *choices;
    kg_draw *draws;
    kg_gather gather;
    kg_rows rows;
    double *scratch;
    int polls, no_memory;
} worker;

typedef struct {
    const kg_program *p;
    const kg_trajectories *t;
    int pieces;
    atomic_int stopped, no_memory;
} whole;

static double draw(const kg_trajectories *t, int64_t shot, int64_t index) {
    uint64_t a = t->seed, b = (uint64_t)shot ^ 0xD1B54A32D192ED03u;
    uint64_t state = (kg_mix64(&a) ^ kg_mix64(&b)) + (uint64_t)index * 0x9E3779B97F4A7C15u;
    return (double)(kg_mix64(&state) >> 11) * 0x1p-53;
}

static double *state_take(worker *w) {
    if (w->spare_count) return w->spare[--w->spare_count];
    if (w->states >= w->t->copies_max + 1) return NULL;
    double *block = aligned_alloc(64, 2 * (w->size < 8 ? 8 : w->size) * sizeof(double));
    if (block) w->states++;
    return block;
}

static void state_give(worker *w, double *block) {
    if (w->spare_count == w->spare_room) {
        int64_t room = 2 * w->spare_room + 8;
        double **grown = realloc(w->spare, (size_t)room * sizeof *grown);
        if (!grown) {
            free(block);
            w->states--;
            return;
        }
        w->spare = grown;
        w->spare_room = room;
    }
    w->spare[w->spare_count++] = block;
}

static group group_of(worker *w, double *block, int64_t first, int64_t count, int64_t step) {
    group g = {.re = block, .im = block ? block + w->size : NULL, .first = first, .count = count, .step = step};
    return g;
}

static void wait_for(worker *w, group g) {
    if (w->waiting_count == w->waiting_room) {
        int64_t room = 2 * w->waiting_room + 8;
        group *grown = realloc(w->waiting, (size_t)room * sizeof *grown);
        if (!grown) {
            w->no_memory = 1;
            return;
        }
        w->waiting = grown;
        w->waiting_room = room;
    }
    w->waiting[w->waiting_count++] = g;
}

static const int64_t *row_of(const worker *w, int64_t step) { return w->p->table + step * KG_COLUMNS; }

static void gather_step(worker *w, const int64_t *row) {
    const int32_t *on = w->p->numbers + row[KG_QUBITS];
    kg_gather_make(&w->gather, w->p->qubits, on, (int)row[KG_TARGETS], on + row[KG_TARGETS], (int)row[KG_CONTROLS],
                   (uint64_t)row[KG_CONTROL_VALUES]);
}

/* The gather of the step is made. */
static void apply(worker *w, group *g, const int64_t *row, int64_t choice) {
    int64_t entries = (int64_t)w->gather.dim * w->gather.dim;
    kg_rows_complex(&w->rows, w->gather.dim, w->p->matrices + 2 * (row[KG_MATRICES] + choice * entries));
    w->t->isa->complex_apply(g->re, g->im, &w->gather, &w->rows, w->scratch);
}

static void renormalise(worker *w, group *g) {
    double norm = kg_state_norm(g->re, g->im, w->size);
    if (norm <= 0.0) return;
    double scale = 1.0 / __builtin_sqrt(norm);
    for (size_t i = 0; i < w->size; i++) g->re[i] *= scale, g->im[i] *= scale;
}

/* Probabilities of the choices in this state, in place of the fixed ones. */
static void probabilities(worker *w, const group *g, const int64_t *row, double *out) {
    double rho[2 * KG_DM_REDUCED_MAX * KG_DM_REDUCED_MAX];
    int dim = w->gather.dim;
    w->t->isa->reduced(g->re, g->im, &w->gather, rho);
    const double *effect = w->p->effects + 2 * row[KG_EFFECTS];
    double total = 0.0;
    for (int64_t m = 0; m < row[KG_BRANCHES]; m++, effect += 2 * dim * dim) {
        double sum = 0.0; /* Tr(E rho), both Hermitian: sum of E_ij conj(rho_ij) */
        for (int k = 0; k < dim * dim; k++) sum += effect[2 * k] * rho[2 * k] + effect[2 * k + 1] * rho[2 * k + 1];
        out[m] = sum > 0.0 ? sum : 0.0;
        total += out[m];
    }
    for (int64_t m = 0; m < row[KG_BRANCHES]; m++) out[m] = total > 0.0 ? out[m] / total : m == 0;
}

static int choose_one(const double *p, int count, double u) {
    double sum = 0.0;
    int last = 0;
    for (int m = 0; m < count; m++) {
        if (p[m] <= 0.0) continue;
        sum += p[m];
        last = m;
        if (u < sum) return m;
    }
    return last;
}

static void record(worker *w, int64_t shot, int64_t step, int choice) {
    const int64_t *row = row_of(w, step);
    double wrong = w->p->flips[2 * step + choice];
    int bit = choice ^ (wrong > 0.0 && draw(w->t, shot, 2 * step + 1) < wrong);
    uint64_t *word = w->t->memory + shot * w->t->words + row[KG_RECORD] / 64;
    uint64_t mask = (uint64_t)1 << (row[KG_RECORD] % 64);
    *word = bit ? *word | mask : *word & ~mask;
}

/* Whether every shot takes the same choice (which comes back), or -1: choices are in w->choices. */
static int choose(worker *w, group *g, const int64_t *row) {
    int count = (int)row[KG_BRANCHES], same = 1;
    double p[KG_BRANCHES_MAX];
    const double *given = w->p->weights + row[KG_WEIGHTS];
    const int64_t *shots = w->shots + g->first;
    if (!row[KG_NORM_FREE]) {
        int floored = 1;
        for (int64_t s = 0; s < g->count && floored; s++) floored = draw(w->t, shots[s], 2 * g->step) < given[0];
        if (floored) return 0;
        probabilities(w, g, row, p);
        given = p;
    }
    for (int64_t s = 0; s < g->count; s++) {
        w->choices[s] = (uint16_t)choose_one(given, count, draw(w->t, shots[s], 2 * g->step));
        same &= w->choices[s] == w->choices[0];
    }
    return same ? w->choices[0] : -1;
}

/* Sorts the group's shots by choice, stably; start[m] is the first of choice m. */
static void sort_shots(worker *w, const group *g, int count, int64_t *start) {
    int64_t *shots = w->shots + g->first;
    memset(start, 0, (size_t)(count + 1) * sizeof *start);
    for (int64_t s = 0; s < g->count; s++) start[w->choices[s] + 1]++;
    for (int m = 0; m < count; m++) start[m + 1] += start[m];
    int64_t at[KG_BRANCHES_MAX];
    memcpy(at, start, (size_t)count * sizeof *at);
    for (int64_t s = 0; s < g->count; s++) w->other[at[w->choices[s]]++] = shots[s];
    memcpy(shots, w->other, (size_t)g->count * sizeof *shots);
}

/* The group's shots part by w->choices; the largest part stays g, the others wait. Which choice stays comes back. */
static int part(worker *w, group *g, int count, const int64_t *row) {
    int64_t start[KG_BRANCHES_MAX + 1];
    sort_shots(w, g, count, start);
    int largest = 0;
    for (int m = 1; m < count; m++)
        if (start[m + 1] - start[m] > start[largest + 1] - start[largest]) largest = m;
    for (int m = 0; m < count; m++) {
        int64_t size = start[m + 1] - start[m], first = g->first + start[m];
        if (m == largest || size == 0) continue;
        double *block = state_take(w);
        group out = group_of(w, block, first, size, block ? g->step + 1 : 0);
        if (block) {
            memcpy(block, g->re, 2 * w->size * sizeof(double));
            if (row[KG_KIND] == KG_STEP_CHANNEL) apply(w, &out, row, m);
            else if (m == 1) out.step = row[KG_JUMP];
        }
        wait_for(w, out);
    }
    g->first += start[largest];
    g->count = start[largest + 1] - start[largest];
    return largest;
}

static void channel(worker *w, group *g) {
    const int64_t *row = row_of(w, g->step);
    gather_step(w, row);
    int choice = 0;
    if (row[KG_BRANCHES] > 1) {
        choice = choose(w, g, row);
        if (row[KG_RECORD] >= 0)
            for (int64_t s = 0; s < g->count; s++)
                record(w, w->shots[g->first + s], g->step, choice < 0 ? w->choices[s] : choice);
        if (choice < 0) choice = part(w, g, (int)row[KG_BRANCHES], row);
    }
    apply(w, g, row, choice);
    g->step++;
}

static int holds(const worker *w, const int64_t *row, int64_t shot) {
    const uint64_t *memory = w->t->memory + shot * w->t->words;
    uint64_t number = 0, value = (uint64_t)row[KG_VALUE];
    for (int64_t k = 0; k < row[KG_BIT_COUNT]; k++) {
        int32_t bit = w->p->numbers[row[KG_BITS] + k];
        number |= ((memory[bit / 64] >> (bit % 64)) & 1) << k;
    }
    switch (row[KG_COMPARISON]) {
    case 0: return number == value;
    case 1: return number != value;
    case 2: return number < value;
    case 3: return number <= value;
    case 4: return number > value;
    default: return number >= value;
    }
}

static void branch(worker *w, group *g) { /* choice 0: the condition holds; 1: it does not */
    const int64_t *row = row_of(w, g->step);
    int same = 1;
    for (int64_t s = 0; s < g->count; s++) {
        w->choices[s] = (uint16_t)!holds(w, row, w->shots[g->first + s]);
        same &= w->choices[s] == w->choices[0];
    }
    int choice = same ? w->choices[0] : part(w, g, 2, row);
    g->step = choice ? row[KG_JUMP] : g->step + 1;
}

static void finish(worker *w, const group *g) {
    const kg_trajectories *t = w->t;
    const int64_t *shots = w->shots + g->first;
    for (int64_t s = 0; s < g->count && t->samples; s++)
        for (int k = 0; k < t->samples; k++) {
            kg_draw *d = &w->draws[s * t->samples + k];
            d->u = draw(t, shots[s], 2 * w->p->steps + k);
            d->slot = shots[s] * t->samples + k;
        }
    if (t->samples) kg_state_sample(g->re, g->im, w->size, w->draws, g->count * t->samples, t->sampled);
    if (!t->observables) return;
    double norm = kg_state_norm(g->re, g->im, w->size);
    for (int o = 0; o < t->observables; o++) {
        double sum = 0.0;
        for (int64_t k = t->terms[o]; k < t->terms[o + 1]; k++)
            sum += t->coefficients[k] * kg_state_expectation(g->re, g->im, w->size, t->x[k], t->z[k]);
        for (int64_t s = 0; s < g->count; s++) t->values[shots[s] * t->observables + o] = sum / norm;
    }
}

static int should_stop(worker *w) {
    if (!w->t->monitor || (w->size < (1u << 12) && ++w->polls % STOP_EVERY)) return 0;
    return kg_should_stop(w->t->monitor);
}

static int run_group(worker *w, group g) {
    if (!g.re) {
        double *block = state_take(w);
        if (!block) return KG_TRAJECTORY_NO_MEMORY;
        g = group_of(w, block, g.first, g.count, 0);
        memset(block, 0, 2 * w->size * sizeof(double));
        block[0] = 1.0;
        for (int64_t s = 0; s < g.count; s++)
            memset(w->t->memory + w->shots[g.first + s] * w->t->words, 0, (size_t)w->t->words * sizeof(uint64_t));
    }
    while (g.step < w->p->steps && !w->no_memory) {
        if (should_stop(w)) {
            state_give(w, g.re);
            return KG_TRAJECTORY_STOPPED;
        }
        int64_t kind = row_of(w, g.step)[KG_KIND];
        if (kind == KG_STEP_CHANNEL) channel(w, &g);
        else if (kind == KG_STEP_BRANCH) branch(w, &g);
        else g.step = row_of(w, g.step)[KG_JUMP];
        /* By the step, not by how far this group ran: the same rounding whoever shares the state. */
        if (g.step % RENORMALISE_EVERY == 0) renormalise(w, &g);
    }
    if (!w->no_memory) finish(w, &g);
    state_give(w, g.re);
    return w->no_memory ? KG_TRAJECTORY_NO_MEMORY : KG_TRAJECTORY_DONE;
}

static void free_worker(worker *w) {
    for (int64_t k = 0; k < w->waiting_count; k++) free(w->waiting[k].re);
    for (int64_t k = 0; k < w->spare_count; k++) free(w->spare[k]);
    free(w->waiting), free(w->spare), free(w->shots), free(w->other), free(w->choices), free(w->draws), free(w->scratch);
    kg_rows_free(&w->rows);
    free(w);
}

static worker *make_worker(const whole *job, int64_t first, int64_t count) {
    enum { DIM_MAX = 1 << KG_UNITARY_QUBITS_MAX };
    worker *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    w->p = job->p, w->t = job->t;
    w->size = (size_t)1 << job->p->qubits;
    size_t n = (size_t)count;
    w->shots = malloc(n * sizeof *w->shots);
    w->other = malloc(n * sizeof *w->other);
    w->choices = malloc(n * sizeof *w->choices);
    w->draws = malloc(n * (size_t)job->t->samples * sizeof *w->draws + 1);
    w->scratch = aligned_alloc(64, 2 * DIM_MAX * KG_DM_LANES * sizeof(double));
    if (kg_rows_init(&w->rows, DIM_MAX, 1) || !w->shots || !w->other || !w->choices || !w->draws || !w->scratch) {
        free_worker(w);
        return NULL;
    }
    for (int64_t s = 0; s < count; s++) w->shots[s] = first + s;
    wait_for(w, group_of(w, NULL, 0, count, 0));
    return w;
}

static void run_piece(void *context, int index) {
    whole *job = context;
    int64_t first = job->t->shots * index / job->pieces, last = job->t->shots * (index + 1) / job->pieces;
    if (first == last || atomic_load(&job->stopped) || atomic_load(&job->no_memory)) return;
    worker *w = make_worker(job, first, last - first);
    int status = w && !w->no_memory ? KG_TRAJECTORY_DONE : KG_TRAJECTORY_NO_MEMORY;
    while (status == KG_TRAJECTORY_DONE && w->waiting_count) status = run_group(w, w->waiting[--w->waiting_count]);
    if (status == KG_TRAJECTORY_STOPPED) atomic_store(&job->stopped, 1);
    if (status == KG_TRAJECTORY_NO_MEMORY) atomic_store(&job->no_memory, 1);
    if (w) free_worker(w);
}

int kg_trajectories_run(const kg_program *p, const kg_trajectories *t) {
    whole job = {.p = p, .t = t};
    /* One thread keeps all shots together: the most is shared. */
    job.pieces = t->threads > 1 ? t->threads * PIECES_PER_THREAD : 1;
    if (job.pieces > t->shots) job.pieces = (int)t->shots;
    kg_parallel_for(t->threads, job.pieces, run_piece, &job);
    if (atomic_load(&job.no_memory)) return KG_TRAJECTORY_NO_MEMORY;
    return atomic_load(&job.stopped) ? KG_TRAJECTORY_STOPPED : KG_TRAJECTORY_DONE;
}
