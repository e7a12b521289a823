/* attention on every ISA: head sizes, lengths, shared kv heads, strided views, scales. */
#include "tests/kernels/attention_case.h"

static void head_sizes(void **state) {
    (void)state;
    static const int64_t sizes[] = {1,  2,  7,  8,  11, 15, 16, 17,  31,
                                    32, 33, 48, 64, 65, 80, 96, 128, 200};
    const size_t count = sizeof sizes / sizeof *sizes;
    FOR_EACH_ISA(isa) {
        for (size_t i = 0; i < count; i++)
            for (int64_t s = 1; s <= 21; s += 4)
                check(isa, &(Case){.b = 2,
                                   .s = s,
                                   .h = 2,
                                   .d = sizes[i],
                                   .t = 19,
                                   .g = 2,
                                   .e = sizes[(i * 5 + 2) % count],
                                   .p = PLAIN,
                                   .fused = s % 8 == 1});
    }
}

static void lengths(void **state) {
    (void)state;
    static const int64_t keys[] = {0, 1, 2, 5, 8, 15, 16, 17, 32, 33, 100, 197, 520, 700};
    FOR_EACH_ISA(isa) {
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            for (int64_t s = 0; s <= 130; s = s < 4 ? s + 1 : s * 2 + 5)
                check(isa, &(Case){.b = 1,
                                   .s = s,
                                   .h = 1,
                                   .d = 32,
                                   .t = keys[i],
                                   .g = 1,
                                   .e = 32,
                                   .p = PLAIN,
                                   .fused = true});
    }
}

static void shared_kv_heads(void **state) {
    (void)state;
    FOR_EACH_ISA(isa) {
        for (int64_t g = 1; g <= 6; g++)
            for (int64_t s = 1; s <= 40; s += 13)
                if (6 % g == 0)
                    check(isa, &(Case){.b = 2,
                                       .s = s,
                                       .h = 6,
                                       .d = 16,
                                       .t = 30,
                                       .g = g,
                                       .e = 24,
                                       .p = PLAIN,
                                       .fused = s > 14,
                                       .key_mask = s > 1 ? 2 : 0,
                                       .bias = (int)g % 3});
        check(isa, &(Case){.b = 1,
                           .s = 300,
                           .h = 2,
                           .d = 64,
                           .t = 300,
                           .g = 1,
                           .e = 64,
                           .p = PLAIN,
                           .fused = true});
    }
}

/* Decoding: one query of heads that share keys, or a few of one head. So long a past that there are
 * several tasks per head, too. */
static void few_rows(void **state) {
    (void)state;
    static const int64_t rows[] = {1, 3, 4, 5, 7, 8, 9, 12, 16, 17}, keys[] = {40, 530, 9000};
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < sizeof keys / sizeof *keys; j++)
            for (int query = 0; query < 2; query++) {
                Case c = {.b = 1, .s = 1, .h = 1, .d = 20, .t = keys[j], .g = 1, .p = PLAIN};
                *(query ? &c.s : &c.h) = rows[i];
                c.e = i % 2 ? 72 : 33;
                c.offset = c.t - c.s;
                c.p.flags = TN_ATTENTION_CAUSAL;
                check(isa, &c);
            }
}

static void scores(void **state) {
    (void)state;
    FOR_EACH_ISA(isa) {
        for (int bias = 0; bias <= 3; bias++) {
            Case c = {.b = 1,
                      .s = 30,
                      .h = 2,
                      .d = 20,
                      .t = 37,
                      .g = 1,
                      .e = 16,
                      .p = PLAIN,
                      .bias = bias,
                      .key_mask = bias % 2};
            c.p.softcap = 1.5f;
            check(isa, &c);
            c.p.softcap = 0;
            c.p.scale = -0.7f;
            check(isa, &c);
            c.p.scale = 0;
            check(isa, &c);
            c.p.scale = 40;
            c.d = 1;
            check(isa, &c);
            c.p.scale = 150; /* where the maximum of another row would not do */
            c.t = 13;
            check(isa, &c);
        }
    }
}

