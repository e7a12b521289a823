/* Rows of windows: gemm and norm over operands and results that are cut into windows and lie in
 * memory as images, of six axes, give every bit that they give over dense copies. */
#include "tests/kernels/views.h"
#include "runtime/pack.h"
#include "runtime/params.h"

enum { AXES = 6 };

/* An image of b x h p x w q rows of n floats. */
typedef struct Image {
    int64_t b, h, p, w, q, n;
} Image;

static int64_t rows_of(const Image *s) {
    return s->b * s->h * s->p * s->w * s->q;
}

/* [b, h, w, p, q, n]; in memory [b, h, p, w, q, n] with `gap` floats between rows, or dense. */
static TnTensor windows(float *data, const Image *s, int64_t n, bool image, int64_t gap) {
    TnTensor t = dense(data, TN_F32, AXES, (int64_t[]){s->b, s->h, s->w, s->p, s->q, n});
    int64_t stride = n + gap;
    static const int order[] = {4, 2, 3, 1, 0};
    for (int i = 0; image && i < AXES - 1; i++) {
        t.strides[order[i]] = stride;
        stride *= t.dims[order[i]];
    }
    return t;
}

static float *array(int64_t count) {
    float *a = malloc((size_t)(count + 1) * sizeof *a);
    assert_non_null(a);
    for (int64_t i = 0; i < count; i++) a[i] = 777;
    return a;
}

/* `to` under its strides = `from` under its own. */
static void copy_rows(const TnTensor *from, const TnTensor *to) {
    for (int64_t i = 0; i < view_count(from); i++)
        *(float *)view_element(to, i) = *(const float *)view_element(from, i);
}

typedef struct Operand {
    TnTensor image, dense;
} Operand;

static Operand operand(const Image *s, int64_t n, uint32_t seed, int64_t gap) {
    int64_t size = rows_of(s) * (n + gap);
    float *data = seed ? noise_array(size, seed) : array(size);
    Operand o = {windows(data, s, n, true, gap), windows(array(rows_of(s) * n), s, n, false, 0)};
    if (seed) copy_rows(&o.image, &o.dense);
    return o;
}

static void expect_equal(TnIsa isa, const char *what, Operand *o) {
    for (int64_t i = 0; i < view_count(&o->dense); i++) {
        float is = *(float *)view_element(&o->image, i),
              want = *(float *)view_element(&o->dense, i);
        if (is != want)
            fail_msg("%s: %s, element %lld is %g, not %g", tn_isa_name(isa), what, (long long)i,
                     (double)is, (double)want);
    }
}

static void release(Operand *o) {
    free(o->image.data), free(o->dense.data);
}

static const Image images[] = {{1, 2, 7, 2, 7, 32}, {2, 3, 2, 1, 5, 17}, {1, 1, 3, 4, 3, 70},
                               {3, 1, 1, 5, 2, 8},  {1, 2, 4, 0, 4, 16}, {1, 8, 7, 8, 7, 9}};

static void gemm_rows(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < sizeof images / sizeof *images; i++) {
        const Image *s = &images[i];
        int64_t k = 21;
        Operand a = operand(s, k, 1, 0), residual = operand(s, s->n, 2, 3),
                c = operand(s, s->n, 0, 3);
        float *bias = noise_array(s->n, 4), *b = noise_array(tn_panels_elements(k, s->n), 5);
        ParamsGemm params = {.activation = TN_ACT_RELU};
        TnTensor w = dense(b, TN_F32, 2, (int64_t[]){k, s->n}), v = dense(bias, TN_F32, 1, &s->n);
        w.layout = TN_LAYOUT_PANELS16;
        TnTensor strided[] = {a.image, w, v, residual.image, c.image};
        TnTensor plain[] = {a.dense, w, v, residual.dense, c.dense};
        call_kernel(isa, OP_gemm, &params, strided, 4, 1, NULL, 0);
        call_kernel(isa, OP_gemm, &params, plain, 4, 1, NULL, 0);
        expect_equal(isa, "gemm", &c);
        release(&a), release(&residual), release(&c), free(b), free(bias);
    }
}

static void norm_rows(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < sizeof images / sizeof *images; i++) {
        const Image *s = &images[i];
        Operand x = operand(s, s->n, 1, 2), residual = operand(s, s->n, 2, 0),
                y = operand(s, s->n, 0, 5), sum = operand(s, s->n, 0, 0);
        float *gamma = noise_array(s->n, 4);
        ParamsNorm params = {.epsilon = 1e-5f};
        TnTensor g = dense(gamma, TN_F32, 1, &s->n), none = dense(NULL, TN_F32, 1, &s->n);
        TnTensor strided[] = {x.image, residual.dense, g, none, y.dense, sum.image};
        TnTensor plain[] = {x.dense, residual.image, g, none, y.image, sum.dense};
        call_kernel(isa, OP_norm, &params, strided, 4, 2, NULL, 0);
        call_kernel(isa, OP_norm, &params, plain, 4, 2, NULL, 0);
        expect_equal(isa, "norm", &y);
        expect_equal(isa, "sum", &sum);
        release(&x), release(&residual), release(&y), release(&sum), free(gamma);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gemm_rows), cmocka_unit_test(norm_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
