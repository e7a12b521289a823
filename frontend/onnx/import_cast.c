/* Cast and CastLike.
 *
 * The IR's cast rounds once, and gives infinity or NaN beyond the largest number of a float type.
 * What ONNX asks for besides is arithmetic before it: saturation is a clamp, and the rounding modes
 * of FLOAT8E8M0 are choices between the power of two below and the one above. */
#include "frontend/onnx/import.h"

#include <math.h>

static Value *with_scalar(Graph *g, OpKind op, Value *x, double c) {
    return ir_binary(g, op, x, ir_scalar(g, x->type.dtype, c));
}

/* The largest number of a type of 8 bits with NaN. */
static double largest(TnDType t) {
    switch (t) {
    case TN_F8E4M3FN: return 448;
    case TN_F8E4M3FNUZ: return 240;
    default: return 57344;
    }
}

Value *onnx_saturate(Graph *g, Value *x, TnDType to) {
    if (!tn_is_float(to) || tn_dtype_bits(to) != 8 || tn_dtype_bits(x->type.dtype) < 8) return x;
    if (!tn_is_float(x->type.dtype)) x = ir_cast(g, x, TN_F32);
    return with_scalar(g, OP_max, with_scalar(g, OP_min, x, largest(to)), -largest(to));
}

/* x as the power of two that it rounds to. Numbers below the smallest, 2^-127, are NaN unless
 * saturating, as are those above the largest. */
static Value *to_power_of_two(Graph *g, Value *x, bool saturate, int mode) {
    enum { UP, DOWN, NEAREST };
    x = ir_unary(g, OP_abs, ir_cast(g, x, TN_F32));
    Value *above = NULL;
    if (saturate) x = with_scalar(g, OP_min, x, 0x1p127);
    Value *y = ir_cast(g, ir_cast(g, x, TN_F8E8M0), TN_F32);
    if (mode == UP) above = ir_binary(g, OP_lt, y, x);
    if (mode == NEAREST) above = ir_binary(g, OP_le, with_scalar(g, OP_mul, y, 1.5), x);
    if (above) y = ir_where(g, above, with_scalar(g, OP_mul, y, 2), y);
    if (saturate) return y;
    Value *below = ir_binary(g, OP_lt, x, ir_scalar(g, TN_F32, 0x1p-127));
    return ir_where(g, below, ir_scalar(g, TN_F32, NAN), y);
}

/* Floats beyond the range of an integer of fewer than 8 bits wrap as integers do. */
static Value *cast(OnnxNode *n, TnDType to) {
    static const char *const modes[] = {"up", "down", "nearest", NULL};
    Value *x = n->inputs[0];
    TnDType from = x->type.dtype;
    int mode = onnx_word(n, "round_mode", modes);
    bool saturate = onnx_flag(n, "saturate");
    if (from == to) return x;
    if (to == TN_F8E8M0)
        x = to_power_of_two(n->g, x, saturate, mode);
    else if (saturate)
        x = onnx_saturate(n->g, x, to);
    if (tn_is_float(from) && tn_is_int(to) && tn_is_narrow(to)) x = ir_cast(n->g, x, TN_I64);
    return ir_cast(n->g, x, to);
}

void import_cast(OnnxNode *n) {
    n->outputs[0] = cast(n, onnx_need_dtype(n->cx, onnx_int(n, "to")));
}

void import_cast_like(OnnxNode *n) {
    n->outputs[0] = cast(n, n->inputs[1]->type.dtype);
}
