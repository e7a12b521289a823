/* Operators that make values out of nothing or move elements. */
#include "ir/ref/ref.h"
#include "runtime/base/checked.h"

#include <string.h>

/* --- values out of nothing --- */

void ref_splat(RefCall *call) {
    Tensor *y = call->out;
    Scalar v = tn_is_float(y->dtype) ? (Scalar){.f = attr_float(call->node, "value")}
                                     : (Scalar){.i = attr_int(call->node, "integer")};
    for (int64_t i = 0, n = tensor_count(y); i < n; i++) scalar_store(y->dtype, y->data, i, v);
}

/* `v` in the element type of `y`, an integer written into any type. */
static void store_integer(Tensor *y, int64_t i, int64_t v) {
    scalar_store(y->dtype, y->data, i, scalar_convert(TN_I64, y->dtype, (Scalar){.i = v}));
}

void ref_iota(RefCall *call) {
    uint64_t start = (uint64_t)ref_expr(call, attr_dim(call->node, "start"));
    uint64_t step = (uint64_t)ref_expr(call, attr_dim(call->node, "step"));
    for (int64_t i = 0; i < call->out->dims[0]; i++)
        store_integer(call->out, i, (int64_t)(start + step * (uint64_t)i));
}

void ref_scalars(RefCall *call) {
    const ExprList *values = attr_exprs(call->node, "values");
    for (int i = 0; i < values->count; i++)
        store_integer(call->out, i, ref_expr(call, values->e[i]));
}

/* --- the same elements elsewhere --- */

void ref_measure(RefCall *call) {
    memcpy(call->out->data, call->in[0]->data, call->out->bytes);
}

static void copy_element(const Tensor *y, int64_t to, const Tensor *x, int64_t from) {
    size_t size = tn_dtype_size(x->dtype);
    memcpy((char *)y->data + (size_t)to * size, (const char *)x->data + (size_t)from * size, size);
}

/* y[index] = x[start + sum index * strides] */
static void copy_strided(RefCall *call, const int64_t *strides, int64_t start) {
    Tensor *y = call->out;
    RefLoop l = ref_loop(y->rank, y->dims);
    int x = ref_follow_strides(&l, strides, start);
    for (; ref_more(&l); ref_step(&l)) copy_element(y, l.count, call->in[0], l.at[x]);
}

void ref_view(RefCall *call) {
    if (call->out->bytes) memcpy(call->out->data, call->in[0]->data, call->out->bytes);
}

void ref_transpose(RefCall *call) {
    const IntList *perm = attr_ints(call->node, "perm");
    int64_t dense[TN_MAX_RANK], strides[TN_MAX_RANK];
    ref_strides(call->in[0]->rank, call->in[0]->dims, dense);
    for (int i = 0; i < perm->count; i++) strides[i] = dense[perm->v[i]];
    copy_strided(call, strides, 0);
}

void ref_expand(RefCall *call) {
    Tensor *y = call->out;
    RefLoop l = ref_loop(y->rank, y->dims);
    int x = ref_follow(&l, call->in[0]->rank, call->in[0]->dims);
    for (; ref_more(&l); ref_step(&l)) copy_element(y, l.count, call->in[0], l.at[x]);
}

void ref_slice(RefCall *call) {
    const Tensor *x = call->in[0], *y = call->out;
    int axis = ref_axis(call, "axis", x->rank);
    int64_t start = ref_expr(call, attr_dim(call->node, "start"));
    int64_t step = attr_int(call->node, "step"), last;
    if (tensor_count(y) == 0) return;
    if (!tn_mul_i64(step, y->dims[axis] - 1, &last) || !tn_add_i64(start, last, &last) ||
        start < 0 || start >= x->dims[axis] || last < 0 || last >= x->dims[axis])
        ref_fail(call, TN_E_SHAPE, "slice from %lld to %lld of an axis of %lld", (long long)start,
                 (long long)last, (long long)x->dims[axis]);
    int64_t strides[TN_MAX_RANK];
    ref_strides(x->rank, x->dims, strides);
    int64_t at = start * strides[axis];
    strides[axis] *= step;
    copy_strided(call, strides, at);
}

void ref_concat(RefCall *call) {
    Tensor *y = call->out;
    int axis = ref_axis(call, "axis", y->rank);
    int64_t strides[TN_MAX_RANK], begin = 0;
    ref_strides(y->rank, y->dims, strides);
    for (int i = 0; i < call->n_in; i++) {
        const Tensor *x = call->in[i];
        RefLoop l = ref_loop(x->rank, x->dims);
        int to = ref_follow_strides(&l, strides, begin * strides[axis]);
        for (; ref_more(&l); ref_step(&l)) copy_element(y, l.at[to], x, l.count);
        begin += x->dims[axis];
    }
}

/* --- pad --- */

