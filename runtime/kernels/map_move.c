/* Registers of a map to and from memory and from one element type to another.
 *
 * Integers wrap; a float becomes an integer by truncation, clamped to the type's range, NaN
 * becoming 0; anything becomes bool by comparing with 0; floats round to nearest even, once. */
#include <string.h>
#include "runtime/kernels/map.h"
#include "runtime/kernels/simd_half.h"
#include "runtime/kernels/small_float.h"

#define MOVE(target, source, formula)                                                   \
    {                                                                                   \
        for (int64_t i = 0, at = 0; i < n; i++, at += stride) target = formula(source); \
    }                                                                                   \
    break

/* to[i] = formula(from[i]) for i < n, in runs of a fixed length: those become vectors. */
enum { RUN = 16 };
#define BY_RUNS(to, from, formula)                                    \
    for (int64_t i = 0; i < n; i += RUN, from += RUN, to += RUN) {    \
        if (n - i >= RUN)                                             \
            for (int j = 0; j < RUN; j++) to[j] = formula(from[j]);   \
        else                                                          \
            for (int j = 0; j < n - i; j++) to[j] = formula(from[j]); \
    }

/* The same as LOAD and STORE for the usual integers. */
#define LOAD_INTS(stored)                              \
    {                                                  \
        if (stride != 1) LOAD(int64_t, stored, PLAIN); \
        const stored *restrict from = data;            \
        int64_t *restrict to = y;                      \
        BY_RUNS(to, from, PLAIN)                       \
        break;                                         \
    }

#define STORE_INTS(stored)                                 \
    {                                                      \
        if (stride != 1) STORE(int64_t, stored, (stored)); \
        const int64_t *restrict from = x;                  \
        stored *restrict to = data;                        \
        BY_RUNS(to, from, (stored))                        \
        break;                                             \
    }

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

/* The low bits of x as an integer of fewer than 8: sign and zero extended. */
#define LOW_SIGNED(bits, x)   ((int64_t)((uint64_t)(x) << (64 - (bits))) >> (64 - (bits)))
#define LOW_UNSIGNED(bits, x) ((int64_t)((uint64_t)(x) & ((1u << (bits)) - 1)))
#define I4_OF(x)              LOW_SIGNED(4, x)
#define U4_OF(x)              LOW_UNSIGNED(4, x)
#define I2_OF(x)              LOW_SIGNED(2, x)
#define U2_OF(x)              LOW_UNSIGNED(2, x)

#define SMALL_FLOATS    \
    TN_F8E4M3FN:        \
    case TN_F8E4M3FNUZ: \
    case TN_F8E5M2:     \
    case TN_F8E5M2FNUZ: \
    case TN_F8E8M0:     \
    case TN_F4E2M1

/* Dense 16-bit floats by vectors, as many as whole vectors hold; returns their number. */
static int64_t load_halves(float *y, const uint16_t *x, TnDType t, int64_t n) {
    int64_t i = 0;
    for (; i + VF_WIDTH <= n; i += VF_WIDTH)
        vf_store(y + i, t == TN_F16 ? vf_load_f16(x + i) : vf_load_bf16(x + i));
    return i;
}

static int64_t store_halves(uint16_t *y, TnDType t, const float *x, int64_t n) {
    int64_t i = 0;
    for (; i + VF_WIDTH <= n; i += VF_WIDTH)
        if (t == TN_F16)
            vf_store_f16(y + i, vf_load(x + i));
        else
            vf_store_bf16(y + i, vf_load(x + i));
    return i;
}

static int is_half(TnDType t) {
    return t == TN_F16 || t == TN_BF16;
}

/* The first element of a register everywhere. */
static void spread(void *y, TnDType t, int64_t n) {
    if (map_class(t) == MAP_FLOAT) {
        float *to = y, v = *to;
        for (int64_t i = 1; i < n; i++) to[i] = v;
    } else {
        int64_t *to = y, v = *to;
        for (int64_t i = 1; i < n; i++) to[i] = v;
    }
}

void TN_FN(map_load)(void *y, const void *data, TnDType t, int64_t stride, int64_t n) {
    if (stride == 0 && n > 1) {
        TN_FN(map_load)(y, data, t, 1, 1);
        spread(y, t, n);
        return;
    }
    if (is_half(t) && stride == 1) {
        int64_t done = load_halves(y, data, t, n);
        y = (float *)y + done;
        data = (const uint16_t *)data + done;
        n -= done;
    }
    switch (t) {
    case TN_F32: LOAD(float, float, PLAIN)
    case TN_F16: LOAD(float, uint16_t, float_of_f16)
    case TN_BF16: LOAD(float, uint16_t, float_of_bf16)
    case TN_F64: LOAD(double, double, PLAIN)
    case TN_I8: LOAD_INTS(int8_t)
    case TN_I16: LOAD(int64_t, int16_t, PLAIN)
    case TN_I32: LOAD_INTS(int32_t)
    case TN_U8: LOAD_INTS(uint8_t)
    case TN_U16: LOAD(int64_t, uint16_t, PLAIN)
    case TN_U32: LOAD(int64_t, uint32_t, PLAIN)
    case TN_BOOL: LOAD(int64_t, uint8_t, TRUTH)
    case TN_I4: LOAD(int64_t, uint8_t, I4_OF)
    case TN_U4: LOAD(int64_t, uint8_t, U4_OF)
    case TN_I2: LOAD(int64_t, uint8_t, I2_OF)
    case TN_U2: LOAD(int64_t, uint8_t, U2_OF)
    case SMALL_FLOATS: tn_small_load(y, data, t, stride, n); break;
    default: LOAD(int64_t, int64_t, PLAIN)
    }
}

