/* norm on every ISA against double precision: all combinations of optional operands, odd extents,
 * strided rows, broadcast residuals, results on top of x, and a row whose variance cancels. */
#include "tests/kernels/views.h"

typedef struct Case {
    int64_t batch, rows, n;
    int residual, broadcast, gamma, beta, s, rms, in_place; /* in_place: 1 = y on x, 2 = s on x */
    int gap;                                                /* floats between rows */
} Case;

static TnTensor rows_view(float *data, const Case *c) {
    TnTensor t = dense(data, TN_F32, 3, (int64_t[]){c->batch, c->rows, c->n});
    t.strides[1] = c->n + c->gap;
    t.strides[0] = c->rows * t.strides[1];
    return t;
}

static void check_row(const Case *c, const ParamsNorm *params, const double *sum,
                      const float *gamma, const float *beta, const float *y) {
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < c->n; i++) mean += c->rms ? 0 : sum[i] / (double)c->n;
    for (int64_t i = 0; i < c->n; i++) variance += (sum[i] - mean) * (sum[i] - mean) / (double)c->n;
    for (int64_t i = 0; i < c->n; i++) {
        double want = (sum[i] - mean) / sqrt(variance + (double)params->epsilon);
        want = want * (c->gamma ? (double)gamma[i] : 1) + (c->beta ? (double)beta[i] : 0);
        if (!(fabs((double)y[i] - want) <= 3e-6 * fmax(1, fabs(want))))
            fail_msg("n %d column %d: %g, not %g", (int)c->n, (int)i, (double)y[i], want);
    }
}

static void check_case(TnIsa isa, const Case *c) {
    int64_t size = c->batch * c->rows * (c->n + c->gap) + 32;
    float *x = noise_array(size, 1), *before = noise_array(size, 1),
          *residual = noise_array(size, 2);
    float *gamma = noise_array(c->n, 3), *beta = noise_array(c->n, 4);
    float *y = malloc((size_t)size * 4), *s = malloc((size_t)size * 4);
    for (int64_t i = 0; i < size; i++) y[i] = s[i] = 777;
    float *y_to = c->in_place == 1 ? x : y, *s_to = c->in_place == 2 ? x : s;

    TnTensor operands[6] = {rows_view(x, c),
                            rows_view(c->residual ? residual : NULL, c),
                            dense(c->gamma ? gamma : NULL, TN_F32, 1, &c->n),
                            dense(c->beta ? beta : NULL, TN_F32, 1, &c->n),
                            rows_view(y_to, c),
                            rows_view(c->s ? s_to : NULL, c)};
    if (c->broadcast) operands[1].strides[0] = 0;
    ParamsNorm params = {.epsilon = 1e-5f, .rms = (uint32_t)c->rms};
    call_kernel(isa, OP_norm, &params, operands, 4, 2, NULL, 0);

    double *sum = calloc((size_t)c->n + 1, sizeof *sum);
    for (int64_t r = 0; r < c->batch * c->rows; r++) {
        int64_t at = r * (c->n + c->gap), other = c->broadcast ? r % c->rows * (c->n + c->gap) : at;
        for (int64_t i = 0; i < c->n; i++) {
            float exact = before[at + i] + (c->residual ? residual[other + i] : 0);
            sum[i] = (double)exact;
            if (c->s) assert_true(s_to[at + i] == exact);
        }
        check_row(c, &params, sum, gamma, beta, y_to + at);
        for (int64_t i = c->n; i < c->n + c->gap; i++) {
            assert_true(y_to[at + i] == (c->in_place == 1 ? before[at + i] : 777));
            assert_true(s[at + i] == 777);
        }
    }
    for (int64_t i = size - 32; i < size; i++) assert_true(y[i] == 777 && s[i] == 777);
    free(sum), free(x), free(before), free(residual), free(gamma), free(beta), free(y), free(s);
}

