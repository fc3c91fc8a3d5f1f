/* Parallel tempering: one temperature a lane, neighbours in temperature exchange their states' places. */
#include <math.h>
#include <stdlib.h>

#include "ising_block.h"
#include "parallel.h"

enum { DENSE_RUNGS = 16, SWEEPS_PER_EXCHANGE = 2 };

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

static int start(ladder *l, kg_run *run, kg_schedule s, uint64_t stream) {
    l->rungs = run->p->dense ? DENSE_RUNGS : kg_block_lanes(run);
    l->count = run->p->dense ? l->rungs : 1;
    l->best = INFINITY;
    l->spins = malloc((size_t)run->p->n + 1);
    l->blocks = calloc((size_t)l->count, sizeof *l->blocks);
    if (!l->spins || !l->blocks) {
        atomic_store(&run->no_memory, 1);
        return 0;
    }
    for (int r = 0; r < l->rungs; r++) {
        double part = l->rungs > 1 ? (double)r / (l->rungs - 1) : 1.0;
        l->beta[r] = (float)(s.beta_start * pow((double)s.beta_end / s.beta_start, part));
        l->rung_of[r] = l->at[r] = r;
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
    int going = start(&l, run, job->ladder, (uint64_t)index), started = going;
    kg_rng rng = kg_rng_stream(run->seed ^ 0x7E3A, (uint64_t)index);
    for (int64_t t = 0; going && t < job->ladder.sweeps; t++) {
        going = sweep(&l);
        if (!going || t % SWEEPS_PER_EXCHANGE != SWEEPS_PER_EXCHANGE - 1) continue;
        measure(&l);
        offer_lowest(&l, run);
        exchange(&l, &rng, (int)(t / SWEEPS_PER_EXCHANGE) & 1);
    }
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
    free(l.blocks), free(l.spins);
}

void kg_tempering(kg_run *run, kg_schedule schedule, int ladders) {
    tempering_job job = {run, schedule};
    kg_parallel_for(run->threads, ladders, temper, &job);
}
