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
 * With `band`, causal and the window do not mask but take away: score = -inf, whatever is added,
 * except for the keys t < sinks. */
#include "ir/ref/ref.h"

#include <math.h>

typedef struct Attention {
    const double *q, *k, *v;
    const Tensor *key_mask, *query_mask, *bias[2];
    double bias_scale[2], scale, softcap, mask_value;
    bool causal, select, zero_nan, bias_last, band;
    int64_t offset, left, right, sinks;
    int64_t queries, keys, heads, kv_heads, depth, width; /* width: of v */
} Attention;

static Attention attention_of(RefCall *call) {
    const Node *n = call->node;
    const Tensor *q = call->in[0], *k = call->in[1], *v = call->in[2];
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
                       .width = v->dims[3]};
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

static bool is_masked(const Attention *a, int64_t b, int64_t s, int64_t t) {
    if (a->key_mask && element_at(a->key_mask, (int64_t[]){b, t}) == 0) return true;
    if (a->query_mask && element_at(a->query_mask, (int64_t[]){b, s}) == 0) return true;
    return !a->band && is_outside(a, s, t);
}

static float score_of(const Attention *a, int64_t b, int64_t s, int64_t h, int64_t t) {
    int64_t g = h / (a->heads / a->kv_heads);
    if (a->band && t >= a->sinks && is_outside(a, s, t)) return -INFINITY;
    const double *q = a->q + ((b * a->queries + s) * a->heads + h) * a->depth;
    const double *k = a->k + ((b * a->keys + t) * a->kv_heads + g) * a->depth;
    double dot = 0;
    for (int64_t i = 0; i < a->depth; i++) dot += q[i] * k[i];
    float score = (float)(a->scale * dot);
    if (a->softcap > 0) score = (float)(a->softcap * tanh(score / a->softcap));
    double bias = 0;
    for (int i = 0; i < 2; i++) {
        const Tensor *x = a->bias[i];
        if (x) bias += a->bias_scale[i] * element_at(x, (int64_t[]){b % x->dims[0], h, s, t});
    }
    if (!a->bias_last) score = (float)(score + bias);
    if (is_masked(a, b, s, t)) score = (float)(a->select ? a->mask_value : score + a->mask_value);
    return a->bias_last ? (float)(score + bias) : score;
}

void ref_attention(RefCall *call) {
    Attention a = attention_of(call);
    Tensor *y = call->out;
    if (a.heads && (a.kv_heads == 0 || a.heads % a.kv_heads != 0))
        ref_fail(call, TN_E_SHAPE, "%lld heads share %lld key heads", (long long)a.heads,
                 (long long)a.kv_heads);
    double *p = ARENA_ARRAY(&call->scratch, double, (size_t)a.keys);
    RefLoop l = ref_loop(y->rank - 1, y->dims); /* b, s, h */
    for (; ref_more(&l); ref_step(&l)) {
        int64_t b = l.index[0], s = l.index[1], h = l.index[2];
        int64_t g = h / (a.heads / a.kv_heads);
        double largest = -INFINITY, sum = 0;
        for (int64_t t = 0; t < a.keys; t++) {
            p[t] = score_of(&a, b, s, h, t);
            if (p[t] > largest || isnan(p[t])) largest = p[t];
        }
        for (int64_t t = 0; t < a.keys; t++) sum += p[t] = exp(p[t] - largest);
        bool zero = a.zero_nan && isnan(sum);
        for (int64_t e = 0; e < a.width; e++) {
            double v = 0;
            for (int64_t t = 0; t < a.keys && !zero; t++)
                v += p[t] / sum * a.v[((b * a.keys + t) * a.kv_heads + g) * a.width + e];
            ir_store_f64(y->dtype, y->data, l.count * a.width + e, v);
        }
    }
}
