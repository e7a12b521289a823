/* matmul on every ISA against plain loops: all orders of axes in memory, broadcast batches, sizes
 * around tile edges, alpha, all element types; elements between those of C must survive. */
#include <math.h>
#include "tests/kernels/floats.h"

/* A [b0, b1, rows, cols] view whose axes lie in memory in the order `order` (last is dense but for
 * `gap`); axes whose bit is set in `broadcast` have stride 0. Returns the floats it spans. */
static int64_t view_of(TnTensor *t, const int64_t dims[4], const int order[4], int64_t gap,
                       unsigned broadcast) {
    int64_t stride = 1;
    *t = (TnTensor){.rank = 4, .dtype = TN_F32};
    for (int i = 0; i < 4; i++) t->dims[i] = dims[i];
    for (int i = 3; i >= 0; i--) {
        t->strides[order[i]] = stride;
        if (broadcast >> order[i] & 1)
            t->strides[order[i]] = 0;
        else
            stride *= dims[order[i]] + (i >= 2 ? gap : 0);
    }
    return stride;
}

static int64_t at(const TnTensor *t, int64_t b0, int64_t b1, int64_t i, int64_t j) {
    return b0 * t->strides[0] + b1 * t->strides[1] + i * t->strides[2] + j * t->strides[3];
}

typedef struct Case {
    int64_t b0, b1, m, n, k;
    const int *order[3];
    int64_t gap;
    unsigned broadcast[2];
    float alpha;
} Case;

/* Operands and result of each type. */
static void check_as(TnIsa isa, const Case *s, bool bf16, bool c_bf16) {
    TnTensor t[3];
    int64_t floats[3];
    const int64_t dims[3][4] = {
        {s->b0, s->b1, s->m, s->k}, {s->b0, s->b1, s->k, s->n}, {s->b0, s->b1, s->m, s->n}};
    for (int i = 0; i < 3; i++)
        floats[i] = view_of(&t[i], dims[i], s->order[i], s->gap, i < 2 ? s->broadcast[i] : 0);
    Floats a = floats_noise(bf16, floats[0], 1), b = floats_noise(bf16, floats[1], 2),
           c = floats_untouched(c_bf16, floats[2]);
    const Floats *all[3] = {&a, &b, &c};
    for (int i = 0; i < 3; i++) {
        t[i].data = floats_at(all[i], 0);
        t[i].dtype = (uint8_t)floats_dtype(all[i]->bf16);
    }
    ParamsMatmul params = {.alpha = s->alpha};
    call_kernel(isa, OP_matmul, &params, t, 2, 1, NULL, 0);
    for (int64_t b0 = 0; b0 < s->b0; b0++)
        for (int64_t b1 = 0; b1 < s->b1; b1++)
            for (int64_t i = 0; i < s->m; i++)
                for (int64_t j = 0; j < s->n; j++) {
                    double sum = 0, size = 0;
                    for (int64_t k = 0; k < s->k; k++) {
                        double x = (double)floats_get(&a, at(&t[0], b0, b1, i, k)) *
                                   (double)floats_get(&b, at(&t[1], b0, b1, k, j));
                        sum += x;
                        size += fabs(x);
                    }
                    double want = s->alpha * sum;
                    float got = floats_take(&c, at(&t[2], b0, b1, i, j));
                    if (!floats_near(got, want, size, c_bf16))
                        fail_msg("%s, bf16 %d > %d: m %lld n %lld k %lld: c[%lld, %lld, %lld, "
                                 "%lld] = %g, not %g",
                                 tn_isa_name(isa), bf16, c_bf16, (long long)s->m, (long long)s->n,
                                 (long long)s->k, (long long)b0, (long long)b1, (long long)i,
                                 (long long)j, (double)got, want);
                }
    if (!floats_whole(&c)) fail_msg("%s: wrote outside C", tn_isa_name(isa));
    free(a.memory), free(b.memory), free(c.memory);
}

static void check(TnIsa isa, const Case *s) {
    check_as(isa, s, false, false);
    check_as(isa, s, true, s->m % 3 != 0);
    if (s->n % 4 == 0) check_as(isa, s, false, true);
}

static const int rows_last[] = {0, 1, 3, 2}, dense_order[] = {0, 1, 2, 3},
                 heads_inside[] = {0, 2, 1, 3}, batch_last[] = {2, 3, 0, 1};

static void orders(void **state) {
    (void)state;
    const int *all[] = {dense_order, rows_last, heads_inside, batch_last};
    FOR_EACH_ISA(isa) {
        for (int o = 0; o < 64; o++)
            for (int64_t gap = 0; gap < 4; gap += 3)
                for (int64_t m = 5; m <= 40; m += 35)
                    check(isa, &(Case){2,
                                       3,
                                       m,
                                       37,
                                       21,
                                       {all[o % 4], all[o / 4 % 4], all[o / 16]},
                                       gap,
                                       {0},
                                       o % 3 ? 1 : 0.125f});
    }
}

static void broadcast(void **state) {
    (void)state;
    FOR_EACH_ISA(isa) {
        for (unsigned bits = 0; bits < 16; bits++)
            check(isa, &(Case){3,
                               2,
                               7,
                               33,
                               9,
                               {dense_order, dense_order, dense_order},
                               0,
                               {bits & 3, bits >> 2},
                               1});
    }
}

