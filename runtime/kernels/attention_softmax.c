/* Masks and softmax of attention, one row of scores at a time, in cache.
 *
 *     x[t] = cap tanh(scale score[t] / cap) + bias[t]          (without a cap: scale score[t])
 *            bias[t] = bias_scale[0] bias0[t] + bias_scale[1] bias1[t]
 *     masked x[t]:  x[t] + mask_value,  or mask_value itself (TN_ATTENTION_SELECT)
 *     TN_ATTENTION_BIAS_LAST: bias[t] is added here and not above
 *     p[t] = exp(x[t] - max x),  inverse = 1 / sum p
 *
 * A row in which every key is masked is no special case: mask_value decides (-FLT_MAX added
 * swallows every score: the mean; -1e4: an ordinary softmax; -inf: NaN, or zeros under
 * TN_ATTENTION_ZERO_NAN: one NaN makes the sum and with it the whole row NaN). Masked keys are
 * skipped only where that is exact: beside an allowed key so much larger that exp underflows
 * (MASKED_BELOW, ALLOWED_ABOVE).
 *
 * TN_ATTENTION_BAND: keys outside the window are no masked keys but none at all, except the first
 * `sinks`. So a row has up to two runs of keys:
 *
 *     [0, sinks)  and  [from, to)            one run [0, to) where they meet */
#include <math.h>
#include <string.h>
#include "runtime/kernels/attention.h"
#include "runtime/kernels/bf16.h"
#include "runtime/kernels/simd.h"

enum { AT_ONCE = VF_WIDTH > 1 ? 4 : 1 }; /* vectors whose exponentials are taken side by side */

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

/* Whether some of n bytes is zero: eight at a time, unless they are apart. */
static bool some_is_zero(const uint8_t *p, int64_t stride, int64_t n) {
    const uint64_t ones = UINT64_MAX / 255;
    int64_t i = 0;
    for (uint64_t word; stride == 1 && i + 8 <= n; i += 8) {
        memcpy(&word, p + i, sizeof word);
        if ((word - ones) & ~word & ones << 7) return true;
    }
    while (i < n && p[i * stride]) i++;
    return i < n;
}

/* Masks as a rule are one run of allowed keys. */
static Keys keys_of(const Attention *a, int64_t b, float *allowed) {
    Keys keys = {.end = a->keys};
    if (!a->in[KEY_MASK].data) return keys;
    const int64_t *stride = a->in[KEY_MASK].strides;
    const uint8_t *mask = (const uint8_t *)a->in[KEY_MASK].data + b * stride[0];
    keys.allowed = allowed;
    while (keys.first < a->keys && !mask[keys.first * stride[1]]) allowed[keys.first++] = 0;
    while (keys.end > keys.first && !mask[(keys.end - 1) * stride[1]]) keys.end--;
    keys.gaps = some_is_zero(mask + keys.first * stride[1], stride[1], keys.end - keys.first);
    for (int64_t t = keys.first; t < keys.end; t += VF_WIDTH) vf_store(allowed + t, vf_set1(1));
    for (int64_t t = keys.end; t < a->keys + VF_WIDTH; t++) allowed[t] = 0;
    for (int64_t t = keys.first; keys.gaps && t < keys.end; t++)
        allowed[t] = mask[t * stride[1]] ? 1 : 0;
    return keys;
}

static Row row_of(const Attention *a, const Keys *keys, int64_t b, int64_t h, int64_t i) {
    Row row = {.b = b, .h = h, .i = i, .to = a->keys, .end = a->keys};
    if (a->ranged) {
        int64_t p = i + a->offset;
        if (a->p.flags & TN_ATTENTION_CAUSAL) row.end = p + 1;
        if (a->p.window_right >= 0 && row.end > p + a->p.window_right + 1)
            row.end = p + a->p.window_right + 1;
        if (a->p.window_left >= 0) row.first = p - a->p.window_left;
    }
    if (a->band) {
        row.from = clamp(row.first, a->sinks, a->keys);
        row.to = clamp(row.end, row.from, a->keys);
    }
    row.first = clamp(row.first, keys->first < row.from ? row.from : keys->first, a->keys);
    row.end = clamp(row.end, 0, keys->end);
    if (row.end < row.first && a->sinks) row.first = row.end = row.from;
    row.blind = row.first >= row.end && !a->sinks;
    const TnTensor *mask = &a->in[QUERY_MASK];
    if (mask->data)
        row.blind |= !((const uint8_t *)mask->data)[b * mask->strides[0] + i * mask->strides[1]];
    return row;
}

/* Lanes first-t .. end-t-1 of the vector at key t. */
static inline vm lanes_between(int64_t t, int64_t first, int64_t end) {
    return vm_and(vm_first(clamp(end - t, 0, VF_WIDTH)),
                  vm_not(vm_first(clamp(first - t, 0, VF_WIDTH))));
}

