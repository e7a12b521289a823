/* What exists once per ISA, for drivers that exist once (common/): a row of families for each level
 * of a CPU. Each family's header says what its functions do.
 *
 *     const TnIsaKernels *isa = tn_isa_kernels(call->isa);
 *     isa->quads->tile[rows](&tile); */
#ifndef TENON_RUNTIME_KERNELS_ISA_H
#define TENON_RUNTIME_KERNELS_ISA_H

#include "runtime/base/cpu.h"

typedef struct TnIsaKernels {
    const struct QuadsKernels *quads; /* matmul_int.h */
} TnIsaKernels;

/* dispatch.c */
const TnIsaKernels *tn_isa_kernels(TnIsa isa);

#endif
