/* rotary over strided rows on every ISA: rows in any order with gaps between them, results on top
 * of x, and a row of the table per row of x. test_operators sweeps widths against the reference. */
#include "tests/kernels/views.h"

enum { B = 2, S = 3, H = 4, D = 21, W = 18, GAP = 5, ROW = D + GAP };

static TnTensor rows_view(float *data, bool heads_first) {
    TnTensor t = dense(data, TN_F32, 4, (int64_t[]){B, S, H, D});
    t.strides[0] = (int64_t)S * H * ROW;
    t.strides[1] = heads_first ? ROW : H * ROW;
    t.strides[2] = heads_first ? S * ROW : ROW;
    return t;
}

static float *row_of(const TnTensor *t, int b, int s, int h) {
    return (float *)t->data + b * t->strides[0] + s * t->strides[1] + h * t->strides[2];
}

static void check_row(const float *x, const float *cos, const float *sin, const float *y,
                      bool interleaved) {
    for (int i = 0; i < W / 2; i++) {
        int first = interleaved ? 2 * i : i, second = interleaved ? 2 * i + 1 : i + W / 2;
        double a = (double)x[first], b = (double)x[second], c = (double)cos[i], s = (double)sin[i];
        assert_true(fabs((double)y[first] - (a * c - b * s)) < 1e-6);
        assert_true(fabs((double)y[second] - (b * c + a * s)) < 1e-6);
    }
    for (int i = W; i < D; i++) assert_true(y[i] == x[i]);
}

static void check_case(TnIsa isa, bool interleaved, bool in_place, bool heads_first) {
    enum { SIZE = B * S * H * ROW + 32, ANGLES = B * S * W / 2 };
    float *x = noise_array(SIZE, 1), *before = noise_array(SIZE, 1);
    float *cos = noise_array(ANGLES, 2), *sin = noise_array(ANGLES, 3), *y = malloc(SIZE * 4);
    for (int i = 0; i < SIZE; i++) y[i] = 777;
    int64_t angles[] = {B, S, 1, W / 2};
    TnTensor operands[4] = {rows_view(x, false), dense(cos, TN_F32, 4, angles),
                            dense(sin, TN_F32, 4, angles),
                            rows_view(in_place ? x : y, !in_place && heads_first)};
    ParamsRotary params = {.width = W, .interleaved = interleaved};
    TnTensor source = rows_view(before, false);
    call_kernel(isa, OP_rotary, &params, operands, 3, 1, NULL, 0);
    for (int b = 0; b < B; b++)
        for (int s = 0; s < S; s++)
            for (int h = 0; h < H; h++) {
                const float *result = row_of(&operands[3], b, s, h);
                int angle = (b * S + s) * W / 2;
                check_row(row_of(&source, b, s, h), cos + angle, sin + angle, result, interleaved);
                for (int i = D; i < ROW; i++)
                    assert_true(in_place ? result[i] == row_of(&source, b, s, h)[i]
                                         : result[i] == 777);
            }
    free(x), free(before), free(cos), free(sin), free(y);
}

static void strided_rows(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (int bits = 0; bits < 8; bits++) check_case(isa, bits & 1, bits & 2, bits & 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(strided_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
