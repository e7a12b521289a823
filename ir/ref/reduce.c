/* Reductions over axes and running sums. */
#include "ir/ref/ref.h"

#include <math.h>

/* The smallest (sign -1) or largest (sign 1) number of a type. */
static Scalar extreme(TnDType t, int sign) {
    if (t == TN_BOOL) return (Scalar){.i = sign > 0};
    return scalar_convert(TN_F64, t, (Scalar){.f = sign * INFINITY});
}

/* What a reduction of nothing gives. */
static Scalar neutral(OpKind op, TnDType t) {
    switch (op) {
    case OP_reduce_max: return extreme(t, -1);
    case OP_reduce_min: return extreme(t, 1);
    case OP_reduce_prod: return scalar_convert(TN_I64, t, (Scalar){.i = 1});
    default: return scalar_convert(TN_I64, t, (Scalar){.i = 0});
    }
}

static OpKind combining(OpKind op) {
    switch (op) {
    case OP_reduce_max: return OP_max;
    case OP_reduce_min: return OP_min;
    case OP_reduce_prod: return OP_mul;
    default: return OP_add;
    }
}

/* Accumulates into one Scalar per result, then rounds. */
static void reduce(RefCall *call) {
    const Tensor *x = call->in[0];
    Tensor *y = call->out;
    OpKind op = call->node->op;
    const IntList *axes = attr_ints(call->node, "axes");
    int64_t n = tensor_count(y), kept[TN_MAX_RANK], strides[TN_MAX_RANK];
    for (int i = 0; i < x->rank; i++) kept[i] = x->dims[i];
    for (int i = 0; i < axes->count; i++)
        kept[ir_axis(call->node->graph->module, axes->v[i], x->rank)] = 1;
    ref_strides(x->rank, kept, strides);
    for (int i = 0; i < x->rank; i++)
        if (kept[i] == 1) strides[i] = 0;

    Scalar *sum = ARENA_ARRAY(&call->scratch, Scalar, (size_t)n);
    for (int64_t i = 0; i < n; i++) sum[i] = neutral(op, x->dtype);
    RefLoop l = ref_loop(x->rank, x->dims);
    int to = ref_follow_strides(&l, strides, 0);
    for (; ref_more(&l); ref_step(&l)) {
        Scalar pair[2] = {sum[l.at[to]], scalar_load(x->dtype, x->data, l.count)};
        sum[l.at[to]] = scalar_apply(combining(op), x->dtype, pair);
    }
    double per_result = n ? (double)tensor_count(x) / (double)n : 0;
    for (int64_t i = 0; i < n; i++) {
        if (op == OP_reduce_mean) {
            Scalar pair[2] = {sum[i], tn_is_float(x->dtype) ? (Scalar){.f = per_result}
                                                            : (Scalar){.i = (int64_t)per_result}};
            sum[i] = scalar_apply(OP_div, x->dtype, pair);
        }
        scalar_store(y->dtype, y->data, i, sum[i]);
    }
}

void ref_reduce_sum(RefCall *call) {
    reduce(call);
}

void ref_reduce_mean(RefCall *call) {
    reduce(call);
}

void ref_reduce_max(RefCall *call) {
    reduce(call);
}

void ref_reduce_min(RefCall *call) {
    reduce(call);
}

void ref_reduce_prod(RefCall *call) {
    reduce(call);
}

/* exclusive: y[i] is the sum (product) before x[i]; reverse: from the end. */
static void running(RefCall *call, OpKind op, OpKind reduction) {
    const Tensor *x = call->in[0];
    Tensor *y = call->out;
    bool exclusive = attr_bool(call->node, "exclusive"), reverse = attr_bool(call->node, "reverse");
    RefAxis a = ref_split(x, ref_axis(call, "axis", x->rank));
    for (int64_t o = 0; o < a.outer; o++)
        for (int64_t b = 0; b < a.inner; b++) {
            Scalar sum = neutral(reduction, x->dtype);
            for (int64_t i = 0; i < a.length; i++) {
                int64_t along = reverse ? a.length - 1 - i : i;
                int64_t at = (o * a.length + along) * a.inner + b;
                Scalar pair[2] = {sum, scalar_load(x->dtype, x->data, at)};
                Scalar next = scalar_apply(op, x->dtype, pair);
                scalar_store(y->dtype, y->data, at, exclusive ? sum : next);
                sum = next;
            }
        }
}

void ref_cumsum(RefCall *call) {
    running(call, OP_add, OP_reduce_sum);
}

void ref_cumprod(RefCall *call) {
    running(call, OP_mul, OP_reduce_prod);
}
