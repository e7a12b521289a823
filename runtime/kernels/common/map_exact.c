/* Steps of a map on double and integer registers: plain loops, no vector vocabulary, which no
 * instruction set makes faster.
 *
 * Integers of every type are int64_t here and are wrapped to their type by map_fit; only u64, whose
 * values do not fit, has functions of its own where the sign matters. No operation traps: x / 0 and
 * x mod 0 are 0, and the smallest integer divided by -1 wraps. */
#include <math.h>
#include "runtime/kernels/map.h"

#define UNARY(name, type, formula)                                  \
    static void name(void *out, const void *const *in, int64_t n) { \
        const type *p = in[0];                                      \
        type *y = out;                                              \
        for (int64_t i = 0; i < n; i++) {                           \
            type a = p[i];                                          \
            y[i] = formula;                                         \
        }                                                           \
    }

/* `result` is the element type of the register written. */
#define BINARY(name, type, result, formula)                         \
    static void name(void *out, const void *const *in, int64_t n) { \
        const type *p = in[0], *q = in[1];                          \
        result *y = out;                                            \
        for (int64_t i = 0; i < n; i++) {                           \
            type a = p[i], b = q[i];                                \
            y[i] = (result)(formula);                               \
        }                                                           \
    }

#define WHERE(name, type)                                               \
    static void name(void *out, const void *const *in, int64_t n) {     \
        const int64_t *chosen = in[0];                                  \
        const type *a = in[1], *b = in[2];                              \
        type *y = out;                                                  \
        for (int64_t i = 0; i < n; i++) y[i] = chosen[i] ? a[i] : b[i]; \
    }

/* doubles */

static double sigmoid(double x) {
    double e = exp(-fabs(x));
    return (x < 0 ? e : 1) / (1 + e);
}

/* Remainder with the sign of the divisor. */
static double floor_mod(double a, double b) {
    double r = fmod(a, b);
    if (r == 0) return copysign(0, b);
    return (r < 0) != (b < 0) ? r + b : r;
}

static double gelu_tanh(double x) {
    return x * sigmoid(2 * sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x));
}

UNARY(copy_f64, double, a)
UNARY(neg_f64, double, -a)
UNARY(abs_f64, double, fabs(a))
UNARY(sqrt_f64, double, sqrt(a))
UNARY(reciprocal_f64, double, 1 / a)
UNARY(exp_f64, double, exp(a))
UNARY(log_f64, double, log(a))
UNARY(erf_f64, double, erf(a))
UNARY(tanh_f64, double, tanh(a))
UNARY(sigmoid_f64, double, sigmoid(a))
UNARY(sin_f64, double, sin(a))
UNARY(cos_f64, double, cos(a))
UNARY(floor_f64, double, floor(a))
UNARY(ceil_f64, double, ceil(a))
UNARY(round_f64, double, rint(a))
UNARY(sign_f64, double, fabs(a) > 0 ? copysign(1, a) : a)
UNARY(relu_f64, double, a < 0 ? 0 : a)
UNARY(gelu_f64, double, a * 0.5 * erfc(-a * sqrt(0.5)))
UNARY(gelu_tanh_f64, double, gelu_tanh(a))
UNARY(gelu_quick_f64, double, a *sigmoid(1.702 * a))
UNARY(silu_f64, double, a *sigmoid(a))
BINARY(add_f64, double, double, a + b)
BINARY(sub_f64, double, double, a - b)
BINARY(mul_f64, double, double, a *b)
BINARY(div_f64, double, double, a / b)
BINARY(mod_f64, double, double, floor_mod(a, b))
BINARY(fmod_f64, double, double, fmod(a, b))
BINARY(pow_f64, double, double, pow(a, b))
BINARY(min_f64, double, double, isnan(a) || a < b ? a : b)
BINARY(max_f64, double, double, isnan(a) || a > b ? a : b)
BINARY(eq_f64, double, int64_t, a == b)
BINARY(lt_f64, double, int64_t, a < b)
BINARY(le_f64, double, int64_t, a <= b)
WHERE(where_f64, double)

