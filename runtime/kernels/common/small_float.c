/* Floats of at most 8 bits: load, store, round. All but f8e8m0 are a sign, an exponent and a
 * mantissa and differ in the numbers of Format; f8e8m0 is the exponent of a float. */
#include "runtime/kernels/small_float.h"
#include "runtime/kernels/half.h"

/* Bit patterns without the sign up to `largest` are numbers; `beyond` is what larger numbers become
 * and `nan` what NaN does. Those without a negative zero have their only NaN, `nan`, there. */
typedef struct Format {
    uint8_t mantissa, bias, sign, largest, beyond, nan, has_infinity;
} Format;

static const Format *format_of(TnDType t) {
    static const Format e4m3fn = {3, 7, 0x80, 0x7e, 0x7f, 0x7f, 0};
    static const Format e4m3fnuz = {3, 8, 0x80, 0x7f, 0x80, 0x80, 0};
    static const Format e5m2 = {2, 15, 0x80, 0x7b, 0x7c, 0x7e, 1};
    static const Format e5m2fnuz = {2, 16, 0x80, 0x7f, 0x80, 0x80, 0};
    static const Format e2m1 = {1, 1, 0x08, 0x07, 0x07, 0x00, 0};
    switch (t) {
    case TN_F8E4M3FN: return &e4m3fn;
    case TN_F8E4M3FNUZ: return &e4m3fnuz;
    case TN_F8E5M2: return &e5m2;
    case TN_F8E5M2FNUZ: return &e5m2fnuz;
    default: return &e2m1;
    }
}

static float power_of_exponent(uint8_t bits) {
    if (bits == 255) return float_of_bits(0x7fc00000);
    return float_of_bits(bits ? (uint32_t)bits << 23 : 0x00400000); /* 2^-127 is subnormal */
}

static uint8_t exponent_of(float x) {
    return (uint8_t)(bits_of_float(x) >> 23);
}

/* The exponent is moved by a multiplication, which also normalises subnormal numbers. */
static float decode(const Format *f, uint8_t bits) {
    uint32_t size = bits & (f->sign - 1u), negative = bits & f->sign;
    float v = float_of_bits(size << (23 - f->mantissa)) *
              float_of_bits((254u - f->bias) << 23); /* 2^(127 - bias) */
    if (size > f->largest || (f->nan == f->sign && negative && size == 0))
        v = float_of_bits(f->has_infinity && size == f->beyond ? 0x7f800000 : 0x7fc00000);
    return negative ? -v : v;
}

/* Normal results round by adding half a unit to the bits; smaller ones by adding a number whose
 * unit in the last place is theirs. */
static uint8_t encode(const Format *f, float x) {
    uint32_t bits = bits_of_float(x), size = bits & 0x7fffffff, code;
    uint32_t shift = 23u - f->mantissa, move = 127u - f->bias;
    if (size > 0x7f800000) {
        code = f->nan;
    } else if (size < (move + 1) << 23) {
        float unit = float_of_bits((move + 1 + shift) << 23);
        code = bits_of_float(float_of_bits(size) + unit) - bits_of_float(unit);
    } else {
        code = (size + (1u << (shift - 1)) - 1 + (size >> shift & 1) - (move << 23)) >> shift;
    }
    if (code > f->largest && size <= 0x7f800000) code = f->beyond;
    if (f->nan == f->sign && (code == 0 || code == f->nan)) return (uint8_t)code;
    return (uint8_t)(code | (bits >> 31 ? f->sign : 0u));
}

void tn_small_load(float *y, const uint8_t *data, TnDType t, int64_t stride, int64_t n) {
    const Format *f = format_of(t);
    for (int64_t i = 0; i < n; i++)
        y[i] = t == TN_F8E8M0 ? power_of_exponent(data[i * stride]) : decode(f, data[i * stride]);
}

void tn_small_store(uint8_t *data, TnDType t, int64_t stride, const float *x, int64_t n) {
    const Format *f = format_of(t);
    for (int64_t i = 0; i < n; i++)
        data[i * stride] = t == TN_F8E8M0 ? exponent_of(x[i]) : encode(f, x[i]);
}

void tn_small_fit(float *x, TnDType t, int64_t n) {
    const Format *f = format_of(t);
    for (int64_t i = 0; i < n; i++)
        x[i] = t == TN_F8E8M0 ? power_of_exponent(exponent_of(x[i])) : decode(f, encode(f, x[i]));
}
