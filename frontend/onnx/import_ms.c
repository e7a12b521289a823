/* Operators of domain com.microsoft that ONNX Runtime's optimizer makes of transformers: sums with
 * norms, activations with biases, products with transposes and epilogues. Taken apart again here;
 * the passes fuse them as they fuse everything else. Attention: import_ms_attention.c. */
#include <string.h>
#include "frontend/onnx/import.h"

static Value *plus(OnnxNode *n, Value *x, int i) {
    return onnx_given(n, i) ? ir_binary(n->g, OP_add, x, n->inputs[i]) : x;
}

/* --- norms --- */

/* Normalised over the last axis in 32 bits at least, in x's type. */
static Value *norm(OnnxNode *n, Value *x, Value *gamma, Value *beta, bool rms) {
    Graph *g = n->g;
    TnDType t = x->type.dtype, precise = t == TN_F64 ? TN_F64 : TN_F32;
    double eps = onnx_float(n, "epsilon");
    x = ir_cast(g, x, precise);
    gamma = ir_cast(g, gamma, precise);
    if (beta) beta = ir_cast(g, beta, precise);
    Value *y = rms ? ir_rms_norm(g, x, gamma, eps) : ir_layer_norm(g, x, gamma, beta, eps);
    return ir_cast(g, y, t);
}

/* s = input + skip + bias; y = norm(s) */
static void skip_norm(OnnxNode *n, int beta, int bias) {
    Value *s = plus(n, plus(n, n->inputs[0], 1), bias);
    bool rms = beta < 0;
    n->outputs[0] =
        norm(n, s, n->inputs[2], !rms && onnx_given(n, beta) ? n->inputs[beta] : NULL, rms);
    if (n->output_count > 3) n->outputs[3] = s;
}

void import_ms_skip_layer_norm(OnnxNode *n) {
    skip_norm(n, 3, 4);
}

void import_ms_skip_rms_norm(OnnxNode *n) {
    skip_norm(n, -1, 3);
}

/* --- embeddings --- */

typedef enum Embedding {
    IDS,
    SEGMENTS,
    WORDS,
    PLACES,
    KINDS,
    GAMMA,
    BETA,
    MASK,
    PLACE_IDS
} Embedding;

/* Rows of the position table: those of the ids, or the first ones. */
static Value *positions(OnnxNode *n, const Expr *length) {
    Value *table = n->inputs[PLACES];
    if (onnx_given(n, PLACE_IDS)) return ir_gather(n->g, table, n->inputs[PLACE_IDS], 0);
    return ir_slice(n->g, table, 0, ex_int(n->x, 0), length, 1);
}

/* Tokens per sample; 0 without a mask. */
static Value *mask_index(OnnxNode *n, const Expr *batch) {
    static const int64_t along[] = {1};
    if (!onnx_given(n, MASK)) return ir_splat(n->g, TN_I32, 1, &batch, 0);
    Value *mask = ir_cast(n->g, n->inputs[MASK], TN_I32);
    return ir_reduce(n->g, OP_reduce_sum, mask, 1, along, false);
}

void import_ms_embed_layer_norm(OnnxNode *n) {
    const Type *ids = &n->inputs[IDS]->type;
    onnx_need_input(n, WORDS, "word_embedding");
    onnx_need_input(n, PLACES, "position_embedding");
    onnx_need_input(n, GAMMA, "gamma");
    onnx_need_input(n, BETA, "beta");
    if (ids->rank != 2 || n->inputs[PLACES]->type.rank != 2)
        tn_fail(n->cx, TN_E_MODEL, "input_ids are %s and the position table %s, wanted 2 axes each",
                ir_type_text(n->m, ids), ir_type_text(n->m, &n->inputs[PLACES]->type));
    if (onnx_given(n, SEGMENTS) != onnx_given(n, KINDS))
        tn_fail(n->cx, TN_E_MODEL, "segment_ids and segment_embedding must come together");
    Value *sum = ir_gather(n->g, n->inputs[WORDS], n->inputs[IDS], 0);
    sum = ir_binary(n->g, OP_add, sum, positions(n, ids->dims[1]));
    if (onnx_given(n, SEGMENTS))
        sum =
            ir_binary(n->g, OP_add, sum, ir_gather(n->g, n->inputs[KINDS], n->inputs[SEGMENTS], 0));
    n->outputs[0] = norm(n, sum, n->inputs[GAMMA], n->inputs[BETA], false);
    if (n->output_count > 1) n->outputs[1] = mask_index(n, ids->dims[0]);
    if (n->output_count > 2) n->outputs[2] = sum;
}

/* --- activations --- */

/* op(x + bias), the bias left out in some */
void import_ms_bias_activation(OnnxNode *n) {
    n->outputs[0] = ir_unary(n->g, n->row->op, plus(n, n->inputs[0], 1));
}