static void operand_combinations(void **state) {
    (void)state;
    static const int64_t extents[] = {1, 7, 16, 33, 768};
    FOR_EACH_ISA(isa)
    for (int bits = 0; bits < 128; bits++)
        for (int in_place = 0; in_place < 3; in_place++) {
            Case c = {.batch = 2, .rows = 3, .n = extents[bits % 5], .in_place = in_place};
            c.residual = bits & 1, c.broadcast = bits >> 1 & 1, c.gamma = bits >> 2 & 1;
            c.beta = bits >> 3 & 1, c.s = bits >> 4 & 1, c.rms = bits >> 5 & 1;
            c.gap = bits >> 6 & 1 ? 3 : 0;
            if (in_place == 2 && !c.s) continue;
            check_case(isa, &c);
        }
}

static void sizes(void **state) {
    (void)state;
    FOR_EACH_ISA(isa) {
        for (int64_t n = 1; n < 70; n++)
            check_case(
                isa, &(Case){.batch = 1, .rows = 2, .n = n, .gamma = 1, .beta = 1, .residual = 1});
        check_case(isa, &(Case){.batch = 1, .rows = 3, .n = 20000, .gamma = 1, .beta = 1});
        check_case(isa, &(Case){.batch = 3, .rows = 97, .n = 64, .gamma = 1, .rms = 1});
        for (int64_t rows = 1; rows < 40; rows++)
            check_case(isa, &(Case){.batch = 1, .rows = rows, .n = 64, .gamma = 1, .beta = 1});
        for (int64_t rows = 1; rows < 24; rows++) /* groups that end with a batch entry */
            check_case(isa, &(Case){.batch = 3,
                                    .rows = rows,
                                    .n = 33,
                                    .residual = 1,
                                    .broadcast = 1,
                                    .gap = 3,
                                    .s = 1,
                                    .rms = rows % 2});
        check_case(isa, &(Case){.batch = 0, .rows = 4, .n = 8});
        check_case(isa, &(Case){.batch = 1, .rows = 4, .n = 0});
    }
}

/* A large mean must not drown the deviations. */
static void cancellation(void **state) {
    (void)state;
    enum { N = 100 };
    float x[N], y[N];
    int64_t dims[] = {1, N};
    ParamsNorm params = {.epsilon = 0};
    FOR_EACH_ISA(isa) {
        for (int i = 0; i < N; i++) x[i] = 10000 + (i % 2 ? 0.25f : -0.25f);
        TnTensor operands[] = {dense(x, TN_F32, 2, dims), dense(y, TN_F32, 2, dims)};
        call_kernel(isa, OP_norm, &params, operands, 1, 1, NULL, 0);
        for (int i = 0; i < N; i++) assert_true(fabsf(fabsf(y[i]) - 1) < 1e-2f);
    }
}

/* The same row wherever it is: what it becomes does not depend on the rows beside it. */
static void company(void **state) {
    (void)state;
    enum { ROWS = 7 };
    static const int64_t extents[] = {1, 7, 8, 15, 17, 33, 100, 768, 2049};
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < 2 * sizeof extents / sizeof *extents; i++) {
        const int64_t n = extents[i / 2], dims[] = {ROWS, n};
        const size_t row = (size_t)n * sizeof(float);
        float *x = noise_array(ROWS * n, 1), *y = malloc(ROWS * row);
        for (int r = 1; r < ROWS; r++) memcpy(x + r * n, x, row);
        TnTensor operands[] = {dense(x, TN_F32, 2, dims), dense(y, TN_F32, 2, dims)};
        ParamsNorm params = {.epsilon = 1e-5f, .rms = i % 2};
        call_kernel(isa, OP_norm, &params, operands, 1, 1, NULL, 0);
        for (int r = 1; r < ROWS; r++) assert_memory_equal(y + r * n, y, row);
        free(x), free(y);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operand_combinations),
        cmocka_unit_test(sizes),
        cmocka_unit_test(cancellation),
        cmocka_unit_test(company),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
