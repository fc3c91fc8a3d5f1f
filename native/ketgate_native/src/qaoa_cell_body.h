/* Phases and values of a diagonal on a cell. */

/* Angles of one cell: of its bits and the rest, and their cosines and sines. */
typedef struct {
    const double *field, *cosine, *sine; /* (9) each */
} cell_angles;

/* exp(-i angle s) with s = 1 - 2 bit, on the bits within vectors. */
INLINE amplitudes turned_lanes(amplitudes a, const double *cosine, const double *sine, int bits) {
#pragma GCC unroll 4
    for (int b = 0; b < bits; b++) {
        vec c = broadcast((REAL)cosine[b]), s = broadcast((REAL)sine[b]) * lane_sign(b);
        a = (amplitudes){FMA(a.i, s, a.r * c), FNMA(a.r, s, a.i * c)};
    }
    return a;
}

/* Phase of each cell vector as a whole: exp(-i sum over bits above the lanes), CELL_VECTORS complex numbers. */
INLINE void above_lanes(REAL *re, REAL *im, const cell_angles *angles) {
    const double *c = angles->cosine + LANE_BITS, *s = angles->sine + LANE_BITS;
    amplitudes one = {broadcast(1), {0}};
    amplitudes first = turned_lanes(one, c, s, LANE_BITS);
    *(vec *)re = first.r, *(vec *)im = first.i;
    for (int b = LANE_BITS, vectors = 1; b < CELL_VECTOR_BITS; b++, vectors *= 2) {
        amplitudes clear = {broadcast((REAL)c[b]), broadcast((REAL)-s[b])}, set = {clear.r, -clear.i};
        for (int v = 0; v < vectors; v++) {
            amplitudes x = {((vec *)re)[v], ((vec *)im)[v]};
            amplitudes low = times(x, clear), high = times(x, set);
            ((vec *)re)[v] = low.r, ((vec *)im)[v] = low.i;
            ((vec *)re)[v + vectors] = high.r, ((vec *)im)[v + vectors] = high.i;
        }
    }
}

/* Multiply a cell of psi, and of lambda unless NULL, with the phase; inner: that of the cell's own couplings. */
INLINE void phase_cell(REAL *p, REAL *l, const REAL *inner, const cell_angles *angles) {
    REAL re[CELL_VECTORS] __attribute__((aligned(64))), im[CELL_VECTORS] __attribute__((aligned(64)));
    above_lanes(re, im, angles);
    amplitudes rest = {broadcast((REAL)angles->cosine[KG_CELL_BITS]), broadcast((REAL)-angles->sine[KG_CELL_BITS])};
    rest = turned_lanes(rest, angles->cosine, angles->sine, LANE_BITS);
    for (int v = 0; v < CELL_VECTORS; v++) {
        amplitudes above = {broadcast(re[v]), broadcast(im[v])};
        amplitudes phase = times(times(rest, above), load(inner + v * 2 * LANES));
        store(p + v * 2 * LANES, times(load(p + v * 2 * LANES), phase));
        if (l) store(l + v * 2 * LANES, times(load(l + v * 2 * LANES), phase));
    }
}

/* The same for phases from a table of angles. */
static void phase_table(REAL *p, REAL *l, const double *cosine, const double *sine) {
    for (int v = 0; v < CELL_VECTORS; v++) {
        amplitudes phase;
        for (int k = 0; k < LANES; k++)
            phase.r[k] = (REAL)cosine[v * LANES + k], phase.i[k] = (REAL)-sine[v * LANES + k];
        store(p + v * 2 * LANES, times(load(p + v * 2 * LANES), phase));
        if (l) store(l + v * 2 * LANES, times(load(l + v * 2 * LANES), phase));
    }
}

/* Values of the diagonal on a cell, CELL_VECTORS vectors; inner: of the cell's own couplings; table may be NULL. */
INLINE void cell_values(vec *out, const REAL *inner, const double *field, const double *table) {
    vec lanes = broadcast((REAL)field[KG_CELL_BITS]);
    double above[CELL_VECTORS];
    for (int b = 0; b < LANE_BITS; b++) lanes += broadcast((REAL)field[b]) * lane_sign(b);
    above[0] = 0.0;
    for (int b = 0, count = 1; b < CELL_VECTOR_BITS; b++, count *= 2)
        for (int k = 0; k < count; k++) {
            above[k + count] = above[k] - field[LANE_BITS + b];
            above[k] += field[LANE_BITS + b];
        }
    for (int v = 0; v < CELL_VECTORS; v++) {
        out[v] = *(const vec *)(inner + v * LANES) + lanes + broadcast((REAL)above[v]);
        for (int k = 0; table && k < LANES; k++) out[v][k] += (REAL)table[v * LANES + k];
    }
}
