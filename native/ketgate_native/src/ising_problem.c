/* Building the layouts of a problem, and float64 energies. */
#include "ising_making.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DENSE_MAX = 8192, ALIGN = 64, EXPONENT_MAX = 20 };
/* Above this density one row as SIMD vectors is cheaper than a list of neighbours: measured on random graphs. */
static const double DENSE_FROM = 0.06;
static const double EXACT_FLOAT = 16777216.0; /* 2^24 */

static void *aligned(int64_t bytes) {
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    return aligned_alloc(ALIGN, bytes ? (size_t)bytes : ALIGN);
}

void kg_ising_free(kg_ising *p) {
    free(p->linear);
    free(p->above);
    free(p->col);
    free(p->weight);
    free(p->field);
    free(p->start);
    free(p->edges);
    free(p->weight32);
    free(p->rows);
    free(p->field_up);
    memset(p, 0, sizeof *p);
}

int64_t kg_ising_pairs(const kg_ising *p) { return p->above ? p->above[p->n] : 0; }

double kg_ising_energy(const kg_ising *p, const int8_t *spins) {
    double total = 0.0;
    for (int i = 0; i < p->n; i++) {
        double field = p->linear[i];
        for (int64_t e = p->above[i]; e < p->above[i + 1]; e++) field += p->weight[e] * spins[p->col[e]];
        total += spins[i] * field;
    }
    return p->offset + total;
}

static double over_weights(const kg_ising *p, int64_t k) { /* weights, then fields */
    int64_t pairs = p->above[p->n];
    return k < pairs ? p->weight[k] : p->linear[k - pairs];
}

/* Largest unit of the form 2^-e * g that makes everything an integer, or 0. */
static double common_unit(const kg_ising *p, double magnitude, kg_monitor *monitor) {
    int64_t count = p->above[p->n] + p->n;
    double scale = 1.0;
    for (int64_t k = 0; k < count; k++) {
        double w = over_weights(p, k);
        while (scale * w != floor(scale * w))
            if ((scale *= 2.0) > (double)(1 << EXPONENT_MAX)) return 0.0;
        if (scale * magnitude > 0x1p52 || kg_poll(monitor, k)) return 0.0;
    }
    int64_t divisor = 0;
    for (int64_t k = 0; k < count && divisor != 1; k++) {
        int64_t a = llabs((int64_t)(over_weights(p, k) * scale)), b = divisor;
        while (b) {
            int64_t t = a % b;
            a = b, b = t;
        }
        divisor = a;
    }
    return divisor ? (double)divisor / scale : 1.0;
}

static uint32_t lane_bits(kg_lane lane, double value) {
    if (lane == KG_INT8) return (uint32_t)(uint8_t)(int8_t)(int)value * 0x01010101u;
    if (lane == KG_INT16) return (uint32_t)(uint16_t)(int16_t)(int)value * 0x00010001u;
    float f = (float)value;
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return bits;
}

/* Both directions of every coupling, each row sorted: those to smaller indices are the couplings sorted by the larger
 * one, so that everything is read and written from front to back. */
static int fill_sparse(kg_ising *p, kg_making *m) {
    int n = p->n;
    int64_t pairs = m->count;
    if (!m->spare) m->spare = malloc(((size_t)pairs + 1) * sizeof *m->spare);
    if (!m->spare) return KG_BUILD_NO_MEMORY;
    if (kg_entries_sort(&m->entries, &m->spare, pairs, n, KG_BY_HIGH, m->monitor)) return KG_BUILD_STOPPED;
    free(m->spare), m->spare = NULL;
    p->start = malloc(((size_t)n + 1) * sizeof *p->start);
    p->edges = aligned(2 * pairs * (int64_t)sizeof *p->edges);
    p->weight32 = aligned(2 * pairs * (int64_t)sizeof *p->weight32);
    if (!p->start || !p->edges || !p->weight32) return KG_BUILD_NO_MEMORY;
    int64_t at = 0, below = 0;
    for (int i = 0; i < n; i++) {
        p->start[i] = at;
        int64_t above = p->above[i], last = p->above[i + 1];
        while ((below < pairs && m->entries[below].high == i) || above < last) {
            int up = below == pairs || m->entries[below].high != i;
            double value = (up ? p->weight[above] : m->entries[below].weight) / p->unit;
            p->weight32[at] = (float)value;
            p->edges[at++] = (kg_edge){up ? p->col[above] : m->entries[below].low, lane_bits(p->lane, 2.0 * value)};
            if (up) above++;
            else below++;
            if (kg_poll(m->monitor, at)) return KG_BUILD_STOPPED;
        }
    }
    p->start[n] = at;
    return KG_BUILD_OK;
}

