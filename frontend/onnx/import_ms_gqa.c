/* GroupQueryAttention of domain com.microsoft: keys and values go into a cache that is full up to a
 * length per sample.
 *
 * Letters: b batch, h heads of queries, g heads of keys and values, s queries, t places of the
 * cache, d head size. */
#include <math.h>
#include "frontend/onnx/heads.h"

typedef enum Gqa {
    G_QUERY,
    G_KEY,
    G_VALUE,
    G_PAST_KEY,
    G_PAST_VALUE,
    LAST_KEYS,
    TOTAL,
    COS,
    SIN,
    POSITIONS,
    G_ADDED,
    SINK,
    REST,
    GQA_INPUTS = 16
} Gqa;

typedef struct Cache {
    const Expr *batch, *queries, *past, *present; /* lengths; past: of the operand, used or not */
    Value *first;  /* place of the first query of each sample, i64[b, 1, 1, 1] */
    Value *inside; /* bool[b, 1, t, 1]: places that get the new rows */
    Value *source; /* i64[b, t, 1]: which of them */
} Cache;

static Cache make_cache(OnnxNode *n, const Type *q) {
    Graph *g = n->g;
    ExprCx *x = n->x;
    Cache c = {.batch = q->dims[0], .queries = q->dims[2], .past = ex_int(x, 0)};
    if (onnx_given(n, G_PAST_KEY)) {
        onnx_need_rank(n, G_PAST_KEY, 4);
        onnx_need_rank(n, G_PAST_VALUE, 4);
        c.past = n->inputs[G_PAST_KEY]->type.dims[2];
    }
    const Expr *total = onnx_length(n, TOTAL, "total_sequence_length", 0);
    c.present = ex_max(x, c.past, total);
    /* all keys of a sample are one more than LAST_KEYS says, and end with the new ones */
    const Expr *new_ones = ex_sub(x, c.queries, ex_int(x, 1)), *zero = ex_int(x, 0);
    Value *shift = ir_scalars(g, TN_I64, 1, &new_ones);
    Value *first = ir_binary(g, OP_sub, heads_per_sample(n, n->inputs[LAST_KEYS], c.batch), shift);
    c.first = ir_binary(g, OP_max, first, ir_scalar_int(g, TN_I64, 0));
    Value *place = ir_unsqueeze(g, heads_places(n, zero, c.present), 1);
    Value *source = ir_binary(g, OP_sub, place, c.first);
    Value *last = ir_scalars(g, TN_I64, 1, &new_ones);
    Value *started = ir_binary(g, OP_le, ir_scalar_int(g, TN_I64, 0), source);
    c.inside = ir_binary(g, OP_and, started, ir_binary(g, OP_le, source, last));
    source = ir_binary(g, OP_max, ir_binary(g, OP_min, source, last), ir_scalar_int(g, TN_I64, 0));
    c.source = ir_squeeze(g, source, 1);
    return c;
}

/* The cache with the new rows x of [b, g, s, d] in it: [b, g, present, d] */
static Value *fill_cache(OnnxNode *n, const Cache *c, int past, Value *x) {
    static const int swap[] = {0, 2, 1, 3};
    Graph *g = n->g;
    const Expr *zero = ex_int(n->x, 0), *before[] = {zero, zero, zero, zero};
    const Expr *after[] = {zero, zero, ex_sub(n->x, c->present, c->past), zero};
    Value *operands[] = {ir_transpose(g, x, swap), c->source};
    Node *pick = ir_node(g, OP_gather_nd, 2, operands);
    ir_set_int(pick, "batch", 1);
    Value *rows = ir_transpose(g, ir_insert(pick), swap);
    if (!onnx_given(n, past)) {
        Value *nothing = ir_scalar(g, x->type.dtype, 0);
        return ir_where(g, c->inside, rows, nothing);
    }
    Node *pad = ir_node(g, OP_pad, 1, &n->inputs[past]);
    ir_set_dims(pad, "before", 4, before);
    ir_set_dims(pad, "after", 4, after);
    return ir_where(g, c->inside, rows, ir_insert(pad));
}

/* Keys up to the query's place, and not further back than the window. */
static Value *seen_keys(OnnxNode *n, const Cache *c) {
    Graph *g = n->g;
    const Expr *zero = ex_int(n->x, 0);
    int64_t window = onnx_int(n, "local_window_size");
    Value *key = heads_places(n, zero, c->present);
    Value *query =
        ir_binary(g, OP_add, c->first, ir_unsqueeze(g, heads_places(n, zero, c->queries), 1));
    Value *seen = ir_binary(g, OP_le, key, query);
    if (window <= 0) return seen;
    Value *behind = ir_binary(g, OP_sub, query, ir_scalar_int(g, TN_I64, window));
    return ir_binary(g, OP_and, seen, ir_binary(g, OP_lt, behind, key));
}

/* Softmax with one more score per row that takes its share: that of the head's sink, or 0. */
static Value *softmax_with_sink(OnnxNode *n, Value *scores) {
    Graph *g = n->g;
    TnDType t = scores->type.dtype;
    const Expr *const *d = scores->type.dims, *one = ex_int(n->x, 1);
    const Expr *column[] = {d[0], d[1], d[2], one}, *per_head[] = {d[1], one, one};
    bool given = onnx_given(n, SINK);
    if (!given && onnx_int(n, "smooth_softmax") <= 0) return ir_softmax(g, scores, -1);
    Value *sink =
        given ? ir_view(g, ir_cast(g, n->inputs[SINK], t), 3, per_head) : ir_scalar(g, t, 0);
    Value *both[] = {scores, ir_expand(g, sink, 4, column)};
    Value *p = ir_softmax(g, ir_concat(g, 2, both, 3), -1);
    return ir_slice(g, p, 3, ex_int(n->x, 0), d[3], 1);
}

