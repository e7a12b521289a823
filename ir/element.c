/* Elements of dense tensors as numbers, for every element type.
 *
 * Data may be unaligned (it lies in mapped files), so every access goes through memcpy. Floats of
 * 16 bits and less are rounded to nearest, ties to even, straight from double: never twice. What is
 * beyond the largest number becomes what the format has there: infinity, else NaN, else (f4e2m1)
 * the largest number. f8e8m0 has powers of two only and rounds towards zero. */
#include "ir/element.h"

#include <limits.h>
#include <math.h>
#include <string.h>

/* A binary format: sign, exponent, mantissa. Bit patterns without the sign up to `largest` are
 * numbers, `nan` is not one, `beyond` is what larger numbers become. Formats without a negative
 * zero have their only NaN in its place. */
typedef struct Format {
    int exponent_bits, mantissa_bits, bias;
    uint16_t largest, beyond, nan;
    bool no_negative_zero;
} Format;

static const Format *format_of(TnDType t) {
    static const Format formats[] = {
        [TN_F16] = {5, 10, 15, 0x7bff, 0x7c00, 0x7e00, false},
        [TN_BF16] = {8, 7, 127, 0x7f7f, 0x7f80, 0x7fc0, false},
        [TN_F8E4M3FN] = {4, 3, 7, 0x7e, 0x7f, 0x7f, false},
        [TN_F8E4M3FNUZ] = {4, 3, 8, 0x7f, 0x80, 0x80, true},
        [TN_F8E5M2] = {5, 2, 15, 0x7b, 0x7c, 0x7e, false},
        [TN_F8E5M2FNUZ] = {5, 2, 16, 0x7f, 0x80, 0x80, true},
        [TN_F4E2M1] = {2, 1, 1, 0x7, 0x7, 0x0, false},
    };
    return &formats[t];
}

static double decode(const Format *f, uint16_t bits) {
    int sign_bit = f->exponent_bits + f->mantissa_bits, one = 1 << f->mantissa_bits;
    int size = bits & ((1 << sign_bit) - 1);
    bool negative = bits >> sign_bit & 1;
    double v;
    if (f->no_negative_zero && negative && size == 0) return (double)NAN;
    if (size > f->largest)
        v = size == f->beyond && size != f->nan ? (double)INFINITY : (double)NAN;
    else if (size < one)
        v = ldexp(size, 1 - f->bias - f->mantissa_bits);
    else
        v = ldexp(size % one + one, size / one - f->bias - f->mantissa_bits);
    return negative ? -v : v;
}

static uint16_t encode(const Format *f, double v) {
    int one = 1 << f->mantissa_bits;
    int sign = signbit(v) ? 1 << (f->exponent_bits + f->mantissa_bits) : 0;
    if (isnan(v)) return (uint16_t)(sign | f->nan);
    int bits = f->beyond, exponent = INT_MAX;
    if (!isinf(v)) frexp(v, &exponent); /* |v| in [2^(exponent-1), 2^exponent) */
    int top = (f->largest >> f->mantissa_bits) + 1;
    if (exponent < top + 1 - f->bias) {
        int biased = exponent - 1 + f->bias;
        if (v == 0 || biased < 1) biased = 1; /* zero and subnormals share the smallest scale */
        double units = rint(ldexp(fabs(v), f->bias + f->mantissa_bits - biased));
        /* A normal number's units include the hidden bit; a carry moves to the next exponent. */
        bits = (biased - 1) * one + (int)units; /* units: at most 2 * one */
        if (bits > f->largest) bits = f->beyond;
    }
    if (f->no_negative_zero && (bits == 0 || bits == f->nan)) return (uint16_t)bits;
    return (uint16_t)(sign | bits);
}

/* f8e8m0 is 2^(bits - 127), 255 is NaN. */
static double decode_power(uint8_t bits) {
    return bits == 255 ? (double)NAN : ldexp(1, bits - 127);
}

static uint8_t encode_power(double v) {
    int exponent;
    if (!isfinite(v) || fabs(v) >= 0x1p128) return 255;
    frexp(v, &exponent);
    return (uint8_t)(v == 0 || exponent < -126 ? 0 : exponent - 1 + 127);
}

#define LOAD(T) \
    T v;        \
    memcpy(&v, (const char *)data + (size_t)i * sizeof v, sizeof v)

double ir_element_f64(TnDType t, const void *data, int64_t i) {
    switch (t) {
    case TN_F32: {
        LOAD(float);
        return (double)v;
    }
    case TN_F64: {
        LOAD(double);
        return v;
    }
    case TN_F16:
    case TN_BF16: {
        LOAD(uint16_t);
        return decode(format_of(t), v);
    }
    case TN_F8E4M3FN:
    case TN_F8E4M3FNUZ:
    case TN_F8E5M2:
    case TN_F8E5M2FNUZ:
    case TN_F4E2M1: return decode(format_of(t), ((const uint8_t *)data)[i]);
    case TN_F8E8M0: return decode_power(((const uint8_t *)data)[i]);
    case TN_U64: {
        LOAD(uint64_t);
        return (double)v;
    }
    default: return (double)ir_element_i64(t, data, i);
    }
}

