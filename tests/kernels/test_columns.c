/* col2im and deform_columns on every ISA against plain loops: f32 and f64, 1 to 3 spatial axes,
 * windows that hang over either end, offsets that leave the image. */
#include "tests/kernels/views.h"

static double at(const TnTensor *t, const int64_t *index) {
    return real_get((TnDType)t->dtype, view_at(t, index, t->rank));
}

/* --- col2im --- */

static void check_col2im(TnIsa isa, uint32_t seed) {
    uint32_t random = seed;
    TnDType t = seed % 2 ? TN_F64 : TN_F32;
    int spatial = 1 + (int)pick(&random, 3);
    ParamsCol2im p = {.spatial = (uint32_t)spatial};
    int64_t xd[8], yd[5], pad[3];
    for (int i = 0; i < 2; i++) xd[i] = yd[i] = 1 + pick(&random, 3);
    for (int i = 0; i < spatial; i++) {
        p.stride[i] = 1 + pick(&random, 3);
        p.dilation[i] = 1 + pick(&random, 3);
        pad[i] = pick(&random, 4);
        xd[2 + i] = 1 + pick(&random, 3);
        xd[2 + spatial + i] = pick(&random, 12);
        yd[2 + i] = 1 + pick(&random, 20);
    }
    View x = view_new(t, 2 + 2 * spatial, xd, NULL), y = view_new(t, 2 + spatial, yd, NULL);
    double *sum = calloc((size_t)view_count(&y.t), sizeof *sum);
    view_randomise(&x, &random);
    TnTensor operands[] = {x.t, y.t};
    call_kernel(isa, OP_col2im, &p, operands, 1, 1, pad, spatial);
    for (int64_t i = 0, n = view_count(&x.t); i < n; i++) {
        int64_t index[8], to = 0;
        int inside = 1;
        view_index(&x.t, i, index);
        for (int k = 0; k < 2 + spatial; k++) {
            int64_t place = index[k];
            if (k >= 2)
                place = index[spatial + k] * p.stride[k - 2] + index[k] * p.dilation[k - 2] -
                        pad[k - 2];
            inside &= place >= 0 && place < yd[k];
            to = to * yd[k] + place;
        }
        if (inside) sum[to] += at(&x.t, index);
    }
    for (int64_t i = 0, n = view_count(&y.t); i < n; i++) {
        double got = real_get(t, view_element(&y.t, i));
        if (!(fabs(got - sum[i]) <= 1e-5)) fail_msg("seed %u: %g, not %g", seed, got, sum[i]);
    }
    view_check(&y);
    view_free(&x), view_free(&y);
    free(sum);
}

static void col2im(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 200; seed++) check_col2im(isa, seed);
}

/* --- deform_columns --- */

/* The element at a place of the plane of this batch and channel, bilinear, 0 outside. */
static double sampled(const TnTensor *x, int64_t b, int64_t c, double row, double column) {
    double sum = 0;
    for (int64_t h = 0; h < x->dims[2]; h++)
        for (int64_t w = 0; w < x->dims[3]; w++) {
            double dh = 1 - fabs((double)h - row), dw = 1 - fabs((double)w - column);
            if (dh > 0 && dw > 0) sum += dh * dw * at(x, (int64_t[]){b, c, h, w});
        }
    return sum;
}

static void check_deform(TnIsa isa, uint32_t seed) {
    uint32_t random = seed;
    TnDType t = seed % 2 ? TN_F64 : TN_F32;
    ParamsDeform p = {.groups = 1 + pick(&random, 3)};
    int64_t kernel[2];
    for (int i = 0; i < 2; i++) {
        p.kernel[i] = 1 + pick(&random, 3);
        p.stride[i] = 1 + pick(&random, 2);
        p.dilation[i] = 1 + pick(&random, 2);
        p.pad[i] = pick(&random, 3);
        kernel[i] = p.kernel[i];
    }
    int64_t batch = 1 + pick(&random, 2), channels = p.groups * (1 + pick(&random, 3));
    int64_t rows = 1 + pick(&random, seed % 10 ? 5 : 40), columns = 1 + pick(&random, 30);
    int64_t taps = p.groups * kernel[0] * kernel[1];
    View x = view_new(t, 4, (int64_t[]){batch, channels, 4, 6}, NULL);
    View offset = view_new(t, 4, (int64_t[]){batch, 2 * taps, rows, columns}, NULL);
    View mask = view_new(t, 4, (int64_t[]){batch, taps, rows, columns}, NULL);
    int64_t yd[] = {batch, channels, kernel[0], kernel[1], rows, columns};
    View y = view_new(t, 6, yd, NULL);
    view_randomise(&x, &random), view_randomise(&offset, &random), view_randomise(&mask, &random);
    real_set(t, view_element(&offset.t, 0), seed % 3 ? 1e30 : NAN);
    int masked = seed % 5 != 0;
    TnTensor operands[] = {x.t, offset.t, mask.t, y.t};
    if (!masked) operands[2] = y.t;
    call_kernel(isa, OP_deform_columns, &p, operands, masked ? 3 : 2, 1, NULL, 0);
    for (int64_t i = 0, n = view_count(&y.t); i < n; i++) {
        int64_t k[6];
        view_index(&y.t, i, k);
        int64_t group = k[1] / (channels / p.groups);
        int64_t tap = (group * kernel[0] + k[2]) * kernel[1] + k[3];
        double place[2];
        for (int a = 0; a < 2; a++)
            place[a] = (double)(k[4 + a] * p.stride[a] + k[2 + a] * p.dilation[a]) - p.pad[a] +
                       at(&offset.t, (int64_t[]){k[0], 2 * tap + a, k[4], k[5]});
        double want = sampled(&x.t, k[0], k[1], place[0], place[1]);
        if (masked) want *= at(&mask.t, (int64_t[]){k[0], tap, k[4], k[5]});
        double got = at(&y.t, k);
        if (!(fabs(got - want) <= 1e-4)) fail_msg("seed %u: %g, not %g", seed, got, want);
    }
    view_check(&y);
    view_free(&x), view_free(&offset), view_free(&mask), view_free(&y);
}

static void deform_columns(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 120; seed++) check_deform(isa, seed);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(col2im), cmocka_unit_test(deform_columns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
