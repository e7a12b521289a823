/* pool on every ISA against plain loops: all modes and element types, 1 to 3 spatial axes, windows
 * that hang over either end, places in both orders, strided operands, images channels last. */
#include "tests/kernels/views.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static const TnDType floats[] = {TN_F32, TN_F64, TN_F16, TN_BF16},
                     all[] = {TN_F32, TN_I8, TN_U8, TN_F16, TN_I32, TN_F64, TN_BF16, TN_U16};

typedef struct Case {
    ParamsPool p;
    int64_t scalars[6]; /* padding */
    const View *x;
} Case;

typedef struct Window {
    double largest, sum; /* of |x|^p for a p-norm */
    int64_t count, place;
    int any;
} Window;

/* The tap with this number, counted in row-major order, of the window at y. */
static void take(const Case *c, const int64_t *y, int64_t tap, Window *w) {
    const TnTensor *x = &c->x->t;
    int spatial = (int)c->p.spatial, inside = 1, beyond = 0;
    int64_t at[5] = {y[0], y[1]}, place = 0, step = 1, offset = (y[0] * x->dims[1] + y[1]);
    for (int i = spatial - 1; i >= 0; i--) {
        at[2 + i] =
            y[2 + i] * c->p.stride[i] + tap % c->p.kernel[i] * c->p.dilation[i] - c->scalars[i];
        tap /= c->p.kernel[i];
        inside &= at[2 + i] >= 0 && at[2 + i] < x->dims[2 + i];
        beyond |= at[2 + i] >= x->dims[2 + i] + c->scalars[spatial + i];
    }
    w->count += inside || (!beyond && c->p.flags & TN_POOL_COUNT_PADS);
    if (!inside) return;
    for (int k = 0; k < spatial; k++) {
        int i = c->p.flags & TN_POOL_COLUMNS ? k : spatial - 1 - k;
        place += at[2 + i] * step;
        step *= x->dims[2 + i];
    }
    double v = any_get((TnDType)x->dtype, view_at(x, at, x->rank));
    if (!w->any || v > w->largest || (isnan(v) && !isnan(w->largest))) {
        w->largest = v;
        w->place = offset * step + place;
    }
    w->any = 1;
    w->sum += c->p.mode == TN_POOL_LP ? pow(fabs(v), c->p.p) : v;
}

static double lowest(TnDType t) {
    return tn_is_float(t) ? -INFINITY : t == TN_I8 ? -128 : t == TN_I32 ? -2147483648.0 : 0;
}

static void check_result(const Case *c, const View *y, const View *places, const int64_t *at) {
    Window w = {.largest = lowest((TnDType)y->t.dtype)};
    int64_t taps = 1;
    for (uint32_t i = 0; i < c->p.spatial; i++) taps *= c->p.kernel[i];
    for (int64_t t = 0; t < taps; t++) take(c, at, t, &w);
    TnDType t = (TnDType)y->t.dtype;
    double got = any_get(t, view_at(&y->t, at, y->t.rank)), want = w.largest;
    if (c->p.mode == TN_POOL_AVG) want = w.sum / (double)w.count;
    if (c->p.mode == TN_POOL_LP) want = pow(w.sum, 1 / c->p.p);
    if (places->t.data) {
        int64_t place = int_get(TN_I64, view_at(&places->t, at, places->t.rank));
        assert_int_equal(place, w.place);
    }
    if (isnan(want) && isnan(got)) return;
    double near = t == TN_BF16 ? 1e-2 : t == TN_F16 ? 2e-3 : 2e-5;
    if (c->p.mode == TN_POOL_MAX) near = 0;
    if (got != want && !(fabs(got - want) <= near * fmax(1, fabs(want))))
        fail_msg("%g, not %g", got, want);
}

