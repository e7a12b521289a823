/* matmul for element types other than f32 and bf16, the same on every ISA. Doubles go through
 * OpenBLAS where it is installed and takes the strides. Integers wrap around, so their sums are
 * exact modulo the type; f16 is summed in float.
 *
 *     task = one block of rows of one batch entry */
#include "runtime/kernels/gemm_blas.h"
#include "runtime/kernels/half.h"
#include "runtime/kernels/matmul.h"

static int64_t blocks_of(const Matmul *p) {
    return p->m > 128 ? TN_CEIL_DIV(p->m, 64) : 1;
}

void matmul_other_plan(TnCall *call) {
    Matmul p = matmul_of(call);
    int64_t entries = loop_points(&p.entries, p.entries.rank);
    if (call->operands[C].dtype == TN_F64) tn_blas_load();
    call->tasks = entries * blocks_of(&p);
    double ns = (double)entries * (double)p.m * (double)p.n * (double)p.k;
    call->work = ns < 1e15 ? (int64_t)ns + 1 : (int64_t)1e15;
}

typedef struct Block {
    int64_t m, n, k;
    const void *a, *b;
    void *c;
    const int64_t (*strides)[2];
    float alpha;    /* for floats */
    int64_t factor; /* for integers: alpha without its fraction, 0 if out of range */
} Block;

/* One loop per type, its sum's type, how elements become that type and back, and its factor.
 * Integers add up as uint64_t, whose low bits are those of any narrower sum. */
#define INTEGER(X, upper, T) X(upper, T, uint64_t, (uint64_t), (T), (uint64_t)block->factor)
#define TYPES(X)                                                      \
    X(F64, double, double, (double), (double), (double)block->alpha)  \
    X(F16, uint16_t, float, float_of_f16, f16_of_float, block->alpha) \
    INTEGER(X, I8, int8_t)                                            \
    INTEGER(X, I16, int16_t)                                          \
    INTEGER(X, I32, int32_t)                                          \
    INTEGER(X, I64, int64_t)                                          \
    INTEGER(X, U8, uint8_t)                                           \
    INTEGER(X, U16, uint16_t) INTEGER(X, U32, uint32_t) INTEGER(X, U64, uint64_t)

#define LOOPS(upper, T, Sum, LOAD, STORE, FACTOR)                                                \
    static void loops_##upper(const Block *block) {                                              \
        const T *a = block->a, *b = block->b;                                                    \
        T *c = block->c;                                                                         \
        const int64_t(*s)[2] = block->strides;                                                   \
        for (int64_t i = 0; i < block->m; i++) {                                                 \
            for (int64_t j = 0; j < block->n; j++) {                                             \
                Sum sum = 0;                                                                     \
                for (int64_t k = 0; k < block->k; k++)                                           \
                    sum +=                                                                       \
                        LOAD(a[i * s[A][0] + k * s[A][1]]) * LOAD(b[k * s[B][0] + j * s[B][1]]); \
                c[i * s[C][0] + j * s[C][1]] = STORE(FACTOR * sum);                              \
            }                                                                                    \
        }                                                                                        \
    }
TYPES(LOOPS)

void matmul_other_run(const TnCall *call, int64_t task) {
    Matmul p = matmul_of(call);
    int64_t blocks = blocks_of(&p), entry = task / blocks, i = task % blocks;
    int64_t r0 = p.m / blocks * i, r1 = i + 1 == blocks ? p.m : r0 + p.m / blocks;
    TnDType dtype = (TnDType)call->operands[C].dtype;
    int64_t size = (int64_t)tn_dtype_size(dtype);
    LoopAt at;
    loop_seek(&p.entries, p.entries.rank, entry, &at);
    Block block = {.m = r1 - r0, .n = p.n, .k = p.k, .strides = p.strides, .alpha = p.alpha};
    block.a = (const char *)p.base[A] + (at.offset[A] + r0 * p.strides[A][0]) * size;
    block.b = (const char *)p.base[B] + at.offset[B] * size;
    block.c = (char *)p.base[C] + (at.offset[C] + r0 * p.strides[C][0]) * size;
    if (p.alpha > -0x1p62f && p.alpha < 0x1p62f) block.factor = (int64_t)p.alpha;
    if (dtype == TN_F64 && tn_blas_dgemm(block.m, p.n, p.k, (double)p.alpha, block.a, p.strides[A],
                                         block.b, p.strides[B], block.c, p.strides[C]))
        return;
    switch (dtype) {
#define X(upper, ...) \
    case TN_##upper: loops_##upper(&block); break;
        TYPES(X)
#undef X
    default: break;
    }
}
