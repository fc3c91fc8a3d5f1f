#ifndef KETGATE_MIQP_SETUP_H
#define KETGATE_MIQP_SETUP_H

#include "miqp_internal.h"

/* The caller's x = x * scaled x; scaled objective = objective * the caller's. Powers of two. */
typedef struct { double x, objective; } mq_scale;

/* Both return 0, or -1 without memory. Told to stop they leave Qt unfinished, and all else whole: what does not look
 * at Qt, as the bound at x = 0, holds. */
int mq_setup(mq_problem *p, mq_scale *scale, const mq_request *request, const mq_vector *vec, mq_arena *arena,
             kg_monitor *monitor);
/* The problem without the names that may only be 0. */
int mq_compact(mq_problem *to, const mq_problem *from, const unsigned char *allowed, mq_arena *arena,
               kg_monitor *monitor);

#endif
