/* The gradient's passes: lambda = observable psi, and both states taken back layer by layer. */

static void undoing_make(undoing *u, const kg_mix *mix, int bits) {
    memset(u, 0, sizeof *u);
    u->share = mix->repeat ? 1.0 / mix->repeat : 0.0;
    for (int b = 0; b < bits; b++) {
        u->tangent[b] = (REAL)-mix->tangent[b];
        u->square[b] = mix->cosine[b] * mix->cosine[b];
    }
}

/* Sums of a tile: brackets of the bits, of the diagonal, and of Z on every qubit. */
typedef struct {
    undoing before, after;
    double value;
    vec z_cell[CELL_VECTORS]; /* over cells */
    double *z_sums;           /* by tile and outer bit */
} taking_back;

/* Im <lambda| diagonal |psi> on a cell, and what turns need. */
static void bracket_cell(const frame *f, taking_back *back, int64_t tile, size_t cell, const REAL *p, const REAL *l) {
    const kg_cut *cut = f->pass->observable;
    const kg_tiling *tiling = cut->tiling;
    vec value[CELL_VECTORS], sum = {0}, all = {0};
    const double *row = cut->table ? table_row(cut, tile, cell, f->scratch->row) : NULL;
    cell_values(value, f->value_inner, f->scratch->value_field + cell * (KG_CELL_BITS + 1), row);
    for (int v = 0; v < CELL_VECTORS; v++) {
        vec w = bracket(load(l + v * 2 * LANES), load(p + v * 2 * LANES), (vec){0});
        sum = FMA(value[v], w, sum);
        if (!f->pass->turns) continue;
        back->z_cell[v] += w;
        all += w;
    }
    back->value += lanes_sum(sum);
    if (!f->pass->turns) return;
    double total = lanes_sum(all);
    for (int k = KG_CELL_BITS; k < tiling->bits; k++)
        back->z_sums[k] += (cell >> (k - KG_CELL_BITS)) & 1 ? -total : total;
    for (int j = 0; j < tiling->outer; j++) back->z_sums[tiling->bits + j] += (tile >> j) & 1 ? -total : total;
}

static void finish_sums(const kg_pass *pass, taking_back *back, int64_t tile, double gain) {
    double *sums = pass->sums + tile * KG_SUMS;
    sums[KG_SUM_VALUE] = gain * back->value;
    for (int b = 0; b < pass->tiling->bits; b++) {
        sums[KG_SUM_BEFORE + b] = lanes_sum(back->before.sum[b]);
        sums[KG_SUM_AFTER + b] = lanes_sum(back->after.sum[b]);
    }
    for (int k = 0; pass->turns && k < KG_CELL_BITS; k++)
        for (int c = 0; c < KG_CELL; c++) {
            double w = (double)back->z_cell[c / LANES][c % LANES];
            back->z_sums[k] += (c >> k) & 1 ? -w : w;
        }
    for (int k = 0; pass->turns && k < pass->state->n; k++) sums[KG_SUM_TURN + k] = gain * back->z_sums[k];
}

