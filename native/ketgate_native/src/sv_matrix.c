/* Matrices of clusters from those of their gates. */
#include <string.h>

#include "sv_matrix.h"

int kg_sv_place(uint64_t mask, int qubit) { return __builtin_popcountll(mask & (((uint64_t)1 << qubit) - 1)); }

kg_sv_embedding kg_sv_embed(const kg_sv_gate *gate, uint64_t targets) {
    kg_sv_embedding e = {.size = 1 << gate->count};
    for (uint64_t rest = gate->control & targets; rest; rest &= rest - 1) {
        int qubit = __builtin_ctzll(rest), bit = 1 << kg_sv_place(targets, qubit);
        e.fixed |= bit;
        if (gate->value >> qubit & 1) e.on |= bit;
    }
    for (int k = 0; k < gate->count; k++) {
        int bit = 1 << kg_sv_place(targets, gate->target[k]);
        e.fixed |= bit;
        for (int index = 0; index < e.size; index++)
            if (index >> k & 1) e.offset[index] |= bit;
    }
    return e;
}

/* vector[k stride] <- gate vector; matrix may be a generator instead, which is zero off its controls. */
static void act(const kg_sv_gate *gate, const kg_sv_embedding *e, const double *matrix, int adjoint, int length, int stride,
                double *vector) {
    double in[2 << KG_SV_DIAGONAL_MAX];
    for (int base = 0; base < length; base++) {
        if (base & e->fixed) continue;
        double *at = vector + 2 * (ptrdiff_t)(base | e->on) * stride;
        for (int k = 0; k < e->size; k++) memcpy(in + 2 * k, at + 2 * (ptrdiff_t)e->offset[k] * stride, 2 * sizeof *in);
        for (int row = 0; row < e->size; row++) {
            double re = 0.0, im = 0.0;
            int first = gate->diagonal ? row : 0, end = gate->diagonal ? row + 1 : e->size;
            for (int column = first; column < end; column++) {
                const double *m = matrix + 2 * (gate->diagonal ? row : adjoint ? column * e->size + row : row * e->size + column);
                double mi = adjoint ? -m[1] : m[1], x = in[2 * column], y = in[2 * column + 1];
                re += m[0] * x - mi * y;
                im += m[0] * y + mi * x;
            }
            double *out = at + 2 * (ptrdiff_t)e->offset[row] * stride;
            out[0] = re, out[1] = im;
        }
    }
}

void kg_sv_act_columns(const kg_sv_gate *gate, const kg_sv_embedding *e, int adjoint, int length, double *matrix) {
    for (int column = 0; column < length; column++)
        act(gate, e, gate->matrix, adjoint, length, length, matrix + 2 * column);
}

void kg_sv_act_vector(const kg_sv_gate *gate, const kg_sv_embedding *e, int adjoint, int length, double *vector) {
    act(gate, e, gate->matrix, adjoint, length, 1, vector);
}

/* The cluster as a gate, to see whether the product is simpler than its factors. */
static void simplify(kg_sv_cluster *c) {
    static const double ROUNDING = 4e-15;
    kg_sv_gate gate = {.control = c->control, .value = c->value, .targets = c->targets, .count = c->count,
                       .diagonal = c->diagonal, .matrix = c->matrix};
    int k = 0;
    for (uint64_t rest = c->targets; rest; rest &= rest - 1) gate.target[k++] = (uint8_t)__builtin_ctzll(rest);
    kg_sv_simplify(&gate, ROUNDING);
    c->control = gate.control, c->value = gate.value, c->targets = gate.targets;
    c->count = gate.count, c->diagonal = gate.diagonal;
}

void kg_sv_cluster_matrices(kg_sv_program *p) {
    for (int k = 0; k < p->clusters; k++) {
        kg_sv_cluster *c = &p->cluster[k];
        int size = 1 << c->count;
        c->matrix = kg_sv_take(&p->arena, (size_t)(c->diagonal ? size : size * size) * 2 * sizeof(double));
        if (!c->matrix) return;
        for (int i = 0; i < size; i++) c->matrix[2 * (c->diagonal ? i : i * size + i)] = 1.0;
        for (int g = c->first; g >= 0; g = p->gate[g].next) {
            kg_sv_embedding e = kg_sv_embed(&p->gate[g], c->targets);
            if (c->diagonal) kg_sv_act_vector(&p->gate[g], &e, 0, size, c->matrix);
            else kg_sv_act_columns(&p->gate[g], &e, 0, size, c->matrix);
        }
        c->transition = p->transitions;
        if (c->slots) p->transitions += (size_t)(c->diagonal ? size : size * size);
        if (!c->slots && c->first != c->last) simplify(c); /* gradients need all the qubits that generators act on */
    }
}
