/* ONNX operators that compute element by element. */
#include "frontend/onnx/measured.h"

static TnDType dtype_of(const OnnxNode *n, int i) {
    return n->inputs[i]->type.dtype;
}

/* --- one IR node each --- */

void import_unary(OnnxNode *n) {
    n->outputs[0] = ir_unary(n->g, n->row->op, n->inputs[0]);
}

void import_binary(OnnxNode *n) {
    n->outputs[0] = ir_binary(n->g, n->row->op, n->inputs[0], n->inputs[1]);
}

/* a > b is b < a */
void import_swapped(OnnxNode *n) {
    n->outputs[0] = ir_binary(n->g, n->row->op, n->inputs[1], n->inputs[0]);
}

void import_where(OnnxNode *n) {
    n->outputs[0] = ir_where(n->g, n->inputs[0], n->inputs[1], n->inputs[2]);
}

/* Broadcasting came with opset 8. */
static void check_variadic(OnnxNode *n) {
    if (!n->row->until) return;
    for (int i = 1; i < n->input_count; i++) onnx_need_same_dims(n, n->inputs[0], n->inputs[i]);
}

void import_variadic(OnnxNode *n) {
    Value *y = n->inputs[0];
    check_variadic(n);
    for (int i = 1; i < n->input_count; i++) y = ir_binary(n->g, n->row->op, y, n->inputs[i]);
    n->outputs[0] = y;
}

void import_mean(OnnxNode *n) {
    Value *y = n->inputs[0];
    check_variadic(n);
    for (int i = 1; i < n->input_count; i++) y = ir_binary(n->g, OP_add, y, n->inputs[i]);
    n->outputs[0] = onnx_with_scalar(n, OP_div, y, n->input_count);
}

void import_mod(OnnxNode *n) {
    OpKind op = onnx_flag(n, "fmod") ? OP_fmod : OP_mod;
    n->outputs[0] = ir_binary(n->g, op, n->inputs[0], n->inputs[1]);
}

/* The result has the type of the base; an integer to the power of a float is computed in f64. */
void import_pow(OnnxNode *n) {
    TnDType base = dtype_of(n, 0), exponent = dtype_of(n, 1);
    TnDType computed = tn_is_float(exponent) && !tn_is_float(base) ? TN_F64 : base;
    Value *y = ir_binary(n->g, OP_pow, ir_cast(n->g, n->inputs[0], computed),
                         ir_cast(n->g, n->inputs[1], computed));
    n->outputs[0] = ir_cast(n->g, y, base);
}

/* --- identities --- */

void import_identity(OnnxNode *n) {
    n->outputs[0] = n->inputs[0];
    n->list_outputs[0] = (OnnxList *)n->lists[0];
}

/* The mask has the operand's type before opset 10, then it is of booleans. */
static void keep_everything(OnnxNode *n) {
    const Type *t = &n->inputs[0]->type;
    TnDType mask = n->row->until && n->row->until < 10 ? t->dtype : TN_BOOL;
    n->outputs[0] = n->inputs[0];
    if (n->output_count > 1) n->outputs[1] = ir_splat(n->g, mask, t->rank, t->dims, 1);
}

static bool is_zero(const Value *v) {
    double ratio;
    return ir_constant_float(v, &ratio) && ratio == 0;
}

/* In training the result depends on chance, unless the ratio is 0. */
void import_dropout(OnnxNode *n) {
    int64_t training = 0;
    bool known = !onnx_given(n, 2) || ir_constant_int(n->inputs[2], &training);
    bool keeps_all = onnx_given(n, 1) && is_zero(n->inputs[1]);
    if ((!known || training) && !keeps_all) {
        tn_hint(n->cx, "attribute", ONNX_EVAL_HELP);
        tn_fail(n->cx, TN_E_UNSUPPORTED, "training_mode %s is unsupported, wanted a constant false",
                known ? "true" : "that only a run knows");
    }
    keep_everything(n);
}

void import_dropout_flagged(OnnxNode *n) {
    if (!onnx_int(n, "is_test") && onnx_float(n, "ratio") != 0) {
        tn_hint(n->cx, "attribute", ONNX_EVAL_HELP);
        tn_fail(n->cx, TN_E_UNSUPPORTED, "is_test=0, training, is unsupported");
    }
    keep_everything(n);
}

/* --- bits --- */

void import_bit_shift(OnnxNode *n) {
    static const char *const words[] = {"LEFT", "RIGHT", NULL};
    OpKind op = onnx_word(n, "direction", words) ? OP_shift_right : OP_shift_left;
    n->outputs[0] = ir_binary(n->g, op, n->inputs[0], n->inputs[1]);
}

/* As bool: whether any bit is set. */
void import_bit_cast(OnnxNode *n) {
    TnDType from = dtype_of(n, 0), to = onnx_need_dtype(n->cx, onnx_int(n, "to"));
    Value *x = n->inputs[0];
    bool narrow = tn_is_int(from) && tn_is_int(to) && tn_dtype_bits(from) < 8;
    if (from == to || (narrow && tn_dtype_bits(from) == tn_dtype_bits(to))) {
        n->outputs[0] = ir_cast(n->g, x, to); /* wraps */
        return;
    }
    Node *node = ir_node(n->g, OP_bitcast, 1, &x);
    ir_set_dtype(node, "to", to == TN_BOOL ? TN_U8 : to);
    n->outputs[0] = ir_cast(n->g, ir_insert(node), to);
}
