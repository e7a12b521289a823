/* Operands that import functions look into, and small pieces that several of them build. */
#include <string.h>
#include "frontend/onnx/import.h"

#define ONNX_MAX_TYPE 28   /* FLOAT6E3M2, the last of TensorProto.DataType */
#define MAX_LIST      1024 /* elements of an operand that import functions look into */
#define DATA_HELP     "export with a constant here, or with a formula over lengths of inputs"

bool onnx_given(const OnnxNode *n, int i) {
    return i < n->input_count && n->inputs[i];
}

void onnx_refuse_input(const OnnxNode *n, int i, const char *name) {
    if (!onnx_given(n, i)) return;
    tn_hint(n->cx, "input", "export without this optional input");
    tn_fail(n->cx, TN_E_UNSUPPORTED, "unsupported: input %d, %s", i, name);
}

void onnx_need_input(const OnnxNode *n, int i, const char *name) {
    if (!onnx_given(n, i)) tn_fail(n->cx, TN_E_MODEL, "input %d, %s, is missing", i, name);
}

void onnx_need_rank(const OnnxNode *n, int i, int rank) {
    const Type *t = &n->inputs[i]->type;
    if (t->rank != rank)
        tn_fail(n->cx, TN_E_MODEL, "input %d is %s, wanted %d axes", i, ir_type_text(n->m, t),
                rank);
}

/* --- known values --- */

static const char *leaf_name(void *user, const void *leaf) {
    const Value *v = leaf;
    (void)user;
    return v->name ? v->name : "?";
}

static const char *input_name(const OnnxNode *n, int i) {
    const char *name = n->proto->input[i];
    return tn_quoted(n->cx, name);
}

/* The number INT64_MIN cannot be negated; as a bound of a slice it means what the number above it
 * means. */
static const Expr *constant_element(const OnnxNode *n, const Constant *c, int k) {
    int64_t v = ir_element_i64(c->dtype, c->data, k);
    return ex_int(n->x, v == INT64_MIN ? INT64_MIN + 1 : v);
}

static const Expr *element(const OnnxNode *n, const Value *v, const char *what, int k) {
    const Expr *e = v->facts.values[k];
    if (!ex_mentions(e, ATOM_LOAD)) return ex_norm(n->x, e);
    const char *text = ex_text_with(n->x, e, leaf_name, NULL);
    tn_hint(n->cx, "length", DATA_HELP);
    tn_fail(n->cx, TN_E_UNSUPPORTED, "%s depends on data, unsupported: element %d is %s", what, k,
            tn_quoted(n->cx, text));
}

static void check_vector(const OnnxNode *n, int i, const char *what) {
    const Type *t = &n->inputs[i]->type;
    int64_t length;
    if (!tn_is_int(t->dtype))
        tn_fail(n->cx, TN_E_MODEL, "%s '%s' is of type %s, not of an integer type", what,
                input_name(n, i), tn_dtype_name(t->dtype));
    if (t->rank > 1)
        tn_fail(n->cx, TN_E_MODEL, "%s '%s' is %s, not a vector", what, input_name(n, i),
                ir_type_text(n->m, t));
    if (t->rank == 1 && ex_const(t->dims[0], &length) && length > MAX_LIST)
        tn_fail(n->cx, TN_E_LIMIT, "%s '%s' has %lld elements, at most %d", what, input_name(n, i),
                (long long)length, MAX_LIST);
}

int onnx_values(const OnnxNode *n, int i, const char *what, const Expr *const **values) {
    const Value *v = n->inputs[i];
    check_vector(n, i, what);
    *values = NULL;
    if (v->type.rank == 1 && ex_is(v->type.dims[0], 0)) return 0;
    if (!v->facts.values && !v->constant) {
        tn_hint(n->cx, "length", DATA_HELP);
        tn_fail(n->cx, TN_E_UNSUPPORTED, "%s depends on data, unsupported: '%s' is %s", what,
                input_name(n, i), ir_type_text(n->m, &v->type));
    }
    int count = v->facts.count;
    if (v->constant) count = v->constant->rank ? (int)v->constant->dims[0] : 1;
    const Expr **known = ARENA_ARRAY(&n->cx->arena, const Expr *, (size_t)count);
    for (int k = 0; k < count; k++)
        known[k] = v->constant ? constant_element(n, v->constant, k) : element(n, v, what, k);
    *values = known;
    return count;
}

const Expr *onnx_value(const OnnxNode *n, int i, const char *what) {
    const Expr *const *values;
    int count = onnx_values(n, i, what, &values);
    if (count != 1)
        tn_fail(n->cx, TN_E_MODEL, "%s '%s' has %d elements, not one", what, input_name(n, i),
                count);
    return values[0];
}

static int64_t number(const OnnxNode *n, const char *what, const Expr *e) {
    int64_t v;
    if (ex_const(e, &v)) return v;
    tn_hint(n->cx, "length", "fix the lengths that it mentions with --dim NAME=N");
    tn_fail(n->cx, TN_E_UNSUPPORTED, "%s must be a number, but is %s: unsupported", what,
            ex_text(n->x, e));
}

