/* The attributes kernel_shape, strides, dilations, pads and auto_pad. */
#include "frontend/onnx/window.h"

int onnx_spatial(const OnnxNode *n, int i) {
    const Type *t = &n->inputs[i]->type;
    if (t->rank < 3)
        tn_fail(n->cx, TN_E_MODEL, "input %d is %s, without spatial axes", i,
                ir_type_text(n->m, t));
    if (t->rank > 2 + ONNX_SPATIAL)
        tn_fail(n->cx, TN_E_UNSUPPORTED,
                "input %d is %s: more than %d spatial axes are unsupported", i,
                ir_type_text(n->m, t), ONNX_SPATIAL);
    return t->rank - 2;
}

void onnx_window_list(const OnnxNode *n, const char *name, int count, int64_t fallback,
                      int64_t *v) {
    OnnxInts list = onnx_has(n, name) ? onnx_ints(n, name) : (OnnxInts){0};
    if (list.given && list.count != count)
        tn_fail(n->cx, TN_E_MODEL, "attribute '%s' has %d entries, wanted %d", name, list.count,
                count);
    for (int i = 0; i < count; i++) {
        v[i] = list.given ? list.v[i] : fallback;
        if (v[i] < fallback || v[i] > INT32_MAX)
            tn_fail(n->cx, TN_E_MODEL, "attribute '%s' contains %lld", name, (long long)v[i]);
    }
}

static void set_kernel(const OnnxNode *n, OnnxWindow *w, const Type *weights) {
    bool given = onnx_has(n, "kernel_shape");
    int64_t shape[ONNX_SPATIAL];
    if (given) onnx_window_list(n, "kernel_shape", w->spatial, 1, shape);
    for (int i = 0; i < w->spatial; i++) {
        w->kernel[i] = weights ? weights->dims[2 + i] : ex_int(n->x, shape[i]);
        if (given && !ex_is(w->kernel[i], shape[i]))
            tn_fail(n->cx, TN_E_MODEL, "kernel_shape has %lld for axis %d, but the weights are %s",
                    (long long)shape[i], i, ir_type_text(n->m, weights));
        const Expr *steps = ex_sub(n->x, w->kernel[i], ex_int(n->x, 1));
        w->reach[i] = ex_add(n->x, ex_scale(n->x, steps, w->dilation[i], 1), ex_int(n->x, 1));
    }
}

OnnxWindow onnx_window(const OnnxNode *n, const Type *weights) {
    static const char *const words[] = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER", NULL};
    OnnxWindow w = {.spatial = onnx_spatial(n, 0)};
    int64_t pads[2 * ONNX_SPATIAL];
    if (weights && weights->rank != 2 + w.spatial)
        tn_fail(n->cx, TN_E_MODEL, "the weights are %s, not of rank %d",
                ir_type_text(n->m, weights), 2 + w.spatial);
    onnx_window_list(n, "strides", w.spatial, 1, w.stride);
    onnx_window_list(n, "dilations", w.spatial, 1, w.dilation);
    onnx_window_list(n, "pads", 2 * w.spatial, 0, pads);
    if (onnx_has(n, "auto_pad")) w.auto_pad = (OnnxAutoPad)onnx_word(n, "auto_pad", words);
    set_kernel(n, &w, weights);
    for (int i = 0; i < w.spatial; i++) {
        w.begin[i] = ex_int(n->x, w.auto_pad == PAD_NOTSET ? pads[i] : 0);
        w.end[i] = ex_int(n->x, w.auto_pad == PAD_NOTSET ? pads[i + w.spatial] : 0);
    }
    return w;
}

/* SAME: ceil(d / stride) windows, so that ((ceil(d / stride) - 1) stride + reach - d is missing,
 * with stride 1 reach - 1 for any d. */
void onnx_window_pads(const OnnxNode *n, OnnxWindow *w, const Expr *const *lengths) {
    ExprCx *x = n->x;
    const Expr *one = ex_int(x, 1);
    if (w->auto_pad != PAD_SAME_UPPER && w->auto_pad != PAD_SAME_LOWER) return;
    for (int i = 0; i < w->spatial; i++) {
        const Expr *windows = ex_ceildiv(x, lengths[i], ex_int(x, w->stride[i]));
        const Expr *last = ex_scale(x, ex_sub(x, windows, one), w->stride[i], 1);
        const Expr *total = ex_sub(x, ex_add(x, last, w->reach[i]), lengths[i]);
        total = ex_max(x, ex_int(x, 0), total);
        const Expr *less = ex_floordiv(x, total, ex_int(x, 2)), *more = ex_sub(x, total, less);
        w->begin[i] = w->auto_pad == PAD_SAME_UPPER ? less : more;
        w->end[i] = w->auto_pad == PAD_SAME_UPPER ? more : less;
    }
}
