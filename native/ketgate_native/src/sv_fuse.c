/* Gates into clusters: a gate goes back past what it commutes with and joins the cluster where that saves most.
 *
 * Two things commute where each acts on the other's qubits at most diagonally. The costs are of a block that lies in the
 * second-level cache: one or two targets cost what moving the block does, each further one doubles the arithmetic.
 */
#include <string.h>

#include "sv.h"

enum { FUSED_TARGETS_MAX = 4, LOOK_BACK = 96, ROUNDS_MAX = 4 };

static const double DENSE_COST[KG_SV_DENSE_MAX + 1] = {0.6, 0.75, 1.1, 2.2, 4.4, 14.0};
static const double DIAGONAL_COST = 0.6, STEP_COST = 0.02;

static int bits(uint64_t mask) { return __builtin_popcountll(mask); }

static double cost(int diagonal, int count, uint64_t control) {
    int halvings = bits(control >> 2); /* the lowest qubits are lanes of a vector: a control there saves nothing */
    double whole = diagonal ? DIAGONAL_COST : DENSE_COST[count];
    return STEP_COST + whole / (double)((uint64_t)1 << (halvings < 20 ? halvings : 20));
}

static uint64_t acted(const kg_sv_cluster *c) { return c->targets | c->control; }
static uint64_t moved(const kg_sv_cluster *c) { return c->diagonal ? 0 : c->targets; }

static int commute(const kg_sv_cluster *a, const kg_sv_cluster *b) {
    return !(moved(a) & acted(b)) && !(moved(b) & acted(a));
}

/* Both as one, b after a; 0 where it would be too large. */
static int merged(const kg_sv_cluster *a, const kg_sv_cluster *b, kg_sv_cluster *out) {
    uint64_t common = a->control & b->control & ~(a->value ^ b->value);
    out->control = common, out->value = a->value & common;
    out->targets = (acted(a) | acted(b)) & ~common;
    out->diagonal = a->diagonal && b->diagonal;
    out->count = bits(out->targets);
    if (out->count > (out->diagonal ? KG_SV_DIAGONAL_MAX : FUSED_TARGETS_MAX)) return 0;
    out->slots = a->slots + b->slots;
    out->first = a->first, out->last = b->last;
    out->cost = cost(out->diagonal, out->count, out->control);
    return 1;
}

static kg_sv_cluster alone(const kg_sv_program *p, int index) {
    const kg_sv_gate *gate = &p->gate[index];
    kg_sv_cluster c = {.control = gate->control, .value = gate->value, .targets = gate->targets, .count = gate->count,
                       .diagonal = gate->diagonal, .slots = gate->slots, .first = index, .last = index};
    c.cost = cost(c.diagonal, c.count, c.control);
    return c;
}

/* Put one behind the others, or into one of them; the new number of clusters. */
static int put(kg_sv_program *p, int count, const kg_sv_cluster *next) {
    kg_sv_cluster best, candidate;
    double best_gain = 0.0;
    int best_at = -1;
    memset(&best, 0, sizeof best);
    memset(&candidate, 0, sizeof candidate);
    for (int at = count - 1; at >= 0 && at >= count - LOOK_BACK; at--) {
        const kg_sv_cluster *c = &p->cluster[at];
        if (merged(c, next, &candidate)) {
            double gain = c->cost + next->cost - candidate.cost;
            if (gain > best_gain) best_gain = gain, best_at = at, best = candidate;
        }
        if (!commute(c, next)) break;
    }
    if (best_at < 0) {
        p->cluster[count] = *next;
        return count + 1;
    }
    p->gate[p->cluster[best_at].last].next = next->first;
    p->cluster[best_at] = best;
    return count;
}

void kg_sv_fuse(kg_sv_program *p) {
    int count = 0;
    for (int g = 0; g < p->gates; g++) {
        kg_sv_cluster next = alone(p, g);
        if (p->fuse) count = put(p, count, &next);
        else p->cluster[count++] = next;
    }
    for (int round = 0, before = -1; p->fuse && round < ROUNDS_MAX && count != before; round++) {
        before = count, count = 0; /* written behind what is read: a cluster is copied before its place is taken */
        for (int k = 0; k < before; k++) {
            kg_sv_cluster next = p->cluster[k];
            count = put(p, count, &next);
        }
    }
    p->clusters = count;
}
