/* ONNX operators that are activation functions, and the tests for NaN and infinity.
 *
 * Functions of several steps are computed in f32 where the operand is of a 16-bit float, and
 * rounded once. */
#include <math.h>
#include "frontend/onnx/import.h"

static TnDType dtype_of(const OnnxNode *n, int i) {
    return n->inputs[i]->type.dtype;
}

typedef Value *Activation(OnnxNode *n, Value *x);

static void activate(OnnxNode *n, Activation *f) {
    TnDType t = dtype_of(n, 0);
    bool half = t == TN_F16 || t == TN_BF16;
    n->outputs[0] = ir_cast(n->g, f(n, ir_cast(n->g, n->inputs[0], half ? TN_F32 : t)), t);
}

/* An attribute with a value, which from opset 6 on is the largest f32 by default. */
static bool has_bound(const OnnxNode *n, const char *name) {
    return onnx_has(n, name) || onnx_float(n, name) != 0;
}

void import_clip(OnnxNode *n) {
    Value *y = n->inputs[0];
    if (has_bound(n, "min")) y = onnx_with_scalar(n, OP_max, y, onnx_float(n, "min"));
    if (has_bound(n, "max")) y = onnx_with_scalar(n, OP_min, y, onnx_float(n, "max"));
    if (onnx_given(n, 1)) y = ir_binary(n->g, OP_max, y, n->inputs[1]);
    if (onnx_given(n, 2)) y = ir_binary(n->g, OP_min, y, n->inputs[2]);
    onnx_need_same_dims(n, n->inputs[0], y);
    n->outputs[0] = y;
}

void import_gelu(OnnxNode *n) {
    static const char *const words[] = {"none", "tanh", NULL};
    bool approximate = onnx_word(n, "approximate", words) == 1;
    n->outputs[0] = ir_unary(n->g, approximate ? OP_gelu_tanh : OP_gelu, n->inputs[0]);
}

/* max(x, 0) + alpha (e^(min(x, 0) / scale) - 1) */
static Value *elu_of(OnnxNode *n, Value *x, double alpha, double scale) {
    Value *below = onnx_with_scalar(n, OP_min, x, 0);
    if (scale != 1) below = onnx_with_scalar(n, OP_div, below, scale);
    below = onnx_with_scalar(n, OP_sub, ir_unary(n->g, OP_exp, below), 1);
    below = onnx_with_scalar(n, OP_mul, below, alpha);
    return ir_binary(n->g, OP_add, ir_unary(n->g, OP_relu, x), below);
}

static Value *elu(OnnxNode *n, Value *x) {
    return elu_of(n, x, onnx_float(n, "alpha"), 1);
}

void import_elu(OnnxNode *n) {
    activate(n, elu);
}

static Value *celu(OnnxNode *n, Value *x) {
    return elu_of(n, x, onnx_float(n, "alpha"), onnx_float(n, "alpha"));
}

void import_celu(OnnxNode *n) {
    activate(n, celu);
}

static Value *selu(OnnxNode *n, Value *x) {
    return onnx_with_scalar(n, OP_mul, elu(n, x), onnx_float(n, "gamma"));
}

void import_selu(OnnxNode *n) {
    activate(n, selu);
}

void import_thresholded_relu(OnnxNode *n) {
    Value *x = n->inputs[0], *alpha = ir_scalar(n->g, dtype_of(n, 0), onnx_float(n, "alpha"));
    Value *zero = ir_scalar(n->g, dtype_of(n, 0), 0);
    n->outputs[0] = ir_where(n->g, ir_binary(n->g, OP_lt, alpha, x), x, zero);
}

/* x < 0 ? slope x : x */
static Value *leaky(OnnxNode *n, Value *x, Value *slope) {
    Value *zero = ir_scalar(n->g, x->type.dtype, 0);
    Value *negative = ir_binary(n->g, OP_lt, x, zero);
    return ir_where(n->g, negative, ir_binary(n->g, OP_mul, x, slope), x);
}

static Value *leaky_relu(OnnxNode *n, Value *x) {
    return leaky(n, x, ir_scalar(n->g, x->type.dtype, onnx_float(n, "alpha")));
}

void import_leaky_relu(OnnxNode *n) {
    activate(n, leaky_relu);
}

void import_prelu(OnnxNode *n) {
    n->outputs[0] = leaky(n, n->inputs[0], n->inputs[1]);
    onnx_need_same_dims(n, n->inputs[0], n->outputs[0]);
}

/* Before opset 7: one slope, or one for each channel. */
void import_prelu_per_channel(OnnxNode *n) {
    const Type *t = &n->inputs[1]->type;
    if (t->rank == 1 && !ex_is(t->dims[0], 1)) n->inputs[1] = onnx_per_channel(n, n->inputs[1]);
    import_prelu(n);
}

/* min(max(alpha x + beta, 0), 1) */
static Value *hard_sigmoid_of(OnnxNode *n, Value *x, double alpha, double beta) {
    Value *y = onnx_with_scalar(n, OP_mul, x, alpha);
    y = onnx_with_scalar(n, OP_add, y, beta);
    y = onnx_with_scalar(n, OP_max, y, 0);
    return onnx_with_scalar(n, OP_min, y, 1);
}

