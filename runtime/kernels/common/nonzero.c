/* nonzero: the coordinates of the true elements of x in row-major order, y[axis, i]. y has room for
 * as many as were counted before. */
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"

TN_COMMON_FAMILY(nonzero);

void nonzero_plan_common(TnCall *call) {
    call->tasks = tensor_elements(&call->operands[1]) > 0;
    call->work = tensor_elements(&call->operands[0]);
    call->scratch_bytes = 0;
}

void nonzero_run_common(const TnCall *call, int64_t task, void *scratch) {
    (void)task, (void)scratch;
    const TnTensor *x = &call->operands[0], *y = &call->operands[1];
    int64_t *to = y->data, room = y->dims[1], count = 0;
    Loop l;
    loop_over(&l, x);
    loop_add(&l, x);
    LoopAt at;
    loop_start(&l, l.rank, &at);
    for (int64_t i = 0, n = tensor_elements(x); i < n && count < room;
         i++, loop_next(&l, l.rank, &at)) {
        if (!((const uint8_t *)x->data)[at.offset[0]]) continue;
        for (int a = 0; a < x->rank; a++)
            to[a * y->strides[0] + count * y->strides[1]] = at.index[a];
        count++;
    }
    for (; count < room; count++)
        for (int a = 0; a < x->rank; a++) to[a * y->strides[0] + count * y->strides[1]] = 0;
}
