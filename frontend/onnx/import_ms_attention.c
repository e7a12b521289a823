/* Attention of domain com.microsoft: with its projection, without, and with shared heads and a
 * cache of fixed size. What each gives is said in ONNX Runtime's ContribOperators.md.
 *
 * Letters: b batch, h heads of queries, g heads of keys and values, s queries, t keys, d head size,
 * p length of the past. */
#include <float.h>
#include <math.h>
#include "frontend/onnx/heads.h"
#include "frontend/onnx/import_quantize.h"

/* --- scores and masks --- */

typedef struct Attending {
    Value *q, *k, *v; /* [b, h, s, d], [b, g, t, d] */
    Value *padding;   /* bool, broadcasts to [b, 1, s, t]: keys that count; NULL = all */
    Value *bias;      /* added to the scores; may be NULL */
    bool causal;      /* query i stands at past + i */
    const Expr *past;
} Attending;

/* Masked keys get mask_filter_value added, later ones than the query the lowest number instead. */
static Value *attend(OnnxNode *n, const Attending *a) {
    Graph *g = n->g;
    TnDType t = a->q->type.dtype;
    Value *scores = heads_scores(n, a->q, a->k, onnx_float(n, "scale"));
    const Expr *queries = scores->type.dims[2], *keys = scores->type.dims[3];
    if (a->bias) scores = ir_binary(g, OP_add, scores, a->bias);
    if (a->padding) {
        Value *filter = ir_scalar(g, t, onnx_float(n, "mask_filter_value"));
        Value *mask = ir_where(g, a->padding, ir_scalar(g, t, 0), filter);
        scores = ir_binary(g, OP_add, scores, mask);
    }
    if (a->causal) {
        Value *query = ir_unsqueeze(g, heads_places(n, a->past, queries), 1);
        Value *seen = ir_binary(g, OP_le, heads_places(n, ex_int(n->x, 0), keys), query);
        scores = ir_where(g, seen, scores, ir_scalar(g, t, t == TN_F16 ? -65504 : -FLT_MAX));
    }
    return heads_weighted(n, ir_softmax(g, scores, -1), a->v);
}

/* Keys before the length of each sample, and from its start on if there is one. */
static Value *mask_of_lengths(OnnxNode *n, Value *lengths, const Expr *batch, const Expr *keys) {
    Graph *g = n->g;
    Value *key = heads_places(n, ex_int(n->x, 0), keys);
    const Expr *count = lengths->type.dims[0], *both = ex_scale(n->x, batch, 2, 1);
    bool with_starts = count != batch && ex_equal(n->x, count, both) == YES;
    if (!with_starts) return ir_binary(g, OP_lt, key, heads_per_sample(n, lengths, batch));
    Value *ends = ir_slice(g, lengths, 0, ex_int(n->x, 0), batch, 1);
    Value *starts = ir_slice(g, lengths, 0, batch, batch, 1);
    Value *inside = ir_binary(g, OP_lt, key, heads_per_sample(n, ends, batch));
    return ir_binary(g, OP_and, inside,
                     ir_binary(g, OP_le, heads_per_sample(n, starts, batch), key));
}

/* The mask operand i as bool: lengths [b] or ends and starts [2 b], [b, t], [b, s, t], or a square
 * [b, 1, max, max] of which the rows of the queries count. NULL if left out. */
static Value *padding_mask(OnnxNode *n, int i, const Value *q, const Expr *keys, const Expr *past) {
    if (!onnx_given(n, i)) return NULL;
    Value *mask = n->inputs[i];
    const Type *t = &mask->type;
    const Expr *batch = q->type.dims[0], *zero = ex_int(n->x, 0);
    if (!tn_is_int(t->dtype) || t->rank < 1 || t->rank > 4)
        tn_fail(n->cx, TN_E_MODEL, "the mask is %s, wanted integers with 1 to 4 axes",
                ir_type_text(n->m, t));
    if (t->rank == 1) return mask_of_lengths(n, mask, batch, keys);
    if (t->rank == 4) {
        mask = ir_slice(n->g, mask, 2, past, q->type.dims[2], 1);
        mask = ir_slice(n->g, mask, 3, zero, keys, 1);
    } else {
        mask = ir_unsqueeze(n->g, mask, 1);
        if (t->rank == 2) mask = ir_unsqueeze(n->g, mask, 1);
    }
    return ir_binary(n->g, OP_lt, ir_scalar_int(n->g, t->dtype, 0), mask);
}

static Value *optional(const OnnxNode *n, int i) {
    return onnx_given(n, i) ? n->inputs[i] : NULL;
}

/* past, then x along the keys; x itself without a past */
static Value *append(OnnxNode *n, Value *past, Value *x) {
    return past ? ir_concat(n->g, 2, (Value *[]){past, x}, 2) : x;
}

/* Entry i of an axis, which goes away. */
static Value *entry(OnnxNode *n, Value *x, int axis, int64_t i) {
    Value *y = ir_slice(n->g, x, axis, ex_int(n->x, i), ex_int(n->x, 1), 1);
    return ir_squeeze(n->g, y, axis);
}

