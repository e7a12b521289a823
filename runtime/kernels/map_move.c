/* Registers of a map to and from memory: integers wrap, floats round to nearest even. */
#include <string.h>
#include "runtime/kernels/map.h"
#include "runtime/kernels/simd_half.h"
#include "runtime/kernels/small_float.h"

#define MOVE(target, source, formula)                                                   \
    {                                                                                   \
        for (int64_t i = 0, at = 0; i < n; i++, at += stride) target = formula(source); \
    }                                                                                   \
    break

/* The same as LOAD and STORE for the usual integers. */
#define LOAD_INTS(stored)                              \
    {                                                  \
        if (stride != 1) LOAD(int64_t, stored, PLAIN); \
        const stored *restrict from = data;            \
        int64_t *restrict to = y;                      \
        MAP_BY_RUNS(to, from, PLAIN)                   \
        break;                                         \
    }

#define STORE_INTS(stored)                                 \
    {                                                      \
        if (stride != 1) STORE(int64_t, stored, (stored)); \
        const int64_t *restrict from = x;                  \
        stored *restrict to = data;                        \
        MAP_BY_RUNS(to, from, (stored))                    \
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

#define AFFINE(x) (((float)(x) + shift) * by)

#define LOAD_WHOLE(stored)                                                    \
    {                                                                         \
        const stored *from = data;                                            \
        for (; stride == 1 && i + MAP_RUN <= n; i += MAP_RUN)                 \
            for (int j = 0; j < MAP_RUN; j++) y[i + j] = AFFINE(from[i + j]); \
        for (; i < n; i++) y[i] = AFFINE(from[i * stride]);                   \
        break;                                                                \
    }

void TN_FN(map_load_whole)(float *restrict y, const void *data, TnDType t, int64_t stride,
                           int64_t n, const MapAffine *a) {
    const float shift = a->shift, by = a->by;
    int64_t i = 0;
    switch (t) {
    case TN_I8: LOAD_WHOLE(int8_t)
    case TN_U8: LOAD_WHOLE(uint8_t)
    default: LOAD_WHOLE(int32_t)
    }
}

void TN_FN(map_gather_rows)(float *y, const float *x, int64_t row_stride, int64_t stride,
                            int64_t rows, int64_t columns) {
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
