/* conv with weights in forms of their own, on every ISA against plain loops: Winograd's filtering,
 * few outputs. */
#include "tests/kernels/conv_case.h"

/* Tiles at every edge, results that fill theirs or not, patches and columns dealt out to tasks. */
static void winograd(uint32_t form, uint32_t stride, uint32_t seeds) {
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < seeds; seed++) {
        uint32_t random = seed;
        Case c = {.spatial = 2,
                  .batch = 1 + pick(&random, 2),
                  .groups = 1,
                  .channels = 16 * (1 + pick(&random, 3)),
                  .outputs = 1 + pick(&random, 70),
                  .kernel = {3, 3},
                  .stride = {stride, stride},
                  .dilation = {1, 1},
                  .form = form};
        for (int i = 0; i < 2; i++) {
            c.pad_begin[i] = pick(&random, 3), c.pad_end[i] = pick(&random, 3);
            c.in[i] = 3 + pick(&random, pick(&random, 3) ? 9 : 60);
        }
        random_form(&c, &random);
        c.wide = c.pairs = false;
        c.panels = TN_F32;
        check_case(isa, &c, seed);
    }
}

static void tiles_of_2_by_4(void **state) {
    (void)state;
    winograd(TN_CONV_WINOGRAD2, 1, 60);
}

static void tiles_of_2_strided(void **state) {
    (void)state;
    winograd(TN_CONV_WINOGRAD2, 2, 60);
}

static void tiles_of_4(void **state) {
    (void)state;
    winograd(TN_CONV_WINOGRAD4, 1, 60);
}

/* Errors of a layer relative to its results' spread: root mean square, and the largest. */
typedef struct Errors {
    double rms, most;
} Errors;

static Errors errors_of(TnIsa isa, uint32_t form, uint32_t stride) {
    uint32_t random = 7;
    Case c = {.spatial = 2,
              .batch = 1,
              .groups = 1,
              .channels = 128,
              .outputs = 32,
              .in = {14, 14},
              .kernel = {3, 3},
              .stride = {stride, stride},
              .dilation = {1, 1},
              .pad_begin = {1, 1},
              .pad_end = {1, 1},
              .panels = TN_F32,
              .form = form};
    Operands o = operands_of(&c, TN_F32, &random);
    TnTensor operands[] = {o.x.t, o.panels, o.bias.t, o.residual.t, o.y.t};
    call_kernel(isa, OP_conv, &o.params, operands, 4, 1, NULL, 0);
    double errors = 0, wanted = 0, largest = 0;
    int64_t n = view_count(&o.y.t);
    for (int64_t i = 0; i < n; i++) {
        int64_t index[5];
        view_index(&o.y.t, i, index);
        double size = 0, want = expected(&c, &o.x.t, &o.w.t, index, &size);
        double error = fabs(at(&o.y.t, index) - want);
        errors += error * error;
        wanted += want * want;
        largest = fmax(largest, error);
    }
    double spread = sqrt(wanted / (double)n);
    operands_free(&c, &o);
    return (Errors){sqrt(errors / (double)n) / spread, largest / spread};
}

static void check_errors(Errors e, double rms, double most) {
    if (!(e.rms <= rms && e.most <= most)) fail_msg("errors of %g, %g at most", e.rms, e.most);
}

/* What docs/plan-format.md says of each form. Vectors add up the plain sum one by one. */
static void errors(void **state) {
    (void)state;
    FOR_EACH_ISA(isa) {
        Errors plain = errors_of(isa, 0, 1), small = errors_of(isa, TN_CONV_WINOGRAD2, 1);
        check_errors(small, 7e-7, 4e-6);
        if (isa >= TN_ISA_AVX2) check_errors(small, 1.1 * plain.rms, plain.most);
        check_errors(errors_of(isa, TN_CONV_WINOGRAD2, 2), 4e-7, 4e-6);
        check_errors(errors_of(isa, TN_CONV_WINOGRAD4, 1), 1.5e-6, 1e-5);
    }
}

/* Few outputs: places in patches, at edges, or none at all inside. */
static void few_outputs(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 80; seed++) {
        uint32_t random = seed;
        Case c = {.spatial = 1 + (int)pick(&random, 2),
                  .batch = 1 + pick(&random, 2),
                  .groups = 1,
                  .channels = 1 + pick(&random, 40),
                  .outputs = pick(&random, 2) ? 1 : 1 + pick(&random, 16),
                  .stride = {1, 1},
                  .form = TN_CONV_PLACES};
        for (int i = 0; i < c.spatial; i++) {
            c.kernel[i] = 1 + pick(&random, 5);
            c.dilation[i] = 1 + pick(&random, 2);
            c.pad_begin[i] = pick(&random, pick(&random, 4) ? 4 : 30);
            c.pad_end[i] = pick(&random, 4);
            int64_t reach = (c.kernel[i] - 1) * c.dilation[i] + 1;
            c.in[i] = pick(&random, 4) ? pick(&random, c.spatial == 1 ? 90 : 30) : 1;
            if (c.in[i] + c.pad_begin[i] + c.pad_end[i] < reach) c.in[i] = reach;
        }
        random_form(&c, &random);
        c.wide = false;
        if (!c.pairs) c.panels = TN_F32;
        check_case(isa, &c, seed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiles_of_2_by_4), cmocka_unit_test(tiles_of_2_strided),
        cmocka_unit_test(tiles_of_4),      cmocka_unit_test(errors),
        cmocka_unit_test(few_outputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
