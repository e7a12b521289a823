/* ONNX's convolutions. */
#include "frontend/onnx/window.h"

static bool narrow(TnDType t) {
    return tn_is_float(t) && t != TN_F32 && t != TN_F64;
}

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

/* x, w and a bias, which may be NULL, of one type, f32 or f64. */
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

/* Sums of narrow floats run in f32. */
void import_conv(OnnxNode *n) {
    TnDType t = n->inputs[0]->type.dtype, wide = narrow(t) ? TN_F32 : t;
    Value *operand[3] = {0};
    for (int i = 0; i < n->input_count; i++) {
        if (!n->inputs[i]) continue;
        if (n->inputs[i]->type.dtype != t)
            tn_fail(n->cx, TN_E_MODEL, "input %d is %s, but input 0 is %s", i,
                    ir_type_text(n->m, &n->inputs[i]->type), tn_dtype_name(t));
        operand[i] = ir_cast(n->g, n->inputs[i], wide);
    }
    n->outputs[0] = ir_cast(n->g, convolve(n, operand[0], operand[1], operand[2]), t);
}