static void take_back_tile(const frame *f, int64_t tile, REAL *p, REAL *l, double gain, double fold_sum) {
    const kg_pass *pass = f->pass;
    const int bits = pass->tiling->bits, total = bits - LANE_BITS, high = !in_place(pass->tiling);
    double z_sums[KG_QAOA_QUBITS_MAX] = {0};
    taking_back back = {.z_sums = z_sums};
    undoing_make(&back.before, &pass->before, bits);
    undoing_make(&back.after, &pass->after, bits);
    for (int k = 0; k < pass->after.repeat; k++) gain = undo_bits(p, l, total, CELL_VECTOR_BITS, &back.after, gain);
    if (pass->phase) begin_phase(f, tile);
    if (pass->observable) kg_cut_tile(pass->observable, tile, f->scratch->value_field);
    const double cell_gain = gain, missing = 1.0 / (pass->before.gain * pass->before.gain);
    double before_gain = missing;
    for (size_t cell = 0; cell < kg_cells(pass->tiling); cell++) {
        REAL *q = p + cell * CELL_REALS, *w = l + cell * CELL_REALS;
        gain = cell_gain, before_gain = missing;
        for (int k = 0; k < pass->after.repeat; k++) gain = undo_cell(q, w, &back.after, gain, high);
        if (pass->observable) bracket_cell(f, &back, tile, cell, q, w);
        if (pass->phase) phase_at(f, tile, cell, q, w);
        for (int k = 0; k < pass->before.repeat; k++) before_gain = undo_cell(q, w, &back.before, before_gain, high);
    }
    for (int k = 0; k < pass->before.repeat; k++)
        before_gain = undo_bits(p, l, total, CELL_VECTOR_BITS, &back.before, before_gain);
    finish_sums(pass, &back, tile, gain);
    pass->sums[tile * KG_SUMS + KG_SUM_AFTER + bits] = fold_sum;
}

static void pass_reverse(const kg_pass *pass, int64_t tile, kg_scratch *scratch) {
    const frame *f = scratch->frame;
    int64_t member[2];
    REAL *p[2], *l[2], *half_p[2], *half_l[2];
    int count = members(pass, tile, member);
    for (int m = 0; m < count; m++) {
        p[m] = take(pass, member[m], pass->state->psi, scratch->tile[0][m], 0);
        l[m] = take(pass, member[m], pass->state->lambda, scratch->tile[1][m], 0);
    }
    double gain = 1.0;
    undoing fold = {.share = pass->after.repeat ? 1.0 / pass->after.repeat : 0.0};
    if (pass->after.repeat && pass->after.fold) {
        size_t amps = halves(pass, count, p, half_p);
        halves(pass, count, l, half_l);
        double square = pass->after.fold_cosine * pass->after.fold_cosine;
        for (int k = 0; k < pass->after.repeat; k++)
            gain = undo_fold(half_p, half_l, amps, (REAL)-pass->after.fold_tangent, square, gain, &fold);
    }
    for (int m = 0; m < count; m++) {
        take_back_tile(f, member[m], p[m], l[m], gain, m ? 0.0 : fold.fold_sum);
        if (!pass->store) continue;
        give(pass, member[m], pass->state->psi, scratch->tile[0][m], 0);
        give(pass, member[m], pass->state->lambda, scratch->tile[1][m], 0);
    }
}

/* psi stays as it lies in memory: what the last pass does to it is undone by not storing it. */
static void pass_turn(const kg_pass *pass, int64_t tile, kg_scratch *scratch) {
    const frame *f = scratch->frame;
    const int bits = pass->tiling->bits, total = bits - LANE_BITS, high = !in_place(pass->tiling);
    const double norm = pass->before.gain * pass->before.gain;
    REAL *l = take(pass, tile, pass->state->lambda, scratch->tile[1][0], 0), *p = scratch->tile[0][0];
    p = take(pass, tile, pass->state->psi, p, pass->before.repeat);
    forward_tile(f, tile, p);
    double *sums = pass->sums + tile * KG_SUMS;
    sums[KG_SUM_VALUE] = norm * value_tile(f, tile, p, l, norm);
    undoing u;
    undoing_make(&u, &pass->before, bits);
    double gain = 1.0;
    for (int k = 0; k < pass->before.repeat; k++) gain = undo_bits(p, l, total, CELL_VECTOR_BITS, &u, gain);
    for (int k = 0; k < pass->before.repeat; k++) {
        double after = gain;
        for (size_t cell = 0; cell < kg_cells(pass->tiling); cell++)
            after = undo_cell(p + cell * CELL_REALS, l + cell * CELL_REALS, &u, gain, high);
        gain = after;
    }
    for (int b = 0; b < bits; b++) sums[KG_SUM_BEFORE + b] = lanes_sum(u.sum[b]);
    give(pass, tile, pass->state->lambda, scratch->tile[1][0], 0);
}
