/* attention of bf16 on every ISA against that of the same numbers in f32 on the first, which
 * test_attention.c checks: drawn shapes, strides, masks, windows and bands. */
#include <float.h>
#include "tests/kernels/floats.h"

typedef struct Case {
    int64_t b, s, h, d, t, g, e;
    int64_t gap;      /* elements after each row of q, k and v */
    bool out;         /* bf16, else f32 */
    bool heads_first; /* [b, h, s, d] */
    bool key_mask, query_mask, bias;
    ParamsAttention p;
    int64_t scalars[2];
} Case;

static int64_t draw(uint32_t *seed, int64_t low, int64_t high) {
    return low + (int64_t)((noise(seed) + 1) / 2 * (float)(high - low + 1));
}

static Case draw_case(uint32_t seed) {
    static const int64_t depths[] = {1, 2, 5, 8, 16, 30, 32, 33, 64, 80};
    static const float values[] = {-FLT_MAX, -INFINITY, -5};
    uint32_t *at = &seed;
    Case c = {.b = draw(at, 1, 2), .g = draw(at, 1, 3), .gap = draw(at, 0, 3)};
    c.h = c.g * draw(at, 1, 3);
    c.s = draw(at, 0, 3) ? draw(at, 1, 40) : 1;
    c.t = draw(at, 0, 3) ? draw(at, 1, 70) : draw(at, 0, 300);
    c.d = depths[draw(at, 0, 9)];
    c.e = depths[draw(at, 0, 9)];
    c.out = draw(at, 0, 1);
    c.heads_first = draw(at, 0, 1);
    c.key_mask = draw(at, 0, 2) == 0;
    c.query_mask = draw(at, 0, 4) == 0;
    c.bias = draw(at, 0, 2) == 0;
    c.p = (ParamsAttention){.scale = 0.4f, .window_left = -1, .window_right = -1};
    c.p.mask_value = values[draw(at, 0, 2)];
    if (draw(at, 0, 1)) c.p.flags |= TN_ATTENTION_CAUSAL;
    if (draw(at, 0, 1)) c.p.flags |= TN_ATTENTION_SELECT;
    if (draw(at, 0, 1)) c.p.flags |= TN_ATTENTION_ZERO_NAN;
    if (draw(at, 0, 2) == 0) c.p.window_left = (int32_t)draw(at, 0, 30);
    if (draw(at, 0, 2) == 0) c.p.window_right = (int32_t)draw(at, 0, 30);
    if (draw(at, 0, 3) == 0) c.p.flags |= TN_ATTENTION_BAND;
    c.scalars[0] = draw(at, -5, 30);
    bool ranged = c.p.flags & TN_ATTENTION_CAUSAL || c.p.window_left >= 0 || c.p.window_right >= 0;
    if (ranged) c.scalars[1] = draw(at, 0, c.t < 7 ? c.t : 7);
    return c;
}

/* [b, rows, heads, width] */
static TnTensor head_view(const Floats *x, const Case *c, int64_t rows, int64_t heads,
                          int64_t width) {
    TnTensor t = floats_dense(x, 4, (int64_t[]){c->b, rows, heads, width});
    int64_t row = width + c->gap;
    t.strides[0] = rows * heads * row;
    t.strides[1] = c->heads_first ? row : heads * row;
    t.strides[2] = c->heads_first ? rows * row : row;
    return t;
}

/* One operand in both types. */
typedef struct Both {
    Floats bf16, f32;
} Both;

static Both both(int64_t count, uint32_t seed) {
    Both x = {floats_noise(true, count, seed), floats_untouched(false, count)};
    for (int64_t i = 0; i < count; i++) floats_set(&x.f32, i, floats_get(&x.bf16, i));
    return x;
}

static void free_both(const Both *x) {
    free(x->bf16.memory), free(x->f32.memory);
}

static uint8_t *mask_of(int64_t count, uint32_t seed) {
    uint8_t *mask = calloc((size_t)count + 1, 1);
    for (int64_t i = 0; i < count; i++) mask[i] = noise(&seed) > -0.4f;
    return mask;
}

/* Every weight is off by 2^-9 of itself where the CPU multiplies bf16; values are at most 1. */
static bool is_near(TnIsa isa, float got, float want, bool out) {
    if (isnan(want)) return isnan(got);
    float weights = isa >= TN_ISA_AVX512_BF16 ? 0x1p-9f : 0;
    return fabsf(got - want) <= weights + 1e-5f + (out ? fabsf(want) * 0x1p-8f : 0);
}

