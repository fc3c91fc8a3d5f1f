/* Gradients by the adjoint method (Jones and Gacon, 2020), a cluster at a time.
 *
 * With |f> the state and |l> the observable applied to it, both behind a gate U, d<l|f> / d parameter = 2 Re <l| G |f>, where
 * G = (dU) U^dagger. All gates of a cluster act on few qubits, so what they need of the two states is T = Tr_rest |f><l| on
 * those: one reduction a cluster, and the rest is small matrices.
 */
#include <stdlib.h>
#include <string.h>

#include "sv_matrix.h"
#include "sv_run.h"

static const double *generator_of(const kg_sv_gate *gate, int slot) {
    size_t size = (size_t)1 << gate->count;
    return gate->generators + 2 * (size_t)slot * (gate->diagonal ? size : size * size);
}

/* 2 Re tr(G T); T is (length, length), or its diagonal. */
static double slope(const kg_sv_gate *gate, const kg_sv_embedding *e, const double *g, int length, const double *t, int diagonal) {
    double sum = 0.0;
    for (int base = 0; base < length; base++) {
        if (base & e->fixed) continue;
        for (int row = 0; row < e->size; row++) {
            int first = gate->diagonal ? row : 0, end = gate->diagonal ? row + 1 : e->size;
            for (int column = first; column < end; column++) {
                const double *m = g + 2 * (gate->diagonal ? row : row * e->size + column);
                int a = base | e->on | e->offset[column], b = base | e->on | e->offset[row];
                const double *at = t + 2 * (diagonal ? a : a * length + b);
                sum += m[0] * at[0] - m[1] * at[1];
            }
        }
    }
    return 2.0 * sum;
}

static void conjugate(double *matrix, int numbers) {
    for (int k = 0; k < numbers; k++) matrix[2 * k + 1] = -matrix[2 * k + 1];
}

static void undo(const kg_sv_gate *gate, const kg_sv_embedding *e, int length, double *t) { /* T <- U^dagger T U */
    kg_sv_act_columns(gate, e, 1, length, t);
    conjugate(t, length * length);
    for (int row = 0; row < length; row++) kg_sv_act_vector(gate, e, 1, length, t + 2 * (ptrdiff_t)row * length);
    conjugate(t, length * length);
}

static void cluster_slopes(const kg_sv_program *p, const kg_sv_cluster *c, double *t, int *order, double *out) {
    int members = 0, length = 1 << c->count;
    for (int g = c->first; g >= 0; g = p->gate[g].next) order[members++] = g;
    while (members--) {
        const kg_sv_gate *gate = &p->gate[order[members]];
        kg_sv_embedding e = kg_sv_embed(gate, c->targets);
        for (int slot = 0; slot < gate->slots; slot++)
            out[gate->slot + slot] = slope(gate, &e, generator_of(gate, slot), length, t, c->diagonal);
        if (!c->diagonal && members) undo(gate, &e, length, t);
    }
}

int kg_sv_gradient(kg_sv_state *state, kg_sv_state *other, const kg_sv_program *p, double *out, kg_sv_how how) {
    kg_sv_state *states[KG_SV_TOGETHER] = {state, other};
    size_t each = p->transitions ? p->transitions : 1;
    double *t = calloc(2 * each * KG_SV_GRADIENT_ITEMS, sizeof *t);
    int *order = malloc(((size_t)p->gates + 1) * sizeof *order);
    int status = KG_SV_NO_MEMORY;
    if (t && order) {
        memset(out, 0, (size_t)p->slots * sizeof *out);
        status = kg_sv_run_plan(states, KG_SV_TOGETHER, p, &p->backward, t, how);
        for (size_t item = 1; item < KG_SV_GRADIENT_ITEMS; item++)
            for (size_t k = 0; k < 2 * each; k++) t[k] += t[2 * each * item + k];
        for (int k = 0; k < p->clusters && status == KG_SV_OK; k++)
            if (p->cluster[k].slots) cluster_slopes(p, &p->cluster[k], t + 2 * p->cluster[k].transition, order, out);
    }
    free(t), free(order);
    return status;
}