MapFn *tn_map_double(int op) {
    static MapFn *const table[TN_MAP_OP_COUNT] = {
        [TN_MAP_COPY] = copy_f64,
        [TN_MAP_ADD] = add_f64,
        [TN_MAP_SUB] = sub_f64,
        [TN_MAP_MUL] = mul_f64,
        [TN_MAP_DIV] = div_f64,
        [TN_MAP_MOD] = mod_f64,
        [TN_MAP_POW] = pow_f64,
        [TN_MAP_MIN] = min_f64,
        [TN_MAP_MAX] = max_f64,
        [TN_MAP_FMOD] = fmod_f64,
        [TN_MAP_NEG] = neg_f64,
        [TN_MAP_ABS] = abs_f64,
        [TN_MAP_SQRT] = sqrt_f64,
        [TN_MAP_RECIPROCAL] = reciprocal_f64,
        [TN_MAP_EXP] = exp_f64,
        [TN_MAP_LOG] = log_f64,
        [TN_MAP_ERF] = erf_f64,
        [TN_MAP_TANH] = tanh_f64,
        [TN_MAP_SIGMOID] = sigmoid_f64,
        [TN_MAP_SIN] = sin_f64,
        [TN_MAP_COS] = cos_f64,
        [TN_MAP_FLOOR] = floor_f64,
        [TN_MAP_CEIL] = ceil_f64,
        [TN_MAP_ROUND] = round_f64,
        [TN_MAP_SIGN] = sign_f64,
        [TN_MAP_RELU] = relu_f64,
        [TN_MAP_GELU] = gelu_f64,
        [TN_MAP_GELU_TANH] = gelu_tanh_f64,
        [TN_MAP_GELU_QUICK] = gelu_quick_f64,
        [TN_MAP_SILU] = silu_f64,
        [TN_MAP_EQ] = eq_f64,
        [TN_MAP_LT] = lt_f64,
        [TN_MAP_LE] = le_f64,
        [TN_MAP_WHERE] = where_f64,
    };
    return table[op] ? table[op] : tn_map_rare_double(op);
}

/* integers; unsigned arithmetic where signed could overflow */