static void check(TnIsa isa, const Case *c, uint32_t seed) {
    int64_t o_size = c->b * c->s * c->h * (c->e + c->gap);
    Both q = both(c->b * c->s * c->h * (c->d + c->gap), seed),
         k = both(c->b * c->t * c->g * (c->d + c->gap), seed + 1),
         v = both(c->b * c->t * c->g * (c->e + c->gap), seed + 2);
    Floats o = floats_untouched(c->out, o_size), exact = floats_untouched(false, o_size);
    uint8_t *key_mask = mask_of(c->b * c->t, seed + 3), *query_mask = mask_of(c->b * c->s, seed);
    float *bias = noise_array(c->h * c->s * c->t, seed + 4);
    TnTensor t[8] = {head_view(&q.bf16, c, c->s, c->h, c->d),
                     head_view(&k.bf16, c, c->t, c->g, c->d),
                     head_view(&v.bf16, c, c->t, c->g, c->e),
                     dense(c->key_mask ? key_mask : NULL, TN_BOOL, 2, (int64_t[]){c->b, c->t}),
                     dense(c->query_mask ? query_mask : NULL, TN_BOOL, 2, (int64_t[]){c->b, c->s}),
                     dense(c->bias ? bias : NULL, TN_F32, 4, (int64_t[]){1, c->h, c->s, c->t}),
                     {0},
                     head_view(&o, c, c->s, c->h, c->e)};
    int scalars = c->p.flags & TN_ATTENTION_BAND ? 2 : 1;
    call_kernel(isa, OP_attention, &c->p, t, 7, 1, c->scalars, scalars);
    t[0] = head_view(&q.f32, c, c->s, c->h, c->d);
    t[1] = head_view(&k.f32, c, c->t, c->g, c->d);
    t[2] = head_view(&v.f32, c, c->t, c->g, c->e);
    t[7] = head_view(&exact, c, c->s, c->h, c->e);
    call_kernel(TN_ISA_SCALAR, OP_attention, &c->p, t, 7, 1, c->scalars, scalars);
    const int64_t *stride = t[7].strides;
    for (int64_t i = 0; i < c->b * c->s * c->h * c->e; i++) {
        int64_t e = i % c->e, h = i / c->e % c->h, s = i / c->e / c->h % c->s,
                b = i / c->e / c->h / c->s;
        int64_t at = b * stride[0] + s * stride[1] + h * stride[2] + e;
        float got = floats_take(&o, at), want = floats_get(&exact, at);
        if (!is_near(isa, got, want, c->out))
            fail_msg("%s, seed %u: s %lld h %lld/%lld d %lld t %lld e %lld: o[%lld, %lld, %lld, "
                     "%lld] = %g, not %g",
                     tn_isa_name(isa), seed, (long long)c->s, (long long)c->h, (long long)c->g,
                     (long long)c->d, (long long)c->t, (long long)c->e, (long long)b, (long long)s,
                     (long long)h, (long long)e, (double)got, (double)want);
    }
    if (!floats_whole(&o)) fail_msg("%s, seed %u: wrote outside o", tn_isa_name(isa), seed);
    free_both(&q), free_both(&k), free_both(&v);
    free(o.memory), free(exact.memory), free(key_mask), free(query_mask), free(bias);
}

static void drawn_cases(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 600; seed++) {
        Case c = draw_case(seed * 7919);
        check(isa, &c, seed * 7919);
    }
}

/* Long rows, blocks and splits of every kind. */
static void lengths(void **state) {
    (void)state;
    static const int64_t keys[] = {1, 16, 49, 50, 197, 530, 1500},
                         rows[] = {1, 4, 12, 17, 128, 197};
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        for (size_t j = 0; j < sizeof rows / sizeof *rows; j++) {
            Case c = {.b = 1, .s = rows[j], .h = 2, .d = 64, .t = keys[i], .g = 1 + (j % 2)};
            c.e = 64;
            c.out = i % 2;
            c.p = (ParamsAttention){.scale = 0.125f, .window_left = -1, .window_right = -1};
            c.p.mask_value = -FLT_MAX;
            c.p.flags = j % 3 ? 0 : TN_ATTENTION_CAUSAL;
            c.scalars[0] = c.t - c.s;
            check(isa, &c, (uint32_t)(i * 10 + j));
        }
}

/* Blocks of causal rows, of which there may be any number, of values that serve in place. */
static void blocks(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (int64_t rows = 13; rows <= 20; rows++) {
        Case c = {.b = 1, .s = rows, .h = 1, .d = 64, .g = 1, .e = 64};
        c.t = 24 * rows + rows / 2;
        c.p = (ParamsAttention){.scale = 0.125f, .window_left = -1, .window_right = -1};
        c.p.mask_value = -FLT_MAX;
        c.p.flags = TN_ATTENTION_CAUSAL;
        c.scalars[0] = c.t - c.s;
        check(isa, &c, (uint32_t)rows);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(drawn_cases), cmocka_unit_test(lengths),
                                       cmocka_unit_test(blocks)};
    return cmocka_run_group_tests_name("attention of bf16", tests, NULL, NULL);
}
