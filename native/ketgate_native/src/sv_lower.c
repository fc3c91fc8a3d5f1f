/* A cluster into a step on blocks: coefficients in the order in which the loops read them, and the places to visit. */
#include <string.h>

#include "sv_isa.h"

typedef struct {
    const kg_sv_cluster *c;
    int adjoint, lane_bits;
    uint64_t lanes;         /* qubits that are lanes of a vector */
    uint64_t all;           /* targets, and controls that are lanes: those need a coefficient too */
    int high_bits, low_bits; /* how many of all are no lanes, are lanes */
    int of_high[1 << KG_SV_DENSE_MAX], of_lane[8], held[8];
} lowering;

/* Values of the qubits of a mask, from the lowest, put where they are in an index. */
static uint64_t spread(uint64_t mask, uint64_t values) {
    uint64_t out = 0;
    for (; mask; mask &= mask - 1, values >>= 1)
        if (values & 1) out |= mask & -mask;
    return out;
}

static int gathered(uint64_t mask, uint64_t index) {
    int out = 0, k = 0;
    for (; mask; mask &= mask - 1, k++)
        if (index & mask & -mask) out |= 1 << k;
    return out;
}

/* Parts of an index into the cluster's matrix, and whether controls that are lanes hold. */
static void tabulate(lowering *l) {
    const kg_sv_cluster *c = l->c;
    uint64_t high = l->all & ~l->lanes, control = c->control & l->lanes;
    for (int k = 0; k < 1 << l->high_bits && !c->diagonal; k++) l->of_high[k] = gathered(c->targets, spread(high, (uint64_t)k));
    for (int lane = 0; lane < 1 << l->lane_bits; lane++) {
        l->of_lane[lane] = gathered(c->targets, (uint64_t)lane);
        l->held[lane] = ((uint64_t)lane & control) == (c->value & control);
    }
}

/* From column and lane ^ flip to row and lane. */
static void coefficient(const lowering *l, int row, int column, int lane, int flip, double out[2]) {
    const kg_sv_cluster *c = l->c;
    out[0] = row == column && !flip ? 1.0 : 0.0, out[1] = 0.0;
    if (!l->held[lane ^ flip]) return;
    out[0] = 0.0;
    if ((uint64_t)flip & c->control) return;
    int i = l->of_high[row] | l->of_lane[lane], j = l->of_high[column] | l->of_lane[lane ^ flip], size = 1 << c->count;
    const double *m = c->matrix + 2 * (l->adjoint ? j * size + i : i * size + j);
    out[0] = m[0], out[1] = l->adjoint ? -m[1] : m[1];
}

static void phase(const lowering *l, uint64_t high, int lane, double out[2]) {
    out[0] = 1.0, out[1] = 0.0;
    if (!l->held[lane]) return;
    const double *m = l->c->matrix + 2 * (gathered(l->c->targets, high) | l->of_lane[lane]);
    out[0] = m[0], out[1] = l->adjoint ? -m[1] : m[1];
}

static void store(kg_sv_precision precision, void *base, int64_t at, double value) {
    if (precision == KG_SV_DOUBLE) ((double *)base)[at] = value;
    else ((float *)base)[at] = (float)value;
}

static void *room(kg_sv_program *p, int64_t reals) {
    return kg_sv_take(&p->arena, (size_t)reals * (p->precision == KG_SV_DOUBLE ? sizeof(double) : sizeof(float)));
}

static void dense(kg_sv_program *p, kg_sv_step *step, const lowering *l) {
    int size = 1 << l->high_bits, patterns = 1 << l->low_bits, lanes = 1 << l->lane_bits;
    int wide = patterns > 1 ? lanes : 1;
    int64_t reals = (int64_t)patterns * size * size * 2 * (patterns > 1 ? 2 * wide : 1), at = 0;
    step->high = l->high_bits, step->patterns = patterns, step->real = 1;
    step->coefficients = room(p, reals);
    if (!step->coefficients) return;
    for (int pattern = 0; pattern < patterns; pattern++) {
        uint64_t flip = spread(l->all & l->lanes, (uint64_t)pattern);
        step->lane_xor[pattern] = (uint8_t)flip;
        for (int column = 0; column < size; column++)
            for (int row = 0; row < size; row++)
                for (int part = 0; part < 2; part++)
                    for (int lane = 0; lane < wide; lane++) {
                        double value[2];
                        coefficient(l, row, column, lane, (int)flip, value);
                        if (value[1] != 0.0) step->real = 0;
                        store(p->precision, step->coefficients, at++, value[part]);
                        if (patterns > 1) store(p->precision, step->coefficients, at++, value[part]);
                    }
    }
}

