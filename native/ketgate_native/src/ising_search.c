/* The anytime driver: stages of doubling length, each a pure function of (problem, seed, stage). */
#include <stdlib.h>
#include <string.h>

#include "ising_block.h"
#include "ising_graft.h"
#include "ising_tabu.h"
#include "ising_tempering.h"
#include "parallel.h"

enum {
    STAGES = 48,            /* the last would take 2^48 sweeps */
    SPARSE_FIRST_SWEEPS = 4,
    TEMPERING_FROM = 64,    /* sparse: stages with as many sweeps go on with replica exchange, for so many times more */
    TEMPERING_SHARE = 7,
    MEASURED_MAX = 1 << 20, /* sparse: spins and couplings up to which a stop leaves time to measure all lanes */
    DENSE_FIRST_SWEEPS = 32,
    DENSE_ANNEALS = KG_ELITE,
    ITERATIONS_PER_SPIN = 64, /* dense: spins for one tabu iteration a sweep, so that both take about as long */
};

/* The ladder spans the range about the freezing point: of annealing's, the ends add nothing that a quench does not. */
static const float HOTTEST = 1.67f, COLDEST = 0.57f;

typedef struct {
    kg_run *run;
    int64_t work_max;
} search_job;

typedef struct {
    int64_t sweeps;
    int64_t tempering;  /* sweeps of replica exchange after the annealing, sparse only */
    int64_t iterations; /* of tabu, dense only */
} stage_plan;

static stage_plan plan(const kg_run *run, int stage) {
    stage_plan s = {0};
    s.sweeps = (int64_t)(run->p->dense ? DENSE_FIRST_SWEEPS : SPARSE_FIRST_SWEEPS) << stage;
    if (run->p->dense) s.iterations = s.sweeps * DENSE_ANNEALS * run->p->n / ITERATIONS_PER_SPIN;
    else if (s.sweeps >= TEMPERING_FROM) s.tempering = s.sweeps * TEMPERING_SHARE;
    return s;
}

/* Work before `stage`, in moves evaluated; saturates. */
static int64_t work_before(const kg_run *run, int stage) {
    double total = 0.0;
    for (int k = 0; k < stage; k++) {
        stage_plan s = plan(run, k);
        total += (double)run->p->n * ((double)(s.sweeps + s.tempering) * (run->p->dense ? DENSE_ANNEALS : kg_block_lanes(run)) +
                                      (double)s.iterations);
    }
    return total < 9e18 ? (int64_t)total : INT64_MAX;
}

static kg_schedule schedule_of(const kg_run *run, stage_plan s, int warm) {
    kg_schedule schedule = {s.sweeps, run->p->beta_hot, run->p->beta_cold};
    if (warm) schedule.beta_start = 0.5f * (run->p->beta_hot + run->p->beta_cold); /* keeps most of a given state */
    return schedule;
}

/* Every second stage of a run with warm starts begins from them. */
static void warm_starts(const kg_run *run, int stage, int count, const int8_t **from) {
    for (int l = 0; l < count && run->initial_count && stage % 2 == 0; l++)
        from[l] = run->initial + (int64_t)(l % run->initial_count) * run->p->n;
}

/* The best lane, improved by the parts in which other lanes are better. Lanes' energies are measured. */
static void offer_champion(kg_run *run, kg_block *b) {
    kg_graft_room room;
    int n = run->p->n, low = 0;
    int8_t *donor = malloc((size_t)n + 1), *champion = malloc((size_t)n + 1);
    if (donor && champion && !kg_graft_room_init(&room, n)) {
        for (int l = 1; l < b->lanes; l++)
            if (b->energy[l] < b->energy[low]) low = l;
        double energy = b->energy[low], gained = 0.0;
        kg_block_read(b, low, champion);
        for (int l = 0; l < b->lanes && !kg_run_stopped(run); l++) {
            kg_block_read(b, l, donor);
            gained += kg_graft(run->p, &room, champion, donor, 0);
        }
        if (gained < 0.0) kg_run_offer(run, champion, energy + gained);
        kg_graft_room_free(&room);
    }
    free(donor), free(champion);
}

/* After a stop, not at the end of the work: what there is, is better than nothing. Where measuring every lane would take
 * tens of milliseconds, one lane has to do. */
