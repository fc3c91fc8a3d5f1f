/* What running forward and backward share. */
#ifndef KETGATE_SV_RUN_H
#define KETGATE_SV_RUN_H

#include "sv_isa.h"

enum { KG_SV_TOGETHER = 2, KG_SV_GRADIENT_ITEMS = 16 };

/* Runs a plan on one or two states. transitions: with two, (KG_SV_GRADIENT_ITEMS, p->transitions) complex numbers to which
   the transition matrices of each item are added; else NULL. */
int kg_sv_run_plan(kg_sv_state *const *states, int count, const kg_sv_program *p, const kg_sv_plan *plan, double *transitions,
                   kg_sv_how how);
int kg_sv_stopped(kg_sv_how how);

#endif
