/* Registers of a map from one element type to another.
 *
 * Integers wrap; a float becomes an integer by truncation, clamped to the type's range, NaN
 * becoming 0; anything becomes bool by comparing with 0; floats round to nearest even, once. */
#include <string.h>
#include "runtime/kernels/half.h"
#include "runtime/kernels/map.h"
#include "runtime/kernels/simd.h"

/* Truncation into [low, high]; `beyond` is what values of at least `high` become. */
typedef struct Range {
    double low, high;
    int64_t beyond;
} Range;

static Range range_of(TnDType t) {
    int bits = tn_dtype_bits(t);
    int magnitude = tn_dtype_class(t) == TN_CLASS_UINT ? bits : bits - 1;
    if (magnitude == 63) return (Range){-0x1p63, 0x1p63, INT64_MAX};
    int64_t most = (int64_t)(((uint64_t)1 << magnitude) - 1);
    return (Range){magnitude == bits ? 0 : -(double)most - 1, (double)most, most};
}

static int64_t int_of_real(double x, const Range *r) {
    if (x != x) return 0;
    if (x >= r->high) return r->beyond;
    return (int64_t)(x < r->low ? r->low : x);
}

static int64_t u64_of_real(double x) {
    if (!(x > 0)) return 0;
    return x >= 0x1p64 ? -1 : (int64_t)(uint64_t)x;
}

/* A float on the same side of every number that a narrower float can round at: what is lost sets
 * the last bit (rounding to odd), so that rounding again rounds the double. */
static float odd_float(double x) {
    float y = (float)x;
    uint32_t bits = bits_of_float(y);
    if ((double)y == x || y != y || bits & 1) return y;
    int away = (double)y > x ? y > 0 : y < 0; /* rounded away from zero */
    return float_of_bits(away ? bits - 1 : bits + 1);
}

/* A double for odd_float: low bits that it has no room for become one. */
static double sticky_double(int64_t v, TnDType from) {
    const uint64_t low = 0xfff;
    uint64_t size = from != TN_U64 && v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    if (size >> 53 && size & low) size = (size & ~low) | (low + 1) / 2;
    return from != TN_U64 && v < 0 ? -(double)size : (double)size;
}

#define CONVERT(name, to, from, formula)                      \
    static void name(void *out, const void *in, int64_t n) {  \
        const from *x = in;                                   \
        to *y = out;                                          \
        for (int64_t i = 0; i < n; i++) y[i] = (to)(formula); \
    }

CONVERT(float_of_double, float, double, x[i])
CONVERT(odd_of_double, float, double, odd_float(x[i]))
CONVERT(double_of_float, double, float, x[i])
CONVERT(float_of_u64, float, uint64_t, x[i])
CONVERT(double_of_int, double, int64_t, x[i])
CONVERT(double_of_u64, double, uint64_t, x[i])
CONVERT(bool_of_float, int64_t, float, x[i] != 0)
CONVERT(bool_of_double, int64_t, double, x[i] != 0)
CONVERT(u64_of_float, int64_t, float, u64_of_real(x[i]))
CONVERT(u64_of_double, int64_t, double, u64_of_real(x[i]))

/* What lies in the range, truncated later; the numbers of q are the same in every turn of a loop.
 */
static inline vf in_range(vf v, const MapQuantise *q) {
    v = q->divide ? vf_div(v, vf_set1(q->scale)) : vf_mul(v, vf_set1(q->scale));
    v = vf_add(q->round ? vf_round(v) : v, vf_set1(q->zero));
    const vf inside = vf_max(vf_set1(q->low), vf_min(vf_set1(q->high), v));
    return vf_select(vf_eq(v, v), inside, vf_zero());
}

