/* 16-bit floats to float and back: exact one way, to nearest even the other. */
#ifndef TENON_RUNTIME_KERNELS_HALF_H
#define TENON_RUNTIME_KERNELS_HALF_H

#include <stdint.h>
#include <string.h>

static inline float float_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t bits_of_float(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float float_of_bf16(uint16_t h) {
    return float_of_bits((uint32_t)h << 16);
}

static inline uint16_t bf16_of_float(float x) {
    uint32_t bits = bits_of_float(x);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (uint16_t)(x == x ? rounded : (bits >> 16 | 0x40)); /* a NaN stays one */
}

/* The exponent is moved by a multiplication, which also normalises denormals. */
static inline float float_of_f16(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = (uint32_t)(h & 0x7fff) << 13;
    float size = float_of_bits(rest) * 0x1p112f;
    uint32_t bits = rest >= 0x0f800000 ? rest | 0x7f800000 : bits_of_float(size);
    return float_of_bits(sign | bits);
}

/* Normal results round by adding half a unit to the bits; results below 2^-14 by adding 0.5, whose
 * unit in the last place is the f16 denormals' 2^-24. */
static inline uint16_t f16_of_float(float x) {
    uint32_t bits = bits_of_float(x), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    uint32_t normal = (size + 0xfff + (size >> 13 & 1) - (112u << 23)) >> 13;
    uint32_t small = bits_of_float(float_of_bits(size) + 0.5f) - bits_of_float(0.5f);
    uint32_t special = size > 0x7f800000 ? 0x7e00 | (size >> 13 & 0x1ff) : 0x7c00;
    uint32_t magnitude = size < 0x38800000 ? small : size < 0x477ff000 ? normal : special;
    return (uint16_t)(sign | magnitude);
}

#endif
