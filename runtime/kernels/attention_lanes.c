/* Softmax and sums of attention whose scores lie by keys: a row of queries for each key, so that
 * maxima and sums are taken down the lanes of a vector (attention.h). Masks are applied as written
 * to every key in use: attention_softmax.c says what they mean. */
#include <math.h>
#include "runtime/kernels/attention.h"
#include "runtime/kernels/simd.h"

enum { AT_ONCE = VF_WIDTH > 1 ? 4 : 1, COLUMNS = 8 };

/* Of each query. */
static vf maximum(const float *scores, int64_t keys) {
    vf top = vf_set1(-INFINITY), other = top;
    int64_t t = 0;
    for (; t + 2 <= keys; t += 2) {
        top = vf_max(top, vf_load(scores + t * TN_PANEL));
        other = vf_max(other, vf_load(scores + (t + 1) * TN_PANEL));
    }
    if (t < keys) top = vf_max(top, vf_load(scores + t * TN_PANEL));
    return vf_max(other, top);
}

static inline vf add_biases(const Lanes *z, vf x, int64_t at) {
    for (int i = 0; i < 2; i++)
        if (z->bias[i]) x = vf_fma(vf_load(z->bias[i] + at), vf_set1(z->a->p.bias_scale[i]), x);
    return x;
}

/* scores := cap tanh(scale score / cap) */
static void cap_scores(const ParamsAttention *p, float *scores, int64_t keys) {
    for (int64_t t = 0; t < keys; t++, scores += TN_PANEL) {
        const vf x = vf_mul(vf_load(scores), vf_set1(p->scale));
        vf_store(scores, vf_mul(vf_set1(p->softcap), vf_tanh(vf_mul(x, vf_set1(1 / p->softcap)))));
    }
}

/* scores := x for the queries of a vector from number `lane` on; their maximum. */
static vf finish(const Lanes *z, int lane) {
    const ParamsAttention *p = &z->a->p;
    const bool last = p->flags & TN_ATTENTION_BIAS_LAST, add = !(p->flags & TN_ATTENTION_SELECT);
    const vf mask = vf_set1(p->mask_value), scale = vf_set1(p->softcap != 0 ? 1 : p->scale);
    const vf first = vf_load(z->seen[0] + lane), end = vf_load(z->seen[1] + lane);
    vf top = vf_set1(-INFINITY);
    if (p->softcap != 0) cap_scores(p, z->scores + z->t0 * TN_PANEL + lane, z->t1 - z->t0);
    for (int64_t t = z->t0; t < z->t1; t++) {
        const int64_t at = t * TN_PANEL + lane;
        vf x = vf_mul(vf_load(z->scores + at), scale);
        if (!last) x = add_biases(z, x, at);
        if (z->masked) {
            const vf key = vf_set1((float)t), masked = add ? vf_add(x, mask) : mask;
            const bool none = z->allowed && z->allowed[t] == 0;
            vm seen = vm_and(vf_le(first, key), vf_lt(key, end));
            x = none ? masked : vf_select(seen, x, masked);
        }
        if (last) x = add_biases(z, x, at);
        vf_store(z->scores + at, x);
        top = vf_max(top, x);
    }
    return top;
}

/* scores[t] := 2^((score - top) factor) of keys [0, keys); returns their sum. The last few are as
 * many as the others, one of them several times. */
static vf exponentials(float *scores, int64_t keys, vf top, vf factor) {
    vf sum = vf_zero(), x[AT_ONCE];
    for (int64_t t = 0; t < keys; t += AT_ONCE, scores += AT_ONCE * TN_PANEL) {
        const int64_t last = keys - t - 1;
        UNROLL for (int i = 0; i < AT_ONCE; i++) {
            const vf score = vf_load(scores + (i < last ? i : last) * TN_PANEL);
            x[i] = vf_mul(vf_sub(score, top), factor);
        }
        vf_exp2_below(x, AT_ONCE, vf_exp2_degree5, 5);
        UNROLL for (int i = 0; i < AT_ONCE; i++) {
            if (i > last) break;
            vf_store(scores + i * TN_PANEL, x[i]);
            sum = vf_add(sum, x[i]);
        }
    }
    return sum;
}

static bool softmax_of(const Lanes *z, int lane) {
    const ParamsAttention *p = &z->a->p;
    const bool plain = !z->masked && !z->bias[0] && !z->bias[1] && p->softcap == 0 && p->scale > 0;
    const int64_t keys = z->t1 - z->t0;
    float *scores = z->scores + z->t0 * TN_PANEL + lane;
    const vf top = plain ? maximum(scores, keys) : finish(z, lane);
    const float scale = plain ? p->scale : 1;
    const vf sum = exponentials(scores, keys, top, vf_set1(scale * VF_LOG2_E));
    const vm counts = vf_lt(vf_zero(), sum);
    vf inverse = vf_select(counts, vf_div(vf_set1(1), sum), vf_set1(NAN));
    if (p->flags & TN_ATTENTION_ZERO_NAN && vm_any(vm_not(counts))) {
        inverse = vf_select(counts, inverse, vf_zero());
        for (int64_t t = 0; t < keys; t++, scores += TN_PANEL)
            vf_store(scores, vf_select(counts, vf_load(scores), vf_zero()));
    }
    vf_store(z->inverse + lane, inverse);
    const vm allowed = vf_le(vf_set1(ALLOWED_ABOVE), vf_mul(vf_set1(scale), top));
    return !vm_any(vm_not(allowed));
}

static bool softmax(const Lanes *z) {
    bool allowed = true;
    for (int lane = 0; lane < TN_PANEL; lane += VF_WIDTH) allowed &= softmax_of(z, lane);
    return allowed;
}

/* `n` columns of v. */
ALWAYS_INLINE void sums_of(const Lanes *z, float *o, const float *v, int64_t v_row, int lane,
                           int n) {
    const float *weight = z->scores + z->t0 * TN_PANEL + lane;
    const vf inverse = vf_load(z->inverse + lane);
    vf sum[COLUMNS];
    UNROLL for (int e = 0; e < n; e++) sum[e] = vf_zero();
    for (int64_t t = z->t0; t < z->t1; t++, v += v_row, weight += TN_PANEL) {
        const vf w = vf_load(weight);
        UNROLL for (int e = 0; e < n; e++) sum[e] = vf_fma(vf_set1(v[e]), w, sum[e]);
    }
    UNROLL for (int e = 0; e < n; e++) vf_store(o + e * TN_PANEL + lane, vf_mul(sum[e], inverse));
}

static void sums(const Lanes *z, float *o, const float *v, int64_t v_row) {
    v += z->t0 * v_row;
    for (int lane = 0; lane < TN_PANEL; lane += VF_WIDTH) {
        int64_t e = 0;
        for (; e + COLUMNS <= z->a->width; e += COLUMNS)
            sums_of(z, o + e * TN_PANEL, v + e, v_row, lane, COLUMNS);
        for (; e < z->a->width; e++) sums_of(z, o + e * TN_PANEL, v + e, v_row, lane, 1);
    }
}

const AttentionLanes TN_FN(attention_lanes) = {softmax, sums};
