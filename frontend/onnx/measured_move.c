/* Slice and Pad by bounds and borders that only a run knows.
 *
 * A slice measures start and length per axis; a step that is negative, or not known, becomes a
 * gather at start + step i, and then only the length is measured. Negative borders cut, that is
 * slice, before the others pad. */
#include <string.h>
#include "frontend/onnx/measured.h"

/* --- lists along the axes --- */

/* Entries of a list in the order of all axes, `rest` for those that have none. `hits` is NULL if
 * entry i belongs to axis i. */
static Value *along_axes(OnnxNode *n, Value *hits, Value *list, Value *rest) {
    if (!hits) return list;
    Value *there = int_where(n, hits, list, int_scalar(n, 0));
    Value *marked = int_op_const(n, OP_eq, axis_mask(n, hits), 1);
    return int_where(n, marked, int_reduce(n, OP_reduce_sum, there), rest);
}

/* Hits of axes given by operand i or, where there is none, of the first `count` axes. */
static Value *hits_of_axes(OnnxNode *n, int i, int rank, int count, int first) {
    if (onnx_given(n, i)) return axis_hits(n, i, rank, first);
    if (count > rank)
        tn_fail(n->cx, TN_E_MODEL, "%d entries for a tensor of rank %d", count, rank);
    if (count == rank) return NULL;
    return int_op(n, OP_eq, int_column(n, int_iota(n, rank)), int_iota(n, count));
}

/* --- Slice --- */

/* Bounds of a slice along all axes of a tensor, by the rules of numpy. */
typedef struct Bounds {
    Value *start, *step, *length; /* i64[rank] */
    bool forward;                 /* no step can be negative */
} Bounds;

static Value *ceil_div(OnnxNode *n, Value *a, Value *b) {
    Value *sum = int_op(n, OP_add, a, int_op_const(n, OP_add, b, -1));
    return int_op(n, OP_div, int_op_const(n, OP_max, sum, 0), b);
}

/* Step 0 gives the length -1, which is refused. */
static Bounds slice_bounds(OnnxNode *n, Value *start, Value *end, Value *step, Value *dims,
                           bool forward) {
    Value *zero = int_scalar(n, 0), *up = int_op(n, OP_lt, zero, step);
    Value *low = zero, *high = dims;
    start = int_from_end(n, start, dims);
    end = int_from_end(n, end, dims);
    if (forward) {
        start = int_clamp(n, start, zero, dims);
        end = int_clamp(n, end, zero, dims);
        Value *length = ceil_div(n, int_op(n, OP_sub, end, start), step);
        return (Bounds){start, step, length, true};
    }
    Value *last = int_op_const(n, OP_add, dims, -1);
    low = int_where(n, up, zero, int_scalar(n, -1));
    high = int_where(n, up, dims, last);
    start = int_clamp(n, start, zero, high);
    end = int_clamp(n, end, low, high);
    Value *span = int_op(n, OP_sub, end, start);
    span = int_where(n, up, span, ir_unary(n->g, OP_neg, span));
    Value *length = ceil_div(n, span, ir_unary(n->g, OP_abs, step));
    length = int_where(n, int_op_const(n, OP_eq, step, 0), int_scalar(n, -1), length);
    return (Bounds){start, step, length, false};
}

static Value *element(OnnxNode *n, Value *v, int i) {
    return ir_squeeze(n->g, ir_slice(n->g, v, 0, ex_int(n->x, i), ex_int(n->x, 1), 1), 0);
}

static Value *gather_steps(OnnxNode *n, Value *x, int axis, const Bounds *b, const Expr *length) {
    Value *i = ir_iota(n->g, TN_I64, length, ex_int(n->x, 0), ex_int(n->x, 1));
    Value *at = int_op(n, OP_mul, i, element(n, b->step, axis));
    return ir_gather(n->g, x, int_op(n, OP_add, at, element(n, b->start, axis)), axis);
}

static bool takes_all(OnnxNode *n, const Expr *start, const Expr *length, const Expr *dim) {
    return ex_is(start, 0) && ex_norm(n->x, length) == ex_norm(n->x, dim);
}

/* The step along an axis if it is known, else 0. */
static int64_t known_step(const Value *step, int axis) {
    int64_t v;
    if (!step->facts.values) return 0;
    return ex_const(step->facts.values[step->type.rank ? axis : 0], &v) ? v : 0;
}

