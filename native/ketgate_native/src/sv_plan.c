/* Clusters into passes: which qubits a block holds, and what can be done while it is in the cache.
 *
 * The low qubits always belong to a block, so that memory is read in long runs. The others are chosen among a few candidates:
 * what the first clusters that may run need, and windows of neighbours; the one under which most work can be done wins.
 */
#include <stdlib.h>
#include <string.h>

#include "sv.h"

enum { RUN_BITS = 6, STARTS = 6, AHEAD = 4096 };

typedef struct {
    const kg_sv_program *p;
    int *left, lefts; /* clusters that are not planned, in the order in which they run */
    uint64_t all;
    int adjoint;
} planning;

static uint64_t acted(const kg_sv_cluster *c) { return c->targets | c->control; }
static uint64_t moved(const kg_sv_cluster *c) { return c->diagonal ? 0 : c->targets; }

static int fits(const planning *planning, uint64_t block) {
    return __builtin_popcountll(block) <= planning->p->block_bits;
}

/* Work that can be done with a block; with grow, the block takes up what the clusters need as long as it fits. taken (by
   place among the left) may be NULL. skip: clusters to pass over first, so that candidates differ. */
static double work(const planning *planning, uint64_t *block, int grow, int skip, char *taken) {
    uint64_t waiting_acted = 0, waiting_moved = 0;
    double done = 0.0;
    int end = planning->lefts < AHEAD ? planning->lefts : AHEAD;
    for (int k = 0; k < end; k++) {
        const kg_sv_cluster *c = &planning->p->cluster[planning->left[k]];
        uint64_t needs = *block | moved(c);
        int free = !(moved(c) & waiting_acted) && !(acted(c) & waiting_moved);
        if (free && skip == 0 && (grow ? fits(planning, needs) : needs == *block)) {
            *block = needs;
            done += c->cost + 1e-9;
            if (taken) taken[k] = 1;
            continue;
        }
        if (free && skip > 0) skip--;
        waiting_acted |= acted(c), waiting_moved |= moved(c);
        if (waiting_moved == planning->all) break;
    }
    return done;
}

static uint64_t filled(const planning *planning, uint64_t block) { /* up to the size of a block, from the lowest */
    for (uint64_t rest = planning->all & ~block; rest && fits(planning, block | (rest & -rest)); rest &= rest - 1)
        block |= rest & -rest;
    return block;
}

static uint64_t best_block(const planning *planning) {
    const kg_sv_program *p = planning->p;
    uint64_t low = planning->all & (((uint64_t)1 << RUN_BITS) - 1), best = 0;
    double most = -1.0;
    int stored = __builtin_popcountll(planning->all);
    for (int start = 0; start < STARTS; start++) {
        uint64_t block = low;
        if (start) work(planning, &block, 1, start, NULL);
        work(planning, &block, 1, 0, NULL);
        block = filled(planning, block);
        double done = work(planning, &block, 0, 0, NULL);
        if (done > most) most = done, best = block;
    }
    for (int from = RUN_BITS; from + p->block_bits - RUN_BITS <= stored; from++) {
        uint64_t block = low | ((((uint64_t)1 << (p->block_bits - RUN_BITS)) - 1) << from);
        double done = work(planning, &block, 0, 0, NULL);
        if (done > most) most = done, best = block;
    }
    return best;
}

static void make_pass(kg_sv_program *p, planning *planning, kg_sv_pass *pass, uint64_t block, char *taken) {
    int count = 0, kept = 0;
    memset(taken, 0, (size_t)planning->lefts);
    work(planning, &block, 0, 0, taken);
    for (int k = 0; k < planning->lefts; k++) count += taken[k];
    pass->qubits = block;
    pass->in_place = !(block & (block + 1));
    pass->steps = kg_sv_take(&p->arena, (size_t)(count ? count : 1) * sizeof *pass->steps);
    if (!pass->steps) return;
    for (int k = 0; k < planning->lefts; k++) {
        if (!taken[k]) {
            planning->left[kept++] = planning->left[k];
            continue;
        }
        const kg_sv_cluster *c = &p->cluster[planning->left[k]];
        kg_sv_step *step = &pass->steps[pass->count++];
        step->cluster = planning->left[k];
        pass->touched |= moved(c);
        kg_sv_lower(p, step, c, block, planning->adjoint);
    }
    planning->lefts = kept;
}

void kg_sv_plan_passes(kg_sv_program *p, kg_sv_plan *plan, int adjoint) {
    int stored = p->qubits > KG_SV_QUBITS_MIN ? p->qubits : KG_SV_QUBITS_MIN;
    planning planning = {.p = p, .lefts = p->clusters, .all = ((uint64_t)1 << stored) - 1, .adjoint = adjoint};
    planning.left = malloc(((size_t)p->clusters + 1) * sizeof *planning.left);
    char *taken = malloc((size_t)p->clusters + 1);
    plan->passes = kg_sv_take(&p->arena, ((size_t)p->clusters + 1) * sizeof *plan->passes);
    if (!planning.left || !taken) p->arena.failed = 1;
    for (int k = 0; k < p->clusters && !p->arena.failed; k++) planning.left[k] = adjoint ? p->clusters - 1 - k : k;
    while (planning.lefts && !p->arena.failed) {
        uint64_t block = p->block_bits == stored ? planning.all : best_block(&planning);
        make_pass(p, &planning, &plan->passes[plan->count++], block, taken);
    }
    free(planning.left);
    free(taken);
}