void TN_FN(map_quantise)(float *y, const float *x, int64_t n, const MapQuantise *q) {
    for (int64_t i = 0; i < n; i += VF_WIDTH) {
        const int64_t rest = n - i < VF_WIDTH ? n - i : VF_WIDTH;
        float whole[VF_WIDTH];
        vf_store(whole, in_range(vf_load_n(x + i, rest), q));
        for (int j = 0; j < VF_WIDTH; j++) whole[j] = (float)(int32_t)whole[j];
        vf v = vf_mul(vf_add(vf_load(whole), vf_set1(q->after.shift)), vf_set1(q->after.by));
        if (rest < VF_WIDTH)
            vf_store_n(y + i, v, rest);
        else
            vf_store(y + i, v);
    }
}

void TN_FN(map_quantise_bytes)(uint8_t *data, const float *x, int64_t n, const MapQuantise *q) {
    for (int64_t i = 0; i < n; i += MAP_RUN) {
        const int64_t rest = n - i < MAP_RUN ? n - i : MAP_RUN;
        float inside[MAP_RUN];
        int32_t whole[MAP_RUN];
        uint8_t bytes[MAP_RUN];
        for (int j = 0; j < MAP_RUN; j += VF_WIDTH) {
            const int64_t some = rest - j < VF_WIDTH ? rest - j : VF_WIDTH;
            vf_store(inside + j, in_range(vf_load_n(x + i + j, some), q));
        }
        for (int j = 0; j < MAP_RUN; j++) whole[j] = (int32_t)inside[j];
        for (int j = 0; j < MAP_RUN; j++) bytes[j] = (uint8_t)whole[j];
        if (rest == MAP_RUN)
            memcpy(data + i, bytes, MAP_RUN);
        else
            memcpy(data + i, bytes, (size_t)rest);
    }
}

static void int_of_float(void *out, const float *x, TnDType t, int64_t n) {
    Range r = range_of(t);
    int64_t *y = out;
    for (int64_t i = 0; i < n; i++) y[i] = int_of_real(x[i], &r);
}

static void float_of_int(void *out, const void *in, int64_t n) {
    const int64_t *restrict x = in;
    float *restrict y = out;
    MAP_BY_RUNS(y, x, (float))
}

static void int_of_double(void *out, const double *x, TnDType t, int64_t n) {
    Range r = range_of(t);
    int64_t *y = out;
    for (int64_t i = 0; i < n; i++) y[i] = int_of_real(x[i], &r);
}

static void integer_of(void *y, TnDType to, const void *x, MapClass from, int64_t n) {
    int real = from == MAP_FLOAT;
    if (to == TN_BOOL)
        (real ? bool_of_float : bool_of_double)(y, x, n);
    else if (to == TN_U64)
        (real ? u64_of_float : u64_of_double)(y, x, n);
    else if (real)
        int_of_float(y, x, to, n);
    else
        int_of_double(y, x, to, n);
}

static void narrow_of_int(float *y, const int64_t *x, TnDType from, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = odd_float(sticky_double(x[i], from));
}

/* From a double or an integer to a float: to f32 at once, to a narrower one by way of a float from
 * which rounding is safe. */
static void float_of(float *y, TnDType to, const void *x, TnDType from, int64_t n) {
    if (map_class(from) == MAP_DOUBLE)
        (to == TN_F32 ? float_of_double : odd_of_double)(y, x, n);
    else if (to != TN_F32)
        narrow_of_int(y, x, from, n);
    else
        (from == TN_U64 ? float_of_u64 : float_of_int)(y, x, n);
}

void TN_FN(map_cast)(void *y, TnDType to, const void *x, TnDType from, int64_t n) {
    MapClass target = map_class(to), source = map_class(from);
    if (target == source)
        memmove(y, x, (size_t)n * (source == MAP_FLOAT ? sizeof(float) : sizeof(int64_t)));
    else if (target == MAP_INT)
        integer_of(y, to, x, source, n);
    else if (target == MAP_FLOAT)
        float_of(y, to, x, from, n);
    else
        (source == MAP_FLOAT ? double_of_float
         : from == TN_U64    ? double_of_u64
                             : double_of_int)(y, x, n);
    if (target != MAP_INT || source == MAP_INT) TN_FN(map_fit)(y, to, n);
}
