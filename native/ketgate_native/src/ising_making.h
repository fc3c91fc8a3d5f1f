/* A problem while it is built. */
#ifndef KETGATE_ISING_MAKING_H
#define KETGATE_ISING_MAKING_H

#include "ising.h"
#include "ising_entries.h"

/* What is in the making; freed whatever comes of it. */
typedef struct {
    kg_monitor *monitor;
    kg_entry *entries, *spare; /* (count) */
    int64_t count;
    int sorted;        /* the caller's order is the order of rows already */
    double weight_max; /* greatest magnitude of an entry */
    struct kg_spin {
        double field; /* linear coefficient */
        double reach; /* sum of magnitudes of its couplings and of its field: its field is never larger */
        double root;  /* root of the sum of their squares */
        double least; /* smallest of these magnitudes other than zero */
    } *spins;
} kg_making;

/* Checks the input and takes it over, binaries as spins: x = (1 + s) / 2. */
int kg_making_take(kg_ising *p, kg_making *m, const kg_ising_input *in, int64_t *at);

/* Into rows of the smaller index, each sorted by the larger; a pair that came several times is summed. */
int kg_making_compress(kg_ising *p, kg_making *m);

#endif