/* --- Attention: x w + b is split into queries, keys and values --- */

/* Widths of the three parts: equal unless given. */
static void read_widths(OnnxNode *n, const Expr *all, const Expr **widths) {
    OnnxInts given = onnx_ints(n, "qkv_hidden_sizes");
    if (given.given && given.count != 3)
        tn_fail(n->cx, TN_E_MODEL, "attribute 'qkv_hidden_sizes' has %d entries, wanted 3",
                given.count);
    const Expr *sum = ex_int(n->x, 0);
    for (int i = 0; i < 3; i++) {
        if (given.given && (given.v[i] < 1 || given.v[i] > INT32_MAX))
            tn_fail(n->cx, TN_E_MODEL, "attribute 'qkv_hidden_sizes' contains %lld",
                    (long long)given.v[i]);
        widths[i] = given.given ? ex_int(n->x, given.v[i]) : onnx_part(n, all, 3);
        sum = ex_add(n->x, sum, widths[i]);
    }
    ir_same_dim(n->m, sum, all, "the widths of q, k and v, and the weights");
}

/* Attention over queries, keys and values that lie side by side in `all`; mask, past and added bias
 * are operands, or none. */
static void attend_packed(OnnxNode *n, Value *all, int mask, int past, int added) {
    Graph *g = n->g;
    const Expr *widths[3], *start = ex_int(n->x, 0);
    Value *parts[3], *past_k = NULL, *past_v = NULL;
    int64_t heads = onnx_int(n, "num_heads");
    if (onnx_flag(n, "do_rotary")) tn_fail(n->cx, TN_E_UNSUPPORTED, "unsupported: do_rotary");
    read_widths(n, all->type.dims[2], widths);
    for (int i = 0; i < 3; i++) {
        parts[i] = heads_split(n, heads_part(n, all, start, widths[i]), heads);
        start = ex_add(n->x, start, widths[i]);
    }
    if (onnx_given(n, past)) {
        onnx_need_rank(n, past, 5);
        past_k = entry(n, n->inputs[past], 0, 0);
        past_v = entry(n, n->inputs[past], 0, 1);
    }
    Attending a = {.q = parts[0], .bias = optional(n, added)};
    a.past = past_k ? past_k->type.dims[2] : ex_int(n->x, 0);
    a.k = append(n, past_k, parts[1]);
    a.v = append(n, past_v, parts[2]);
    a.padding = padding_mask(n, mask, a.q, a.k->type.dims[2], a.past);
    a.causal = onnx_flag(n, "unidirectional");
    n->outputs[0] = attend(n, &a);
    if (n->output_count < 2) return;
    Value *present[] = {ir_unsqueeze(g, a.k, 0), ir_unsqueeze(g, a.v, 0)};
    n->outputs[1] = ir_concat(g, 2, present, 0);
}

void import_ms_attention(OnnxNode *n) {
    enum { X, WEIGHTS, BIAS, MASK, PAST, ADDED, PAST_LENGTH };
    onnx_need_rank(n, X, 3);
    onnx_need_rank(n, WEIGHTS, 2);
    if (onnx_given(n, BIAS)) onnx_need_rank(n, BIAS, 1);
    onnx_refuse_input(n, PAST_LENGTH, "past_sequence_length");
    Value *all = ir_matmul(n->g, n->inputs[X], n->inputs[WEIGHTS], false, false);
    if (onnx_given(n, BIAS)) all = ir_binary(n->g, OP_add, all, n->inputs[BIAS]);
    attend_packed(n, all, MASK, PAST, ADDED);
}

/* The same over a product of bytes, in the type of the scales. */
void import_ms_qattention(OnnxNode *n) {
    enum { X, WEIGHTS, BIAS, X_SCALE, W_SCALE, MASK, X_ZERO, W_ZERO, PAST, NONE };
    onnx_need_rank(n, X, 3);
    onnx_need_rank(n, WEIGHTS, 2);
    Value *all = quant_product(n, n->inputs[X], quant_given(n, X_ZERO), n->inputs[WEIGHTS],
                               quant_given(n, W_ZERO));
    all = quant_scaled(n, all, n->inputs[X_SCALE], n->inputs[W_SCALE], n->inputs[BIAS]);
    all = ir_cast(n->g, all, n->inputs[X_SCALE]->type.dtype);
    attend_packed(n, all, MASK, PAST, NONE);
}

/* --- MultiHeadAttention: q, k and v are given, together or apart --- */

typedef enum Mha {
    QUERY,
    KEY,
    VALUE,
    BIAS,
    PADDING,
    ADDED,
    PAST_KEY,
    PAST_VALUE,
    PAST_LENGTH,
    CACHE
} Mha;

