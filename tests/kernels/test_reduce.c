/* reduce and cumsum on every ISA against plain loops: all types, axis masks and strides, NaN, empty
 * reductions, accuracy of long sums. */
#include "tests/kernels/views.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static const TnDType types[] = {TN_F32, TN_F64,  TN_I32, TN_I64, TN_U8,
                                TN_U64, TN_BOOL, TN_F16, TN_I8};

static void call_reduce(TnIsa isa, TnReduction kind, uint32_t axes, TnTensor x, TnTensor y) {
    ParamsReduce params = {.kind = (uint32_t)kind, .axes = axes};
    TnTensor operands[] = {x, y};
    call_kernel(isa, OP_reduce, &params, operands, 1, 1, NULL, 0);
}

static double combine(TnReduction kind, double a, double b) {
    switch (kind) {
    case TN_REDUCE_MAX: return fmax(a, b);
    case TN_REDUCE_MIN: return fmin(a, b);
    case TN_REDUCE_PROD: return a * b;
    default: return a + b;
    }
}

static int64_t combine_int(TnDType t, TnReduction kind, int64_t a, int64_t b) {
    int less = t == TN_U64 ? (uint64_t)a < (uint64_t)b : a < b;
    switch (kind) {
    case TN_REDUCE_MAX: return less ? b : a;
    case TN_REDUCE_MIN: return less ? a : b;
    case TN_REDUCE_PROD: return (int64_t)((uint64_t)a * (uint64_t)b);
    default: return (int64_t)((uint64_t)a + (uint64_t)b);
    }
}

/* Reduces the elements of x that share y's index `at`, and compares. */
static void check_result(TnReduction kind, uint32_t axes, const TnTensor *x, const TnTensor *y,
                         const int64_t *at) {
    TnDType t = (TnDType)x->dtype;
    double real = 0, size = 0;
    int64_t whole = 0, count = 0;
    for (int64_t i = 0, n = view_count(x); i < n; i++) {
        int64_t index[TN_MAX_RANK];
        int mine = 1;
        view_index(x, i, index);
        for (int a = 0; a < x->rank; a++) mine &= (axes >> a & 1) || index[a] == at[a];
        if (!mine) continue;
        const void *p = view_at(x, index, x->rank);
        double v = tn_is_float(t) ? real_get(t, p) : 0;
        int64_t w = tn_is_float(t) ? 0 : int_get(t, p);
        real = count ? combine(kind, real, v) : v;
        whole = count ? combine_int(t, kind, whole, w) : w;
        size += fabs(v);
        count++;
    }
    const void *p = view_at(y, at, y->rank);
    if (tn_is_float(t)) {
        if (kind == TN_REDUCE_MEAN) real /= (double)count, size /= (double)count;
        double epsilon = t == TN_F64 ? 1e-14 : t == TN_F32 ? 2e-7 : 1e-3;
        double bound =
            epsilon * (kind == TN_REDUCE_PROD ? fabs(real) : size) + (t == TN_F16 ? 1e-7 : 0);
        if (!isfinite(round_to(t, real))) bound = INFINITY;
        if (!(fabs(real_get(t, p) - real) <= bound)) fail_msg("%g, not %g", real_get(t, p), real);
        return;
    }
    if (kind == TN_REDUCE_MEAN)
        whole = t == TN_U64 ? (int64_t)((uint64_t)whole / (uint64_t)count) : whole / count;
    int64_t want = 0;
    int_set(t, &want, t == TN_BOOL ? whole != 0 : whole);
    if (int_get(t, p) != int_get(t, &want))
        fail_msg("%s kind %d: %lld, not %lld", tn_dtype_name(t), (int)kind,
                 (long long)int_get(t, p), (long long)whole);
}

