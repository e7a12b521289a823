/* HannWindow, HammingWindow, BlackmanWindow: sums of cosines of the position,
 *
 *     w[i] = a0 - a1 cos(2 pi i / N) + a2 cos(4 pi i / N)
 *
 * where N is the size, or one less if the window is symmetric. */
#include "frontend/onnx/import.h"

#define PI 3.14159265358979323846

static Value *cosine(OnnxNode *n, Value *turns, double frequency, double factor) {
    Value *angle = onnx_with_scalar(n, OP_mul, turns, 2 * PI * frequency);
    return onnx_with_scalar(n, OP_mul, ir_unary(n->g, OP_cos, angle), factor);
}

static void window(OnnxNode *n, double a0, double a1, double a2) {
    TnDType result = onnx_need_dtype(n->cx, onnx_int(n, "output_datatype"));
    TnDType t = result == TN_F64 ? TN_F64 : TN_F32;
    const Expr *size = onnx_length(n, 0, "size", 0), *one = ex_int(n->x, 1);
    const Expr *period = onnx_flag(n, "periodic") ? size : ex_sub(n->x, size, one);
    Value *i = ir_iota(n->g, t, size, ex_int(n->x, 0), one);
    Value *turns =
        ir_binary(n->g, OP_div, i, ir_cast(n->g, ir_scalars(n->g, TN_I64, 1, &period), t));
    Value *y = onnx_with_scalar(n, OP_add, cosine(n, turns, 1, -a1), a0);
    if (a2 != 0) y = ir_binary(n->g, OP_add, y, cosine(n, turns, 2, a2));
    n->outputs[0] = ir_cast(n->g, y, result);
}

void import_hann_window(OnnxNode *n) {
    window(n, 0.5, 0.5, 0);
}

void import_hamming_window(OnnxNode *n) {
    window(n, 25.0 / 46, 21.0 / 46, 0);
}

void import_blackman_window(OnnxNode *n) {
    window(n, 0.42, 0.5, 0.08);
}
