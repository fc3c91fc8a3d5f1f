/* Passes over memory: blocks are divided into items, and threads take items. */
#include <stdlib.h>
#include <string.h>

#include "parallel.h"
#include "sv_run.h"

typedef struct {
    kg_sv_state *const *states;
    int count; /* of states */
    const kg_sv_pass *pass;
    const kg_sv_program *program;
    const kg_sv_loops *loops;
    size_t amplitude;
    double *transitions;
    int64_t blocks, runs, run_bytes;
    int items, block_bits;
    uint64_t outer, support;
    kg_sv_how how;
    char *buffers; /* one for each thread: those that are free are set in the mask */
    atomic_uint_fast64_t free_buffers;
    atomic_int stopped;
} pass_run;

int kg_sv_stopped(kg_sv_how how) { return how.monitor && kg_should_stop(how.monitor); }

static uint64_t next_value(uint64_t index, uint64_t mask) { return ((index | ~mask) + 1) & mask; }

/* Between a state and a buffer in which the block's qubits are adjacent. */
static void move(const pass_run *run, char *state, char *buffer, uint64_t outer, int in) {
    uint64_t low = (uint64_t)run->run_bytes / run->amplitude - 1, mask = run->pass->qubits & ~low, at = 0;
    for (int64_t k = 0; k < run->runs; k++, at = next_value(at, mask)) {
        char *there = state + (outer | at) * run->amplitude, *here = buffer + k * run->run_bytes;
        memcpy(in ? here : there, in ? there : here, (size_t)run->run_bytes);
    }
}

static void run_steps(pass_run *run, void **blocks, uint64_t outer, int item) {
    const kg_sv_pass *pass = run->pass;
    for (int k = 0; k < pass->count; k++) {
        const kg_sv_step *step = &pass->steps[k];
        if ((outer & step->outer_control) != step->outer_value) continue;
        int64_t place = 0;
        for (int j = 0; j < step->outers; j++) place |= (int64_t)(outer >> step->outer[j] & 1) << j;
        place <<= step->outer_shift;
        if (run->transitions && step->transition_to) {
            size_t at = (size_t)item * run->program->transitions + run->program->cluster[step->cluster].transition;
            run->loops->transition(blocks[0], blocks[1], step, place, run->transitions + 2 * at);
        }
        for (int j = 0; j < run->count; j++) {
            if (step->diagonal) run->loops->diagonal(blocks[j], step, place);
            else run->loops->dense(blocks[j], step);
        }
        if ((k & 63) == 63 && kg_sv_stopped(run->how)) atomic_store(&run->stopped, 1);
        if (atomic_load_explicit(&run->stopped, memory_order_relaxed)) return;
    }
}

static uint64_t outer_of(const pass_run *run, int64_t block) {
    uint64_t outer = 0;
    for (uint64_t rest = run->outer; rest; rest &= rest - 1, block >>= 1)
        if (block & 1) outer |= rest & -rest;
    return outer;
}

static int take_buffer(pass_run *run) { /* there are as many as threads */
    uint_fast64_t mask = atomic_load(&run->free_buffers);
    while (!atomic_compare_exchange_weak(&run->free_buffers, &mask, mask & (mask - 1))) continue;
    return __builtin_ctzll(mask);
}

static void run_item(void *context, int item) {
    pass_run *run = context;
    size_t bytes = run->amplitude << run->block_bits;
    int taken = run->pass->in_place ? -1 : take_buffer(run);
    char *buffer = taken < 0 ? NULL : run->buffers + bytes * (size_t)(run->count * taken);
    int64_t first = run->blocks * item / run->items, end = run->blocks * (item + 1) / run->items;
    for (int64_t block = first; block < end; block++) {
        if (kg_sv_stopped(run->how)) atomic_store(&run->stopped, 1);
        if (atomic_load_explicit(&run->stopped, memory_order_relaxed)) break;
        uint64_t outer = outer_of(run, block);
        if (outer & ~run->support) continue; /* zeros stay zeros */
        void *blocks[KG_SV_TOGETHER];
        for (int j = 0; j < run->count; j++) {
            char *state = run->states[j]->amplitudes;
            blocks[j] = buffer ? buffer + (size_t)j * bytes : state + outer * run->amplitude;
            if (buffer) move(run, state, blocks[j], outer, 1);
        }
        run_steps(run, blocks, outer, item);
        for (int j = 0; j < run->count && buffer; j++) move(run, run->states[j]->amplitudes, blocks[j], outer, 0);
    }
    if (taken >= 0) atomic_fetch_or(&run->free_buffers, (uint_fast64_t)1 << taken);
}

static void run_pass(pass_run *run, const kg_sv_pass *pass) {
    int stored = run->states[0]->stored, run_bits = __builtin_ctzll(~pass->qubits);
    if (run_bits > run->block_bits) run_bits = run->block_bits;
    run->pass = pass;
    run->run_bytes = (int64_t)(run->amplitude << run_bits), run->runs = (int64_t)1 << (run->block_bits - run_bits);
    run->outer = (((uint64_t)1 << stored) - 1) & ~pass->qubits;
    run->support = run->count == 1 ? run->states[0]->support | pass->qubits : ~(uint64_t)0;
    kg_parallel_for(run->how.threads, run->items, run_item, run);
    for (int j = 0; j < run->count; j++) run->states[j]->support |= pass->touched;
}

int kg_sv_run_plan(kg_sv_state *const *states, int count, const kg_sv_program *p, const kg_sv_plan *plan, double *transitions,
                   kg_sv_how how) {
    const kg_sv_state *s = states[0];
    pass_run run = {.states = states, .count = count, .program = p, .loops = &s->isa->loops[s->precision],
                    .transitions = transitions, .block_bits = p->block_bits, .how = how};
    int most = transitions ? KG_SV_GRADIENT_ITEMS : KG_SV_ITEMS_MAX, buffered = 0;
    run.amplitude = s->precision == KG_SV_DOUBLE ? 16 : 8;
    run.blocks = (int64_t)1 << (s->stored - p->block_bits);
    run.items = run.blocks < most ? (int)run.blocks : most;
    if (run.how.threads > run.items) run.how.threads = run.items;
    for (int k = 0; k < plan->count; k++) buffered |= !plan->passes[k].in_place;
    if (buffered) {
        size_t bytes = (run.amplitude << p->block_bits) * (size_t)(count * run.how.threads);
        if (posix_memalign((void **)&run.buffers, 64, bytes)) return KG_SV_NO_MEMORY;
        atomic_init(&run.free_buffers, run.how.threads >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << run.how.threads) - 1);
    }
    for (int k = 0; k < plan->count && !atomic_load(&run.stopped); k++) run_pass(&run, &plan->passes[k]);
    free(run.buffers);
    return atomic_load(&run.stopped) ? KG_SV_STOPPED : KG_SV_OK;
}

int kg_sv_apply(kg_sv_state *s, const kg_sv_program *p, kg_sv_how how) {
    return kg_sv_run_plan(&s, 1, p, &p->forward, NULL, how);
}
