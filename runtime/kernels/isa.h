/* What exists once per ISA, for drivers that exist once (common/): a row of families for each level
 * of a CPU. Each family's header says what its functions do: whole tiles, panels or rows, beside
 * which the call counts for nothing.
 *
 *     const TnIsaKernels *isa = &tn_isa_kernels[call->isa];
 *     isa->quads->tile[rows](&tile); */
#ifndef TENON_RUNTIME_KERNELS_ISA_H
#define TENON_RUNTIME_KERNELS_ISA_H

#include "runtime/base/cpu.h"

typedef struct TnIsaKernels {
    double flops_per_ns;                 /* of one core, roughly: for tasks and their cost */
    const struct TileKernels *tiles;     /* gemm.h */
    const struct TilePairs *pairs;       /* gemm.h; NULL where the CPU does not multiply bf16 */
    const struct Bf16Kernels *bf16;      /* bf16.h */
    const struct RecordStreams *records; /* records.h */
    const struct QuadsKernels *quads;    /* matmul_int.h */
    const struct AttentionKernels *attention; /* attention.h */
    const struct ConvKernels *conv;           /* conv.h */
    const struct MapKernels *map;             /* map.h */
} TnIsaKernels;

extern const TnIsaKernels tn_isa_kernels[TN_ISA_COUNT]; /* dispatch.c */

#endif
