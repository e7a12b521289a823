/* ONNX's attention operators, taken apart: fusion puts them together again with what surrounds
 * them.
 *
 * Letters: b batch, h heads of queries, g heads of keys and values, s queries, t keys, d head size.
 */
#include <math.h>
#include "frontend/onnx/heads.h"

typedef enum Operand { QUERY, KEY, VALUE, MASK, PAST_KEY, PAST_VALUE, LENGTHS } Operand;

static Value *operand_heads(OnnxNode *n, int i, const char *attribute) {
    const Type *t = &n->inputs[i]->type;
    if ((t->rank != 3 && t->rank != 4) || t->rank != n->inputs[0]->type.rank)
        tn_fail(n->cx, TN_E_MODEL, "input %d is %s, wanted 3 or 4 axes, like input 0", i,
                ir_type_text(n->m, t));
    if (t->rank == 3 && !onnx_has(n, attribute))
        tn_fail(n->cx, TN_E_MODEL, "attribute '%s' is missing", attribute);
    return heads_split(n, n->inputs[i], onnx_int(n, attribute));
}

/* Present keys or values: the past ones, then these. */
static Value *append(OnnxNode *n, int past, Value *x) {
    if (!onnx_given(n, past)) return x;
    return ir_concat(n->g, 2, (Value *[]){n->inputs[past], x}, 2);
}

/* --- masks --- */

/* Queries by their place among the keys: query i stands at `past` + i. Where the keys are a cache
 * that is not full, the last query stands at its sample's last valid key instead; `first` is then
 * the place of the first query, i64[b, 1, 1, 1]. */
typedef struct Positions {
    const Expr *queries, *keys, *past;
    Value *first, *lengths; /* NULL: not a cache; lengths: valid keys per sample, [b, 1, 1, 1] */
} Positions;

static Positions positions(OnnxNode *n, const Type *scores) {
    Positions p = {.queries = scores->dims[2], .keys = scores->dims[3], .past = ex_int(n->x, 0)};
    if (onnx_given(n, PAST_KEY)) p.past = n->inputs[PAST_KEY]->type.dims[2];
    if (!onnx_given(n, LENGTHS)) return p;
    Value *lengths = n->inputs[LENGTHS];
    const Expr *one = ex_int(n->x, 1);
    if (onnx_given(n, PAST_KEY))
        tn_fail(n->cx, TN_E_MODEL, "nonpad_kv_seqlen and past_key exclude each other");
    if (lengths->type.rank != 1 || !tn_is_int(lengths->type.dtype))
        tn_fail(n->cx, TN_E_MODEL, "nonpad_kv_seqlen is %s, wanted a vector of integers",
                ir_type_text(n->m, &lengths->type));
    ir_same_dim(n->m, lengths->type.dims[0], scores->dims[0], "samples of nonpad_kv_seqlen");
    const Expr *dims[] = {scores->dims[0], one, one, one};
    p.lengths = ir_view(n->g, ir_cast(n->g, lengths, TN_I64), 4, dims);
    Value *queries = ir_scalars(n->g, TN_I64, 1, &p.queries);
    p.first = ir_binary(n->g, OP_sub, p.lengths, queries);
    return p;
}

/* The place of each query plus `shift`, as a column: [s, 1] or [b, 1, s, 1]. */
static Value *query_positions(OnnxNode *n, const Positions *p, int64_t shift) {
    const Expr *start = ex_add(n->x, p->past, ex_int(n->x, shift));
    Value *column =
        ir_unsqueeze(n->g, ir_iota(n->g, TN_I64, p->queries, start, ex_int(n->x, 1)), 1);
    return p->first ? ir_binary(n->g, OP_add, p->first, column) : column;
}

static Value *both(OnnxNode *n, Value *a, Value *b) {
    return a ? ir_binary(n->g, OP_and, a, b) : b;
}

/* Keys j that a query at place q may see: j <= q if causal, q - left <= j <= q + right, and only
 * valid ones. NULL if that is all of them. */
static Value *position_mask(OnnxNode *n, const Positions *p) {
    int64_t left = onnx_int(n, "left_window_size"), right = onnx_int(n, "right_window_size");
    bool causal = onnx_flag(n, "is_causal");
    Graph *g = n->g;
    Value *allowed = NULL;
    if (left < -1 || right < -1 || left > INT32_MAX || right > INT32_MAX)
        tn_fail(n->cx, TN_E_MODEL, "a window of %lld and %lld", (long long)left, (long long)right);
    if (!causal && left < 0 && right < 0 && !p->lengths) return NULL;
    Value *key = ir_iota(g, TN_I64, p->keys, ex_int(n->x, 0), ex_int(n->x, 1));
    if (causal) allowed = ir_binary(g, OP_le, key, query_positions(n, p, 0));
    if (left >= 0)
        allowed = both(n, allowed, ir_binary(g, OP_le, query_positions(n, p, -left), key));
    if (right >= 0)
        allowed = both(n, allowed, ir_binary(g, OP_le, key, query_positions(n, p, right)));
    if (p->lengths) allowed = both(n, allowed, ir_binary(g, OP_lt, key, p->lengths));
    return allowed;
}

