/* Quantised operators of com.microsoft: what they compute in floats between dequantising and
 * quantising, and products of bytes with scales. */
#include "frontend/onnx/import_quantize.h"

/* Operand i with the scale and zero point behind it, as f32. */
static Value *dequantized(OnnxNode *n, int i) {
    return quant_dequantize(n->g, n->inputs[i], quant_along(n, n->inputs[i + 1], false),
                            quant_along(n, quant_given(n, i + 2), false));
}

/* y with the scale in operand i and the zero point behind it, in the zero point's type or
 * `otherwise`. */
static Value *quantized(OnnxNode *n, Value *y, int i, TnDType otherwise) {
    Value *zero = quant_given(n, i + 1);
    return quant_quantize(n->g, y, quant_along(n, n->inputs[i], false), quant_along(n, zero, false),
                          zero ? zero->type.dtype : otherwise);
}

static TnDType dtype_of(const OnnxNode *n, int i) {
    return n->inputs[i]->type.dtype;
}

/* --- elementwise --- */

void import_ms_qlinear_binary(OnnxNode *n) {
    Value *y = ir_binary(n->g, n->row->op, dequantized(n, 0), dequantized(n, 3));
    n->outputs[0] = quantized(n, y, 6, dtype_of(n, 0));
}

void import_ms_qlinear_sigmoid(OnnxNode *n) {
    n->outputs[0] = quantized(n, ir_unary(n->g, OP_sigmoid, dequantized(n, 0)), 3, dtype_of(n, 0));
}

/* max(x, 0) + alpha min(x, 0) */
void import_ms_qlinear_leaky_relu(OnnxNode *n) {
    Value *x = dequantized(n, 0), *below = onnx_with_scalar(n, OP_min, x, 0);
    below = onnx_with_scalar(n, OP_mul, below, onnx_float(n, "alpha"));
    Value *y = ir_binary(n->g, OP_add, ir_unary(n->g, OP_relu, x), below);
    n->outputs[0] = quantized(n, y, 3, dtype_of(n, 0));
}

/* Before opset 13 a softmax is over all axes from `axis` on. */
void import_ms_qlinear_softmax(OnnxNode *n) {
    Value *x = dequantized(n, 0), *y;
    const Type *t = &n->inputs[0]->type;
    int axis = onnx_axis(n, 0);
    if (onnx_int(n, "opset") < 13)
        y = ir_view(n->g, ir_softmax(n->g, onnx_as_matrix(n, x, axis), 1), t->rank, t->dims);
    else
        y = ir_softmax(n->g, x, axis);
    n->outputs[0] = quantized(n, y, 3, dtype_of(n, 0));
}

void import_ms_qlinear_where(OnnxNode *n) {
    Value *y = ir_where(n->g, n->inputs[0], dequantized(n, 1), dequantized(n, 4));
    n->outputs[0] = quantized(n, y, 7, dtype_of(n, 1));
}

/* --- several elements --- */

/* Operands: scale and zero point of the result, then three per part. */
void import_ms_qlinear_concat(OnnxNode *n) {
    int parts = (n->input_count - 2) / 3;
    if (parts * 3 + 2 != n->input_count)
        tn_fail(n->cx, TN_E_MODEL, "%d inputs, wanted 2 and 3 per part", n->input_count);
    Value **x = ARENA_ARRAY(&n->cx->arena, Value *, (size_t)parts);
    for (int i = 0; i < parts; i++) x[i] = dequantized(n, 2 + 3 * i);
    int axis = ir_axis(n->m, onnx_int(n, "axis"), x[0]->type.rank);
    n->outputs[0] = quantized(n, ir_concat(n->g, parts, x, axis), 0, dtype_of(n, 2));
}

void import_ms_qlinear_global_average_pool(OnnxNode *n) {
    int64_t axes[TN_MAX_RANK];
    int rank = n->inputs[0]->type.rank, first = onnx_flag(n, "channels_last") ? 1 : 2;
    if (rank < 3) tn_fail(n->cx, TN_E_MODEL, "the operand has %d axes, wanted 3 or more", rank);
    for (int i = 0; i < rank - 2; i++) axes[i] = first + i;
    Value *y = ir_reduce(n->g, OP_reduce_mean, dequantized(n, 0), rank - 2, axes, true);
    n->outputs[0] = quantized(n, y, 3, dtype_of(n, 0));
}