static Value *hard_sigmoid(OnnxNode *n, Value *x) {
    return hard_sigmoid_of(n, x, onnx_float(n, "alpha"), onnx_float(n, "beta"));
}

void import_hard_sigmoid(OnnxNode *n) {
    activate(n, hard_sigmoid);
}

static Value *hard_swish(OnnxNode *n, Value *x) {
    return ir_binary(n->g, OP_mul, x, hard_sigmoid_of(n, x, 1.0 / 6, 0.5));
}

void import_hard_swish(OnnxNode *n) {
    activate(n, hard_swish);
}

/* ln(1 + e^x) as max(x, 0) + ln(1 + e^-|x|), which does not overflow */
static Value *softplus(OnnxNode *n, Value *x) {
    Value *tail = ir_unary(n->g, OP_neg, ir_unary(n->g, OP_abs, x));
    tail = onnx_with_scalar(n, OP_add, ir_unary(n->g, OP_exp, tail), 1);
    return ir_binary(n->g, OP_add, ir_unary(n->g, OP_relu, x), ir_unary(n->g, OP_log, tail));
}

void import_softplus(OnnxNode *n) {
    activate(n, softplus);
}

static Value *softsign(OnnxNode *n, Value *x) {
    Value *below = onnx_with_scalar(n, OP_add, ir_unary(n->g, OP_abs, x), 1);
    return ir_binary(n->g, OP_div, x, below);
}

void import_softsign(OnnxNode *n) {
    activate(n, softsign);
}

/* x tanh(ln(1 + e^x)) as x q / (q + 2), where q = e^x (e^x + 2); from x = 20 on that is x. */
static Value *mish(OnnxNode *n, Value *x) {
    Value *e = ir_unary(n->g, OP_exp, onnx_with_scalar(n, OP_min, x, 20));
    Value *q = ir_binary(n->g, OP_mul, e, onnx_with_scalar(n, OP_add, e, 2));
    Value *gate = ir_binary(n->g, OP_div, q, onnx_with_scalar(n, OP_add, q, 2));
    return ir_binary(n->g, OP_mul, x, gate);
}

void import_mish(OnnxNode *n) {
    activate(n, mish);
}

/* x sigmoid(alpha x) */
static Value *swish(OnnxNode *n, Value *x) {
    double alpha = onnx_float(n, "alpha");
    Value *scaled = alpha == 1 ? x : onnx_with_scalar(n, OP_mul, x, alpha);
    return ir_binary(n->g, OP_mul, x, ir_unary(n->g, OP_sigmoid, scaled));
}

void import_swish(OnnxNode *n) {
    activate(n, swish);
}

static Value *swiglu(OnnxNode *n, Value *x) {
    return ir_binary(n->g, OP_mul, swish(n, x), ir_cast(n->g, n->inputs[1], x->type.dtype));
}

void import_swiglu(OnnxNode *n) {
    onnx_need_same_dims(n, n->inputs[0], n->inputs[1]);
    onnx_need_same_dtype(n, 1);
    activate(n, swiglu);
}

/* An attribute as a number of x's type, as a cast would make it. */
static Value *parameter(OnnxNode *n, const Value *x, const char *name) {
    Value *v = ir_scalar(n->g, TN_F32, onnx_float(n, name));
    return ir_cast(n->g, v, x->type.dtype);
}

/* x < -lambd ? x + bias : x > lambd ? x - bias : 0; -lambd of an unsigned type wraps. */
void import_shrink(OnnxNode *n) {
    Graph *g = n->g;
    Value *x = n->inputs[0], *lambd = parameter(n, x, "lambd"), *bias = parameter(n, x, "bias");
    Value *below = ir_binary(g, OP_lt, x, ir_unary(g, OP_neg, lambd));
    Value *above = ir_binary(g, OP_lt, lambd, x), *zero = ir_scalar(g, x->type.dtype, 0);
    Value *y = ir_where(g, above, ir_binary(g, OP_sub, x, bias), zero);
    n->outputs[0] = ir_where(g, below, ir_binary(g, OP_add, x, bias), y);
}

/* Only NaN differs from itself. */
void import_is_nan(OnnxNode *n) {
    Value *same = ir_binary(n->g, OP_eq, n->inputs[0], n->inputs[0]);
    n->outputs[0] = ir_unary(n->g, OP_not, same);
}

void import_is_inf(OnnxNode *n) {
    bool negative = onnx_flag(n, "detect_negative"), positive = onnx_flag(n, "detect_positive");
    Value *x = n->inputs[0];
    if (negative && positive) x = ir_unary(n->g, OP_abs, x);
    if (negative || positive) {
        Value *limit = ir_scalar(n->g, x->type.dtype, positive ? INFINITY : -INFINITY);
        n->outputs[0] = ir_binary(n->g, OP_eq, x, limit);
        return;
    }
    n->outputs[0] = ir_splat(n->g, TN_BOOL, x->type.rank, x->type.dims, 0);
}
