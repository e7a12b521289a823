/* attention: the contract of the fused operator.
 *
 *     score[t] = scale q[b,s,h,:] . k[b,t,g,:]            g = h / (heads / kv heads)
 *     score    = softcap tanh(score / softcap)            if softcap > 0
 *     score   += bias_scale bias[b mod p,h,s,t] + more_scale more[..]     p its first extent
 *     masked:    score += mask_value (mode add) or score = mask_value (mode select)
 *                bias_last: only now the bias is added
 *     y[b,s,h,:] = softmax(score) v[b,:,g,:]             zero_nan: 0 for probabilities that are NaN
 *
 * Each line rounds to f32, so that adding -3.4e38 makes all masked scores equal as it does in the
 * models: a row in which everything is masked gives the mean of v over all keys. A key t is masked
 * for query s if
 *
 *     key_mask[b,t] == 0   or   query_mask[b,s] == 0   or   causal and t > s + offset
 *     left >= 0 and t < s + offset - left   or   right >= 0 and t > s + offset + right
 *
 * A bias of s + t + 1 distances is read at t - s + the number of queries.
 *
 * With `band`, causal and the window do not mask but take away: score = -inf, whatever is added,
 * except for the keys t < sinks.
 *
 * With `starts` the keys of entry b are rows starts[b] to starts[b + 1] of k, v and key_mask, and
 * t counts from the first of them; its queries likewise if `packed`. */
#include "ir/ref/ref.h"

#include <math.h>

typedef struct Attention {
    const double *q, *k, *v;
    const Tensor *key_mask, *query_mask, *bias[2];
    double bias_scale[2], scale, softcap, mask_value;
    bool causal, select, zero_nan, bias_last, band;
    int64_t offset, left, right, sinks;
    int64_t queries, keys, heads, kv_heads, depth, width; /* width: of v */
    const int64_t *starts;                                /* NULL: every entry has all keys */
    bool packed;
    int64_t entries;
    int64_t bias_rows, bias_keys; /* what full biases have of queries and keys */
} Attention;

/* Where in the operands batch entry b has its keys and queries. */
typedef struct Entry {
    int64_t b, key_batch, first_key, keys, query_batch, first_query;
} Entry;

static Attention attention_of(RefCall *call) {
    const Node *n = call->node;
    const Tensor *q = call->in[0], *k = call->in[1], *v = call->in[2];
    const Tensor *starts = ref_operand(call, 7);
    int64_t keys = starts ? ref_expr(call, attr_dim(n, "longest")) : k->dims[1];
    return (Attention){.q = ref_doubles(call, q),
                       .k = ref_doubles(call, k),
                       .v = ref_doubles(call, v),
                       .key_mask = ref_operand(call, 3),
                       .query_mask = ref_operand(call, 4),
                       .bias = {ref_operand(call, 5), ref_operand(call, 6)},
                       .bias_scale = {attr_float(n, "bias_scale"), attr_float(n, "more_scale")},
                       .scale = attr_float(n, "scale"),
                       .softcap = attr_float(n, "softcap"),
                       .mask_value = attr_float(n, "mask_value"),
                       .causal = attr_bool(n, "causal"),
                       .select = attr_string(n, "mode")[0] == 's',
                       .zero_nan = attr_bool(n, "zero_nan"),
                       .bias_last = attr_bool(n, "bias_last"),
                       .band = attr_bool(n, "band"),
                       .sinks = ref_expr(call, attr_dim(n, "sinks")),
                       .offset = ref_expr(call, attr_dim(n, "offset")),
                       .left = attr_int(n, "left"),
                       .right = attr_int(n, "right"),
                       .queries = q->dims[1],
                       .keys = k->dims[1],
                       .heads = q->dims[2],
                       .kv_heads = k->dims[2],
                       .depth = q->dims[3],
                       .width = v->dims[3],
                       .starts = starts ? starts->data : NULL,
                       .packed = attr_bool(n, "packed"),
                       .entries = starts ? starts->dims[0] - 1 : q->dims[0],
                       .bias_rows = attr_bool(n, "packed") ? keys : q->dims[1],
                       .bias_keys = keys};
}

/* The entry of row `row` of batch `batch` of the queries. */
static Entry entry_of(const Attention *a, int64_t batch, int64_t row) {
    Entry z = {.b = batch, .key_batch = batch, .keys = a->keys, .query_batch = batch};
    if (!a->starts) return z;
    while (a->packed && z.b + 1 < a->entries && row >= a->starts[z.b + 1]) z.b++;
    z.key_batch = 0;
    z.first_key = a->starts[z.b];
    z.keys = a->starts[z.b + 1] - z.first_key;
    if (a->packed) z.first_query = z.first_key;
    return z;
}

