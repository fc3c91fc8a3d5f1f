from libc.stdint cimport int64_t, uint8_t, uint64_t

from ketgate_native.monitor cimport Monitor, kg_monitor


cdef extern from "src/sv_isa.h" nogil:
    enum:
        KG_SV_QUBITS_MAX
        KG_SV_QUBITS_MIN
        KG_SV_DENSE_MAX
        KG_SV_DIAGONAL_MAX
        KG_SV_OK
        KG_SV_STOPPED
        KG_SV_NO_MEMORY
    ctypedef enum kg_sv_precision:
        KG_SV_DOUBLE
        KG_SV_SINGLE
    ctypedef struct kg_sv_isa:
        const char *name
    ctypedef struct kg_sv_arena:
        size_t bytes
    ctypedef struct kg_sv_cluster:
        int count
        int diagonal
        double cost
    ctypedef struct kg_sv_plan:
        int count
    ctypedef struct kg_sv_program:
        kg_sv_arena arena
        int qubits
        int gates
        int clusters
        int slots
        int block_bits
        kg_sv_precision precision
        const kg_sv_isa *isa
        kg_sv_cluster *cluster
        uint8_t layout[40]
        kg_sv_plan forward
        kg_sv_plan backward
    ctypedef struct kg_sv_state:
        int qubits
        int stored
        kg_sv_precision precision
        const kg_sv_isa *isa
        void *amplitudes
        size_t bytes
        uint64_t support
    ctypedef struct kg_sv_how:
        int threads
        kg_monitor *monitor
    ctypedef struct kg_sv_paulis:
        const double *coefficients
        const uint64_t *x
        const uint64_t *z
        int count

    const kg_sv_isa *kg_sv_isa_named(const char *name)
    int kg_sv_program_init(kg_sv_program *p, int qubits, kg_sv_precision precision, const char *isa, int capacity, int fuse,
                           int relabel)
    void kg_sv_program_free(kg_sv_program *p)
    int kg_sv_program_add(kg_sv_program *p, const uint8_t *target, int count, uint64_t control, uint64_t value,
                          int diagonal, const double *matrix, int slots, const double *generators)
    int kg_sv_program_finish(kg_sv_program *p, int backward)
    int kg_sv_state_init(kg_sv_state *s, int qubits, kg_sv_precision precision, const char *isa)
    void kg_sv_state_free(kg_sv_state *s)
    void kg_sv_state_zero(kg_sv_state *s)
    int kg_sv_apply(kg_sv_state *s, const kg_sv_program *p, kg_sv_how how)
    int kg_sv_probabilities(const kg_sv_state *s, const uint8_t *qubit, int count, double *out, kg_sv_how how)
    int kg_sv_sample(const kg_sv_state *s, uint64_t seed, int64_t shots, uint64_t *out, kg_sv_how how)
    int kg_sv_collapse(kg_sv_state *s, uint64_t mask, uint64_t value, double factor, kg_sv_how how)
    int kg_sv_expect(const kg_sv_state *s, kg_sv_paulis paulis, double *out, kg_sv_how how)
    int kg_sv_paulis_apply(const kg_sv_state *s, kg_sv_paulis paulis, kg_sv_state *out, kg_sv_how how)
    int kg_sv_gradient(kg_sv_state *state, kg_sv_state *other, const kg_sv_program *p, double *out, kg_sv_how how)


cdef class Program:
    cdef kg_sv_program program
    cdef bint backward
    cdef int _add(self, gate, int at) except -1


cdef class StateVector:
    cdef kg_sv_state state
    cdef uint8_t layout[40]
    cdef int _name_in_order(self) except -1
    cdef kg_sv_how _how(self, threads, Monitor monitor) except *
    cdef int _settle(self, threads, Monitor monitor) except -1
    cdef int _stored(self, qubits, uint8_t *out) except -1
    cdef uint64_t _stored_mask(self, uint64_t mask) noexcept nogil
    cdef _masks(self, masks, name)
    cdef _strings(self, x, z)
