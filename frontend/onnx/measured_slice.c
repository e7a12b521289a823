/* Slice by bounds that only a run knows: length and start are measured per axis. A step that is
 * negative, or not known, becomes a gather at start + step i, and then only the length is
 * measured. */
#include "frontend/onnx/measured.h"

/* --- lists along the axes --- */

Value *along_axes(OnnxNode *n, Value *hits, Value *list, Value *rest) {
    if (!hits) return list;
    Value *there = int_where(n, hits, list, int_scalar(n, 0));
    Value *marked = int_op_const(n, OP_eq, axis_mask(n, hits), 1);
    return int_where(n, marked, int_reduce(n, OP_reduce_sum, there), rest);
}

/* Hits of axes given by operand i or, where there is none, of the first `count` axes. */
static Value *hits_of_axes(OnnxNode *n, int i, int rank, int count, int first) {
    if (onnx_given(n, i)) return axis_hits(n, i, rank, first);
    if (count > rank) tn_fail(n->cx, TN_E_MODEL, "%d entries for a tensor of rank %d", count, rank);
    if (count == rank) return NULL;
    return int_op(n, OP_eq, int_column(n, int_iota(n, rank)), int_iota(n, count));
}

/* --- Slice --- */

/* Bounds of a slice along all axes of a tensor. */
typedef struct Bounds {
    Value *start, *end, *step, *dims; /* i64[rank]; step may be a scalar */
    Value *length;
} Bounds;

static Value *ceil_div(OnnxNode *n, Value *a, Value *b) {
    Value *sum = int_op(n, OP_add, a, int_op_const(n, OP_add, b, -1));
    return int_op(n, OP_div, int_op_const(n, OP_max, sum, 0), b);
}

/* No step is negative. */
static void forward_bounds(OnnxNode *n, Bounds *b) {
    Value *zero = int_scalar(n, 0);
    b->start = int_clamp(n, b->start, zero, b->dims);
    b->end = int_clamp(n, b->end, zero, b->dims);
    b->length = ceil_div(n, int_op(n, OP_sub, b->end, b->start), b->step);
}

/* Downwards the end is before the last element taken, -1 at least. Steps beyond the length of the
 * axis are cut to it, so that nothing overflows; step 0 gives the length -1, which is refused. */
static void any_bounds(OnnxNode *n, Bounds *b) {
    Value *zero = int_scalar(n, 0), *up = int_op(n, OP_lt, zero, b->step);
    Value *last = int_op_const(n, OP_add, b->dims, -1), *none = int_op_const(n, OP_eq, b->step, 0);
    Value *longest = int_op_const(n, OP_max, b->dims, 1);
    Value *low = int_where(n, up, zero, int_scalar(n, -1)), *high = int_where(n, up, b->dims, last);
    b->step = int_clamp(n, b->step, ir_unary(n->g, OP_neg, longest), longest);
    b->start = int_clamp(n, b->start, zero, high);
    b->end = int_clamp(n, b->end, low, high);
    Value *span = int_op(n, OP_sub, b->end, b->start);
    span = int_where(n, up, span, ir_unary(n->g, OP_neg, span));
    Value *length = ceil_div(n, span, ir_unary(n->g, OP_abs, b->step));
    b->length = int_where(n, none, int_scalar(n, -1), length);
}

static Value *element(OnnxNode *n, Value *v, int i) {
    return ir_squeeze(n->g, ir_slice(n->g, v, 0, ex_int(n->x, i), ex_int(n->x, 1), 1), 0);
}

/* Element i of a vector, or the scalar, if it is a number, else `otherwise`. */
static int64_t known_or(const Value *v, int i, int64_t otherwise) {
    int64_t c;
    if (!v->facts.values) return otherwise;
    return ex_const(v->facts.values[v->type.rank ? i : 0], &c) ? c : otherwise;
}

/* Known steps along which slices are views. */
static bool is_forward(const Value *step, int rank) {
    for (int i = 0; i < rank; i++) {
        int64_t c = known_or(step, i, 0);
        if (c < 1 || c > INT32_MAX) return false;
    }
    return true;
}

static bool takes_all(OnnxNode *n, const Expr *start, const Expr *length, const Expr *dim) {
    return ex_is(start, 0) && ex_norm(n->x, length) == ex_norm(n->x, dim);
}

static Value *slice_forward(OnnxNode *n, Value *x, Bounds *b) {
    int rank = x->type.rank;
    forward_bounds(n, b);
    Value *both = int_join(n, 2, (Value *[]){b->length, b->start});
    const Expr *const *e = onnx_measure(n, "length and start of the slice", both, 0, 0, INT64_MAX);
    for (int i = 0; i < rank; i++) {
        int64_t step = known_or(b->step, i, 1);
        if (step != 1 || !takes_all(n, e[rank + i], e[i], x->type.dims[i]))
            x = onnx_slice(n, x, i, e[rank + i], e[i], step);
    }
    return x;
}

static Value *gather_steps(OnnxNode *n, Value *x, const Bounds *b, int axis, const Expr *length) {
    Value *i = ir_iota(n->g, TN_I64, length, ex_int(n->x, 0), ex_int(n->x, 1));
    Value *at = int_op(n, OP_mul, i, element(n, b->step, axis));
    return ir_gather(n->g, x, int_op(n, OP_add, at, element(n, b->start, axis)), axis);
}

static Value *slice_any(OnnxNode *n, Value *x, Bounds *b) {
    any_bounds(n, b);
    const Expr *const *length = onnx_measure(n, "length of the slice", b->length, 0, 0, INT64_MAX);
    for (int i = 0; i < x->type.rank; i++) {
        bool all = known_or(b->step, i, 0) == 1 && known_or(b->start, i, 1) == 0 &&
                   ex_norm(n->x, length[i]) == ex_norm(n->x, x->type.dims[i]);
        if (!all) x = gather_steps(n, x, b, i, length[i]);
    }
    return x;
}

static void check_slice_counts(OnnxNode *n, int count) {
    static const char *const names[] = {"", "", "ends", "axes", "steps"};
    for (int i = 2; i < 5; i++)
        if (onnx_given(n, i) && onnx_count(n, i, names[i]) != count)
            tn_fail(n->cx, TN_E_MODEL, "%d starts, but %d %s", count, onnx_count(n, i, names[i]),
                    names[i]);
}

void measured_slice(OnnxNode *n) {
    Value *x = n->inputs[0];
    int rank = x->type.rank, count = onnx_count(n, 1, "starts");
    check_slice_counts(n, count);
    Value *hits = hits_of_axes(n, 3, rank, count, 2 * TN_MAX_RANK);
    Value *dims = int_dims(n, rank, x->type.dims), *one = int_scalar(n, 1);
    Value *start = along_axes(n, hits, onnx_vector(n, 1, "starts"), int_scalar(n, 0));
    Value *end = along_axes(n, hits, onnx_vector(n, 2, "ends"), dims);
    Bounds b = {int_from_end(n, start, dims), int_from_end(n, end, dims), one, dims, NULL};
    if (onnx_given(n, 4)) b.step = along_axes(n, hits, onnx_vector(n, 4, "steps"), one);
    bool forward = is_forward(b.step, rank);
    n->outputs[0] = forward ? slice_forward(n, x, &b) : slice_any(n, x, &b);
}