/* The entries follow each other from the first row to the last; none is longer than is said. */
static void check_starts(RefCall *call, const Attention *a) {
    for (int64_t i = 0; a->starts && i <= a->entries; i++) {
        int64_t start = a->starts[i], before = i ? a->starts[i - 1] : 0;
        bool end = i == a->entries ? start == a->keys : i || start == 0;
        if (start < before || start - before > a->bias_keys || !end)
            ref_fail(call, TN_E_RANGE, "entry %lld of the packed keys ends at %lld", (long long)i,
                     (long long)start);
    }
}

/* The element of a tensor that broadcasts over coordinates c, aligned at the first axis. */
static double element_at(const Tensor *t, const int64_t *c) {
    int64_t at = 0;
    for (int i = 0; i < t->rank; i++) at = at * t->dims[i] + (t->dims[i] == 1 ? 0 : c[i]);
    return ir_element_f64(t->dtype, t->data, at);
}

static bool is_outside(const Attention *a, int64_t s, int64_t t) {
    int64_t here = s + a->offset;
    if (a->causal && t > here) return true;
    return (a->left >= 0 && t < here - a->left) || (a->right >= 0 && t > here + a->right);
}

static bool is_masked(const Attention *a, const Entry *z, int64_t s, int64_t t) {
    const int64_t key[] = {z->key_batch, z->first_key + t},
                  query[] = {z->query_batch, z->first_query + s};
    if (a->key_mask && element_at(a->key_mask, key) == 0) return true;
    if (a->query_mask && element_at(a->query_mask, query) == 0) return true;
    return !a->band && is_outside(a, s, t);
}

static float score_of(const Attention *a, const Entry *z, int64_t s, int64_t h, int64_t t) {
    int64_t g = h / (a->heads / a->kv_heads);
    if (a->band && t >= a->sinks && is_outside(a, s, t)) return -INFINITY;
    int64_t query = z->query_batch * a->queries + z->first_query + s,
            key = z->key_batch * a->keys + z->first_key + t;
    const double *q = a->q + (query * a->heads + h) * a->depth;
    const double *k = a->k + (key * a->kv_heads + g) * a->depth;
    double dot = 0;
    for (int64_t i = 0; i < a->depth; i++) dot += q[i] * k[i];
    float score = (float)(a->scale * dot);
    if (a->softcap > 0) score = (float)(a->softcap * tanh(score / a->softcap));
    double bias = 0;
    for (int i = 0; i < 2; i++) {
        const Tensor *x = a->bias[i];
        if (!x) continue;
        bool line = x->dims[3] == a->bias_rows + a->bias_keys + 1;
        const int64_t at[] = {z->b % x->dims[0], h, s, line ? t - s + a->bias_rows : t};
        bias += a->bias_scale[i] * element_at(x, at);
    }
    if (!a->bias_last) score = (float)(score + bias);
    if (is_masked(a, z, s, t)) score = (float)(a->select ? a->mask_value : score + a->mask_value);
    return a->bias_last ? (float)(score + bias) : score;
}

void ref_attention(RefCall *call) {
    Attention a = attention_of(call);
    Tensor *y = call->out;
    if (a.heads && (a.kv_heads == 0 || a.heads % a.kv_heads != 0))
        ref_fail(call, TN_E_SHAPE, "%lld heads share %lld key heads", (long long)a.heads,
                 (long long)a.kv_heads);
    check_starts(call, &a);
    double *p = ARENA_ARRAY(&call->scratch, double, (size_t)a.keys);
    RefLoop l = ref_loop(y->rank - 1, y->dims); /* b, s, h */
    for (; ref_more(&l); ref_step(&l)) {
        Entry z = entry_of(&a, l.index[0], l.index[1]);
        int64_t s = l.index[1] - z.first_query, h = l.index[2], g = h / (a.heads / a.kv_heads);
        const double *v0 = a.v + (z.key_batch * a.keys + z.first_key) * a.kv_heads * a.width;
        double largest = -INFINITY, sum = 0;
        for (int64_t t = 0; t < z.keys; t++) {
            p[t] = score_of(&a, &z, s, h, t);
            if (p[t] > largest || isnan(p[t])) largest = p[t];
        }
        for (int64_t t = 0; t < z.keys; t++) sum += p[t] = exp(p[t] - largest);
        bool zero = a.zero_nan && isnan(sum);
        for (int64_t e = 0; e < a.width; e++) {
            double v = 0;
            for (int64_t t = 0; t < z.keys && !zero; t++)
                v += p[t] / sum * v0[(t * a.kv_heads + g) * a.width + e];
            ir_store_f64(y->dtype, y->data, l.count * a.width + e, v);
        }
    }
}
