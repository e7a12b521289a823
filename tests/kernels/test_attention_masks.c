/* Masks of attention on every ISA, above all rows that see no key: masks of keys and queries,
 * biases, causal masks, windows and bands. */
#include "tests/kernels/attention_case.h"

static const Case masked = {.b = 2, .s = 9, .h = 2, .d = 8, .t = 21, .g = 2, .e = 11, .p = PLAIN};

/* Every combination of mask kind, way of masking and mask value, of few keys and of more. */
static void masks_of(int64_t keys) {
    static const float values[] = {-FLT_MAX, -1e4f, -INFINITY, -1e9f, 0, 5};
    FOR_EACH_ISA(isa) {
        for (int key_mask = 0; key_mask <= 4; key_mask++)
            for (int query_mask = 0; query_mask <= 1; query_mask++)
                for (int bias = 0; bias <= 4; bias++)
                    for (uint32_t flags = 0; flags < 4; flags++)
                        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
                            Case c = masked;
                            c.t = keys;
                            c.offset = (int64_t)v * 4 - 6;
                            c.key_mask = key_mask;
                            c.query_mask = query_mask;
                            c.bias = bias;
                            c.fused = v % 2;
                            c.p.flags = flags;
                            c.p.mask_value = values[v];
                            check(isa, &c);
                        }
    }
}

static void masks(void **state) {
    (void)state;
    masks_of(21);
    masks_of(70);
}

/* Rows that see runs of keys, some of which end a key or two beyond whole panels: what is added to
 * them, and what of them is masked. */
static void runs(void **state) {
    (void)state;
    static const int64_t keys[] = {65, 66, 67, 80, 98, 130}, rows[] = {3, 4, 9, 50};
    static const float values[] = {-FLT_MAX, -INFINITY};
    FOR_EACH_ISA(isa)
    for (int i = 0; i < 6 * 4 * 3 * 4; i++)
        for (uint32_t flags = 0; flags < 4; flags++) {
            Case c = masked;
            c.t = keys[i % 6];
            c.s = rows[i / 6 % 4];
            c.bias = i / 24 % 3 * 2 % 5; /* none, [1, h, 1, t] or -inf here and there */
            c.more = i / 72;
            c.d = i % 5 ? 32 : 33;
            c.e = i % 3 ? 16 : 11;
            c.fused = i % 2;
            c.offset = i % 5 ? c.t - c.s - i % 4 : 0;
            c.key_mask = i % 7 > 4 ? 2 : 0;
            c.p.mask_value = values[i % 2];
            if (flags & 1) c.p.flags |= TN_ATTENTION_CAUSAL;
            if (flags & 2) c.p.flags |= TN_ATTENTION_ZERO_NAN;
            if (i % 11 == 0) c.p.window_left = 20;
            check(isa, &c);
        }
}

/* A bias that is added to masked scores, too. */
static void bias_last(void **state) {
    (void)state;
    static const float values[] = {-FLT_MAX, -1e4f, -INFINITY, 5};
    FOR_EACH_ISA(isa) {
        for (int key_mask = 0; key_mask <= 4; key_mask++)
            for (int bias = 0; bias <= 5; bias++)
                for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
                    Case c = masked;
                    c.b = 4;
                    c.g = 1;
                    c.offset = 3;
                    c.key_mask = key_mask;
                    c.bias = bias;
                    c.fused = v % 2;
                    c.p.flags = TN_ATTENTION_CAUSAL | TN_ATTENTION_BIAS_LAST |
                                (v % 2 ? TN_ATTENTION_SELECT : 0);
                    c.p.mask_value = values[v];
                    check(isa, &c);
                    c.p.flags &= ~TN_ATTENTION_BIAS_LAST;
                    check(isa, &c);
                }
    }
}