static void axes_and_strides(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 400; seed++) {
        uint32_t random = seed;
        TnDType t = types[seed % COUNT(types)];
        TnReduction kind = (TnReduction)pick(&random, TN_REDUCE_COUNT);
        int rank = 1 + (int)pick(&random, 4);
        uint32_t axes = pick(&random, 1u << rank);
        int64_t dims[TN_MAX_RANK], results[TN_MAX_RANK];
        for (int i = 0; i < rank; i++) {
            dims[i] = pick(&random, 6) == 0 ? 37 : 1 + pick(&random, 5);
            results[i] = axes >> i & 1 ? 1 : dims[i];
        }
        View x = view_new(t, rank, dims, pick(&random, 2) ? &random : NULL);
        View y = view_new(t, rank, results, pick(&random, 2) ? &random : NULL);
        view_randomise(&x, &random);
        call_reduce(isa, kind, axes, x.t, y.t);
        int64_t n = view_count(&y.t);
        for (int64_t i = 0; i < n; i += 1 + n / 40) {
            int64_t at[TN_MAX_RANK];
            view_index(&y.t, i, at);
            check_result(kind, axes, &x.t, &y.t, at);
        }
        view_check(&y);
        view_free(&x), view_free(&y);
    }
}

static void wide_columns(void **state) {
    (void)state;
    uint32_t random = 1;
    FOR_EACH_ISA(isa)
    for (uint32_t turn = 0; turn < 8 * TN_REDUCE_PROD; turn++) { /* products leave the range */
        TnReduction kind = (TnReduction)(turn / 8);
        uint32_t axes = turn % 8;
        int64_t dims[] = {2, 37, 211}, results[3];
        for (int i = 0; i < 3; i++) results[i] = axes >> i & 1 ? 1 : dims[i];
        View x = view_new(TN_F32, 3, dims, NULL), y = view_new(TN_F32, 3, results, NULL);
        view_randomise(&x, &random);
        call_reduce(isa, kind, axes, x.t, y.t);
        int64_t n = view_count(&y.t), at[3];
        for (int64_t i = 0; i < n; i += 1 + n / 30) {
            view_index(&y.t, i, at);
            check_result(kind, axes, &x.t, &y.t, at);
        }
        view_check(&y);
        view_free(&x), view_free(&y);
    }
}

static void not_a_number(void **state) {
    (void)state;
    enum { N = 37 };
    FOR_EACH_ISA(isa)
    for (int at = 0; at < N; at++)
        for (int kind = 0; kind < TN_REDUCE_COUNT; kind++)
            for (int axis = 0; axis < 2; axis++) {
                float x[N], y;
                int64_t dims[] = {axis ? 1 : N, axis ? N : 1}, one[] = {1, 1};
                for (int i = 0; i < N; i++) x[i] = (float)i;
                x[at] = NAN;
                call_reduce(isa, (TnReduction)kind, 1u << axis, dense(x, TN_F32, 2, dims),
                            dense(&y, TN_F32, 2, one));
                assert_true(isnan(y));
            }
}

/* One element of a column is not a number: only that column's result is none. */
static void not_a_number_in_columns(void **state) {
    (void)state;
    enum { ROWS = 67, N = 45 };
    int64_t dims[] = {ROWS, N}, results[] = {1, N};
    FOR_EACH_ISA(isa)
    for (int at = 0; at < ROWS * N; at += 29)
        for (int kind = 0; kind < TN_REDUCE_COUNT; kind++) {
            float x[ROWS * N], y[N];
            for (int i = 0; i < ROWS * N; i++) x[i] = 1 + (float)(i % 3) / 8;
            x[at] = NAN;
            call_reduce(isa, (TnReduction)kind, 1, dense(x, TN_F32, 2, dims),
                        dense(y, TN_F32, 2, results));
            for (int i = 0; i < N; i++) assert_true(!isnan(y[i]) == (i != at % N));
        }
}

static void nothing(void **state) {
    (void)state;
    static const double real[TN_REDUCE_COUNT] = {0, NAN, -INFINITY, INFINITY, 1};
    static const int64_t whole[TN_REDUCE_COUNT] = {0, 0, INT32_MIN, INT32_MAX, 1};
    int64_t dims[] = {2, 0}, results[] = {2, 1};
    FOR_EACH_ISA(isa)
    for (int kind = 0; kind < TN_REDUCE_COUNT; kind++) {
        float x = 0, y[2] = {5, 5};
        int32_t v = 0, w[2] = {5, 5};
        call_reduce(isa, (TnReduction)kind, 2, dense(&x, TN_F32, 2, dims),
                    dense(y, TN_F32, 2, results));
        call_reduce(isa, (TnReduction)kind, 2, dense(&v, TN_I32, 2, dims),
                    dense(w, TN_I32, 2, results));
        assert_true((double)y[1] == real[kind] || (isnan(y[1]) && isnan(real[kind])));
        assert_true(w[0] == whole[kind]);
    }
}

