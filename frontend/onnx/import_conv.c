/* ONNX's convolutions. A transposed or deformable one is a product and a move of columns; one of
 * integers is computed in floats that hold all of its sums. */
#include "frontend/onnx/window.h"
#include "ir/infer.h"

/* --- Conv --- */

/* Padding that is no number, as an operator before the convolution. */
static Value *pad_spatial(OnnxNode *n, Value *x, OnnxWindow *w) {
    const Expr *before[TN_MAX_RANK], *after[TN_MAX_RANK], *zero = ex_int(n->x, 0);
    int64_t v;
    bool known = true;
    for (int i = 0; i < w->spatial; i++)
        known = known && ex_const(w->begin[i], &v) && ex_const(w->end[i], &v);
    if (known) return x;
    before[0] = before[1] = after[0] = after[1] = zero;
    for (int i = 0; i < w->spatial; i++) {
        before[2 + i] = w->begin[i];
        after[2 + i] = w->end[i];
        w->begin[i] = w->end[i] = zero;
    }
    Node *node = ir_node(n->g, OP_pad, 1, &x);
    ir_set_dims(node, "before", 2 + w->spatial, before);
    ir_set_dims(node, "after", 2 + w->spatial, after);
    return ir_insert(node);
}

/* The bias may be NULL. */
static Value *convolve(OnnxNode *n, Value *x, Value *w, Value *bias) {
    OnnxWindow window = onnx_window(n, &w->type);
    int64_t pads[2 * ONNX_SPATIAL];
    onnx_window_pads(n, &window, x->type.dims + 2);
    x = pad_spatial(n, x, &window);
    for (int i = 0; i < window.spatial; i++) {
        ex_const(window.begin[i], &pads[i]);
        ex_const(window.end[i], &pads[i + window.spatial]);
    }
    Node *node = ir_node(n->g, OP_conv, bias ? 3 : 2, (Value *[]){x, w, bias});
    ir_set_ints(node, "strides", window.spatial, window.stride);
    ir_set_ints(node, "dilations", window.spatial, window.dilation);
    ir_set_ints(node, "pads", 2 * window.spatial, pads);
    ir_set_int(node, "groups", onnx_int(n, "group"));
    return ir_insert(node);
}

static Value *given(const OnnxNode *n, int i) {
    return onnx_given(n, i) ? n->inputs[i] : NULL;
}

void import_conv(OnnxNode *n) {
    n->outputs[0] = convolve(n, n->inputs[0], n->inputs[1], given(n, 2));
}

/* --- convolutions of integers --- */

static void need_bytes(OnnxNode *n, int i) {
    TnDType t = n->inputs[i]->type.dtype;
    if (t != TN_I8 && t != TN_U8)
        tn_fail(n->cx, TN_E_MODEL, "input %d is %s, not i8 or u8", i, tn_dtype_name(t));
}

/* A scale or zero point: a scalar, or a vector with an entry for each output channel, seen so that
 * it broadcasts along axis `channel` of a tensor of rank `rank`. */
static Value *along_channels(OnnxNode *n, Value *v, int channel, int rank) {
    const Expr *dims[TN_MAX_RANK];
    if (v->type.rank == 0) return v;
    if (v->type.rank != 1)
        tn_fail(n->cx, TN_E_MODEL, "%s is neither a scalar nor a vector",
                ir_type_text(n->m, &v->type));
    if (ex_is(v->type.dims[0], 1)) return ir_view(n->g, v, 0, NULL);
    for (int i = 0; i < rank; i++) dims[i] = i == channel ? v->type.dims[0] : ex_int(n->x, 1);
    return ir_view(n->g, v, rank, dims);
}

static Value *without_zero(OnnxNode *n, int i, int zero, int channel, TnDType t) {
    Value *v = n->inputs[i], *y = ir_cast(n->g, v, t);
    need_bytes(n, i);
    if (!onnx_given(n, zero)) return y;
    Value *z = n->inputs[zero];
    if (z->type.dtype != v->type.dtype)
        tn_fail(n->cx, TN_E_MODEL, "the zero point is %s, but input %d is %s",
                tn_dtype_name(z->type.dtype), i, tn_dtype_name(v->type.dtype));
    if (z->type.rank > 0 && channel > 0 && !ex_is(z->type.dims[0], 1))
        tn_fail(n->cx, TN_E_MODEL, "the zero point of input %d is %s, not a scalar", i,
                ir_type_text(n->m, &z->type));
    y = ir_binary(n->g, OP_sub, y, ir_cast(n->g, along_channels(n, z, channel, v->type.rank), t));
    if (!ir_same_dims(&y->type, &v->type))
        tn_fail(n->cx, TN_E_MODEL, "zero points %s for %s", ir_type_text(n->m, &z->type),
                ir_type_text(n->m, &v->type));
    return y;
}

/* Products of two bytes less their zero points are below 2^16 in size: f32 holds the sum of 256. */
#define EXACT_PRODUCTS 256

