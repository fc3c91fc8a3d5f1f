/* Dense layout for one type of row. Included by ising_isa_body.h with ROW (element type) and NAME(x). */

/* Fields after spin i turned; the caller turns the spin itself. */
static inline __attribute__((always_inline)) void NAME(add_row)(kg_row_state *state, int i, float change) {
    const ROW *restrict row = (const ROW *)state->p->rows + (int64_t)i * state->p->stride;
    float *restrict fields = state->fields;
    int64_t count = state->p->stride;
    for (int64_t j = 0; j < count; j++) fields[j] += (float)row[j] * change;
}

static inline __attribute__((always_inline)) void NAME(turn)(kg_row_state *state, int i) {
    float s = state->spins[i];
    state->energy -= 2.0 * (double)(s * state->fields[i]);
    state->spins[i] = -s;
    NAME(add_row)(state, i, -2.0f * s);
}

static void NAME(flip)(kg_row_state *state, int i) { NAME(turn)(state, i); }

/* Metropolis over spins from .. to - 1 in order; from is a multiple of KG_CHUNK. */
static void NAME(visit)(kg_row_state *state, int from, int to, const float *exponentials, float scale) {
    for (int first = from; first < to; first += ROW_BITS) {
        uint32_t open = ~0u; /* spins of this block not visited yet */
        for (;;) {
            uint32_t accepted = rows_accepted(state, first, exponentials, scale) & open;
            if (!accepted) break;
            int b = __builtin_ctz(accepted);
            NAME(turn)(state, first + b);
            open = b == 31 ? 0u : ~0u << (b + 1);
        }
    }
}

static void NAME(flip_scan)(kg_row_state *state, int i, int32_t iteration) {
    NAME(turn)(state, i);
    for (int c = 0; c < (int)(state->p->stride / KG_CHUNK); c++) scan(state, c, iteration);
}

#undef ROW
#undef NAME