/* Two biases, the second under the strides of relative positions, each with its scale. */
static void two_biases(void **state) {
    (void)state;
    static const float scales[] = {0, 0.25f, -2, 1};
    FOR_EACH_ISA(isa) {
        for (int bias = 0; bias <= 5; bias++)
            for (int more = 1; more <= 3; more++)
                for (int64_t s = 1; s <= 40; s += 13)
                    for (uint32_t flags = 0; flags < 16; flags += 5) {
                        Case c = {.b = 2,
                                  .s = s,
                                  .h = 3,
                                  .d = 8,
                                  .t = 33,
                                  .g = 3,
                                  .e = 8,
                                  .p = PLAIN,
                                  .offset = 2,
                                  .bias = bias,
                                  .more = more,
                                  .key_mask = (int)(flags % 3),
                                  .fused = more == 2};
                        c.p.flags = flags & ~TN_ATTENTION_ZERO_NAN;
                        c.p.bias_scale[0] =
                            bias == 4 ? 0.5f : scales[more]; /* none becomes infinity */
                        c.p.bias_scale[1] = scales[s % 4];
                        check(isa, &c);
                    }
    }
}

static void windows(void **state) {
    (void)state;
    FOR_EACH_ISA(isa) {
        for (int32_t left = -1; left <= 40; left = left * 3 + 3)
            for (int32_t right = -1; right <= 20; right = right * 2 + 2)
                for (int64_t s = 1; s <= 60; s += 59)
                    for (int64_t offset = -50; offset <= 100; offset += 30) {
                        Case c = {.b = 1,
                                  .s = s,
                                  .h = 1,
                                  .d = 16,
                                  .t = 70,
                                  .g = 1,
                                  .e = 16,
                                  .p = PLAIN,
                                  .offset = offset,
                                  .fused = true,
                                  .key_mask = offset > 20 ? 1 : 0};
                        c.p.window_left = left;
                        c.p.window_right = right;
                        c.p.flags = right < 0 ? TN_ATTENTION_CAUSAL : 0;
                        check(isa, &c);
                    }
    }
}

/* Keys outside a band do not exist, except for the sinks; all kinds of masks inside it. */
static void bands(void **state) {
    (void)state;
    static const float values[] = {-FLT_MAX, -1e4f, -INFINITY};
    static const int64_t sinks[] = {0, 1, 5, 16, 33, 70};
    FOR_EACH_ISA(isa) {
        for (int32_t left = 0; left <= 20; left = left * 3 + 2)
            for (size_t n = 0; n < sizeof sinks / sizeof *sinks; n++)
                for (int key_mask = 0; key_mask <= 4; key_mask++)
                    for (int query_mask = 0; query_mask <= 1; query_mask++)
                        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
                            Case c = {.b = 2,
                                      .s = n % 2 ? 40 : 90,
                                      .h = 2,
                                      .d = 8,
                                      .t = 70 + sinks[n],
                                      .g = 1,
                                      .e = 11,
                                      .p = PLAIN,
                                      .offset = sinks[n] + (int64_t)v * 20 - 20,
                                      .sinks = sinks[n],
                                      .key_mask = key_mask,
                                      .query_mask = query_mask,
                                      .bias = left == 2 ? 1 : 0};
                            c.p.flags = TN_ATTENTION_BAND |
                                        (left == 2 ? TN_ATTENTION_BIAS_LAST : 0) |
                                        (v == 1 ? TN_ATTENTION_SELECT : 0) |
                                        (n % 3 == 2 ? TN_ATTENTION_ZERO_NAN : 0);
                            c.p.window_left = left;
                            c.p.window_right = n % 3 ? left : left / 2;
                            c.p.mask_value = values[v];
                            check(isa, &c);
                        }
    }
}

