/* ONNX operators that make tensors from attributes, shapes and a few numbers. */
#include <math.h>
#include "frontend/onnx/import.h"

/* --- Constant --- */

static Constant *numbers_constant(OnnxNode *n, TnDType t, int rank, int64_t count,
                                  const void *data) {
    return ir_constant_new(n->m, NULL, t, rank, &count, data ? data : "");
}

static Constant *make_constant(OnnxNode *n) {
    enum { FLOAT = 1, INT = 2, TENSOR = 4, FLOATS = 6, INTS = 7 }; /* AttributeProto.type */
    const Onnx__AttributeProto *a = n->proto->attribute[0];
    switch (a->type) {
    case FLOAT: return numbers_constant(n, TN_F32, 0, 1, &a->f);
    case INT: return numbers_constant(n, TN_I64, 0, 1, &a->i);
    case TENSOR: return onnx_constant(n->model, n->m, a->t, NULL);
    case FLOATS: return numbers_constant(n, TN_F32, 1, (int64_t)a->n_floats, a->floats);
    case INTS: return numbers_constant(n, TN_I64, 1, (int64_t)a->n_ints, a->ints);
    default: tn_fail(n->cx, TN_E_UNSUPPORTED, "attribute '%s' is unsupported", a->name);
    }
}

void import_constant(OnnxNode *n) {
    if (n->proto->n_attribute != 1)
        tn_fail(n->cx, TN_E_MODEL, "%zu attributes, wanted 1", n->proto->n_attribute);
    if (!*n->constant) *n->constant = make_constant(n);
    n->outputs[0] = ir_constant(n->g, *n->constant);
}

/* --- shapes --- */

static int64_t clamp(int64_t v, int64_t rank) {
    if (v < 0) v += rank;
    return v < 0 ? 0 : v > rank ? rank : v;
}

void import_shape(OnnxNode *n) {
    const Type *t = &n->inputs[0]->type;
    int64_t start = clamp(onnx_int(n, "start"), t->rank);
    int64_t end = onnx_has(n, "end") ? clamp(onnx_int(n, "end"), t->rank) : t->rank;
    int count = end > start ? (int)(end - start) : 0;
    n->outputs[0] = ir_scalars(n->g, TN_I64, count, t->dims + start);
}

void import_size(OnnxNode *n) {
    const Expr *count = ir_elements(n->m, &n->inputs[0]->type);
    Value *vector = ir_scalars(n->g, TN_I64, 1, &count);
    n->outputs[0] = ir_view(n->g, vector, 0, NULL);
}

/* Every element of the result is the one element of `t`. */
static Value *splat(OnnxNode *n, const OnnxTensor *t, int rank, const Expr *const *dims) {
    Node *node = ir_node(n->g, OP_splat, 0, NULL);
    ir_set_dtype(node, "dtype", t->dtype);
    ir_set_dims(node, "dims", rank, dims);
    if (tn_is_float(t->dtype))
        ir_set_float(node, "value", ir_element_f64(t->dtype, t->data, 0));
    else
        ir_set_int(node, "integer", ir_element_i64(t->dtype, t->data, 0));
    return ir_insert(node);
}

void import_constant_of_shape(OnnxNode *n) {
    static const float zero = 0;
    OnnxTensor t = {.dtype = TN_F32, .data = &zero, .bytes = sizeof zero};
    const Expr *const *dims;
    int rank = onnx_values(n, 0, "the shape", &dims);
    if (onnx_has(n, "value")) onnx_tensor(n->model, onnx_attribute(n, "value")->t, &t);
    if (t.bytes != tn_dtype_size(t.dtype))
        tn_fail(n->cx, TN_E_MODEL, "attribute 'value' must have one element");
    n->outputs[0] = splat(n, &t, rank, dims);
}

/* --- Range --- */

/* Number of steps from start to limit, at least 0. */
static const Expr *range_length(OnnxNode *n, const Expr *start, const Expr *limit, Rational step) {
    ExprCx *x = n->x;
    const Expr *span = ex_sub(x, limit, start);
    const Expr *count = step.num > 0 ? ex_scale(x, span, step.den, step.num)
                                     : ex_scale(x, ex_neg(x, span), step.den, -step.num);
    count = ex_ceil(x, count);
    return ex_nonneg(x, count) ? count : ex_max(x, count, ex_int(x, 0));
}

/* start, limit and delta: scalars, or vectors of one element, of one type. */
static const Expr *range_operand(OnnxNode *n, int i, const char *what) {
    static const char *const names[] = {"start", "limit", "delta"};
    const Value *v = n->inputs[i];
    if (v->type.dtype != n->inputs[0]->type.dtype)
        tn_fail(n->cx, TN_E_MODEL, "%s is %s, but start is %s", names[i],
                tn_dtype_name(v->type.dtype), tn_dtype_name(n->inputs[0]->type.dtype));
    if (tn_is_int(v->type.dtype)) return onnx_value(n, i, what);
    if (!v->facts.values || v->facts.count != 1 || ex_mentions(v->facts.values[0], ATOM_LOAD))
        tn_fail(n->cx, TN_E_UNSUPPORTED, "%s depends on data: %s is %s", what, names[i],
                ir_type_text(n->m, &v->type));
    return v->facts.values[0];
}

