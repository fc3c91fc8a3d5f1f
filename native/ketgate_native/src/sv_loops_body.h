/* The loops for one precision; see sv_isa_body.h. Written without intrinsics but for the fused multiply-add.
 *
 * A complex product is two multiply-adds: c x = re(c) x + im(c) i x, with i x made once for each x. A gate on lanes (qubits
 * inside of a vector) adds up, for each pattern of flipped lanes, the shuffled vector times coefficients that differ by lane.
 */
typedef REAL V __attribute__((vector_size(KG_VECTOR_BYTES), may_alias));
typedef INTEGER VI __attribute__((vector_size(KG_VECTOR_BYTES), may_alias));
#define LANES (REALS / 2)

#if REALS == 2
#define PAIRS(a, b) {a, b}
#elif REALS == 4
#define PAIRS(a, b) {a, b, 2 + (a), 2 + (b)}
#elif REALS == 8
#define PAIRS(a, b) {a, b, 2 + (a), 2 + (b), 4 + (a), 4 + (b), 6 + (a), 6 + (b)}
#else
#define PAIRS(a, b)                                                                                                     \
    {a, b, 2 + (a), 2 + (b), 4 + (a), 4 + (b), 6 + (a), 6 + (b), 8 + (a), 8 + (b), 10 + (a), 10 + (b), 12 + (a),       \
     12 + (b), 14 + (a), 14 + (b)}
#endif

KG_INLINE V NAME(all)(REAL a) { return a - (V){0}; }

KG_INLINE V NAME(times_i)(V x) { /* (re, im) -> (-im, re) */
    const VI swapped = PAIRS(1, 0);
    const VI places = PAIRS(0, 1);
    const VI sign = (VI)((places & 1) - 1) << (8 * sizeof(REAL) - 1);
    return (V)((VI)__builtin_shuffle(x, swapped) ^ sign);
}

KG_INLINE VI NAME(flip_places)(int lanes) {
    const VI places = PAIRS(0, 1);
    return places ^ (2 * lanes - (VI){0});
}

KG_INLINE V NAME(flipped)(V x, VI places) {
#if LANES == 2
    (void)places; /* one flip only, known at compile time: what has no variable shuffle needs none */
    return __builtin_shuffle(x, (VI){2, 3, 0, 1});
#else
    return __builtin_shuffle(x, places);
#endif
}

KG_INLINE uint64_t NAME(after)(uint64_t index, uint64_t fixed) { /* the next index with zeros at the fixed bits */
    return ((index | fixed) + 1) & ~fixed;
}

/* No target is a lane. Coefficients: (column, row) pairs of scalars. */
KG_INLINE void NAME(dense_scalars)(V *restrict block, const kg_sv_step *step, const int high, const int real) {
    const int size = 1 << high;
    const REAL *restrict c = step->coefficients;
    const uint64_t fixed = step->fixed, count = step->count;
    V *from = block + step->on;
    uint64_t index = 0;
    for (uint64_t k = 0; k < count; k++, index = NAME(after)(index, fixed)) {
        V *base = from + index, sum[size];
#pragma GCC unroll 16
        for (int column = 0; column < size; column++) {
            V x = base[step->offset[column]], ix = real ? x : NAME(times_i)(x);
#pragma GCC unroll 16
            for (int row = 0; row < size; row++) {
                const REAL *at = c + 2 * (column * size + row);
                if (column) sum[row] = FMA(NAME(all)(at[0]), x, sum[row]);
                else sum[row] = NAME(all)(at[0]) * x;
                if (!real) sum[row] = FMA(NAME(all)(at[1]), ix, sum[row]);
            }
        }
#pragma GCC unroll 16
        for (int row = 0; row < size; row++) base[step->offset[row]] = sum[row];
    }
}

