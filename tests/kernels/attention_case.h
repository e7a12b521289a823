/* Attention over shapes, views and masks of every kind, against plain loops in double precision. */
#ifndef TENON_TESTS_KERNELS_ATTENTION_CASE_H
#define TENON_TESTS_KERNELS_ATTENTION_CASE_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include "tests/kernels/kernel_call.h"

#define GUARD 12345.678f

typedef struct Case {
    int64_t b, s, h, d, t, g, e;
    ParamsAttention p;
    int64_t offset, sinks;
    int key_mask;   /* 0 none, 1 random, 2 a prefix per batch entry, 3 one row for all, 4 nothing
                       allowed */
    int query_mask; /* 0 none, 1 random */
    int bias; /* 0 none, 1 full, 2 [1, h, 1, t], 3 [b, 1, s, 1], 4 -inf or -FLT_MAX here and there,
                 5 one entry for every other batch, 6 a line of distances per head */
    int more; /* the second bias: 0 none, 1 [1, 1, s, t], 2 rows of n = s + t, each moved by one
                 against the one before (relative shift), 3 columns of such */
    bool fused; /* q, k, v inside one [b, s, 3, ..] buffer; else [b, h, s, d] each */
} Case;

#define PLAIN \
    { .scale = 0.3f, .mask_value = -FLT_MAX, .window_left = -1, .window_right = -1 }

typedef struct Data {
    float *q, *k, *v, *bias, *more, *o;
    uint8_t *key_mask, *query_mask;
    int64_t o_size;
    TnTensor t[8];
} Data;

static inline TnTensor head_view(float *data, int64_t b, int64_t s, int64_t h, int64_t d,
                                 int64_t s_stride, int64_t h_stride, int64_t b_stride) {
    TnTensor t = dense(data, TN_F32, 4, (int64_t[]){b, s, h, d});
    t.strides[0] = b_stride;
    t.strides[1] = s_stride;
    t.strides[2] = h_stride;
    return t;
}

static inline TnTensor broadcast_dense(void *data, TnDType dtype, int rank, const int64_t *dims,
                                       const bool *kept) {
    TnTensor t = dense(data, dtype, rank, dims);
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        t.strides[i] = kept[i] ? stride : 0;
        if (kept[i]) stride *= dims[i];
    }
    return t;
}

static inline void make_masks(Data *x, const Case *c) {
    uint32_t seed = 99;
    x->key_mask = calloc((size_t)(c->b * c->t + 1), 1);
    x->query_mask = calloc((size_t)(c->b * c->s + 1), 1);
    for (int64_t i = 0; i < c->b * c->t; i++) {
        bool prefix = i % (c->t ? c->t : 1) < c->t / (i / (c->t ? c->t : 1) + 2) + 1;
        x->key_mask[i] = c->key_mask == 4 ? 0 : c->key_mask == 2 ? prefix : noise(&seed) > -0.3f;
    }
    for (int64_t i = 0; i < c->b * c->s; i++) x->query_mask[i] = noise(&seed) > -0.3f ? 255 : 0;
    x->t[3] = broadcast_dense(c->key_mask ? x->key_mask : NULL, TN_BOOL, 2, (int64_t[]){c->b, c->t},
                              (bool[]){c->key_mask != 3, true});
    x->t[4] = dense(c->query_mask ? x->query_mask : NULL, TN_BOOL, 2, (int64_t[]){c->b, c->s});
    int64_t line = c->s + c->t + 1;
    x->bias = noise_array(c->b * c->h * (c->s * c->t + line), 7);
    if (c->bias == 4)
        for (int64_t i = 0; i < c->b * c->h * c->s * c->t; i++)
            if (noise(&seed) > 0.2f) x->bias[i] = i % 2 ? -FLT_MAX / 2 : -INFINITY;
    static const bool kept[7][4] = {{0},          {1, 1, 1, 1}, {0, 1, 0, 1}, {1, 0, 1, 0},
                                    {1, 1, 1, 1}, {1, 1, 1, 1}, {0, 1, 0, 1}};
    const int64_t dims[] = {c->bias == 5 ? c->b / 2 : c->b, c->h, c->bias == 6 ? 1 : c->s,
                            c->bias == 6 ? line : c->t};
    x->t[5] = broadcast_dense(c->bias ? x->bias : NULL, TN_F32, 4, dims, kept[c->bias]);
}

