/* attention that is told where keys and values have their first rows from, on every ISA: the same
 * as without, whatever the lengths; and a single query reads whole panels of keys there. */
#include <float.h>
#include "tests/kernels/floats.h"

typedef struct Case {
    bool bf16;
    int64_t b, s, h, d, t, g, e, past;
    bool key_mask, bias;
    ParamsAttention p;
    int64_t scalars[2];
} Case;

static int64_t draw(uint32_t *seed, int64_t low, int64_t high) {
    return low + (int64_t)((noise(seed) + 1) / 2 * (float)(high - low + 1));
}

static Case draw_case(uint32_t seed) {
    static const int64_t depths[] = {1, 8, 30, 64, 80};
    uint32_t *at = &seed;
    Case c = {.b = draw(at, 1, 2), .g = draw(at, 1, 3), .bf16 = draw(at, 0, 1)};
    c.h = c.g * draw(at, 1, 5);
    c.s = draw(at, 0, 2) ? 1 : draw(at, 1, 40);
    c.t = draw(at, 0, 2) ? draw(at, 1, 300) : draw(at, 0, 40);
    c.past = draw(at, 0, 1) && c.t ? c.t - 1 : draw(at, 0, c.t);
    c.d = depths[draw(at, 0, 4)];
    c.e = depths[draw(at, 0, 4)];
    c.key_mask = draw(at, 0, 2) == 0;
    c.bias = draw(at, 0, 2) == 0;
    c.p = (ParamsAttention){
        .scale = 0.4f, .mask_value = -FLT_MAX, .window_left = -1, .window_right = -1};
    if (draw(at, 0, 1)) c.p.flags |= TN_ATTENTION_CAUSAL;
    if (draw(at, 0, 2) == 0) c.p.window_left = (int32_t)draw(at, 0, 60);
    if (c.p.window_left >= 0 && draw(at, 0, 2) == 0) c.p.flags |= TN_ATTENTION_BAND;
    c.scalars[0] = c.t - c.s;
    if (c.p.flags & TN_ATTENTION_BAND) c.scalars[1] = draw(at, 0, c.t < 7 ? c.t : 7);
    return c;
}

/* [b, rows, g, width] in the order [b, g, rows, width]. */
static TnTensor by_heads(const Floats *x, const Case *c, int64_t rows, int64_t width) {
    TnTensor t = floats_dense(x, 4, (int64_t[]){c->b, rows, c->g, width});
    t.strides[1] = width;
    t.strides[2] = rows * width;
    return t;
}

/* The first `rows` of x, whose rows lie side by side there: [b, rows, g, width]. */
static Floats first_rows(const Floats *x, const Case *c, int64_t rows, int64_t width) {
    Floats y = floats_untouched(c->bf16, c->b * rows * c->g * width);
    for (int64_t i = 0; i < y.count; i++) {
        const int64_t e = i % width, g = i / width % c->g, t = i / width / c->g % rows,
                      b = i / width / c->g / rows;
        floats_set(&y, i, floats_get(x, ((b * c->g + g) * c->t + t) * width + e));
    }
    return y;
}

static void spoil_rows(const Floats *x, const Case *c, int64_t rows, int64_t width) {
    for (int64_t i = 0; i < x->count; i++)
        if (i / width % c->t < rows) floats_set(x, i, NAN);
}

static void run(TnIsa isa, const Case *c, const TnTensor *in, int inputs, const Floats *o) {
    TnTensor t[11];
    memcpy(t, in, (size_t)inputs * sizeof *t);
    t[inputs] = floats_dense(o, 4, (int64_t[]){c->b, c->s, c->h, c->e});
    call_kernel(isa, OP_attention, &c->p, t, inputs, 1, c->scalars,
                c->p.flags & TN_ATTENTION_BAND ? 2 : 1);
}

static void check(TnIsa isa, const Case *c, uint32_t seed) {
    const int64_t o_size = c->b * c->s * c->h * c->e, panels = c->past / 16 * 16;
    Floats q = floats_noise(c->bf16, c->b * c->s * c->h * c->d, seed),
           k = floats_noise(c->bf16, c->b * c->t * c->g * c->d, seed + 1),
           v = floats_noise(c->bf16, c->b * c->t * c->g * c->e, seed + 2),
           past_k = first_rows(&k, c, c->past, c->d), past_v = first_rows(&v, c, c->past, c->e);
    Floats o[3];
    for (int i = 0; i < 3; i++) o[i] = floats_untouched(false, o_size);
    uint8_t *mask = calloc((size_t)(c->b * c->t) + 1, 1);
    for (int64_t i = 0; i < c->b * c->t; i++) mask[i] = i % c->t >= (i / c->t + 1) * c->t / 3;
    float *bias = noise_array(c->h * c->s * c->t, seed + 4);
    const TnTensor in[10] = {
        floats_dense(&q, 4, (int64_t[]){c->b, c->s, c->h, c->d}),
        by_heads(&k, c, c->t, c->d),
        by_heads(&v, c, c->t, c->e),
        dense(c->key_mask ? mask : NULL, TN_BOOL, 2, (int64_t[]){c->b, c->t}),
        {0},
        dense(c->bias ? bias : NULL, TN_F32, 4, (int64_t[]){1, c->h, c->s, c->t}),
        {0},
        {0},
        floats_dense(&past_k, 4, (int64_t[]){c->b, c->past, c->g, c->d}),
        floats_dense(&past_v, 4, (int64_t[]){c->b, c->past, c->g, c->e})};
    run(isa, c, in, 6, &o[0]);
    run(isa, c, in, 10, &o[1]);
    if (c->s == 1 && !(c->p.flags & TN_ATTENTION_BAND)) {
        spoil_rows(&k, c, panels, c->d);
        spoil_rows(&v, c, panels, c->e);
    }
    run(isa, c, in, 10, &o[2]);
    for (int64_t i = 0; i < o_size; i++) {
        const float want = floats_take(&o[0], i), got = floats_take(&o[1], i),
                    again = floats_take(&o[2], i);
        if (isnan(want) ? !isnan(got) : !(fabsf(got - want) <= 1e-5f))
            fail_msg("%s, seed %u: o[%lld] = %g, not %g", tn_isa_name(isa), seed, (long long)i,
                     (double)got, (double)want);
        if (memcmp(&got, &again, sizeof got))
            fail_msg("%s, seed %u: the past is not read where it lies", tn_isa_name(isa), seed);
    }
    for (int i = 0; i < 3; i++) {
        assert_true(floats_whole(&o[i]));
        free(o[i].memory);
    }
    free(q.memory), free(k.memory), free(v.memory), free(past_k.memory), free(past_v.memory);
    free(mask), free(bias);
}

static void drawn_cases(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 500; seed++) {
        Case c = draw_case(seed * 7919);
        check(isa, &c, seed * 7919);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(drawn_cases)};
    return cmocka_run_group_tests_name("attention to a past", tests, NULL, NULL);
}
