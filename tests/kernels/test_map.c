/* map on every ISA: integer semantics at the edges of every type, floats and doubles, broadcasting
 * and strides, fused programs, in place. Casts: test_map_cast.c. */
#include "tests/kernels/map_call.h"
#include "tests/kernels/views.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

typedef __int128 Wide;

static const TnDType int_types[] = {TN_I8, TN_I16, TN_I32, TN_I64, TN_U8, TN_U16, TN_U32, TN_U64};

static Wide wide(TnDType t, const void *p) {
    int64_t v = int_get(t, p);
    return t == TN_U64 ? (Wide)(uint64_t)v : (Wide)v;
}

static Wide wide_power(Wide a, Wide b) {
    if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
    unsigned __int128 r = 1, base = (unsigned __int128)a;
    for (; b > 0; b /= 2, base *= base)
        if (b % 2) r *= base;
    return (Wide)r;
}

static bool is_comparison(TnMapOp op) {
    return op == TN_MAP_EQ || op == TN_MAP_LT || op == TN_MAP_LE;
}

static Wide expected_int(TnMapOp op, Wide a, Wide b) {
    switch (op) {
    case TN_MAP_ADD: return a + b;
    case TN_MAP_SUB: return a - b;
    case TN_MAP_MUL: return (Wide)((unsigned __int128)a * (unsigned __int128)b);
    case TN_MAP_DIV: return b == 0 ? 0 : a / b;
    case TN_MAP_FMOD: return b == 0 ? 0 : a % b;
    case TN_MAP_MOD: return b == 0 ? 0 : (a % b != 0 && (a % b < 0) != (b < 0)) ? a % b + b : a % b;
    case TN_MAP_POW: return wide_power(a, b);
    case TN_MAP_MIN: return a < b ? a : b;
    case TN_MAP_MAX: return a > b ? a : b;
    case TN_MAP_EQ: return a == b;
    case TN_MAP_LT: return a < b;
    case TN_MAP_LE: return a <= b;
    case TN_MAP_BIT_AND: return a & b;
    case TN_MAP_BIT_OR: return a | b;
    case TN_MAP_BIT_XOR: return a ^ b;
    case TN_MAP_BIT_NOT: return ~a;
    case TN_MAP_SHIFT_LEFT: return b < 0 || b > 63 ? 0 : (Wide)((unsigned __int128)a << b);
    case TN_MAP_SHIFT_RIGHT: return a >> (b < 0 || b > 63 ? 63 + (a >= 0) : b);
    case TN_MAP_NEG: return -a;
    case TN_MAP_ABS: return a < 0 ? -a : a;
    case TN_MAP_SIGN: return (a > 0) - (a < 0);
    case TN_MAP_RELU: return a > 0 ? a : 0;
    default: return a; /* COPY, FLOOR, CEIL, ROUND */
    }
}

/* Every pair of interesting values of one type under every operation. */
static void integer_operations(void **state) {
    (void)state;
    static const TnMapOp ops[] = {
        TN_MAP_ADD,    TN_MAP_SUB,     TN_MAP_MUL,     TN_MAP_DIV,        TN_MAP_FMOD,
        TN_MAP_MOD,    TN_MAP_POW,     TN_MAP_MIN,     TN_MAP_MAX,        TN_MAP_EQ,
        TN_MAP_LT,     TN_MAP_LE,      TN_MAP_NEG,     TN_MAP_ABS,        TN_MAP_SIGN,
        TN_MAP_RELU,   TN_MAP_COPY,    TN_MAP_FLOOR,   TN_MAP_ROUND,      TN_MAP_BIT_AND,
        TN_MAP_BIT_OR, TN_MAP_BIT_XOR, TN_MAP_BIT_NOT, TN_MAP_SHIFT_LEFT, TN_MAP_SHIFT_RIGHT};
    static const int64_t values[] = {
        0,     1,     -1,    2,         -2,        3,          -3,        7,         -7,
        100,   127,   -128,  255,       32767,     -32768,     65535,     500,       63,
        65536, 99999, -9999, INT32_MAX, INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN, INT64_MIN + 1};
    enum { N = COUNT(values) * COUNT(values) };
    int64_t a[N], b[N], y[N];
    FOR_EACH_ISA(isa)
    for (int k = 0; k < COUNT(int_types); k++)
        for (int o = 0; o < COUNT(ops); o++) {
            TnDType t = int_types[k], result = is_comparison(ops[o]) ? TN_BOOL : t;
            int64_t size = (int64_t)tn_dtype_size(t), y_size = (int64_t)tn_dtype_size(result);
            for (int i = 0; i < N; i++) {
                int_set(t, (char *)a + i * size, values[i / COUNT(values)]);
                int_set(t, (char *)b + i * size, values[i % COUNT(values)]);
            }
            int unary = ops[o] == TN_MAP_COPY || ops[o] == TN_MAP_BIT_NOT ||
                        (ops[o] >= TN_MAP_NEG && ops[o] < TN_MAP_EQ);
            if (unary)
                map_unary(isa, ops[o], t, a, y, N);
            else
                map_binary(isa, ops[o], t, result, a, b, y, N);
            for (int i = 0; i < N; i++) {
                Wide left = wide(t, (char *)a + i * size), right = wide(t, (char *)b + i * size);
                int64_t want = 0, got = int_get(result, (char *)y + i * y_size);
                int_set(result, &want, (int64_t)expected_int(ops[o], left, right));
                want = int_get(result, &want);
                if (got == want) continue;
                fail_msg("%s %s op %d of %lld, %lld: %lld, not %lld", tn_isa_name(isa),
                         tn_dtype_name(t), (int)ops[o], (long long)left, (long long)right,
                         (long long)got, (long long)want);
            }
        }
}