/* Some targets are lanes. Coefficients: (pattern, column, row) pairs of vectors. */
KG_INLINE void NAME(dense_lanes)(V *restrict block, const kg_sv_step *step, const int high, const int real) {
    const int size = 1 << high, patterns = step->patterns;
    const V *restrict c = step->coefficients;
    const uint64_t fixed = step->fixed, count = step->count;
    V *from = block + step->on;
    VI places[8];
    for (int pattern = 0; pattern < patterns; pattern++) places[pattern] = NAME(flip_places)(step->lane_xor[pattern]);
    uint64_t index = 0;
    for (uint64_t k = 0; k < count; k++, index = NAME(after)(index, fixed)) {
        V *base = from + index, sum[size];
#pragma GCC unroll 16
        for (int row = 0; row < size; row++) sum[row] = (V){0};
        const V *at = c;
        for (int pattern = 0; pattern < patterns; pattern++) {
#pragma GCC unroll 16
            for (int column = 0; column < size; column++) {
                V x = base[step->offset[column]];
                if (pattern) x = NAME(flipped)(x, places[pattern]);
                V ix = real ? x : NAME(times_i)(x);
#pragma GCC unroll 16
                for (int row = 0; row < size; row++, at += 2) {
                    sum[row] = FMA(at[0], x, sum[row]);
                    if (!real) sum[row] = FMA(at[1], ix, sum[row]);
                }
            }
        }
#pragma GCC unroll 16
        for (int row = 0; row < size; row++) base[step->offset[row]] = sum[row];
    }
}

#define KG_DENSE(high)                                                                                                  \
    static void NAME(dense_##high)(V * block, const kg_sv_step *step) {                                                 \
        if (step->patterns == 1 && step->real) NAME(dense_scalars)(block, step, high, 1);                               \
        else if (step->patterns == 1) NAME(dense_scalars)(block, step, high, 0);                                        \
        else if (step->real) NAME(dense_lanes)(block, step, high, 1);                                                   \
        else NAME(dense_lanes)(block, step, high, 0);                                                                   \
    }
KG_DENSE(0)
KG_DENSE(1)
KG_DENSE(2)
KG_DENSE(3)
KG_DENSE(4)
#undef KG_DENSE

/* Five targets, rarely wanted: loops, and sums in memory. */
static void NAME(dense_5)(V *block, const kg_sv_step *step) {
    enum { SIZE = 32 };
    const int lanes = step->patterns > 1;
    uint64_t index = 0;
    for (uint64_t k = 0; k < step->count; k++, index = NAME(after)(index, step->fixed)) {
        V *base = block + step->on + index, sum[SIZE] = {0};
        for (int pattern = 0; pattern < step->patterns; pattern++)
            for (int column = 0; column < SIZE; column++) {
                V x = base[step->offset[column]];
                if (pattern) x = NAME(flipped)(x, NAME(flip_places)(step->lane_xor[pattern]));
                V ix = NAME(times_i)(x);
                int64_t at = 2 * (((int64_t)pattern * SIZE + column) * SIZE);
                for (int row = 0; row < SIZE; row++, at += 2) {
                    V re, im;
                    if (lanes) {
                        re = ((const V *)step->coefficients)[at], im = ((const V *)step->coefficients)[at + 1];
                    } else {
                        re = NAME(all)(((const REAL *)step->coefficients)[at]);
                        im = NAME(all)(((const REAL *)step->coefficients)[at + 1]);
                    }
                    sum[row] = FMA(im, ix, FMA(re, x, sum[row]));
                }
            }
        for (int row = 0; row < SIZE; row++) base[step->offset[row]] = sum[row];
    }
}

static void NAME(dense)(void *block, const kg_sv_step *step) {
    switch (step->high) {
    case 0: NAME(dense_0)(block, step); break;
    case 1: NAME(dense_1)(block, step); break;
    case 2: NAME(dense_2)(block, step); break;
    case 3: NAME(dense_3)(block, step); break;
    case 4: NAME(dense_4)(block, step); break;
    default: NAME(dense_5)(block, step);
    }
}

KG_INLINE int64_t NAME(table_place)(const kg_sv_step *step, uint64_t index) {
    uint64_t low = index & (((uint64_t)1 << step->low_bits) - 1);
    return step->low_offset[low] + step->high_offset[index >> step->low_bits];
}

static void NAME(diagonal)(void *block, const kg_sv_step *step, int64_t place) {
    const V *table = (const V *)step->coefficients + 2 * place;
    V *a = block;
    uint64_t index = 0;
    for (uint64_t k = 0; k < step->count; k++, index = NAME(after)(index, step->fixed)) {
        uint64_t at = index | step->on;
        const V *c = table + 2 * NAME(table_place)(step, at);
        a[at] = FMA(c[1], NAME(times_i)(a[at]), c[0] * a[at]);
    }
}

