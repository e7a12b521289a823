/* gemm with weights in records on every ISA against plain loops in double precision: all kinds,
 * rows for streams and for tiles, sizes around the edges of panels, groups and records. */
#include "tests/kernels/floats.h"
#include "tests/kernels/panels.h"
#include "tests/kernels/records.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

typedef struct Case {
    TnLayout layout;
    int64_t batch, rows, n, k;
    int64_t a_gap, c_gap, a_batch_gap;
    bool a, c; /* bf16, else f32 */
    bool bias, residual;
    uint32_t act;
} Case;

/* Rows may be rounded to 16 bits: 2^-16 of the largest element and half as much again. */
static double rounded(TnIsa isa, double most, double weights) {
    return isa >= TN_ISA_AVX512_VNNI ? 0x1.8p-16 * most * weights : 0;
}

static void check(TnIsa isa, const Case *s) {
    int64_t a_size = s->batch * (s->rows * (s->k + s->a_gap) + s->a_batch_gap);
    Floats a = floats_noise(s->a, a_size, 1),
           c = floats_untouched(s->c, s->batch * s->rows * (s->n + s->c_gap));
    Floats residual = floats_noise(false, s->batch * s->rows * (s->n + s->c_gap), 4);
    float *b = malloc((size_t)(s->k * s->n + 1) * sizeof *b), *bias = noise_array(s->n, 3);
    void *records = noise_records(s->layout, b, s->k, s->n, 2);
    const int64_t a_dims[] = {s->batch, s->rows, s->k}, c_dims[] = {s->batch, s->rows, s->n};
    TnTensor operands[5] = {floats_rows(&a, a_dims, s->a_gap, s->a_batch_gap),
                            dense(records, TN_F32, 2, (int64_t[]){s->k, s->n}),
                            dense(s->bias ? bias : NULL, TN_F32, 1, &s->n),
                            floats_rows(&residual, c_dims, s->c_gap, 0),
                            floats_rows(&c, c_dims, s->c_gap, 0)};
    operands[1].layout = (uint8_t)s->layout;
    if (!s->residual) operands[3].data = NULL;
    ParamsGemm params = {.activation = s->act};
    call_kernel(isa, OP_gemm, &params, operands, 4, 1, NULL, 0);

    const TnTensor *ta = &operands[0], *tc = &operands[4];
    for (int64_t row = 0; row < s->batch * s->rows; row++) {
        int64_t o = row / s->rows, i = row % s->rows;
        for (int64_t j = 0; j < s->n; j++) {
            int64_t at = o * tc->strides[0] + i * tc->strides[1] + j;
            double sum = s->bias ? (double)bias[j] : 0, size = fabs(sum), most = 0, weights = 0;
            for (int64_t k = 0; k < s->k; k++) {
                double x = (double)floats_get(&a, o * ta->strides[0] + i * ta->strides[1] + k);
                double w = (double)b[k * s->n + j];
                sum += x * w;
                size += fabs(x * w);
                weights += fabs(w);
                most = fmax(most, fabs(x));
            }
            double extra = s->residual ? (double)floats_get(&residual, at) : 0;
            double want = ended(sum, s->act, extra, false);
            float got = floats_take(&c, at);
            size += fabs(extra) + rounded(isa, most, weights) / 2e-6;
            if (!floats_near(got, want, size, s->c))
                fail_msg("%s: %lld x %lld rows, n %lld, k %lld, layout %d, a %d, c %d: c[%lld, "
                         "%lld] = %g, not %g",
                         tn_isa_name(isa), (long long)s->batch, (long long)s->rows, (long long)s->n,
                         (long long)s->k, (int)s->layout, s->a, s->c, (long long)row, (long long)j,
                         (double)got, want);
        }
    }
    if (!floats_whole(&c)) fail_msg("%s: wrote outside C", tn_isa_name(isa));
    free(a.memory), free(c.memory), free(residual.memory);
    free(b), free(bias), free(records);
}

static void sizes(void **state) {
    (void)state;
    static const int64_t ns[] = {1, 15, 16, 33, 48, 70},
                         ks[] = {0, 1, 3, 7, 8, 31, 32, 33, 63, 64, 65, 96, 130};
    FOR_EACH_ISA(isa)
    for (TnLayout layout = TN_LAYOUT_RECORDS8; layout <= TN_LAYOUT_RECORDS4F; layout++)
        for (int64_t m = 0; m <= 20; m++)
            for (int i = 0; i < COUNT(ns); i++)
                for (int j = 0; j < COUNT(ks); j++)
                    check(isa, &(Case){.layout = layout,
                                       .batch = 1,
                                       .rows = m,
                                       .n = ns[i],
                                       .k = ks[j],
                                       .bias = (m + i) % 2,
                                       .residual = (m + j) % 3 == 0,
                                       .act = (m + i + j) % 4 ? TN_ACT_NONE : TN_ACT_GELU});
}

