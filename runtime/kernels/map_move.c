/* Registers of a map to and from memory and from one element type to another.
 *
 * Integers wrap; a float becomes an integer by truncation, clamped to the type's range, NaN
 * becoming 0; anything becomes bool by comparing with 0; floats round to nearest even. */
#include <string.h>
#include "runtime/kernels/half.h"
#include "runtime/kernels/map.h"

/* The stride-1 loop is apart so that it vectorises. */
#define MOVE(target, source, formula)                                                       \
    {                                                                                       \
        if (stride == 1)                                                                    \
            for (int64_t i = 0, at = 0; i < n; i++, at++) target = formula(source);         \
        else                                                                                \
            for (int64_t i = 0, at = 0; i < n; i++, at += stride) target = formula(source); \
    }                                                                                       \
    break

#define LOAD(type, stored, formula) \
    {                               \
        const stored *p = data;     \
        type *x = y;                \
        MOVE(x[i], p[at], formula); \
    }

#define STORE(type, stored, formula)   \
    {                                  \
        stored *p = data;              \
        const type *from = x;          \
        MOVE(p[at], from[i], formula); \
    }

#define PLAIN(x) (x)
#define TRUTH(x) ((x) != 0)

void TN_FN(map_load)(void *y, const void *data, TnDType t, int64_t stride, int64_t n) {
    switch (t) {
    case TN_F32: LOAD(float, float, PLAIN)
    case TN_F16: LOAD(float, uint16_t, float_of_f16)
    case TN_BF16: LOAD(float, uint16_t, float_of_bf16)
    case TN_F64: LOAD(double, double, PLAIN)
    case TN_I8: LOAD(int64_t, int8_t, PLAIN)
    case TN_I16: LOAD(int64_t, int16_t, PLAIN)
    case TN_I32: LOAD(int64_t, int32_t, PLAIN)
    case TN_U8: LOAD(int64_t, uint8_t, PLAIN)
    case TN_U16: LOAD(int64_t, uint16_t, PLAIN)
    case TN_U32: LOAD(int64_t, uint32_t, PLAIN)
    case TN_BOOL: LOAD(int64_t, uint8_t, TRUTH)
    default: LOAD(int64_t, int64_t, PLAIN)
    }
}

void TN_FN(map_store)(void *data, TnDType t, int64_t stride, const void *x, int64_t n) {
    switch (t) {
    case TN_F32: STORE(float, float, PLAIN)
    case TN_F16: STORE(float, uint16_t, f16_of_float)
    case TN_BF16: STORE(float, uint16_t, bf16_of_float)
    case TN_F64: STORE(double, double, PLAIN)
    case TN_I8:
    case TN_U8:
    case TN_BOOL: STORE(int64_t, uint8_t, (uint8_t))
    case TN_I16:
    case TN_U16: STORE(int64_t, uint16_t, (uint16_t))
    case TN_I32:
    case TN_U32: STORE(int64_t, uint32_t, (uint32_t))
    default: STORE(int64_t, int64_t, PLAIN)
    }
}

#define FIT(type, formula)                              \
    {                                                   \
        type *x = y;                                    \
        for (int64_t i = 0; i < n; i++) x[i] = formula; \
        break;                                          \
    }

void TN_FN(map_fit)(void *y, TnDType t, int64_t n) {
    switch (t) {
    case TN_F16: FIT(float, float_of_f16(f16_of_float(x[i])))
    case TN_BF16: FIT(float, float_of_bf16(bf16_of_float(x[i])))
    case TN_I8: FIT(int64_t, (int8_t)x[i])
    case TN_I16: FIT(int64_t, (int16_t)x[i])
    case TN_I32: FIT(int64_t, (int32_t)x[i])
    case TN_U8: FIT(int64_t, (uint8_t)x[i])
    case TN_U16: FIT(int64_t, (uint16_t)x[i])
    case TN_U32: FIT(int64_t, (uint32_t)x[i])
    case TN_BOOL: FIT(int64_t, x[i] != 0)
    default: break;
    }
}

/* Truncation into [low, high]; `beyond` is what values of at least `high` become. */
typedef struct Range {
    double low, high;
    int64_t beyond;
} Range;

static Range range_of(TnDType t) {
    int bits = (int)tn_dtype_size(t) * 8;
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

#define CONVERT(name, to, from, formula)                      \
    static void name(void *out, const void *in, int64_t n) {  \
        const from *x = in;                                   \
        to *y = out;                                          \
        for (int64_t i = 0; i < n; i++) y[i] = (to)(formula); \
    }

CONVERT(float_of_double, float, double, x[i])
CONVERT(double_of_float, double, float, x[i])
CONVERT(float_of_int, float, int64_t, x[i])
CONVERT(float_of_u64, float, uint64_t, x[i])
CONVERT(double_of_int, double, int64_t, x[i])
CONVERT(double_of_u64, double, uint64_t, x[i])
CONVERT(bool_of_float, int64_t, float, x[i] != 0)
CONVERT(bool_of_double, int64_t, double, x[i] != 0)
CONVERT(u64_of_float, int64_t, float, u64_of_real(x[i]))
CONVERT(u64_of_double, int64_t, double, u64_of_real(x[i]))

static void int_of_float(void *out, const float *x, TnDType t, int64_t n) {
    Range r = range_of(t);
    int64_t *y = out;
    for (int64_t i = 0; i < n; i++) y[i] = int_of_real(x[i], &r);
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

void TN_FN(map_cast)(void *y, TnDType to, const void *x, TnDType from, int64_t n) {
    MapClass target = map_class(to), source = map_class(from);
    if (target == source)
        memmove(y, x, (size_t)n * (source == MAP_FLOAT ? sizeof(float) : sizeof(int64_t)));
    else if (target == MAP_INT)
        integer_of(y, to, x, source, n);
    else if (target == MAP_FLOAT)
        (source == MAP_DOUBLE ? float_of_double
         : from == TN_U64     ? float_of_u64
                              : float_of_int)(y, x, n);
    else
        (source == MAP_FLOAT ? double_of_float
         : from == TN_U64    ? double_of_u64
                             : double_of_int)(y, x, n);
    if (target != MAP_INT || source == MAP_INT) TN_FN(map_fit)(y, to, n);
}
