/* Softmax of attention and what masks do to it, one row of scores at a time, in cache.
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

enum {
    AT_ONCE = VF_WIDTH > 1 ? 4 : 1, /* vectors whose exponentials are taken side by side */
    TOGETHER = 4,                   /* rows whose largest and sums are found at once */
    L1_SCORES = 2048                /* floats of rows that stay in cache */
};

/* Lanes first-t .. end-t-1 of the vector at key t. */
static inline vm lanes_between(int64_t t, int64_t first, int64_t end) {
    return vm_and(vm_first(attention_clamp(end - t, 0, VF_WIDTH)),
                  vm_not(vm_first(attention_clamp(first - t, 0, VF_WIDTH))));
}

/* scores[t] := cap tanh(scale score[t] / cap). */
static void cap_scores(const Attention *a, float *scores, int64_t t0, int64_t t1) {
    const vf cap = vf_set1(a->p.softcap), uncap = vf_set1(1 / a->p.softcap);
    for (int64_t t = t0; t < t1; t += VF_WIDTH) {
        vf x = vf_mul(vf_load(scores + t), vf_set1(a->p.scale));
        vf_store(scores + t, vf_mul(cap, vf_tanh(vf_mul(x, uncap))));
    }
}

/* Where the biases of a row begin. */
static const float *bias_row(const TnTensor *bias, const Row *row) {
    const int64_t b = row->b < bias->dims[0] ? row->b : row->b % bias->dims[0], *s = bias->strides;
    return (const float *)bias->data + b * s[0] + row->h * s[1] + row->i * s[2];
}

/* A row of both biases, each with stride 1, or NULL. */
typedef struct Biases {
    const float *row[2];
    float scale[2];
} Biases;

static void begin_biases(Biases *z, const Attention *a, const Row *row, int64_t t0, int64_t t1,
                         float *room) {
    for (int i = 0; i < 2; i++) {
        const TnTensor *bias = &a->in[BIAS + i];
        const int64_t step = bias->strides[3];
        z->row[i] = NULL;
        z->scale[i] = a->p.bias_scale[i];
        if (!bias->data) continue;
        const float *from = bias_row(bias, row);
        float *copy = room + i * a->stride;
        z->row[i] = step == 1 ? from : copy;
        for (int64_t t = t0; step != 1 && t < t1; t++) copy[t] = from[t * step];
    }
}

/* x + those of n keys from t on. */
static inline vf add_biases(const Biases *z, vf x, int64_t t, int64_t n) {
    for (int i = 0; i < 2; i++)
        if (z->row[i]) x = vf_fma(vf_load_n(z->row[i] + t, n), vf_set1(z->scale[i]), x);
    return x;
}

/* scores[t] := x[t] for t0 <= t < t1, -inf for the lanes that follow; returns the maximum. */
static float finish_scores(const Attention *a, const Keys *keys, const Row *row, float *scores,
                           int64_t t0, int64_t t1, bool full, float *room) {
    Biases biases;
    begin_biases(&biases, a, row, t0, t1, room);
    const float *allowed = full || keys->gaps || a->sinks ? keys->allowed : NULL;
    const vf nothing = vf_set1(-INFINITY), mask = vf_set1(full ? a->p.mask_value : -INFINITY);
    const bool add = full && !(a->p.flags & TN_ATTENTION_SELECT),
               last = a->p.flags & TN_ATTENTION_BIAS_LAST;
    vf top = nothing;
    for (int64_t t = t0; t < t1; t += VF_WIDTH) {
        int64_t n = t1 - t < VF_WIDTH ? t1 - t : VF_WIDTH;
        vf x = vf_mul(vf_load(scores + t), vf_set1(a->scale));
        if (!last) x = add_biases(&biases, x, t, n);
        vm exists = vm_first(n), ok = lanes_between(t, row->first, row->end);
        if (a->band) {
            vm sinks = lanes_between(t, 0, a->sinks);
            exists = vm_and(exists, vm_or(sinks, lanes_between(t, row->from, row->to)));
            ok = vm_or(sinks, ok);
        }
        if (full && row->blind) ok = vm_first(0);
        if (allowed) ok = vm_and(ok, vf_lt(vf_zero(), vf_load(allowed + t)));
        x = vf_select(ok, x, add ? vf_add(x, mask) : mask);
        if (last) x = add_biases(&biases, x, t, n);
        x = vf_select(exists, x, nothing);
        vf_store(scores + t, x);
        top = vf_max(top, x);
    }
    return vf_max_lane(top);
}

/* Without bias, cap or mask there is nothing to do but find
 * the maximum: scaling is left to the next pass. */
