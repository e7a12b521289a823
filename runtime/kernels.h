/* What kernels are given and how they are found.
 *
 * A kernel family is one file: in kernels/common/, compiled once, or in kernels/, compiled once per
 * ISA with the suffix TN_SUFFIX (_scalar, _avx2, _avx512); instrs.def says which families exist and
 * where. What is compiled once finds the vector loops it drives by kernels/isa.h. At `prepare`
 * every instruction becomes a TnCall with real dims, then its `plan` function chooses tiles, the
 * number of tasks and scratch bytes - from dims only, never from the thread count, so results are
 * bit-identical for any number of threads. `run` executes one task; it never allocates and cannot
 * fail, except that kernels which read indices from data report the first bad one through tn_fault.
 *
 * All operands were checked before: extents lie within their buffers and dims fit together as the
 * row's extent rule says. Operands never alias the result except where the row says in-place (same
 * address and strides). Rows may be unaligned (4 bytes for f32); constants start at multiples of 64
 * bytes. */
#ifndef TENON_RUNTIME_KERNELS_H
#define TENON_RUNTIME_KERNELS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "runtime/base/cpu.h"
#include "runtime/base/dtype.h"
#include "runtime/base/limits.h"

typedef struct TnTensor {
    void *data; /* element [0, 0, ...]; NULL when an optional operand is absent */
    int64_t dims[TN_MAX_RANK];
    int64_t strides[TN_MAX_RANK]; /* in elements; 0 along a broadcast axis */
    int32_t rank;
    uint8_t dtype;  /* TnDType */
    uint8_t layout; /* TnLayout of pack.h; strides mean nothing unless TN_LAYOUT_STRIDED */
} TnTensor;

/* First index in the data that lies outside its table; set at most once per run. */
typedef struct TnFault {
    _Atomic(int) raised;
    int32_t instruction;
    int64_t index, bound; /* what was found; it had to be in [-bound, bound) or [0, bound) */
} TnFault;

typedef struct TnCall TnCall;
typedef void TnRunFn(const TnCall *call, int64_t task, void *scratch);
typedef void TnPlanFn(TnCall *call);

/* One family on one ISA. */
typedef struct TnKernel {
    TnPlanFn *plan; /* sets call->tasks, scratch_bytes, work, keeps, tile; deterministic */
    TnRunFn *run;
} TnKernel;

struct TnCall {
    TnRunFn *run;
    const void *params;     /* the parameter record of instrs.def, verified */
    TnTensor *operands;     /* inputs in row order, then outputs */
    const int64_t *scalars; /* values of the instruction's scalar expressions */
    TnFault *fault;
    int32_t inputs, outputs, scalar_count;
    int32_t opcode, index; /* index of the instruction in its function */
    TnIsa isa;             /* the level that runs: cpu.h */

    /* Set by the family's plan function. */
    int64_t tasks; /* >= 0 */
    int64_t work;  /* rough cost in nanoseconds of one core: small calls stay on the caller */
    size_t scratch_bytes; /* per lane, 64-byte aligned */
    bool keeps;           /* a task leaves in scratch what the lane's next one may need */
    int64_t tile[8];      /* the family's own choices */
};

/* Before the tasks of a call, of lanes whose scratch is `stride` bytes apart: where tasks keep
 * something, the first int64_t of a lane's scratch is 0 until one of them has. */
static inline void tn_scratch_begin(const TnCall *call, void *scratch, size_t stride, int lanes) {
    for (int i = 0; call->keeps && i < lanes; i++)
        *(int64_t *)(void *)((char *)scratch + (size_t)i * stride) = 0;
}

/* Records that `index` is outside [0, bound); the interpreter makes TENON_E_RANGE of it. */
void tn_fault(const TnCall *call, int64_t index, int64_t bound);

/* The kernel of an opcode on an ISA; a family without own code there inherits the level below. NULL
 * if the opcode is unknown. Instructions that the interpreter does itself have no functions. */
const TnKernel *tn_kernel(TnIsa isa, int opcode);

/* clang-format off */
#define TN_CEIL_DIV(a, b) (((a) + (b) - 1) / (b))
/* clang-format on */

#endif
