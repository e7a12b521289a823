/* ONNX normalisation over the last axes, and that by the elements of chosen axes. */
#include <string.h>
#include "frontend/onnx/import.h"

static Value *mean_of(OnnxNode *n, Value *x, int count, const int64_t *axes) {
    return ir_reduce(n->g, OP_reduce_mean, x, count, axes, true);
}

static Value *square(OnnxNode *n, Value *x) {
    return ir_binary(n->g, OP_mul, x, x);
}

/* sqrt(mean d^2 + eps) */
static Value *deviation(OnnxNode *n, Value *d, int count, const int64_t *axes, double eps) {
    Value *var = mean_of(n, square(n, d), count, axes);
    return ir_unary(n->g, OP_sqrt, onnx_with_scalar(n, OP_add, var, eps));
}

/* --- LayerNormalization, RMSNormalization --- */

/* The axes from `axis` on as one. */
static Value *merge_tail(OnnxNode *n, Value *x, int axis) {
    const Expr *dims[TN_MAX_RANK];
    memcpy(dims, x->type.dims, sizeof dims);
    dims[axis] = ex_product(n->x, x->type.dims + axis, x->type.rank - axis);
    return ir_view(n->g, x, axis + 1, dims);
}

/* Scale or bias as the vector that the IR's norms take; NULL if it is not one number for each
 * element of the normalised axes. */
static Value *norm_vector(OnnxNode *n, Value *v, int axis) {
    const Type *x = &n->inputs[0]->type;
    int tail = x->rank - axis;
    if (!v || v->type.rank != tail) return NULL;
    for (int k = 0; k < tail; k++)
        if (ex_is(v->type.dims[k], 1) && !ex_is(x->dims[axis + k], 1)) return NULL;
    return merge_tail(n, v, 0);
}

/* Scale and bias of other shapes are applied afterwards. */
static Value *scale_and_shift(OnnxNode *n, Value *y, Value *scale, Value *bias) {
    Type normal = y->type;
    y = ir_binary(n->g, OP_mul, y, scale);
    if (bias) y = ir_binary(n->g, OP_add, y, bias);
    if (!ir_same_dims(&normal, &y->type))
        tn_fail(n->cx, TN_E_MODEL, "scale or bias does not broadcast to %s",
                ir_type_text(n->m, &normal));
    return y;
}

/* What `stash_type` says of the statistics; they are computed in f32, or f64 of f64. */
static TnDType stash_type(OnnxNode *n) {
    TnDType t = onnx_need_dtype(n->cx, onnx_int(n, "stash_type"));
    if (!tn_is_float(t))
        tn_fail(n->cx, TN_E_MODEL, "attribute 'stash_type' is %s, no float type", tn_dtype_name(t));
    return t;
}

/* The type to compute in: RMSNormalization may have a scale of another type, which the result gets.
 */
static TnDType common_type(TnDType a, TnDType b) {
    return a == b ? a : a == TN_F64 || b == TN_F64 ? TN_F64 : TN_F32;
}

static void norm(OnnxNode *n, bool rms) {
    const Type *x = &n->inputs[0]->type;
    int axis = onnx_axis(n, 0);
    double eps = onnx_float(n, "epsilon");
    TnDType result = n->inputs[1]->type.dtype, inner = common_type(x->dtype, result);
    Value *scale = ir_cast(n->g, n->inputs[1], inner);
    Value *bias = onnx_given(n, 2) ? n->inputs[2] : NULL;
    Value *gamma = norm_vector(n, scale, axis), *beta = norm_vector(n, bias, axis);
    bool fits = gamma && (beta || !bias);
    if (!fits) gamma = beta = NULL;
    Value *y = merge_tail(n, ir_cast(n->g, n->inputs[0], inner), axis);
    stash_type(n);
    y = rms ? ir_rms_norm(n->g, y, gamma, eps) : ir_layer_norm(n->g, y, gamma, beta, eps);
    y = ir_view(n->g, y, x->rank, x->dims);
    if (!fits) y = scale_and_shift(n, y, scale, bias);
    n->outputs[0] = ir_cast(n->g, y, result);
}

/* Mean and InvStdDev, outputs 1 and 2 */
static void statistics(OnnxNode *n) {
    Value *x = n->inputs[0];
    int64_t axes[TN_MAX_RANK];
    int axis = onnx_axis(n, 0), count = x->type.rank - axis;
    for (int i = 0; i < count; i++) axes[i] = axis + i;
    if (x->type.dtype != TN_F64) x = ir_cast(n->g, x, TN_F32);
    Value *mean = mean_of(n, x, count, axes), *d = ir_binary(n->g, OP_sub, x, mean);
    Value *inverse =
        ir_unary(n->g, OP_reciprocal, deviation(n, d, count, axes, onnx_float(n, "epsilon")));
    n->outputs[1] = ir_cast(n->g, mean, stash_type(n));
    if (n->output_count > 2) n->outputs[2] = ir_cast(n->g, inverse, stash_type(n));
}

void import_layer_norm(OnnxNode *n) {
    onnx_need_same_dtype(n, 1);
    onnx_need_same_dtype(n, 2);
    norm(n, false);
    if (n->output_count > 1) statistics(n);
}

void import_rms_norm(OnnxNode *n) {
    norm(n, true);
}

/* --- by the elements of chosen axes --- */

/* (x - mean) / (deviation + 1e-9), by default over all axes but that of the channels */
void import_mean_variance_norm(OnnxNode *n) {
    static const int64_t standard[] = {0, 2, 3};
    OnnxInts list = onnx_has(n, "axes") ? onnx_ints(n, "axes") : (OnnxInts){true, 3, standard};
    Value *x = n->inputs[0];
    bool marked[TN_MAX_RANK];
    int64_t axes[TN_MAX_RANK];
    int count = 0;
    onnx_mark_axes(n, list, x->type.rank, marked);
    for (int i = 0; i < x->type.rank; i++)
        if (marked[i]) axes[count++] = i;
    Value *d = ir_binary(n->g, OP_sub, x, mean_of(n, x, count, axes));
    Value *below = onnx_with_scalar(n, OP_add, deviation(n, d, count, axes, 0), 1e-9);
    n->outputs[0] = ir_binary(n->g, OP_div, d, below);
}

/* x / (sum |x|^p)^(1/p), 0 where that is 0 / 0 */
void import_lp_norm(OnnxNode *n) {
    Value *x = n->inputs[0], *zero = ir_scalar(n->g, x->type.dtype, 0);
    int64_t axis = onnx_axis(n, 0), p = onnx_int(n, "p");
    if (p != 1 && p != 2) tn_fail(n->cx, TN_E_MODEL, "attribute 'p' is %lld", (long long)p);
    Value *sum = ir_reduce(n->g, OP_reduce_sum, p == 1 ? ir_unary(n->g, OP_abs, x) : square(n, x),
                           1, &axis, true);
    Value *length = p == 1 ? sum : ir_unary(n->g, OP_sqrt, sum);
    Value *y = ir_binary(n->g, OP_div, x, length);
    n->outputs[0] = ir_where(n->g, ir_binary(n->g, OP_eq, length, zero), zero, y);
}