/* A row of both biases, each with stride 1, or NULL. */
typedef struct Biases {
    const float *row[2];
    vf scale[2];
} Biases;

static Biases bias_rows(const Attention *a, const Row *row, int64_t t0, int64_t t1, float *room) {
    Biases rows = {{NULL, NULL}, {vf_set1(a->p.bias_scale[0]), vf_set1(a->p.bias_scale[1])}};
    for (int i = 0; i < 2; i++) {
        const TnTensor *bias = &a->in[BIAS + i];
        const int64_t *s = bias->strides;
        if (!bias->data) continue;
        const float *from = (const float *)bias->data + row->b % bias->dims[0] * s[0] +
                            row->h * s[1] + row->i * s[2];
        float *copy = room + i * a->stride;
        rows.row[i] = s[3] == 1 ? from : copy;
        for (int64_t t = t0; s[3] != 1 && t < t1; t++) copy[t] = from[t * s[3]];
    }
    return rows;
}

/* Their sum for n keys from t on. */
static inline vf bias_at(const Biases *z, int64_t t, int64_t n) {
    vf sum = vf_zero();
    for (int i = 0; i < 2; i++) {
        const float *p = z->row[i];
        if (!p) continue;
        sum = vf_fma(n < VF_WIDTH ? vf_load_n(p + t, n) : vf_load(p + t), z->scale[i], sum);
    }
    return sum;
}

/* What becomes of scores before masks. */
typedef struct Finish {
    Biases biases;
    vf scale, cap, uncap;
    bool capped;
} Finish;

ALWAYS_INLINE vf finished(const Finish *f, vf score) {
    vf x = vf_mul(score, f->scale);
    return f->capped ? vf_mul(f->cap, vf_tanh(vf_mul(x, f->uncap))) : x;
}

/* scores[t] := x[t] of whole vectors of keys, none of which is masked; their maximum and `top`. */
static vf finish_open(const Finish *f, float *scores, int64_t t0, int64_t t1, vf top) {
    for (int64_t t = t0; t < t1; t += VF_WIDTH) {
        vf x = vf_add(finished(f, vf_load(scores + t)), bias_at(&f->biases, t, VF_WIDTH));
        vf_store(scores + t, x);
        top = vf_max(top, x);
    }
    return top;
}

/* scores[t] := x[t] for t0 <= t < t1, -inf for the lanes that follow; returns the maximum. */
static float finish_scores(const Attention *a, const Keys *keys, const Row *row, float *scores,
                           int64_t t0, int64_t t1, bool full, float *room) {
    const Finish f = {bias_rows(a, row, t0, t1, room), vf_set1(a->p.scale), vf_set1(a->p.softcap),
                      vf_set1(1 / a->p.softcap), a->p.softcap != 0};
    const float *allowed = full || keys->gaps || a->sinks ? keys->allowed : NULL;
    const vf nothing = vf_set1(-INFINITY), mask = vf_set1(full ? a->p.mask_value : -INFINITY);
    const bool add = full && !(a->p.flags & TN_ATTENTION_SELECT),
               last = a->p.flags & TN_ATTENTION_BIAS_LAST;
    vf top = nothing;
    int64_t t = t0;
    if (!allowed && !a->band && row->first <= t0 && !(full && row->blind)) {
        int64_t end = row->end < t1 ? row->end : t1;
        int64_t open = end > t0 ? (end - t0) / VF_WIDTH * VF_WIDTH : 0;
        top = finish_open(&f, scores, t0, t0 + open, top);
        t += open;
    }
    for (; t < t1; t += VF_WIDTH) {
        int64_t n = t1 - t < VF_WIDTH ? t1 - t : VF_WIDTH;
        vf x = finished(&f, vf_load(scores + t));
        vf shift = bias_at(&f.biases, t, n);
        if (!last) x = vf_add(x, shift);
        vm exists = vm_first(n), ok = lanes_between(t, row->first, row->end);
        if (a->band) {
            vm sinks = lanes_between(t, 0, a->sinks);
            exists = vm_and(exists, vm_or(sinks, lanes_between(t, row->from, row->to)));
            ok = vm_or(sinks, ok);
        }
        if (full && row->blind) ok = vm_first(0);
        if (allowed) ok = vm_and(ok, vf_lt(vf_zero(), vf_load(allowed + t)));
        x = vf_select(ok, x, add ? vf_add(x, mask) : mask);
        if (last) x = vf_add(x, shift);
        x = vf_select(exists, x, nothing);
        vf_store(scores + t, x);
        top = vf_max(top, x);
    }
    return vf_max_lane(top);
}

/* Without bias, cap or mask there is nothing to do but find
 * the maximum: scaling is left to the next pass. */