static void sizes(void **state) {
    (void)state;
    static const int64_t ns[] = {0, 1, 2, 15, 16, 17, 32, 48, 70}, ks[] = {0, 1, 7, 16, 17, 40};
    FOR_EACH_ISA(isa) {
        for (int64_t m = 0; m <= 27; m++)
            for (size_t i = 0; i < sizeof ns / sizeof *ns; i++)
                for (size_t j = 0; j < sizeof ks / sizeof *ks; j++)
                    for (int o = 0; o < 8; o++)
                        check(isa, &(Case){1,
                                           1,
                                           m,
                                           ns[i],
                                           ks[j],
                                           {o & 1 ? rows_last : dense_order,
                                            o & 2 ? rows_last : dense_order,
                                            o & 4 ? rows_last : dense_order},
                                           0,
                                           {0},
                                           1});
    }
}

/* Several tasks over entries, rows and columns; rows at multiples of 2 KiB. */
static void blocks(void **state) {
    (void)state;
    FOR_EACH_ISA(isa) {
        check(isa, &(Case){40, 3, 30, 30, 30, {dense_order, rows_last, dense_order}, 0, {0}, 0.5f});
        check(isa, &(Case){1, 1, 1100, 60, 33, {rows_last, dense_order, dense_order}, 0, {0}, 1});
        check(isa, &(Case){1, 2, 100, 300, 512, {dense_order, rows_last, dense_order}, 0, {0}, 1});
        check(isa, &(Case){1, 1, 60, 20, 9000, {rows_last, dense_order, dense_order}, 0, {0}, 1});
    }
}

static void integers(void **state) {
    (void)state;
    enum { M = 150, N = 5, K = 9 };
    static int32_t a[M * K], b[K * N], c[M * N];
    static int8_t a8[M * K], b8[K * N], c8[M * N];
    uint32_t seed = 1;
    for (int i = 0; i < M * K; i++) a8[i] = (int8_t)(a[i] = (int32_t)(noise(&seed) * 2e9f));
    for (int i = 0; i < K * N; i++) b8[i] = (int8_t)(b[i] = (int32_t)(noise(&seed) * 2e9f));
    TnTensor t[] = {dense(a, TN_I32, 2, (int64_t[]){M, K}), dense(b, TN_I32, 2, (int64_t[]){K, N}),
                    dense(c, TN_I32, 2, (int64_t[]){M, N})};
    TnTensor t8[] = {dense(a8, TN_I8, 2, (int64_t[]){M, K}), dense(b8, TN_I8, 2, (int64_t[]){K, N}),
                     dense(c8, TN_I8, 2, (int64_t[]){M, N})};
    ParamsMatmul params = {.alpha = -3};
    FOR_EACH_ISA(isa) {
        call_kernel(isa, OP_matmul, &params, t, 2, 1, NULL, 0);
        call_kernel(isa, OP_matmul, &params, t8, 2, 1, NULL, 0);
        for (int i = 0; i < M; i++)
            for (int j = 0; j < N; j++) {
                uint32_t sum = 0, sum8 = 0;
                for (int k = 0; k < K; k++) {
                    sum += (uint32_t)a[i * K + k] * (uint32_t)b[k * N + j];
                    sum8 += (uint32_t)(a8[i * K + k] * b8[k * N + j]);
                }
                assert_int_equal(c[i * N + j], (int32_t)(-3 * (int64_t)(int32_t)sum));
                assert_int_equal(c8[i * N + j], (int8_t)(uint8_t)(0u - 3u * sum8));
            }
    }
}

static void doubles(void **state) {
    (void)state;
    enum { M = 140, N = 30, K = 50 };
    static double a[M * K], b[K * N], c[M * N];
    uint32_t seed = 1;
    for (int i = 0; i < M * K; i++) a[i] = (double)noise(&seed);
    for (int i = 0; i < K * N; i++) b[i] = (double)noise(&seed);
    ParamsMatmul params = {.alpha = 0.5f};
    for (int o = 0; o < 8; o++) {
        const int64_t sizes_of[3][2] = {{M, K}, {K, N}, {M, N}};
        TnTensor t[3];
        for (int i = 0; i < 3; i++) {
            t[i] = dense(i == 0 ? a : i == 1 ? b : c, TN_F64, 2, sizes_of[i]);
            if (o >> i & 1) t[i].strides[0] = 1, t[i].strides[1] = sizes_of[i][0];
        }
        memset(c, 0xff, sizeof c);
        call_kernel(TN_ISA_SCALAR, OP_matmul, &params, t, 2, 1, NULL, 0);
        for (int i = 0; i < M; i++)
            for (int j = 0; j < N; j++) {
                double sum = 0;
                for (int k = 0; k < K; k++)
                    sum += a[i * t[0].strides[0] + k * t[0].strides[1]] *
                           b[k * t[1].strides[0] + j * t[1].strides[1]];
                assert_true(fabs(c[i * t[2].strides[0] + j * t[2].strides[1]] - 0.5 * sum) <
                            1e-13 * K);
            }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(orders),   cmocka_unit_test(broadcast),
                                       cmocka_unit_test(sizes),    cmocka_unit_test(blocks),
                                       cmocka_unit_test(integers), cmocka_unit_test(doubles)};
    return cmocka_run_group_tests_name("matmul", tests, NULL, NULL);
}
