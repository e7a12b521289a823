/* What elementwise operators do to one element.
 *
 * Floats compute in double and are rounded to their type, integers in 64 bits and wrap, so an f32
 * chain behaves like one of correctly rounded f32 functions. Division by zero gives 0 for integers;
 * a cast from float to integer truncates, saturates, and takes NaN to 0. Floating-point functions
 * of integers go through double. */
#include "ir/ref/ref.h"

#include <math.h>

Scalar scalar_load(TnDType t, const void *data, int64_t i) {
    return tn_is_float(t) ? (Scalar){.f = ir_element_f64(t, data, i)}
                          : (Scalar){.i = ir_element_i64(t, data, i)};
}

void scalar_store(TnDType t, void *data, int64_t i, Scalar v) {
    if (tn_is_float(t))
        ir_store_f64(t, data, i, v.f);
    else
        ir_store_i64(t, data, i, v.i);
}

Scalar scalar_round(TnDType t, Scalar v) {
    int64_t place;
    scalar_store(t, &place, 0, v);
    return scalar_load(t, &place, 0);
}

/* --- conversions --- */

static double to_double(TnDType t, int64_t i) {
    return t == TN_U64 ? (double)(uint64_t)i : (double)i;
}

/* Once to f32: by way of double a 64-bit integer would be rounded twice. */
static double to_float(TnDType t, int64_t i) {
    return t == TN_U64 ? (double)(float)(uint64_t)i : (double)(float)i;
}

/* To a narrower float: bits that a double has no room for become one, so that it rounds as the
 * integer does. */
static double to_narrow(TnDType t, int64_t i) {
    bool negative = t != TN_U64 && i < 0;
    uint64_t size = negative ? 0 - (uint64_t)i : (uint64_t)i;
    if (size >= (uint64_t)1 << 53 && size % 4096 != 0) size = size / 4096 * 4096 + 2048;
    return negative ? -(double)size : (double)size;
}

static int64_t saturate(TnDType to, double v) {
    bool is_signed = tn_dtype_class(to) == TN_CLASS_INT;
    int bits = tn_dtype_bits(to);
    double end = ldexp(1, is_signed ? bits - 1 : bits); /* one past the largest */
    if (isnan(v)) return 0;
    v = trunc(v);
    if (v >= end)
        return is_signed ? INT64_MAX >> (64 - bits) : (int64_t)(UINT64_MAX >> (64 - bits));
    if (v < (is_signed ? -end : 0)) return is_signed ? INT64_MIN >> (64 - bits) : 0;
    return is_signed ? (int64_t)v : (int64_t)(uint64_t)v;
}

Scalar scalar_convert(TnDType from, TnDType to, Scalar v) {
    if (tn_is_float(from)) {
        if (tn_is_float(to)) return v;
        return (Scalar){.i = to == TN_BOOL ? v.f != 0 : saturate(to, v.f)};
    }
    if (to == TN_F32) return (Scalar){.f = to_float(from, v.i)};
    if (to == TN_F64) return (Scalar){.f = to_double(from, v.i)};
    if (tn_is_float(to)) return (Scalar){.f = to_narrow(from, v.i)};
    return (Scalar){.i = to == TN_BOOL ? v.i != 0 : v.i};
}

/* --- floats --- */

/* The remainder takes the sign of the divisor, as a - floor(a / b) b does. */
static double mod_float(double a, double b) {
    double r = fmod(a, b);
    if (r == 0) return copysign(0, b);
    return (r < 0) != (b < 0) ? r + b : r;
}

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static double unary_float(OpKind op, double x) {
    switch (op) {
    case OP_neg: return -x;
    case OP_abs: return fabs(x);
    case OP_sqrt: return sqrt(x);
    case OP_reciprocal: return 1 / x;
    case OP_exp: return exp(x);
    case OP_log: return log(x);
    case OP_erf: return erf(x);
    case OP_tanh: return tanh(x);
    case OP_sigmoid: return sigmoid(x);
    case OP_sin: return sin(x);
    case OP_cos: return cos(x);
    case OP_tan: return tan(x);
    case OP_asin: return asin(x);
    case OP_acos: return acos(x);
    case OP_atan: return atan(x);
    case OP_sinh: return sinh(x);
    case OP_cosh: return cosh(x);
    case OP_asinh: return asinh(x);
    case OP_acosh: return acosh(x);
    case OP_atanh: return atanh(x);
    case OP_floor: return floor(x);
    case OP_ceil: return ceil(x);
    case OP_round: return rint(x); /* ties to even in the default rounding mode */
    case OP_sign: return isnan(x) ? x : (x > 0) - (x < 0);
    case OP_relu: return x < 0 ? 0 : x;
    case OP_gelu: return 0.5 * x * (1 + erf(x / sqrt(2)));
    case OP_gelu_tanh: return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case OP_gelu_quick: return x * sigmoid(1.702 * x);
    case OP_silu: return x * sigmoid(x);
    default: return NAN;
    }
}

