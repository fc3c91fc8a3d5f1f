/* Passes over one tile, or over a tile and the one of all bits flipped. */

/* What a pass needs in the loops' own precision. */
typedef struct {
    REAL phase_inner[CELL_REALS] __attribute__((aligned(64)));
    REAL value_inner[KG_CELL] __attribute__((aligned(64)));
    REAL start_inner[KG_CELL] __attribute__((aligned(64)));
    REAL before[KG_QAOA_QUBITS_MAX], after[KG_QAOA_QUBITS_MAX];
    const kg_pass *pass;
    kg_scratch *scratch;
} frame;

static void pass_begin(const kg_pass *pass, kg_scratch *scratch) {
    frame *f = scratch->frame;
    f->pass = pass, f->scratch = scratch;
    for (int b = 0; b < pass->tiling->bits; b++) {
        f->before[b] = (REAL)pass->before.tangent[b];
        f->after[b] = (REAL)pass->after.tangent[b];
    }
    for (int c = 0; pass->phase && c < KG_CELL; c++) {
        REAL *at = f->phase_inner + c / LANES * 2 * LANES + c % LANES;
        at[0] = (REAL)pass->phase->cosine[c], at[LANES] = (REAL)-pass->phase->sine[c];
    }
    for (int c = 0; pass->observable && c < KG_CELL; c++) f->value_inner[c] = (REAL)pass->observable->inner[c];
    for (int c = 0; pass->fill && c < KG_CELL; c++) f->start_inner[c] = (REAL)pass->fill->inner[c];
}

/* Amplitudes of a tile in memory to its buffer, or back. Low tiles are worked on where they lie. */
static void move(const kg_tiling *tiling, int64_t tile, REAL *memory, REAL *buffer, int back) {
    const size_t rows = (size_t)1 << (tiling->bits - tiling->run), reals = (size_t)2 << tiling->run;
    REAL *at = memory + 2 * kg_tile_at(tiling, tile);
    for (size_t row = 0; row < rows; row++, buffer += reals) {
        REAL *there = at + 2 * (row << kg_row_shift(tiling));
        if (back)
            for (size_t k = 0; k < reals; k += LANES) *(vec *)(there + k) = *(vec *)(buffer + k);
        else
            for (size_t k = 0; k < reals; k += LANES) *(vec *)(buffer + k) = *(vec *)(there + k);
    }
}

INLINE int in_place(const kg_tiling *tiling) { return tiling->run == tiling->bits; }

static REAL *take(const kg_pass *pass, int64_t tile, void *memory, void *buffer, int copy) {
    if (in_place(pass->tiling) && !copy) return (REAL *)memory + 2 * kg_tile_at(pass->tiling, tile);
    if (!pass->fill) move(pass->tiling, tile, memory, buffer, 0);
    return buffer;
}

static void give(const kg_pass *pass, int64_t tile, void *memory, void *buffer, int copied) {
    if (!in_place(pass->tiling) || copied) move(pass->tiling, tile, memory, buffer, 1);
}

static void fill(const frame *f, int64_t tile, REAL *p) {
    const kg_pass *pass = f->pass;
    const kg_product *product = pass->fill;
    double outer = 1.0;
    for (int j = 0; j < pass->tiling->outer; j++) outer *= product->outer[j][(tile >> j) & 1];
    for (size_t t = 0; t < kg_cells(pass->tiling); t++) {
        vec rest = broadcast((REAL)(outer * product->rest[t]));
        for (int v = 0; v < CELL_VECTORS; v++, p += 2 * LANES)
            store(p, (amplitudes){rest * *(const vec *)(f->start_inner + v * LANES), {0}});
    }
}

/* The diagonal's table on a cell, in the order of the tile. */
static const double *table_row(const kg_cut *cut, int64_t tile, size_t cell, double *row) {
    const kg_tiling *tiling = cut->tiling;
    const double *at = cut->table + kg_tile_at(tiling, tile);
    if (in_place(tiling)) return at + cell * KG_CELL;
    const size_t run = (size_t)1 << tiling->run, rows = KG_CELL >> tiling->run;
    for (size_t r = 0; r < rows; r++)
        memcpy(row + r * run, at + ((cell * rows + r) << kg_row_shift(tiling)), run * sizeof *row);
    return row;
}

/* Angles of a tile's cells for a phase. */
static void begin_phase(const frame *f, int64_t tile) {
    const kg_cut *cut = f->pass->phase;
    kg_scratch *s = f->scratch;
    kg_cut_tile(cut, tile, s->field);
    ISA_SINCOS(kg_cells(cut->tiling) * (KG_CELL_BITS + 1), s->field, s->field_cosine, s->field_sine);
}

