/* conv on every ISA against plain loops: 1 to 3 spatial axes, groups, strides, dilation, padding on
 * either side, extents around vector and tile edges, strided operands, f32 and f64. */
#include "tests/kernels/views.h"

typedef struct Case {
    int spatial;
    int64_t batch, groups, channels, outputs; /* per group */
    int64_t in[3], kernel[3];
    uint32_t stride[3], dilation[3], pad_begin[3], pad_end[3];
    int bias;
} Case;

static double at(const TnTensor *t, const int64_t *index) {
    return real_get((TnDType)t->dtype, view_at(t, index, t->rank));
}

/* The sum for one result, over every tap that lies inside x; *size is the sum of absolute values.
 */
static double expected(const Case *c, const TnTensor *x, const TnTensor *w, const int64_t *y,
                       double *size) {
    double sum = 0;
    int64_t taps = c->channels;
    for (int i = 0; i < c->spatial; i++) taps *= c->kernel[i];
    for (int64_t t = 0; t < taps; t++) {
        int64_t wi[5] = {y[1]}, xi[5] = {y[0]}, rest = t;
        int inside = 1;
        for (int i = c->spatial - 1; i >= 0; i--) {
            wi[2 + i] = rest % c->kernel[i];
            rest /= c->kernel[i];
            xi[2 + i] = y[2 + i] * c->stride[i] + wi[2 + i] * c->dilation[i] - c->pad_begin[i];
            inside &= xi[2 + i] >= 0 && xi[2 + i] < c->in[i];
        }
        wi[1] = rest;
        xi[1] = y[1] / c->outputs * c->channels + rest;
        double term = inside ? at(x, xi) * at(w, wi) : 0;
        sum += term;
        *size += fabs(term);
    }
    return sum;
}

static void check_case(TnIsa isa, const Case *c, uint32_t seed) {
    uint32_t random = seed;
    int rank = 2 + c->spatial;
    TnDType t = seed % 4 == 3 ? TN_F64 : TN_F32;
    int64_t xd[5] = {c->batch, c->groups * c->channels},
            wd[5] = {c->groups * c->outputs, c->channels};
    int64_t yd[5] = {c->batch, c->groups * c->outputs};
    ParamsConv params = {.spatial = (uint32_t)c->spatial, .groups = (uint32_t)c->groups};
    for (int i = 0; i < c->spatial; i++) {
        xd[2 + i] = c->in[i], wd[2 + i] = c->kernel[i];
        int64_t padded = c->in[i] + c->pad_begin[i] + c->pad_end[i];
        yd[2 + i] = (padded - (c->kernel[i] - 1) * c->dilation[i] - 1) / c->stride[i] + 1;
        params.stride[i] = c->stride[i], params.dilation[i] = c->dilation[i];
        params.pad_begin[i] = c->pad_begin[i], params.pad_end[i] = c->pad_end[i];
    }
    View x = view_new(t, rank, xd, seed % 3 ? NULL : &random), w = view_new(t, rank, wd, NULL);
    View y = view_new(t, rank, yd, seed % 3 ? NULL : &random);
    View bias = view_new(t, 1, &yd[1], NULL);
    view_randomise(&x, &random);
    view_randomise(&w, &random);
    view_randomise(&bias, &random);
    if (!c->bias) bias.t.data = NULL;
    TnTensor operands[] = {x.t, w.t, bias.t, y.t};
    call_kernel(isa, OP_conv, &params, operands, 3, 1, NULL, 0);
    for (int64_t i = 0, n = view_count(&y.t); i < n; i += 1 + n / 400) {
        int64_t index[5];
        view_index(&y.t, i, index);
        double size = 1, want = expected(c, &x.t, &w.t, index, &size);
        want += c->bias ? at(&bias.t, &index[1]) : 0;
        double got = at(&y.t, index), near = t == TN_F64 ? 1e-14 : 1e-6;
        if (!(fabs(got - want) <= near * size)) fail_msg("seed %u: %g, not %g", seed, got, want);
    }
    view_check(&y);
    view_free(&x), view_free(&w), view_free(&y), view_free(&bias);
}

static void random_shapes(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 250; seed++) {
        uint32_t random = seed;
        Case c = {.spatial = 1 + (int)pick(&random, 3), .batch = 1 + pick(&random, 2)};
        c.groups = pick(&random, 3) == 0 ? 1 + pick(&random, 4) : 1;
        c.channels = 1 + pick(&random, 5);
        c.outputs = pick(&random, 2) ? 1 + pick(&random, 4) : 7 + pick(&random, 12);
        c.bias = (int)pick(&random, 2);
        for (int i = 0; i < c.spatial; i++) {
            c.kernel[i] = 1 + pick(&random, 4);
            c.stride[i] = 1 + pick(&random, 3);
            c.dilation[i] = 1 + pick(&random, 2);
            c.pad_begin[i] = pick(&random, 4);
            c.pad_end[i] = pick(&random, 4);
            int64_t reach = (c.kernel[i] - 1) * c.dilation[i] + 1;
            c.in[i] = reach + pick(&random, i == c.spatial - 1 ? 40 : 6);
        }
        check_case(isa, &c, seed);
    }
}

static void known_layers(void **state) {
    (void)state;
    static const Case patches = {.spatial = 2,
                                 .batch = 1,
                                 .groups = 1,
                                 .channels = 3,
                                 .outputs = 24,
                                 .in = {64, 48},
                                 .kernel = {16, 16},
                                 .stride = {16, 16},
                                 .dilation = {1, 1},
                                 .bias = 1};
    static const Case depthwise = {.spatial = 2,
                                   .batch = 1,
                                   .groups = 10,
                                   .channels = 1,
                                   .outputs = 1,
                                   .in = {14, 14},
                                   .kernel = {7, 7},
                                   .stride = {1, 1},
                                   .dilation = {1, 1},
                                   .pad_begin = {3, 3},
                                   .pad_end = {3, 3},
                                   .bias = 1};
    static const Case audio = {.spatial = 1,
                               .batch = 1,
                               .groups = 1,
                               .channels = 20,
                               .outputs = 16,
                               .in = {1000},
                               .kernel = {3},
                               .stride = {2},
                               .dilation = {1},
                               .pad_begin = {1},
                               .pad_end = {1},
                               .bias = 1};
    static const Case padding_only = {.spatial = 1,
                                      .batch = 1,
                                      .groups = 1,
                                      .channels = 1,
                                      .outputs = 1,
                                      .in = {1},
                                      .kernel = {1},
                                      .stride = {1},
                                      .dilation = {1},
                                      .pad_begin = {20},
                                      .pad_end = {20}};
    /* narrow, and of so many channels that they are split over tasks */
    static const Case deep = {.spatial = 2,
                              .batch = 2,
                              .groups = 2,
                              .channels = 9,
                              .outputs = 150,
                              .in = {7, 7},
                              .kernel = {3, 3},
                              .stride = {1, 1},
                              .dilation = {1, 1},
                              .pad_begin = {1, 1},
                              .pad_end = {1, 1},
                              .bias = 1};
    FOR_EACH_ISA(isa) {
        check_case(isa, &deep, 1);
        check_case(isa, &deep, 3);
        check_case(isa, &patches, 1);
        check_case(isa, &depthwise, 1);
        check_case(isa, &audio, 1);
        check_case(isa, &padding_only, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_shapes),
        cmocka_unit_test(known_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