/* The low bits of v as an integer of fewer than 8 bits. */
static int64_t fit(TnDType t, int64_t v) {
    int bits = tn_dtype_bits(t);
    int64_t low = v & ((1 << bits) - 1);
    bool negative = tn_dtype_class(t) == TN_CLASS_INT && low >> (bits - 1);
    return negative ? low - (1 << bits) : low;
}

int64_t ir_element_i64(TnDType t, const void *data, int64_t i) {
    switch (t) {
#define CASE(D, T)         \
    case D: {              \
        LOAD(T);           \
        return (int64_t)v; \
    }
        CASE(TN_I8, int8_t)
        CASE(TN_I16, int16_t)
        CASE(TN_I32, int32_t)
        CASE(TN_I64, int64_t)
        CASE(TN_U8, uint8_t)
        CASE(TN_U16, uint16_t)
        CASE(TN_U32, uint32_t)
        CASE(TN_U64, uint64_t)
#undef CASE
    case TN_I4:
    case TN_U4:
    case TN_I2:
    case TN_U2: return fit(t, ((const uint8_t *)data)[i]);
    case TN_BOOL: return ((const uint8_t *)data)[i] != 0;
    default: return 0;
    }
}

static void store(void *data, int64_t i, const void *v, size_t size) {
    memcpy((char *)data + (size_t)i * size, v, size);
}

/* Truncates and saturates; NaN is 0. */
static int64_t to_integer(TnDType t, double v) {
    if (isnan(v)) return 0;
    bool is_unsigned = tn_dtype_class(t) == TN_CLASS_UINT;
    int bits = tn_dtype_bits(t);
    double low = is_unsigned ? 0 : -ldexp(1, bits - 1), limit = ldexp(1, bits - !is_unsigned);
    if (v <= low) return is_unsigned ? 0 : INT64_MIN >> (64 - bits);
    if (v >= limit) return (int64_t)((is_unsigned ? UINT64_MAX : INT64_MAX) >> (64 - bits));
    return is_unsigned ? (int64_t)(uint64_t)v : (int64_t)v;
}

void ir_store_f64(TnDType t, void *data, int64_t i, double v) {
    float f = (float)v;
    uint16_t bits;
    switch (t) {
    case TN_F32: store(data, i, &f, sizeof f); break;
    case TN_F64: store(data, i, &v, sizeof v); break;
    case TN_F16:
    case TN_BF16:
        bits = encode(format_of(t), v);
        store(data, i, &bits, sizeof bits);
        break;
    case TN_F8E4M3FN:
    case TN_F8E4M3FNUZ:
    case TN_F8E5M2:
    case TN_F8E5M2FNUZ:
    case TN_F4E2M1: ((uint8_t *)data)[i] = (uint8_t)encode(format_of(t), v); break;
    case TN_F8E8M0: ((uint8_t *)data)[i] = encode_power(v); break;
    case TN_BOOL: ((uint8_t *)data)[i] = v != 0; break;
    default: ir_store_i64(t, data, i, to_integer(t, v)); break;
    }
}

void ir_store_i64(TnDType t, void *data, int64_t i, int64_t v) {
    switch (t) {
#define CASE(D, T)                    \
    case D: {                         \
        T w = (T)(uint64_t)v;         \
        store(data, i, &w, sizeof w); \
        break;                        \
    }
        CASE(TN_I8, uint8_t)
        CASE(TN_I16, uint16_t)
        CASE(TN_I32, uint32_t)
        CASE(TN_I64, uint64_t)
        CASE(TN_U8, uint8_t)
        CASE(TN_U16, uint16_t)
        CASE(TN_U32, uint32_t)
        CASE(TN_U64, uint64_t)
#undef CASE
    case TN_I4:
    case TN_U4:
    case TN_I2:
    case TN_U2: ((uint8_t *)data)[i] = (uint8_t)fit(t, v); break;
    case TN_BOOL: ((uint8_t *)data)[i] = v != 0; break;
    default: ir_store_f64(t, data, i, (double)v); break;
    }
}

/* Weights have hundreds of millions of elements, mostly of f32: half a unit is added to the bits,
 * to nearest even. */
void ir_round_bf16(TnDType t, const void *data, int64_t n, void *to) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        if (t == TN_F32) memcpy(&bits, (const char *)data + (size_t)i * sizeof bits, sizeof bits);
        if (t != TN_F32 || (bits & 0x7fffffff) > 0x7f800000) {
            ir_store_f64(TN_BF16, to, i, ir_element_f64(t, data, i));
            continue;
        }
        uint16_t half = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
        store(to, i, &half, sizeof half);
    }
}
