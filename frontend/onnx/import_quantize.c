/* Quantisation: numbers as small integers (or floats of 8 and 4 bits) times a scale.
 *
 *     quantize    y = saturate(round(x / scale) + zero)      to the nearest, ties to even
 *     dequantize  x = (y - zero) scale
 *
 * All of it is elementwise arithmetic and becomes one map, except the integer products. The
 * division is marked exact: times a reciprocal, some quotients would round to another integer.
 * Scales and zero points are given for the whole tensor, per index of an axis, or per block along
 * an axis. */
#include "frontend/onnx/import_quantize.h"

static TnDType dtype_of(const OnnxNode *n, int i) {
    return n->inputs[i]->type.dtype;
}

Value *quant_given(const OnnxNode *n, int i) {
    return onnx_given(n, i) ? n->inputs[i] : NULL;
}

Value *quant_divide(Graph *g, Value *a, Value *b) {
    Node *node = ir_node(g, OP_div, 2, (Value *[]){a, b});
    ir_set_bool(node, "exact", true);
    return ir_insert(node);
}

/* round(x / scale) + zero into type `to`, which saturates. x / scale is computed in the type of
 * scale; what is added and clamped after that are integers that f32 holds. */
Value *quant_quantize(Graph *g, Value *x, Value *scale, Value *zero, TnDType to) {
    Value *y = ir_unary(g, OP_round, quant_divide(g, x, scale));
    y = ir_cast(g, y, TN_F32);
    if (zero) y = ir_binary(g, OP_add, y, ir_cast(g, zero, TN_F32));
    return ir_cast(g, y, to);
}

/* (y - zero) scale in f32 */
Value *quant_dequantize(Graph *g, Value *y, Value *scale, Value *zero) {
    y = ir_cast(g, y, TN_F32);
    if (zero) y = ir_binary(g, OP_sub, y, ir_cast(g, zero, TN_F32));
    return ir_binary(g, OP_mul, y, ir_cast(g, scale, TN_F32));
}

/* --- scales and zero points of a tensor --- */

/* How operand 0 is divided into parts with a scale each. */
typedef struct Parts {
    int axis;
    int64_t block; /* 0: none */
    bool split;    /* operand 0 is seen with the axis as [blocks, block] */
} Parts;

static bool is_single(const Value *v) {
    int64_t count = 1, d;
    for (int i = 0; i < v->type.rank; i++)
        if (!ex_const(v->type.dims[i], &d) || d != 1) count = 0;
    return count == 1;
}

static const Expr *block_count(const OnnxNode *n, const Expr *length, int64_t block) {
    ExprCx *x = n->x;
    return ex_floordiv(x, ex_add(x, length, ex_int(x, block - 1)), ex_int(x, block));
}

static Parts parts_of(OnnxNode *n) {
    const Type *x = &n->inputs[0]->type, *scale = &n->inputs[1]->type;
    Parts p = {.block = onnx_int(n, "block_size")};
    if (p.block < 0 || p.block > INT32_MAX)
        tn_fail(n->cx, TN_E_MODEL, "block_size is %lld, wanted 0 or more", (long long)p.block);
    if (is_single(n->inputs[1])) return (Parts){0};
    p.axis = onnx_axis(n, 0);
    if (!p.block && scale->rank != 1)
        tn_fail(n->cx, TN_E_MODEL, "the scale is %s, wanted a scalar or a vector",
                ir_type_text(n->m, scale));
    if (!p.block) {
        ir_same_dim(n->m, scale->dims[0], x->dims[p.axis], "scales and length of the axis");
        return p;
    }
    if (scale->rank != x->rank)
        tn_fail(n->cx, TN_E_MODEL, "the scale is %s, wanted the rank of %s",
                ir_type_text(n->m, scale), ir_type_text(n->m, x));
    for (int i = 0; i < x->rank; i++)
        ir_same_dim(n->m, scale->dims[i],
                    i == p.axis ? block_count(n, x->dims[i], p.block) : x->dims[i],
                    "scales and blocks");
    const Expr *whole = ex_scale(n->x, scale->dims[p.axis], p.block, 1);
    p.split = ex_norm(n->x, whole) == ex_norm(n->x, x->dims[p.axis]);
    return p;
}