/* A view of dims [b, c, ..] in which neighbouring channels lie side by side. */
static View channels_last(TnDType t, int rank, const int64_t *dims) {
    int64_t order[5] = {dims[0]};
    for (int i = 2; i < rank; i++) order[i - 1] = dims[i];
    order[rank - 1] = dims[1];
    View v = view_new(t, rank, order, NULL);
    for (int i = rank - 1; i > 1; i--) {
        v.t.dims[i] = dims[i];
        v.t.strides[i] = v.t.strides[i - 1];
    }
    v.t.dims[1] = dims[1];
    v.t.strides[1] = 1;
    return v;
}

static void check_pool(TnIsa isa, uint32_t seed, bool by_channels) {
    uint32_t random = seed;
    Case c = {.p = {.spatial = 1 + pick(&random, 3), .mode = seed % TN_POOL_MODE_COUNT, .p = 2}};
    int spatial = (int)c.p.spatial, rank = 2 + spatial;
    int64_t xd[5], yd[5];
    TnDType t = c.p.mode == TN_POOL_MAX ? all[pick(&random, COUNT(all))]
                                        : floats[pick(&random, COUNT(floats))];
    c.p.p = pick(&random, 3) ? 2 : 0.5 + pick(&random, 4) / 2.0;
    c.p.flags = pick(&random, 4);
    if (c.p.mode == TN_POOL_MAX) c.p.flags &= TN_POOL_COLUMNS;
    for (int i = 0; i < 2; i++) yd[i] = xd[i] = 1 + pick(&random, 3);
    for (int i = 0; i < spatial; i++) {
        c.p.kernel[i] = 1 + pick(&random, 4);
        c.p.stride[i] = 1 + pick(&random, 3);
        c.p.dilation[i] = 1 + pick(&random, 3);
        c.scalars[i] = pick(&random, 4);
        c.scalars[spatial + i] = pick(&random, 4);
        xd[2 + i] = 1 + pick(&random, i == spatial - 1 ? 70 : 6);
        int64_t padded = xd[2 + i] + c.scalars[i] + c.scalars[spatial + i];
        yd[2 + i] = 1 + pick(&random, (uint32_t)((padded - 1) / c.p.stride[i] + 1));
    }
    if (by_channels) {
        t = pick(&random, 3) ? TN_F32 : TN_BF16;
        yd[1] = xd[1] = 1 + pick(&random, 75);
        xd[rank - 1] = (xd[rank - 1] + 6) / 7; /* fewer columns, as many elements */
        int64_t padded = xd[rank - 1] + c.scalars[spatial - 1] + c.scalars[2 * spatial - 1];
        yd[rank - 1] = 1 + pick(&random, (uint32_t)((padded - 1) / c.p.stride[spatial - 1] + 1));
    }
    View x = by_channels ? channels_last(t, rank, xd)
                         : view_new(t, rank, xd, pick(&random, 2) ? &random : NULL);
    View y = by_channels ? channels_last(t, rank, yd)
                         : view_new(t, rank, yd, pick(&random, 2) ? &random : NULL);
    View places = {.t = {.dtype = TN_NONE}};
    if (c.p.mode == TN_POOL_MAX && pick(&random, 2))
        places = view_new(TN_I64, rank, yd, pick(&random, 2) ? &random : NULL);
    view_randomise(&x, &random);
    for (int64_t i = 0, n = view_count(&x.t); i < n; i++)
        if (tn_is_float(t) && pick(&random, 30) == 0) real_set(t, view_element(&x.t, i), NAN);
    c.x = &x;
    TnTensor operands[] = {x.t, y.t, places.t};
    call_kernel(isa, OP_pool, &c.p, operands, 1, 2, c.scalars, 2 * spatial);
    for (int64_t i = 0, n = view_count(&y.t); i < n; i++) {
        int64_t at[5];
        view_index(&y.t, i, at);
        check_result(&c, &y, &places, at);
    }
    view_check(&y);
    if (places.bytes) view_check(&places);
    view_free(&x), view_free(&y), view_free(&places);
}

static void pools(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 400; seed++) check_pool(isa, seed, false);
}

static void pools_of_channels(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 400; seed++) check_pool(isa, seed, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pools),
                                       cmocka_unit_test(pools_of_channels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