KG_INLINE V NAME(swapped)(V x) { /* (re, im) -> (im, re) */
    const VI places = PAIRS(1, 0);
    return __builtin_shuffle(x, places);
}

/* Adds up sums of x y and x swapped(y), whose lanes hold the parts of x conj(y), to where the step wants them. */
static void NAME(flush)(const V *sums, int entries, const int32_t *to, double *out) {
    for (int entry = 0; entry < entries; entry++)
        for (int lane = 0; lane < LANES; lane++) {
            int32_t at = to[entry * LANES + lane];
            if (at < 0) continue;
            out[2 * at] += (double)sums[2 * entry][2 * lane] + (double)sums[2 * entry][2 * lane + 1];
            out[2 * at + 1] += (double)sums[2 * entry + 1][2 * lane + 1] - (double)sums[2 * entry + 1][2 * lane];
        }
}

static void NAME(transition_diagonal)(const V *state, const V *other, const kg_sv_step *step, int64_t place, double *out) {
    V sums[2 << KG_SV_DIAGONAL_MAX];
    int entries = 1 << step->outer_shift;
    memset(sums, 0, sizeof(V) * 2 * (size_t)entries);
    uint64_t index = 0;
    for (uint64_t k = 0; k < step->count; k++, index = NAME(after)(index, step->fixed)) {
        uint64_t at = index | step->on;
        V *sum = sums + 2 * NAME(table_place)(step, at);
        sum[0] = FMA(state[at], other[at], sum[0]);
        sum[1] = FMA(state[at], NAME(swapped)(other[at]), sum[1]);
    }
    NAME(flush)(sums, entries, step->transition_to + place * LANES, out);
}