/* v with the axis as [length / block, block]. */
static Value *split_axis(OnnxNode *n, Value *v, int axis, const Expr *blocks, int64_t block) {
    const Expr *dims[TN_MAX_RANK];
    int rank = v->type.rank + 1;
    if (rank > TN_MAX_RANK)
        tn_fail(n->cx, TN_E_UNSUPPORTED, "blocks in a tensor with %d axes are unsupported",
                v->type.rank);
    for (int i = 0; i < rank; i++) dims[i] = v->type.dims[i > axis ? i - 1 : i];
    dims[axis] = blocks;
    dims[axis + 1] = ex_int(n->x, block);
    return ir_view(n->g, v, rank, dims);
}

/* Operand 0 as the parts see it. */
static Value *with_parts(OnnxNode *n, Parts p, Value *x) {
    return p.split ? split_axis(n, x, p.axis, n->inputs[1]->type.dims[p.axis], p.block) : x;
}

/* A scale or zero point so that it broadcasts to with_parts. */
static Value *per_part(OnnxNode *n, Parts p, Value *v) {
    const Type *x = &n->inputs[0]->type;
    const Expr *dims[TN_MAX_RANK];
    if (!v) return NULL;
    if (is_single(v)) return ir_view(n->g, v, 0, NULL);
    if (v->type.rank != n->inputs[1]->type.rank)
        tn_fail(n->cx, TN_E_MODEL, "the zero point is %s, but the scale is %s",
                ir_type_text(n->m, &v->type), ir_type_text(n->m, &n->inputs[1]->type));
    for (int i = 0; i < v->type.rank; i++)
        ir_same_dim(n->m, v->type.dims[i], n->inputs[1]->type.dims[i], "zero points and scales");
    if (!p.block) {
        for (int i = 0; i < x->rank; i++) dims[i] = i == p.axis ? v->type.dims[0] : ex_int(n->x, 1);
        return ir_view(n->g, v, x->rank, dims);
    }
    Value *y = split_axis(n, v, p.axis, v->type.dims[p.axis], 1);
    if (p.split) return y;
    for (int i = 0; i < y->type.rank; i++) dims[i] = y->type.dims[i];
    dims[p.axis + 1] = ex_int(n->x, p.block);
    y = ir_expand(n->g, y, y->type.rank, dims);
    for (int i = 0; i < x->rank; i++) dims[i] = v->type.dims[i];
    dims[p.axis] = ex_scale(n->x, v->type.dims[p.axis], p.block, 1);
    y = ir_view(n->g, y, x->rank, dims);
    return onnx_slice(n, y, p.axis, ex_int(n->x, 0), x->dims[p.axis], 1);
}

/* The type an attribute names; `otherwise` if it is left out. */
static TnDType dtype_attribute(OnnxNode *n, const char *name, TnDType otherwise) {
    int64_t number = onnx_int(n, name);
    return number ? onnx_need_dtype(n->cx, number) : otherwise;
}

static void check_quantised(OnnxNode *n, TnDType t, bool wide) {
    bool ok = t == TN_F8E8M0 ? false : tn_is_narrow(t);
    if (ok || (tn_is_int(t) && tn_dtype_bits(t) <= 16) || (wide && t == TN_I32)) return;
    tn_fail(n->cx, TN_E_MODEL, "%s is no type of quantised numbers", tn_dtype_name(t));
}

static void check_scale(OnnxNode *n, int i) {
    TnDType t = dtype_of(n, i);
    if (t == TN_F32 || t == TN_F16 || t == TN_BF16 || t == TN_F8E8M0 || t == TN_I32) return;
    tn_fail(n->cx, TN_E_MODEL, "a scale of type %s", tn_dtype_name(t));
}

