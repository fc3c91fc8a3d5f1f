/* Mixers within a tile: 1 - i t X on each bit, several bits a sweep, so that each amplitude is loaded once for them. */

typedef REAL vec __attribute__((vector_size(KG_VECTOR_BYTES)));
typedef MASK mask __attribute__((vector_size(KG_VECTOR_BYTES)));

enum {
    LANES = KG_VECTOR_BYTES / sizeof(REAL),
    LANE_BITS = LANES == 16 ? 4 : LANES == 8 ? 3 : LANES == 4 ? 2 : 1,
    CELL_VECTORS = KG_CELL / LANES,
    CELL_REALS = 2 * KG_CELL,
    CELL_VECTOR_BITS = KG_CELL_BITS - LANE_BITS,
    RUN_VECTOR_BITS = KG_RUN_BITS + (sizeof(REAL) == 4) - LANE_BITS
};

typedef struct {
    vec r, i;
} amplitudes;

#define INLINE static inline __attribute__((always_inline))

INLINE vec broadcast(REAL a) { return a - (vec){0}; }
INLINE amplitudes load(const REAL *p) { return (amplitudes){*(const vec *)p, *(const vec *)(p + LANES)}; }
INLINE void store(REAL *p, amplitudes a) { *(vec *)p = a.r, *(vec *)(p + LANES) = a.i; }

INLINE double lanes_sum(vec v) {
    double sum = 0.0;
    for (int k = 0; k < LANES; k++) sum += (double)v[k];
    return sum;
}

/* The vector with lanes k and k ^ flip exchanged. */
INLINE vec flipped(vec v, int flip) {
    mask index;
    for (int k = 0; k < LANES; k++) index[k] = k ^ flip;
    return __builtin_shuffle(v, index);
}

/* 1 for lanes with the bit clear, else -1. */
INLINE vec lane_sign(int bit) {
    vec v;
    for (int k = 0; k < LANES; k++) v[k] = (k >> bit) & 1 ? -1 : 1;
    return v;
}

INLINE amplitudes times(amplitudes a, amplitudes b) {
    return (amplitudes){FNMA(a.i, b.i, a.r * b.r), FMA(a.r, b.i, a.i * b.r)};
}

/* a - i t b */
INLINE amplitudes mixed(amplitudes a, amplitudes b, vec t) {
    return (amplitudes){FMA(t, b.i, a.r), FNMA(t, b.r, a.i)};
}

INLINE void mix_lanes(amplitudes *x, const vec *t) {
#pragma GCC unroll 4
    for (int b = 0; b < LANE_BITS; b++) {
        amplitudes y = {flipped(x->r, 1 << b), flipped(x->i, 1 << b)};
        *x = mixed(*x, y, t[b]);
    }
}

/* Bits low .. low + radix - 1 of `total` vector bits, and with lanes those within vectors; t by bit. */
INLINE void mix_sweep(REAL *p, int total, int low, int radix, int lanes, const REAL *tangent) {
    const size_t stride = (size_t)1 << low, rows = (size_t)1 << (total - low - radix);
    vec t[3], tl[LANE_BITS];
    for (int b = 0; b < radix; b++) t[b] = broadcast(tangent[LANE_BITS + low + b]);
    for (int b = 0; lanes && b < LANE_BITS; b++) tl[b] = broadcast(tangent[b]);
    for (size_t row = 0; row < rows; row++)
        for (size_t column = 0; column < stride; column++) {
            REAL *q = p + ((row << (low + radix)) + column) * 2 * LANES;
            amplitudes x[8];
#pragma GCC unroll 8
            for (int k = 0; k < 1 << radix; k++) {
                x[k] = load(q + k * stride * 2 * LANES);
                if (lanes) mix_lanes(&x[k], tl);
            }
#pragma GCC unroll 3
            for (int b = 0; b < radix; b++)
#pragma GCC unroll 8
                for (int k = 0; k < 1 << radix; k++)
                    if (!((k >> b) & 1)) {
                        amplitudes low_one = x[k];
                        x[k] = mixed(x[k], x[k | (1 << b)], t[b]);
                        x[k | (1 << b)] = mixed(x[k | (1 << b)], low_one, t[b]);
                    }
#pragma GCC unroll 8
            for (int k = 0; k < 1 << radix; k++) store(q + k * stride * 2 * LANES, x[k]);
        }
}

static void mix_3(REAL *p, int total, int low, const REAL *t) { mix_sweep(p, total, low, 3, 0, t); }
static void mix_2(REAL *p, int total, int low, const REAL *t) { mix_sweep(p, total, low, 2, 0, t); }
static void mix_1(REAL *p, int total, int low, const REAL *t) { mix_sweep(p, total, low, 1, 0, t); }

/* The bits of a cell; in a high tile only those above its run, which the low tiles mix. */
INLINE void mix_cell(REAL *p, const REAL *t, int high) {
    int low = high ? RUN_VECTOR_BITS : 2;
    if (!high) mix_sweep(p, CELL_VECTOR_BITS, 0, 2, 1, t);
    if ((CELL_VECTOR_BITS - low) % 2) {
        if (CELL_VECTOR_BITS - low >= 3) mix_sweep(p, CELL_VECTOR_BITS, low, 3, 0, t), low += 3;
        else mix_sweep(p, CELL_VECTOR_BITS, low, 1, 0, t), low += 1;
    }
    for (; low < CELL_VECTOR_BITS; low += 2) mix_2(p, CELL_VECTOR_BITS, low, t);
}

/* Tile bits above the cell's. */
static void mix_above(REAL *p, int bits, const REAL *t) {
    int total = bits - LANE_BITS, low = CELL_VECTOR_BITS;
    while (low < total) {
        int left = total - low, radix = left == 4 ? 2 : left < 3 ? left : 3;
        (radix == 3 ? mix_3 : radix == 2 ? mix_2 : mix_1)(p, total, low, t);
        low += radix;
    }
}

/* X on every bit at once, over a pair of arrays of `count` amplitudes of which each is the other read backwards. */
static void mix_fold(REAL *a, REAL *b, size_t count, REAL tangent) {
    vec t = broadcast(tangent);
    for (size_t v = 0; v < count / LANES; v++) {
        REAL *q = a + v * 2 * LANES, *w = b + (count / LANES - 1 - v) * 2 * LANES;
        amplitudes x = load(q), y = load(w);
        amplitudes back_x = {flipped(x.r, LANES - 1), flipped(x.i, LANES - 1)};
        amplitudes back_y = {flipped(y.r, LANES - 1), flipped(y.i, LANES - 1)};
        store(q, mixed(x, back_y, t));
        store(w, mixed(y, back_x, t));
    }
}