static int fill_dense(kg_ising *p, kg_making *m) {
    int n = p->n;
    free(m->entries), free(m->spare);
    m->entries = m->spare = NULL;
    int size = p->lane == KG_INT8 ? 1 : p->lane == KG_INT16 ? 2 : 4;
    p->stride = (n + ALIGN - 1) / ALIGN * ALIGN;
    p->rows = aligned(p->stride * n * size);
    p->field_up = aligned(p->stride * (int64_t)sizeof *p->field_up);
    double *sum = malloc((size_t)p->stride * sizeof *sum);
    if (!p->rows || !p->field_up || !sum) return free(sum), KG_BUILD_NO_MEMORY;
    memset(p->rows, 0, (size_t)(p->stride * n * size));
    for (int i = 0; i < p->stride; i++) sum[i] = i < n ? p->linear[i] / p->unit : -INFINITY;
    for (int i = 0; i < n; i++)
        for (int64_t e = p->above[i]; e < p->above[i + 1]; e++) {
            int64_t a = i * p->stride + p->col[e], b = p->col[e] * p->stride + i;
            double value = p->weight[e] / p->unit;
            if (size == 1) ((int8_t *)p->rows)[a] = ((int8_t *)p->rows)[b] = (int8_t)value;
            else if (size == 2) ((int16_t *)p->rows)[a] = ((int16_t *)p->rows)[b] = (int16_t)value;
            else ((float *)p->rows)[a] = ((float *)p->rows)[b] = (float)value;
            sum[i] += value, sum[p->col[e]] += value;
            if (kg_poll(m->monitor, e)) return free(sum), KG_BUILD_STOPPED;
        }
    for (int i = 0; i < p->stride; i++) {
        p->field_up[i] = (float)sum[i];
        if (i < n) p->search_energy_up += 0.5 * (sum[i] + p->linear[i] / p->unit);
    }
    free(sum);
    return KG_BUILD_OK;
}

/* Hot: well above the freezing of a spin in its typical field (root: the root of the sum of squares). Cold: an
 * excitation by the smallest scale of a typical spin is refused but for a few in a thousand; the descent does the rest.
 * The factors were measured on G-set and OR-Library instances, and on Gaussian weights. */
static void default_betas(kg_ising *p, const kg_making *m) {
    double mean = 0.0, inverse = 0.0;
    int active = 0;
    for (int i = 0; i < p->n; i++) {
        const struct kg_spin *s = &m->spins[i];
        if (s->reach == 0.0) continue;
        active++;
        mean += s->root / p->unit;
        inverse += p->unit / fmax(s->least, 0.25 * s->root);
    }
    p->beta_hot = p->beta_cold = 1.0f;
    if (!active) return;
    mean /= active, inverse /= active;
    p->beta_hot = (float)(1.0 / mean);
    p->beta_cold = (float)fmin(fmax(3.5 * inverse, 4.0 * p->beta_hot), 100.0 * p->beta_hot);
}

static void touch(struct kg_spin *s, double magnitude, double scaled) {
    s->reach += magnitude;
    s->root += scaled * scaled;
    s->least = fmin(s->least, magnitude);
}

