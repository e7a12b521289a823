/* gemm and matmul on every ISA against plain loops in double precision: sizes around all tile and
 * panel edges, strided views, every epilogue, and guard words around C that must survive; equal
 * rows. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "tests/kernels/panels.h"

#define GUARD 12345.678f

typedef struct Case {
    int64_t batch, rows, n, k;
    int64_t a_gap, c_gap;             /* extra floats after each row */
    int64_t a_batch_gap, c_batch_gap; /* ... and after each batch */
    bool bias, residual;
    uint32_t act;
    bool residual_first, in_place; /* C lies on the residual */
    TnDType b;                     /* of the panels; TN_NONE: f32 */
    int64_t head;                  /* columns of one; 0: no heads */
    int64_t head_gap;
} Case;

static TnTensor rows_view(float *data, const Case *s, int64_t cols, int64_t gap,
                          int64_t batch_gap) {
    TnTensor t = dense(data, TN_F32, 3, (int64_t[]){s->batch, s->rows, cols});
    t.strides[1] = cols + gap;
    t.strides[0] = s->rows * t.strides[1] + batch_gap;
    return t;
}

/* Heads lie one after another, each with all its rows, as in a cache of keys. */
static TnTensor heads_view(float *data, const Case *s) {
    int64_t heads = s->n / s->head;
    TnTensor t = dense(data, TN_F32, 4, (int64_t[]){s->batch, s->rows, heads, s->head});
    t.strides[1] = s->head + s->c_gap;
    t.strides[2] = s->rows * t.strides[1] + s->head_gap;
    t.strides[0] = heads * t.strides[2] + s->c_batch_gap;
    return t;
}

static TnTensor result_view(float *data, const Case *s) {
    return s->head ? heads_view(data, s) : rows_view(data, s, s->n, s->c_gap, s->c_batch_gap);
}

static int64_t column_at(const Case *s, const TnTensor *c, int64_t j) {
    return s->head ? j / s->head * c->strides[2] + j % s->head : j;
}

static void check_gemm(TnIsa isa, const Case *s) {
    int64_t a_size = s->batch * (s->rows * (s->k + s->a_gap) + s->a_batch_gap);
    int64_t c_size = s->batch * (s->head ? heads_view(NULL, s).strides[0]
                                         : s->rows * (s->n + s->c_gap) + s->c_batch_gap);
    float *a = noise_array(a_size, 1), *b = noise_array(s->k * s->n, 2),
          *bias = noise_array(s->n, 3);
    float *residual = noise_array(c_size, 4), *panels = pack_panels(b, s->k, s->n);
    float *c = malloc((size_t)(c_size + 32) * sizeof *c);
    for (int64_t i = 0; i < c_size + 32; i++) c[i] = GUARD;
    if (s->in_place) memcpy(c + 16, residual, (size_t)c_size * sizeof *c);

    if (s->b) narrow(s->b, b, s->k * s->n, panels, tn_panels_elements(s->k, s->n));
    TnTensor operands[5] = {rows_view(a, s, s->k, s->a_gap, s->a_batch_gap),
                            dense(panels, s->b ? s->b : TN_F32, 2, (int64_t[]){s->k, s->n}),
                            dense(s->bias ? bias : NULL, TN_F32, 1, &s->n),
                            rows_view(s->in_place   ? c + 16
                                      : s->residual ? residual
                                                    : NULL,
                                      s, s->n, s->c_gap, s->c_batch_gap),
                            result_view(c + 16, s)};
    operands[1].layout = TN_LAYOUT_PANELS16;
    ParamsGemm params = {.activation = s->act, .flags = s->residual_first ? TN_RESIDUAL_FIRST : 0};
    call_kernel(isa, OP_gemm, &params, operands, 4, 1, NULL, 0);

    const TnTensor *ta = &operands[0], *tc = &operands[4];
    for (int64_t o = 0; o < s->batch; o++) {
        for (int64_t i = 0; i < s->rows; i++) {
            for (int64_t j = 0; j < s->n; j++) {
                int64_t at = o * tc->strides[0] + i * tc->strides[1] + column_at(s, tc, j);
                double sum = s->bias ? bias[j] : 0, size = fabs(sum);
                for (int64_t k = 0; k < s->k; k++) {
                    double x =
                        (double)a[o * ta->strides[0] + i * ta->strides[1] + k] * b[k * s->n + j];
                    sum += x;
                    size += fabs(x);
                }
                double want = ended(sum, s->act, s->residual ? residual[at] : 0, s->residual_first);
                if (!(fabs(want - c[16 + at]) <= 2e-6 * size + 1e-6))
                    fail_msg("%s: %lld x %lld rows, n %lld, k %lld, activation %u: c[%lld, %lld, "
                             "%lld] = %g, not %g",
                             tn_isa_name(isa), (long long)s->batch, (long long)s->rows,
                             (long long)s->n, (long long)s->k, s->act, (long long)o, (long long)i,
                             (long long)j, (double)c[16 + at], want);
                c[16 + at] = GUARD;
            }
        }
    }
    for (int64_t i = 0; i < c_size + 32; i++)
        if (c[i] != GUARD)
            fail_msg("%s: wrote outside C, %lld floats from its start", tn_isa_name(isa),
                     (long long)i - 16);
    free(a), free(b), free(bias), free(residual), free(panels), free(c);
}