static Value *slice_along(OnnxNode *n, Value *x, const Bounds *b) {
    int rank = x->type.rank;
    const Expr *const *start = NULL;
    if (b->forward)
        start = onnx_measure(n, "start of the slice", b->start, rank, 0, INT64_MAX);
    const Expr *const *length = onnx_measure(n, "length of the slice", b->length, 0, 0, INT64_MAX);
    for (int i = 0; i < rank; i++) {
        int64_t step = known_step(b->step, i);
        if (!start)
            x = gather_steps(n, x, i, b, length[i]);
        else if (step != 1 || !takes_all(n, start[i], length[i], x->type.dims[i]))
            x = onnx_slice(n, x, i, start[i], length[i], step);
    }
    return x;
}

/* Whether all steps are known and none is negative. */
static bool is_forward(const OnnxNode *n, const Value *step, int rank) {
    for (int i = 0; i < rank; i++)
        if (known_step(step, i) <= 0) return false;
    return n != NULL;
}

void measured_slice(OnnxNode *n) {
    Value *x = n->inputs[0];
    int rank = x->type.rank, count = onnx_count(n, 1, "starts");
    Value *start = onnx_vector(n, 1, "starts"), *end = onnx_vector(n, 2, "ends");
    Value *one = int_scalar(n, 1), *step = one, *dims = int_dims(n, rank, x->type.dims);
    if (onnx_count(n, 2, "ends") != count)
        tn_fail(n->cx, TN_E_MODEL, "%d starts, but %d ends", count, onnx_count(n, 2, "ends"));
    if (onnx_given(n, 3) && onnx_count(n, 3, "axes") != count)
        tn_fail(n->cx, TN_E_MODEL, "%d starts, but %d axes", count, onnx_count(n, 3, "axes"));
    if (onnx_given(n, 4) && onnx_count(n, 4, "steps") != count)
        tn_fail(n->cx, TN_E_MODEL, "%d starts, but %d steps", count, onnx_count(n, 4, "steps"));
    Value *hits = hits_of_axes(n, 3, rank, count, 2 * TN_MAX_RANK);
    if (onnx_given(n, 4)) step = along_axes(n, hits, onnx_vector(n, 4, "steps"), one);
    start = along_axes(n, hits, start, int_scalar(n, 0));
    end = along_axes(n, hits, end, dims);
    Bounds b = slice_bounds(n, start, end, step, dims, is_forward(n, step, rank));
    n->outputs[0] = slice_along(n, x, &b);
}

/* --- Pad --- */

static Value *not_negative(OnnxNode *n, Value *v) {
    return int_op_const(n, OP_max, v, 0);
}

/* All befores, then all afters, of all axes: what a list of borders says. */
static void borders(OnnxNode *n, Value **before, Value **after) {
    int rank = n->inputs[0]->type.rank, count = onnx_count(n, 1, "borders");
    int covered = onnx_given(n, 3) ? onnx_count(n, 3, "axes") : rank;
    Value *list = onnx_vector(n, 1, "borders"), *zero = int_scalar(n, 0);
    if (count != 2 * covered) tn_fail(n->cx, TN_E_MODEL, "%d borders for %d axes", count, covered);
    const Expr *none = ex_int(n->x, 0), *length = ex_int(n->x, covered);
    Value *hits = onnx_given(n, 3) ? axis_hits(n, 3, rank, 4 * TN_MAX_RANK) : NULL;
    *before = along_axes(n, hits, ir_slice(n->g, list, 0, none, length, 1), zero);
    *after = along_axes(n, hits, ir_slice(n->g, list, 0, length, length, 1), zero);
}

/* Negative borders cut; widths of the others are in *before and *after then. */
static Value *cut(OnnxNode *n, Value *x, Value *before, Value *after, const Expr *const **width) {
    int rank = x->type.rank;
    Value *start = not_negative(n, ir_unary(n->g, OP_neg, before));
    Value *end = not_negative(n, ir_unary(n->g, OP_neg, after));
    Value *length = int_op(n, OP_sub, int_dims(n, rank, x->type.dims), start);
    Value *parts[] = {int_op(n, OP_sub, length, end), start, not_negative(n, before),
                      not_negative(n, after)};
    const Expr *const *e =
        onnx_measure(n, "what borders leave, cut and add", int_join(n, 4, parts), 0, 0, INT64_MAX);
    for (int i = 0; i < rank; i++)
        if (!takes_all(n, e[rank + i], e[i], x->type.dims[i]))
            x = onnx_slice(n, x, i, e[rank + i], e[i], 1);
    *width = e + 2 * rank;
    return x;
}

void measured_pad_by(OnnxNode *n, Value *before, Value *after, const char *mode, Value *value) {
    const Expr *const *width;
    Value *x = cut(n, n->inputs[0], before, after, &width);
    n->outputs[0] = onnx_pad(n, x, width, width + x->type.rank, mode, value);
}

void measured_pad(OnnxNode *n, const char *mode, Value *value) {
    Value *before, *after;
    borders(n, &before, &after);
    measured_pad_by(n, before, after, mode, value);
}