static void logic(void **state) {
    (void)state;
    const uint8_t a[] = {0, 0, 1, 1, 1}, b[] = {0, 1, 0, 1, 1};
    uint8_t y[5];
    FOR_EACH_ISA(isa) {
        map_binary(isa, TN_MAP_AND, TN_BOOL, TN_BOOL, a, b, y, 5);
        assert_memory_equal(y, ((uint8_t[]){0, 0, 0, 1, 1}), 5);
        map_binary(isa, TN_MAP_OR, TN_BOOL, TN_BOOL, a, b, y, 5);
        assert_memory_equal(y, ((uint8_t[]){0, 1, 1, 1, 1}), 5);
        map_binary(isa, TN_MAP_XOR, TN_BOOL, TN_BOOL, a, b, y, 5);
        assert_memory_equal(y, ((uint8_t[]){0, 1, 1, 0, 0}), 5);
        map_unary(isa, TN_MAP_NOT, TN_BOOL, a, y, 5);
        assert_memory_equal(y, ((uint8_t[]){1, 1, 0, 0, 0}), 5);
    }
}

static double expected_float(TnMapOp op, double a, double b) {
    double r = fmod(a, b);
    switch (op) {
    case TN_MAP_ADD: return a + b;
    case TN_MAP_SUB: return a - b;
    case TN_MAP_MUL: return a * b;
    case TN_MAP_DIV: return a / b;
    case TN_MAP_FMOD: return r;
    case TN_MAP_MOD: return r == 0 ? copysign(0, b) : (r < 0) != (b < 0) ? r + b : r;
    case TN_MAP_POW: return pow(a, b);
    case TN_MAP_MIN: return isnan(a) || isnan(b) ? (double)NAN : fmin(a, b);
    case TN_MAP_MAX: return isnan(a) || isnan(b) ? (double)NAN : fmax(a, b);
    case TN_MAP_EQ: return a == b;
    case TN_MAP_LT: return a < b;
    default: return a <= b;
    }
}