/* The table has an entry, a pair of vectors, for each value of the qubits that are no lanes: constant ones on top. */
static void diagonal(kg_sv_program *p, kg_sv_step *step, const lowering *l, uint64_t block, int vector_bits) {
    uint64_t inside = l->all & block & ~l->lanes, outside = l->all & ~block;
    int inner = __builtin_popcountll(inside), lanes = 1 << l->lane_bits;
    int64_t entries = (int64_t)1 << (inner + __builtin_popcountll(outside)), at = 0;
    step->outer_shift = inner;
    for (uint64_t rest = outside; rest; rest &= rest - 1) step->outer[step->outers++] = (uint8_t)__builtin_ctzll(rest);
    step->coefficients = room(p, entries * 4 * lanes);
    step->low_bits = vector_bits < 8 ? vector_bits : 8;
    int high_bits = vector_bits - step->low_bits;
    step->low_offset = kg_sv_take(&p->arena, sizeof(int32_t) << step->low_bits);
    step->high_offset = kg_sv_take(&p->arena, sizeof(int32_t) << high_bits);
    if (p->arena.failed) return;
    for (int64_t entry = 0; entry < entries; entry++)
        for (int part = 0; part < 2; part++)
            for (int lane = 0; lane < lanes; lane++, at += 2) {
                double value[2];
                phase(l, spread(inside, (uint64_t)entry) | spread(outside, (uint64_t)entry >> inner), lane, value);
                store(p->precision, step->coefficients, at, value[part]);
                store(p->precision, step->coefficients, at + 1, value[part]);
            }
    uint64_t seen = spread(block, ~(uint64_t)0); /* qubits of the block, to place them in a vector index */
    for (int part = 0; part < 2; part++)
        for (int k = 0; k < 1 << (part ? high_bits : step->low_bits); k++) {
            uint64_t local = (uint64_t)k << (l->lane_bits + (part ? step->low_bits : 0));
            (part ? step->high_offset : step->low_offset)[k] = gathered(inside, spread(seen, local));
        }
}

/* For gradients: which entry of the cluster's transition matrix, (state, other) over its targets, each lane adds to. The
   loops pair lanes of the state with those of the other, flipped. */
static void transition_to(kg_sv_program *p, kg_sv_step *step, const lowering *l, uint64_t block) {
    const kg_sv_cluster *c = l->c;
    int lanes = 1 << l->lane_bits, size = 1 << l->high_bits, width = 1 << c->count, at = 0;
    uint64_t inside = l->all & block & ~l->lanes, outside = l->all & ~block;
    int entries = c->diagonal ? size : step->patterns * size * size;
    step->transition_to = kg_sv_take(&p->arena, (size_t)(entries * lanes) * sizeof(int32_t));
    if (!step->transition_to) return;
    for (int entry = 0; entry < entries; entry++)
        for (int lane = 0; lane < lanes; lane++, at++) {
            int flip = c->diagonal ? 0 : step->lane_xor[entry / (size * size)], state, other;
            if (c->diagonal) {
                uint64_t high = spread(inside, (uint64_t)entry) | spread(outside, (uint64_t)entry >> step->outer_shift);
                state = gathered(c->targets, high) | l->of_lane[lane], other = state;
            } else {
                state = l->of_high[entry % size] | l->of_lane[lane];
                other = l->of_high[entry / size % size] | l->of_lane[lane ^ flip];
            }
            int held = l->held[lane] && l->held[lane ^ flip];
            step->transition_to[at] = !held ? -1 : c->diagonal ? state : state * width + other;
        }
}

void kg_sv_lower(kg_sv_program *p, kg_sv_step *step, const kg_sv_cluster *c, uint64_t block, int adjoint) {
    lowering l = {.c = c, .adjoint = adjoint, .lane_bits = p->isa->loops[p->precision].lane_bits};
    l.lanes = ((uint64_t)1 << l.lane_bits) - 1;
    l.all = c->targets | (c->control & l.lanes);
    uint64_t high = l.all & ~l.lanes, controls = c->control & block & ~l.lanes;
    l.high_bits = __builtin_popcountll(high), l.low_bits = __builtin_popcountll(l.all & l.lanes);
    int vector_bits = __builtin_popcountll(block) - l.lane_bits;
    tabulate(&l);
    step->diagonal = c->diagonal;
    step->outer_control = c->control & ~block, step->outer_value = c->value & ~block;
    for (uint64_t rest = c->diagonal ? controls : controls | high; rest; rest &= rest - 1) {
        int qubit = __builtin_ctzll(rest);
        uint64_t bit = (uint64_t)1 << (kg_sv_place(block, qubit) - l.lane_bits);
        step->fixed |= bit;
        if (c->value & c->control & ((uint64_t)1 << qubit)) step->on |= bit;
    }
    step->count = (uint64_t)1 << (vector_bits - __builtin_popcountll(step->fixed));
    if (c->diagonal) {
        diagonal(p, step, &l, block, vector_bits);
        if (adjoint && c->slots) transition_to(p, step, &l, block);
        return;
    }
    for (int column = 0; column < 1 << l.high_bits; column++) {
        uint64_t index = spread(high, (uint64_t)column);
        for (uint64_t rest = index; rest; rest &= rest - 1)
            step->offset[column] += 1 << (kg_sv_place(block, __builtin_ctzll(rest)) - l.lane_bits);
    }
    dense(p, step, &l);
    if (adjoint && c->slots) transition_to(p, step, &l, block);
}
