/* Sparse layout for one lane type. Included by ising_isa_body.h with: T (lane type), LANES, WIDE (accumulator), FLUSH
 * (rows a WIDE can sum), FLOATING, NAME(x), and the vector operations V, SIGNED, GREATER, OR, AND, BROADCAST. */

enum { NAME(parts) = LANES * (int)sizeof(T) / VECTOR }; /* vectors that hold one spin of all replicas */
#define PARTS NAME(parts)

static void NAME(start)(kg_lanes *state, int from, int to) {
    const kg_ising *p = state->p;
    const T *spins = state->spins;
    for (int i = from; i < to; i++) {
        T *field = (T *)state->fields + (int64_t)i * LANES;
        for (int l = 0; l < LANES; l++) field[l] = (T)p->field[i];
        for (int64_t e = p->start[i]; e < p->start[i + 1]; e++) {
            T weight = (T)p->weight32[e];
            const T *s = spins + (int64_t)p->edges[e].col * LANES;
            for (int l = 0; l < LANES; l++) field[l] = (T)(field[l] + weight * s[l]);
        }
    }
}

/* d: the spin in each lane where it turns, else 0. */
static inline __attribute__((always_inline)) void NAME(turn)(V *spins, V *fields, const kg_ising *p, int64_t i,
                                                             const V *d) {
    for (int k = 0; k < PARTS; k++) spins[i * PARTS + k] -= d[k] + d[k];
    const kg_edge *edge = p->edges + p->start[i], *end = p->edges + p->start[i + 1];
    for (; edge < end; edge++) {
        V twice = BROADCAST(edge->twice), *field = fields + (int64_t)edge->col * PARTS;
        for (int k = 0; k < PARTS; k++) field[k] -= SIGNED(twice, d[k]);
    }
}

static void NAME(visit)(kg_lanes *state, int from, int to, uint64_t *random) {
    V *restrict spins = state->spins, *restrict fields = state->fields;
    const T *thresholds = state->thresholds;
    const kg_ising *p = state->p;
    uint64_t x = *random, rows = state->rows, step = state->step;
    for (int64_t i = from; i < to; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u; /* where to read: statistical quality is the pool's */
        V threshold[PARTS], accepted[PARTS], d[PARTS], any = {0};
        memcpy(threshold, thresholds + ((x >> 32) * rows >> 32) * step, sizeof threshold);
        for (int k = 0; k < PARTS; k++) {
            accepted[k] = GREATER(SIGNED(fields[i * PARTS + k], spins[i * PARTS + k]), threshold[k]);
            any = OR(any, accepted[k]);
        }
        if (!ANY_BITS(any)) continue;
        for (int k = 0; k < PARTS; k++) d[k] = AND(accepted[k], spins[i * PARTS + k]);
        NAME(turn)(spins, fields, p, i, d);
    }
    *random = x;
}

static int NAME(descend)(kg_lanes *state, int from, int to) {
    V *restrict spins = state->spins, *restrict fields = state->fields;
    int moved = 0;
    for (int64_t i = from; i < to; i++) {
        V d[PARTS], any = {0}, zero = {0};
        for (int k = 0; k < PARTS; k++) {
            V accepted = GREATER(SIGNED(fields[i * PARTS + k], spins[i * PARTS + k]), zero);
            any = OR(any, accepted);
            d[k] = AND(accepted, spins[i * PARTS + k]);
        }
        if (!ANY_BITS(any)) continue;
        moved = 1;
        NAME(turn)(spins, fields, state->p, i, d);
    }
    return moved;
}

static void NAME(energy)(const kg_lanes *state, int from, int to, double *energy) {
    const kg_ising *p = state->p;
    for (int first = from; first < to; first += FLUSH) {
        int last = first + FLUSH < to ? first + FLUSH : to;
        WIDE sum[LANES] = {0};
        for (int i = first; i < last; i++) {
            const T *s = (const T *)state->spins + (int64_t)i * LANES;
            const T *f = (const T *)state->fields + (int64_t)i * LANES;
            WIDE h = (WIDE)p->field[i];
            for (int l = 0; l < LANES; l++) sum[l] = (WIDE)(sum[l] + (WIDE)s[l] * ((WIDE)f[l] + h));
        }
        for (int l = 0; l < LANES; l++) energy[l] += (double)sum[l];
    }
}

static void NAME(thresholds)(kg_lanes *state, const float *restrict exponentials, int count, const float *scale) {
    T *restrict out = state->thresholds;
    for (int k = 0; k < count; k += LANES)
        for (int l = 0; l < LANES; l++) {
            float t = exponentials[k + l] * scale[l];
#if FLOATING
            out[k + l] = -t;
#else
            t = t < (float)LIMIT ? t : (float)LIMIT; /* s f >= -floor(t), as a strict comparison */
            out[k + l] = (T)(-(int32_t)t - 1);
#endif
        }
}

#undef T
#undef LANES
#undef WIDE
#undef FLUSH
#undef FLOATING
#undef LIMIT
#undef NAME
#undef V
#undef PARTS
#undef SIGNED
#undef GREATER
#undef OR
#undef AND
#undef BROADCAST
