/* ONNX operators that make tensors from attributes, shapes and a few numbers. */
#include <math.h>
#include "frontend/onnx/measured.h"

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
    default:
        tn_hint(n->cx, "attribute", NULL);
        tn_fail(n->cx, TN_E_UNSUPPORTED, "attribute '%s' is unsupported", a->name);
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
    int rank;
    dims = onnx_lengths(n, 0, "the shape", 0, &rank);
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
static void check_range_operands(OnnxNode *n) {
    static const char *const names[] = {"start", "limit", "delta"};
    TnDType t = n->inputs[0]->type.dtype;
    for (int i = 0; i < 3; i++) {
        Value *v = n->inputs[i];
        if (v->type.dtype != t)
            tn_fail(n->cx, TN_E_MODEL, "%s is %s, but start is %s", names[i],
                    tn_dtype_name(v->type.dtype), tn_dtype_name(t));
        if (onnx_count(n, i, names[i]) != 1)
            tn_fail(n->cx, TN_E_MODEL, "%s is %s, not one number", names[i],
                    ir_type_text(n->m, &v->type));
        n->inputs[i] = ir_view(n->g, v, 0, NULL);
    }
}

/* The operand as an expression, or NULL if only a run knows it. */
static const Expr *known_number(const OnnxNode *n, int i) {
    const Value *v = n->inputs[i];
    const Expr *const *e = v->facts.values;
    if (tn_is_int(v->type.dtype)) return onnx_known(n, i) ? onnx_value(n, i, "range") : NULL;
    return e && !ex_mentions(e[0], ATOM_LOAD) ? e[0] : NULL;
}

/* start + delta i, computed in the result's type where the IR's integer range does not do. */
static Value *computed_range(OnnxNode *n, const Expr *length) {
    Value *i = ir_iota(n->g, n->inputs[0]->type.dtype, length, ex_int(n->x, 0), ex_int(n->x, 1));
    return ir_binary(n->g, OP_add, ir_binary(n->g, OP_mul, i, n->inputs[2]), n->inputs[0]);
}

/* ceil((limit - start) / delta) of integers: downwards both change their sign. Division truncates.
 */
static Value *integer_steps(OnnxNode *n, Value *start, Value *limit, Value *delta) {
    Value *span = int_op(n, OP_sub, limit, start), *down = int_op_const(n, OP_lt, delta, 0);
    span = int_where(n, down, ir_unary(n->g, OP_neg, span), span);
    Value *step = ir_unary(n->g, OP_abs, delta);
    Value *whole = int_op(n, OP_div, span, step), *rest = int_op(n, OP_mul, whole, step);
    Value *more = ir_cast(n->g, int_op(n, OP_lt, rest, span), TN_I64);
    return int_op(n, OP_add, whole, more);
}

/* The difference in the operands' type, the quotient in double. */
static Value *fractional_steps(OnnxNode *n) {
    Value *span = ir_binary(n->g, OP_sub, n->inputs[1], n->inputs[0]);
    Value *delta = ir_cast(n->g, n->inputs[2], TN_F64);
    Value *steps = ir_binary(n->g, OP_div, ir_cast(n->g, span, TN_F64), delta);
    return ir_cast(n->g, ir_unary(n->g, OP_ceil, steps), TN_I64);
}

/* The length -1, which is refused, stands for delta 0. */
static const Expr *measured_range_length(OnnxNode *n) {
    Value *v[3], *steps, *none;
    if (tn_is_int(n->inputs[0]->type.dtype)) {
        for (int i = 0; i < 3; i++) v[i] = ir_cast(n->g, n->inputs[i], TN_I64);
        steps = integer_steps(n, v[0], v[1], v[2]);
    } else {
        steps = fractional_steps(n);
    }
    none = ir_binary(n->g, OP_eq, n->inputs[2], ir_scalar(n->g, n->inputs[2]->type.dtype, 0));
    steps = int_where(n, none, int_scalar(n, -1), int_op_const(n, OP_max, steps, 0));
    return onnx_measure(n, "length of the range", steps, 0, 0, INT64_MAX)[0];
}

void import_range(OnnxNode *n) {
    check_range_operands(n);
    const Expr *start = known_number(n, 0), *limit = known_number(n, 1),
               *delta = known_number(n, 2);
    if (delta && !delta->count) tn_fail(n->cx, TN_E_MODEL, "delta is 0");
    bool is_number = delta && delta->count == 1 && delta->terms[0].degree == 0;
    const Expr *length = start && limit && is_number
                             ? range_length(n, start, limit, delta->terms[0].coef)
                             : measured_range_length(n);
    bool integral = start && delta && ex_is_integral(start) && ex_is_integral(delta);
    n->outputs[0] = integral ? ir_iota(n->g, n->inputs[0]->type.dtype, length, start, delta)
                             : computed_range(n, length);
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

/* Row numbers plus k, operand 1, as a column. */
static Value *shifted_rows(OnnxNode *n, const Expr *length) {
    int64_t k = 0;
    bool known = onnx_known(n, 1) && (!onnx_given(n, 1) || ex_const(onnx_value(n, 1, "k"), &k));
    if (known) return positions(n, length, diagonal(k), true);
    if (onnx_count(n, 1, "k") != 1) tn_fail(n->cx, TN_E_MODEL, "k is not one number");
    Value *limit = int_scalar(n, diagonal(INT64_MAX)), *zero = int_scalar(n, 0);
    Value *shift = int_clamp(n, onnx_vector(n, 1, "k"), int_op(n, OP_sub, zero, limit), limit);
    return int_op(n, OP_add, positions(n, length, 0, true), shift);
}

/* Keeps what is on and above (or on and below) the k-th diagonal. */
void import_trilu(OnnxNode *n) {
    Value *x = n->inputs[0];
    const Type *t = &x->type;
    bool upper = onnx_flag(n, "upper");
    if (t->rank < 2) tn_fail(n->cx, TN_E_MODEL, "%s is not a matrix", ir_type_text(n->m, t));
    Value *rows = shifted_rows(n, t->dims[t->rank - 2]);
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
