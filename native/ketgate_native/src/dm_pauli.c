#include "dm_pauli.h"

#include <stdlib.h>

#include "parallel.h"

/* Below this many numbers a thread costs more to start than it saves. */
enum { PARALLEL_FROM = 1 << 17, PIECES = 16 };

typedef struct {
    double *vector, *scratch; /* scratch: one slice a piece */
    size_t slice;
    const kg_gather *gather;
    const kg_rows *rows;
    const kg_dm_isa *isa;
    int pieces;
} piece_job;

static void run_piece(void *context, int index) {
    piece_job *job = context;
    size_t lanes = (job->gather->outer + KG_DM_LANES - 1) / KG_DM_LANES;
    size_t from = lanes * (size_t)index / (size_t)job->pieces * KG_DM_LANES;
    size_t to = lanes * ((size_t)index + 1) / (size_t)job->pieces * KG_DM_LANES;
    if (to > job->gather->outer) to = job->gather->outer;
    job->isa->real_apply(job->vector, job->gather, job->rows, from, to, job->scratch + job->slice * (size_t)index);
}

int kg_pauli_apply(double *vector, const kg_pauli_maps *maps, int threads, const kg_dm_isa *isa, kg_monitor *monitor) {
    size_t dim_max = (size_t)1 << (2 * maps->size_max);
    size_t numbers = (size_t)1 << (2 * maps->qubits);
    kg_gather *gather = malloc(sizeof *gather);
    kg_rows rows;
    piece_job job = {.vector = vector, .slice = dim_max * KG_DM_LANES, .gather = gather, .rows = &rows, .isa = isa};
    job.pieces = threads > 1 && numbers >= PARALLEL_FROM ? PIECES : 1;
    job.scratch = aligned_alloc(64, job.slice * (size_t)job.pieces * sizeof(double));
    int failed = kg_rows_init(&rows, (int)dim_max, 0);
    if (failed || !gather || !job.scratch) {
        if (!failed) kg_rows_free(&rows);
        free(gather), free(job.scratch);
        return KG_PAULI_NO_MEMORY;
    }
    int status = KG_PAULI_DONE;
    const int32_t *on = maps->on;
    const double *matrix = maps->matrices;
    for (int64_t k = 0; k < maps->count; k++) {
        int size = maps->size[k], dim = 1 << (2 * size);
        int32_t bits[KG_DM_BITS_MAX];
        if (monitor && kg_should_stop(monitor)) {
            status = KG_PAULI_STOPPED;
            break;
        }
        for (int j = 0; j < size; j++) bits[2 * j] = 2 * on[j], bits[2 * j + 1] = 2 * on[j] + 1;
        kg_gather_make(gather, 2 * maps->qubits, bits, 2 * size, NULL, 0, 0);
        kg_rows_real(&rows, dim, matrix);
        kg_parallel_for(threads, job.pieces, run_piece, &job);
        on += size;
        matrix += (size_t)dim * (size_t)dim;
    }
    kg_rows_free(&rows);
    free(gather), free(job.scratch);
    return status;
}
