/* The tables of instructions and kernels, expanded from instrs.def: the only place that knows which
 * ISAs are built.
 *
 * A missing kernel or extent rule is a link error. */
#include "runtime/instrs.h"
#include "runtime/kernels.h"
#include "runtime/kernels/isa.h"
#include "runtime/params.h"

#define INDEX       TN_INSTR_INDEX
#define INPLACE(i)  (1u << (i))
#define INPLACE_ANY TN_INPLACE_MASK

#define INSTR(name, opcode, kernels, min_in, max_in, out, min_sc, max_sc, record, rule, flags, \
              synopsis)                                                                        \
    TnExtentFn extent_##rule;
#include "runtime/instrs.def"
#undef INSTR

static const TnInstr rows[TN_OP_COUNT] = {
#define INSTR(name, opcode, kernels, min_in, max_in, out, min_sc, max_sc, record, rule, flags, \
              synopsis)                                                                        \
    [opcode] = {#name, min_in, max_in, out, min_sc, max_sc, flags, sizeof(record), extent_##rule},
#include "runtime/instrs.def"
#undef INSTR
};

const TnInstr *tn_instr(int opcode) {
    return opcode > 0 && opcode < TN_OP_COUNT && rows[opcode].name ? &rows[opcode] : NULL;
}

/* The two functions of a row for an ISA, declared and as a TnKernel. */
#define DECLARE_PER_ISA(isa, name) \
    TnPlanFn name##_plan_##isa;    \
    TnRunFn name##_run_##isa;
#define DECLARE_UP_TO_AVX2(isa, name)   DECLARE_UP_TO_AVX2_##isa(name)
#define DECLARE_UP_TO_AVX2_scalar(name) DECLARE_PER_ISA(scalar, name)
#define DECLARE_UP_TO_AVX2_avx2(name)   DECLARE_PER_ISA(avx2, name)
#define DECLARE_UP_TO_AVX2_avx512(name)
#define DECLARE_COMMON(isa, name) DECLARE_PER_ISA(common, name)
#define DECLARE_INTERPRETED(isa, name)
#define KERNEL_PER_ISA(isa, name) \
    { name##_plan_##isa, name##_run_##isa }
#define KERNEL_UP_TO_AVX2(isa, name)   KERNEL_UP_TO_AVX2_##isa(name)
#define KERNEL_UP_TO_AVX2_scalar(name) KERNEL_PER_ISA(scalar, name)
#define KERNEL_UP_TO_AVX2_avx2(name)   KERNEL_PER_ISA(avx2, name)
#define KERNEL_UP_TO_AVX2_avx512(name) KERNEL_PER_ISA(avx2, name)
#define KERNEL_COMMON(isa, name) \
    { name##_plan_common, name##_run_common }
#define KERNEL_INTERPRETED(isa, name) \
    { NULL, NULL }

#define INSTR(name, opcode, kernels, ...) DECLARE_##kernels(scalar, name)
#include "runtime/instrs.def"
#undef INSTR
static const TnKernel scalar_kernels[TN_OP_COUNT] = {
#define INSTR(name, opcode, kernels, ...) [opcode] = KERNEL_##kernels(scalar, name),
#include "runtime/instrs.def"
#undef INSTR
};

#ifndef TN_ONLY_SCALAR
#define INSTR(name, opcode, kernels, ...) \
    DECLARE_##kernels(avx2, name) DECLARE_##kernels(avx512, name)
#include "runtime/instrs.def"
#undef INSTR
static const TnKernel avx2_kernels[TN_OP_COUNT] = {
#define INSTR(name, opcode, kernels, ...) [opcode] = KERNEL_##kernels(avx2, name),
#include "runtime/instrs.def"
#undef INSTR
};
static const TnKernel avx512_kernels[TN_OP_COUNT] = {
#define INSTR(name, opcode, kernels, ...) [opcode] = KERNEL_##kernels(avx512, name),
#include "runtime/instrs.def"
#undef INSTR
};
static const TnKernel *const tables[TN_ISA_COUNT] = {scalar_kernels, avx2_kernels, avx512_kernels,
                                                     avx512_kernels, avx512_kernels};
#else
static const TnKernel *const tables[TN_ISA_COUNT] = {scalar_kernels, scalar_kernels, scalar_kernels,
                                                     scalar_kernels, scalar_kernels};
#endif

const TnKernel *tn_kernel(TnIsa isa, int opcode) {
    if ((unsigned)isa >= TN_ISA_COUNT || !tn_instr(opcode)) return NULL;
    return &tables[isa][opcode];
}

/* What drivers call: a row per level. */
#define DECLARE_FAMILIES(isa)                                     \
    extern const struct TileKernels tile_kernels_##isa;           \
    extern const struct Bf16Kernels bf16_kernels_##isa;           \
    extern const struct QuadsKernels quads_kernels_##isa;         \
    extern const struct AttentionKernels attention_kernels_##isa; \
    extern const struct ConvKernels conv_kernels_##isa;           \
    extern const struct MapKernels map_kernels_##isa;
DECLARE_FAMILIES(scalar)
extern const struct RecordStreams record_panels_only_scalar;
#ifndef TN_ONLY_SCALAR
DECLARE_FAMILIES(avx2)
DECLARE_FAMILIES(avx512)
extern const struct RecordStreams record_floats_avx2, record_limbs_avx512;
extern const struct TilePairs tile_pairs_avx512;
#endif

/* Families of an ISA, and those that are better on some levels. */
#define LEVEL(isa, flops, of_records, of_quads, of_pairs)                                        \
    {                                                                                            \
        .flops_per_ns = flops, .tiles = &tile_kernels_##isa, .bf16 = &bf16_kernels_##isa,        \
        .attention = &attention_kernels_##isa, .conv = &conv_kernels_##isa,                      \
        .map = &map_kernels_##isa, .records = &of_records, .quads = &of_quads, .pairs = of_pairs \
    }
#define SCALAR_LEVEL LEVEL(scalar, 8, record_panels_only_scalar, quads_kernels_scalar, NULL)
const TnIsaKernels tn_isa_kernels[TN_ISA_COUNT] = {
    [TN_ISA_SCALAR] = SCALAR_LEVEL,
#ifndef TN_ONLY_SCALAR
    [TN_ISA_AVX2] = LEVEL(avx2, 100, record_floats_avx2, quads_kernels_avx2, NULL),
    [TN_ISA_AVX512] = LEVEL(avx512, 100, record_floats_avx2, quads_kernels_avx2, NULL),
    [TN_ISA_AVX512_VNNI] = LEVEL(avx512, 100, record_limbs_avx512, quads_kernels_avx512, NULL),
    [TN_ISA_AVX512_BF16] =
        LEVEL(avx512, 100, record_limbs_avx512, quads_kernels_avx512, &tile_pairs_avx512),
#else
    SCALAR_LEVEL,
    SCALAR_LEVEL,
    SCALAR_LEVEL,
    SCALAR_LEVEL,
#endif
};

void tn_fault(const TnCall *call, int64_t index, int64_t bound) {
    TnFault *f = call->fault;
    if (atomic_exchange(&f->raised, 1)) return; /* another task was first */
    f->instruction = call->index;
    f->index = index;
    f->bound = bound;
}
