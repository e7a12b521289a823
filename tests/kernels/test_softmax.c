/* softmax on every ISA against double precision: every axis, odd extents, strides, all float types,
 * rows with infinities and NaN, in place. */
#include "tests/kernels/views.h"

static const TnDType types[] = {TN_F32, TN_F32, TN_F64, TN_F16, TN_BF16};

/* Probabilities relative to their size, logarithms (sums of terms of order 1) absolutely. */
static double tolerance(TnDType t, double value, int want_log) {
    double relative = t == TN_F64 ? 1e-13 : t == TN_F32 ? 2e-6 : t == TN_F16 ? 1e-3 : 8e-3;
    return relative * fmax(fabs(value), want_log ? 1 : 1e-2);
}

static void call_softmax(TnIsa isa, int axis, int want_log, TnTensor x, TnTensor y) {
    ParamsSoftmax params = {.axis = (uint32_t)axis, .log = (uint32_t)want_log};
    TnTensor operands[] = {x, y};
    call_kernel(isa, OP_softmax, &params, operands, 1, 1, NULL, 0);
}

/* Compares every element with its row in `x`, which `copy` holds as it was before the call. */
static void check_rows(const TnTensor *copy, const TnTensor *y, int axis, int want_log) {
    TnDType t = (TnDType)y->dtype;
    for (int64_t i = 0, n = view_count(y); i < n; i++) {
        int64_t index[TN_MAX_RANK];
        view_index(y, i, index);
        double own = real_get(t, view_at(copy, index, y->rank));
        double got = real_get(t, view_at(y, index, y->rank)), most = -INFINITY, sum = 0;
        for (index[axis] = 0; index[axis] < y->dims[axis]; index[axis]++)
            most = fmax(most, real_get(t, view_at(copy, index, y->rank)));
        for (index[axis] = 0; index[axis] < y->dims[axis]; index[axis]++)
            sum += exp(real_get(t, view_at(copy, index, y->rank)) - most);
        double want = want_log ? own - most - log(sum) : exp(own - most) / sum;
        if (!(fabs(got - want) <= tolerance(t, want, want_log)))
            fail_msg("element %d: %g, not %g", (int)i, got, want);
    }
}

static void every_axis(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 120; seed++) {
        uint32_t random = seed;
        TnDType t = types[seed % 5];
        int rank = 1 + (int)pick(&random, 4), axis = (int)pick(&random, (uint32_t)rank);
        int64_t dims[TN_MAX_RANK];
        for (int i = 0; i < rank; i++) dims[i] = 1 + pick(&random, 6);
        dims[axis] = 1 + pick(&random, t == TN_F32 ? 70 : 12);
        View x = view_new(t, rank, dims, pick(&random, 2) ? &random : NULL);
        View y = view_new(t, rank, dims, pick(&random, 2) ? &random : NULL);
        view_randomise(&x, &random);
        call_softmax(isa, axis, seed % 2, x.t, y.t);
        check_rows(&x.t, &y.t, axis, seed % 2);
        view_check(&x);
        view_check(&y);
        view_free(&x);
        view_free(&y);
    }
}

static void in_place(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (int want_log = 0; want_log < 2; want_log++) {
        int64_t dims[] = {300, 131};
        View x = view_new(TN_F32, 2, dims, NULL), before = view_new(TN_F32, 2, dims, NULL);
        uint32_t random = 3;
        view_randomise(&before, &random);
        memcpy(x.t.data, before.t.data, 300 * 131 * 4);
        call_softmax(isa, 1, want_log, x.t, x.t);
        check_rows(&before.t, &x.t, 1, want_log);
        view_check(&x);
        view_free(&x);
        view_free(&before);
    }
}

/* One special element among finite ones, at every place of a row. */
static void special_rows(void **state) {
    (void)state;
    enum { N = 35 };
    int64_t dims[] = {1, N};
    float x[N], y[N];
    FOR_EACH_ISA(isa) {
        for (int at = 0; at < N; at++)
            for (int special = 0; special < 3; special++) {
                for (int i = 0; i < N; i++) x[i] = 1;
                x[at] = special == 0 ? NAN : special == 1 ? INFINITY : -INFINITY;
                call_softmax(isa, 1, 0, dense(x, TN_F32, 2, dims), dense(y, TN_F32, 2, dims));
                for (int i = 0; i < N; i++) {
                    if (special < 2)
                        assert_true(isnan(y[i]));
                    else
                        assert_true(i == at ? y[i] == 0 : fabsf(y[i] - 1.0f / (N - 1)) < 1e-7f);
                }
            }
        for (int i = 0; i < N; i++) x[i] = -INFINITY;
        call_softmax(isa, 1, 0, dense(x, TN_F32, 2, dims), dense(y, TN_F32, 2, dims));
        for (int i = 0; i < N; i++) assert_true(isnan(y[i]));
        for (int i = 0; i < N; i++) x[i] = -1000; /* the unused lanes of a tail are not a maximum */
        call_softmax(isa, 1, 0, dense(x, TN_F32, 2, dims), dense(y, TN_F32, 2, dims));
        for (int i = 0; i < N; i++) assert_true(fabsf(y[i] - 1.0f / N) < 1e-7f);
        for (int i = 0; i < N; i++) x[i] = i % 2 ? 3e38f : -3e38f;
        call_softmax(isa, 1, 0, dense(x, TN_F32, 2, dims), dense(y, TN_F32, 2, dims));
        for (int i = 0; i < N; i++) assert_true(fabsf(y[i] - (float)(i % 2) / (N / 2)) < 1e-7f);
    }
}

static void empty(void **state) {
    (void)state;
    int64_t no_rows[] = {0, 4}, no_columns[] = {4, 0};
    float x = 1;
    FOR_EACH_ISA(isa) {
        call_softmax(isa, 1, 0, dense(&x, TN_F32, 2, no_rows), dense(&x, TN_F32, 2, no_rows));
        call_softmax(isa, 1, 0, dense(&x, TN_F32, 2, no_columns), dense(&x, TN_F32, 2, no_columns));
        assert_true(x == 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_axis),
        cmocka_unit_test(in_place),
        cmocka_unit_test(special_rows),
        cmocka_unit_test(empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