/* Some columns of a row of the transition matrix, over so few vectors that they stay in the first-level cache. */
KG_INLINE void NAME(transition_row)(const V *state, const V *other, const kg_sv_step *step, const uint64_t *index, int count,
                                    VI places, int flip, int row, int first, const int columns, V *out) {
    V sum[2 * columns];
#pragma GCC unroll 16
    for (int i = 0; i < 2 * columns; i++) sum[i] = (V){0};
    for (int k = 0; k < count; k++) {
        V y = other[index[k] + (uint64_t)step->offset[row]];
        if (flip) y = NAME(flipped)(y, places);
        V turned = NAME(swapped)(y);
#pragma GCC unroll 16
        for (int column = 0; column < columns; column++) {
            V x = state[index[k] + (uint64_t)step->offset[first + column]];
            sum[2 * column] = FMA(x, y, sum[2 * column]);
            sum[2 * column + 1] = FMA(x, turned, sum[2 * column + 1]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < 2 * columns; i++) out[i] += sum[i];
}

/* sums: (pattern, row, column) pairs of vectors. */
static void NAME(transition_group)(const V *state, const V *other, const kg_sv_step *step, const uint64_t *index, int count, V *sums) {
    const int size = 1 << step->high, columns = size < 8 ? size : 8;
    for (int pattern = 0; pattern < step->patterns; pattern++) {
        VI places = NAME(flip_places)(step->lane_xor[pattern]);
        for (int row = 0; row < size; row++)
            for (int first = 0; first < size; first += columns, sums += 2 * columns) switch (columns) {
                case 1: NAME(transition_row)(state, other, step, index, count, places, pattern, row, first, 1, sums); break;
                case 2: NAME(transition_row)(state, other, step, index, count, places, pattern, row, first, 2, sums); break;
                case 4: NAME(transition_row)(state, other, step, index, count, places, pattern, row, first, 4, sums); break;
                default: NAME(transition_row)(state, other, step, index, count, places, pattern, row, first, 8, sums);
                }
    }
}

static void NAME(transition)(const void *state, const void *other, const kg_sv_step *step, int64_t place, double *out) {
    if (step->diagonal) {
        NAME(transition_diagonal)(state, other, step, place, out);
        return;
    }
    enum { GROUP = 64 };
    V sums[2 << (2 * KG_SV_DENSE_MAX)];
    uint64_t index[GROUP], next = 0, left = step->count;
    const int entries = step->patterns << (2 * step->high);
    memset(sums, 0, sizeof(V) * 2 * (size_t)entries);
    while (left) {
        int count = left < GROUP ? (int)left : GROUP;
        for (int k = 0; k < count; k++, next = NAME(after)(next, step->fixed)) index[k] = next | step->on;
        left -= (uint64_t)count;
        NAME(transition_group)(state, other, step, index, count, sums);
    }
    NAME(flush)(sums, entries, step->transition_to, out);
}

static double NAME(norm)(const void *amplitudes, int64_t count) {
    const REAL *a = amplitudes;
    double sum[16] = {0}; /* sixteen chains, which the compiler keeps in vectors */
    for (int64_t i = 0; i < 2 * count; i += 16)
        for (int k = 0; k < 16; k++) sum[k] += (double)a[i + k] * (double)a[i + k];
    for (int half = 8; half; half /= 2)
        for (int k = 0; k < half; k++) sum[k] += sum[k + half];
    return sum[0];
}

/* flip8: how eight neighbours are exchanged, known at compile time so that they stay in vectors. */
KG_INLINE void NAME(products_8)(const REAL *a, const REAL *partner, int flip, int count, double *re, double *im, const int flip8) {
    for (int j = 0; j < count; j += 8) {
        const REAL *b = partner + 2 * (j ^ flip);
        double ar[8], ai[8], br[8], bi[8];
        for (int k = 0; k < 8; k++) {
            ar[k] = a[2 * (j + k)], ai[k] = a[2 * (j + k) + 1];
            br[k] = b[2 * (k ^ flip8)], bi[k] = b[2 * (k ^ flip8) + 1];
        }
        if (re)
            for (int k = 0; k < 8; k++) re[j + k] = ar[k] * br[k] + ai[k] * bi[k];
        if (im)
            for (int k = 0; k < 8; k++) im[j + k] = ai[k] * br[k] - ar[k] * bi[k];
    }
}

KG_INLINE void NAME(add_weighted_8)(REAL *o, const REAL *amplitudes, const double *weight, int flip, int count, double c, double s,
                                    const int flip8) {
    for (int j = 0; j < count; j += 8) {
        const REAL *a = amplitudes + 2 * (j ^ flip);
        const double *w = weight + (j ^ flip);
        double re[8], im[8];
        for (int k = 0; k < 8; k++) {
            re[k] = w[k ^ flip8] * (double)a[2 * (k ^ flip8)];
            im[k] = w[k ^ flip8] * (double)a[2 * (k ^ flip8) + 1];
        }
        for (int k = 0; k < 8; k++) {
            o[2 * (j + k)] += (REAL)(c * re[k] - s * im[k]);
            o[2 * (j + k) + 1] += (REAL)(c * im[k] + s * re[k]);
        }
    }
}

#define KG_BY_FLIP(call)                                                                                                \
    switch (flip & 7) {                                                                                                 \
    case 0: call(0); break;                                                                                             \
    case 1: call(1); break;                                                                                             \
    case 2: call(2); break;                                                                                             \
    case 3: call(3); break;                                                                                             \
    case 4: call(4); break;                                                                                             \
    case 5: call(5); break;                                                                                             \
    case 6: call(6); break;                                                                                             \
    default: call(7);                                                                                                   \
    }

static void NAME(products)(const void *amplitudes, const void *partner, int flip, int count, double *re, double *im) {
#define KG_CALL(flip8) NAME(products_8)(amplitudes, partner, flip & ~7, count, re, im, flip8)
    KG_BY_FLIP(KG_CALL)
#undef KG_CALL
}

static void NAME(add_weighted)(void *out, const void *amplitudes, const double *weight, int flip, int count, int quarter) {
    const double cosine[4] = {1, 0, -1, 0}, sine[4] = {0, 1, 0, -1};
    double c = cosine[quarter & 3], s = sine[quarter & 3];
#define KG_CALL(flip8) NAME(add_weighted_8)(out, amplitudes, weight, flip & ~7, count, c, s, flip8)
    KG_BY_FLIP(KG_CALL)
#undef KG_CALL
}

#undef KG_BY_FLIP
#undef PAIRS
#undef LANES
#undef REAL
#undef INTEGER
#undef NAME
#undef FMA
#undef V
#undef VI
#undef REALS
