/* Conversions to and from narrow types: every pattern of 8 and 16 bits, every midpoint between two
 * numbers and what lies next to it, integers of every width, on every ISA. Floats are held against
 * a search for the nearest number in the list of all numbers of the type. */
#include <math.h>
#include "ir/element.h"
#include "tests/kernels/map_call.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

typedef struct SmallType {
    TnDType dtype;
    int exponent, mantissa, bias;
    int numbers;   /* patterns from 0 that are numbers >= 0 */
    double beyond; /* what larger numbers become */
    bool unsigned_zero;
} SmallType;

static const SmallType small_types[] = {
    {TN_F16, 5, 10, 15, 0x7c00, INFINITY, false},
    {TN_BF16, 8, 7, 127, 0x7f80, INFINITY, false},
    {TN_F8E4M3FN, 4, 3, 7, 0x7f, NAN, false},
    {TN_F8E4M3FNUZ, 4, 3, 8, 0x80, NAN, true},
    {TN_F8E5M2, 5, 2, 15, 0x7c, INFINITY, false},
    {TN_F8E5M2FNUZ, 5, 2, 16, 0x80, NAN, true},
    {TN_F4E2M1, 2, 1, 1, 8, 6, false},
};

static double number(const SmallType *t, int pattern) {
    int one = 1 << t->mantissa, e = pattern / one, m = pattern % one;
    return e ? ldexp(one + m, e - t->bias - t->mantissa) : ldexp(m, 1 - t->bias - t->mantissa);
}

/* Nearest number to |x|, of two the one whose pattern is even; x is between them if it is not. */
static double nearest(const SmallType *t, double x) {
    double size = fabs(x), past = number(t, t->numbers), y;
    if (isnan(x)) return t->dtype == TN_F4E2M1 ? 0 : x;
    int low = 0, high = t->numbers; /* number(low) <= size < number(high) */
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (number(t, middle) <= size)
            low = middle;
        else
            high = middle;
    }
    double below = number(t, low), above = low + 1 == t->numbers ? past : number(t, low + 1);
    bool up = size - below > above - size || (size - below == above - size && low % 2);
    y = isinf(size) || size >= past || (up && low + 1 == t->numbers) ? t->beyond
        : up                                                         ? above
                                                                     : below;
    return t->unsigned_zero && y == 0 ? 0 : copysign(y, x);
}

static void check(const SmallType *t, double x, double got, const char *what) {
    double want = nearest(t, x);
    if ((isnan(want) && isnan(got)) || (want == got && signbit(want) == signbit(got))) return;
    if (t->dtype == TN_F4E2M1 && isnan(x) && got == 0) return;
    fail_msg("%s to %s: %.17g gives %.17g, not %.17g", what, tn_dtype_name(t->dtype), x, got, want);
}

static void cast_on(TnIsa isa, TnDType from, TnDType to, const void *x, void *y, int64_t n) {
    TnMapStep step = {.op = TN_MAP_CAST, .dtype = (uint8_t)to, .arg_dtype = (uint8_t)from};
    TnTensor operands[] = {dense((void *)(uintptr_t)x, from, 1, &n), dense(y, to, 1, &n)};
    call_map(isa, &step, 1, operands, 1);
}

/* All of x, as type `from`, to t by the kernels and by the reference. */
static void check_all(const SmallType *t, TnDType from, const double *x, int n) {
    static char stored[1 << 19], kernel[1 << 19];
    for (int i = 0; i < n; i++) ir_store_f64(from, stored, i, x[i]);
    FOR_EACH_ISA(isa) {
        cast_on(isa, from, t->dtype, stored, kernel, n);
        for (int i = 0; i < n; i++)
            check(t, ir_element_f64(from, stored, i), ir_element_f64(t->dtype, kernel, i),
                  "kernel");
    }
    for (int i = 0; i < n; i++) {
        double v = ir_element_f64(from, stored, i);
        ir_store_f64(t->dtype, kernel, i, v);
        check(t, v, ir_element_f64(t->dtype, kernel, i), "reference");
    }
}

/* Numbers, midpoints, and doubles right beside the midpoints, which f32 would round onto them. */
static void floats_round_once(void **state) {
    (void)state;
    static double x[1 << 16];
    static const TnDType sources[] = {TN_F32, TN_F64, TN_F16, TN_BF16};
    for (int k = 0; k < COUNT(small_types); k++) {
        const SmallType *t = &small_types[k];
        int n = 0, step = t->numbers > 4096 ? 7 : 1;
        for (int i = 0; i < t->numbers; i += step) {
            double a = number(t, i), middle = (a + number(t, i + 1)) / 2;
            double around[] = {a,
                               middle,
                               nextafter(middle, 0),
                               nextafter(middle, INFINITY),
                               -middle,
                               nextafterf((float)middle, 0)};
            for (int j = 0; j < COUNT(around); j++) x[n++] = around[j];
        }
        double special[] = {0.0,
                            -0.0,
                            INFINITY,
                            -INFINITY,
                            NAN,
                            1e300,
                            -1e-300,
                            0x1p-149,
                            0x1p-126,
                            number(t, t->numbers - 1),
                            number(t, t->numbers)};
        for (int j = 0; j < COUNT(special); j++) x[n++] = special[j];
        for (int j = 0; j < COUNT(sources); j++) check_all(t, sources[j], x, n);
    }
}