static double binary_float(OpKind op, double a, double b) {
    switch (op) {
    case OP_add: return a + b;
    case OP_sub: return a - b;
    case OP_mul: return a * b;
    case OP_div: return a / b;
    case OP_mod: return mod_float(a, b);
    case OP_fmod: return fmod(a, b);
    case OP_pow: return pow(a, b);
    case OP_min: return isnan(a) || a < b ? a : b;
    case OP_max: return isnan(a) || a > b ? a : b;
    default: return unary_float(op, a);
    }
}

/* --- integers: all arithmetic modulo 2^64, so unsigned --- */

static int64_t divide(TnDType t, int64_t a, int64_t b) {
    if (b == 0) return 0;
    if (t == TN_U64) return (int64_t)((uint64_t)a / (uint64_t)b);
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static int64_t remainder_of(TnDType t, int64_t a, int64_t b) {
    if (b == 0) return 0;
    if (t == TN_U64) return (int64_t)((uint64_t)a % (uint64_t)b);
    return b == -1 ? 0 : a % b;
}

static int64_t mod_int(TnDType t, int64_t a, int64_t b) {
    int64_t r = remainder_of(t, a, b);
    return t != TN_U64 && r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static int64_t power(TnDType t, int64_t a, int64_t b) {
    if (b < 0 && t != TN_U64) return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
    uint64_t r = 1, base = (uint64_t)a;
    for (uint64_t e = (uint64_t)b; e; e >>= 1) {
        if (e & 1) r *= base;
        base *= base;
    }
    return (int64_t)r;
}

static bool less(TnDType t, int64_t a, int64_t b) {
    return t == TN_U64 ? (uint64_t)a < (uint64_t)b : a < b;
}

/* A count that is negative or too large, taken as unsigned, shifts everything out. */
static int64_t shift_left(int64_t a, int64_t b) {
    return (uint64_t)b > 63 ? 0 : (int64_t)((uint64_t)a << b);
}

static int64_t shift_right(TnDType t, int64_t a, int64_t b) {
    if (t == TN_U64) return (uint64_t)b > 63 ? 0 : (int64_t)((uint64_t)a >> b);
    return a >> ((uint64_t)b > 63 ? 63 : b);
}

static int64_t apply_int(OpKind op, TnDType t, int64_t a, int64_t b) {
    bool negative = t != TN_U64 && a < 0;
    switch (op) {
    case OP_add: return (int64_t)((uint64_t)a + (uint64_t)b);
    case OP_sub: return (int64_t)((uint64_t)a - (uint64_t)b);
    case OP_mul: return (int64_t)((uint64_t)a * (uint64_t)b);
    case OP_div: return divide(t, a, b);
    case OP_mod: return mod_int(t, a, b);
    case OP_fmod: return remainder_of(t, a, b);
    case OP_pow: return power(t, a, b);
    case OP_min: return less(t, a, b) ? a : b;
    case OP_max: return less(t, a, b) ? b : a;
    case OP_neg: return (int64_t)(0 - (uint64_t)a);
    case OP_abs: return negative ? (int64_t)(0 - (uint64_t)a) : a;
    case OP_sign: return negative ? -1 : a != 0;
    case OP_relu: return negative ? 0 : a;
    case OP_reciprocal: return divide(t, 1, a);
    case OP_floor:
    case OP_ceil:
    case OP_round: return a;
    case OP_and:
    case OP_bit_and: return a & b;
    case OP_or:
    case OP_bit_or: return a | b;
    case OP_xor:
    case OP_bit_xor: return a ^ b;
    case OP_not: return !a;
    case OP_bit_not: return ~a;
    case OP_shift_left: return shift_left(a, b);
    case OP_shift_right: return shift_right(t, a, b);
    default: return saturate(t, unary_float(op, to_double(t, a)));
    }
}

Scalar scalar_apply(OpKind op, TnDType t, const Scalar *args) {
    Scalar a = args[0], b = ir_op_info(op)->min_inputs > 1 ? args[1] : a;
    bool is_float = tn_is_float(t);
    switch (op) {
    case OP_where: return a.i ? args[1] : args[2];
    case OP_eq: return (Scalar){.i = is_float ? a.f == b.f : a.i == b.i};
    case OP_lt: return (Scalar){.i = is_float ? a.f < b.f : less(t, a.i, b.i)};
    case OP_le: return (Scalar){.i = is_float ? a.f <= b.f : !less(t, b.i, a.i)};
    default: break;
    }
    return is_float ? (Scalar){.f = binary_float(op, a.f, b.f)}
                    : (Scalar){.i = apply_int(op, t, a.i, b.i)};
}
