/* A product of matrices, c = alpha a b over batch entries, as both halves of matmul see it. */
#ifndef TENON_RUNTIME_KERNELS_MATMUL_H
#define TENON_RUNTIME_KERNELS_MATMUL_H

#include <stdbool.h>
#include "runtime/kernels/isa.h"
#include "runtime/kernels/loop.h"
#include "runtime/params.h"

enum { A, B, C };

typedef struct Matmul {
    const TnIsaKernels *isa;
    int64_t m, n, k;
    float alpha;
    void *base[3];         /* A, B, C */
    int64_t strides[3][2]; /* of the last two axes: {m, k}, {k, n}, {m, n} */
    Loop entries;          /* the batch axes, merged; operands A, B, C */
    bool bf16, c_bf16;     /* a and b are; c is */
    bool pairs;            /* bf16 that is multiplied as pairs, not as floats */
} Matmul;

static inline Matmul matmul_of(const TnCall *call) {
    const TnTensor *t[3] = {&call->operands[0], &call->operands[1], &call->operands[2]};
    TnTensor leading[3];
    Matmul p = {.isa = &tn_isa_kernels[call->isa],
                .alpha = ((const ParamsMatmul *)call->params)->alpha};
    for (int i = 0; i < 3; i++) {
        leading[i] = *t[i];
        leading[i].rank -= 2;
        p.base[i] = t[i]->data;
        for (int j = 0; j < 2; j++) p.strides[i][j] = t[i]->strides[t[i]->rank - 2 + j];
    }
    p.bf16 = t[A]->dtype == TN_BF16;
    p.c_bf16 = t[C]->dtype == TN_BF16;
    p.m = t[C]->dims[t[C]->rank - 2];
    p.n = t[C]->dims[t[C]->rank - 1];
    p.k = t[A]->dims[t[A]->rank - 1];
    loop_over(&p.entries, &leading[C]);
    for (int i = 0; i < 3; i++) loop_add(&p.entries, &leading[i]);
    loop_collapse(&p.entries);
    return p;
}

/* Element types other than f32 and bf16 (matmul_blas.c, the same on every ISA). */
void matmul_other_plan(TnCall *call);
void matmul_other_run(const TnCall *call, int64_t task);

#endif