static void float_operations(void **state) {
    (void)state;
    static const TnMapOp ops[] = {TN_MAP_ADD,  TN_MAP_SUB, TN_MAP_MUL, TN_MAP_DIV,
                                  TN_MAP_FMOD, TN_MAP_MOD, TN_MAP_POW, TN_MAP_MIN,
                                  TN_MAP_MAX,  TN_MAP_EQ,  TN_MAP_LT,  TN_MAP_LE};
    static const double values[] = {0, 1, -1, 0.5, -2.5, 3, -7.25, 100, INFINITY, -INFINITY, NAN};
    static const TnDType types[] = {TN_F32, TN_F64, TN_F16, TN_BF16};
    enum { N = COUNT(values) * COUNT(values) };
    double a[N], b[N], y[N];
    FOR_EACH_ISA(isa)
    for (int k = 0; k < COUNT(types); k++)
        for (int o = 0; o < COUNT(ops); o++) {
            TnDType t = types[k], result = ops[o] >= TN_MAP_EQ ? TN_BOOL : t;
            int64_t size = (int64_t)tn_dtype_size(t), y_size = (int64_t)tn_dtype_size(result);
            for (int i = 0; i < N; i++) {
                real_set(t, (char *)a + i * size, values[i / COUNT(values)]);
                real_set(t, (char *)b + i * size, values[i % COUNT(values)]);
            }
            map_binary(isa, ops[o], t, result, a, b, y, N);
            for (int i = 0; i < N; i++) {
                double left = real_get(t, (char *)a + i * size),
                       right = real_get(t, (char *)b + i * size);
                double want = expected_float(ops[o], left, right);
                if (result == t) want = round_to(t, want);
                double got = any_get(result, (char *)y + i * y_size);
                if (got == want || (isnan(got) && isnan(want))) continue;
                fail_msg("%s %s op %d of %g, %g: %g, not %g", tn_isa_name(isa), tn_dtype_name(t),
                         (int)ops[o], left, right, got, want);
            }
        }
}

/* f64 functions come from libm; one value each shows that the right one is called. */
static void double_functions(void **state) {
    (void)state;
    const double x = 0.7, s = 1 / (1 + exp(-x));
    const struct {
        TnMapOp op;
        double y;
    } rows[] = {
        {TN_MAP_NEG, -x},
        {TN_MAP_ABS, x},
        {TN_MAP_SQRT, sqrt(x)},
        {TN_MAP_RECIPROCAL, 1 / x},
        {TN_MAP_EXP, exp(x)},
        {TN_MAP_LOG, log(x)},
        {TN_MAP_ERF, erf(x)},
        {TN_MAP_TANH, tanh(x)},
        {TN_MAP_SIGMOID, s},
        {TN_MAP_SIN, sin(x)},
        {TN_MAP_COS, cos(x)},
        {TN_MAP_TAN, tan(x)},
        {TN_MAP_ASIN, asin(x)},
        {TN_MAP_ACOS, acos(x)},
        {TN_MAP_ATAN, atan(x)},
        {TN_MAP_SINH, sinh(x)},
        {TN_MAP_COSH, cosh(x)},
        {TN_MAP_ASINH, asinh(x)},
        {TN_MAP_ATANH, atanh(x)},
        {TN_MAP_FLOOR, 0},
        {TN_MAP_CEIL, 1},
        {TN_MAP_ROUND, 1},
        {TN_MAP_SIGN, 1},
        {TN_MAP_RELU, x},
        {TN_MAP_GELU, x * 0.5 * (1 + erf(x / sqrt(2)))},
        {TN_MAP_GELU_TANH, 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)))},
        {TN_MAP_GELU_QUICK, x / (1 + exp(-1.702 * x))},
        {TN_MAP_SILU, x * s},
        {TN_MAP_COPY, x}};
    FOR_EACH_ISA(isa)
    for (int i = 0; i < COUNT(rows); i++) {
        double y[3] = {0}, in[3] = {x, x, x};
        map_unary(isa, rows[i].op, TN_F64, in, y, 3);
        if (fabs(y[2] - rows[i].y) > 1e-14) fail_msg("op %d: %g", (int)rows[i].op, y[2]);
    }
}

