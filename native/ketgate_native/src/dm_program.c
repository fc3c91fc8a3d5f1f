/* Whether a program of trajectories is sound: no index leaves its array, and every program ends. */
#include "dm_trajectory.h"

static int within(int64_t from, int64_t count, int64_t length) {
    return from >= 0 && count >= 0 && from <= length && count <= length - from;
}

static int channel_sound(const kg_program *p, const int64_t *row) {
    int64_t targets = row[KG_TARGETS], controls = row[KG_CONTROLS], branches = row[KG_BRANCHES];
    if (targets < 0 || targets > KG_UNITARY_QUBITS_MAX || controls < 0 || controls > p->qubits - targets) return 0;
    if (branches < 1 || branches > KG_BRANCHES_MAX || !within(row[KG_QUBITS], targets + controls, p->number_count)) return 0;
    uint64_t seen = 0;
    for (int64_t k = 0; k < targets + controls; k++) {
        int32_t qubit = p->numbers[row[KG_QUBITS] + k];
        if (qubit < 0 || qubit >= p->qubits || (seen >> qubit) & 1) return 0;
        seen |= (uint64_t)1 << qubit;
    }
    int64_t entries = branches << (2 * targets);
    if (!within(row[KG_MATRICES], entries, p->matrix_count)) return 0;
    if (row[KG_RECORD] >= p->bits || (row[KG_RECORD] >= 0 && branches != 2)) return 0;
    if (branches == 1) return 1;
    if (controls || targets > KG_CHANNEL_QUBITS_MAX) return 0;
    if (row[KG_NORM_FREE]) return within(row[KG_WEIGHTS], branches, p->weight_count);
    return within(row[KG_WEIGHTS], 1, p->weight_count) && within(row[KG_EFFECTS], entries, p->effect_count);
}

static int branch_sound(const kg_program *p, const int64_t *row) {
    if (!within(row[KG_BITS], row[KG_BIT_COUNT], p->number_count) || row[KG_BIT_COUNT] > 63) return 0;
    for (int64_t k = 0; k < row[KG_BIT_COUNT]; k++) {
        int32_t bit = p->numbers[row[KG_BITS] + k];
        if (bit < 0 || bit >= p->bits) return 0;
    }
    return row[KG_COMPARISON] >= 0 && row[KG_COMPARISON] <= 5 && row[KG_VALUE] >= 0;
}

int64_t kg_program_check(const kg_program *p) {
    for (int64_t step = 0; step < p->steps; step++) {
        const int64_t *row = p->table + step * KG_COLUMNS;
        int sound;
        switch (row[KG_KIND]) {
        case KG_STEP_CHANNEL: sound = channel_sound(p, row); break;
        case KG_STEP_BRANCH: sound = branch_sound(p, row) && row[KG_JUMP] > step && row[KG_JUMP] <= p->steps; break;
        case KG_STEP_JUMP: sound = row[KG_JUMP] > step && row[KG_JUMP] <= p->steps; break;
        default: sound = 0;
        }
        if (!sound) return step;
    }
    return -1;
}
