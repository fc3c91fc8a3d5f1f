/* Diagonals cut into what varies within a cell, between the cells of a tile, and between tiles. */
#include "qaoa_pass.h"

#include <string.h>

enum { N = KG_QAOA_QUBITS_MAX };

static double sign(uint64_t index, int bit) { return (index >> bit) & 1 ? -1.0 : 1.0; }

/* out[c] = sum of couplings among `count` qubits, and of their fields where with_field. */
static void energies(const kg_cut *cut, const int *qubit, int count, int with_field, double *out) {
    out[0] = 0.0;
    for (int k = 0; k < count; k++) { /* doubling: values for bit k clear, then set */
        size_t half = (size_t)1 << k;
        for (size_t c = 0; c < half; c++) {
            double f = with_field ? cut->field[qubit[k]] : 0.0;
            for (int j = 0; j < k; j++) f += cut->pair[qubit[k] * N + qubit[j]] * sign(c, j);
            out[c + half] = out[c] - f;
            out[c] += f;
        }
    }
}

static void cut_cells(kg_cut *cut) {
    const kg_tiling *tiling = cut->tiling;
    const int *outside = tiling->qubit + KG_CELL_BITS;
    int between = tiling->bits - KG_CELL_BITS;
    energies(cut, outside, between, 1, cut->cell_rest);
    for (size_t t = 0; t < kg_cells(tiling); t++)
        for (int k = 0; k < KG_CELL_BITS; k++) {
            double f = cut->field[tiling->qubit[k]];
            for (int j = 0; j < between; j++) f += cut->pair[tiling->qubit[k] * N + outside[j]] * sign(t, j);
            cut->cell_field[t * KG_CELL_BITS + k] = f;
        }
}

void kg_cut_make(kg_cut *cut, const kg_qaoa_isa *isa, const kg_tiling *tiling, int n, const kg_diagonal *diagonal,
                 double factor, const double *turn, double turn_factor, double scale) {
    cut->tiling = tiling, cut->n = n, cut->scale = scale;
    cut->table = diagonal->table, cut->table_factor = factor;
    cut->ising = diagonal->pair || diagonal->field || turn;
    for (int i = 0; i < n; i++) {
        cut->field[i] = diagonal->field ? factor * diagonal->field[i] : 0.0;
        if (turn) cut->field[i] += turn_factor * turn[i];
        for (int j = 0; j < n; j++) cut->pair[i * N + j] = diagonal->pair ? factor * diagonal->pair[i * n + j] : 0.0;
    }
    energies(cut, tiling->qubit, KG_CELL_BITS, 0, cut->inner);
    cut_cells(cut);
    isa->sincos(KG_CELL, cut->inner, cut->cosine, cut->sine);
    for (int c = 0; c < KG_CELL; c++) cut->cosine[c] *= scale, cut->sine[c] *= scale;
}

void kg_cut_tile(const kg_cut *cut, int64_t tile, double *field) {
    const kg_tiling *tiling = cut->tiling;
    const int *outside = tiling->qubit + tiling->bits;
    double from_outside[N], rest = 0.0;
    for (int k = 0; k < tiling->bits; k++) {
        from_outside[k] = 0.0;
        for (int j = 0; j < tiling->outer; j++)
            from_outside[k] += cut->pair[tiling->qubit[k] * N + outside[j]] * sign((uint64_t)tile, j);
    }
    for (int j = 0; j < tiling->outer; j++) {
        double f = cut->field[outside[j]];
        for (int i = 0; i < j; i++) f += cut->pair[outside[j] * N + outside[i]] * sign((uint64_t)tile, i);
        rest += f * sign((uint64_t)tile, j);
    }
    for (size_t t = 0; t < kg_cells(tiling); t++, field += KG_CELL_BITS + 1) {
        double e = cut->cell_rest[t] + rest;
        for (int k = 0; k < KG_CELL_BITS; k++) field[k] = cut->cell_field[t * KG_CELL_BITS + k] + from_outside[k];
        for (int k = KG_CELL_BITS; k < tiling->bits; k++) e += from_outside[k] * sign(t, k - KG_CELL_BITS);
        field[KG_CELL_BITS] = e;
    }
}
