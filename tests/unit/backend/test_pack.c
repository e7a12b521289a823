/* Constants as the plan stores them: every element of a packed matrix is where pack.h says, and all
 * others are zero; those of records are as near as their bits allow. */
#include "tests/unit/ir/fixture.h"

#include <math.h>
#include "backend/pack.h"
#include "ir/element.h"

typedef struct Bytes {
    unsigned char data[1 << 16];
    size_t size;
} Bytes;

static void append(void *user, const void *bytes, size_t size) {
    Bytes *to = user;
    assert_true(to->size + size <= sizeof to->data);
    memcpy(to->data + to->size, bytes, size);
    to->size += size;
}

/* Element (k, n) of the matrix that parts of `width` columns make; never 0. */
static uint16_t element(int64_t k, int64_t n) {
    return (uint16_t)(k * 251 + n + 1);
}

static int64_t place(TnLayout layout, int64_t big_k, int64_t k, int64_t n) {
    return layout == TN_LAYOUT_PAIRS16 ? tn_pairs_index(big_k, k, n) : tn_panels_index(big_k, k, n);
}

static void expect_packed(Image *im, const Stored *s, TnLayout layout, int64_t k, int64_t n) {
    Bytes bytes = {.size = 0};
    uint16_t *got = (uint16_t *)(void *)bytes.data;
    pack_constant(im, s, append, &bytes);
    int64_t count = tn_packed_elements(layout, k, n), found = 0;
    assert_int_equal(bytes.size, 2 * count);
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < n; j++)
            assert_int_equal(got[place(layout, k, i, j)], element(i, j));
    for (int64_t i = 0; i < count; i++) found += got[i] != 0;
    assert_int_equal(found, k * n);
}

static void check_matrix(Image *im, TnLayout layout, int64_t k, int64_t n, int parts,
                         bool transposed) {
    const Constant *part[IMAGE_PARTS];
    for (int p = 0; p < parts; p++) {
        uint16_t *data = arena_array(&fx.cx.arena, (size_t)(k * n) + 1, sizeof *data);
        for (int64_t i = 0; i < k; i++)
            for (int64_t j = 0; j < n; j++)
                data[transposed ? j * k + i : i * n + j] = element(i, p * n + j);
        int64_t dims[2] = {transposed ? n : k, transposed ? k : n};
        part[p] = ir_constant_new(fx.m, "", TN_BF16, 2, dims, data);
    }
    const Stored *s = image_constant(im, layout, transposed, parts, part);
    expect_packed(im, s, layout, k, parts * n);
}

static void matrices(void **state) {
    (void)state;
    GUARD();
    Image *im = image_new(fx.m);
    static const int64_t ks[] = {1, 2, 16, 19, 34}, ns[] = {1, 15, 16, 17, 40};
    for (TnLayout layout = TN_LAYOUT_PANELS16; layout <= TN_LAYOUT_PAIRS16; layout++)
        for (size_t i = 0; i < sizeof ks / sizeof *ks; i++)
            for (size_t j = 0; j < sizeof ns / sizeof *ns; j++)
                for (int parts = 1; parts <= IMAGE_PARTS; parts++) {
                    check_matrix(im, layout, ks[i], ns[j], parts, false);
                    check_matrix(im, layout, ks[i], ns[j], parts, true);
                }
}

/* The weight [o, c, taps] of a convolution is the matrix [taps c, o]. */
static void convolutions(void **state) {
    (void)state;
    GUARD();
    Image *im = image_new(fx.m);
    enum { O = 18, CHANNELS = 3, TAPS = 5 };
    uint16_t *data = arena_array(&fx.cx.arena, O * CHANNELS * TAPS, sizeof *data);
    for (int o = 0; o < O; o++)
        for (int c = 0; c < CHANNELS; c++)
            for (int t = 0; t < TAPS; t++)
                data[(o * CHANNELS + c) * TAPS + t] = element(t * CHANNELS + c, o);
    const Constant *w = ir_constant_new(fx.m, "", TN_BF16, 3, (int64_t[]){O, CHANNELS, TAPS}, data);
    for (TnLayout layout = TN_LAYOUT_PANELS16; layout <= TN_LAYOUT_PAIRS16; layout++)
        expect_packed(im, image_conv_weight(im, layout, w, 0), layout, TAPS * CHANNELS, O);
}

/* Quads have what is less than i8's middle by 128, and behind each panel the sums of columns. */
static void quads(void **state) {
    (void)state;
    GUARD();
    Image *im = image_new(fx.m);
    enum { K = 5, N = 18, ROWS = 12 };
    for (TnDType t = TN_I8; t <= TN_U8; t += TN_U8 - TN_I8) {
        Bytes bytes = {.size = 0};
        uint8_t *data = arena_array(&fx.cx.arena, K * N, 1);
        for (int i = 0; i < K * N; i++) data[i] = (uint8_t)(i * 37);
        const Constant *w = ir_constant_new(fx.m, "", t, 2, (int64_t[]){K, N}, data);
        pack_constant(im, image_constant(im, TN_LAYOUT_QUADS16, false, 1, &w), append, &bytes);
        assert_int_equal(bytes.size, tn_packed_elements(TN_LAYOUT_QUADS16, K, N));
        assert_int_equal(bytes.size, 2 * ROWS * TN_PANEL);
        int found = 0;
        for (int n = 0; n < N; n++) {
            const unsigned char *panel = bytes.data + n / TN_PANEL * ROWS * TN_PANEL;
            int32_t sum, expected = 0;
            for (int k = 0; k < K; k++) {
                int x = t == TN_U8 ? data[k * N + n] - 128 : (int8_t)data[k * N + n];
                assert_int_equal((int8_t)panel[k / 4 * 64 + n % 16 * 4 + k % 4], x);
                expected += x;
                found += x != 0;
            }
            memcpy(&sum, panel + 2 * 64 + n % 16 * 4, sizeof sum);
            assert_int_equal(sum, expected);
        }
        for (size_t i = 0; i < bytes.size; i++) found -= i / 64 % 3 < 2 && bytes.data[i] != 0;
        assert_int_equal(found, 0); /* all else is zero */
    }
}