/* --- products --- */

Value *quant_scaled(OnnxNode *n, Value *y, Value *a_scale, Value *b_scale, Value *bias) {
    Graph *g = n->g;
    if (bias && bias->type.rank != 1)
        tn_fail(n->cx, TN_E_MODEL, "the bias is %s, not a vector", ir_type_text(n->m, &bias->type));
    Value *scale = ir_binary(g, OP_mul, ir_cast(g, quant_along(n, a_scale, true), TN_F32),
                             ir_cast(g, quant_along(n, b_scale, false), TN_F32));
    y = ir_binary(g, OP_mul, ir_cast(g, y, TN_F32), scale);
    return bias ? ir_binary(g, OP_add, y, ir_cast(g, bias, TN_F32)) : y;
}

void import_ms_dynamic_quantize_matmul(OnnxNode *n) {
    enum { A, B, B_SCALE, B_ZERO, BIAS };
    Value *scale, *zero, *b = n->inputs[B], *a = quant_dynamic(n, n->inputs[A], &scale, &zero);
    Value *y = quant_product(n, a, zero, b, quant_given(n, B_ZERO));
    y = quant_scaled(n, y, scale, n->inputs[B_SCALE], quant_given(n, BIAS));
    n->outputs[0] = quant_without_added(n, y, a, b);
}

void import_ms_matmul_integer_to_float(OnnxNode *n) {
    enum { A, B, A_SCALE, B_SCALE, A_ZERO, B_ZERO, BIAS };
    Value *a = n->inputs[A], *b = n->inputs[B];
    Value *y = quant_product(n, a, quant_given(n, A_ZERO), b, quant_given(n, B_ZERO));
    y = quant_scaled(n, y, n->inputs[A_SCALE], n->inputs[B_SCALE], quant_given(n, BIAS));
    n->outputs[0] = ir_cast(n->g, quant_without_added(n, y, a, b), dtype_of(n, A_SCALE));
}

static Value *transposed(OnnxNode *n, int i, const char *attribute) {
    static const int perm[] = {1, 0};
    Value *v = n->inputs[i];
    if (v->type.rank != 2)
        tn_fail(n->cx, TN_E_MODEL, "operand %d is %s, not a matrix", i,
                ir_type_text(n->m, &v->type));
    return onnx_flag(n, attribute) ? ir_transpose(n->g, v, perm) : v;
}

/* alpha (a b a_scale b_scale) with c added in i32 before it; quantised if there is a scale for it.
 */
void import_ms_qgemm(OnnxNode *n) {
    enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, C, Y_SCALE, Y_ZERO };
    Value *y = quant_product(n, transposed(n, A, "transA"), quant_given(n, A_ZERO),
                             transposed(n, B, "transB"), quant_given(n, B_ZERO));
    if (onnx_given(n, C)) y = ir_binary(n->g, OP_add, y, n->inputs[C]);
    y = quant_scaled(n, y, n->inputs[A_SCALE], n->inputs[B_SCALE], NULL);
    if (onnx_float(n, "alpha") != 1) y = onnx_with_scalar(n, OP_mul, y, onnx_float(n, "alpha"));
    n->outputs[0] = onnx_given(n, Y_SCALE) ? quantized(n, y, Y_SCALE, dtype_of(n, A)) : y;
}

/* --- MatMulNBits: weights [N, K] in blocks along K, each with a scale and a zero point --- */

