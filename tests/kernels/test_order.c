/* Kernels that order and select, on every ISA: topk against selection one by one. */
#include "tests/kernels/views.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static const TnDType types[] = {TN_F32, TN_F16, TN_BF16, TN_F64, TN_I8,  TN_I16,
                                TN_I32, TN_I64, TN_U8,   TN_U16, TN_U32, TN_U64};

/* Whether `a` comes before `b` in ascending order; NaN comes last. */
static int below(TnDType t, const void *a, const void *b) {
    if (tn_is_float(t)) {
        double x = real_get(t, a), y = real_get(t, b);
        return isnan(y) ? !isnan(x) : x < y;
    }
    int64_t x = int_get(t, a), y = int_get(t, b);
    return t == TN_U64 ? (uint64_t)x < (uint64_t)y : x < y;
}

static void add_specials(const View *x, uint32_t *random) {
    static const double special[] = {0.0, -0.0, INFINITY, -INFINITY, NAN};
    TnDType t = (TnDType)x->t.dtype;
    for (int64_t i = 0, n = view_count(&x->t); i < n; i++)
        if (tn_is_float(t) && pick(random, 6) == 0)
            real_set(t, view_element(&x->t, i), special[pick(random, COUNT(special))]);
}

static void check_topk(TnIsa isa, uint32_t seed, int64_t length) {
    uint32_t random = seed;
    TnDType t = types[seed % COUNT(types)];
    int rank = 1 + (int)pick(&random, 3), axis = (int)pick(&random, (uint32_t)rank);
    int64_t xd[3], yd[3], k = pick(&random, (uint32_t)length + 1);
    for (int i = 0; i < rank; i++) yd[i] = xd[i] = 1 + pick(&random, 5);
    xd[axis] = length;
    yd[axis] = length > 500 ? k % 40 : k;
    k = yd[axis];
    ParamsTopk params = {.axis = (uint32_t)axis, .flags = seed & 1 ? TN_TOPK_SMALLEST : 0};
    View x = view_new(t, rank, xd, pick(&random, 2) ? &random : NULL);
    View y = view_new(t, rank, yd, pick(&random, 2) ? &random : NULL);
    View places = view_new(TN_I64, rank, yd, pick(&random, 2) ? &random : NULL);
    view_randomise(&x, &random);
    add_specials(&x, &random);
    TnTensor operands[] = {x.t, y.t, places.t};
    call_kernel(isa, OP_topk, &params, operands, 1, 2, NULL, 0);
    for (int64_t i = 0, n = view_count(&y.t); i < n; i++) {
        int64_t at[3], from[3];
        view_index(&y.t, i, at);
        memcpy(from, at, sizeof at);
        /* how many come before this place's element, which must be j of them */
        int64_t best = int_get(TN_I64, view_at(&places.t, at, rank));
        assert_in_range(best, 0, length - 1);
        from[axis] = best;
        const void *mine = view_at(&x.t, from, rank);
        assert_memory_equal(mine, view_at(&y.t, at, rank), tn_dtype_size(t));
        int64_t before = 0;
        for (int64_t p = 0; p < length; p++) {
            from[axis] = p;
            const void *other = view_at(&x.t, from, rank);
            int wins = seed & 1 ? below(t, other, mine) : below(t, mine, other);
            int ties = !below(t, other, mine) && !below(t, mine, other);
            before += wins || (ties && p < best);
        }
        assert_int_equal(before, at[axis]);
    }
    view_check(&y), view_check(&places);
    view_free(&x), view_free(&y), view_free(&places);
}

static void topk(void **state) {
    (void)state;
    FOR_EACH_ISA(isa) {
        for (uint32_t seed = 0; seed < 200; seed++) check_topk(isa, seed, 1 + seed % 23);
        for (uint32_t seed = 0; seed < 12; seed++) check_topk(isa, seed, 1500);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(topk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
