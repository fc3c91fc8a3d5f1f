/* The choice among the instruction sets. */
#include "sv_isa.h"

#include <string.h>

const kg_sv_isa *kg_sv_isa_named(const char *name) {
#if defined(__x86_64__)
    const kg_sv_isa *known[] = {&kg_sv_isa_avx512, &kg_sv_isa_avx2, &kg_sv_isa_base};
#else
    const kg_sv_isa *known[] = {&kg_sv_isa_base};
#endif
    for (unsigned k = 0; k < sizeof known / sizeof *known; k++)
        if (known[k]->supported() && (!name || !strcmp(name, known[k]->name))) return known[k];
    return NULL;
}
