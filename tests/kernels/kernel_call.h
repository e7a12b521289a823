/* Calls one kernel as the interpreter does: plan, scratch of exactly the size asked for, then every
 * task in turn.
 *
 *     const int64_t dims[] = {3, 5};
 *     TnTensor operands[] = {dense(x, TN_F32, 2, dims), dense(y, TN_F32, 2, dims)};
 *     call_kernel(isa, OP_softmax, &params, operands, 1, 1, NULL, 0);
 *
 * Tests run for every ISA this CPU has (FOR_EACH_ISA) and compare with plain loops in double
 * precision. */
#ifndef TENON_TESTS_KERNELS_KERNEL_CALL_H
#define TENON_TESTS_KERNELS_KERNEL_CALL_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "runtime/kernels.h"
#include "runtime/pack.h"
#include "runtime/params.h"

enum {
#define INSTR(name, opcode, ...) OP_##name = opcode,
#include "runtime/instrs.def"
#undef INSTR
};

/* Bytes behind scratch, which in a session are another thread's; the sanitizer watches its own. */
#if defined(__SANITIZE_ADDRESS__)
enum { BEHIND_SCRATCH = 0 };
#else
enum { BEHIND_SCRATCH = 64 };
#endif

#define FOR_EACH_ISA(isa) for (TnIsa isa = TN_ISA_SCALAR; isa <= tn_cpu_isa(); isa++)

static inline TnTensor dense(void *data, TnDType dtype, int rank, const int64_t *dims) {
    TnTensor t = {.data = data, .rank = rank, .dtype = (uint8_t)dtype};
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        t.dims[i] = dims[i];
        t.strides[i] = stride;
        stride *= dims[i];
    }
    return t;
}

static inline void call_kernel(TnIsa isa, int opcode, const void *params, TnTensor *operands,
                               int inputs, int outputs, const int64_t *scalars, int scalar_count) {
    const TnKernel *kernel = tn_kernel(isa, opcode);
    assert_non_null(kernel);
    TnFault fault = {0};
    TnCall call = {.run = kernel->run,
                   .params = params,
                   .operands = operands,
                   .scalars = scalars,
                   .fault = &fault,
                   .inputs = inputs,
                   .outputs = outputs,
                   .scalar_count = scalar_count,
                   .opcode = opcode,
                   .isa = isa};
    kernel->plan(&call);
    size_t bytes = (call.scratch_bytes + 63) / 64 * 64, all = bytes + BEHIND_SCRATCH;
    unsigned char *scratch = all ? aligned_alloc(64, all) : NULL;
    if (all) memset(scratch, 0xff, all); /* NaN: reading what was never written shows */
    tn_scratch_begin(&call, scratch, bytes, 1);
    for (int64_t task = call.tasks - 1; task >= 0; task--) call.run(&call, task, scratch);
    for (size_t i = bytes; i < all; i++)
        if (scratch[i] != 0xff) fail_msg("wrote behind scratch of %zu bytes", call.scratch_bytes);
    free(scratch);
    assert_int_equal(fault.raised, 0);
}

/* Reproducible numbers in [-1, 1). */
static inline float noise(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(int32_t)*state / 2147483648.0f;
}

static inline float *noise_array(int64_t count, uint32_t seed) {
    float *x = malloc((size_t)(count ? count : 1) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < count; i++) x[i] = noise(&seed);
    return x;
}

#endif
