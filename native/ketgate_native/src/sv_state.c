/* The memory of a state. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sv_isa.h"

static const size_t HUGE_PAGE = (size_t)2 << 20;

int kg_sv_state_init(kg_sv_state *s, int qubits, kg_sv_precision precision, const char *isa) {
    memset(s, 0, sizeof *s);
    s->qubits = qubits;
    s->stored = qubits > KG_SV_QUBITS_MIN ? qubits : KG_SV_QUBITS_MIN;
    s->precision = precision;
    s->isa = kg_sv_isa_named(isa);
    s->bytes = ((size_t)1 << s->stored) * (precision == KG_SV_DOUBLE ? 16 : 8);
    int large = s->bytes >= HUGE_PAGE;
    if (posix_memalign(&s->amplitudes, large ? HUGE_PAGE : 64, s->bytes)) {
        s->amplitudes = NULL;
        return KG_SV_NO_MEMORY;
    }
#ifdef MADV_HUGEPAGE
    if (large) madvise(s->amplitudes, s->bytes, MADV_HUGEPAGE); /* blocks touch many pages at once */
#endif
    kg_sv_state_zero(s);
    return KG_SV_OK;
}

void kg_sv_state_free(kg_sv_state *s) {
    free(s->amplitudes);
    memset(s, 0, sizeof *s);
}

void kg_sv_state_zero(kg_sv_state *s) {
    memset(s->amplitudes, 0, s->bytes);
    if (s->precision == KG_SV_DOUBLE) *(double *)s->amplitudes = 1.0;
    else *(float *)s->amplitudes = 1.0f;
    s->support = 0;
}