OnnxInts onnx_numbers(const OnnxNode *n, int i, const char *what) {
    const Expr *const *values;
    if (!onnx_given(n, i)) return (OnnxInts){0};
    int count = onnx_values(n, i, what, &values);
    int64_t *v = ARENA_ARRAY(&n->cx->arena, int64_t, (size_t)count);
    for (int k = 0; k < count; k++) v[k] = number(n, what, values[k]);
    return (OnnxInts){true, count, v};
}

int64_t onnx_number(const OnnxNode *n, int i, const char *what) {
    return number(n, what, onnx_value(n, i, what));
}

const Expr *const *onnx_exprs(const OnnxNode *n, OnnxInts list) {
    const Expr **e = ARENA_ARRAY(&n->cx->arena, const Expr *, (size_t)list.count);
    for (int i = 0; i < list.count; i++) e[i] = ex_int(n->x, list.v[i]);
    return e;
}

/* --- types and axes --- */

TnDType onnx_need_dtype(Cx *cx, int64_t number) {
    TnDType t = number > 0 && number <= INT32_MAX ? onnx_dtype((int32_t)number) : TN_NONE;
    if (t != TN_NONE) return t;
    if (number <= 0 || number > ONNX_MAX_TYPE)
        tn_fail(cx, TN_E_MODEL, "element type %lld is unknown", (long long)number);
    onnx_refuse_dtype(cx, (int32_t)number);
}

OnnxInts onnx_axes(const OnnxNode *n) {
    return onnx_has(n, "axes") ? onnx_ints(n, "axes") : onnx_numbers(n, 1, "axes");
}

void onnx_mark_axes(const OnnxNode *n, OnnxInts axes, int rank, bool *marked) {
    memset(marked, 0, TN_MAX_RANK * sizeof *marked);
    if (rank > TN_MAX_RANK)
        tn_fail(n->cx, TN_E_LIMIT, "a tensor with %d axes, at most %d", rank, TN_MAX_RANK);
    for (int i = 0; i < axes.count; i++) {
        int axis = ir_axis(n->m, axes.v[i], rank);
        if (marked[axis])
            tn_fail(n->cx, TN_E_MODEL, "axis %lld is there twice", (long long)axes.v[i]);
        marked[axis] = true;
    }
}

/* --- pieces --- */

void onnx_need_same_dtype(const OnnxNode *n, int i) {
    TnDType t = n->inputs[0]->type.dtype;
    if (onnx_given(n, i) && n->inputs[i]->type.dtype != t)
        tn_fail(n->cx, TN_E_MODEL, "operands have types %s and %s", tn_dtype_name(t),
                tn_dtype_name(n->inputs[i]->type.dtype));
}

void onnx_need_same_dims(const OnnxNode *n, const Value *a, const Value *b) {
    if (a->type.rank != b->type.rank)
        tn_fail(n->cx, TN_E_MODEL, "%s and %s do not have the same dims",
                ir_type_text(n->m, &a->type), ir_type_text(n->m, &b->type));
    for (int i = 0; i < a->type.rank; i++)
        ir_same_dim(n->m, a->type.dims[i], b->type.dims[i], "dims");
}

const Expr *onnx_part(OnnxNode *n, const Expr *dim, int64_t parts) {
    ExprCx *x = n->x;
    if (parts < 1 || parts > INT32_MAX)
        tn_fail(n->cx, TN_E_MODEL, "%lld parts of a dimension", (long long)parts);
    const Expr *part = ex_floordiv(x, dim, ex_int(x, parts));
    ir_same_dim(n->m, ex_scale(x, part, parts, 1), dim,
                "equal parts and the dimension they make up");
    return part;
}

Constant *onnx_constant(OnnxModel *model, Module *m, const Onnx__TensorProto *proto,
                        const char *name) {
    OnnxTensor t;
    onnx_tensor(model, proto, &t);
    return ir_constant_new(m, name, t.dtype, t.rank, t.dims, t.data ? t.data : "");
}

Value *onnx_with_scalar(OnnxNode *n, OpKind op, Value *x, double c) {
    return ir_binary(n->g, op, x, ir_scalar(n->g, x->type.dtype, c));
}

Value *onnx_as_matrix(OnnxNode *n, Value *x, int axis) {
    const Type *t = &x->type;
    const Expr *dims[] = {ex_product(n->x, t->dims, axis),
                          ex_product(n->x, t->dims + axis, t->rank - axis)};
    return ir_view(n->g, x, 2, dims);
}

Value *onnx_per_channel(OnnxNode *n, Value *v) {
    const Expr *dims[TN_MAX_RANK];
    int rank = n->inputs[0]->type.rank;
    if (v->type.rank != 1)
        tn_fail(n->cx, TN_E_MODEL, "%s is not a vector", ir_type_text(n->m, &v->type));
    for (int i = 0; i < rank - 1; i++) dims[i] = i ? ex_int(n->x, 1) : v->type.dims[0];
    return rank < 2 ? v : ir_view(n->g, v, rank - 1, dims);
}

Value *onnx_slice(OnnxNode *n, Value *x, int axis, const Expr *start, const Expr *length,
                  int64_t step) {
    if (ex_is(start, 0) && step == 1 && length == x->type.dims[axis]) return x;
    return ir_slice(n->g, x, axis, start, length, step);
}
