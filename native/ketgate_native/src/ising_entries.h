/* Couplings on their way from the caller's order into rows. */
#ifndef KETGATE_ISING_ENTRIES_H
#define KETGATE_ISING_ENTRIES_H

#include <stdint.h>

#include "monitor.h"

typedef struct {
    int32_t low, high; /* low < high */
    double weight;
} kg_entry;

typedef enum { KG_BY_LOW, KG_BY_HIGH } kg_entry_key;

/* Looks at the monitor (which may be NULL) at every 2^16th step: some hundred microseconds of random access. */
static inline int kg_poll(kg_monitor *monitor, int64_t step) {
    return (step & 0xFFFF) == 0xFFFF && monitor && kg_should_stop(monitor);
}

/* Stable sort by one index below n. The sorted entries are in *entries at the end, which may have changed places with
 * *spare (count entries as well). Returns 0, or -1 when the monitor said stop; then the order is undefined. */
int kg_entries_sort(kg_entry **entries, kg_entry **spare, int64_t count, int n, kg_entry_key key,
                    kg_monitor *monitor);

#endif
