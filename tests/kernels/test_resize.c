/* resize and resize_plane on every ISA against the formulas in double precision: lengths around
 * vector edges, every way to place the results, rows along and across the resampled axis. */
#include "tests/kernels/views.h"

typedef struct Case {
    ParamsResize p;
    int64_t outer, n, m, inner;
    double scale; /* 0: m / n */
    TnDType dtype;
} Case;

static double source(const Case *c, int64_t j) {
    double n = (double)c->n, s = c->scale > 0 ? (double)(float)c->scale : (double)c->m / n;
    double l = c->scale > 0 ? s * n : (double)c->m, center = ((double)j + 0.5) / s;
    switch (c->p.coordinates) {
    case TN_RESIZE_HALF_PIXEL_SYMMETRIC: return n / 2 * (1 - (double)c->m / l) + center - 0.5;
    case TN_RESIZE_PYTORCH_HALF_PIXEL: return l == 1 ? -0.5 : center - 0.5;
    case TN_RESIZE_TF_HALF_PIXEL: return center;
    case TN_RESIZE_ASYMMETRIC: return (double)j / s;
    case TN_RESIZE_ALIGN_CORNERS: return l == 1 ? 0 : (double)j * (n - 1) / (l - 1);
    case TN_RESIZE_CROP:
        return 0.25 * (n - 1) + 1.0 * (n - 1) * (l == 1 ? 0.5 : (double)j / (l - 1));
    default: return center - 0.5;
    }
}

static int64_t edge(const Case *c, double i) {
    return i < 0 ? 0 : i > (double)(c->n - 1) ? c->n - 1 : (int64_t)i;
}

static double weight(const Case *c, double stretch, double distance) {
    double d = fabs(distance) * stretch, a = c->p.cubic_a;
    if (c->p.mode == TN_RESIZE_LINEAR) return d < 1 ? 1 - d : 0;
    if (d <= 1) return (a + 2) * d * d * d - (a + 3) * d * d + 1;
    return d < 2 ? a * d * d * d - 5 * a * d * d + 8 * a * d - 4 * a : 0;
}

/* Of the n values that are `step` apart. */
static double expected(const Case *c, const TnTensor *x, int64_t row, int64_t j, int64_t k) {
    double at = source(c, j), near = (double)(float)at, low = floor(near), part = near - low;
    double s = c->scale > 0 ? (double)(float)c->scale : (double)c->m / (double)c->n;
    double stretch = c->p.flags & TN_RESIZE_ANTIALIAS && s < 1 ? s : 1, sum = 0, total = 0;
    if (c->p.coordinates == TN_RESIZE_CROP && !(near >= 0 && near <= (double)(c->n - 1)))
        return c->p.outside;
    if (c->p.mode == TN_RESIZE_NEAREST) {
        static const int round_up[] = {0, 1, 0, 2};
        int kind = round_up[c->p.nearest];
        int up = c->p.nearest == TN_RESIZE_FLOOR ? 0
                 : kind == 2                     ? part > 0
                 : kind == 1                     ? part >= 0.5
                                                 : part > 0.5;
        return any_get(c->dtype, view_at(x, (int64_t[]){row, edge(c, low + up), k}, 3));
    }
    for (int64_t i = (int64_t)floor(at - 2 / stretch) - 1; i <= at + 2 / stretch + 1; i++) {
        double w = weight(c, stretch, (double)i - at);
        if (c->p.flags & TN_RESIZE_EXCLUDE_OUTSIDE && (i < 0 || i >= c->n)) continue;
        sum += w * any_get(c->dtype, view_at(x, (int64_t[]){row, edge(c, (double)i), k}, 3));
        total += w;
    }
    return c->p.flags && total != 0 ? sum / total : sum;
}

/* Every other seed with strides of any order and gaps. */
static void check_case(TnIsa isa, const Case *c, uint32_t seed) {
    const int64_t xd[] = {c->outer, c->n, c->inner}, yd[] = {c->outer, c->m, c->inner}, three = 3;
    uint32_t random = seed;
    float grid[] = {(float)c->scale, 0.25f, 1.25f};
    uint32_t *shuffle = seed % 2 ? &random : NULL;
    View x = view_new(c->dtype, 3, xd, shuffle), y = view_new(c->dtype, 3, yd, shuffle);
    view_randomise(&x, &random);
    int absent = c->scale == 0 && c->p.coordinates != TN_RESIZE_CROP;
    TnTensor operands[] = {x.t, dense(absent ? NULL : grid, TN_F32, 1, &three), y.t};
    call_kernel(isa, OP_resize, &c->p, operands, 2, 1, NULL, 0);
    for (int64_t i = 0, count = view_count(&y.t); i < count; i++) {
        int64_t at[3];
        view_index(&y.t, i, at);
        double want = expected(c, &x.t, at[0], at[1], at[2]);
        double got = any_get(c->dtype, view_at(&y.t, at, 3));
        double size = c->p.mode == TN_RESIZE_NEAREST ? 0 : c->dtype == TN_F64 ? 1e-12 : 3e-5;
        if (!(fabs(got - want) <= size))
            fail_msg("seed %u, position %d: %.9g, not %.9g", seed, (int)at[1], got, want);
    }
    view_check(&y);
    view_free(&x), view_free(&y);
}