/* A mask for fewer keys than there are masks the others. */
static Value *fit_mask(OnnxNode *n, Value *mask, const Expr *keys) {
    int rank = mask->type.rank;
    const Expr *zeros[TN_MAX_RANK], *after[TN_MAX_RANK];
    if (rank < 1) tn_fail(n->cx, TN_E_MODEL, "the mask has no axes");
    const Expr *missing = ex_sub(n->x, keys, mask->type.dims[rank - 1]);
    if (ex_equal(n->x, keys, mask->type.dims[rank - 1]) != NO || !ex_nonneg(n->x, missing))
        return mask;
    for (int i = 0; i < rank; i++) zeros[i] = after[i] = ex_int(n->x, 0);
    after[rank - 1] = missing;
    TnDType t = mask->type.dtype;
    Value *border = ir_scalar(n->g, t, t == TN_BOOL ? 0 : -INFINITY);
    Node *pad = ir_node(n->g, OP_pad, 2, (Value *[]){mask, border});
    ir_set_dims(pad, "before", rank, zeros);
    ir_set_dims(pad, "after", rank, after);
    return ir_insert(pad);
}

static Value *mask_scores(OnnxNode *n, Value *scores) {
    Positions p = positions(n, &scores->type);
    Value *mask = onnx_given(n, MASK) ? fit_mask(n, n->inputs[MASK], p.keys) : NULL;
    Value *allowed = position_mask(n, &p);
    if (mask && mask->type.dtype == TN_BOOL)
        allowed = both(n, allowed, mask);
    else if (mask)
        scores = ir_binary(n->g, OP_add, scores, mask);
    if (!allowed) return scores;
    return ir_where(n->g, allowed, scores, ir_scalar(n->g, scores->type.dtype, -INFINITY));
}

/* A query that may see no key gets probabilities 0 instead of NaN. */
static Value *probabilities(OnnxNode *n, Value *scores) {
    TnDType t = scores->type.dtype, precise = t;
    if (onnx_has(n, "softmax_precision"))
        precise = onnx_need_dtype(n->cx, onnx_int(n, "softmax_precision"));
    Value *p = ir_softmax(n->g, ir_cast(n->g, scores, precise), -1);
    bool may_be_empty =
        onnx_given(n, MASK) || onnx_given(n, LENGTHS) || onnx_int(n, "left_window_size") >= 0;
    if (may_be_empty)
        p = ir_where(n->g, ir_binary(n->g, OP_eq, p, p), p, ir_scalar(n->g, precise, 0));
    return ir_cast(n->g, p, t);
}

/* softcap tanh(scores / softcap) */
static Value *cap_scores(OnnxNode *n, Value *scores) {
    double cap = onnx_float(n, "softcap");
    if (cap == 0) return scores;
    if (!(cap > 0)) tn_fail(n->cx, TN_E_MODEL, "a softcap of %g", cap);
    scores = ir_unary(n->g, OP_tanh, onnx_with_scalar(n, OP_div, scores, cap));
    return onnx_with_scalar(n, OP_mul, scores, cap);
}

void import_attention(OnnxNode *n) {
    if (onnx_given(n, PAST_KEY) != onnx_given(n, PAST_VALUE))
        tn_fail(n->cx, TN_E_MODEL, "past_key and past_value must come together");
    Value *q = operand_heads(n, QUERY, "q_num_heads");
    Value *k = append(n, PAST_KEY, operand_heads(n, KEY, "kv_num_heads"));
    Value *v = append(n, PAST_VALUE, operand_heads(n, VALUE, "kv_num_heads"));
    const Expr *heads = q->type.dims[1];
    double scale = onnx_has(n, "scale") ? onnx_float(n, "scale") : 0;
    Value *scaled = heads_scores(n, q, k, scale);
    Value *capped = cap_scores(n, scaled), *masked = mask_scores(n, capped);
    Value *p = probabilities(n, masked);
    Value *y = ir_matmul(n->g, p, heads_share(n, v, heads), false, false);
    n->outputs[0] = n->inputs[QUERY]->type.rank == 3 ? heads_merge(n, y) : y;
    if (n->output_count > 1) n->outputs[1] = k;
    if (n->output_count > 2) n->outputs[2] = v;
    if (n->output_count <= 3) return;
    Value *const stages[] = {scaled, capped, masked, p};
    int64_t stage = onnx_int(n, "qk_matmul_output_mode");
    if (stage < 0 || stage > 3)
        tn_fail(n->cx, TN_E_MODEL, "attribute 'qk_matmul_output_mode' is %lld, wanted 0 to 3",
                (long long)stage);
    n->outputs[3] = stages[stage];
}

/* --- rotary embedding --- */

/* Cosines or sines, [b, 1, s, r/2]: rows of a table at the positions, if given. */
static Value *rotary_table(OnnxNode *n, int i) {
    Value *table = n->inputs[i];
    if (onnx_given(n, 3)) table = ir_gather(n->g, table, n->inputs[3], 0);
    if (table->type.rank != 3)
        tn_fail(n->cx, TN_E_MODEL, "the angles are %s, not of rank 3",
                ir_type_text(n->m, &table->type));
    return ir_unsqueeze(n->g, table, 1);
}

void import_rotary(OnnxNode *n) {
    int rank = n->inputs[0]->type.rank;
    if (rank != 3 && rank != 4)
        tn_fail(n->cx, TN_E_MODEL, "input 0 is %s, wanted 3 or 4 axes",
                ir_type_text(n->m, &n->inputs[0]->type));
    Value *x = heads_split(n, n->inputs[0], onnx_int(n, "num_heads"));
    int64_t rotated = onnx_int(n, "rotary_embedding_dim");
    const Expr *size = rotated ? ex_int(n->x, rotated) : x->type.dims[3];
    Value *cos = rotary_table(n, 1), *sin = rotary_table(n, 2);
    Value *y = heads_rotate(n, x, cos, sin, size, onnx_flag(n, "interleaved"));
    n->outputs[0] = rank == 3 ? heads_merge(n, y) : y;
}
