/* Mixers undone on psi and lambda together, with Im <lambda| X_b |psi> of each bit on the way.
 *
 * X_b commutes with the whole mixer, so its bracket may be read before any bit is undone, or after some; only the
 * cosines that are still missing then differ, and `gain` makes up for those.
 */

typedef struct {
    REAL tangent[KG_QAOA_QUBITS_MAX]; /* by tile bit; of the inverse mixer */
    double square[KG_QAOA_QUBITS_MAX]; /* of the cosine */
    vec sum[KG_QAOA_QUBITS_MAX];
    double fold_sum;
    double share; /* brackets are read at every repeat: 1 / repeats */
} undoing;

/* Im(conj(l) x) */
INLINE vec bracket(amplitudes l, amplitudes x, vec sum) { return FMA(l.r, x.i, FNMA(l.i, x.r, sum)); }

/* Bits low .. low + radix - 1 (radix at most 2), and with lanes those within vectors; t by bit, for undoing. */
INLINE double undo_sweep(REAL *p, REAL *l, int total, int low, int radix, int lanes, undoing *u, double gain) {
    const size_t stride = (size_t)1 << low, rows = (size_t)1 << (total - low - radix);
    vec t[2], tl[LANE_BITS], sum[2] = {{0}, {0}}, lane_sum[LANE_BITS];
    for (int b = 0; b < radix; b++) t[b] = broadcast(u->tangent[LANE_BITS + low + b]);
    for (int b = 0; lanes && b < LANE_BITS; b++) tl[b] = broadcast(u->tangent[b]), lane_sum[b] = (vec){0};
    for (size_t row = 0; row < rows; row++)
        for (size_t column = 0; column < stride; column++) {
            size_t at = ((row << (low + radix)) + column) * 2 * LANES;
            amplitudes x[4], y[4];
#pragma GCC unroll 4
            for (int k = 0; k < 1 << radix; k++) {
                x[k] = load(p + at + k * stride * 2 * LANES);
                y[k] = load(l + at + k * stride * 2 * LANES);
            }
#pragma GCC unroll 2
            for (int b = 0; b < radix; b++)
#pragma GCC unroll 4
                for (int k = 0; k < 1 << radix; k++) sum[b] = bracket(y[k], x[k ^ (1 << b)], sum[b]);
            if (lanes)
#pragma GCC unroll 4
                for (int k = 0; k < 1 << radix; k++)
#pragma GCC unroll 4
                    for (int b = 0; b < LANE_BITS; b++) {
                        amplitudes fx = {flipped(x[k].r, 1 << b), flipped(x[k].i, 1 << b)};
                        amplitudes fy = {flipped(y[k].r, 1 << b), flipped(y[k].i, 1 << b)};
                        lane_sum[b] = bracket(y[k], fx, lane_sum[b]);
                        x[k] = mixed(x[k], fx, tl[b]);
                        y[k] = mixed(y[k], fy, tl[b]);
                    }
#pragma GCC unroll 2
            for (int b = 0; b < radix; b++)
#pragma GCC unroll 4
                for (int k = 0; k < 1 << radix; k++)
                    if (!((k >> b) & 1)) {
                        amplitudes first = x[k], second = y[k];
                        x[k] = mixed(x[k], x[k | (1 << b)], t[b]);
                        x[k | (1 << b)] = mixed(x[k | (1 << b)], first, t[b]);
                        y[k] = mixed(y[k], y[k | (1 << b)], t[b]);
                        y[k | (1 << b)] = mixed(y[k | (1 << b)], second, t[b]);
                    }
#pragma GCC unroll 4
            for (int k = 0; k < 1 << radix; k++) {
                store(p + at + k * stride * 2 * LANES, x[k]);
                store(l + at + k * stride * 2 * LANES, y[k]);
            }
        }
    for (int b = 0; b < radix; b++) u->sum[LANE_BITS + low + b] += broadcast((REAL)(gain * u->share)) * sum[b];
    for (int b = 0; lanes && b < LANE_BITS; b++) { /* a lane's bit is read after those before it were undone */
        u->sum[b] += broadcast((REAL)(gain * u->share)) * lane_sum[b];
        gain *= u->square[b];
    }
    for (int b = 0; b < radix; b++) gain *= u->square[LANE_BITS + low + b];
    return gain;
}

static double undo_2(REAL *p, REAL *l, int total, int low, undoing *u, double gain) {
    return undo_sweep(p, l, total, low, 2, 0, u, gain);
}
static double undo_1(REAL *p, REAL *l, int total, int low, undoing *u, double gain) {
    return undo_sweep(p, l, total, low, 1, 0, u, gain);
}

/* From vector bit `low` to `total`. The gain after it. */
INLINE double undo_bits(REAL *p, REAL *l, int total, int low, undoing *u, double gain) {
    for (; low + 2 <= total; low += 2) gain = undo_2(p, l, total, low, u, gain);
    return low < total ? undo_1(p, l, total, low, u, gain) : gain;
}

INLINE double undo_cell(REAL *p, REAL *l, undoing *u, double gain, int high) {
    if (high) return undo_bits(p, l, CELL_VECTOR_BITS, RUN_VECTOR_BITS, u, gain);
    gain = undo_sweep(p, l, CELL_VECTOR_BITS, 0, 2, 1, u, gain);
    return undo_bits(p, l, CELL_VECTOR_BITS, 2, u, gain);
}

/* The flip of all bits: of both, and its bracket. Arrays as for mix_fold; returns the gain after it. */
static double undo_fold(REAL *const p[2], REAL *const l[2], size_t count, REAL tangent, double square, double gain,
                        undoing *u) {
    vec t = broadcast(tangent), sum = {0};
    for (size_t v = 0; v < count / LANES; v++) {
        size_t at = v * 2 * LANES, mirror = (count / LANES - 1 - v) * 2 * LANES;
        amplitudes x = load(p[0] + at), y = load(p[1] + mirror), lx = load(l[0] + at), ly = load(l[1] + mirror);
        amplitudes back_x = {flipped(x.r, LANES - 1), flipped(x.i, LANES - 1)};
        amplitudes back_y = {flipped(y.r, LANES - 1), flipped(y.i, LANES - 1)};
        amplitudes back_lx = {flipped(lx.r, LANES - 1), flipped(lx.i, LANES - 1)};
        amplitudes back_ly = {flipped(ly.r, LANES - 1), flipped(ly.i, LANES - 1)};
        sum = bracket(ly, back_x, bracket(lx, back_y, sum));
        store(p[0] + at, mixed(x, back_y, t)), store(p[1] + mirror, mixed(y, back_x, t));
        store(l[0] + at, mixed(lx, back_ly, t)), store(l[1] + mirror, mixed(ly, back_lx, t));
    }
    u->fold_sum += gain * u->share * lanes_sum(sum);
    return gain * square;
}
