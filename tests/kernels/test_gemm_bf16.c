/* gemm with operands of bf16 on every ISA against plain loops in double precision: weights in pairs
 * and in panels, each of A, C and the residual of either type, sizes around all edges. */
#include "tests/kernels/floats.h"
#include "tests/kernels/panels.h"

typedef struct Case {
    int64_t batch, rows, n, k;
    int64_t a_gap, c_gap, a_batch_gap;
    TnLayout layout;
    bool a, c, residual_bf16; /* bf16, else f32 */
    bool bias, residual, residual_first;
    uint32_t act;
    bool floats; /* weights of f32, in panels */
} Case;

/* Rows of f32 are rounded where the CPU multiplies bf16, but for few rows. */
static bool rounds(TnIsa isa, const Case *s) {
    bool stream = s->batch * s->rows <= 2 && (s->batch == 1 || !s->a_batch_gap);
    return isa >= TN_ISA_AVX512_BF16 && s->layout == TN_LAYOUT_PAIRS16 && !stream;
}

static void check(TnIsa isa, const Case *s) {
    int64_t a_size = s->batch * (s->rows * (s->k + s->a_gap) + s->a_batch_gap);
    int64_t c_size = s->batch * s->rows * (s->n + s->c_gap);
    Floats a = floats_noise(s->a, a_size, 1), c = floats_untouched(s->c, c_size);
    Floats residual = floats_noise(s->residual_bf16, c_size, 4);
    float *b = noise_array(s->k * s->n, 2), *bias = noise_array(s->n, 3),
          *panels = pack_panels(b, s->k, s->n);
    if (!s->floats) narrow(TN_BF16, b, s->k * s->n, panels, tn_panels_elements(s->k, s->n));
    uint16_t *pairs = pack_pairs(b, s->k, s->n);
    const int64_t a_dims[] = {s->batch, s->rows, s->k}, c_dims[] = {s->batch, s->rows, s->n};
    TnTensor operands[5] = {floats_rows(&a, a_dims, s->a_gap, s->a_batch_gap),
                            dense(s->layout == TN_LAYOUT_PAIRS16 ? (void *)pairs : panels,
                                  s->floats ? TN_F32 : TN_BF16, 2, (int64_t[]){s->k, s->n}),
                            dense(s->bias ? bias : NULL, TN_F32, 1, &s->n),
                            floats_rows(&residual, c_dims, s->c_gap, 0),
                            floats_rows(&c, c_dims, s->c_gap, 0)};
    operands[1].layout = (uint8_t)s->layout;
    if (!s->residual) operands[3].data = NULL;
    ParamsGemm params = {.activation = s->act, .flags = s->residual_first ? TN_RESIDUAL_FIRST : 0};
    call_kernel(isa, OP_gemm, &params, operands, 4, 1, NULL, 0);

    const TnTensor *ta = &operands[0], *tc = &operands[4];
    for (int64_t row = 0; row < s->batch * s->rows; row++) {
        int64_t o = row / s->rows, i = row % s->rows;
        for (int64_t j = 0; j < s->n; j++) {
            int64_t at = o * tc->strides[0] + i * tc->strides[1] + j;
            double sum = s->bias ? (double)bias[j] : 0, size = fabs(sum);
            for (int64_t k = 0; k < s->k; k++) {
                float x = floats_get(&a, o * ta->strides[0] + i * ta->strides[1] + k);
                double term = (double)(rounds(isa, s) ? as_bf16(x) : x) * (double)b[k * s->n + j];
                sum += term;
                size += fabs(term);
            }
            double extra = s->residual ? (double)floats_get(&residual, at) : 0;
            double want = ended(sum, s->act, extra, s->residual_first);
            float got = floats_take(&c, at);
            if (!floats_near(got, want, size + fabs(extra), s->c))
                fail_msg("%s: %lld x %lld rows, n %lld, k %lld, layout %d, a %d, c %d: c[%lld, "
                         "%lld] = %g, not %g",
                         tn_isa_name(isa), (long long)s->batch, (long long)s->rows, (long long)s->n,
                         (long long)s->k, (int)s->layout, s->a, s->c, (long long)row, (long long)j,
                         (double)got, want);
        }
    }
    if (!floats_whole(&c)) fail_msg("%s: wrote outside C", tn_isa_name(isa));
    free(a.memory), free(c.memory), free(residual.memory);
    free(b), free(bias), free(panels), free(pairs);
}

/* Every row count of every kernel, columns around panel edges, even and odd k, all types. */
static void sizes(void **state) {
    (void)state;
    static const int64_t ns[] = {1, 15, 16, 33, 48, 49, 70}, ks[] = {0, 1, 2, 3, 4, 7, 34};
    FOR_EACH_ISA(isa)
    for (int64_t m = 0; m <= 26; m++)
        for (size_t i = 0; i < sizeof ns / sizeof *ns; i++)
            for (size_t j = 0; j < sizeof ks / sizeof *ks; j++) {
                int64_t bits = m + 3 * (int64_t)i + 5 * (int64_t)j;
                check(isa, &(Case){.batch = 1,
                                   .rows = m,
                                   .n = ns[i],
                                   .k = ks[j],
                                   .layout = bits % 5 ? TN_LAYOUT_PAIRS16 : TN_LAYOUT_PANELS16,
                                   .a = bits % 4 != 1,
                                   .c = bits % 3 != 1,
                                   .residual = bits % 2,
                                   .residual_bf16 = bits % 8 < 4,
                                   .bias = bits % 6 < 2});
            }
}

