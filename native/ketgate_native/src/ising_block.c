#include "ising_block.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    SEGMENT = 1 << 18,    /* vector operations between two looks at the monitor: well below a millisecond */
    DESCENTS_MAX = 200,   /* float32 rounding could otherwise turn a descent into a cycle */
    REFRESH_SWEEPS = 256, /* float32 fields are summed anew, before rounding adds up */
};

static int lane_size(const kg_ising *p) { return p->lane == KG_INT8 ? 1 : p->lane == KG_INT16 ? 2 : 4; }

int kg_block_lanes(const kg_run *run) { return run->p->dense ? 1 : run->isa->lanes[run->p->lane]; }

static int clamp(int64_t x, int low, int high) { return x < low ? low : x > high ? high : (int)x; }

static void *aligned(size_t bytes) { return aligned_alloc(64, (bytes + 64) / 64 * 64); }

int kg_block_init(kg_block *b, kg_run *run, uint64_t stream) {
    const kg_ising *p = run->p;
    memset(b, 0, sizeof *b);
    b->run = run;
    b->lanes = kg_block_lanes(run);
    b->rng = kg_rng_stream(run->seed, stream);
    b->random = kg_rng_next(&b->rng);
    size_t n = (size_t)p->n;
    b->spins = malloc(n + 1);
    int ok = b->spins != NULL;
    if (p->dense) {
        b->pool = 2 * (int)p->stride + 1024;
        b->thresholds = (int)p->stride;
        b->row.p = p;
        b->row.spins = aligned((size_t)p->stride * sizeof(float));
        b->row.fields = aligned((size_t)p->stride * sizeof(float));
        ok = ok && b->row.spins && b->row.fields;
    } else {
        b->thresholds = clamp((int64_t)p->n * b->lanes / 16, 512, 4096) / b->lanes * b->lanes;
        b->pool = 4 * b->thresholds;
        size_t bytes = (n + 1) * (size_t)b->lanes * (size_t)lane_size(p);
        b->state.p = p;
        b->state.spins = aligned(bytes);
        b->state.fields = aligned(bytes);
        b->state.thresholds = aligned((size_t)b->thresholds * (size_t)lane_size(p));
        ok = ok && b->state.spins && b->state.fields && b->state.thresholds;
    }
    b->exponentials = aligned((size_t)b->pool * sizeof(float));
    if (!ok || !b->exponentials) {
        kg_block_free(b);
        atomic_store(&run->no_memory, 1);
        return -1;
    }
    kg_exponentials(b->exponentials, b->pool, &b->rng);
    return 0;
}

void kg_block_free(kg_block *b) {
    free(b->spins), free(b->row.spins), free(b->row.fields);
    free(b->state.spins), free(b->state.fields), free(b->state.thresholds), free(b->exponentials);
    memset(b, 0, sizeof *b);
}

static int row_fields(kg_block *b) { /* by turning the down spins from the all-up state */
    const kg_ising *p = b->run->p;
    memcpy(b->row.fields, p->field_up, (size_t)p->stride * sizeof(float));
    for (int i = 0; i < p->stride; i++) b->row.spins[i] = 1.0f;
    b->row.energy = p->search_energy_up;
    for (int i = 0; i < p->n; i++) {
        if (b->spins[i] < 0) b->run->isa->rows_flip[p->lane](&b->row, i);
        if (i % 64 == 63 && kg_run_stopped(b->run)) return 0;
    }
    return 1;
}

/* Applies f to segments of the spins, looking at the monitor between them. */
static int segment_length(const kg_ising *p) {
    if (p->dense) return clamp(SEGMENT / p->stride * 16, KG_CHUNK, 1 << 20) / KG_CHUNK * KG_CHUNK;
    int64_t per_spin = 4 + (p->n ? p->start[p->n] / p->n : 0);
    return clamp(SEGMENT / per_spin, KG_CHUNK, 1 << 20);
}

static int lane_fields(kg_block *b) {
    const kg_ising *p = b->run->p;
    int step = segment_length(p);
    for (int i = 0; i < p->n; i += step) {
        b->run->isa->lanes_start[p->lane](&b->state, i, i + step < p->n ? i + step : p->n);
        if (kg_run_stopped(b->run)) return 0;
    }
    return 1;
}

static void set_lane(kg_block *b, int lane, const int8_t *spins) {
    const kg_ising *p = b->run->p;
    for (int64_t i = 0; i < p->n; i++) {
        int64_t at = i * b->lanes + lane;
        if (p->lane == KG_INT8) ((int8_t *)b->state.spins)[at] = spins[i];
        else if (p->lane == KG_INT16) ((int16_t *)b->state.spins)[at] = spins[i];
        else ((float *)b->state.spins)[at] = spins[i];
    }
}

void kg_block_read(kg_block *b, int lane, int8_t *spins) {
    const kg_ising *p = b->run->p;
    for (int64_t i = 0; i < p->n; i++) {
        int64_t at = i * b->lanes + lane;
        if (p->dense) spins[i] = (int8_t)b->row.spins[i];
        else if (p->lane == KG_INT8) spins[i] = ((int8_t *)b->state.spins)[at];
        else if (p->lane == KG_INT16) spins[i] = (int8_t)((int16_t *)b->state.spins)[at];
        else spins[i] = (int8_t)((float *)b->state.spins)[at];
    }
}

