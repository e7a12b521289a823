/* fill: y[i] = value, for every element type and any strides. */
#include <string.h>
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/map.h"

TN_COMMON_FAMILY(fill);

#define TASK_ELEMENTS 32768

void fill_plan_common(TnCall *call) {
    int64_t elements = tensor_elements(&call->operands[0]);
    call->tile[0] = TASK_ELEMENTS;
    call->tasks = TN_CEIL_DIV(elements, TASK_ELEMENTS);
    call->work = elements / 8;
    call->scratch_bytes = 0;
}

/* Fills one run of n elements from a block of MAP_BLOCK equal registers. */
static void fill_columns(char *y, TnDType t, int64_t stride, const void *block, int64_t n) {
    int64_t bytes = stride * (int64_t)tn_dtype_size(t);
    for (int64_t done = 0; done < n; done += MAP_BLOCK) TN_FN(map_store)
    (y + done * bytes, t, stride, block, n - done < MAP_BLOCK ? n - done : MAP_BLOCK);
}

void fill_run_common(const TnCall *call, int64_t task, void *scratch) {
    (void)scratch;
    const ParamsFill *params = call->params;
    const TnTensor *y = &call->operands[0];
    TnDType t = (TnDType)y->dtype;
    union {
        float f[MAP_BLOCK];
        double d[MAP_BLOCK];
        int64_t i[MAP_BLOCK];
    } block;
    for (int i = 0; i < MAP_BLOCK; i++) switch (map_class(t)) {
        case MAP_FLOAT: block.f[i] = (float)params->value; break;
        case MAP_DOUBLE: block.d[i] = params->value; break;
        default: block.i[i] = params->integer; break;
        }
    TN_FN(map_fit)(&block, t, MAP_BLOCK);

    Loop l;
    loop_over(&l, y);
    loop_add(&l, y);
    loop_collapse(&l);
    int outer = l.rank - 1;
    int64_t columns = l.dims[outer], stride = l.strides[0][outer];
    int64_t i = task * TASK_ELEMENTS, elements = loop_points(&l, l.rank);
    int64_t last = i + TASK_ELEMENTS < elements ? i + TASK_ELEMENTS : elements;
    int64_t column = i % columns;
    LoopAt at;
    loop_seek(&l, outer, i / columns, &at);
    for (int64_t n; i < last; i += n, column = 0, loop_next(&l, outer, &at)) {
        n = columns - column < last - i ? columns - column : last - i;
        int64_t offset = at.offset[0] + column * stride;
        fill_columns((char *)y->data + offset * (int64_t)tn_dtype_size(t), t, stride, &block, n);
    }
}
