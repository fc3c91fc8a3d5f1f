/* Block pivoting: solve for the present states, then correct every state that came out wrong, until none does.
 *
 * A handful of rounds as a rule (the primal-dual active set method), but it may cycle: when the count of wrong states
 * stops falling, the homotopy takes over from the best states seen, and that one always ends.
 * Hintermueller, Ito, Kunisch, SIAM J. Optim. 13 (2002); Judice, Pires, Comput. Oper. Res. 21 (1994).
 */
#include "qp_core.h"

#include <limits.h>
#include <math.h>
#include <string.h>

enum { STALLED_MAX = 5, ATTEMPTS_MAX = 4 };

static int correct_name(kg_core *t, int i) {
    double from, to, slope;
    int8_t state = t->state[i];
    if (t->lower[i] == t->upper[i]) return 0;
    int kinked = t->kink[i] > -INFINITY;
    if (state == KG_FREE || state == KG_FREE_BELOW) {
        kg_core_piece(t, i, &from, &to, &slope);
        if (t->x[i] < from - t->tolerance_x) t->state[i] = from == t->lower[i] ? KG_AT_LOWER : KG_AT_KINK;
        else if (t->x[i] > to + t->tolerance_x) t->state[i] = to == t->upper[i] ? KG_AT_UPPER : KG_AT_KINK;
    } else {
        kg_core_subgradients(t, i, &from, &to);
        if (-t->g[i] > to + t->tolerance_g)
            t->state[i] = state == KG_AT_LOWER && kinked ? KG_FREE_BELOW : KG_FREE;
        else if (-t->g[i] < from - t->tolerance_g)
            t->state[i] = state == KG_AT_UPPER || !kinked ? KG_FREE : KG_FREE_BELOW;
    }
    return t->state[i] != state;
}

static int correct_row(kg_core *t, int j) {
    int8_t state = t->row_state[j];
    double value = t->bx[j] + t->kkt.reg[j] * t->y_centre[j];
    if (state == KG_ROW_BETWEEN) {
        if (value > t->row_upper[j] + t->tolerance_row) t->row_state[j] = KG_ROW_UPPER;
        else if (value < t->row_lower[j] - t->tolerance_row) t->row_state[j] = KG_ROW_LOWER;
    } else if ((state == KG_ROW_UPPER && t->y[j] < -t->tolerance_g) ||
               (state == KG_ROW_LOWER && t->y[j] > t->tolerance_g)) {
        t->row_state[j] = KG_ROW_BETWEEN;
    }
    return t->row_state[j] != state;
}

int kg_core_pivot(kg_core *t) {
    int fewest = INT_MAX, stalled = 0, n = t->kkt.n, r = t->kkt.r;
    for (;;) {
        if (t->kkt.monitor && kg_should_stop(t->kkt.monitor)) return KG_QP_STOPPED;
        if (t->iterations++ >= t->iterations_max) return KG_QP_STOPPED;
        int status = kg_core_equality(t);
        if (status) return status;
        int wrong = 0;
        int8_t *states = (int8_t *)t->rhs, *row_states = states + n; /* rhs is idle here, and long enough */
        memcpy(states, t->state, n);
        memcpy(row_states, t->row_state, r);
        for (int i = 0; i < n; i++) wrong += correct_name(t, i);
        for (int j = t->kkt.k; j < r; j++) wrong += correct_row(t, j);
        if (wrong == 0) return 0;
        if (wrong < fewest) {
            fewest = wrong;
            stalled = 0;
            memcpy(t->best_state, states, n);
            memcpy(t->best_row_state, row_states, r);
            memcpy(t->best_x, t->x, n * sizeof(double));
        } else if (++stalled > STALLED_MAX) {
            memcpy(t->state, t->best_state, n);
            memcpy(t->row_state, t->best_row_state, r);
            memcpy(t->x, t->best_x, n * sizeof(double));
            kg_core_sync(t);
            return 1;
        }
    }
}

int kg_core_solve(kg_core *t) {
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        int status = kg_core_pivot(t);
        if (status != 1) return status;
        status = kg_core_homotopy(t);
        if (status) return status;
    }
    return KG_QP_NUMERICAL;
}
