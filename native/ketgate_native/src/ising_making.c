#include "ising_making.h"

#include <math.h>
#include <stdlib.h>

/* Adds what it is given without losing what is small (Neumaier 1974). */
typedef struct {
    double sum, lost;
} careful;

static void add(careful *c, double value) {
    double sum = c->sum + value;
    c->lost += fabs(c->sum) >= fabs(value) ? (c->sum - sum) + value : (value - sum) + c->sum;
    c->sum = sum;
}

int kg_making_take(kg_ising *p, kg_making *m, const kg_ising_input *in, int64_t *at) {
    int n = in->n;
    careful shift = {in->offset, 0.0};
    m->entries = malloc(((size_t)in->count + 1) * sizeof *m->entries);
    m->spins = malloc(((size_t)n + 1) * sizeof *m->spins);
    if (!m->entries || !m->spins) return KG_BUILD_NO_MEMORY;
    for (int i = 0; i < n; i++) {
        if (!isfinite(in->linear[i])) return *at = i, KG_BUILD_LINEAR;
        double field = in->binary ? 0.5 * in->linear[i] : in->linear[i];
        m->spins[i] = (struct kg_spin){field, 0.0, 0.0, INFINITY};
        if (in->binary) add(&shift, field);
        if (kg_poll(m->monitor, i)) return KG_BUILD_STOPPED;
    }
    kg_entry last = {-1, -1, 0.0};
    m->sorted = 1;
    for (int64_t k = 0; k < in->count; k++) {
        int64_t i = in->row[k], j = in->col[k];
        double weight = in->weight[k];
        *at = k;
        if (i < 0 || i >= n) return KG_BUILD_ROW;
        if (j < 0 || j >= n) return KG_BUILD_COL;
        if (!isfinite(weight)) return KG_BUILD_WEIGHT;
        if (kg_poll(m->monitor, k)) return KG_BUILD_STOPPED;
        if (i == j && !in->binary) return KG_BUILD_TWICE;
        if (in->binary) weight *= i == j ? 0.5 : 0.25, add(&shift, weight);
        if (i == j) {
            m->spins[i].field += weight;
            continue;
        }
        kg_entry entry = {(int32_t)(i < j ? i : j), (int32_t)(i < j ? j : i), weight};
        m->sorted &= entry.low > last.low || (entry.low == last.low && entry.high >= last.high);
        m->weight_max = fmax(m->weight_max, fabs(weight));
        m->entries[m->count++] = last = entry;
    }
    p->offset = shift.sum + shift.lost;
    return isfinite(p->offset) ? KG_BUILD_OK : KG_BUILD_TOO_LARGE;
}

int kg_making_compress(kg_ising *p, kg_making *m) {
    if (!m->sorted) {
        m->spare = malloc(((size_t)m->count + 1) * sizeof *m->spare);
        if (!m->spare) return KG_BUILD_NO_MEMORY;
        if (kg_entries_sort(&m->entries, &m->spare, m->count, p->n, KG_BY_HIGH, m->monitor) ||
            kg_entries_sort(&m->entries, &m->spare, m->count, p->n, KG_BY_LOW, m->monitor))
            return KG_BUILD_STOPPED;
    }
    p->above = malloc(((size_t)p->n + 1) * sizeof *p->above);
    p->col = malloc(((size_t)m->count + 1) * sizeof *p->col);
    p->weight = malloc(((size_t)m->count + 1) * sizeof *p->weight);
    if (!p->above || !p->col || !p->weight) return KG_BUILD_NO_MEMORY;
    int64_t kept = 0, k = 0;
    for (int i = 0; i < p->n; i++) {
        p->above[i] = kept;
        while (k < m->count && m->entries[k].low == i) {
            kg_entry sum = {i, m->entries[k].high, 0.0};
            for (; k < m->count && m->entries[k].low == i && m->entries[k].high == sum.high; k++) {
                sum.weight += m->entries[k].weight;
                if (kg_poll(m->monitor, k)) return KG_BUILD_STOPPED;
            }
            if (sum.weight == 0.0) continue;
            p->col[kept] = sum.high, p->weight[kept] = sum.weight;
            m->entries[kept++] = sum; /* kept <= k: what it overwrites was read */
        }
    }
    p->above[p->n] = m->count = kept;
    return KG_BUILD_OK;
}