/* x of [b, s, h d] plus elements [start, ..) of the bias, as heads */
static Value *biased_heads(OnnxNode *n, Value *x, const Expr **start) {
    if (x->type.rank == 4) return x;
    if (x->type.rank == 3 && onnx_given(n, BIAS)) {
        onnx_need_rank(n, BIAS, 1);
        Value *bias = heads_part(n, n->inputs[BIAS], *start, x->type.dims[2]);
        *start = ex_add(n->x, *start, x->type.dims[2]);
        x = ir_binary(n->g, OP_add, x, bias);
    }
    return heads_split(n, x, onnx_int(n, "num_heads"));
}

/* Part i of [b, s, h, parts, d], as [b, s, h d] */
static Value *unpack(OnnxNode *n, Value *packed, int64_t i) {
    Value *x = entry(n, packed, 3, i);
    const Expr *const *d = x->type.dims;
    const Expr *dims[] = {d[0], d[1], ex_mul(n->x, d[2], d[3])};
    return ir_view(n->g, x, 3, dims);
}

static void read_qkv(OnnxNode *n, Value **q, Value **k, Value **v) {
    *q = n->inputs[QUERY];
    *k = optional(n, KEY);
    *v = optional(n, VALUE);
    if ((*q)->type.rank == 5 && !*k && !*v) {
        Value *packed = *q;
        *q = unpack(n, packed, 0);
        *k = unpack(n, packed, 1);
        *v = unpack(n, packed, 2);
    } else if (*k && (*k)->type.rank == 5 && !*v) {
        Value *packed = *k;
        *k = unpack(n, packed, 0);
        *v = unpack(n, packed, 1);
    }
    if (!*k || !*v || (*q)->type.rank != 3)
        tn_fail(n->cx, TN_E_MODEL, "query is %s%s, wanted [b, s, width] with key and value",
                ir_type_text(n->m, &(*q)->type), *k && *v ? "" : ", without key or value");
}

void import_ms_multi_head_attention(OnnxNode *n) {
    Value *q, *k, *v;
    const Expr *start = ex_int(n->x, 0);
    onnx_refuse_input(n, PAST_LENGTH, "past_sequence_length");
    onnx_refuse_input(n, CACHE, "cache_indirection");
    if (onnx_given(n, PAST_KEY) != onnx_given(n, PAST_VALUE))
        tn_fail(n->cx, TN_E_MODEL, "past_key and past_value must come together");
    read_qkv(n, &q, &k, &v);
    Attending a = {.bias = optional(n, ADDED)};
    a.q = biased_heads(n, q, &start);
    a.k = append(n, optional(n, PAST_KEY), biased_heads(n, k, &start));
    a.v = append(n, optional(n, PAST_VALUE), biased_heads(n, v, &start));
    a.past = onnx_given(n, PAST_KEY) ? n->inputs[PAST_KEY]->type.dims[2] : ex_int(n->x, 0);
    a.padding = padding_mask(n, PADDING, a.q, a.k->type.dims[2], a.past);
    a.causal = onnx_flag(n, "unidirectional");
    n->outputs[0] = attend(n, &a);
    if (n->output_count > 1) n->outputs[1] = a.k;
    if (n->output_count > 2) n->outputs[2] = a.v;
}

/* --- RotaryEmbedding --- */

void import_ms_rotary(OnnxNode *n) {
    enum { X, POSITIONS, COS, SIN };
    Value *x = n->inputs[X], *positions = n->inputs[POSITIONS];
    TnDType t = x->type.dtype;
    int64_t heads = onnx_int(n, "num_heads"), rotated = onnx_int(n, "rotary_embedding_dim");
    bool merged = x->type.rank == 3;
    onnx_need_rank(n, COS, 2);
    if (onnx_float(n, "scale") != 1 || onnx_flag(n, "is_packed_batching"))
        tn_fail(n->cx, TN_E_UNSUPPORTED, "unsupported: scale or packed batches");
    const Expr *half = n->inputs[COS]->type.dims[1], *size = ex_scale(n->x, half, 2, 1);
    if (merged && !heads) { /* heads are as wide as the table says */
        const Expr *count = ex_floordiv(n->x, x->type.dims[2], size);
        if (!ex_const(count, &heads))
            tn_fail(n->cx, TN_E_UNSUPPORTED, "unsupported: num_heads is left out, and is %s",
                    ex_text(n->x, count));
    }
    x = heads_split(n, x, heads);
    if (positions->type.rank == 1) { /* that of the first token */
        Value *steps = heads_places(n, ex_int(n->x, 0), x->type.dims[2]);
        positions = ir_binary(n->g, OP_add, ir_cast(n->g, positions, TN_I64), steps);
        positions = ir_unsqueeze(n->g, positions, 0);
    }
    Value *y = heads_rotate(n, x, heads_angles(n, n->inputs[COS], positions, t),
                            heads_angles(n, n->inputs[SIN], positions, t),
                            rotated ? ex_int(n->x, rotated) : size, onnx_flag(n, "interleaved"));
    n->outputs[0] = merged ? heads_merge(n, y) : y;
}
