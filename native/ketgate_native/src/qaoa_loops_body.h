/* All loops of one instruction set in one precision: REAL, MASK, KG_REAL_BYTES, FMA(a, b, c) = a b + c,
 * FNMA(a, b, c) = c - a b, ISA_SINCOS and LOOPS are defined by who includes it. */
#include "qaoa_pass.h"

#include <string.h>

#include "qaoa_mix_body.h"
#include "qaoa_undo_body.h"
#include "qaoa_cell_body.h"
#include "qaoa_pass_body.h"
#include "qaoa_reverse_body.h"

const kg_qaoa_loops LOOPS = {LANES, sizeof(frame), pass_begin, pass_forward, pass_turn, pass_reverse};