static void random_shapes(void **state) {
    (void)state;
    static const TnDType types[] = {TN_F32, TN_F32, TN_F64, TN_U8, TN_F16, TN_I32};
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 1500; seed++) {
        uint32_t random = seed;
        Case c = {.outer = 1 + pick(&random, 3), .n = 1 + pick(&random, 40)};
        c.m = 1 + pick(&random, 70);
        c.inner = pick(&random, 2) ? 1 : 1 + pick(&random, 20);
        c.p = (ParamsResize){.axis = 1, .cubic_a = -0.5 - 0.25 * pick(&random, 2), .outside = 7};
        c.p.mode = pick(&random, 3);
        c.p.coordinates = pick(&random, TN_RESIZE_COORDINATES_COUNT);
        c.p.nearest = pick(&random, 4);
        if (c.p.mode != TN_RESIZE_NEAREST) c.p.flags = pick(&random, 4);
        c.dtype = types[pick(&random, c.p.mode == TN_RESIZE_NEAREST ? 6 : 3)];
        if (pick(&random, 3) == 0) {
            c.scale = (double)(1 + pick(&random, 300)) / 100;
            c.m = (int64_t)floor((double)c.n * (double)(float)c.scale);
        }
        check_case(isa, &c, seed);
    }
}

/* Long enough for several tasks, along the last axis and across it. */
static void large(void **state) {
    (void)state;
    Case c = {{.axis = 1, .mode = TN_RESIZE_LINEAR}, 3, 700, 9001, 1, 0, TN_F32};
    FOR_EACH_ISA(isa) {
        check_case(isa, &c, 1);
        Case across = {c.p, 2, 60, 150, 330, 0, TN_F32};
        check_case(isa, &across, 2);
        Case shrunk = {c.p, 2, 5000, 3, 1, 0, TN_F32};
        shrunk.p.flags = TN_RESIZE_ANTIALIAS;
        check_case(isa, &shrunk, 3);
    }
}

/* A scale computed during the run may be anything: results stay inside x. */
static void senseless_scales(void **state) {
    (void)state;
    const int64_t xd[] = {1, 5, 1}, yd[] = {1, 9, 1}, three = 3;
    const float scales[] = {NAN, -1, INFINITY, 1e-38f, 3e38f, 1e-3f};
    FOR_EACH_ISA(isa)
    for (uint32_t k = 0; k < 6 * 3 * TN_RESIZE_COORDINATES_COUNT * 4; k++) {
        ParamsResize p = {.axis = 1, .mode = k % 3, .coordinates = k / 3 % 7, .flags = k / 21 % 4};
        float x[] = {1, 2, 3, 4, 5}, y[9], grid[] = {scales[k / 84 % 6], NAN, 1e30f};
        TnTensor operands[] = {dense(x, TN_F32, 3, xd), dense(grid, TN_F32, 1, &three),
                               dense(y, TN_F32, 3, yd)};
        call_kernel(isa, OP_resize, &p, operands, 2, 1, NULL, 0);
    }
}

/* x[row, n, inner] resized along its middle axis, in double. */
static double *resized(const Case *c, double *x) {
    const int64_t dims[] = {c->outer, c->n, c->inner};
    TnTensor t = dense(x, TN_F64, 3, dims);
    double *y = malloc((size_t)(c->outer * c->m * c->inner) * sizeof *y);
    assert_non_null(y);
    for (int64_t i = 0; i < c->outer * c->m * c->inner; i++)
        y[i] = expected(c, &t, i / c->inner / c->m, i / c->inner % c->m, i % c->inner);
    return y;
}

typedef struct PlaneCase {
    ParamsResizePlane p;
    int64_t xd[4], yd[4]; /* down is axis 1, across axis 2 */
    int adds, in_place;
} PlaneCase;