/* Every row count of every kernel, columns around panel edges. */
static void sizes(void **state) {
    (void)state;
    static const int64_t ns[] = {1, 7, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 70};
    static const int64_t ks[] = {0, 1, 2, 3, 4, 5, 7, 8, 16, 33, 130};
    FOR_EACH_ISA(isa) {
        for (int64_t m = 0; m <= 33; m++)
            for (size_t i = 0; i < sizeof ns / sizeof *ns; i++)
                for (size_t j = 0; j < sizeof ks / sizeof *ks; j++)
                    check_gemm(isa, &(Case){.batch = 1,
                                            .rows = m,
                                            .n = ns[i],
                                            .k = ks[j],
                                            .bias = (m + ns[i]) % 2,
                                            .residual = (m + ks[j]) % 3 == 0});
    }
}

/* Few rows, for which panels pass by several at once: next to each other and apart, with some left
 * over. */
static void streams(void **state) {
    (void)state;
    static const int64_t ns[] = {64, 79, 200, 1100};
    static const int64_t ks[] = {511, 512, 517};
    FOR_EACH_ISA(isa) {
        for (int64_t m = 1; m <= 5; m++)
            for (size_t i = 0; i < sizeof ns / sizeof *ns; i++)
                for (size_t j = 0; j < sizeof ks / sizeof *ks; j++)
                    check_gemm(isa, &(Case){.batch = 1,
                                            .rows = m,
                                            .n = ns[i],
                                            .k = ks[j],
                                            .a_gap = (int64_t)j % 3,
                                            .c_gap = (int64_t)j % 2,
                                            .bias = (m + ks[j]) % 2,
                                            .residual = m % 3 == 0 && j == 0,
                                            .head = ns[i] == 1100 && j ? 20 : 0});
    }
}

static void epilogues(void **state) {
    (void)state;
    FOR_EACH_ISA(isa) {
        for (uint32_t act = 0; act < TN_ACT_COUNT; act++)
            for (int bits = 0; bits < 8; bits++)
                for (int64_t m = 1; m <= 73; m += 12)
                    check_gemm(isa, &(Case){.batch = 1,
                                            .rows = m,
                                            .n = 53,
                                            .k = 29,
                                            .bias = bits & 1,
                                            .residual = bits & 2,
                                            .residual_first = bits & 4,
                                            .in_place = bits & 2 && bits & 1,
                                            .act = act});
    }
}

/* What is not a number stays so, under every end of a tile; and other rows stay numbers. */
static void not_a_number(void **state) {
    (void)state;
    enum { M = 73, N = 53, K = 29, ROW = 7 };
    float *b = noise_array(K * N, 2), *panels = pack_panels(b, K, N), *bias = noise_array(N, 3);
    float a[M * K], c[M * N];
    FOR_EACH_ISA(isa) {
        for (uint32_t act = 0; act < 2 * TN_ACT_COUNT; act++) {
            for (int i = 0; i < M * K; i++) a[i] = i == ROW * K + 3 ? NAN : (float)(i % 7) - 3;
            for (int i = 0; i < M * N; i++) c[i] = 1;
            TnTensor operands[5] = {dense(a, TN_F32, 2, (int64_t[]){M, K}),
                                    dense(panels, TN_F32, 2, (int64_t[]){K, N}),
                                    dense(bias, TN_F32, 1, (int64_t[]){N}),
                                    dense(act % 2 ? c : NULL, TN_F32, 2, (int64_t[]){M, N}),
                                    dense(c, TN_F32, 2, (int64_t[]){M, N})};
            operands[1].layout = TN_LAYOUT_PANELS16;
            ParamsGemm params = {.activation = act / 2, .flags = TN_RESIDUAL_FIRST};
            call_kernel(isa, OP_gemm, &params, operands, 4, 1, NULL, 0);
            for (int i = 0; i < M * N; i++)
                if (!isnan(c[i]) != (i / N != ROW))
                    fail_msg("%s: activation %u: c[%d, %d] = %g", tn_isa_name(isa), act / 2, i / N,
                             i % N, (double)c[i]);
        }
    }
    free(b), free(panels), free(bias);
}

/* Rows with gaps, batches with gaps, rows at multiples of 2 KiB (the square tile), rows more or
 * fewer than batches. */
