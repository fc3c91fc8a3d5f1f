/* Parallel tempering: one temperature a lane, neighbours in temperature exchange their states' places. */
#include <math.h>
#include <stdlib.h>

#include "ising_block.h"
#include "ising_graft.h"
#include "ising_tempering.h"
#include "parallel.h"

enum { DENSE_RUNGS = 16, SWEEPS_PER_EXCHANGE = 2, SWEEPS_PER_QUENCH = 8, QUENCH_MAX = 1 << 20 };

typedef struct {
    kg_run *run;
    kg_schedule ladder;
} tempering_job;

typedef struct {
    kg_block *blocks; /* dense: one block a rung; sparse: one block, a rung a lane */
    int count, rungs;
    int rung_of[KG_LANES_MAX]; /* replica -> rung */
    int at[KG_LANES_MAX];      /* rung -> replica */
    float beta[KG_LANES_MAX];  /* by rung, rising */
    double energy[KG_LANES_MAX], best;
    int8_t *spins;
    kg_graft_room room; /* sparse: for quenches and grafts */
    int8_t *champion;   /* sparse: the best state, put together from parts of what the cold rungs hold */
    double champion_energy, champion_offered;
} ladder;

static void exchange(ladder *l, kg_rng *rng, int parity) {
    for (int r = parity; r + 1 < l->rungs; r += 2) {
        int hot = l->at[r], cold = l->at[r + 1];
        double gain = (double)(l->beta[r + 1] - l->beta[r]) * (l->energy[cold] - l->energy[hot]);
        if (gain < 0.0 && kg_rng_unit(rng) >= exp(gain)) continue;
        l->at[r] = cold, l->at[r + 1] = hot;
        l->rung_of[cold] = r, l->rung_of[hot] = r + 1;
    }
}

static int sweep(ladder *l) {
    float half[KG_LANES_MAX];
    for (int k = 0; k < l->rungs; k++) half[k] = 0.5f / l->beta[l->rung_of[k]];
    for (int k = 0; k < l->count; k++)
        if (!kg_block_sweep(&l->blocks[k], half + k, 0)) return 0;
    return 1;
}

static void measure(ladder *l) {
    for (int k = 0; k < l->count; k++) {
        kg_block_measure(&l->blocks[k]);
        for (int r = 0; r < l->blocks[k].lanes; r++) l->energy[k + r] = l->blocks[k].energy[r];
    }
}

/* Offer the lowest replica when it beats all before it in this ladder. */
static void offer_lowest(ladder *l, kg_run *run) {
    int low = 0;
    for (int k = 1; k < l->rungs; k++)
        if (l->energy[k] < l->energy[low]) low = k;
    double margin = run->p->integer ? 0.0 : 1e-6 * fabs(l->best); /* float32 energies wander by rounding */
    if (!(l->energy[low] < l->best - margin) && isfinite(l->best)) return;
    l->best = l->energy[low];
    kg_block_read(&l->blocks[l->count > 1 ? low : 0], l->count > 1 ? 0 : low, l->spins);
    kg_run_offer(run, l->spins, l->best);
}

/* Quench a copy of the lowest replica and of one of the colder half, and take their better parts. The replicas go on
 * as they were: a state at a temperature is above its minimum, and between two that share most of their spins the
 * differences are many small islands, each judged by itself. */
static void improve_champion(ladder *l, kg_run *run, kg_rng *rng) {
    const kg_ising *p = run->p;
    int low = 0, cold = l->at[l->rungs - 1 - (int)kg_rng_below(rng, (uint32_t)(l->rungs / 2))];
    for (int k = 1; k < l->rungs; k++)
        if (l->energy[k] < l->energy[low]) low = k;
    for (int k = 0; k < 2; k++) {
        kg_block_read(l->blocks, k ? cold : low, l->spins);
        double energy = kg_quench(p, &l->room, l->spins);
        if (energy < l->champion_energy) { /* graft what the old one had better */
            for (int i = 0; i < p->n; i++) {
                int8_t t = l->champion[i];
                l->champion[i] = l->spins[i], l->spins[i] = t;
            }
            if (isinf(l->champion_energy)) {
                l->champion_energy = energy;
                continue;
            }
            l->champion_energy = energy;
        }
        l->champion_energy += kg_graft(p, &l->room, l->champion, l->spins, 1);
    }
    if (!(l->champion_energy < l->champion_offered)) return;
    l->champion_offered = l->champion_energy;
    for (int i = 0; i < p->n; i++) l->spins[i] = l->champion[i];
    kg_run_offer(run, l->spins, l->champion_energy);
}

