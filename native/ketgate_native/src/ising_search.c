/* The anytime driver. */
#include "ising_block.h"

void kg_search(kg_run *run, int64_t work_max) { (void)run; (void)work_max; }