/* Element (k, n) of a matrix of K rows in records. */
static double record_value(TnLayout layout, const Bytes *b, int64_t big_k, int64_t k, int64_t n) {
    const bool bytes = layout == TN_LAYOUT_RECORDS8;
    const unsigned char *record =
        b->data + (n / 16 * ((big_k + 63) / 64) + k / 64) * (bytes ? 17 : 9) * 64;
    const unsigned char *line = record + 64 * (1 + k % 64 / (bytes ? 4 : 8)) + n % 16 * 4 + k % 4;
    int integer = bytes ? (int8_t)*line : ((*line >> (k % 8 < 4 ? 0 : 4) & 15) ^ 8) - 8;
    return ir_element_f64(TN_BF16, record, k % 64 / 32 * 16 + n % 16) * integer;
}

/* As large as 1.9 where k % 32 is 5, elsewhere smaller. */
static double weight(int64_t k, int64_t n) {
    double x = sin((double)(k * 37 + n * 11)) * (1 + (double)(n % 3));
    return k % 32 == 5 ? (n % 2 ? -3.5 : 3.25) : x;
}

static void check_records(Image *im, TnLayout layout, TnDType t, int64_t k, int64_t n, int parts,
                          bool transposed) {
    const Constant *part[IMAGE_PARTS];
    static Bytes bytes;
    bytes.size = 0;
    for (int p = 0; p < parts; p++) {
        int64_t dims[2] = {transposed ? n : k, transposed ? k : n};
        void *data = arena_array(&fx.cx.arena, (size_t)(k * n), tn_dtype_size(t));
        for (int64_t i = 0; i < k * n; i++)
            ir_store_f64(t, data, transposed ? i % n * k + i / n : i, weight(i / n, p * n + i % n));
        part[p] = ir_constant_new(fx.m, "", t, 2, dims, data);
    }
    pack_constant(im, image_constant(im, layout, transposed, parts, part), append, &bytes);
    assert_int_equal(bytes.size, 4 * tn_packed_elements(layout, k, parts * n));
    double error = 0, size = 0;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < parts * n; j++) {
            double e = record_value(layout, &bytes, k, i, j) - weight(i, j);
            assert_true(fabs(e) < (layout == TN_LAYOUT_RECORDS8 ? 0.03 : 0.6));
            error += e * e;
            size += weight(i, j) * weight(i, j);
        }
    assert_true(sqrt(error / size) < (layout == TN_LAYOUT_RECORDS8 ? 0.012 : 0.17));
}

static void records(void **state) {
    (void)state;
    GUARD();
    static const TnDType types[] = {TN_F32, TN_F16, TN_BF16};
    static const int64_t ks[] = {6, 32, 40, 64, 70}, ns[] = {1, 16, 19};
    Image *im = image_new(fx.m);
    for (TnLayout layout = TN_LAYOUT_RECORDS8; layout <= TN_LAYOUT_RECORDS4; layout++)
        for (int i = 0; i < 3 * 5 * 3 * 2; i++)
            check_records(im, layout, types[i % 3], ks[i / 3 % 5], ns[i / 15 % 3], 1 + i % 2 * 2,
                          i / 45);
}

/* One group in each column: what may be written as integers times a scale is exact, whatever the
 * sign of the largest; NaN stays, and takes its group along; what is beyond K and N is zero. */
static void groups(void **state) {
    (void)state;
    GUARD();
    enum { K = 20, N = 6 };
    static Bytes bytes;
    Image *im = image_new(fx.m);
    for (TnLayout layout = TN_LAYOUT_RECORDS8; layout <= TN_LAYOUT_RECORDS4; layout++) {
        const int top = layout == TN_LAYOUT_RECORDS8 ? 127 : 8;
        const float scale[N] = {0.375f, -0x1p-60f, 0x1p100f, 0, 1, 0x1p-110f};
        float data[K * N];
        for (int i = 0; i < K * N; i++)
            data[i] = (float)(i / N ? i / N % top : -top) * scale[i % N];
        data[3 * N + 4] = NAN;
        const Constant *w = ir_constant_new(fx.m, "", TN_F32, 2, (int64_t[]){K, N}, data);
        bytes.size = 0;
        pack_constant(im, image_constant(im, layout, false, 1, &w), append, &bytes);
        for (int k = 0; k < 64; k++)
            for (int n = 0; n < 16; n++) {
                double got = record_value(layout, &bytes, K, k, n),
                       want = k < K && n < N && n < 5 ? (double)data[k * N + n] : 0;
                assert_true(n == 4 && k < 32 ? isnan(got) : got == want);
            }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(matrices, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(convolutions, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(quads, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(records, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(groups, fixture_setup, fixture_teardown)};
    return cmocka_run_group_tests_name("packing", tests, NULL, NULL);
}
