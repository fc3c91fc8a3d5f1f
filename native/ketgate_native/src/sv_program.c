/* The making of a program: its memory, its gates as they are given, and the order of the steps to an executable one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sv_isa.h"

struct kg_sv_arena_part {
    struct kg_sv_arena_part *next;
    size_t used, size;
    char *bytes;
};

enum { PART_BYTES = 1 << 16, ALIGNMENT = 64 };

void *kg_sv_take(kg_sv_arena *arena, size_t bytes) {
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct kg_sv_arena_part *part = arena->parts;
    if (!part || part->size - part->used < bytes) {
        size_t size = bytes > PART_BYTES ? bytes : PART_BYTES;
        part = malloc(sizeof *part);
        if (part && posix_memalign((void **)&part->bytes, ALIGNMENT, size)) free(part), part = NULL;
        if (!part) {
            arena->failed = 1;
            return NULL;
        }
        part->used = 0, part->size = size, part->next = arena->parts;
        arena->parts = part;
        arena->bytes += size;
    }
    void *taken = part->bytes + part->used;
    part->used += bytes;
    return memset(taken, 0, bytes);
}

void kg_sv_arena_free(kg_sv_arena *arena) {
    while (arena->parts) {
        struct kg_sv_arena_part *next = arena->parts->next;
        free(arena->parts->bytes);
        free(arena->parts);
        arena->parts = next;
    }
}

int kg_sv_program_init(kg_sv_program *p, int qubits, kg_sv_precision precision, const char *isa, int capacity, int fuse,
                       int relabel) {
    memset(p, 0, sizeof *p);
    p->qubits = qubits;
    p->precision = precision;
    p->isa = kg_sv_isa_named(isa);
    p->capacity = capacity;
    p->fuse = fuse;
    p->relabel = relabel;
    for (int q = 0; q < qubits; q++) p->layout[q] = (uint8_t)q;
    p->gate = kg_sv_take(&p->arena, (size_t)(capacity ? capacity : 1) * sizeof *p->gate);
    return p->arena.failed ? KG_SV_NO_MEMORY : KG_SV_OK;
}

void kg_sv_program_free(kg_sv_program *p) {
    kg_sv_arena_free(&p->arena);
    memset(p, 0, sizeof *p);
}

static uint64_t stored(const kg_sv_program *p, uint64_t mask) {
    uint64_t out = 0;
    for (; mask; mask &= mask - 1) out |= (uint64_t)1 << p->layout[__builtin_ctzll(mask)];
    return out;
}

int kg_sv_program_add(kg_sv_program *p, const uint8_t *target, int count, uint64_t control, uint64_t value, int diagonal,
                      const double *matrix, int slots, const double *generators) {
    kg_sv_gate *gate = &p->gate[p->gates];
    size_t numbers = (size_t)2 << (diagonal ? count : 2 * count);
    *gate = (kg_sv_gate){.control = stored(p, control), .value = stored(p, value), .count = count, .diagonal = diagonal,
                         .slots = slots, .slot = p->slots, .next = -1};
    for (int k = 0; k < count; k++) {
        gate->target[k] = p->layout[target[k]];
        gate->targets |= (uint64_t)1 << gate->target[k];
    }
    gate->matrix = kg_sv_take(&p->arena, numbers * sizeof(double));
    gate->generators = slots ? kg_sv_take(&p->arena, numbers * (size_t)slots * sizeof(double)) : NULL;
    if (p->arena.failed) return KG_SV_NO_MEMORY;
    memcpy(gate->matrix, matrix, numbers * sizeof(double));
    if (slots) memcpy(gate->generators, generators, numbers * (size_t)slots * sizeof(double));
    p->slots += slots;
    if (p->relabel && kg_sv_is_swap(gate)) {
        uint8_t first = p->layout[target[0]];
        p->layout[target[0]] = p->layout[target[1]];
        p->layout[target[1]] = first;
        return KG_SV_OK;
    }
    kg_sv_simplify(gate, 0.0);
    if (!kg_sv_is_identity(gate)) p->gates++;
    return KG_SV_OK;
}

int kg_sv_program_finish(kg_sv_program *p, int backward) {
    enum { IN_PLACE_BITS = 15, BLOCK_BITS = 15, GRADIENT_BLOCK_BITS = 14 };
    int wanted = (backward ? GRADIENT_BLOCK_BITS : BLOCK_BITS) + (p->precision == KG_SV_SINGLE);
    int stored_qubits = p->qubits > KG_SV_QUBITS_MIN ? p->qubits : KG_SV_QUBITS_MIN;
    p->block_bits = stored_qubits <= IN_PLACE_BITS ? stored_qubits : wanted;
    if (p->block_bits > stored_qubits - 2 && stored_qubits > IN_PLACE_BITS) p->block_bits = stored_qubits - 2;
    p->cluster = kg_sv_take(&p->arena, (size_t)(p->gates ? p->gates : 1) * sizeof *p->cluster);
    if (p->arena.failed) return KG_SV_NO_MEMORY;
    kg_sv_fuse(p);
    kg_sv_cluster_matrices(p);
    if (p->arena.failed) return KG_SV_NO_MEMORY;
    kg_sv_plan_passes(p, &p->forward, 0);
    if (backward && !p->arena.failed) kg_sv_plan_passes(p, &p->backward, 1);
    return p->arena.failed ? KG_SV_NO_MEMORY : KG_SV_OK;
}