void import_quantize_linear(OnnxNode *n) {
    Graph *g = n->g;
    Value *x = n->inputs[0], *zero = quant_given(n, 2), *y;
    TnDType to = dtype_attribute(n, "output_dtype", TN_NONE);
    if (zero && to && to != zero->type.dtype)
        tn_fail(n->cx, TN_E_MODEL, "output_dtype is %s, but the zero point is %s",
                tn_dtype_name(to), tn_dtype_name(zero->type.dtype));
    if (!to) to = zero ? zero->type.dtype : TN_U8;
    check_quantised(n, to, false);
    check_scale(n, 1);
    TnDType scale_type =
        tn_is_narrow(dtype_of(n, 1)) || dtype_of(n, 1) == TN_I32 ? TN_F32 : dtype_of(n, 1);
    TnDType computed = dtype_attribute(n, "precision", scale_type);
    if (!tn_is_float(computed) || tn_is_narrow(computed))
        tn_fail(n->cx, TN_E_MODEL, "precision is %s", tn_dtype_name(computed));
    Parts p = parts_of(n);
    Value *scale = per_part(n, p, ir_cast(g, n->inputs[1], computed));
    x = ir_cast(g, with_parts(n, p, x), computed);
    zero = per_part(n, p, zero);
    if (tn_is_float(to)) {
        y = quant_divide(g, x, scale);
        if (zero && to == TN_F4E2M1) y = ir_binary(g, OP_add, y, ir_cast(g, zero, computed));
        if (onnx_flag(n, "saturate")) y = onnx_saturate(g, y, to);
        y = ir_cast(g, y, to);
    } else {
        y = quant_quantize(g, x, scale, zero, to);
    }
    const Type *t = &n->inputs[0]->type;
    n->outputs[0] = ir_view(g, y, t->rank, t->dims);
}

void import_dequantize_linear(OnnxNode *n) {
    Graph *g = n->g;
    Value *zero = quant_given(n, 2);
    check_quantised(n, dtype_of(n, 0), true);
    check_scale(n, 1);
    if (zero && zero->type.dtype != dtype_of(n, 0))
        tn_fail(n->cx, TN_E_MODEL, "the zero point is %s, but the operand is %s",
                tn_dtype_name(zero->type.dtype), tn_dtype_name(dtype_of(n, 0)));
    TnDType to = dtype_attribute(n, "output_dtype", dtype_of(n, 1));
    if (!tn_is_float(to)) tn_fail(n->cx, TN_E_MODEL, "a result of type %s", tn_dtype_name(to));
    if (zero && tn_is_float(zero->type.dtype)) zero = NULL; /* must be 0 */
    Parts p = parts_of(n);
    Value *y = quant_dequantize(g, with_parts(n, p, n->inputs[0]), per_part(n, p, n->inputs[1]),
                                per_part(n, p, zero));
    const Type *t = &n->inputs[0]->type;
    n->outputs[0] = ir_view(g, ir_cast(g, y, to), t->rank, t->dims);
}

/* --- DynamicQuantizeLinear: u8, scale and zero point from the extremes of x and 0 --- */

static Value *extreme(Graph *g, OpKind reduce, OpKind op, Value *x) {
    int64_t axes[TN_MAX_RANK];
    for (int i = 0; i < x->type.rank; i++) axes[i] = i;
    Value *y = x->type.rank ? ir_reduce(g, reduce, x, x->type.rank, axes, false) : x;
    return ir_binary(g, op, y, ir_scalar(g, TN_F32, 0));
}

Value *quant_dynamic(OnnxNode *n, Value *x, Value **scale, Value **zero) {
    Graph *g = n->g;
    Value *one = ir_scalar(g, TN_F32, 1), *nothing = ir_scalar(g, TN_F32, 0);
    if (x->type.dtype != TN_F32)
        tn_fail(n->cx, TN_E_MODEL, "the operand is %s, not f32", tn_dtype_name(x->type.dtype));
    Value *high = extreme(g, OP_reduce_max, OP_max, x), *low = extreme(g, OP_reduce_min, OP_min, x);
    Value *step = quant_divide(g, ir_binary(g, OP_sub, high, low), ir_scalar(g, TN_F32, 255));
    *scale = ir_where(g, ir_binary(g, OP_eq, high, low), one, step); /* all of x is 0 */
    Value *place = quant_divide(g, ir_binary(g, OP_sub, nothing, low), *scale);
    *zero = ir_cast(g, ir_unary(g, OP_round, place), TN_U8); /* saturates */
    return quant_quantize(g, x, *scale, *zero, TN_U8);
}

