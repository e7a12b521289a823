/* The functions of simd_math.h on every ISA, through one-step maps: errors in units in the last
 * place on dense samples against double precision, and what IEEE 754 asks at the edges. */
#include <math.h>
#include <stdio.h>
#include "tests/kernels/map_call.h"

#define SAMPLES (1 << 18)

static double exact_sigmoid(double x) {
    return 1 / (1 + exp(-x));
}
static double exact_silu(double x) {
    return x / (1 + exp(-x));
}
static double exact_gelu(double x) {
    return x * 0.5 * erfc(-x * sqrt(0.5));
}
static double exact_gelu_tanh(double x) {
    return x * exact_sigmoid(2 * sqrt(2 / M_PI) * (x + 0.044715 * x * x * x));
}
static double exact_gelu_quick(double x) {
    return x * exact_sigmoid(1.702 * x);
}

/* Distance of floats around x. */
static double ulp_of(double x) {
    int e;
    frexp(x, &e);
    return x == 0 || e < -125 ? 0x1p-149 : ldexp(1, e - 24);
}

typedef struct Function {
    TnMapOp op;
    double (*exact)(double);
    double low, high;
    double ulps;     /* bound on the error in ulps; 0 = see absolute */
    double absolute; /* bound on the error divided by max(1, |x|) */
} Function;

static const Function functions[] = {
    {TN_MAP_EXP, exp, -103.9, 88.7, 2, 0},
    {TN_MAP_EXP, exp, -1e-3, 1e-3, 2, 0},
    {TN_MAP_LOG, log, 1e-45, 1e-37, 2, 0},
    {TN_MAP_LOG, log, 1e-6, 4, 2, 0},
    {TN_MAP_LOG, log, 0.9, 1.1, 2, 0},
    {TN_MAP_LOG, log, 1, 3e38, 2, 0},
    {TN_MAP_ERF, erf, -5, 5, 2, 0},
    {TN_MAP_ERF, erf, -1e-3, 1e-3, 2, 0},
    {TN_MAP_TANH, tanh, -11, 11, 2, 0},
    {TN_MAP_TANH, tanh, -1e-3, 1e-3, 2, 0},
    {TN_MAP_SIN, sin, -1e5, 1e5, 2, 0},
    {TN_MAP_COS, cos, -1e5, 1e5, 2, 0},
    {TN_MAP_SIN, sin, -10, 10, 2, 0},
    {TN_MAP_COS, cos, -10, 10, 2, 0},
    {TN_MAP_SIN, sin, -1e-3, 1e-3, 2, 0},
    {TN_MAP_SIN, sin, 3.1415, 3.1417, 2, 0}, /* 0 between floats */
    {TN_MAP_COS, cos, 1.5707, 1.5709, 2, 0},
    {TN_MAP_SIN, sin, 32000, 33000, 2, 0}, /* both ways to reduce */
    {TN_MAP_COS, cos, -33000, -32000, 2, 0},
    {TN_MAP_SIN, sin, 1e5, 3e38, 2, 0},
    {TN_MAP_TAN, tan, -100, 100, 1, 0},
    {TN_MAP_ASIN, asin, -1, 1, 1, 0},
    {TN_MAP_ACOS, acos, -1, 1, 1, 0},
    {TN_MAP_ATAN, atan, -100, 100, 1, 0},
    {TN_MAP_SINH, sinh, -80, 80, 1, 0},
    {TN_MAP_COSH, cosh, -80, 80, 1, 0},
    {TN_MAP_ASINH, asinh, -1e4, 1e4, 1, 0},
    {TN_MAP_ACOSH, acosh, 1, 1e4, 1, 0},
    {TN_MAP_ATANH, atanh, -0.999, 0.999, 1, 0},
    {TN_MAP_SIGMOID, exact_sigmoid, -100, 100, 3, 0},
    {TN_MAP_SILU, exact_silu, -87, 100, 4, 0},
    {TN_MAP_GELU, exact_gelu, -10, 10, 0, 4e-7},
    {TN_MAP_GELU, exact_gelu, -0.1, 0.1, 0, 1e-7},
    {TN_MAP_GELU_TANH, exact_gelu_tanh, -10, 10, 0, 4e-7},
    {TN_MAP_GELU_QUICK, exact_gelu_quick, -10, 10, 0, 4e-7},
};

static void check_function(TnIsa isa, const Function *f, float *x, float *y) {
    for (int i = 0; i < SAMPLES; i++)
        x[i] = (float)(f->low + (f->high - f->low) * i / (SAMPLES - 1));
    map_unary(isa, f->op, TN_F32, x, y, SAMPLES);
    double ulps = 0, absolute = 0;
    for (int i = 0; i < SAMPLES; i++) {
        double exact = f->exact(x[i]), error = fabs(y[i] - exact);
        ulps = fmax(ulps, error / ulp_of(exact));
        absolute = fmax(absolute, error / fmax(1, fabs(x[i])));
        assert_false(isnan(y[i]));
    }
    if ((f->ulps > 0 && ulps > f->ulps) || (f->ulps == 0 && absolute > f->absolute))
        fail_msg("%s: op %d on [%g, %g]: %g ulp, absolute %g", tn_isa_name(isa), (int)f->op, f->low,
                 f->high, ulps, absolute);
}

static void accuracy(void **state) {
    (void)state;
    float *x = malloc(SAMPLES * sizeof *x), *y = malloc(SAMPLES * sizeof *y);
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        check_function(isa, &functions[i], x, y);
    free(x);
    free(y);
}