static void offer_interrupted(kg_block *b) {
    const kg_ising *p = b->run->p;
    if (p->n + p->start[p->n] <= MEASURED_MAX) {
        kg_block_offer_lowest(b);
        return;
    }
    kg_block_read(b, 0, b->spins);
    kg_run_offer_evaluated(b->run, b->spins);
}

static void sparse_stage(kg_run *run, int stage, int64_t work) {
    kg_block b;
    stage_plan s = plan(run, stage);
    if (kg_block_init(&b, run, (uint64_t)stage)) return;
    const int8_t *from[KG_LANES_MAX] = {0};
    warm_starts(run, stage, b.lanes, from);
    int64_t sweeps_max = work / ((int64_t)run->p->n * b.lanes);
    if (kg_block_start(&b, from)) {
        int ended = kg_block_anneal(&b, schedule_of(run, s, from[0] != NULL), sweeps_max, 1);
        if (ended) {
            kg_block_measure(&b);
            kg_block_offer(&b, b.lanes);
            offer_champion(run, &b);
            kg_schedule ladder = {s.tempering, HOTTEST * run->p->beta_hot, COLDEST * run->p->beta_cold};
            if (s.tempering) kg_block_temper(&b, ladder, sweeps_max - s.sweeps);
        } else if (atomic_load(&run->interrupted)) {
            offer_interrupted(&b);
        }
    }
    kg_block_free(&b);
}

/* Anneals one state after another into an elite, then lets tabu search recombine them. */
static void dense_stage(kg_run *run, int stage, int64_t work) {
    int n = run->p->n, count = 0;
    stage_plan s = plan(run, stage);
    int8_t *spins = malloc((size_t)n * KG_ELITE);
    double energies[KG_ELITE];
    if (!spins) {
        atomic_store(&run->no_memory, 1);
        return;
    }
    const int8_t *from[KG_LANES_MAX] = {0};
    warm_starts(run, stage, DENSE_ANNEALS, from);
    int going = 1;
    for (int k = 0; going && k < DENSE_ANNEALS; k++) {
        kg_block b;
        if (kg_block_init(&b, run, (uint64_t)stage * KG_LANES_MAX + (uint64_t)k)) break;
        going = kg_block_start(&b, from + k) && kg_block_anneal(&b, schedule_of(run, s, from[k] != NULL), work / n, 0);
        if (going || atomic_load(&run->interrupted)) kg_block_offer_lowest(&b);
        work -= s.sweeps * n;
        if (going) {
            kg_block_read(&b, 0, spins + (int64_t)count * n);
            energies[count++] = b.energy[0];
        }
        kg_block_free(&b);
    }
    int64_t iterations = work / n < s.iterations ? work / n : s.iterations;
    kg_elite elite = {count, spins, energies};
    if (going && iterations > 0) kg_tabu_trajectory(run, (uint64_t)stage, iterations, 0, NULL, &elite);
    free(spins);
}

static void run_stage(void *context, int stage) {
    const search_job *job = context;
    int64_t before = work_before(job->run, stage);
    if (before >= job->work_max || kg_run_stopped(job->run)) return;
    if (job->run->p->dense) dense_stage(job->run, stage, job->work_max - before);
    else sparse_stage(job->run, stage, job->work_max - before);
}

/* One spin after another as those before it like it best: two passes over the couplings, where the first stage takes a
 * second at a million spins. Offered, not searched from. */
static void offer_greedy(kg_run *run) {
    const kg_ising *p = run->p;
    double *field = malloc(((size_t)p->n + 1) * sizeof *field);
    int8_t *spins = malloc((size_t)p->n + 1);
    int going = field && spins;
    if (!going) atomic_store(&run->no_memory, 1);
    else memcpy(field, p->linear, (size_t)p->n * sizeof *field);
    for (int i = 0; going && i < p->n; i++) {
        spins[i] = field[i] > 0.0 ? -1 : 1;
        for (int64_t e = p->above[i]; e < p->above[i + 1]; e++) field[p->col[e]] += p->weight[e] * spins[i];
        if (i % 1024 == 1023) going = !kg_run_stopped(run);
    }
    if (going) kg_run_offer_evaluated(run, spins);
    free(field), free(spins);
}

void kg_search(kg_run *run, int64_t work_max) {
    search_job job = {run, work_max};
    if (!run->initial_count) offer_greedy(run);
    kg_parallel_for(run->threads, STAGES, run_stage, &job);
}
