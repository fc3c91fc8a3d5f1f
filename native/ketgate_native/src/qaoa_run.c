/* Passes in their order, shared out over threads. */
#include "qaoa_pass.h"

#include "qaoa_team.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALIGNMENT = 64,
    TEAM_BITS = 15 /* registers smaller than this are done by one thread: a step is shorter than waking another */
};
/* Above this tangent a mixer is applied twice with half its angle: products of tangents stay far from overflow, in
 * single precision too. */
static const double TANGENT_MAX = 8.0;

typedef void (*tile_work)(const kg_pass *pass, int64_t tile, kg_scratch *scratch);

typedef struct {
    kg_qaoa_state *state;
    const kg_qaoa_program *program;
    kg_monitor *monitor;
    int keep, status;
    double expectation;
    double *by_gamma, *by_turn, *by_beta; /* NULL: no gradient */
    /* The step under way, made by the first member. */
    kg_pass pass;
    kg_cut *phase, *observable;
    kg_product product;
    double sign; /* of the state, as mixers are reduced by half turns */
    void *room;
    kg_scratch scratch[KG_TEAM_MAX];
    int over;
} kg_run_steps;

/* Part of layer k's mixer on a tiling. Returns the sign that reducing its angles costs. */
static double mix_make(kg_mix *mix, const kg_qaoa_program *program, const kg_tiling *tiling, int layer, int fold) {
    const double *beta = program->beta + (size_t)layer * (program->n + 1);
    double sign = 1.0, largest = 0.0, angle[KG_QAOA_QUBITS_MAX + 1];
    const int low_again = tiling->run < tiling->bits ? tiling->run : 0; /* a high tile's run is mixed in low tiles */
    memset(mix, 0, sizeof *mix);
    for (int b = 0; b <= tiling->bits; b++) {
        double given = b < tiling->bits ? beta[tiling->qubit[b]] : beta[program->n];
        double half_turns = nearbyint(given / M_PI);
        angle[b] = given - half_turns * M_PI;
        if (b < low_again || (b == tiling->bits && !fold)) angle[b] = 0.0;
        else if (fmod(half_turns, 2.0) != 0.0) sign = -sign;
        largest = fmax(largest, fabs(tan(angle[b])));
    }
    mix->repeat = largest > TANGENT_MAX ? 2 : 1;
    mix->gain = 1.0;
    for (int b = 0; b <= tiling->bits; b++) {
        double part = angle[b] / mix->repeat, cosine = cos(part), tangent = tan(part);
        if (b < tiling->bits) mix->tangent[b] = tangent, mix->cosine[b] = cosine;
        else mix->fold_tangent = tangent, mix->fold_cosine = cosine;
        for (int k = 0; k < mix->repeat; k++) mix->gain *= cosine;
    }
    mix->fold = fold;
    return sign;
}

/* Pass j of a program: the end of layer j - 1, the phase of layer j and the beginning of its mixer; layers from 0. */
static void pass_make(kg_run_steps *run, int j, int inverse) {
    const kg_qaoa_program *program = run->program;
    kg_qaoa_state *state = run->state;
    kg_pass *pass = &run->pass;
    double *sums = pass->sums, sign = 1.0;
    const int last = j == program->layers, two = state->tilings == 2;
    memset(pass, 0, sizeof *pass);
    pass->state = state, pass->sums = sums;
    pass->tiling = &state->tiling[two ? j & 1 : 0];
    if (two && j > 0) sign *= mix_make(&pass->before, program, pass->tiling, j - 1, 0);
    else pass->before.gain = 1.0;
    if (!last) sign *= mix_make(&pass->after, program, pass->tiling, j, program->folded);
    else pass->after.gain = 1.0;
    pass->pairs = two && program->folded && !last;
    run->sign = sign;
    if (last) return;
    const double way = inverse ? -1.0 : 1.0;
    if (!(inverse && j == 0)) {
        kg_cut_make(run->phase, state->isa, pass->tiling, program->n, &program->cost, way * program->gamma[j],
                    program->turn ? program->turn + (size_t)j * program->n : NULL, way,
                    sign * pass->before.gain * pass->after.gain);
        pass->phase = run->phase;
    }
}

static void product_make(kg_product *product, const kg_qaoa_program *program, const kg_tiling *tiling) {
    const double even = sqrt(0.5);
    double factor[KG_QAOA_QUBITS_MAX][2];
    for (int k = 0; k < program->n; k++)
        for (int v = 0; v < 2; v++) factor[k][v] = program->start ? program->start[2 * tiling->qubit[k] + v] : even;
    for (int c = 0; c < KG_CELL; c++) {
        product->inner[c] = 1.0;
        for (int k = 0; k < KG_CELL_BITS; k++) product->inner[c] *= factor[k][(c >> k) & 1];
    }
    for (size_t t = 0; t < kg_cells(tiling); t++) {
        product->rest[t] = 1.0;
        for (int k = KG_CELL_BITS; k < tiling->bits; k++) product->rest[t] *= factor[k][(t >> (k - KG_CELL_BITS)) & 1];
    }
    memcpy(product->outer, factor + tiling->bits, (size_t)tiling->outer * sizeof *factor);
}