/* Large enough for several tasks per head, packed values and several blocks. */
static void long_rows(void **state) {
    (void)state;
    FOR_EACH_ISA(isa) {
        for (int mask = 0; mask < 3; mask++) {
            Case c = {.b = 1,
                      .s = 500,
                      .h = 1,
                      .d = 64,
                      .t = 1100,
                      .g = 1,
                      .e = 64,
                      .p = PLAIN,
                      .offset = 600,
                      .fused = true,
                      .key_mask = mask};
            c.p.flags = mask ? TN_ATTENTION_CAUSAL : 0;
            check(isa, &c);
        }
    }
}

/* Every key has a value of its own, so that the result shows its weight: as exact next to the
 * largest as far below it. */
static void weights(void **state) {
    (void)state;
    enum { KEYS = 150, ROWS = 20 };
    static float q[ROWS], k[KEYS], v[KEYS][KEYS], o[ROWS][KEYS];
    ParamsAttention p = PLAIN;
    p.scale = 1;
    for (int i = 0; i < ROWS; i++) q[i] = 0.25f * (float)(i + 1);
    for (int j = 0; j < KEYS; j++) {
        k[j] = -0.173f * (float)((j * 7) % KEYS);
        v[j][j] = 1;
    }
    TnTensor t[8] = {[3] = {.dtype = TN_NONE},
                     [4] = {.dtype = TN_NONE},
                     [5] = {.dtype = TN_NONE},
                     [6] = {.dtype = TN_NONE}};
    FOR_EACH_ISA(isa)
    for (int rows = 1; rows <= ROWS; rows += ROWS - 1) {
        int64_t offset = 0;
        t[0] = dense(q, TN_F32, 4, (int64_t[]){1, rows, 1, 1});
        t[1] = dense(k, TN_F32, 4, (int64_t[]){1, KEYS, 1, 1});
        t[2] = dense(v, TN_F32, 4, (int64_t[]){1, KEYS, 1, KEYS});
        t[7] = dense(o, TN_F32, 4, (int64_t[]){1, rows, 1, KEYS});
        call_kernel(isa, OP_attention, &p, t, 7, 1, &offset, 1);
        for (int i = 0; i < rows; i++) {
            double sum = 0;
            for (int j = 0; j < KEYS; j++) sum += exp((double)(q[i] * k[j]));
            for (int j = 0; j < KEYS; j++) {
                double x = (double)(q[i] * k[j]), want = exp(x) / sum;
                if (fabs(o[i][j] - want) > want * (6e-7 + 1.2e-7 * -x) + FLT_MIN)
                    fail_msg("%s: weight of %g is %g, not %g", tn_isa_name(isa), x, (double)o[i][j],
                             want);
            }
        }
    }
}

/* Keys far below the largest have a weight of exactly 0, as many as there are in one row or in
 * several: the largest values don't show through it. */
static void no_weight(void **state) {
    (void)state;
    enum { KEYS = 40, ROWS = 5, WIDTH = 16 };
    static float q[ROWS], k[KEYS], v[KEYS][WIDTH], o[ROWS][WIDTH];
    for (int i = 0; i < ROWS; i++) q[i] = 1;
    for (int j = 1; j < KEYS; j++) {
        k[j] = j % 2 ? -1e30f : -200;
        for (int e = 0; e < WIDTH; e++) v[j][e] = FLT_MAX;
    }
    ParamsAttention p = PLAIN;
    p.scale = 1;
    FOR_EACH_ISA(isa)
    for (int64_t keys = 2; keys <= KEYS; keys++) {
        int64_t offset = 0;
        TnTensor t[8] = {[0] = dense(q, TN_F32, 4, (int64_t[]){1, ROWS, 1, 1}),
                         [1] = dense(k, TN_F32, 4, (int64_t[]){1, keys, 1, 1}),
                         [2] = dense(v, TN_F32, 4, (int64_t[]){1, keys, 1, WIDTH}),
                         [7] = dense(o, TN_F32, 4, (int64_t[]){1, ROWS, 1, WIDTH})};
        call_kernel(isa, OP_attention, &p, t, 7, 1, &offset, 1);
        for (int i = 0; i < ROWS; i++)
            for (int e = 0; e < WIDTH; e++)
                if (o[i][e] != 0)
                    fail_msg("%s: %g of %d keys", tn_isa_name(isa), (double)o[i][e], (int)keys);
    }
}