/* How many input channels may be summed in f32; 0: not known, or none. */
static int64_t exact_channels(OnnxNode *n, const Type *w) {
    int64_t taps, channels;
    const Expr *area = ex_product(n->x, w->dims + 2, w->rank - 2);
    if (!ex_const(area, &taps) || !ex_const(w->dims[1], &channels) || taps < 1) return 0;
    int64_t most = EXACT_PRODUCTS / taps;
    return most >= channels ? channels : onnx_int(n, "group") == 1 ? most : 0;
}

/* a conv b as i32, `most` input channels at a time. */
static Value *convolve_parts(OnnxNode *n, Value *a, Value *b, int64_t most) {
    int64_t channels = 0;
    Value *sum = NULL;
    ex_const(b->type.dims[1], &channels);
    ir_same_dim(n->m, a->type.dims[1], ex_scale(n->x, b->type.dims[1], onnx_int(n, "group"), 1),
                "input channels");
    if (most >= channels) return ir_cast(n->g, convolve(n, a, b, NULL), TN_I32);
    for (int64_t c = 0; c < channels; c += most) {
        int64_t count = channels - c < most ? channels - c : most;
        const Expr *start = ex_int(n->x, c), *length = ex_int(n->x, count);
        Value *part = convolve(n, onnx_slice(n, a, 1, start, length, 1),
                               onnx_slice(n, b, 1, start, length, 1), NULL);
        part = ir_cast(n->g, part, TN_I32);
        sum = sum ? ir_binary(n->g, OP_add, sum, part) : part;
    }
    return sum;
}

/* (x - x_zero) conv (w - w_zero) + bias as i32: in f32, a few channels at a time, or else in f64,
 * which holds any sum that i32 holds. */
static Value *convolve_integers(OnnxNode *n, int x, int x_zero, int w, int w_zero, Value *bias) {
    if (bias && (bias->type.dtype != TN_I32 || bias->type.rank != 1))
        tn_fail(n->cx, TN_E_MODEL, "the bias is %s, not a vector of i32",
                ir_type_text(n->m, &bias->type));
    onnx_window(n, &n->inputs[w]->type); /* checks it */
    int64_t most = exact_channels(n, &n->inputs[w]->type);
    TnDType t = most ? TN_F32 : TN_F64;
    Value *a = without_zero(n, x, x_zero, 1, t), *b = without_zero(n, w, w_zero, 0, t);
    Value *y =
        most ? convolve_parts(n, a, b, most) : ir_cast(n->g, convolve(n, a, b, NULL), TN_I32);
    if (!bias) return y;
    ir_same_dim(n->m, bias->type.dims[0], y->type.dims[1], "bias and output channels");
    return ir_binary(n->g, OP_add, y, along_channels(n, bias, 1, y->type.rank));
}

void import_conv_integer(OnnxNode *n) {
    onnx_spatial(n, 0);
    n->outputs[0] = convolve_integers(n, 0, 2, 1, 3, NULL);
}

static Value *divide(Graph *g, Value *a, Value *b) {
    Node *node = ir_node(g, OP_div, 2, (Value *[]){a, b});
    ir_set_bool(node, "exact", true);
    return ir_insert(node);
}

/* y = saturate(round(sums (x_scale w_scale / y_scale)) + y_zero) in f32 */
void import_qlinear_conv(OnnxNode *n) {
    Graph *g = n->g;
    enum { X, X_SCALE, X_ZERO, W, W_SCALE, W_ZERO, Y_SCALE, Y_ZERO, BIAS };
    int rank = n->inputs[X]->type.rank;
    Value *scale[3];
    static const int places[] = {X_SCALE, W_SCALE, Y_SCALE};
    onnx_spatial(n, X);
    need_bytes(n, Y_ZERO);
    for (int i = 0; i < 3; i++) {
        Value *v = n->inputs[places[i]];
        if (v->type.dtype != TN_F32)
            tn_fail(n->cx, TN_E_MODEL, "a scale of type %s", tn_dtype_name(v->type.dtype));
        scale[i] = along_channels(n, v, 1, rank);
        if (places[i] != W_SCALE && scale[i]->type.rank > 0)
            tn_fail(n->cx, TN_E_MODEL, "a scale %s, not a scalar", ir_type_text(n->m, &v->type));
    }
    Value *y = convolve_integers(n, X, X_ZERO, W, W_ZERO, given(n, BIAS));
    Type sums = y->type;
    Value *factor = divide(g, ir_binary(g, OP_mul, scale[0], scale[1]), scale[2]);
    y = ir_unary(g, OP_round, ir_binary(g, OP_mul, ir_cast(g, y, TN_F32), factor));
    if (!ir_same_dims(&y->type, &sums))
        tn_fail(n->cx, TN_E_MODEL, "scales %s for %s",
                ir_type_text(n->m, &n->inputs[W_SCALE]->type), ir_type_text(n->m, &sums));
    Value *zero = ir_cast(g, along_channels(n, n->inputs[Y_ZERO], 1, rank), TN_F32);
    if (zero->type.rank > 0)
        tn_fail(n->cx, TN_E_MODEL, "the zero point of the result is %s, not a scalar",
                ir_type_text(n->m, &n->inputs[Y_ZERO]->type));
    n->outputs[0] = ir_cast(g, ir_binary(g, OP_add, y, zero), n->inputs[Y_ZERO]->type.dtype);
}