static vf find_maximum(float *scores, int64_t t0, int64_t t1) {
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
    return vf_max(other, top);
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

/* scores[t] := 2^((scores[t] - top) factor); returns the sum of
 * each lane. */
static vf exponentials(float *scores, int64_t t0, int64_t t1, float factor, float top) {
    const vf scale = vf_set1(factor), shift = vf_set1(top);
    vf sum[2] = {vf_zero(), vf_zero()};
    int64_t t = t0;
    for (; t + (AT_ONCE - 1) * VF_WIDTH < t1; t += AT_ONCE * VF_WIDTH)
        exponentials_of(scores + t, AT_ONCE, shift, scale, sum);
    for (; t < t1; t += VF_WIDTH) exponentials_of(scores + t, 1, shift, scale, sum);
    return vf_add(sum[0], sum[1]);
}

/* Weights 2^((scores - top) factor) of a row, in place of the scores: floats, or bf16. */
typedef struct Weights {
    float *row;
    float factor, top;
    const PairsInPlace *pairs; /* NULL: floats */
} Weights;

/* Returns the sum of weights [t0, t1) in each lane. */
static vf weigh(const Weights *w, int64_t t0, int64_t t1) {
    if (!w->pairs) return exponentials(w->row, t0, t1, w->factor, w->top);
    _Alignas(64) float sums[TN_PANEL];
    w->pairs->exponentials(float_at(w->row, true, t0), w->row + t0, t1 - t0, w->factor, w->top,
                           sums);
    return vf_load(sums);
}

static void clear(const Weights *w, int64_t t0, int64_t t1) {
    if (t0 < t1)
        memset(float_at(w->row, w->pairs, t0), 0, (size_t)((t1 - t0) * float_size(w->pairs)));
}

/* 1 / sum of a row; 0 where it is 0 instead of NaN, and so are then its weights [t0, t1). */
static float inverse_of(const Attention *a, const Weights *w, float sum, int64_t t0, int64_t t1) {
    if (sum > 0) return 1 / sum;
    if (!(a->p.flags & TN_ATTENTION_ZERO_NAN)) return NAN;
    clear(w, t0, t1);
    return 0;
}

/* Whether weights are exponentials of the scores of a run of keys, and of nothing else. */
static bool is_plain(const Attention *a, const Keys *keys, bool full_and_masked) {
    return !a->in[BIAS].data && !a->in[MORE_BIAS].data && a->scale > 0 && !keys->gaps &&
           !a->sinks && !full_and_masked;
}

static bool softmax(const Attention *a, const Keys *keys, const Row *row, float *scores, int64_t t0,
                    int64_t t1, bool full, float *bias, float *inverse) {
    int64_t first = full ? row->from : row->first, end = full ? row->to : row->end,
            sinks = a->sinks;
    bool masked = attention_is_masked(keys, row), plain = is_plain(a, keys, full && masked);
    float top, scale = plain ? a->scale : 1;
    /* what is written behind the first run would be the second */
    if (sinks && first < sinks + VF_WIDTH) first = sinks = 0;
    if (plain)
        top = vf_max_lane(find_maximum(scores, first, end));
    else
        top = finish_scores(a, keys, row, scores, first, end, full, bias);
    if (sinks) {
        float other = finish_scores(a, keys, row, scores, 0, sinks, full, bias);
        top = other > top || isnan(other) ? other : top;
    }
    if (!full && (masked || a->sinks) && !(scale * top >= ALLOWED_ABOVE)) return false;
    const Weights w = {scores, scale * VF_LOG2_E, top, a->v_pairs ? a->isa->pairs->in_place : NULL};
    /* in this order: the second run as bf16 may begin where the first one's floats were */
    float sum = sinks ? vf_sum(weigh(&w, 0, sinks)) : 0;
    sum += vf_sum(weigh(&w, first, end));
    *inverse = inverse_of(a, &w, sum, first, end);
    if (*inverse == 0) clear(&w, 0, sinks);
    clear(&w, sinks, sinks + sinks % 2);
    clear(&w, t0 > sinks ? t0 : sinks, first);
    clear(&w, end, t1);
    return true;
}

/* Rows of scores each of which sees one run of keys, and their biases, a stride apart. */
typedef struct Runs {
    const Row *row;
    int64_t step; /* to the next Row: 0 where all are alike */
    float *scores;
    int64_t stride, biases;
    const float *bias[2];
    int64_t bias_row[2];
    float scale, bias_scale[2];
} Runs;

static bool are_runs(const Attention *a, const Keys *keys, bool full) {
    bool biased = false;
    for (int i = 0; i < 2; i++) {
        biased |= a->in[BIAS + i].data != NULL;
        if (a->in[BIAS + i].data && a->in[BIAS + i].strides[3] != 1) return false;
    }
    const bool fits = a->stride <= L1_SCORES / TOGETHER; /* else single rows are found in cache */
    return VF_WIDTH > 1 && !full && !keys->gaps && !a->sinks && (biased || (fits && a->scale > 0));
}

static void begin_runs(Runs *z, const Attention *a, const Row *row, float *scores) {
    z->row = row;
    z->step = a->alike ? 0 : 1;
    z->scores = scores;
    z->stride = a->stride;
    z->scale = a->scale;
    z->biases = 0;
    for (int i = 0; i < 2; i++) {
        const TnTensor *bias = &a->in[BIAS + i];
        if (!bias->data) continue;
        z->bias[z->biases] = bias_row(bias, row);
        z->bias_row[z->biases] = bias->strides[a->queries == 1 ? 1 : 2];
        z->bias_scale[z->biases++] = a->p.bias_scale[i];
    }
}

/* As finish_scores, of row r. */
static vf finish_run(const Runs *z, int64_t r) {
    const int64_t first = z->row[r * z->step].first, end = z->row[r * z->step].end;
    float *scores = z->scores + r * z->stride;
    if (z->biases == 0) return find_maximum(scores, first, end);
    const float *bias = z->bias[0] + r * z->bias_row[0], *more = NULL;
    if (z->biases > 1) more = z->bias[1] + r * z->bias_row[1];
    vf top = vf_set1(-INFINITY);
    for (int64_t t = first; t < end; t += VF_WIDTH) {
        const int64_t n = end - t < VF_WIDTH ? end - t : VF_WIDTH;
        vf x = vf_mul(vf_load(scores + t), vf_set1(z->scale));
        x = vf_fma(vf_load_n(bias + t, n), vf_set1(z->bias_scale[0]), x);
        if (more) x = vf_fma(vf_load_n(more + t, n), vf_set1(z->bias_scale[1]), x);
        if (n < VF_WIDTH) x = vf_select(vm_first(n), x, vf_set1(-INFINITY));
        vf_store(scores + t, x);
        top = vf_max(top, x);
    }
    return top;
}

/* The largest x of rows [r, end), a vector each. */
static void find_tops(const Runs *z, int64_t r, int64_t end, float *tops) {
    for (; r < end; r += TOGETHER) {
        vf top[TOGETHER];
        for (int i = 0; i < TOGETHER; i++) top[i] = finish_run(z, r + i);
        vf_spread_max(top);
        for (int i = 0; i < TOGETHER; i++, tops += VF_WIDTH) vf_store(tops, top[i]);
    }
}

/* Scores of four rows from r on become weights, which is 0 for the rest of keys [t0, t1). */
static void weigh_runs(const Runs *z, int64_t r, Weights *w, const float *tops, int64_t t0,
                       int64_t t1, float *sums) {
    vf sum[TOGETHER];
    for (int i = 0; i < TOGETHER; i++, r++) {
        const Row *row = z->row + r * z->step;
        w->row = z->scores + r * z->stride;
        w->top = tops[i * VF_WIDTH];
        sum[i] = weigh(w, row->first, row->end);
        clear(w, t0, row->first);
        clear(w, row->end, t1);
    }
    vf_store_sums(sums, sum[0], sum[1], sum[2], sum[3]);
}

/* In two passes over as many rows as stay in cache: what one waits for is what others do. */
static bool softmax_runs(const Attention *a, const Keys *keys, const Row *row, int64_t rows,
                         float *scores, int64_t t0, int64_t t1, float *inverse) {
    if (VF_WIDTH == 1) return false; /* no such */
    int64_t fit = L1_SCORES / a->stride / TOGETHER * TOGETHER;
    if (fit < TOGETHER) fit = TOGETHER;
    _Alignas(64) float tops[ATTENTION_MAX_ROWS * VF_WIDTH];
    Runs z;
    begin_runs(&z, a, row, scores);
    const float scale = z.biases ? 1 : z.scale;
    Weights w = {.factor = scale * VF_LOG2_E, .pairs = a->v_pairs ? a->isa->pairs->in_place : NULL};
    for (int64_t r = 0; r < rows; r += fit) {
        const int64_t end = rows - r < fit ? rows : r + fit;
        find_tops(&z, r, end, tops);
        for (int64_t i = r; i < end; i++)
            if (!(scale * tops[(i - r) * VF_WIDTH] >= ALLOWED_ABOVE) &&
                attention_is_masked(keys, row + i * z.step))
                return false;
        for (int64_t i = r; i < end; i += TOGETHER)
            weigh_runs(&z, i, &w, tops + (i - r) * VF_WIDTH, t0, t1, inverse + i);
    }
    for (int64_t r = 0; r < rows; r++) {
        w.row = scores + r * a->stride;
        inverse[r] = inverse_of(a, &w, inverse[r], t0, t1);
    }
    return true;
}

const AttentionKernels TN_FN(attention_kernels) = {
    .rows = &TN_FN(attention_rows),
    .lanes = &TN_FN(attention_lanes),
    .cap = cap_scores,
    .softmax = softmax,
    .are_runs = are_runs,
    .softmax_runs = softmax_runs,
};