/* Bytes [rows, bytes] as numbers of `bits` bits [rows, count], the first in the lowest bits. */
static Value *unpack(OnnxNode *n, Value *packed, const Expr *rows, int64_t count, int64_t bits) {
    Graph *g = n->g;
    int64_t bytes = (count * bits + 7) / 8;
    const Expr *dims[] = {rows, ex_int(n->x, bytes * 8 / bits)};
    Value *y = ir_view(g, packed, 2, (const Expr *[]){rows, ex_int(n->x, bytes)});
    Value *part[4] = {y};
    for (int i = 0; i < 8 / bits; i++) {
        Value *above = i ? onnx_with_scalar(n, OP_div, y, 1 << i * bits) : y;
        if (bits < 8) part[i] = ir_unsqueeze(g, onnx_with_scalar(n, OP_mod, above, 1 << bits), 2);
    }
    if (bits < 8) y = ir_view(g, ir_concat(g, 8 / (int)bits, part, 2), 2, dims);
    return onnx_slice(n, y, 1, ex_int(n->x, 0), ex_int(n->x, count), 1);
}

static void check_elements(OnnxNode *n, const Value *v, int64_t count, const char *what) {
    int64_t dims[TN_MAX_RANK], found = 1;
    bool known = ir_static_dims(&v->type, dims);
    for (int i = 0; known && i < v->type.rank; i++) found *= dims[i];
    if (!known || found != count)
        tn_fail(n->cx, TN_E_MODEL, "%s are %s, wanted %lld elements", what,
                ir_type_text(n->m, &v->type), (long long)count);
}

static int64_t bounded(OnnxNode *n, const char *name, int64_t low, int64_t high) {
    int64_t v = onnx_int(n, name);
    if (v < low || v > high)
        tn_fail(n->cx, TN_E_MODEL, "attribute '%s' is %lld, wanted %lld to %lld", name,
                (long long)v, (long long)low, (long long)high);
    return v;
}

void import_ms_matmul_nbits(OnnxNode *n) {
    enum { A, B, SCALES, ZEROS, GROUPS, BIAS };
    Graph *g = n->g;
    ExprCx *x = n->x;
    int64_t k = bounded(n, "K", 1, INT32_MAX), rows = bounded(n, "N", 1, INT32_MAX);
    int64_t block = bounded(n, "block_size", 16, 1 << 20), bits = onnx_int(n, "bits");
    int64_t blocks = (k + block - 1) / block;
    if (bits != 2 && bits != 4 && bits != 8)
        tn_fail(n->cx, TN_E_UNSUPPORTED, "weights of %lld bits are unsupported", (long long)bits);
    if (onnx_given(n, GROUPS)) tn_fail(n->cx, TN_E_UNSUPPORTED, "g_idx is unsupported");
    if (dtype_of(n, B) != TN_U8)
        tn_fail(n->cx, TN_E_MODEL, "the weights are %s, not u8", tn_dtype_name(dtype_of(n, B)));
    check_elements(n, n->inputs[B], rows * ((blocks * block * bits + 7) / 8), "weights");
    check_elements(n, n->inputs[SCALES], rows * blocks, "scales");
    const Expr *r = ex_int(x, rows);
    const Expr *blocked[] = {r, ex_int(x, blocks), ex_int(x, block)};
    const Expr *per_block[] = {r, ex_int(x, blocks), ex_int(x, 1)};
    Value *w = unpack(n, n->inputs[B], r, blocks * block, bits);
    Value *zero = quant_given(n, ZEROS), *scale = ir_view(g, n->inputs[SCALES], 3, per_block);
    if (!zero) {
        zero = ir_scalar(g, TN_U8, 1 << (bits - 1));
    } else {
        bool packed = zero->type.dtype == TN_U8;
        check_elements(n, zero, rows * (packed ? (blocks * bits + 7) / 8 : blocks), "zero points");
        if (packed) zero = unpack(n, zero, r, blocks, bits);
        zero = ir_view(g, zero, 3, per_block);
    }
    w = quant_dequantize(g, ir_view(g, w, 3, blocked), scale, zero);
    w = ir_view(g, w, 2, (const Expr *[]){r, ex_int(x, blocks * block)});
    w = onnx_slice(n, w, 1, ex_int(x, 0), ex_int(x, k), 1);
    Value *y = ir_matmul(g, n->inputs[A], ir_cast(g, w, dtype_of(n, A)), false, true);
    n->outputs[0] = onnx_given(n, BIAS) ? ir_binary(g, OP_add, y, n->inputs[BIAS]) : y;
}
