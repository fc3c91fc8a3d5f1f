#include "dm_isa.h"

static int always(void) { return 1; }

#define ISA base
#define ISA_NAME "base"
#define ISA_SUPPORTED always
#include "dm_isa_body.h"
