/* Building the layouts of a problem, and float64 energies. */
#include "ising.h"

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

/* Entries into rows of the smaller index, each row sorted by column (two counting sorts), duplicates summed. */
static int compress(kg_ising *p, int64_t count, const int32_t *row, const int32_t *col, const double *weight) {
    int n = p->n;
    int64_t *at = calloc((size_t)n + 1, sizeof *at);
    int32_t *low = malloc(((size_t)count + 1) * sizeof *low), *high = malloc(((size_t)count + 1) * sizeof *high);
    double *value = malloc(((size_t)count + 1) * sizeof *value);
    p->above = calloc((size_t)n + 1, sizeof *p->above);
    p->col = malloc(((size_t)count + 1) * sizeof *p->col);
    p->weight = malloc(((size_t)count + 1) * sizeof *p->weight);
    int ok = at && low && high && value && p->above && p->col && p->weight;
    if (ok) {
        for (int64_t k = 0; k < count; k++) {
            int a = row[k] < col[k] ? row[k] : col[k], b = row[k] < col[k] ? col[k] : row[k];
            at[b + 1]++;
            p->above[a + 1]++;
        }
        for (int i = 0; i < n; i++) {
            at[i + 1] += at[i];
            p->above[i + 1] += p->above[i];
        }
        for (int64_t k = 0; k < count; k++) { /* by the larger index */
            int a = row[k] < col[k] ? row[k] : col[k], b = row[k] < col[k] ? col[k] : row[k];
            int64_t t = at[b]++;
            low[t] = a, high[t] = b, value[t] = weight[k];
        }
        memcpy(at, p->above, ((size_t)n + 1) * sizeof *at);
        for (int64_t k = 0; k < count; k++) { /* stable, by the smaller one */
            int64_t t = at[low[k]]++;
            p->col[t] = high[k], p->weight[t] = value[k];
        }
        int64_t kept = 0, first = 0;
        for (int i = 0; i < n; i++) {
            int64_t last = p->above[i + 1];
            p->above[i] = kept;
            for (int64_t k = first; k < last;) {
                int32_t j = p->col[k];
                double sum = 0.0;
                while (k < last && p->col[k] == j) sum += p->weight[k++];
                if (sum != 0.0) p->col[kept] = j, p->weight[kept++] = sum;
            }
            first = last;
        }
        p->above[n] = kept;
    }
    free(at), free(low), free(high), free(value);
    return ok ? KG_BUILD_OK : KG_BUILD_NO_MEMORY;
}

static double over_weights(const kg_ising *p, int64_t k) { /* weights, then fields */
    int64_t pairs = p->above[p->n];
    return k < pairs ? p->weight[k] : p->linear[k - pairs];
}