/* Every pattern, read as a number and written again. */
static void patterns_survive(void **state) {
    (void)state;
    static uint16_t halves[1 << 16], again[1 << 16];
    static float wide[1 << 16];
    for (int k = 0; k < COUNT(small_types); k++) {
        const SmallType *t = &small_types[k];
        int width = 1 + t->exponent + t->mantissa, n = 1 << width;
        uint8_t *bytes = (uint8_t *)halves, *bytes_again = (uint8_t *)again;
        for (int i = 0; i < n; i++) {
            if (width > 8)
                halves[i] = (uint16_t)i;
            else
                bytes[i] = (uint8_t)i;
        }
        FOR_EACH_ISA(isa) {
            cast_on(isa, t->dtype, TN_F32, halves, wide, n);
            cast_on(isa, TN_F32, t->dtype, wide, again, n);
            for (int i = 0; i < n; i++) {
                int size = i & (n / 2 - 1), got = width > 8 ? again[i] : bytes_again[i];
                double want = copysign(number(t, size), i >= n / 2 ? -1 : 1);
                bool is_number = size < t->numbers && !(t->unsigned_zero && i == n / 2);
                if (is_number) {
                    assert_true((double)wide[i] == want);
                    assert_int_equal(got, i);
                } else {
                    assert_true(isnan(wide[i]) || isinf(wide[i]));
                }
                double reference = ir_element_f64(t->dtype, halves, i);
                assert_true(reference == (double)wide[i] || (isnan(reference) && isnan(wide[i])));
            }
        }
    }
}

static void powers_of_two(void **state) {
    (void)state;
    static const float x[] = {0,         1,          1.5f, 2,  3.99f,    0x1p-126f, 0x1p-127f,
                              0x1p-149f, 0x1.8p127f, 0.3f, -5, INFINITY, NAN};
    static const float want[] = {0x1p-127f, 1,        1,     2, 2,   0x1p-126f, 0x1p-127f,
                                 0x1p-127f, 0x1p127f, 0.25f, 4, NAN, NAN};
    FOR_EACH_ISA(isa) {
        uint8_t y[COUNT(x)];
        float back[COUNT(x)];
        cast_on(isa, TN_F32, TN_F8E8M0, x, y, COUNT(x));
        cast_on(isa, TN_F8E8M0, TN_F32, y, back, COUNT(x));
        for (int i = 0; i < COUNT(x); i++) {
            uint8_t reference;
            ir_store_f64(TN_F8E8M0, &reference, 0, (double)x[i]);
            assert_int_equal(y[i], reference);
            assert_true(back[i] == want[i] || (isnan(back[i]) && isnan(want[i])));
            assert_true(ir_element_f64(TN_F8E8M0, y, i) == (double)back[i] || isnan(back[i]));
        }
    }
}

static void integers_wrap(void **state) {
    (void)state;
    static const struct {
        TnDType dtype;
        int bits;
        bool is_signed;
    } narrow[] = {{TN_I4, 4, true}, {TN_U4, 4, false}, {TN_I2, 2, true}, {TN_U2, 2, false}};
    enum { N = 512 };
    int16_t x[N];
    int64_t back[N];
    uint8_t y[N];
    for (int i = 0; i < N; i++) x[i] = (int16_t)(i * 131 - 30000);
    FOR_EACH_ISA(isa)
    for (int k = 0; k < COUNT(narrow); k++) {
        cast_on(isa, TN_I16, narrow[k].dtype, x, y, N);
        cast_on(isa, narrow[k].dtype, TN_I64, y, back, N);
        for (int i = 0; i < N; i++) {
            int span = 1 << narrow[k].bits, want = ((x[i] % span) + span) % span;
            if (narrow[k].is_signed && want >= span / 2) want -= span;
            assert_int_equal(back[i], want);
            assert_int_equal(ir_element_i64(narrow[k].dtype, y, i), want);
            uint8_t reference;
            ir_store_i64(narrow[k].dtype, &reference, 0, x[i]);
            assert_int_equal(reference, y[i]);
        }
    }
}

/* Wide integers round once to bf16 and f16; by way of f32 or double some would not. */
static void integers_to_floats(void **state) {
    (void)state;
    static const int64_t tail[] = {0, 1, -1, 64, 4095, -4095};
    enum { N = 40 * 6 };
    int64_t x[N];
    uint16_t y[N];
    for (int i = 0; i < N; i++) /* 1.00000001b and 1.00000011b, bf16's ties, and their neighbours */
        x[i] =
            (((int64_t)(i & 1 ? 0x181 : 0x183) << (i / 6 + 14)) + tail[i % 6]) * (i & 2 ? -1 : 1);
    for (int k = 0; k < 2; k++) FOR_EACH_ISA(isa) {
            const SmallType *t = &small_types[k];
            cast_on(isa, TN_I64, t->dtype, x, y, N);
            for (int i = 0; i < N; i++) {
                /* As a double that lies on the same side of every bf16 tie. */
                double exact = (double)x[i], high = (double)(x[i] & ~(int64_t)0xffff);
                if (exact > 0x1p53 || exact < -0x1p53)
                    exact = x[i] & 0xffff ? nextafter(high, INFINITY) : high;
                check(t, exact, ir_element_f64(t->dtype, y, i), "integer");
            }
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_round_once),  cmocka_unit_test(patterns_survive),
        cmocka_unit_test(powers_of_two),      cmocka_unit_test(integers_wrap),
        cmocka_unit_test(integers_to_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
