from libc.stdint cimport int8_t, int32_t, int64_t, uint64_t

from ketgate_native.monitor cimport Monitor, kg_monitor


cdef extern from "src/ising.h" nogil:
    ctypedef enum kg_lane:
        KG_INT8
        KG_INT16
        KG_FLOAT32

    ctypedef struct kg_ising:
        int n
        double offset
        double unit
        int integer
        int dense
        kg_lane lane
        float beta_hot
        float beta_cold

    ctypedef struct kg_ising_input:
        int n
        const double *linear
        int64_t count
        const int64_t *row
        const int64_t *col
        const double *weight
        double offset
        int binary

    int KG_BUILD_OK
    int KG_BUILD_NO_MEMORY
    int KG_BUILD_TOO_LARGE
    int KG_BUILD_STOPPED
    int KG_BUILD_LINEAR
    int KG_BUILD_ROW
    int KG_BUILD_COL
    int KG_BUILD_WEIGHT
    int KG_BUILD_TWICE
    int kg_ising_build(kg_ising *p, const kg_ising_input *given, kg_monitor *monitor, int64_t *at)
    void kg_ising_free(kg_ising *p)
    int64_t kg_ising_pairs(const kg_ising *p)
    double kg_ising_energy(const kg_ising *p, const int8_t *spins)


cdef extern from "src/pool.h" nogil:
    ctypedef struct kg_pool:
        int count
        int8_t *spins
        double *energies
        int64_t *occurrences
        int *slot

    int kg_pool_init(kg_pool *pool, int capacity, int n)
    void kg_pool_free(kg_pool *pool)


cdef extern from "src/ising_isa.h" nogil:
    ctypedef struct kg_isa:
        const char *name

    const kg_isa *kg_isa_named(const char *name)


cdef extern from "src/ising.h" nogil:
    ctypedef struct kg_run:
        const kg_ising *p
        const kg_isa *isa
        kg_pool *pool
        kg_monitor *monitor
        uint64_t seed
        int threads
        const int8_t *initial
        int initial_count
        int64_t work
        int no_memory
        int interrupted

    ctypedef struct kg_schedule:
        int64_t sweeps
        float beta_start
        float beta_end

    void kg_run_begin(kg_run *run)
    void kg_anneal(kg_run *run, kg_schedule schedule, int replicas)
    void kg_tempering(kg_run *run, kg_schedule ladder, int ladders)
    void kg_tabu(kg_run *run, int64_t iterations, int restarts, int tenure)
    void kg_search(kg_run *run, int64_t work_max)


cdef class Ising:
    cdef kg_ising problem
    cdef int _build(self, object h, object i, object j, object w, double shift, bint binary,
                    Monitor monitor) except -1
    cdef int _refuse(self, int status, int64_t at, object h, object i, object j, object w) except -1