/* One axis after the other, in double. */
static void check_plane(TnIsa isa, const PlaneCase *c, uint32_t seed) {
    uint32_t random = seed, *shuffle = pick(&random, 3) ? &random : NULL;
    View x = view_new(TN_F32, 4, c->xd, pick(&random, 2) ? shuffle : NULL);
    View y = view_new(TN_F32, 4, c->yd, shuffle);
    View addend = view_new(TN_F32, 4, c->yd, pick(&random, 2) ? shuffle : NULL);
    view_randomise(&x, &random), view_randomise(&addend, &random);
    double *whole = malloc((size_t)view_count(&x.t) * sizeof *whole);
    assert_non_null(whole);
    for (int64_t i = 0; i < view_count(&x.t); i++)
        whole[i] = any_get(TN_F32, view_element(&x.t, i));
    const int64_t *n = c->xd, *m = c->yd;
    Case across = {c->p.resize, n[0] * n[1], n[2], m[2], n[3], 0, TN_F64}, down = across;
    down.outer = n[0], down.n = n[1], down.m = m[1], down.inner = m[2] * n[3];
    double *wide = resized(&across, whole), *want = resized(&down, wide);
    for (int64_t i = 0; c->adds && i < view_count(&y.t); i++)
        want[i] += any_get(TN_F32, view_element(&addend.t, i));
    TnTensor none = {.dtype = TN_NONE};
    TnTensor operands[] = {x.t, none, none, c->adds ? addend.t : none,
                           c->in_place ? addend.t : y.t};
    call_kernel(isa, OP_resize_plane, &c->p, operands, 4, 1, NULL, 0);
    for (int64_t i = 0; i < view_count(&y.t); i++) {
        double got = any_get(TN_F32, view_element(&operands[4], i));
        if (!(fabs(got - want[i]) <= 3e-5))
            fail_msg("seed %u, result %d: %.9g, not %.9g", seed, (int)i, got, want[i]);
    }
    view_check(c->in_place ? &addend : &y);
    view_free(&x), view_free(&y), view_free(&addend);
    free(whole), free(wide), free(want);
}

static void planes(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 400; seed++) {
        uint32_t random = seed;
        PlaneCase c = {.p = {.resize = {.axis = 2, .cubic_a = -0.75}, .down = 1}};
        c.p.resize.mode = pick(&random, 3);
        c.p.resize.coordinates = pick(&random, TN_RESIZE_CROP);
        c.p.resize.nearest = pick(&random, 4);
        if (c.p.resize.mode != TN_RESIZE_NEAREST) c.p.resize.flags = pick(&random, 2);
        c.xd[0] = c.yd[0] = 1 + pick(&random, 2);
        c.xd[3] = c.yd[3] = pick(&random, 2) ? 1 : 1 + pick(&random, 40);
        for (int i = 1; i < 3; i++) {
            c.xd[i] = 1 + pick(&random, 9);
            c.yd[i] = 1 + pick(&random, 30);
        }
        c.adds = (int)pick(&random, 2);
        c.in_place = c.adds && pick(&random, 2);
        check_plane(isa, &c, seed);
    }
}

/* Several tasks, several lines for a row, and results that go past the caches. */
static void large_planes(void **state) {
    (void)state;
    PlaneCase several = {.p = {.resize = {.axis = 2, .mode = TN_RESIZE_LINEAR}, .down = 1},
                         .xd = {2, 30, 50, 64},
                         .yd = {2, 41, 700, 64},
                         .adds = 1};
    PlaneCase past = several;
    past.xd[2] = 11, past.yd[1] = 150, past.yd[2] = 1000, past.adds = 0;
    past.xd[0] = past.yd[0] = 1;
    FOR_EACH_ISA(isa) {
        check_plane(isa, &several, 3);
        check_plane(isa, &past, 3);
    }
}

/* A scale computed during the run may be anything: lines and results stay inside. */
static void senseless_planes(void **state) {
    (void)state;
    const int64_t xd[] = {5, 4}, yd[] = {9, 7}, three = 3;
    const float scales[] = {NAN, -1, INFINITY, 1e-38f, 3e38f, 1e-3f};
    FOR_EACH_ISA(isa)
    for (uint32_t k = 0; k < 6 * 6 * 3 * TN_RESIZE_CROP * 2; k++) {
        ParamsResizePlane p = {.resize = {.axis = 1, .mode = k % 3, .coordinates = k / 3 % 6}};
        p.resize.flags = k / 18 % 2;
        float x[20] = {1, 2, 3}, y[63];
        float grids[2][3] = {{scales[k / 36 % 6], NAN, 1e30f}, {scales[k / 216 % 6], NAN, 1e30f}};
        TnTensor none = {.dtype = TN_NONE};
        TnTensor operands[] = {dense(x, TN_F32, 2, xd), dense(grids[0], TN_F32, 1, &three),
                               dense(grids[1], TN_F32, 1, &three), none, dense(y, TN_F32, 2, yd)};
        call_kernel(isa, OP_resize_plane, &p, operands, 4, 1, NULL, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_shapes),    cmocka_unit_test(large),
        cmocka_unit_test(senseless_scales), cmocka_unit_test(planes),
        cmocka_unit_test(large_planes),     cmocka_unit_test(senseless_planes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
