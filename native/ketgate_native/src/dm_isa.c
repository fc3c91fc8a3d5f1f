#include "dm_isa.h"

#include <stdlib.h>
#include <string.h>

const kg_dm_isa *kg_dm_isa_named(const char *name) {
#if defined(__x86_64__)
    const kg_dm_isa *known[] = {&kg_dm_isa_avx512, &kg_dm_isa_avx2, &kg_dm_isa_base};
#else
    const kg_dm_isa *known[] = {&kg_dm_isa_base};
#endif
    for (unsigned k = 0; k < sizeof known / sizeof *known; k++)
        if (known[k]->supported() && (!name || !strcmp(name, known[k]->name))) return known[k];
    return NULL;
}

static void insert(kg_gather *g, int position) {
    int at = g->taken++;
    for (; at > 0 && g->position[at - 1] > position; at--) g->position[at] = g->position[at - 1];
    g->position[at] = position;
}

void kg_gather_make(kg_gather *g, int bits, const int32_t *targets, int count, const int32_t *controls, int control_count,
                    uint64_t control_values) {
    g->dim = 1 << count;
    g->taken = 0;
    g->fixed = 0;
    for (int t = 0; t < count; t++) insert(g, targets[t]);
    for (int c = 0; c < control_count; c++) {
        insert(g, controls[c]);
        if ((control_values >> c) & 1) g->fixed |= (size_t)1 << controls[c];
    }
    g->outer = (size_t)1 << (bits - g->taken);
    for (int d = 0; d < g->dim; d++) {
        size_t offset = 0;
        for (int t = 0; t < count; t++) offset |= (size_t)((d >> t) & 1) << targets[t];
        g->offset[d] = offset;
    }
}

int kg_rows_init(kg_rows *m, int dim, int complex_entries) {
    size_t most = (size_t)dim * (size_t)dim;
    m->start = malloc(((size_t)dim + 1) * sizeof *m->start);
    m->column = malloc(most * sizeof *m->column);
    m->real = malloc(most * sizeof *m->real);
    m->imaginary = complex_entries ? malloc(most * sizeof *m->imaginary) : NULL;
    if (m->start && m->column && m->real && (m->imaginary || !complex_entries)) return 0;
    kg_rows_free(m);
    return -1;
}

void kg_rows_free(kg_rows *m) {
    free(m->start), free(m->column), free(m->real), free(m->imaginary);
    memset(m, 0, sizeof *m);
}

void kg_rows_real(kg_rows *m, int dim, const double *matrix) {
    int32_t count = 0;
    for (int r = 0; r < dim; r++) {
        m->start[r] = count;
        for (int c = 0; c < dim; c++)
            if (matrix[(size_t)r * dim + c] != 0.0) {
                m->column[count] = c;
                m->real[count++] = matrix[(size_t)r * dim + c];
            }
    }
    m->start[dim] = count;
}

void kg_rows_complex(kg_rows *m, int dim, const double *matrix) {
    int32_t count = 0;
    for (int r = 0; r < dim; r++) {
        m->start[r] = count;
        for (int c = 0; c < dim; c++) {
            const double *entry = matrix + 2 * ((size_t)r * dim + c);
            if (entry[0] == 0.0 && entry[1] == 0.0) continue;
            m->column[count] = c;
            m->real[count] = entry[0];
            m->imaginary[count++] = entry[1];
        }
    }
    m->start[dim] = count;
}
