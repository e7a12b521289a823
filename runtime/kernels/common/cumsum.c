/* cumsum: y[i] = x[0] + .. + x[i] along one axis, or the product; exclusive: without x[i]; reverse:
 * from the end.
 *
 * Floats are summed in double and rounded once per result; integers wrap to their type. */
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/map.h"

TN_COMMON_FAMILY(cumsum);

#define TASK_ELEMENTS 8192

void cumsum_plan_common(TnCall *call) {
    const ParamsCumsum *params = call->params;
    const TnTensor *x = &call->operands[0];
    int64_t elements = tensor_elements(x), n = x->dims[params->axis];
    call->tile[0] = n > 0 && n < TASK_ELEMENTS ? TASK_ELEMENTS / n : 1;
    call->tasks = elements == 0 ? 0 : TN_CEIL_DIV(elements / n, call->tile[0]);
    call->work = elements * 2;
    call->scratch_bytes = MAP_BLOCK * sizeof(int64_t);
}

/* Replaces a block of a register by running sums (products) that continue from *carry. */
#define RUNNING(name, type, total, op)                                  \
    static void name(type *x, total *carry, int64_t n, int exclusive) { \
        total sum = *carry;                                             \
        for (int64_t i = 0; i < n; i++) {                               \
            total next = sum op(total) x[i];                            \
            x[i] = (type)(exclusive ? sum : next);                      \
            sum = next;                                                 \
        }                                                               \
        *carry = sum;                                                   \
    }

RUNNING(sum_floats, float, double, +)
RUNNING(sum_doubles, double, double, +)
RUNNING(sum_ints, int64_t, uint64_t, +)
RUNNING(multiply_floats, float, double, *)
RUNNING(multiply_doubles, double, double, *)
RUNNING(multiply_ints, int64_t, uint64_t, *)

typedef struct Line {
    int64_t n, x_stride, y_stride;
    TnDType dtype;
    int exclusive, product;
} Line;

static void sum_line(const Line *l, char *y, const char *x, void *block) {
    int64_t size = (int64_t)tn_dtype_size(l->dtype);
    int exclusive = l->exclusive, product = l->product;
    double real = product;
    uint64_t whole = (uint64_t)product;
    for (int64_t i = 0; i < l->n; i += MAP_BLOCK) {
        int64_t n = l->n - i < MAP_BLOCK ? l->n - i : MAP_BLOCK;
        TN_FN(map_load)(block, x + i * l->x_stride * size, l->dtype, l->x_stride, n);
        switch (map_class(l->dtype)) {
        case MAP_FLOAT: (product ? multiply_floats : sum_floats)(block, &real, n, exclusive); break;
        case MAP_DOUBLE:
            (product ? multiply_doubles : sum_doubles)(block, &real, n, exclusive);
            break;
        default: (product ? multiply_ints : sum_ints)(block, &whole, n, exclusive); break;
        }
        TN_FN(map_fit)(block, l->dtype, n);
        TN_FN(map_store)(y + i * l->y_stride * size, l->dtype, l->y_stride, block, n);
    }
}

void cumsum_run_common(const TnCall *call, int64_t task, void *scratch) {
    const ParamsCumsum *params = call->params;
    const TnTensor *x = &call->operands[0], *y = &call->operands[1];
    int axis = (int)params->axis;
    int64_t size = (int64_t)tn_dtype_size((TnDType)x->dtype), x_begin = 0, y_begin = 0;
    Line line = {x->dims[axis], x->strides[axis], y->strides[axis], (TnDType)x->dtype, 0, 0};
    line.exclusive = (params->flags & TN_CUMSUM_EXCLUSIVE) != 0;
    line.product = (params->flags & TN_CUMSUM_PRODUCT) != 0;
    if (params->flags & TN_CUMSUM_REVERSE) {
        x_begin = (line.n - 1) * line.x_stride;
        y_begin = (line.n - 1) * line.y_stride;
        line.x_stride = -line.x_stride;
        line.y_stride = -line.y_stride;
    }
    Loop l;
    loop_over(&l, x);
    loop_add(&l, x);
    loop_add(&l, y);
    LoopLines t = loop_lines(&l, axis, task, call->tile[0]);
    for (; t.i < t.last; loop_next_line(&l, &t))
        sum_line(&line, (char *)y->data + (t.at.offset[1] + y_begin) * size,
                 (const char *)x->data + (t.at.offset[0] + x_begin) * size, scratch);
}