/* A million equal terms: added one by one in float they would be off by a hundredth. */
static void long_sum(void **state) {
    (void)state;
    enum { N = 1 << 20 };
    float *x = malloc(N * sizeof *x), y;
    for (int i = 0; i < N; i++) x[i] = 0.1f;
    FOR_EACH_ISA(isa) {
        call_reduce(isa, TN_REDUCE_MEAN, 1, dense(x, TN_F32, 1, (int64_t[]){N}),
                    dense(&y, TN_F32, 1, (int64_t[]){1}));
        assert_true(fabsf(y - 0.1f) < 2e-7f);
    }
    free(x);
}

static int64_t running_int(int64_t total, int64_t x, int product) {
    return (int64_t)(product ? (uint64_t)total * (uint64_t)x : (uint64_t)total + (uint64_t)x);
}

/* Products are rounded in another order from the end. */
static int close_to(TnDType t, double got, double want, int product) {
    double ulp = t == TN_F64 ? 0x1p-40 : t == TN_F32 ? 0x1p-22 : 0x1p-7;
    if (got == want || (isnan(got) && isnan(want))) return 1;
    return fabs(got - want) <= (product ? 1e-6 + fabs(want) * ulp : 1e-12);
}

static void running_sums(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 300; seed++) {
        uint32_t random = seed;
        TnDType t = types[seed % COUNT(types)];
        int rank = 1 + (int)pick(&random, 3), axis = (int)pick(&random, (uint32_t)rank);
        int64_t dims[TN_MAX_RANK];
        for (int i = 0; i < rank; i++) dims[i] = 1 + pick(&random, 6);
        if (pick(&random, 3) == 0) dims[axis] = 300;
        ParamsCumsum params = {.axis = (uint32_t)axis, .flags = pick(&random, 8)};
        int exclusive = params.flags & TN_CUMSUM_EXCLUSIVE,
            reverse = params.flags & TN_CUMSUM_REVERSE, product = params.flags & TN_CUMSUM_PRODUCT;
        View x = view_new(t, rank, dims, pick(&random, 2) ? &random : NULL);
        View y = view_new(t, rank, dims, pick(&random, 2) ? &random : NULL);
        view_randomise(&x, &random);
        TnTensor operands[] = {x.t, y.t};
        call_kernel(isa, OP_cumsum, &params, operands, 1, 1, NULL, 0);
        for (int64_t i = 0, n = view_count(&y.t); i < n; i++) {
            int64_t index[TN_MAX_RANK], whole = product ? 1 : 0;
            double real = product ? 1 : 0;
            view_index(&y.t, i, index);
            const void *p = view_at(&y.t, index, rank);
            int64_t own = index[axis], from = reverse ? own : 0,
                    to = reverse ? dims[axis] - 1 : own;
            for (int64_t k = from; k <= to; k++) {
                index[axis] = k;
                if (exclusive && k == own) continue;
                const void *q = view_at(&x.t, index, rank);
                if (tn_is_float(t))
                    real = product ? real * real_get(t, q) : real + real_get(t, q);
                else
                    whole = running_int(whole, int_get(t, q), product);
            }
            int64_t want = 0;
            int_set(t, &want, t == TN_BOOL ? whole != 0 : whole);
            if (tn_is_float(t))
                assert_true(close_to(t, real_get(t, p), round_to(t, real), product));
            else
                assert_memory_equal(p, &want, tn_dtype_size(t));
        }
        view_check(&y);
        view_free(&x), view_free(&y);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axes_and_strides), cmocka_unit_test(wide_columns),
        cmocka_unit_test(not_a_number),     cmocka_unit_test(not_a_number_in_columns),
        cmocka_unit_test(nothing),          cmocka_unit_test(long_sum),
        cmocka_unit_test(running_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
