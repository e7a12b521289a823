/* map on every ISA between types: casts at the edges of every range, rounding to 16-bit floats, and
 * every type into its register and back. */
#include "tests/kernels/map_call.h"
#include "tests/kernels/views.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static const TnDType all_types[] = {TN_F32, TN_F16, TN_BF16, TN_F64, TN_I8,  TN_I16, TN_I32,
                                    TN_I64, TN_U8,  TN_U16,  TN_U32, TN_U64, TN_BOOL};

static double clamp(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

/* What a cast gives; *bits receives integers, the value returned counts for floats. */
static double expected_cast(TnDType to, TnDType from, const void *p, int64_t *bits) {
    double x = tn_is_float(from) ? real_get(from, p) : 0;
    int64_t v = tn_is_float(from) ? 0 : int_get(from, p);
    if (tn_is_float(to)) {
        if (tn_is_float(from)) return round_to(to, x);
        if (from == TN_U64)
            return to == TN_F64 ? (double)(uint64_t)v : round_to(to, (double)(float)(uint64_t)v);
        return to == TN_F64 ? (double)v : round_to(to, (double)(float)v);
    }
    if (to == TN_BOOL) {
        *bits = tn_is_float(from) ? x != 0 : v != 0;
        return 0;
    }
    if (tn_is_float(from)) {
        int size = (int)tn_dtype_size(to) * 8, is_signed = tn_dtype_class(to) == TN_CLASS_INT;
        double high = ldexp(1, size - is_signed), low = is_signed ? -high : 0;
        x = isnan(x) ? 0 : trunc(clamp(x, low, high));
        __int128 w = x >= high ? ((__int128)1 << (size - is_signed)) - 1 : (__int128)x;
        v = (int64_t)w;
    }
    *bits = 0;
    int_set(to, bits, v);
    *bits = int_get(to, bits);
    return 0;
}

static void check_cast(TnIsa isa, TnDType from, TnDType to, const double *values, int n) {
    int64_t x[64], y[64], from_size = (int64_t)tn_dtype_size(from),
                          size = (int64_t)tn_dtype_size(to);
    for (int i = 0; i < n; i++) {
        void *p = (char *)x + i * from_size;
        if (tn_is_float(from))
            real_set(from, p, values[i]);
        else if (from == TN_BOOL)
            int_set(from, p, values[i] > 0);
        else
            int_set(from, p, isnan(values[i]) ? -5 : (int64_t)clamp(values[i], -9.2e18, 9.2e18));
    }
    int64_t dims = n;
    TnMapStep step = {.op = TN_MAP_CAST, .dtype = (uint8_t)to, .arg_dtype = (uint8_t)from};
    TnTensor operands[] = {dense(x, from, 1, &dims), dense(y, to, 1, &dims)};
    call_map(isa, &step, 1, operands, 1);
    for (int i = 0; i < n; i++) {
        const void *p = (char *)x + i * from_size, *q = (char *)y + i * size;
        int64_t bits = 0;
        double want = expected_cast(to, from, p, &bits);
        int same = tn_is_float(to)
                       ? real_get(to, q) == want || (isnan(want) && isnan(real_get(to, q)))
                       : int_get(to, q) == bits;
        if (!same)
            fail_msg("%s cast %s to %s of %g", tn_isa_name(isa), tn_dtype_name(from),
                     tn_dtype_name(to), any_get(from, p));
    }
}

static void casts(void **state) {
    (void)state;
    static const double values[] = {0,
                                    0.4,
                                    0.5,
                                    1,
                                    -1,
                                    1.99,
                                    -1.99,
                                    127.5,
                                    128,
                                    -129,
                                    255.9,
                                    256,
                                    300,
                                    -300,
                                    32768,
                                    65504,
                                    65519,
                                    65520,
                                    70000,
                                    1e6,
                                    2.1e9,
                                    2.2e9,
                                    -3e9,
                                    4.3e9,
                                    9e18,
                                    1e19,
                                    2e19,
                                    -1e19,
                                    1e30,
                                    -1e30,
                                    1e-7,
                                    6e-8,
                                    2.9e-8,
                                    1e-40,
                                    INFINITY,
                                    -INFINITY,
                                    NAN,
                                    3e-5,
                                    1.0009765625,
                                    1.00048828125,
                                    1.00146484375};
    FOR_EACH_ISA(isa)
    for (int i = 0; i < COUNT(all_types); i++)
        for (int j = 0; j < COUNT(all_types); j++)
            check_cast(isa, all_types[i], all_types[j], values, COUNT(values));
}

/* All 65536 patterns survive a copy through float. */
static void halves(void **state) {
    (void)state;
    uint16_t *x = malloc(65536 * 2), *y = malloc(65536 * 2);
    for (int i = 0; i < 65536; i++) x[i] = (uint16_t)i;
    for (int k = 0; k < 2; k++) {
        TnDType t = k ? TN_BF16 : TN_F16;
        FOR_EACH_ISA(isa) {
            map_unary(isa, TN_MAP_COPY, t, x, y, 65536);
            for (int i = 0; i < 65536; i++)
                if (x[i] != y[i] && !(isnan(real_get(t, &x[i])) && isnan(real_get(t, &y[i]))))
                    fail_msg("%s pattern %x became %x", tn_dtype_name(t), x[i], y[i]);
        }
    }
    free(x);
    free(y);
}

/* Inputs of every type reach their register and come back under random strides. */
static void copies_of_every_type(void **state) {
    (void)state;
    uint32_t random = 5;
    FOR_EACH_ISA(isa)
    for (int k = 0; k < COUNT(all_types); k++)
        for (int repeat = 0; repeat < 6; repeat++) {
            int64_t dims[] = {1 + pick(&random, 5), 1 + pick(&random, 9), 1 + pick(&random, 300)};
            View x = view_new(all_types[k], 3, dims, repeat % 2 ? &random : NULL);
            View y = view_new(all_types[k], 3, dims, repeat / 2 % 2 ? &random : NULL);
            view_randomise(&x, &random);
            TnMapStep step = {.op = TN_MAP_COPY, .dtype = (uint8_t)all_types[k]};
            step.arg_dtype = step.dtype;
            TnTensor operands[] = {x.t, y.t};
            call_map(isa, &step, 1, operands, 1);
            for (int64_t i = 0, n = view_count(&x.t); i < n; i++)
                assert_memory_equal(view_element(&x.t, i), view_element(&y.t, i),
                                    tn_dtype_size(all_types[k]));
            view_check(&y);
            view_free(&x);
            view_free(&y);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(casts),
        cmocka_unit_test(halves),
        cmocka_unit_test(copies_of_every_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
