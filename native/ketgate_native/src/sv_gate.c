/* What a gate's matrix tells: that it is diagonal, a swap, the identity, or acts only where some of its qubits have a value. */
#include <math.h>
#include <string.h>

#include "sv.h"

static int near(const double *entry, double re, double tolerance) {
    return fabs(entry[0] - re) <= tolerance && fabs(entry[1]) <= tolerance;
}

/* Entry of the matrix (which = -1) or of a generator. */
static double *entry(const kg_sv_gate *gate, int which, int row, int column) {
    int size = 1 << gate->count;
    double *base = which < 0 ? gate->matrix : gate->generators + 2 * (ptrdiff_t)which * (gate->diagonal ? size : size * size);
    return base + 2 * (gate->diagonal ? row : row * size + column);
}

static int off_diagonal_is_zero(const kg_sv_gate *gate, double tolerance) {
    int size = 1 << gate->count;
    for (int which = -1; which < gate->slots; which++)
        for (int row = 0; row < size; row++)
            for (int column = 0; column < size; column++)
                if (row != column && !near(entry(gate, which, row, column), 0.0, tolerance)) return 0;
    return 1;
}

static void make_diagonal(kg_sv_gate *gate) {
    int size = 1 << gate->count;
    double *from = gate->matrix, *to = gate->matrix; /* in place: an entry never moves up */
    for (int which = -1; which < gate->slots; which++) {
        if (which >= 0) from = gate->generators + 2 * (ptrdiff_t)which * size * size;
        if (which >= 0) to = gate->generators + 2 * (ptrdiff_t)which * size;
        for (int row = 0; row < size; row++) {
            to[2 * row] = from[2 * (row * size + row)];
            to[2 * row + 1] = from[2 * (row * size + row) + 1];
        }
    }
    gate->diagonal = 1;
}

/* Whether nothing happens where bit k of the index is not value. */
static int is_control(const kg_sv_gate *gate, int k, int value, double tolerance) {
    int size = 1 << gate->count;
    for (int which = -1; which < gate->slots; which++) {
        double one = which < 0 ? 1.0 : 0.0;
        for (int row = 0; row < size; row++) {
            if (gate->diagonal) {
                if (((row >> k) & 1) != value && !near(entry(gate, which, row, row), one, tolerance)) return 0;
                continue;
            }
            for (int column = 0; column < size; column++)
                if ((((row >> k) & 1) != value || ((column >> k) & 1) != value) &&
                    !near(entry(gate, which, row, column), row == column && ((row >> k) & 1) != value ? one : 0.0, tolerance))
                    return 0;
        }
    }
    return 1;
}

static int with_bit(int index, int k, int value) { /* a bit put in at place k */
    return (index & ((1 << k) - 1)) | value << k | index >> k << (k + 1);
}

static void take_out(kg_sv_gate *gate, int k, int value) {
    kg_sv_gate before = *gate;
    int half = 1 << (gate->count - 1);
    gate->control |= (uint64_t)1 << gate->target[k];
    if (value) gate->value |= (uint64_t)1 << gate->target[k];
    gate->targets &= ~((uint64_t)1 << gate->target[k]);
    gate->count--;
    for (int j = k; j < gate->count; j++) gate->target[j] = gate->target[j + 1];
    for (int which = -1; which < gate->slots; which++)
        for (int row = 0; row < half; row++)
            for (int column = gate->diagonal ? row : 0; column < (gate->diagonal ? row + 1 : half); column++)
                memmove(entry(gate, which, row, column),
                        entry(&before, which, with_bit(row, k, value), with_bit(column, k, value)), 2 * sizeof(double));
}

void kg_sv_simplify(kg_sv_gate *gate, double tolerance) {
    if (!gate->diagonal && off_diagonal_is_zero(gate, tolerance)) make_diagonal(gate);
    for (int k = 0; k < gate->count; k++)
        for (int value = 1; value >= 0; value--)
            if (is_control(gate, k, value, tolerance)) {
                take_out(gate, k, value);
                k = -1; /* from the start: another place may now be one */
                break;
            }
}

int kg_sv_is_swap(const kg_sv_gate *gate) {
    static const int image[4] = {0, 2, 1, 3};
    if (gate->count != 2 || gate->diagonal || gate->control || gate->slots) return 0;
    for (int row = 0; row < 4; row++)
        for (int column = 0; column < 4; column++)
            if (!near(entry(gate, -1, row, column), image[row] == column ? 1.0 : 0.0, 0.0)) return 0;
    return 1;
}

int kg_sv_is_identity(const kg_sv_gate *gate) {
    if (gate->slots || !gate->diagonal) return 0;
    for (int row = 0; row < 1 << gate->count; row++)
        if (!near(entry(gate, -1, row, row), 1.0, 0.0)) return 0;
    return 1;
}