static void random_spins(kg_block *b) {
    uint64_t bits = 0;
    for (int i = 0; i < b->run->p->n; i++, bits >>= 1) {
        if (i % 64 == 0) bits = kg_rng_next(&b->rng);
        b->spins[i] = bits & 1 ? 1 : -1;
    }
}

int kg_block_start(kg_block *b, const int8_t *const *from) {
    for (int lane = 0; lane < b->lanes; lane++) {
        if (from && from[lane]) memcpy(b->spins, from[lane], (size_t)b->run->p->n);
        else random_spins(b);
        if (b->run->p->dense) return row_fields(b);
        set_lane(b, lane, b->spins);
        if (kg_run_stopped(b->run)) return 0;
    }
    return lane_fields(b);
}

int kg_block_load(kg_block *b, const int8_t *states) {
    for (int lane = 0; lane < b->lanes; lane++) {
        set_lane(b, lane, states + (int64_t)lane * b->run->p->n);
        if (kg_run_stopped(b->run)) return 0;
    }
    return lane_fields(b);
}

/* Renews a part of the pool of variates, and returns where this sweep reads. */
static const float *renew(kg_block *b) {
    int part = b->thresholds / 4 < 64 ? 64 : b->thresholds / 4;
    if (b->next + part > b->pool) b->next = 0;
    kg_exponentials(b->exponentials + b->next, part, &b->rng);
    b->next += part;
    return b->exponentials + kg_rng_below(&b->rng, (uint32_t)(b->pool - b->thresholds));
}

static int refresh_due(kg_block *b) { return !b->run->p->integer && ++b->sweeps % REFRESH_SWEEPS == 0; }

static int refresh(kg_block *b) {
    if (!b->run->p->dense) return lane_fields(b);
    kg_block_read(b, 0, b->spins);
    return row_fields(b);
}

int kg_block_sweep(kg_block *b, const float *half_temperature, int uniform) {
    const kg_ising *p = b->run->p;
    const kg_isa *isa = b->run->isa;
    const float *variates = renew(b);
    int step = segment_length(p);
    if (refresh_due(b) && !refresh(b)) return 0;
    if (!p->dense) {
        isa->lanes_thresholds[p->lane](&b->state, variates, b->thresholds, half_temperature);
        b->state.step = uniform ? 1 : (uint32_t)b->lanes;
        b->state.rows = uniform ? (uint32_t)(b->thresholds - b->lanes) : (uint32_t)(b->thresholds / b->lanes);
    }
    for (int i = 0; i < p->n; i += step) {
        int end = i + step < p->n ? i + step : p->n;
        if (p->dense) isa->rows_visit[p->lane](&b->row, i, end, variates, half_temperature[0]);
        else isa->lanes_visit[p->lane](&b->state, i, end, &b->random);
        atomic_fetch_add_explicit(&b->run->work, (int64_t)(end - i) * b->lanes, memory_order_relaxed);
        if (kg_run_stopped(b->run)) return 0;
    }
    return 1;
}

int kg_block_descend(kg_block *b) {
    const kg_ising *p = b->run->p;
    const kg_isa *isa = b->run->isa;
    int step = segment_length(p), moved = 1;
    for (int pass = 0; moved && pass < DESCENTS_MAX; pass++) {
        moved = 0;
        for (int i = 0; i < p->n; i += step) {
            int end = i + step < p->n ? i + step : p->n;
            if (p->dense) {
                double before = b->row.energy;
                isa->rows_visit[p->lane](&b->row, i, end, b->exponentials, 0.0f);
                moved |= b->row.energy != before;
            } else {
                moved |= isa->lanes_descend[p->lane](&b->state, i, end);
            }
            if (kg_run_stopped(b->run)) return 0;
        }
    }
    return 1;
}

void kg_block_measure(kg_block *b) {
    const kg_ising *p = b->run->p;
    if (p->dense) {
        b->energy[0] = b->row.energy;
        return;
    }
    for (int l = 0; l < b->lanes; l++) b->energy[l] = 0.0;
    b->run->isa->lanes_energy[p->lane](&b->state, 0, p->n, b->energy);
    for (int l = 0; l < b->lanes; l++) b->energy[l] *= 0.5;
}

void kg_block_offer_lowest(kg_block *b) {
    int low = 0;
    kg_block_measure(b);
    for (int l = 1; l < b->lanes; l++)
        if (b->energy[l] < b->energy[low]) low = l;
    /* Exact energies only: a rounded one beside a threshold that other threads move would make their timing matter. */
    const kg_ising *p = b->run->p;
    if (p->integer && p->offset + p->unit * b->energy[low] > kg_pool_threshold(b->run->pool)) return;
    kg_block_read(b, low, b->spins);
    kg_run_offer(b->run, b->spins, b->energy[low]);
}

void kg_block_offer(kg_block *b, int count) {
    const kg_ising *p = b->run->p;
    int order[KG_LANES_MAX];
    for (int l = 0; l < count; l++) {
        int k = l;
        for (; k > 0 && b->energy[order[k - 1]] > b->energy[l]; k--) order[k] = order[k - 1];
        order[k] = l;
    }
    for (int k = 0; k < count; k++) {
        double energy = b->energy[order[k]];
        if (p->integer && p->offset + p->unit * energy > kg_pool_threshold(b->run->pool)) break;
        /* Real weights: each look costs a pass over the couplings. After a stop there is no time for many. */
        if (!p->integer && k > 0 && kg_run_stopped(b->run)) break;
        kg_block_read(b, order[k], b->spins);
        kg_run_offer(b->run, b->spins, energy);
    }
}
