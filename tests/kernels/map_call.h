/* Runs small map programs in tests. */
#ifndef TENON_TESTS_KERNELS_MAP_CALL_H
#define TENON_TESTS_KERNELS_MAP_CALL_H

#include "tests/kernels/kernel_call.h"

/* Operands: `inputs` inputs, then the result. */
static inline void call_map(TnIsa isa, const TnMapStep *steps, uint32_t count, TnTensor *operands,
                            int inputs) {
    union {
        ParamsMap record;
        unsigned char space[sizeof(ParamsMap) + TN_MAX_MAP_STEPS * sizeof(TnMapStep)];
    } params = {.record = {.steps = count}};
    memcpy(params.record.step, steps, count * sizeof *steps);
    call_kernel(isa, OP_map, &params, operands, inputs, 1, NULL, 0);
}

/* y = op(x) in one type, dense. */
static inline void map_unary(TnIsa isa, TnMapOp op, TnDType t, const void *x, void *y, int64_t n) {
    TnMapStep step = {.op = (uint8_t)op, .dtype = (uint8_t)t, .arg_dtype = (uint8_t)t};
    TnTensor operands[] = {dense((void *)(uintptr_t)x, t, 1, &n), dense(y, t, 1, &n)};
    call_map(isa, &step, 1, operands, 1);
}

/* y = op(a, b); `result` is the type of y. */
static inline void map_binary(TnIsa isa, TnMapOp op, TnDType t, TnDType result, const void *a,
                              const void *b, void *y, int64_t n) {
    TnMapStep step = {.op = (uint8_t)op, .dtype = (uint8_t)result, .arg_dtype = (uint8_t)t};
    step.args[1] = 1;
    TnTensor operands[] = {dense((void *)(uintptr_t)a, t, 1, &n),
                           dense((void *)(uintptr_t)b, t, 1, &n), dense(y, result, 1, &n)};
    call_map(isa, &step, 1, operands, 2);
}

#endif