/* As many narrow heads as are packed at once, and more: side by side as a fused projection leaves
 * them, or each by itself. */
static void narrow_heads(void **state) {
    (void)state;
    static const int64_t widths[] = {1, 3, 8, 20, 32}, lengths[] = {2, 7, 16, 19, 34};
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (size_t j = 0; j < sizeof lengths / sizeof *lengths; j++)
            for (int fused = 0; fused < 2; fused++) {
                Case c = {.b = 3, .s = lengths[j], .h = 18, .d = widths[i], .e = widths[i]};
                c.t = 5 + lengths[j];
                c.g = j % 2 ? 18 : 6;
                c.p = (ParamsAttention)PLAIN;
                c.fused = fused;
                c.key_mask = fused ? 2 : 1;
                c.bias = j == 3 ? 1 : 0;
                c.offset = 5;
                c.p.flags = i % 2 ? TN_ATTENTION_CAUSAL : 0;
                check(isa, &c);
            }
}

/* Tasks of a head leave its panels to the next one, but none to a later call in the same scratch,
 * whose keys and values are others. The heads take turns. */
static void kept_panels(void **state) {
    (void)state;
    enum { ROWS = 512, HEADS = 2, WIDTH = 32, ROW = HEADS * WIDTH, BYTES = ROWS * ROW * 4 };
    FOR_EACH_ISA(isa) {
        float *x[4]; /* q, the keys and values of two calls, those of the call */
        for (int i = 0; i < 3; i++) x[i] = noise_array(ROWS * ROW, (uint32_t)i + 1);
        x[3] = malloc(BYTES);
        float *again = malloc(BYTES), *fresh = malloc(BYTES);
        ParamsAttention p = PLAIN;
        const int64_t dims[] = {1, ROWS, HEADS, WIDTH}, offset = 0;
        TnTensor t[] = {[0] = dense(x[0], TN_F32, 4, dims),
                        [1] = dense(x[3], TN_F32, 4, dims),
                        [2] = dense(x[3], TN_F32, 4, dims),
                        [7] = dense(again, TN_F32, 4, dims)};
        TnCall call = {.params = &p,
                       .operands = t,
                       .scalars = &offset,
                       .inputs = 7,
                       .outputs = 1,
                       .scalar_count = 1,
                       .opcode = OP_attention,
                       .isa = isa};
        const TnKernel *kernel = tn_kernel(isa, OP_attention);
        kernel->plan(&call);
        assert_true(call.keeps && call.tasks > HEADS && call.tasks % HEADS == 0);
        void *scratch = aligned_alloc(64, (call.scratch_bytes + 63) / 64 * 64);
        for (int run = 0; run < 2; run++) {
            memcpy(x[3], x[1 + run], BYTES);
            tn_scratch_begin(&call, scratch, 0, 1);
            for (int64_t i = 0, each = call.tasks / HEADS; i < call.tasks; i++) {
                const int64_t turn = run ? call.tasks - 1 - i : i; /* begins where the first ends */
                kernel->run(&call, turn % HEADS * each + turn / HEADS, scratch);
            }
        }
        t[7].data = fresh;
        call_kernel(isa, OP_attention, &p, t, 7, 1, &offset, 1);
        assert_memory_equal(again, fresh, BYTES);
        for (int i = 0; i < 4; i++) free(x[i]);
        free(again), free(fresh), free(scratch);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(narrow_heads), cmocka_unit_test(head_sizes),
        cmocka_unit_test(lengths),      cmocka_unit_test(shared_kv_heads),
        cmocka_unit_test(few_rows),     cmocka_unit_test(scores),
        cmocka_unit_test(long_rows),    cmocka_unit_test(weights),
        cmocka_unit_test(no_weight),    cmocka_unit_test(kept_panels)};
    return cmocka_run_group_tests_name("attention", tests, NULL, NULL);
}