static int64_t divide(int64_t a, int64_t b) {
    if (b == 0) return 0;
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static int64_t remainder_of(int64_t a, int64_t b) {
    return b == 0 || b == -1 ? 0 : a % b;
}

static int64_t floor_remainder(int64_t a, int64_t b) {
    int64_t r = remainder_of(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static uint64_t power_u64(uint64_t base, uint64_t exponent) {
    uint64_t result = 1;
    for (; exponent > 0; exponent >>= 1, base *= base)
        if (exponent & 1) result *= base;
    return result;
}

/* The integer part of the real power: for a negative
 * exponent only bases 1 and -1 leave something. */
static int64_t power(int64_t base, int64_t exponent) {
    if (exponent >= 0) return (int64_t)power_u64((uint64_t)base, (uint64_t)exponent);
    if (base == 1) return 1;
    return base == -1 ? (exponent % 2 ? -1 : 1) : 0;
}

UNARY(copy_int, int64_t, a)
UNARY(neg_int, uint64_t, 0 - a)
UNARY(abs_int, int64_t, a < 0 ? (int64_t)(0 - (uint64_t)a) : a)
UNARY(sign_int, int64_t, (a > 0) - (a < 0))
UNARY(sign_u64, uint64_t, a > 0)
UNARY(relu_int, int64_t, a > 0 ? a : 0)
UNARY(not_bool, int64_t, a == 0)
BINARY(add_int, uint64_t, uint64_t, a + b)
BINARY(sub_int, uint64_t, uint64_t, a - b)
BINARY(mul_int, uint64_t, uint64_t, a *b)
BINARY(div_int, int64_t, int64_t, divide(a, b))
BINARY(div_u64, uint64_t, uint64_t, b == 0 ? 0 : a / b)
BINARY(mod_int, int64_t, int64_t, floor_remainder(a, b))
BINARY(fmod_int, int64_t, int64_t, remainder_of(a, b))
BINARY(mod_u64, uint64_t, uint64_t, b == 0 ? 0 : a % b)
BINARY(pow_int, int64_t, int64_t, power(a, b))
BINARY(pow_u64, uint64_t, uint64_t, power_u64(a, b))
BINARY(min_int, int64_t, int64_t, a < b ? a : b)
BINARY(min_u64, uint64_t, uint64_t, a < b ? a : b)
BINARY(max_int, int64_t, int64_t, a > b ? a : b)
BINARY(max_u64, uint64_t, uint64_t, a > b ? a : b)
BINARY(eq_int, int64_t, int64_t, a == b)
BINARY(lt_int, int64_t, int64_t, a < b)
BINARY(lt_u64, uint64_t, int64_t, a < b)
BINARY(le_int, int64_t, int64_t, a <= b)
BINARY(le_u64, uint64_t, int64_t, a <= b)
BINARY(and_bool, int64_t, int64_t, (a != 0) & (b != 0))
BINARY(or_bool, int64_t, int64_t, (a | b) != 0)
BINARY(xor_bool, int64_t, int64_t, (a != 0) ^ (b != 0))
BINARY(bit_and, int64_t, int64_t, a &b)
BINARY(bit_or, int64_t, int64_t, a | b)
BINARY(bit_xor, int64_t, int64_t, a ^ b)
UNARY(bit_not, int64_t, ~a)
BINARY(shift_left, uint64_t, uint64_t, b > 63 ? 0 : a << b)
BINARY(shift_right, int64_t, int64_t, a >> ((uint64_t)b > 63 ? 63 : b))
BINARY(shift_right_u64, uint64_t, uint64_t, b > 63 ? 0 : a >> b)
WHERE(where_int, int64_t)

MapFn *tn_map_int(int op, TnDType t) {
    static MapFn *const table[TN_MAP_OP_COUNT] = {
        [TN_MAP_COPY] = copy_int,
        [TN_MAP_ADD] = add_int,
        [TN_MAP_SUB] = sub_int,
        [TN_MAP_MUL] = mul_int,
        [TN_MAP_DIV] = div_int,
        [TN_MAP_MOD] = mod_int,
        [TN_MAP_POW] = pow_int,
        [TN_MAP_MIN] = min_int,
        [TN_MAP_MAX] = max_int,
        [TN_MAP_FMOD] = fmod_int,
        [TN_MAP_NEG] = neg_int,
        [TN_MAP_ABS] = abs_int,
        [TN_MAP_FLOOR] = copy_int,
        [TN_MAP_CEIL] = copy_int,
        [TN_MAP_ROUND] = copy_int,
        [TN_MAP_SIGN] = sign_int,
        [TN_MAP_RELU] = relu_int,
        [TN_MAP_EQ] = eq_int,
        [TN_MAP_LT] = lt_int,
        [TN_MAP_LE] = le_int,
        [TN_MAP_AND] = and_bool,
        [TN_MAP_OR] = or_bool,
        [TN_MAP_XOR] = xor_bool,
        [TN_MAP_NOT] = not_bool,
        [TN_MAP_WHERE] = where_int,
        [TN_MAP_BIT_AND] = bit_and,
        [TN_MAP_BIT_OR] = bit_or,
        [TN_MAP_BIT_XOR] = bit_xor,
        [TN_MAP_BIT_NOT] = bit_not,
        [TN_MAP_SHIFT_LEFT] = shift_left,
        [TN_MAP_SHIFT_RIGHT] = shift_right,
    };
    static MapFn *const table_u64[TN_MAP_OP_COUNT] = {
        [TN_MAP_DIV] = div_u64,  [TN_MAP_MOD] = mod_u64,   [TN_MAP_FMOD] = mod_u64,
        [TN_MAP_POW] = pow_u64,  [TN_MAP_MIN] = min_u64,   [TN_MAP_MAX] = max_u64,
        [TN_MAP_ABS] = copy_int, [TN_MAP_SIGN] = sign_u64, [TN_MAP_RELU] = copy_int,
        [TN_MAP_LT] = lt_u64,    [TN_MAP_LE] = le_u64,     [TN_MAP_SHIFT_RIGHT] = shift_right_u64,
    };
    return t == TN_U64 && table_u64[op] ? table_u64[op] : table[op];
}
