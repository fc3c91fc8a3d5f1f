#include "ising_isa.h"

static int always(void) { return 1; }


#define KG_X86_VECTORS 0
#define ISA base
#define ISA_NAME "base"
#define ISA_SUPPORTED always
#include "ising_isa_body.h"