/* Panels pass by several at once: next to each other and apart, with some left over. */
static void streams(void **state) {
    (void)state;
    static const int64_t ns[] = {64, 72, 200, 500};
    FOR_EACH_ISA(isa)
    for (TnLayout layout = TN_LAYOUT_RECORDS8; layout <= TN_LAYOUT_RECORDS4F; layout++)
        for (int64_t m = 1; m <= 7; m++)
            for (int i = 0; i < COUNT(ns); i++)
                check(isa, &(Case){.layout = layout,
                                   .batch = 1,
                                   .rows = m,
                                   .n = ns[i],
                                   .k = 1000 + i,
                                   .a_gap = i,
                                   .c_gap = i,
                                   .bias = (m + i) % 2,
                                   .residual = (m + i) % 3 == 0,
                                   .c = m == 2});
}

/* Rows at odd distances, in batches, many, long; of bf16. */
static void views(void **state) {
    (void)state;
    static const Case cases[] = {
        {.batch = 1, .rows = 19, .n = 37, .k = 70, .a_gap = 3, .c_gap = 5},
        {.batch = 1, .rows = 7, .n = 37, .k = 70, .a_gap = 3, .c_gap = 5},
        {.batch = 2, .rows = 2, .n = 50, .k = 41, .a_gap = 1, .a_batch_gap = 4},
        {.batch = 2, .rows = 3, .n = 50, .k = 40, .a_batch_gap = 4, .residual = true},
        {.batch = 1, .rows = 3, .n = 1000, .k = 1000, .bias = true},
        {.batch = 1, .rows = 1, .n = 3000, .k = 700, .bias = true},
        {.batch = 1, .rows = 37, .n = 100, .k = 1024, .act = TN_ACT_GELU},
        {.batch = 2, .rows = 400, .n = 33, .k = 66, .c_gap = 1},
        {.batch = 1, .rows = 301, .n = 70, .k = 90, .a_gap = 2, .c_gap = 1, .bias = true},
        {.batch = 0, .rows = 5, .n = 40, .k = 3},
        {.batch = 3, .rows = 5, .n = 0, .k = 3},
    };
    FOR_EACH_ISA(isa)
    for (int i = 0; i < COUNT(cases); i++)
        for (int bits = 0; bits < 16; bits++) {
            Case s = cases[i];
            s.layout = TN_LAYOUT_RECORDS8 + (TnLayout)(bits & 3);
            s.a = bits & 4;
            s.c = bits & 8;
            check(isa, &s);
        }
}

/* What is not finite arrives in its row or column and nowhere else, also as a scale; rows of zeros
 * and of denormal numbers, and the largest rows and weights of 4 and 8 bits. */
static void special_values(void **state) {
    (void)state;
    enum { M = 8, N = 17, K = 64 };
    const float values[M] = {INFINITY, -INFINITY, NAN, 0, 1e-40f, 1e-36f, 1e-34f, 3e38f};
    FOR_EACH_ISA(isa)
    for (TnLayout layout = TN_LAYOUT_RECORDS8; layout <= TN_LAYOUT_RECORDS4F; layout++) {
        float a[M * K] = {0}, c[M * N];
        unsigned char records[2 * 18 * 64] = {0};
        for (int n = 0; n < N; n++) {
            unsigned char *record = record_of(records, layout, K, 0, n);
            for (int k = 0; k < K; k++) record_put(record, layout, k, n % 16, k ? 0 : 1);
            for (int g = 0; g < 2; g++)
                record_put_scale(record, layout, g * 32, n % 16, n == 5 ? NAN : 1);
        }
        for (int i = 0; i < M; i++) a[i * K] = values[i];
        TnTensor t[5] = {dense(a, TN_F32, 2, (int64_t[]){M, K}),
                         dense(records, TN_F32, 2, (int64_t[]){K, N}),
                         {0},
                         {0},
                         dense(c, TN_F32, 2, (int64_t[]){M, N})};
        t[1].layout = (uint8_t)layout;
        ParamsGemm params = {0};
        call_kernel(isa, OP_gemm, &params, t, 4, 1, NULL, 0);
        for (int i = 0; i < M * N; i++) {
            const float x = values[i / N];
            bool ok = i % N == 5 || !isfinite(x) ? !isfinite(c[i])
                                                 : fabsf(c[i] - x) <= fabsf(x) * 1e-4f + 2e-36f;
            if (!ok) fail_msg("%s: %g, not %g", tn_isa_name(isa), (double)c[i], (double)x);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes), cmocka_unit_test(streams),
                                       cmocka_unit_test(views), cmocka_unit_test(special_values)};
    return cmocka_run_group_tests_name("gemm of records", tests, NULL, NULL);
}