/* Largest unit of the form 2^-e * g that makes everything an integer, or 0. */
static double common_unit(const kg_ising *p, double magnitude) {
    int64_t count = p->above[p->n] + p->n;
    double scale = 1.0;
    for (int64_t k = 0; k < count; k++) {
        double w = over_weights(p, k);
        while (scale * w != floor(scale * w))
            if ((scale *= 2.0) > (double)(1 << EXPONENT_MAX)) return 0.0;
        if (scale * magnitude > 0x1p52) return 0.0;
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

static int fill_sparse(kg_ising *p) {
    int n = p->n;
    int64_t pairs = p->above[n];
    p->start = calloc((size_t)n + 1, sizeof *p->start);
    p->edges = aligned(2 * pairs * (int64_t)sizeof *p->edges);
    p->weight32 = aligned(2 * pairs * (int64_t)sizeof *p->weight32);
    int64_t *at = malloc(((size_t)n + 1) * sizeof *at);
    if (!p->start || !p->edges || !p->weight32 || !at) return free(at), KG_BUILD_NO_MEMORY;
    for (int i = 0; i < n; i++)
        for (int64_t e = p->above[i]; e < p->above[i + 1]; e++) p->start[i + 1]++, p->start[p->col[e] + 1]++;
    for (int i = 0; i < n; i++) p->start[i + 1] += p->start[i];
    memcpy(at, p->start, ((size_t)n + 1) * sizeof *at);
    for (int i = 0; i < n; i++)
        for (int64_t e = p->above[i]; e < p->above[i + 1]; e++) {
            int j = p->col[e];
            double value = p->weight[e] / p->unit;
            uint32_t twice = lane_bits(p->lane, 2.0 * value);
            p->weight32[at[i]] = (float)value, p->edges[at[i]++] = (kg_edge){j, twice};
            p->weight32[at[j]] = (float)value, p->edges[at[j]++] = (kg_edge){i, twice};
        }
    free(at);
    return KG_BUILD_OK;
}

static int fill_dense(kg_ising *p) {
    int n = p->n;
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
static void default_betas(kg_ising *p, const double *reach, const double *root, const double *least) {
    double mean = 0.0, inverse = 0.0;
    int active = 0;
    for (int i = 0; i < p->n; i++) {
        if (reach[i] == 0.0) continue;
        active++;
        mean += root[i] / p->unit;
        inverse += p->unit / fmax(least[i], 0.25 * root[i]);
    }
    p->beta_hot = p->beta_cold = 1.0f;
    if (!active) return;
    mean /= active, inverse /= active;
    p->beta_hot = (float)(1.0 / mean);
    p->beta_cold = (float)fmin(fmax(3.5 * inverse, 4.0 * p->beta_hot), 100.0 * p->beta_hot);
}

static int choose(kg_ising *p) {
    int n = p->n;
    double *reach = calloc((size_t)n + 1, sizeof *reach), *root = calloc((size_t)n + 1, sizeof *root);
    double *least = malloc(((size_t)n + 1) * sizeof *least);
    if (!reach || !root || !least) {
        free(reach), free(root), free(least);
        return KG_BUILD_NO_MEMORY;
    }
    double weight_max = 0.0, reach_max = 0.0, total = fabs(p->offset);
    for (int i = 0; i < n; i++) least[i] = INFINITY;
    for (int i = 0; i < n; i++) {
        reach[i] += fabs(p->linear[i]);
        if (p->linear[i] != 0.0) least[i] = fmin(least[i], fabs(p->linear[i]));
        for (int64_t e = p->above[i]; e < p->above[i + 1]; e++) {
            double w = fabs(p->weight[e]);
            int j = p->col[e];
            weight_max = fmax(weight_max, w);
            reach[i] += w, reach[j] += w;
            least[i] = fmin(least[i], w), least[j] = fmin(least[j], w);
        }
    }
    for (int i = 0; i < n; i++) total += reach[i], reach_max = fmax(reach_max, reach[i]);
    int result = total <= 1e300 ? KG_BUILD_OK : KG_BUILD_TOO_LARGE;
    if (result == KG_BUILD_OK) {
        for (int i = 0; i < n; i++) { /* scaled: squares of huge weights must not overflow */
            double s = reach_max ? p->linear[i] / reach_max : 0.0;
            root[i] += s * s;
            for (int64_t e = p->above[i]; e < p->above[i + 1]; e++) {
                double w = p->weight[e] / reach_max;
                root[i] += w * w, root[p->col[e]] += w * w;
            }
        }
        for (int i = 0; i < n; i++) root[i] = reach_max * sqrt(root[i]);
        double unit = common_unit(p, total), limit = unit ? reach_max / unit : INFINITY;
        p->integer = limit <= EXACT_FLOAT;
        p->unit = p->integer ? unit : reach_max;
        double pairs = (double)p->above[n];
        p->dense = n <= DENSE_MAX && n >= 32 && pairs > DENSE_FROM * 0.5 * n * (n - 1.0);
        if (p->dense) limit = unit ? weight_max / unit : INFINITY;
        p->lane = !p->integer ? KG_FLOAT32 : limit <= 127.0 ? KG_INT8 : limit <= 32767.0 ? KG_INT16 : KG_FLOAT32;
        default_betas(p, reach, root, least);
    }
    free(reach), free(root), free(least);
    return result;
}

int kg_ising_build(kg_ising *p, int n, const double *linear, int64_t count, const int32_t *row, const int32_t *col,
                   const double *weight, double offset) {
    memset(p, 0, sizeof *p);
    p->n = n;
    p->offset = offset;
    p->linear = malloc(((size_t)n + 1) * sizeof *p->linear);
    p->field = aligned((n + ALIGN) * (int64_t)sizeof *p->field);
    if (!p->linear || !p->field) return KG_BUILD_NO_MEMORY;
    if (n) memcpy(p->linear, linear, (size_t)n * sizeof *linear);
    int result = compress(p, count, row, col, weight);
    if (result == KG_BUILD_OK) result = choose(p);
    if (result != KG_BUILD_OK) return result;
    memset(p->field, 0, ((size_t)n + ALIGN) * sizeof *p->field);
    double total = 0.0;
    for (int i = 0; i < n; i++) {
        p->field[i] = (float)(p->linear[i] / p->unit);
        total += p->linear[i];
        for (int64_t e = p->above[i]; e < p->above[i + 1]; e++) total += p->weight[e];
    }
    result = p->dense ? fill_dense(p) : fill_sparse(p);
    if (result != KG_BUILD_OK) return result;
    int8_t *up = malloc((size_t)n + 1); /* in the order of kg_ising_energy, to the last bit */
    if (!up) return KG_BUILD_NO_MEMORY;
    memset(up, 1, (size_t)n + 1);
    p->energy_all_up = kg_ising_energy(p, up);
    free(up);
    return KG_BUILD_OK;
}