static inline void make_second_bias(Data *x, const Case *c) {
    int64_t n = c->s + c->t, rows = c->more == 3 ? c->t : c->s;
    x->more = noise_array(c->b * c->h * rows * n + 1, 8);
    x->t[6] = broadcast_dense(c->more ? x->more : NULL, TN_F32, 4,
                              (int64_t[]){c->more == 1 ? 1 : c->b, c->h, c->s, c->t},
                              (bool[]){false, false, true, true});
    if (c->more < 2) return;
    TnTensor *t = &x->t[6];
    t->data = x->more + rows;
    t->strides[0] = c->h * rows * n;
    t->strides[1] = rows * n;
    t->strides[2] = c->more == 2 ? n - 1 : 1;
    t->strides[3] = c->more == 2 ? 1 : n - 1;
}

static inline Data make(const Case *c) {
    Data x = {0};
    x.q = noise_array(c->b * c->s * c->h * c->d, 1);
    x.k = noise_array(c->b * c->t * c->g * c->d, 2);
    x.v = noise_array(c->b * c->t * c->g * c->e, 3);
    x.o_size = c->b * c->s * (c->h * c->e + 5);
    x.o = malloc((size_t)(x.o_size + 32) * sizeof *x.o);
    for (int64_t i = 0; i < x.o_size + 32; i++) x.o[i] = GUARD;
    if (c->fused) {
        x.t[0] = dense(x.q, TN_F32, 4, (int64_t[]){c->b, c->s, c->h, c->d});
        x.t[1] = dense(x.k, TN_F32, 4, (int64_t[]){c->b, c->t, c->g, c->d});
        x.t[2] = dense(x.v, TN_F32, 4, (int64_t[]){c->b, c->t, c->g, c->e});
    } else {
        x.t[0] = head_view(x.q, c->b, c->s, c->h, c->d, c->d, c->s * c->d, c->h * c->s * c->d);
        x.t[1] = head_view(x.k, c->b, c->t, c->g, c->d, c->d, c->t * c->d, c->g * c->t * c->d);
        x.t[2] = head_view(x.v, c->b, c->t, c->g, c->e, c->e, c->t * c->e, c->g * c->t * c->e);
    }
    int64_t row = c->h * c->e + 5;
    x.t[7] = head_view(x.o + 16, c->b, c->s, c->h, c->e, row, c->e, c->s * row);
    make_masks(&x, c);
    make_second_bias(&x, c);
    return x;
}

static inline double at4(const TnTensor *t, int64_t a, int64_t b, int64_t c, int64_t d) {
    return (double)((const float *)t->data)[a * t->strides[0] + b * t->strides[1] +
                                            c * t->strides[2] + d * t->strides[3]];
}

/* The biases of a score, times their scales; a scale of 0 is 1. */
static inline double bias_of(const Case *c, const Data *x, const int64_t *at) {
    double sum = 0;
    for (int i = 0; i < 2; i++) {
        const TnTensor *t = &x->t[5 + i];
        double scale = c->p.bias_scale[i] == 0 ? 1 : (double)c->p.bias_scale[i];
        if (!t->data) continue;
        bool line = t->dims[3] != c->t;
        sum += scale * at4(t, at[0] % t->dims[0], at[1], line ? 0 : at[2],
                           line ? at[3] - at[2] + c->s : at[3]);
    }
    return sum;
}

static inline bool is_outside(const Case *c, int64_t i, int64_t j) {
    int64_t p = i + c->offset;
    if ((c->p.flags & TN_ATTENTION_CAUSAL) && j > p) return true;
    if (c->p.window_left >= 0 && j < p - c->p.window_left) return true;
    return c->p.window_right >= 0 && j > p + c->p.window_right;
}