static void prepare_forward(kg_run_steps *run, int j) {
    const kg_qaoa_program *program = run->program;
    pass_make(run, j, 0);
    const int last = j == program->layers;
    if (j == 0) {
        product_make(&run->product, program, run->pass.tiling);
        run->pass.fill = &run->product;
    }
    run->pass.store = !last || (run->keep && run->state->tilings == 2);
    if (last) {
        kg_cut_make(run->observable, run->state->isa, run->pass.tiling, program->n, &program->observable, 1.0, NULL, 0.0,
                    1.0);
        run->pass.observable = run->observable;
        run->state->norm = run->sign * run->pass.before.gain;
    }
}

static void prepare_reverse(kg_run_steps *run, int j) {
    pass_make(run, j, 1);
    run->pass.store = j > 0;
    run->pass.turns = run->by_turn != NULL;
    kg_cut_make(run->observable, run->state->isa, run->pass.tiling, run->program->n, &run->program->cost, 1.0, NULL, 0.0,
                1.0);
    run->pass.observable = run->observable;
}

static void add_up_expectation(kg_run_steps *run) {
    double total = 0.0;
    for (int64_t t = 0; t < kg_tiles(run->pass.tiling); t++) total += run->pass.sums[t * KG_SUMS + KG_SUM_VALUE];
    run->expectation = total + run->program->observable_offset;
}

/* Derivatives are twice the brackets. */
static void add_up_mixer(kg_run_steps *run, const kg_mix *mix, int layer, int first) {
    const kg_tiling *tiling = run->pass.tiling;
    const int skip = tiling->run < tiling->bits ? tiling->run : 0, n = run->program->n;
    double *out = run->by_beta + (size_t)layer * (n + 1);
    if (!mix->repeat) return;
    for (int64_t t = 0; t < kg_tiles(tiling); t++) {
        const double *sums = run->pass.sums + t * KG_SUMS + first;
        for (int b = skip; b < tiling->bits; b++) out[tiling->qubit[b]] += 2.0 * sums[b];
        if (mix->fold) out[n] += 2.0 * sums[tiling->bits];
    }
}

static void add_up_gradient(kg_run_steps *run, int j) {
    const kg_pass *pass = &run->pass;
    if (pass->before.repeat) add_up_mixer(run, &pass->before, j - 1, KG_SUM_BEFORE);
    if (j == run->program->layers) return;
    add_up_mixer(run, &pass->after, j, KG_SUM_AFTER);
    for (int64_t t = 0; t < kg_tiles(pass->tiling); t++) {
        const double *sums = pass->sums + t * KG_SUMS;
        run->by_gamma[j] += 2.0 * sums[KG_SUM_VALUE];
        for (int k = 0; run->by_turn && k < run->program->n; k++)
            run->by_turn[(size_t)j * run->program->n + pass->tiling->qubit[k]] += 2.0 * sums[KG_SUM_TURN + k];
    }
}

/* One step of all members; afterwards every tile is done, or the run is over. */
static void step(kg_team *team, kg_run_steps *run, int member, tile_work work) {
    kg_team_wait(team);
    const int64_t count = kg_tiles(run->pass.tiling) >> (run->pass.pairs ? 1 : 0);
    if (!run->over) run->state->isa->loops[run->state->single]->begin(&run->pass, &run->scratch[member]);
    while (!run->over) {
        int64_t tile = atomic_fetch_add_explicit(&team->next, 1, memory_order_relaxed);
        if (tile >= count) break;
        if (run->monitor && kg_should_stop(run->monitor)) break;
        work(&run->pass, tile, &run->scratch[member]);
    }
    kg_team_wait(team);
    if (member) return;
    atomic_store(&team->next, 0);
    if (run->monitor && kg_should_stop(run->monitor)) run->status = KG_QAOA_STOPPED, run->over = 1;
}

static void go(kg_team *team, void *context, int member) {
    kg_run_steps *run = context;
    const kg_qaoa_loops *loops = run->state->isa->loops[run->state->single];
    const int layers = run->program->layers;
    for (int j = 0; j < layers; j++) {
        if (!member) prepare_forward(run, j);
        step(team, run, member, loops->forward);
    }
    if (!member) prepare_forward(run, layers);
    step(team, run, member, run->by_beta ? loops->turn : loops->forward);
    if (!member) {
        add_up_expectation(run);
        if (run->by_beta) add_up_gradient(run, layers);
    }
    for (int j = layers - 1; run->by_beta && j >= 0; j--) {
        if (!member) prepare_reverse(run, j);
        step(team, run, member, loops->reverse);
        if (!member) add_up_gradient(run, j);
    }
}