static void phase_at(const frame *f, int64_t tile, size_t cell, REAL *p, REAL *l) {
    const kg_cut *cut = f->pass->phase;
    const kg_scratch *s = f->scratch;
    const size_t at = cell * (KG_CELL_BITS + 1);
    cell_angles angles = {s->field + at, s->field_cosine + at, s->field_sine + at};
    phase_cell(p, l, f->phase_inner, &angles);
    if (cut->table) {
        double angle[KG_CELL];
        const double *row = table_row(cut, tile, cell, s->row);
        for (int c = 0; c < KG_CELL; c++) angle[c] = cut->table_factor * row[c];
        ISA_SINCOS(KG_CELL, angle, s->row, s->row + KG_CELL);
        phase_table(p, l, s->row, s->row + KG_CELL);
    }
}

static void mix_tile_above(REAL *p, const kg_mix *mix, int bits, const REAL *t) {
    for (int k = 0; k < mix->repeat; k++) mix_above(p, bits, t);
}

static void mix_cell_of(const frame *f, REAL *p, const REAL *t) {
    if (in_place(f->pass->tiling)) mix_cell(p, t, 0);
    else mix_cell(p, t, 1);
}

static void forward_tile(const frame *f, int64_t tile, REAL *p) {
    const kg_pass *pass = f->pass;
    const int bits = pass->tiling->bits;
    if (pass->fill) fill(f, tile, p);
    mix_tile_above(p, &pass->before, bits, f->before);
    if (pass->phase) begin_phase(f, tile);
    for (size_t cell = 0; cell < kg_cells(pass->tiling); cell++) {
        REAL *q = p + cell * CELL_REALS;
        for (int k = 0; k < pass->before.repeat; k++) mix_cell_of(f, q, f->before);
        if (pass->phase) phase_at(f, tile, cell, q, NULL);
        for (int k = 0; k < pass->after.repeat; k++) mix_cell_of(f, q, f->after);
    }
    mix_tile_above(p, &pass->after, bits, f->after);
}

/* The expectation on a tile; with lambda, that becomes factor * observable psi. */
static double value_tile(const frame *f, int64_t tile, const REAL *p, REAL *l, double factor) {
    const kg_cut *cut = f->pass->observable;
    vec value[CELL_VECTORS], scale = broadcast((REAL)factor);
    double total = 0.0;
    kg_cut_tile(cut, tile, f->scratch->value_field);
    for (size_t cell = 0; cell < kg_cells(cut->tiling); cell++) {
        const double *row = cut->table ? table_row(cut, tile, cell, f->scratch->row) : NULL;
        cell_values(value, f->value_inner, f->scratch->value_field + cell * (KG_CELL_BITS + 1), row);
        vec sum = {0};
        for (int v = 0; v < CELL_VECTORS; v++) {
            amplitudes x = load(p + (cell * CELL_VECTORS + v) * 2 * LANES);
            sum = FMA(value[v], FMA(x.r, x.r, x.i * x.i), sum);
            if (l) {
                vec w = scale * value[v];
                store(l + (cell * CELL_VECTORS + v) * 2 * LANES, (amplitudes){w * x.r, w * x.i});
            }
        }
        total += lanes_sum(sum);
    }
    return total;
}

/* The two tiles of a pair, or the one there is; with one tile of all qubits the pair is its halves. */
INLINE int members(const kg_pass *pass, int64_t tile, int64_t *member) {
    member[0] = tile;
    if (!pass->pairs) return 1;
    member[1] = kg_tiles(pass->tiling) - 1 - tile;
    return 2;
}

static size_t halves(const kg_pass *pass, int count, REAL *const p[2], REAL *half[2]) {
    size_t amps = (size_t)1 << pass->tiling->bits;
    half[0] = p[0];
    half[1] = count == 2 ? p[1] : p[0] + amps; /* 2 reals an amplitude: the middle */
    return count == 2 ? amps : amps / 2;
}

static void pass_forward(const kg_pass *pass, int64_t tile, kg_scratch *scratch) {
    const frame *f = scratch->frame;
    int64_t member[2];
    REAL *p[2], *half[2];
    int count = members(pass, tile, member);
    for (int m = 0; m < count; m++) {
        p[m] = take(pass, member[m], pass->state->psi, scratch->tile[0][m], 0);
        forward_tile(f, member[m], p[m]);
    }
    if (pass->after.repeat && pass->after.fold) {
        size_t amps = halves(pass, count, p, half);
        for (int k = 0; k < pass->after.repeat; k++)
            mix_fold(half[0], half[1], amps, (REAL)pass->after.fold_tangent);
    }
    for (int m = 0; m < count; m++) {
        if (pass->observable) {
            double norm = pass->before.gain * pass->before.gain * pass->after.gain * pass->after.gain;
            pass->sums[member[m] * KG_SUMS + KG_SUM_VALUE] = norm * value_tile(f, member[m], p[m], NULL, 0.0);
        }
        if (pass->store) give(pass, member[m], pass->state->psi, scratch->tile[0][m], 0);
    }
}