/* `i` mirrored at both ends, the ends not repeated: -1 is 1, n is n - 2. */
static int64_t reflect(int64_t i, int64_t n) {
    if (n == 1) return 0;
    int64_t period = 2 * (n - 1);
    i = (i % period + period) % period;
    return i < n ? i : period - i;
}

/* The place in an axis of length n that padding shows at `i`, -1 for the padding value. */
static int64_t pad_source(char mode, int64_t i, int64_t n) {
    if (i >= 0 && i < n) return i;
    switch (mode) {
    case 'r': return reflect(i, n);
    case 'e': return i < 0 ? 0 : n - 1;
    case 'w': return (i % n + n) % n;
    default: return -1;
    }
}

void ref_pad(RefCall *call) {
    const Tensor *x = call->in[0], *value = ref_operand(call, 1);
    Tensor *y = call->out;
    char mode = attr_string(call->node, "mode")[0];
    const DimList *before = attr_dims(call->node, "before");
    int64_t strides[TN_MAX_RANK], first[TN_MAX_RANK];
    ref_strides(x->rank, x->dims, strides);
    for (int i = 0; i < x->rank; i++) first[i] = ref_expr(call, before->e[i]);
    if (mode != 'c' && tensor_count(x) == 0 && tensor_count(y) > 0)
        ref_fail(call, TN_E_SHAPE, "nothing to pad with: the tensor is empty");
    for (RefLoop l = ref_loop(y->rank, y->dims); ref_more(&l); ref_step(&l)) {
        int64_t at = 0;
        for (int i = 0; i < x->rank && at >= 0; i++) {
            int64_t source = pad_source(mode, l.index[i] - first[i], x->dims[i]);
            at = source < 0 ? -1 : at + source * strides[i];
        }
        if (at >= 0)
            copy_element(y, l.count, x, at);
        else if (value)
            copy_element(y, l.count, value, 0);
    }
}

void ref_roll(RefCall *call) {
    const Tensor *x = call->in[0];
    const DimList *starts = attr_dims(call->node, "starts");
    int64_t strides[TN_MAX_RANK], first[TN_MAX_RANK];
    ref_strides(x->rank, x->dims, strides);
    for (int i = 0; i < x->rank; i++) first[i] = ref_expr(call, starts->e[i]);
    for (RefLoop l = ref_loop(x->rank, x->dims); ref_more(&l); ref_step(&l)) {
        int64_t at = 0;
        for (int i = 0; i < x->rank; i++) at += (first[i] + l.index[i]) % x->dims[i] * strides[i];
        copy_element(call->out, l.count, x, at);
    }
}

/* --- gather --- */

/* y[a, i, b] = x[a, index[i], b] */
void ref_gather(RefCall *call) {
    const Tensor *x = call->in[0], *index = call->in[1];
    RefAxis a = ref_split(x, ref_axis(call, "axis", x->rank));
    int64_t n = tensor_count(index);
    for (int64_t o = 0; o < a.outer; o++)
        for (int64_t i = 0; i < n; i++) {
            int64_t at = (o * a.length + ref_index(call, index, i, a.length)) * a.inner;
            for (int64_t b = 0; b < a.inner; b++)
                copy_element(call->out, (o * n + i) * a.inner + b, x, at + b);
        }
}

void ref_gather_elements(RefCall *call) {
    const Tensor *x = call->in[0], *index = call->in[1];
    int axis = ref_axis(call, "axis", x->rank);
    int64_t strides[TN_MAX_RANK];
    ref_strides(x->rank, x->dims, strides);
    int64_t stride = strides[axis];
    strides[axis] = 0;
    RefLoop l = ref_loop(index->rank, index->dims);
    int rest = ref_follow_strides(&l, strides, 0);
    for (; ref_more(&l); ref_step(&l)) {
        int64_t at = l.at[rest] + ref_index(call, index, l.count, x->dims[axis]) * stride;
        copy_element(call->out, l.count, x, at);
    }
}

/* Rows of `index` are coordinates along the axes of x after the batch axes. */
void ref_gather_nd(RefCall *call) {
    const Tensor *x = call->in[0], *index = call->in[1];
    int batch = (int)attr_int(call->node, "batch");
    int depth = (int)index->dims[index->rank - 1];
    int64_t batches = 1, inner = 1, strides[TN_MAX_RANK];
    ref_strides(x->rank, x->dims, strides);
    for (int i = 0; i < batch; i++) batches *= x->dims[i];
    for (int i = batch + depth; i < x->rank; i++) inner *= x->dims[i];
    int64_t batch_size = batches ? tensor_count(x) / batches : 0;
    int64_t rows = depth && batches ? tensor_count(index) / depth / batches : 0;
    for (int64_t r = 0; r < batches * rows; r++) {
        int64_t at = r / rows * batch_size;
        for (int i = 0; i < depth; i++)
            at += ref_index(call, index, r * depth + i, x->dims[batch + i]) * strides[batch + i];
        for (int64_t b = 0; b < inner; b++) copy_element(call->out, r * inner + b, x, at + b);
    }
}
