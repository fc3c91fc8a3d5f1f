from libc.stdint cimport int64_t, uint64_t

from ketgate_native.monitor cimport kg_monitor


cdef extern from "src/qaoa.h" nogil:
    enum:
        KG_QAOA_QUBITS_MAX
        KG_CELL_BITS
        KG_QAOA_STOPPED
        KG_QAOA_NO_MEMORY

    ctypedef struct kg_qaoa_isa:
        pass

    ctypedef struct kg_diagonal:
        const double *pair
        const double *field
        const double *table

    ctypedef struct kg_qaoa_program:
        int n, folded, layers
        const double *gamma
        const double *turn
        const double *beta
        const double *start
        kg_diagonal cost, observable
        double observable_offset

    ctypedef struct kg_qaoa_state:
        const kg_qaoa_isa *isa
        int n, single

    int kg_qaoa_state_make(kg_qaoa_state *state, int n, int single, const kg_qaoa_isa *isa)
    void kg_qaoa_state_free(kg_qaoa_state *state)
    size_t kg_qaoa_state_bytes(int n, int single)
    int kg_qaoa_forward(kg_qaoa_state *state, const kg_qaoa_program *program, int keep, int threads,
                        kg_monitor *monitor, double *expectation)
    int kg_qaoa_gradient(kg_qaoa_state *state, const kg_qaoa_program *program, int threads, kg_monitor *monitor,
                         double *expectation, double *by_gamma, double *by_turn, double *by_beta)
    void kg_qaoa_export(const kg_qaoa_state *state, uint64_t start, uint64_t count, double *out)
    int64_t kg_qaoa_sample(const kg_qaoa_state *state, uint64_t shots, uint64_t seed, uint64_t *index, int64_t *counts)
    int kg_diagonal_extremes(const kg_diagonal *diagonal, int n, kg_monitor *monitor, double *least, double *greatest,
                             uint64_t *least_at)
    int kg_qaoa_share_below(const kg_qaoa_state *state, const kg_diagonal *diagonal, double bound, kg_monitor *monitor,
                            double *share)
    const kg_qaoa_isa *kg_qaoa_isa_named(const char *name)
    const char *kg_qaoa_isa_name(const kg_qaoa_isa *isa)