static inline bool is_masked(const Case *c, const Data *x, int64_t b, int64_t i, int64_t j) {
    if (c->key_mask && !x->key_mask[b * x->t[3].strides[0] + j]) return true;
    if (c->query_mask && !x->query_mask[b * c->s + i]) return true;
    return !(c->p.flags & TN_ATTENTION_BAND) && is_outside(c, i, j);
}

/* Scores are rounded to float where masks are added: that -FLT_MAX swallows them is part of the
 * meaning. */
static inline void reference_scores(const Case *c, const Data *x, int64_t b, int64_t h, int64_t i,
                                    double *w) {
    double top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < c->t; j++) {
        double s = 0;
        for (int64_t d = 0; d < c->d; d++)
            s += at4(&x->t[0], b, i, h, d) * at4(&x->t[1], b, j, h / (c->h / c->g), d);
        s *= c->p.scale;
        if (c->p.softcap != 0) s = c->p.softcap * tanh(s / c->p.softcap);
        bool last = c->p.flags & TN_ATTENTION_BIAS_LAST;
        double bias = bias_of(c, x, (int64_t[]){b, h, i, j});
        if (!last) s = (double)(float)(s + bias);
        if (is_masked(c, x, b, i, j))
            s = (double)(c->p.flags & TN_ATTENTION_SELECT ? c->p.mask_value
                                                          : (float)((float)s + c->p.mask_value));
        if (last) s = (double)(float)(s + bias);
        if (c->p.flags & TN_ATTENTION_BAND && j >= c->sinks && is_outside(c, i, j)) s = -INFINITY;
        w[j] = s;
        if (s > top) top = s;
    }
    for (int64_t j = 0; j < c->t; j++) sum += w[j] = exp(w[j] - top);
    bool zeros = isnan(sum) && c->p.flags & TN_ATTENTION_ZERO_NAN;
    for (int64_t j = 0; j < c->t; j++) w[j] = zeros ? 0 : w[j] / sum;
}

static inline void check(TnIsa isa, const Case *c) {
    Data x = make(c);
    bool band = c->p.flags & TN_ATTENTION_BAND;
    call_kernel(isa, OP_attention, &c->p, x.t, 7, 1, &c->offset, band ? 2 : 1);
    double *w = calloc((size_t)(c->t + 1), sizeof *w);
    for (int64_t b = 0; b < c->b; b++)
        for (int64_t i = 0; i < c->s; i++)
            for (int64_t h = 0; h < c->h; h++) {
                reference_scores(c, &x, b, h, i, w);
                for (int64_t e = 0; e < c->e; e++) {
                    double want = 0;
                    for (int64_t j = 0; j < c->t; j++)
                        want += w[j] * at4(&x.t[2], b, j, h / (c->h / c->g), e);
                    float *got = &x.o[16 + (b * c->s + i) * (c->h * c->e + 5) + h * c->e + e];
                    bool same = isnan(want) ? isnan(*got) : fabs(want - *got) <= 5e-6;
                    if (!same)
                        fail_msg("%s: s %lld h %lld/%lld d %lld t %lld e %lld masks %d %d %d %d: "
                                 "o[%lld, %lld, %lld, %lld] = %g, not %g",
                                 tn_isa_name(isa), (long long)c->s, (long long)c->h,
                                 (long long)c->g, (long long)c->d, (long long)c->t, (long long)c->e,
                                 c->key_mask, c->query_mask, c->bias, c->more, (long long)b,
                                 (long long)i, (long long)h, (long long)e, (double)*got, want);
                    *got = GUARD;
                }
            }
    for (int64_t i = 0; i < x.o_size + 32; i++)
        if (x.o[i] != GUARD)
            fail_msg("%s: wrote outside o, %lld floats from its start", tn_isa_name(isa),
                     (long long)i - 16);
    free(w), free(x.q), free(x.k), free(x.v), free(x.o), free(x.bias), free(x.more),
        free(x.key_mask), free(x.query_mask);
}

#endif