static void gather_rows(float *y, const float *x, int64_t row_stride, int64_t stride, int64_t rows,
                        int64_t columns) {
    int64_t whole = stride == 0 || stride == 1 ? columns / VF_WIDTH * VF_WIDTH : 0;
    if (columns == 2 && stride == 1) { /* points */
        for (int64_t r = 0; r < rows; r++) memcpy(y + 2 * r, x + r * row_stride, 8);
        return;
    }
    for (int64_t r = 0; r < rows; r++, x += row_stride, y += columns) {
        for (int64_t c = 0; c < whole; c += VF_WIDTH)
            vf_store(y + c, stride ? vf_load(x + c) : vf_set1(*x));
        for (int64_t c = whole; c < columns; c++) y[c] = x[c * stride];
    }
}

void TN_FN(map_store)(void *data, TnDType t, int64_t stride, const void *x, int64_t n) {
    if (is_half(t) && stride == 1) {
        int64_t done = store_halves(data, t, x, n);
        data = (uint16_t *)data + done;
        x = (const float *)x + done;
        n -= done;
    }
    switch (t) {
    case TN_F32: STORE(float, float, PLAIN)
    case TN_F16: STORE(float, uint16_t, f16_of_float)
    case TN_BF16: STORE(float, uint16_t, bf16_of_float)
    case TN_F64: STORE(double, double, PLAIN)
    case TN_I8:
    case TN_U8:
    case TN_I4:
    case TN_U4:
    case TN_I2:
    case TN_U2:
    case TN_BOOL: STORE_INTS(uint8_t)
    case TN_I16:
    case TN_U16: STORE(int64_t, uint16_t, (uint16_t))
    case TN_I32:
    case TN_U32: STORE_INTS(uint32_t)
    case SMALL_FLOATS: tn_small_store(data, t, stride, x, n); break;
    default: STORE(int64_t, int64_t, PLAIN)
    }
}

#define FIT(type, formula)                              \
    {                                                   \
        type *x = y;                                    \
        for (int64_t i = 0; i < n; i++) x[i] = formula; \
        break;                                          \
    }

/* Rounds floats to 16 bits by vectors; returns their number. */
static int64_t fit_halves(float *y, TnDType t, int64_t n) {
    uint16_t halves[VF_WIDTH];
    int64_t i = 0;
    for (; i + VF_WIDTH <= n; i += VF_WIDTH) {
        store_halves(halves, t, y + i, VF_WIDTH);
        load_halves(y + i, halves, t, VF_WIDTH);
    }
    return i;
}

void TN_FN(map_fit)(void *y, TnDType t, int64_t n) {
    if (is_half(t)) {
        int64_t done = fit_halves(y, t, n);
        y = (float *)y + done;
        n -= done;
    }
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
    case TN_I4: FIT(int64_t, I4_OF(x[i]))
    case TN_U4: FIT(int64_t, U4_OF(x[i]))
    case TN_I2: FIT(int64_t, I2_OF(x[i]))
    case TN_U2: FIT(int64_t, U2_OF(x[i]))
    case SMALL_FLOATS: tn_small_fit(y, t, n); break;
    default: break;
    }
}

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

/* Ranges within 24 bits have ends that are floats. */
static int64_t small_int_of_float(int64_t *y, const float *x, const Range *r, int64_t n) {
    const vf low = vf_set1((float)r->low), high = vf_set1((float)r->high);
    int64_t i = 0;
    for (; i + VF_WIDTH <= n; i += VF_WIDTH) {
        float inside[VF_WIDTH];
        vf v = vf_load(x + i);
        vf_store(inside, vf_select(vf_eq(v, v), vf_max(low, vf_min(high, v)), vf_zero()));
        for (int j = 0; j < VF_WIDTH; j++) y[i + j] = (int32_t)inside[j];
    }
    return i;
}

/* As the cast and the store after each other, without the integers of 64 bits between them. */
static void store_bytes(uint8_t *data, TnDType t, const float *x, int64_t n) {
    const Range r = range_of(t);
    const vf low = vf_set1((float)r.low), high = vf_set1((float)r.high);
    int64_t i = 0;
    for (; i + RUN <= n; i += RUN) {
        float inside[RUN];
        int32_t whole[RUN];
        uint8_t bytes[RUN];
        for (int j = 0; j < RUN; j += VF_WIDTH) {
            vf v = vf_load(x + i + j);
            vf_store(inside + j, vf_select(vf_eq(v, v), vf_max(low, vf_min(high, v)), vf_zero()));
        }
        for (int j = 0; j < RUN; j++) whole[j] = (int32_t)inside[j];
        for (int j = 0; j < RUN; j++) bytes[j] = (uint8_t)whole[j];
        memcpy(data + i, bytes, sizeof bytes);
    }
    for (; i < n; i++) data[i] = (uint8_t)int_of_real(x[i], &r);
}

static void int_of_float(void *out, const float *x, TnDType t, int64_t n) {
    Range r = range_of(t);
    int64_t *y = out, i = r.high < 0x1p24 ? small_int_of_float(y, x, &r, n) : 0;
    for (; i < n; i++) y[i] = int_of_real(x[i], &r);
}

static void float_of_int(void *out, const void *in, int64_t n) {
    const int64_t *restrict x = in;
    float *restrict y = out;
    BY_RUNS(y, x, (float))
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

const MapKernels TN_FN(map_kernels) = {
    .op = TN_FN(map_float_op),
    .cast = TN_FN(map_cast),
    .fit = TN_FN(map_fit),
    .load = TN_FN(map_load),
    .store = TN_FN(map_store),
    .store_bytes = store_bytes,
    .gather_rows = gather_rows,
};