/* q, k and v as heads: apart, or side by side in the query operand. */
static void read_groups(OnnxNode *n, Value **q, Value **k, Value **v) {
    int64_t heads = onnx_int(n, "num_heads"), groups = onnx_int(n, "kv_num_heads");
    Value *x = n->inputs[G_QUERY];
    onnx_need_rank(n, G_QUERY, 3);
    if (heads < 1 || groups < 1 || heads > INT32_MAX || heads % groups != 0)
        tn_fail(n->cx, TN_E_MODEL, "%lld heads of queries for %lld of keys", (long long)heads,
                (long long)groups);
    if (onnx_given(n, G_KEY) != onnx_given(n, G_VALUE))
        tn_fail(n->cx, TN_E_MODEL, "key and value must come together");
    if (onnx_given(n, G_KEY)) {
        *q = heads_split(n, x, heads);
        *k = heads_split(n, n->inputs[G_KEY], groups);
        *v = heads_split(n, n->inputs[G_VALUE], groups);
        return;
    }
    const Expr *size = onnx_part(n, x->type.dims[2], heads + 2 * groups);
    const Expr *width = ex_scale(n->x, size, heads, 1), *other = ex_scale(n->x, size, groups, 1);
    *q = heads_split(n, heads_part(n, x, ex_int(n->x, 0), width), heads);
    *k = heads_split(n, heads_part(n, x, width, other), groups);
    *v = heads_split(n, heads_part(n, x, ex_add(n->x, width, other), other), groups);
}

static Value *rotate_groups(OnnxNode *n, const Cache *c, Value *x) {
    Graph *g = n->g;
    const Expr *dims[] = {c->batch, c->queries};
    Value *positions = onnx_given(n, POSITIONS) ? n->inputs[POSITIONS] : NULL;
    if (!positions) {
        Value *steps = heads_places(n, ex_int(n->x, 0), c->queries);
        positions = ir_view(g, ir_binary(g, OP_add, c->first, steps), 2, dims);
    }
    onnx_need_rank(n, COS, 2);
    const Expr *rotated = ex_scale(n->x, n->inputs[COS]->type.dims[1], 2, 1);
    TnDType t = x->type.dtype;
    return heads_rotate(n, x, heads_angles(n, n->inputs[COS], positions, t),
                        heads_angles(n, n->inputs[SIN], positions, t), rotated,
                        onnx_flag(n, "rotary_interleaved"));
}

static void check_groups(const OnnxNode *n) {
    onnx_need_input(n, LAST_KEYS, "seqlens_k");
    onnx_need_input(n, TOTAL, "total_sequence_length");
    for (int i = REST; i < GQA_INPUTS; i++)
        onnx_refuse_input(n, i, "of a quantised cache or a norm");
    if (onnx_given(n, G_PAST_KEY) != onnx_given(n, G_PAST_VALUE))
        tn_fail(n->cx, TN_E_MODEL, "past_key and past_value must come together");
    if (onnx_flag(n, "do_rotary") && (!onnx_given(n, COS) || !onnx_given(n, SIN)))
        tn_fail(n->cx, TN_E_MODEL, "do_rotary without cos_cache and sin_cache");
    if (onnx_int(n, "causal") != 1 || onnx_int(n, "qk_output") ||
        onnx_int(n, "sliding_window_cache"))
        tn_fail(n->cx, TN_E_UNSUPPORTED,
                "unsupported: causal 0, qk_output or sliding_window_cache");
}

void import_ms_group_query_attention(OnnxNode *n) {
    Graph *g = n->g;
    Value *q, *k, *v;
    check_groups(n);
    read_groups(n, &q, &k, &v);
    Cache c = make_cache(n, &q->type);
    if (onnx_flag(n, "do_rotary")) {
        q = rotate_groups(n, &c, q);
        k = rotate_groups(n, &c, k);
    }
    k = fill_cache(n, &c, G_PAST_KEY, k);
    v = fill_cache(n, &c, G_PAST_VALUE, v);
    double scale = onnx_float(n, "scale"), cap = onnx_float(n, "softcap");
    Value *scores = heads_scores(n, q, k, scale);
    if (cap > 0) {
        scores = ir_unary(g, OP_tanh, onnx_with_scalar(n, OP_div, scores, cap));
        scores = onnx_with_scalar(n, OP_mul, scores, cap);
    }
    if (onnx_given(n, G_ADDED)) scores = ir_binary(g, OP_add, scores, n->inputs[G_ADDED]);
    Value *lowest = ir_scalar(g, scores->type.dtype, -INFINITY);
    scores = ir_where(g, seen_keys(n, &c), scores, lowest);
    n->outputs[0] = heads_weighted(n, softmax_with_sink(n, scores), v);
    if (n->output_count > 1) n->outputs[1] = k;
    if (n->output_count > 2) n->outputs[2] = v;
}
