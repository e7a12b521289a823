/* Elements of dense tensors as numbers, for every element type.
 *
 * Data may be unaligned (it lies in mapped files), so every access goes through memcpy. 16-bit
 * floats are rounded to nearest, ties to even, straight from double: never twice. */
#include "ir/ir.h"

#include <math.h>
#include <string.h>

/* A binary format: sign, exponent, mantissa. */
typedef struct Format {
    int exponent_bits, mantissa_bits;
} Format;

static const Format half_format = {5, 10}, bfloat_format = {8, 7};

static double decode(Format f, uint16_t bits) {
    int bias = (1 << (f.exponent_bits - 1)) - 1, top = (1 << f.exponent_bits) - 1;
    int exponent = (bits >> f.mantissa_bits) & top;
    int mantissa = bits & ((1 << f.mantissa_bits) - 1);
    double v;
    if (exponent == top)
        v = mantissa ? (double)NAN : (double)INFINITY;
    else if (exponent == 0)
        v = ldexp(mantissa, 1 - bias - f.mantissa_bits);
    else
        v = ldexp(mantissa + (1 << f.mantissa_bits), exponent - bias - f.mantissa_bits);
    return bits >> 15 ? -v : v;
}

static uint16_t encode(Format f, double v) {
    int bias = (1 << (f.exponent_bits - 1)) - 1, top = (1 << f.exponent_bits) - 1;
    int one = 1 << f.mantissa_bits;
    int sign = signbit(v) ? 0x8000 : 0;
    if (isnan(v)) return (uint16_t)(sign | top << f.mantissa_bits | one >> 1);
    if (isinf(v)) return (uint16_t)(sign | top << f.mantissa_bits);
    int exponent;
    frexp(v, &exponent); /* |v| in [2^(exponent-1), 2^exponent) */
    int biased = exponent - 1 + bias;
    if (v == 0 || biased < 1) biased = 1; /* zero and subnormals share the smallest scale */
    if (biased >= top) return (uint16_t)(sign | top << f.mantissa_bits);
    double units = rint(ldexp(fabs(v), bias + f.mantissa_bits - biased)); /* at most 2 * one */
    /* A normal number's units include the hidden bit; a carry moves on to the next exponent. */
    int bits = (biased - 1) * one + (int)units;
    return (uint16_t)(sign | bits);
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
    case TN_F16: {
        LOAD(uint16_t);
        return decode(half_format, v);
    }
    case TN_BF16: {
        LOAD(uint16_t);
        return decode(bfloat_format, v);
    }
    case TN_U64: {
        LOAD(uint64_t);
        return (double)v;
    }
    default: return (double)ir_element_i64(t, data, i);
    }
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
    int bits = (int)tn_dtype_size(t) * 8;
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
        bits = encode(half_format, v);
        store(data, i, &bits, sizeof bits);
        break;
    case TN_BF16:
        bits = encode(bfloat_format, v);
        store(data, i, &bits, sizeof bits);
        break;
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
    case TN_BOOL: ((uint8_t *)data)[i] = v != 0; break;
    default: ir_store_f64(t, data, i, (double)v); break;
    }
}