static void views(void **state) {
    (void)state;
    static const Case cases[] = {
        {.batch = 1, .rows = 19, .n = 37, .k = 21, .a_gap = 3, .c_gap = 5},
        {.batch = 3, .rows = 14, .n = 37, .k = 21, .a_batch_gap = 7, .residual = true},
        {.batch = 3, .rows = 14, .n = 37, .k = 21, .c_batch_gap = 7, .residual = true},
        {.batch = 9,
         .rows = 2,
         .n = 50,
         .k = 40,
         .a_gap = 1,
         .c_gap = 2,
         .a_batch_gap = 4,
         .c_batch_gap = 9,
         .bias = true},
        {.batch = 2, .rows = 2, .n = 50, .k = 40, .a_gap = 1, .a_batch_gap = 4},
        {.batch = 1, .rows = 37, .n = 100, .k = 512, .residual = true, .act = TN_ACT_GELU},
        {.batch = 2, .rows = 37, .n = 100, .k = 500, .a_gap = 12, .a_batch_gap = 5},
        {.batch = 2, .rows = 400, .n = 33, .k = 5, .c_batch_gap = 1},
        {.batch = 1, .rows = 1100, .n = 40, .k = 3, .bias = true},
        {.batch = 0, .rows = 5, .n = 40, .k = 3},
        {.batch = 3, .rows = 5, .n = 0, .k = 3},
        {.batch = 1, .rows = 4, .n = 1000, .k = 1000},
        {.batch = 1, .rows = 30, .n = 1000, .k = 1024, .bias = true},
    };
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_gemm(isa, &cases[i]);
}

/* Panels of 16 bits, for few rows and many. */
static void narrow_panels(void **state) {
    (void)state;
    static const int64_t ms[] = {1, 2, 3, 4, 5, 13, 30, 600}, ns[] = {1, 16, 50, 130},
                         ks[] = {37, 2, 40};
    static const TnDType types[] = {TN_F16, TN_BF16};
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
        for (size_t j = 0; j < sizeof ns / sizeof *ns; j++)
            for (int t = 0; t < 6; t++)
                check_gemm(isa, &(Case){.batch = 1,
                                        .rows = ms[i],
                                        .n = ns[j],
                                        .k = ks[t / 2],
                                        .bias = j % 2,
                                        .b = types[t % 2]});
}

/* Heads of whole panels, of several, and ones whose ends fall inside panels and groups of them. */
static void heads(void **state) {
    (void)state;
    static const int64_t ms[] = {1, 4, 7, 13, 24, 300}, widths[] = {1, 6, 16, 24, 32, 48, 64, 80},
                         counts[] = {1, 2, 5};
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
        for (size_t j = 0; j < sizeof widths / sizeof *widths; j++)
            for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
                for (int64_t batch = 1; batch < 3; batch++)
                    check_gemm(isa, &(Case){.batch = batch,
                                            .rows = ms[i],
                                            .n = counts[k] * widths[j],
                                            .k = 19,
                                            .head = widths[j],
                                            .head_gap = (int64_t)(i % 2) * 7,
                                            .c_gap = (int64_t)(j % 3),
                                            .bias = (i + j + k) % 2,
                                            .act = (j + k) % 3 ? TN_ACT_NONE : TN_ACT_SILU,
                                            .b = k == 1 ? TN_F16 : TN_NONE});
}

/* Equal rows give equal bits, whatever tiles they fall into and whichever of these end themselves,
 * with C in place of the residual. */
static void equal_rows(void **state) {
    (void)state;
    enum { N = 80, K = 41, MOST = 40 };
    float *a = noise_array(K, 1), *b = noise_array(K * N, 2), *bias = noise_array(N, 3);
    float *residual = noise_array(N, 4), *panels = pack_panels(b, K, N), c[MOST * N];
    FOR_EACH_ISA(isa)
    for (int64_t m = 5; m <= MOST; m++)
        for (int bits = 0; bits < 8; bits++) {
            for (int64_t i = 0; i < m * N; i++) c[i] = residual[i % N];
            TnTensor operands[5] = {dense(a, TN_F32, 2, (int64_t[]){m, K}),
                                    dense(panels, TN_F32, 2, (int64_t[]){K, N}),
                                    dense(bits & 1 ? bias : NULL, TN_F32, 1, (int64_t[]){N}),
                                    dense(bits & 2 ? c : NULL, TN_F32, 2, (int64_t[]){m, N}),
                                    dense(c, TN_F32, 2, (int64_t[]){m, N})};
            operands[0].strides[0] = 0;
            operands[1].layout = TN_LAYOUT_PANELS16;
            ParamsGemm params = {.activation = bits & 4 ? TN_ACT_RELU : TN_ACT_NONE,
                                 .flags = TN_RESIDUAL_FIRST};
            call_kernel(isa, OP_gemm, &params, operands, 4, 1, NULL, 0);
            for (int64_t i = 1; i < m; i++)
                if (memcmp(c, c + i * N, N * sizeof *c) != 0)
                    fail_msg("%s: row %lld of %lld is not the first, case %d", tn_isa_name(isa),
                             (long long)i, (long long)m, bits);
        }
    free(a), free(b), free(bias), free(residual), free(panels);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),      cmocka_unit_test(streams),       cmocka_unit_test(epilogues),
        cmocka_unit_test(views),      cmocka_unit_test(narrow_panels), cmocka_unit_test(heads),
        cmocka_unit_test(equal_rows), cmocka_unit_test(not_a_number)};
    return cmocka_run_group_tests_name("gemm", tests, NULL, NULL);
}