static float find_maximum(float *scores, int64_t t0, int64_t t1) {
    vf top = vf_set1(-INFINITY), other = top;
    int64_t t = t0;
    for (; t + 2 * VF_WIDTH <= t1; t += 2 * VF_WIDTH) {
        top = vf_max(top, vf_load(scores + t));
        other = vf_max(other, vf_load(scores + t + VF_WIDTH));
    }
    for (; t < t1; t += VF_WIDTH) {
        vf x = vf_load(scores + t);
        if (t1 - t < VF_WIDTH) {
            x = vf_select(vm_first(t1 - t), x, vf_set1(-INFINITY));
            vf_store(scores + t, x);
        }
        top = vf_max(top, x);
    }
    return vf_max_lane(vf_max(other, top));
}

/* 2^((score - top) factor) of `n` vectors at once, stored and added to `sum`. */
ALWAYS_INLINE void exponentials_of(float *scores, int n, vf top, vf factor, vf *sum) {
    vf x[AT_ONCE];
    UNROLL for (int i = 0; i < n; i++) {
        x[i] = vf_mul(vf_sub(vf_load(scores + i * VF_WIDTH), top), factor);
    }
    vf_exp2_below(x, n, vf_exp2_degree5, 5);
    UNROLL for (int i = 0; i < n; i++) {
        vf_store(scores + i * VF_WIDTH, x[i]);
        sum[i % 2] = vf_add(sum[i % 2], x[i]);
    }
}

/* scores[t] := 2^((scores[t] - top) factor); returns their sum. */
static float exponentials(float *scores, int64_t t0, int64_t t1, float factor, float top) {
    const vf scale = vf_set1(factor), shift = vf_set1(top);
    vf sum[2] = {vf_zero(), vf_zero()};
    int64_t t = t0;
    for (; t + AT_ONCE * VF_WIDTH <= t1; t += AT_ONCE * VF_WIDTH)
        exponentials_of(scores + t, AT_ONCE, shift, scale, sum);
    for (; t < t1; t += VF_WIDTH) exponentials_of(scores + t, 1, shift, scale, sum);
    return vf_sum(vf_add(sum[0], sum[1]));
}

/* Weights 2^((scores - top) factor) of a row, in place of the scores: floats, or bf16. */
typedef struct Weights {
    float *row;
    float factor, top;
    const PairsInPlace *pairs; /* NULL: floats */
} Weights;

/* Returns the sum of weights [t0, t1). */
static float weigh(const Weights *w, int64_t t0, int64_t t1) {
    if (!w->pairs) return exponentials(w->row, t0, t1, w->factor, w->top);
    return w->pairs->exponentials(float_at(w->row, true, t0), w->row + t0, t1 - t0, w->factor,
                                  w->top);
}

static void clear(const Weights *w, int64_t t0, int64_t t1) {
    if (t0 < t1)
        memset(float_at(w->row, w->pairs, t0), 0, (size_t)((t1 - t0) * float_size(w->pairs)));
}

static bool softmax(const Attention *a, const Keys *keys, const Row *row, float *scores, int64_t t0,
                    int64_t t1, bool full, float *bias, float *inverse) {
    int64_t first = full ? row->from : row->first, end = full ? row->to : row->end,
            sinks = a->sinks;
    bool masked = attention_is_masked(keys, row);
    bool plain = !a->in[BIAS].data && !a->in[MORE_BIAS].data && a->p.softcap == 0 &&
                 a->p.scale > 0 && !keys->gaps && !sinks && !(full && masked);
    float top, scale = plain ? a->p.scale : 1;
    /* what is written behind the first run would be the second */
    if (sinks && first < sinks + VF_WIDTH) first = sinks = 0;
    if (plain)
        top = find_maximum(scores, first, end);
    else
        top = finish_scores(a, keys, row, scores, first, end, full, bias);
    if (sinks) {
        float other = finish_scores(a, keys, row, scores, 0, sinks, full, bias);
        top = other > top || isnan(other) ? other : top;
    }
    if (!full && (masked || a->sinks) && !(scale * top >= ALLOWED_ABOVE)) return false;
    const Weights w = {scores, scale * VF_LOG2_E, top, a->v_pairs ? a->isa->pairs->in_place : NULL};
    /* in this order: the second run as bf16 may begin where the first one's floats were */
    float sum = sinks ? weigh(&w, 0, sinks) : 0;
    sum += weigh(&w, first, end);
    *inverse = sum > 0 ? 1 / sum : NAN;
    if (isnan(*inverse) && a->p.flags & TN_ATTENTION_ZERO_NAN) {
        clear(&w, first, end);
        clear(&w, 0, sinks);
        *inverse = 0;
    }
    clear(&w, sinks, sinks + sinks % 2);
    clear(&w, t0 > sinks ? t0 : sinks, first);
    clear(&w, end, t1);
    return true;
}

const AttentionKernels TN_FN(attention_kernels) = {&TN_FN(attention_rows), &TN_FN(attention_lanes),
                                                   keys_of, row_of, softmax};