/* start + step i, computed in the result's type where the IR's integer range does not do. */
static Value *fractional_range(OnnxNode *n, const Expr *length) {
    Value *i = ir_iota(n->g, n->inputs[0]->type.dtype, length, ex_int(n->x, 0), ex_int(n->x, 1));
    return ir_binary(n->g, OP_add, ir_binary(n->g, OP_mul, i, n->inputs[2]), n->inputs[0]);
}

void import_range(OnnxNode *n) {
    const Expr *start = range_operand(n, 0, "start of the range");
    const Expr *limit = range_operand(n, 1, "length of the range");
    const Expr *delta = range_operand(n, 2, "step of the range");
    bool is_number = delta->count == 1 && delta->terms[0].degree == 0;
    if (!delta->count) tn_fail(n->cx, TN_E_MODEL, "delta is 0");
    if (!is_number)
        tn_fail(n->cx, TN_E_UNSUPPORTED, "delta must be a number, but is %s", ex_text(n->x, delta));
    const Expr *length = range_length(n, start, limit, delta->terms[0].coef);
    bool integral = ex_is_integral(start) && ex_is_integral(delta);
    n->outputs[0] = integral ? ir_iota(n->g, n->inputs[0]->type.dtype, length, start, delta)
                             : fractional_range(n, length);
}

/* --- comparisons of positions --- */

static Value *positions(OnnxNode *n, const Expr *length, int64_t start, bool column) {
    Value *v = ir_iota(n->g, TN_I64, length, ex_int(n->x, start), ex_int(n->x, 1));
    return column ? ir_unsqueeze(n->g, v, 1) : v;
}

/* Row and column numbers of a matrix, shifted by k, are far from wrapping. */
static int64_t diagonal(int64_t k) {
    int64_t limit = INT32_MAX;
    return k > limit ? limit : k < -limit ? -limit : k;
}

void import_eye_like(OnnxNode *n) {
    const Type *t = &n->inputs[0]->type;
    TnDType dtype = onnx_has(n, "dtype") ? onnx_need_dtype(n->cx, onnx_int(n, "dtype")) : t->dtype;
    if (t->rank != 2) tn_fail(n->cx, TN_E_MODEL, "%s is not a matrix", ir_type_text(n->m, t));
    Value *rows = positions(n, t->dims[0], diagonal(onnx_int(n, "k")), true);
    Value *columns = positions(n, t->dims[1], 0, false);
    n->outputs[0] = ir_cast(n->g, ir_binary(n->g, OP_eq, rows, columns), dtype);
}

/* Keeps what is on and above (or on and below) the k-th diagonal. */
void import_trilu(OnnxNode *n) {
    Value *x = n->inputs[0];
    const Type *t = &x->type;
    int64_t k = onnx_given(n, 1) ? onnx_number(n, 1, "k") : 0;
    bool upper = onnx_flag(n, "upper");
    if (t->rank < 2) tn_fail(n->cx, TN_E_MODEL, "%s is not a matrix", ir_type_text(n->m, t));
    Value *rows = positions(n, t->dims[t->rank - 2], diagonal(k), true);
    Value *columns = positions(n, t->dims[t->rank - 1], 0, false);
    Value *kept = ir_binary(n->g, OP_le, upper ? rows : columns, upper ? columns : rows);
    n->outputs[0] = ir_where(n->g, kept, x, ir_scalar(n->g, t->dtype, 0));
}

/* Indices may be negative, then they count from the end; they and depth may be of any number type.
 */
void import_one_hot(OnnxNode *n) {
    Graph *g = n->g;
    const Type *choices = &n->inputs[2]->type;
    if (choices->rank != 1)
        tn_fail(n->cx, TN_E_MODEL, "values are %s, not a vector of 2", ir_type_text(n->m, choices));
    ir_same_dim(n->m, choices->dims[0], ex_int(n->x, 2), "values and 2");
    n->inputs[1] = ir_cast(g, n->inputs[1], TN_I64);
    const Expr *depth = onnx_length(n, 1, "depth", 0);
    int rank = n->inputs[0]->type.rank + 1, axis = onnx_axis_of_rank(n, rank);
    Value *index = ir_cast(g, n->inputs[0], TN_I64);
    Value *size = ir_view(g, ir_scalars(g, TN_I64, 1, &depth), 0, NULL);
    Value *negative = ir_binary(g, OP_lt, index, ir_scalar_int(g, TN_I64, 0));
    index = ir_where(g, negative, ir_binary(g, OP_add, index, size), index);
    const Expr *dims[TN_MAX_RANK];
    for (int i = 0; i < rank - axis; i++) dims[i] = i ? ex_int(n->x, 1) : depth;
    Value *classes = ir_view(g, positions(n, depth, 0, false), rank - axis, dims);
    Value *hit = ir_binary(g, OP_eq, ir_unsqueeze(g, index, axis), classes);
    Value *pick[2];
    for (int i = 0; i < 2; i++)
        pick[i] =
            ir_squeeze(g, ir_slice(g, n->inputs[2], 0, ex_int(n->x, i), ex_int(n->x, 1), 1), 0);
    n->outputs[0] = ir_where(g, hit, pick[1], pick[0]);
}