/* Sums over every spin's couplings, in one pass: each step misses the cache. */
static int measure(kg_ising *p, kg_making *m, int binary) {
    int exponent;
    frexp(m->weight_max, &exponent);
    double scale = ldexp(0.5, exponent); /* squares of huge weights must not overflow */
    for (int i = 0; i < p->n; i++)
        for (int64_t e = p->above[i]; e < p->above[i + 1]; e++) {
            double weight = p->weight[e], magnitude = fabs(weight), scaled = magnitude / scale;
            struct kg_spin *a = &m->spins[i], *b = &m->spins[p->col[e]];
            touch(a, magnitude, scaled), touch(b, magnitude, scaled);
            if (binary) a->field += weight, b->field += weight;
            if (kg_poll(m->monitor, e)) return KG_BUILD_STOPPED;
        }
    for (int i = 0; i < p->n; i++) {
        struct kg_spin *s = &m->spins[i];
        double field = fabs(s->field);
        s->reach += field;
        s->root = hypot(scale * sqrt(s->root), field);
        if (field != 0.0) s->least = fmin(s->least, field);
        p->linear[i] = s->field;
        if (kg_poll(m->monitor, i)) return KG_BUILD_STOPPED;
    }
    return KG_BUILD_OK;
}

static int choose(kg_ising *p, const kg_making *m) {
    int n = p->n;
    double reach_max = 0.0, weight_max = 0.0, total = fabs(p->offset);
    for (int i = 0; i < n; i++) total += m->spins[i].reach, reach_max = fmax(reach_max, m->spins[i].reach);
    for (int64_t e = 0; e < m->count; e++) weight_max = fmax(weight_max, fabs(p->weight[e]));
    if (!(total <= 1e300)) return KG_BUILD_TOO_LARGE;
    double unit = common_unit(p, total, m->monitor), limit = unit ? reach_max / unit : INFINITY;
    p->integer = limit <= EXACT_FLOAT;
    p->unit = p->integer ? unit : reach_max;
    double pairs = (double)m->count;
    p->dense = n <= DENSE_MAX && n >= 32 && pairs > DENSE_FROM * 0.5 * n * (n - 1.0);
    if (p->dense) limit = unit ? weight_max / unit : INFINITY;
    p->lane = !p->integer ? KG_FLOAT32 : limit <= 127.0 ? KG_INT8 : limit <= 32767.0 ? KG_INT16 : KG_FLOAT32;
    default_betas(p, m);
    return m->monitor && kg_should_stop(m->monitor) ? KG_BUILD_STOPPED : KG_BUILD_OK;
}

static int energy_all_up(kg_ising *p) { /* in the order of kg_ising_energy, to the last bit */
    int8_t *up = malloc((size_t)p->n + 1);
    if (!up) return KG_BUILD_NO_MEMORY;
    memset(up, 1, (size_t)p->n + 1);
    p->energy_all_up = kg_ising_energy(p, up);
    free(up);
    return KG_BUILD_OK;
}

static int make(kg_ising *p, kg_making *m, const kg_ising_input *in, int64_t *at) {
    int result = kg_making_take(p, m, in, at);
    if (result == KG_BUILD_OK) result = kg_making_compress(p, m);
    if (result != KG_BUILD_OK) return result;
    p->linear = malloc(((size_t)p->n + 1) * sizeof *p->linear);
    p->field = aligned((p->n + ALIGN) * (int64_t)sizeof *p->field);
    if (!p->linear || !p->field) return KG_BUILD_NO_MEMORY;
    result = measure(p, m, in->binary);
    if (result == KG_BUILD_OK) result = choose(p, m);
    if (result != KG_BUILD_OK) return result;
    memset(p->field, 0, ((size_t)p->n + ALIGN) * sizeof *p->field);
    for (int i = 0; i < p->n; i++) p->field[i] = (float)(p->linear[i] / p->unit);
    result = p->dense ? fill_dense(p, m) : fill_sparse(p, m);
    return result == KG_BUILD_OK ? energy_all_up(p) : result;
}

int kg_ising_build(kg_ising *p, const kg_ising_input *in, kg_monitor *monitor, int64_t *at) {
    kg_making m = {.monitor = monitor};
    memset(p, 0, sizeof *p);
    p->n = in->n;
    int result = make(p, &m, in, at);
    free(m.entries), free(m.spare), free(m.spins);
    return result;
}