/* x sigmoid(alpha x) */
void import_ms_quick_gelu(OnnxNode *n) {
    double alpha = onnx_float(n, "alpha");
    Value *x = n->inputs[0];
    Value *gate = ir_unary(n->g, OP_sigmoid, onnx_with_scalar(n, OP_mul, x, alpha));
    n->outputs[0] = ir_binary(n->g, OP_mul, x, gate);
}

void import_ms_bias_add(OnnxNode *n) {
    n->outputs[0] = plus(n, plus(n, n->inputs[0], 1), 2);
}

/* The bias has x's rank, with lengths 1 where it is repeated. */
void import_ms_bias_softmax(OnnxNode *n) {
    Value *x = n->inputs[0];
    Type before = x->type;
    int axis = onnx_axis(n, 0);
    Value *sum = plus(n, x, 1);
    if (!ir_same_dims(&before, &sum->type))
        tn_fail(n->cx, TN_E_MODEL, "the bias, %s, does not broadcast to %s",
                ir_type_text(n->m, &n->inputs[1]->type), ir_type_text(n->m, &before));
    Value *flat = onnx_as_matrix(n, sum, axis);
    n->outputs[0] = ir_view(n->g, ir_softmax(n->g, flat, -1), before.rank, before.dims);
}

/* The activation that an attribute names, with its parameters (alpha, beta). */
static Value *activate(OnnxNode *n, Value *x, double alpha, double beta) {
    static const char *const words[] = {"",          "Relu",        "Tanh", "Sigmoid",
                                        "LeakyRelu", "HardSigmoid", "Clip", NULL};
    static const OpKind plain[] = {OP_COUNT, OP_relu, OP_tanh, OP_sigmoid};
    int word = onnx_word(n, "activation", words);
    if (word == 0) return x;
    if (word < 4) return ir_unary(n->g, plain[word], x);
    Value *scaled = onnx_with_scalar(n, OP_mul, x, alpha);
    if (word == 4) { /* x, or alpha x where x < 0 */
        Value *negative = ir_binary(n->g, OP_lt, x, ir_scalar(n->g, x->type.dtype, 0));
        return ir_where(n->g, negative, scaled, x);
    }
    double low = word == 6 ? alpha : 0, high = word == 6 ? beta : 1;
    if (word == 5) x = onnx_with_scalar(n, OP_add, scaled, beta);
    return onnx_with_scalar(n, OP_min, onnx_with_scalar(n, OP_max, x, low), high);
}

/* --- products --- */

/* [x, b1, .., bn, y] -> [b1, .., bn, x, y] */
static Value *batch_first(OnnxNode *n, Value *x) {
    int perm[TN_MAX_RANK], rank = x->type.rank;
    for (int i = 0; i < rank - 2; i++) perm[i] = i + 1;
    perm[rank - 2] = 0;
    perm[rank - 1] = rank - 1;
    return ir_transpose(n->g, x, perm);
}

static Value *factor(OnnxNode *n, int i, const char *moved) {
    Value *x = n->inputs[i];
    if (x->type.rank < 2)
        tn_fail(n->cx, TN_E_UNSUPPORTED, "unsupported: input %d is %s, wanted 2 axes or more", i,
                ir_type_text(n->m, &x->type));
    return onnx_has(n, moved) && onnx_flag(n, moved) ? batch_first(n, x) : x;
}

/* alpha a b, each with its last two axes exchanged, or the first one moved behind the batch */
void import_ms_fused_matmul(OnnxNode *n) {
    Value *a = factor(n, 0, "transBatchA"), *b = factor(n, 1, "transBatchB");
    Value *y = ir_matmul(n->g, a, b, onnx_flag(n, "transA"), onnx_flag(n, "transB"));
    double alpha = onnx_float(n, "alpha");
    n->outputs[0] = alpha == 1 ? y : onnx_with_scalar(n, OP_mul, y, alpha);
}

void import_ms_fused_gemm(OnnxNode *n) {
    import_gemm(n);
    n->outputs[0] = activate(n, n->outputs[0], onnx_float(n, "activation_alpha"),
                             onnx_float(n, "activation_beta"));
}

/* gelu_tanh(x w + bias) */
void import_ms_gemm_fast_gelu(OnnxNode *n) {
    Value *y = ir_matmul(n->g, n->inputs[0], n->inputs[1], false, false);
    n->outputs[0] = ir_unary(n->g, OP_gelu_tanh, plus(n, y, 2));
}

/* activation(conv(x, w, b) + z) */
void import_ms_fused_conv(OnnxNode *n) {
    const Onnx__AttributeProto *p = onnx_attribute(n, "activation_params");
    size_t count = p ? p->n_floats : 0;
    int all = n->input_count;
    if (all > 3) n->input_count = 3;
    while (!n->inputs[n->input_count - 1]) n->input_count--;
    import_conv(n);
    n->input_count = all;
    n->outputs[0] = activate(n, plus(n, n->outputs[0], 3), count > 0 ? (double)p->floats[0] : 0.01,
                             count > 1 ? (double)p->floats[1] : 0);
}