typedef struct Edge {
    TnMapOp op;
    float x, y;
} Edge;

static const Edge edges[] = {
    {TN_MAP_EXP, -INFINITY, 0},
    {TN_MAP_EXP, INFINITY, INFINITY},
    {TN_MAP_EXP, 88.73f, INFINITY},
    {TN_MAP_EXP, 1e30f, INFINITY},
    {TN_MAP_EXP, -1e30f, 0},
    {TN_MAP_EXP, -104, 0},
    {TN_MAP_EXP, 0, 1},
    {TN_MAP_EXP, NAN, NAN},
    {TN_MAP_LOG, 0, -INFINITY},
    {TN_MAP_LOG, -0.0f, -INFINITY},
    {TN_MAP_LOG, 1, 0},
    {TN_MAP_LOG, -1, NAN},
    {TN_MAP_LOG, -1e-45f, NAN},
    {TN_MAP_LOG, -INFINITY, NAN},
    {TN_MAP_LOG, INFINITY, INFINITY},
    {TN_MAP_LOG, NAN, NAN},
    {TN_MAP_ERF, INFINITY, 1},
    {TN_MAP_ERF, -INFINITY, -1},
    {TN_MAP_ERF, -0.0f, -0.0f},
    {TN_MAP_ERF, NAN, NAN},
    {TN_MAP_TANH, INFINITY, 1},
    {TN_MAP_TANH, -INFINITY, -1},
    {TN_MAP_TANH, -0.0f, -0.0f},
    {TN_MAP_TANH, 1e-45f, 1e-45f},
    {TN_MAP_TANH, NAN, NAN},
    {TN_MAP_SIN, 0, 0},
    {TN_MAP_SIN, -0.0f, -0.0f},
    {TN_MAP_SIN, 1e-45f, 1e-45f},
    {TN_MAP_SIN, INFINITY, NAN},
    {TN_MAP_SIN, NAN, NAN},
    {TN_MAP_COS, -0.0f, 1},
    {TN_MAP_COS, -INFINITY, NAN},
    {TN_MAP_COS, NAN, NAN},
    {TN_MAP_SIGMOID, INFINITY, 1},
    {TN_MAP_SIGMOID, -INFINITY, 0},
    {TN_MAP_SIGMOID, NAN, NAN},
    {TN_MAP_GELU, INFINITY, INFINITY},
    {TN_MAP_GELU, 1e30f, 1e30f},
    {TN_MAP_GELU, 0, 0},
    {TN_MAP_GELU, NAN, NAN},
    {TN_MAP_GELU_TANH, 1e30f, 1e30f},
    {TN_MAP_GELU_TANH, NAN, NAN},
    {TN_MAP_RELU, NAN, NAN},
    {TN_MAP_RELU, -INFINITY, 0},
    {TN_MAP_SQRT, -1, NAN},
    {TN_MAP_SQRT, 4, 2},
    {TN_MAP_RECIPROCAL, -0.0f, -INFINITY},
    {TN_MAP_ROUND, 0.5f, 0},
    {TN_MAP_ROUND, 1.5f, 2},
    {TN_MAP_ROUND, -2.5f, -2},
    {TN_MAP_ROUND, -0.3f, -0.0f},
    {TN_MAP_ROUND, 8388609, 8388609},
    {TN_MAP_ROUND, 1e30f, 1e30f},
    {TN_MAP_ROUND, -INFINITY, -INFINITY},
    {TN_MAP_FLOOR, -0.5f, -1},
    {TN_MAP_FLOOR, 3e9f, 3e9f},
    {TN_MAP_CEIL, -0.5f, -0.0f},
    {TN_MAP_CEIL, 1.25f, 2},
    {TN_MAP_SIGN, -3, -1},
    {TN_MAP_SIGN, 0, 0},
    {TN_MAP_SIGN, INFINITY, 1},
    {TN_MAP_SIGN, NAN, NAN},
    {TN_MAP_ABS, -0.0f, 0},
    {TN_MAP_NEG, 0, -0.0f},
};

/* Each value goes through every lane of a vector and through the tail. */
static void edge_values(void **state) {
    (void)state;
    float x[37], y[37];
    FOR_EACH_ISA(isa) {
        for (size_t e = 0; e < sizeof edges / sizeof *edges; e++) {
            for (int i = 0; i < 37; i++) x[i] = edges[e].x;
            map_unary(isa, edges[e].op, TN_F32, x, y, 37);
            for (int i = 0; i < 37; i++) {
                int nan = isnan(edges[e].y) && isnan(y[i]);
                int zero_sign = edges[e].y != 0 || signbit(y[i]) == signbit(edges[e].y);
                if (nan || (y[i] == edges[e].y && zero_sign)) continue;
                fail_msg("%s: op %d of %g is %g, not %g", tn_isa_name(isa), (int)edges[e].op,
                         (double)edges[e].x, (double)y[i], (double)edges[e].y);
            }
        }
    }
}

/* Far from the origin GELU is 0 or x, to within its absolute bound. */
static void gelu_tails(void **state) {
    (void)state;
    float x[] = {-INFINITY, -3e38f, -1000, -6.001f, 6.001f, 1000}, y[6];
    FOR_EACH_ISA(isa) {
        map_unary(isa, TN_MAP_GELU, TN_F32, x, y, 6);
        for (int i = 0; i < 6; i++)
            assert_true(fabsf(y[i] - (x[i] > 0 ? x[i] : 0)) <= 1e-8f * fmaxf(1, x[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accuracy),
        cmocka_unit_test(edge_values),
        cmocka_unit_test(gelu_tails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