/* Few rows, for which panels pass by several at once: next to each other and apart, with some left
 * over. */
static void streams(void **state) {
    (void)state;
    static const int64_t ns[] = {64, 79, 200, 1100}, ks[] = {256, 301};
    FOR_EACH_ISA(isa)
    for (int64_t m = 1; m <= 3; m++)
        for (size_t i = 0; i < sizeof ns / sizeof *ns; i++)
            for (size_t j = 0; j < sizeof ks / sizeof *ks; j++)
                check(isa, &(Case){.batch = 1,
                                   .rows = m,
                                   .n = ns[i],
                                   .k = ks[j],
                                   .layout = TN_LAYOUT_PAIRS16,
                                   .a_gap = (int64_t)j,
                                   .c_gap = (int64_t)i,
                                   .a = i % 2,
                                   .c = (m + (int64_t)i) % 2,
                                   .bias = j,
                                   .residual = i == 2});
}

static void epilogues(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t act = 0; act < TN_ACT_COUNT; act++)
        for (int bits = 0; bits < 32; bits++)
            check(isa, &(Case){.batch = 1,
                               .rows = bits % 3 ? 13 : 2,
                               .n = 70,
                               .k = 28,
                               .layout = TN_LAYOUT_PAIRS16,
                               .a = true,
                               .c = bits & 1,
                               .residual_bf16 = bits & 2,
                               .bias = bits & 4,
                               .residual = bits & 8,
                               .residual_first = bits & 16,
                               .act = act});
}

/* Rows at odd distances, batches with gaps, many rows, long rows, rows at multiples of 2 KiB. */
static void views(void **state) {
    (void)state;
    static const Case cases[] = {
        {.batch = 1, .rows = 19, .n = 37, .k = 22, .a_gap = 3, .c_gap = 5},
        {.batch = 3, .rows = 14, .n = 37, .k = 20, .a_batch_gap = 7, .residual = true},
        {.batch = 9, .rows = 2, .n = 50, .k = 40, .a_gap = 1, .c_gap = 2, .a_batch_gap = 4},
        {.batch = 2, .rows = 2, .n = 50, .k = 41, .a_gap = 1, .a_batch_gap = 4},
        {.batch = 1, .rows = 3, .n = 1000, .k = 1000, .bias = true},
        {.batch = 1, .rows = 37, .n = 100, .k = 1024, .act = TN_ACT_GELU},
        {.batch = 2, .rows = 400, .n = 33, .k = 6, .c_gap = 1},
        {.batch = 1, .rows = 1100, .n = 40, .k = 3},
        {.batch = 0, .rows = 5, .n = 40, .k = 3},
        {.batch = 3, .rows = 5, .n = 0, .k = 3},
    };
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int bits = 0; bits < 4; bits++) {
            Case s = cases[i];
            s.layout = TN_LAYOUT_PAIRS16;
            s.a = bits & 1;
            s.c = s.residual_bf16 = bits & 2;
            check(isa, &s);
        }
}

/* Weights that the tiles take as they are: all the scratch there is holds rows of A. */
static void float_weights(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (int64_t m = 1; m <= 32; m++)
        for (int64_t k = 1; k <= 16; k++)
            check(isa, &(Case){.batch = 1,
                               .rows = m,
                               .n = 33,
                               .k = k,
                               .layout = TN_LAYOUT_PANELS16,
                               .a = true,
                               .floats = true});
}

/* Infinities and NaNs arrive; what is too large for bf16 becomes infinite. */
static void special_values(void **state) {
    (void)state;
    enum { M = 6, N = 17, K = 4 };
    float values[M] = {INFINITY, -INFINITY, NAN, 3.3e38f, 3.3961776e38f, -0.0f};
    FOR_EACH_ISA(isa) {
        uint16_t a[M * K] = {0}, c[M * N];
        float b[K * N];
        for (int i = 0; i < K * N; i++) b[i] = 1;
        uint16_t *pairs = pack_pairs(b, K, N);
        for (int i = 0; i < M; i++) a[i * K] = bf16_of_float(values[i]);
        TnTensor t[5] = {dense(a, TN_BF16, 2, (int64_t[]){M, K}),
                         dense(pairs, TN_BF16, 2, (int64_t[]){K, N}),
                         {0},
                         {0},
                         dense(c, TN_BF16, 2, (int64_t[]){M, N})};
        t[1].layout = TN_LAYOUT_PAIRS16;
        ParamsGemm params = {0};
        call_kernel(isa, OP_gemm, &params, t, 4, 1, NULL, 0);
        for (int i = 0; i < M * N; i++) {
            float got = float_of_bf16(c[i]), want = as_bf16(values[i / N]);
            if (isnan(want) ? !isnan(got) : got != want)
                fail_msg("%s: %g, not %g", tn_isa_name(isa), (double)got, (double)want);
        }
        free(pairs);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes), cmocka_unit_test(streams),       cmocka_unit_test(epilogues),
        cmocka_unit_test(views), cmocka_unit_test(float_weights), cmocka_unit_test(special_values)};
    return cmocka_run_group_tests_name("gemm of bf16", tests, NULL, NULL);
}