static size_t aligned(size_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

/* All room of a run at once. */
static int room_make(kg_run_steps *run, int threads) {
    const kg_qaoa_state *state = run->state;
    size_t cells = 0, tiles = 0, bits = 0;
    for (int k = 0; k < state->tilings; k++) {
        if (kg_cells(&state->tiling[k]) > cells) cells = kg_cells(&state->tiling[k]);
        if ((size_t)kg_tiles(&state->tiling[k]) > tiles) tiles = (size_t)kg_tiles(&state->tiling[k]);
        if ((size_t)state->tiling[k].bits > bits) bits = (size_t)state->tiling[k].bits;
    }
    const size_t tile = (size_t)(state->single ? 8 : 16) << bits, fields = cells * (KG_CELL_BITS + 1) * sizeof(double);
    const int buffers = run->by_beta ? 4 : 2;
    const size_t frame = aligned(state->isa->loops[state->single]->frame_bytes);
    const size_t own = aligned(buffers * tile) + aligned(4 * fields) + aligned(2 * KG_CELL * sizeof(double)) + frame;
    const size_t cut = aligned(sizeof(kg_cut)) + aligned(fields);
    const size_t common = 2 * cut + aligned(cells * sizeof(double)) + aligned(tiles * KG_SUMS * sizeof(double));
    char *at = NULL;
    if (posix_memalign((void **)&at, ALIGNMENT, common + (size_t)threads * own)) return KG_QAOA_NO_MEMORY;
    run->room = at;
    for (int k = 0; k < 2; k++, at += cut) {
        kg_cut *made = (kg_cut *)at;
        made->cell_field = (double *)(at + aligned(sizeof(kg_cut)));
        made->cell_rest = made->cell_field + cells * KG_CELL_BITS;
        *(k ? &run->observable : &run->phase) = made;
    }
    run->product.rest = (double *)at, at += aligned(cells * sizeof(double));
    run->pass.sums = (double *)at, at += aligned(tiles * KG_SUMS * sizeof(double));
    for (int m = 0; m < threads; m++) {
        kg_scratch *s = &run->scratch[m];
        for (int k = 0; k < buffers; k++) s->tile[k / 2][k % 2] = at + (size_t)k * tile;
        at += aligned(buffers * tile);
        s->field = (double *)at, s->field_cosine = (double *)(at + fields);
        s->field_sine = (double *)(at + 2 * fields), s->value_field = (double *)(at + 3 * fields);
        at += aligned(4 * fields);
        s->row = (double *)at, at += aligned(2 * KG_CELL * sizeof(double));
        s->frame = at, at += frame;
    }
    return 0;
}

int kg_qaoa_state_double(kg_qaoa_state *state);

static int execute(kg_run_steps *run, int threads) {
    if (run->state->n < TEAM_BITS || run->state->tilings == 1) threads = 1;
    if (threads > KG_TEAM_MAX) threads = KG_TEAM_MAX;
    if (room_make(run, threads)) return KG_QAOA_NO_MEMORY;
    if (run->by_beta && kg_qaoa_state_double(run->state)) run->status = KG_QAOA_NO_MEMORY;
    else kg_team_run(threads, go, run);
    free(run->room);
    return run->status;
}

int kg_qaoa_forward(kg_qaoa_state *state, const kg_qaoa_program *program, int keep, int threads, kg_monitor *monitor,
                    double *expectation) {
    kg_run_steps run = {.state = state, .program = program, .monitor = monitor, .keep = keep};
    int status = execute(&run, threads);
    *expectation = run.expectation;
    return status;
}

int kg_qaoa_gradient(kg_qaoa_state *state, const kg_qaoa_program *program, int threads, kg_monitor *monitor,
                     double *expectation, double *by_gamma, double *by_turn, double *by_beta) {
    const size_t n = (size_t)program->n, layers = (size_t)program->layers;
    kg_run_steps run = {.state = state, .program = program, .monitor = monitor};
    run.by_gamma = by_gamma, run.by_turn = by_turn, run.by_beta = by_beta;
    memset(by_gamma, 0, layers * sizeof *by_gamma);
    memset(by_beta, 0, layers * (n + 1) * sizeof *by_beta);
    if (by_turn) memset(by_turn, 0, layers * n * sizeof *by_turn);
    int status = execute(&run, threads);
    *expectation = run.expectation;
    return status;
}
