/* norm and rotary on rows of bf16: on every ISA the result is, to the bit, that of the same kernel
 * on the same numbers as f32, rounded once where it is stored. Every combination of types, odd
 * extents, gaps between rows, results on top of their operand. */
#include "runtime/kernels/half.h"
#include "tests/kernels/views.h"

enum { ROWS = 5, GAP = 3 };

/* Noise that bf16 has, as f32 and as bf16, with untouched elements behind each row. */
typedef struct Rows {
    float *f32;
    uint16_t *bf16;
    int64_t n;
} Rows;

static Rows rows_new(int64_t n, uint32_t seed) {
    Rows r = {noise_array(ROWS * (n + GAP), seed), malloc((size_t)(ROWS * (n + GAP)) * 2), n};
    assert_non_null(r.bf16);
    for (int64_t i = 0; i < ROWS * (n + GAP); i++) {
        r.bf16[i] = bf16_of_float(r.f32[i]);
        r.f32[i] = float_of_bf16(r.bf16[i]);
    }
    return r;
}

static void rows_free(Rows *r) {
    free(r->f32), free(r->bf16);
}

static TnTensor rows_view(const Rows *r, bool bf16) {
    TnTensor t = dense(bf16 ? (void *)r->bf16 : (void *)r->f32, bf16 ? TN_BF16 : TN_F32, 2,
                       (int64_t[]){ROWS, r->n});
    t.strides[0] = r->n + GAP;
    return t;
}

/* `got`, of a type, is `want` rounded to it; behind the rows both are as before. */
static void check_rows(const Rows *got, bool bf16, const Rows *want, const char *what) {
    for (int64_t i = 0; i < ROWS * (got->n + GAP); i++) {
        uint16_t half = bf16_of_float(want->f32[i]);
        bool same = bf16 ? got->bf16[i] == half : got->f32[i] == want->f32[i];
        if (!same) fail_msg("%s: n %d, element %d", what, (int)got->n, (int)i);
    }
}

enum { X, RESIDUAL, Y, S, WALKED };

/* Bit i of `bf16`: operand i is bf16. */
static void check_norm(TnIsa isa, int64_t n, int bf16, bool residual, bool in_place) {
    Rows given[WALKED], want[WALKED];
    for (uint32_t i = 0; i < WALKED; i++) {
        given[i] = rows_new(n, i + 1);
        want[i] = rows_new(n, i + 1);
    }
    float *gamma = noise_array(n, 7), *beta = noise_array(n, 8);
    ParamsNorm params = {.epsilon = 1e-5f};
    for (int mixed = 0; mixed < 2; mixed++) {
        Rows *r = mixed ? given : want;
        TnTensor t[6];
        int of[] = {X, RESIDUAL, Y, S};
        for (int i = 0; i < WALKED; i++)
            t[i < Y ? i : i + 2] = rows_view(&r[of[i]], mixed && bf16 >> i & 1);
        if (!residual) t[1].data = NULL;
        if (mixed && in_place) t[4].data = t[0].data;
        t[2] = dense(gamma, TN_F32, 1, &n);
        t[3] = dense(beta, TN_F32, 1, &n);
        call_kernel(isa, OP_norm, &params, t, 4, 2, NULL, 0);
    }
    if (in_place) { /* what is behind the rows is still x's */
        for (int64_t i = 0; i < ROWS * (n + GAP); i++)
            if (i % (n + GAP) >= n) want[Y].f32[i] = given[X].f32[i];
    }
    check_rows(&given[in_place ? X : Y], bf16 >> Y & 1, &want[Y], "y");
    check_rows(&given[S], bf16 >> S & 1, &want[S], "s");
    for (int i = 0; i < WALKED; i++) rows_free(&given[i]), rows_free(&want[i]);
    free(gamma), free(beta);
}

static void norms(void **state) {
    (void)state;
    static const int64_t lengths[] = {1, 15, 16, 33, 100, 768};
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (int bf16 = 0; bf16 < 1 << WALKED; bf16++) {
            check_norm(isa, lengths[i], bf16, true, false);
            check_norm(isa, lengths[i], bf16, false, false);
            bool alike = (bf16 >> X & 1) == (bf16 >> Y & 1);
            if (alike) check_norm(isa, lengths[i], bf16, true, true);
        }
}

static void check_rotary(TnIsa isa, int64_t d, int64_t width, bool interleaved, bool in_place) {
    Rows x = rows_new(d, 1), y = rows_new(d, 2), want = rows_new(d, 2);
    Rows cos = rows_new(width, 3), sin = rows_new(width, 4);
    ParamsRotary params = {.width = (uint32_t)width, .interleaved = interleaved};
    TnTensor t[] = {rows_view(&x, false), rows_view(&cos, false), rows_view(&sin, false),
                    rows_view(&want, false)};
    call_kernel(isa, OP_rotary, &params, t, 3, 1, NULL, 0);
    t[0] = rows_view(&x, true);
    t[3] = rows_view(in_place ? &x : &y, true);
    call_kernel(isa, OP_rotary, &params, t, 3, 1, NULL, 0);
    for (int64_t i = 0; i < ROWS * (d + GAP) && in_place; i++)
        if (i % (d + GAP) >= d) want.f32[i] = x.f32[i];
    check_rows(in_place ? &x : &y, true, &want, "rotary");
    rows_free(&x), rows_free(&y), rows_free(&want), rows_free(&cos), rows_free(&sin);
}

static void rotations(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{2, 2}, {64, 64}, {65, 64}, {40, 18}, {6, 6}};
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int bits = 0; bits < 4; bits++)
            check_rotary(isa, sizes[i][0], sizes[i][1], bits & 1, bits >> 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norms),
        cmocka_unit_test(rotations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
