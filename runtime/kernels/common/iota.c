/* iota: y[i] = scalar0 + scalar1 * i in one dimension. scalars: the i-th element of y is scalar i.
 * Integers wrap to y's type; floats round to nearest. */
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/map.h"

TN_COMMON_FAMILY(iota);
TN_COMMON_FAMILY(scalars);

#define TASK_ELEMENTS 8192

static void store(const TnTensor *y, int64_t offset, int64_t stride, const int64_t *values,
                  int64_t n) {
    int64_t converted[MAP_BLOCK];
    TnDType t = (TnDType)y->dtype;
    char *to = (char *)y->data + offset * (int64_t)tn_dtype_size(t);
    TN_FN(map_cast)(converted, t, values, TN_I64, n);
    TN_FN(map_store)(to, t, stride, converted, n);
}

void iota_plan_common(TnCall *call) {
    int64_t elements = tensor_elements(&call->operands[0]);
    call->tile[0] = TASK_ELEMENTS;
    call->tasks = TN_CEIL_DIV(elements, TASK_ELEMENTS);
    call->work = elements;
    call->scratch_bytes = 0;
}

void iota_run_common(const TnCall *call, int64_t task, void *scratch) {
    (void)scratch;
    const TnTensor *y = &call->operands[0];
    int64_t elements = tensor_elements(y), first = task * TASK_ELEMENTS, values[MAP_BLOCK];
    int64_t last = first + TASK_ELEMENTS < elements ? first + TASK_ELEMENTS : elements;
    int64_t stride = y->rank > 0 ? y->strides[0] : 1;
    uint64_t start = (uint64_t)call->scalars[0], step = (uint64_t)call->scalars[1];
    for (int64_t i = first; i < last; i += MAP_BLOCK) {
        int64_t n = last - i < MAP_BLOCK ? last - i : MAP_BLOCK;
        for (int64_t j = 0; j < n; j++) values[j] = (int64_t)(start + step * (uint64_t)(i + j));
        store(y, i * stride, stride, values, n);
    }
}

void scalars_plan_common(TnCall *call) {
    call->tasks = tensor_elements(&call->operands[0]) > 0;
    call->work = call->scalar_count;
    call->scratch_bytes = 0;
}

void scalars_run_common(const TnCall *call, int64_t task, void *scratch) {
    (void)task;
    (void)scratch;
    const TnTensor *y = &call->operands[0];
    Loop l;
    loop_over(&l, y);
    loop_add(&l, y);
    LoopAt at;
    loop_start(&l, l.rank, &at);
    int64_t elements = tensor_elements(y);
    for (int64_t i = 0; i < elements && i < call->scalar_count; i++, loop_next(&l, l.rank, &at))
        store(y, at.offset[0], 1, &call->scalars[i], 1);
}