void import_dynamic_quantize_linear(OnnxNode *n) {
    Value *scale, *zero;
    n->outputs[0] = quant_dynamic(n, n->inputs[0], &scale, &zero);
    if (n->output_count > 1) n->outputs[1] = scale;
    if (n->output_count > 2) n->outputs[2] = zero;
}

/* --- products --- */

/* A vector is a row (of the left operand) or a column. */
static Value *matrix(OnnxNode *n, Value *v, bool left) {
    if (v->type.rank == 0) tn_fail(n->cx, TN_E_MODEL, "an operand is a scalar");
    return v->type.rank == 1 ? ir_unsqueeze(n->g, v, left ? 0 : 1) : v;
}

Value *quant_along(OnnxNode *n, Value *v, bool rows) {
    if (!v || !v->type.rank) return v;
    if (is_single(v)) return ir_view(n->g, v, 0, NULL);
    return v->type.rank == 1 && rows ? ir_unsqueeze(n->g, v, 1) : v;
}

Value *quant_product(OnnxNode *n, Value *a, Value *a_zero, Value *b, Value *b_zero) {
    Value *in[4] = {matrix(n, a, true), matrix(n, b, false), quant_along(n, a_zero, true),
                    quant_along(n, b_zero, false)};
    return ir_insert(ir_node(n->g, OP_matmul_int, 4, in));
}

Value *quant_without_added(OnnxNode *n, Value *y, const Value *a, const Value *b) {
    if (b->type.rank == 1) y = ir_squeeze(n->g, y, y->type.rank - 1);
    if (a->type.rank == 1) y = ir_squeeze(n->g, y, y->type.rank - (b->type.rank == 1 ? 1 : 2));
    return y;
}

void import_matmul_integer(OnnxNode *n) {
    Value *a = n->inputs[0], *b = n->inputs[1];
    Value *y = quant_product(n, a, quant_given(n, 2), b, quant_given(n, 3));
    n->outputs[0] = quant_without_added(n, y, a, b);
}

/* y = saturate(round(a b (a_scale b_scale / y_scale)) + y_zero) in f32 */
void import_qlinear_matmul(OnnxNode *n) {
    Graph *g = n->g;
    enum { X, X_SCALE, X_ZERO, W, W_SCALE, W_ZERO, Y_SCALE, Y_ZERO };
    Value *scale[3];
    TnDType to = dtype_of(n, Y_ZERO);
    static const int places[] = {X_SCALE, W_SCALE, Y_SCALE};
    for (int i = 0; i < 3; i++) {
        check_scale(n, places[i]);
        scale[i] = ir_cast(g, quant_along(n, n->inputs[places[i]], places[i] != W_SCALE), TN_F32);
    }
    if (to != TN_I8 && to != TN_U8)
        tn_fail(n->cx, TN_E_MODEL, "the zero point of the result is %s, not i8 or u8",
                tn_dtype_name(to));
    Value *factor = quant_divide(g, ir_binary(g, OP_mul, scale[0], scale[1]), scale[2]);
    Value *product =
        quant_product(n, n->inputs[X], n->inputs[X_ZERO], n->inputs[W], n->inputs[W_ZERO]);
    Value *y = ir_cast(g, product, TN_F32);
    y = ir_unary(g, OP_round, ir_binary(g, OP_mul, y, factor));
    y = ir_binary(g, OP_add, y, ir_cast(g, quant_along(n, n->inputs[Y_ZERO], true), TN_F32));
    n->outputs[0] = quant_without_added(n, ir_cast(g, y, to), n->inputs[X], n->inputs[W]);
}