/* The blocks are started already. 1 when all sweeps were done. */
static int temper_ladder(ladder *l, kg_run *run, int64_t sweeps, int64_t sweeps_max, kg_rng *rng) {
    for (int64_t t = 0; t < sweeps; t++) {
        if (t == sweeps_max || !sweep(l)) return 0;
        if (t % SWEEPS_PER_EXCHANGE != SWEEPS_PER_EXCHANGE - 1) continue;
        measure(l);
        /* A quench is one piece between two looks at the monitor: beyond QUENCH_MAX couplings it would take too long. */
        if (run->p->dense || run->p->n + run->p->start[run->p->n] > QUENCH_MAX) offer_lowest(l, run);
        else if (t % SWEEPS_PER_QUENCH == SWEEPS_PER_QUENCH - 1) improve_champion(l, run, rng);
        exchange(l, rng, (int)(t / SWEEPS_PER_EXCHANGE) & 1);
    }
    return 1;
}

static int ladder_init(ladder *l, kg_run *run, kg_schedule s) {
    size_t n = (size_t)run->p->n;
    l->rungs = run->p->dense ? DENSE_RUNGS : kg_block_lanes(run);
    l->count = run->p->dense ? l->rungs : 1;
    l->best = l->champion_energy = l->champion_offered = INFINITY;
    for (int r = 0; r < l->rungs; r++) {
        double part = l->rungs > 1 ? (double)r / (l->rungs - 1) : 1.0;
        l->beta[r] = (float)(s.beta_start * pow((double)s.beta_end / s.beta_start, part));
        l->rung_of[r] = l->at[r] = r;
    }
    l->spins = malloc(n + 1), l->champion = malloc(n + 1);
    if (l->spins && l->champion && !kg_graft_room_init(&l->room, run->p->n)) return 1;
    atomic_store(&run->no_memory, 1);
    return 0;
}

static void ladder_free(ladder *l) {
    kg_graft_room_free(&l->room);
    free(l->spins), free(l->champion);
}

static int start_blocks(ladder *l, kg_run *run, uint64_t stream) {
    l->blocks = calloc((size_t)l->count, sizeof *l->blocks);
    if (!l->blocks) {
        atomic_store(&run->no_memory, 1);
        return 0;
    }
    for (int k = 0; k < l->count; k++) {
        const int8_t *from[KG_LANES_MAX] = {0};
        if (kg_block_init(&l->blocks[k], run, stream * KG_LANES_MAX + (uint64_t)k)) return 0;
        for (int r = 0; r < l->rungs && run->initial_count; r++)
            from[r] = run->initial + (int64_t)((k + r) % run->initial_count) * run->p->n;
        if (!kg_block_start(&l->blocks[k], from)) return 0;
    }
    return 1;
}

static void temper(void *context, int index) {
    const tempering_job *job = context;
    kg_run *run = job->run;
    ladder l = {0};
    if (kg_run_stopped(run)) return;
    kg_rng rng = kg_rng_stream(run->seed ^ 0x7E3A, (uint64_t)index);
    int started = ladder_init(&l, run, job->ladder) && start_blocks(&l, run, (uint64_t)index);
    int going = started && temper_ladder(&l, run, job->ladder.sweeps, job->ladder.sweeps, &rng);
    if (started && !going) { /* stopped: with real weights each evaluation takes long, so one must do */
        measure(&l);
        offer_lowest(&l, run);
    }
    for (int k = 0; going && k < l.count; k++) {
        going = kg_block_descend(&l.blocks[k]);
        kg_block_measure(&l.blocks[k]);
        kg_block_offer(&l.blocks[k], l.blocks[k].lanes);
    }
    for (int k = 0; l.blocks && k < l.count; k++) kg_block_free(&l.blocks[k]);
    free(l.blocks);
    ladder_free(&l);
}

int kg_block_temper(kg_block *b, kg_schedule s, int64_t sweeps_max) {
    ladder l = {.blocks = b};
    kg_rng rng = kg_rng_stream(kg_rng_next(&b->rng), 0);
    int done = ladder_init(&l, b->run, s) && temper_ladder(&l, b->run, s.sweeps, sweeps_max, &rng);
    ladder_free(&l);
    return done;
}

void kg_tempering(kg_run *run, kg_schedule schedule, int ladders) {
    tempering_job job = {run, schedule};
    kg_parallel_for(run->threads, ladders, temper, &job);
}