/* A band and sinks far apart, with several tasks and packed values. */
static void long_bands(void **state) {
    (void)state;
    FOR_EACH_ISA(isa) {
        for (int64_t sinks = 0; sinks <= 40; sinks += 20) {
            Case c = {.b = 1,
                      .s = 700,
                      .h = 2,
                      .d = 64,
                      .t = 1000 + sinks,
                      .g = 2,
                      .e = 64,
                      .p = PLAIN,
                      .offset = 200 + sinks,
                      .sinks = sinks,
                      .fused = true,
                      .key_mask = sinks == 20 ? 2 : 0};
            c.p.flags = TN_ATTENTION_BAND;
            c.p.window_left = 64;
            c.p.window_right = 30;
            check(isa, &c);
        }
    }
}

/* Blocks in which every row sees other keys; some see none, or all of them. */
static void causal_rows(void **state) {
    (void)state;
    static const int64_t rows[] = {1, 2, 11, 12, 13, 25, 59, 130};
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int64_t offset = -20; offset <= 60; offset += 16)
            for (int key_mask = 0; key_mask <= 2; key_mask++) {
                Case c = {.b = 2, .s = rows[i], .h = 2, .d = 24, .g = 1, .e = 40, .p = PLAIN};
                c.t = offset > 0 ? c.s + offset : c.s;
                c.offset = offset;
                c.key_mask = key_mask;
                c.fused = key_mask == 1;
                c.p.flags = TN_ATTENTION_CAUSAL;
                check(isa, &c);
            }
}

/* Rows of at most a vector of keys, a few of them at a time; scores below what is masked. */
static void short_rows(void **state) {
    (void)state;
    static const int64_t rows[] = {1, 2, 3, 4, 5, 8, 13}, keys[] = {1, 2, 5, 7, 8, 9, 15, 16, 17};
    static const float values[] = {-FLT_MAX, -INFINITY, -1e4f, -2e30f};
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < sizeof keys / sizeof *keys; j++)
            for (int key_mask = 0; key_mask <= 4; key_mask++)
                for (size_t v = 0; v < 4; v++) {
                    Case c = {.b = 2, .s = rows[i], .h = 2, .d = 8, .g = 2, .e = 8, .p = PLAIN};
                    c.t = keys[j];
                    c.key_mask = key_mask;
                    c.fused = i % 2;
                    c.p.mask_value = values[v];
                    c.p.flags = i % 3 == 0   ? 0
                                : i % 3 == 1 ? TN_ATTENTION_SELECT
                                             : TN_ATTENTION_SELECT | TN_ATTENTION_ZERO_NAN;
                    check(isa, &c);
                    if (v == 3 && c.p.flags & TN_ATTENTION_SELECT) {
                        c.p.scale = 1e32f;
                        check(isa, &c);
                    }
                }
}

/* A bias by distance, for one query and for many, under masks and beside another bias. */
static void by_distance(void **state) {
    (void)state;
    static const int64_t lengths[] = {0, 1, 2, 15, 17, 40, 130};
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < 7; i++)
        for (size_t j = 0; j < 7; j++) {
            Case c = {.b = 2, .s = lengths[i], .h = 3, .d = 16, .t = lengths[j], .g = 3, .e = 16};
            c.p = (ParamsAttention)PLAIN;
            c.p.bias_scale[0] = j % 2 ? 0.5f : 0;
            c.bias = 6;
            check(isa, &c);
            c.key_mask = (int)(i + j) % 4;
            c.more = (int)j % 3;
            c.offset = (int64_t)i - 3;
            c.p.flags = i % 2 ? TN_ATTENTION_CAUSAL : 0;
            c.p.window_left = i % 3 ? -1 : 9;
            check(isa, &c);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(masks),      cmocka_unit_test(runs),
                                       cmocka_unit_test(bias_last),  cmocka_unit_test(two_biases),
                                       cmocka_unit_test(windows),    cmocka_unit_test(bands),
                                       cmocka_unit_test(long_bands), cmocka_unit_test(causal_rows),
                                       cmocka_unit_test(short_rows), cmocka_unit_test(by_distance)};
    return cmocka_run_group_tests_name("masks of attention", tests, NULL, NULL);
}