/* y = where(a < b, a * b + c, c - 1.5) over random broadcasts and strides of mixed types. */
static void check_program(TnIsa isa, TnDType result, uint32_t seed) {
    uint32_t random = seed;
    int rank = (int)pick(&random, 7);
    int64_t dims[TN_MAX_RANK], in_dims[TN_MAX_RANK];
    uint32_t longest = rank > 4 ? 4 : 9;
    for (int i = 0; i < rank; i++)
        dims[i] = rank <= 4 && pick(&random, 7) == 0 ? (pick(&random, 2) ? 70 : 200)
                                                     : 1 + pick(&random, longest);
    View v[4];
    for (int k = 0; k < 3; k++) {
        int shorter = rank > 0 && pick(&random, 4) == 0;
        for (int i = 0; i < rank; i++) in_dims[i] = pick(&random, 4) == 0 ? 1 : dims[i];
        v[k] =
            view_new(TN_F32, rank - shorter, in_dims + shorter, pick(&random, 2) ? &random : NULL);
        view_randomise(&v[k], &random);
    }
    v[3] = view_new(result, rank, dims, pick(&random, 2) ? &random : NULL);
    const TnMapStep steps[] = {
        {.op = TN_MAP_LT, .dtype = TN_BOOL, .arg_dtype = TN_F32, .args = {0, 1, 0}},
        {.op = TN_MAP_MUL, .dtype = TN_F32, .arg_dtype = TN_F32, .args = {0, 1, 0}},
        {.op = TN_MAP_ADD, .dtype = TN_F32, .arg_dtype = TN_F32, .args = {4, 2, 0}},
        {.op = TN_MAP_CONST, .dtype = TN_F32, .arg_dtype = TN_F32, .value = 1.5},
        {.op = TN_MAP_SUB, .dtype = TN_F32, .arg_dtype = TN_F32, .args = {2, 6, 0}},
        {.op = TN_MAP_WHERE, .dtype = TN_F32, .arg_dtype = TN_F32, .args = {3, 5, 7}},
        {.op = TN_MAP_CAST, .dtype = (uint8_t)result, .arg_dtype = TN_F32, .args = {8, 0, 0}},
    };
    TnTensor operands[] = {v[0].t, v[1].t, v[2].t, v[3].t};
    call_map(isa, steps, result == TN_F32 ? 6 : 7, operands, 3);
    for (int64_t i = 0, n = view_count(&v[3].t); i < n; i++) {
        int64_t index[TN_MAX_RANK];
        view_index(&v[3].t, i, index);
        float in[3];
        for (int k = 0; k < 3; k++) memcpy(&in[k], view_at(&v[k].t, index, rank), 4);
        float want = in[0] < in[1] ? (float)(in[0] * in[1]) + in[2] : in[2] - 1.5f;
        double got = any_get(result, view_at(&v[3].t, index, rank));
        double exact = tn_is_float(result) ? (double)want : trunc((double)want);
        if (fabs(got - exact) > (result == TN_F16 ? 0.02 : 1e-5))
            fail_msg("seed %u: %g, not %g", seed, got, exact);
    }
    for (int k = 0; k < 4; k++) {
        view_check(&v[k]);
        view_free(&v[k]);
    }
}

static void broadcasts_and_strides(void **state) {
    (void)state;
    static const TnDType results[] = {TN_F16, TN_F32, TN_I32, TN_I8};
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 400; seed++) check_program(isa, results[seed % 4], seed);
}

static void in_place(void **state) {
    (void)state;
    enum { N = 70001 };
    float *x = noise_array(N, 9), *y = malloc(N * sizeof *y);
    int64_t n = N, one = 1;
    float two = 2;
    const TnMapStep steps[] = {
        {.op = TN_MAP_MUL, .dtype = TN_F32, .arg_dtype = TN_F32, .args = {0, 1, 0}},
        {.op = TN_MAP_ADD, .dtype = TN_F32, .arg_dtype = TN_F32, .args = {2, 0, 0}},
    };
    FOR_EACH_ISA(isa) {
        memcpy(y, x, N * sizeof *y);
        TnTensor operands[] = {dense(y, TN_F32, 1, &n), dense(&two, TN_F32, 1, &one),
                               dense(y, TN_F32, 1, &n)};
        call_map(isa, steps, 2, operands, 2);
        for (int i = 0; i < N; i++) assert_true(y[i] == x[i] * 2 + x[i]);
    }
    free(x);
    free(y);
}

/* Programs without inputs, of constants only, and over nothing. */
static void degenerate(void **state) {
    (void)state;
    FOR_EACH_ISA(isa) {
        int64_t n = 5, none[] = {3, 0};
        int32_t y[5], untouched = 7;
        const TnMapStep step = {
            .op = TN_MAP_CONST, .dtype = TN_I32, .arg_dtype = TN_I32, .integer = -3};
        TnTensor full = dense(y, TN_I32, 1, &n), empty = dense(&untouched, TN_I32, 2, none);
        call_map(isa, &step, 1, &full, 0);
        for (int i = 0; i < 5; i++) assert_int_equal(y[i], -3);
        call_map(isa, &step, 1, &empty, 0);
        assert_int_equal(untouched, 7);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integer_operations),
        cmocka_unit_test(logic),
        cmocka_unit_test(float_operations),
        cmocka_unit_test(double_functions),
        cmocka_unit_test(broadcasts_and_strides),
        cmocka_unit_test(in_place),
        cmocka_unit_test(degenerate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
