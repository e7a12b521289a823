/* Matrices that are integers times scales are found by their values (quantise.h), whatever their
 * type and however they are turned, and come back from their records; others are not found. */
#include "tests/unit/ir/fixture.h"

#include <math.h>
#include "backend/pack.h"
#include "backend/quantise.h"
#include "ir/element.h"
#include "runtime/kernels/records.h"

enum { K = 100, N = 37 };

/* A matrix whose element (k, n) is an integer, low .. high, times a scale for `group` rows of a
 * column, or of a row if there is none. */
typedef struct Case {
    TnDType dtype;
    int low, high;
    int64_t group;
    float unit; /* what scales are times */
    int bits;   /* of the integers that are found; 0: none */
} Case;

static float scale_of(const Case *c, int64_t k, int64_t n) {
    int64_t part = c->group ? k / c->group * N + n : k;
    return c->unit * (1 + (float)(part * 7919 % 1009) / 1009);
}

static int integer_of(const Case *c, int64_t k, int64_t n) {
    uint32_t x = (uint32_t)(k * N + n) * 2654435761u >> 8;
    return c->low + (int)(x % (uint32_t)(c->high - c->low + 1));
}

static const Constant *matrix(const Case *c, bool transposed) {
    void *data = arena_array(&fx.cx.arena, K * N, tn_dtype_size(c->dtype));
    for (int64_t k = 0; k < K; k++)
        for (int64_t n = 0; n < N; n++)
            ir_store_f64(c->dtype, data, transposed ? n * K + k : k * N + n,
                         (double)(scale_of(c, k, n) * (float)integer_of(c, k, n)));
    int64_t dims[] = {transposed ? N : K, transposed ? K : N};
    return ir_constant_new(fx.m, "", c->dtype, 2, dims, data);
}

static void append(void *user, const void *bytes, size_t size) {
    unsigned char **at = user;
    memcpy(*at, bytes, size);
    *at += size;
}

static void check_records(const Case *c, const Constant *w, bool transposed) {
    static unsigned char bytes[1 << 15];
    unsigned char *end = bytes;
    TnLayout layout = c->bits == 8 ? TN_LAYOUT_RECORDS8F : TN_LAYOUT_RECORDS4F;
    const int64_t panel = 4 * tn_packed_elements(layout, K, TN_PANEL);
    assert_true(4 * tn_packed_elements(layout, K, N) <= (int64_t)sizeof bytes);
    Image *im = image_new(fx.m);
    pack_constant(im, image_constant(im, layout, transposed, 1, &w), append, &end);
    assert_int_equal(end - bytes, 4 * tn_packed_elements(layout, K, N));
    for (int64_t k = 0; k < K; k++)
        for (int64_t n = 0; n < N; n++) {
            float got = record_element(bytes + n / TN_PANEL * panel, layout, (uint64_t)k,
                                       (uint64_t)n % TN_PANEL);
            double want = ir_element_f64(c->dtype, w->data, transposed ? n * K + k : k * N + n);
            double error = c->dtype == TN_F16 ? 0x1p-11 : 0x1p-23;
            if (!(fabs((double)got - want) <= 1.5 * error * fabs(want)))
                fail_msg("(%d, %d) is %g, not %g", (int)k, (int)n, (double)got, want);
        }
}

static void found(void **state) {
    (void)state;
    GUARD();
    static const Case cases[] = {
        {TN_F32, -8, 7, 32, 0.01f, 4},     {TN_F32, -8, 7, K, 0.3f, 4},
        {TN_F32, -7, 7, 64, 1, 4},         {TN_F32, -8, 7, 32, -0.01f, 4},
        {TN_F32, -127, 127, 32, 0.01f, 8}, {TN_F32, -128, 127, K, 1e-6f, 8},
        {TN_F32, -15, 15, 32, 0.01f, 8},   {TN_F32, -128, 127, 96, -2, 8},
        {TN_F16, -8, 7, 32, 0.125f, 4},    {TN_F16, -127, 127, K, 0.5f, 8},
        {TN_F32, 0, 0, 32, 1, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int transposed = 0; transposed < 2; transposed++) {
            const Constant *w = matrix(&cases[i], transposed);
            const int bits = quantise_scaled_bits(w, transposed);
            if (bits != cases[i].bits)
                fail_msg("case %d has %d bits, not %d", (int)i, bits, cases[i].bits);
            check_records(&cases[i], w, transposed);
        }
}

/* More bits, a scale for 16 rows or for each row, a type that hides the integers, numbers that are
 * too small; one element that is something else, or no number. */
static void not_found(void **state) {
    (void)state;
    GUARD();
    static const Case cases[] = {
        {TN_F32, -255, 255, 32, 0.01f, 0}, {TN_F32, -128, 128, K, 0.01f, 0},
        {TN_F32, -127, 127, 16, 0.01f, 0}, {TN_F32, -127, 127, 0, 0.01f, 0},
        {TN_BF16, -127, 127, K, 0.5f, 0},  {TN_F32, -127, 127, K, 0x1p-120f, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int transposed = 0; transposed < 2; transposed++) {
            const Constant *w = matrix(&cases[i], transposed);
            if (quantise_scaled_bits(w, transposed)) fail_msg("case %d is found", (int)i);
        }
    static const float others[] = {0.123456f, NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 4; i++) {
        Constant *w = (Constant *)(uintptr_t)matrix(&(Case){TN_F32, -8, 7, K, 1, 0}, false);
        float *data = arena_copy(&fx.cx.arena, w->data, w->bytes);
        data[K * N - 1] = others[i];
        w->data = data;
        assert_int_equal(quantise_scaled_bits(w, false), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(found, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(not_found, fixture_setup, fixture_teardown)};
    return cmocka_run_group_tests_name("scaled integers", tests, NULL, NULL);
}
