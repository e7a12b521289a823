/* Strided tensors for tests: a view with shuffled axes and gaps inside a guarded buffer.
 *
 * view_check fails when any byte was changed that belongs to no element. Elements are read and
 * written as double or int64_t by index, with conversions of their own (not the kernels'). */
#ifndef TENON_TESTS_KERNELS_VIEWS_H
#define TENON_TESTS_KERNELS_VIEWS_H

#include <math.h>
#include "tests/kernels/kernel_call.h"

#define VIEW_GUARD 64
#define VIEW_FILL  0xa5

typedef struct View {
    TnTensor t;
    unsigned char *bytes;
    int64_t size; /* bytes between the guards */
} View;

static inline uint32_t pick(uint32_t *state, uint32_t below) {
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % below;
}

/* A dense view when *shuffle is NULL, else one with axes in random order and gaps between them. */
static inline View view_new(TnDType dtype, int rank, const int64_t *dims, uint32_t *shuffle) {
    View v = {.t = dense(NULL, dtype, rank, dims)};
    int order[TN_MAX_RANK] = {0};
    for (int i = 0; i < rank; i++) order[i] = rank - 1 - i;
    for (int i = rank - 1; shuffle && i > 0; i--) {
        int j = (int)pick(shuffle, (uint32_t)i + 1), swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
    int64_t stride = 1;
    for (int i = 0; i < rank; i++) {
        if (shuffle && pick(shuffle, 3) == 0) stride += pick(shuffle, 3);
        v.t.strides[order[i]] = stride;
        stride *= dims[order[i]] ? dims[order[i]] : 1;
    }
    v.size = (stride + 4) * (int64_t)tn_dtype_size(dtype);
    v.bytes = malloc((size_t)v.size + 2 * VIEW_GUARD);
    assert_non_null(v.bytes);
    memset(v.bytes, VIEW_FILL, (size_t)v.size + 2 * VIEW_GUARD);
    v.t.data = v.bytes + VIEW_GUARD;
    return v;
}

static inline int64_t view_count(const TnTensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->dims[i];
    return n;
}

/* Components of the i-th index in row-major order. */
static inline void view_index(const TnTensor *t, int64_t i, int64_t *index) {
    for (int a = t->rank - 1; a >= 0; a--) {
        index[a] = i % t->dims[a];
        i /= t->dims[a];
    }
}

/* Address of an element; an index may have more components (aligned right) and components along
 * axes of extent 1 count as 0. */
static inline void *view_at(const TnTensor *t, const int64_t *index, int rank) {
    int64_t offset = 0;
    for (int a = 0; a < t->rank; a++)
        if (t->dims[a] != 1) offset += index[rank - t->rank + a] * t->strides[a];
    return (char *)t->data + offset * (int64_t)tn_dtype_size((TnDType)t->dtype);
}

static inline void *view_element(const TnTensor *t, int64_t i) {
    int64_t index[TN_MAX_RANK];
    view_index(t, i, index);
    return view_at(t, index, t->rank);
}

/* x rounded to `digits` significant bits with exponents from `lowest` on, overflow to infinity. */
static inline double round_bits(double x, int digits, int lowest, double largest) {
    if (x == 0 || !isfinite(x)) return x;
    int e = ilogb(x) < lowest ? lowest : ilogb(x);
    double r = ldexp(rint(ldexp(x, digits - 1 - e)), e - digits + 1);
    return fabs(r) > largest ? copysign(INFINITY, r) : r;
}

static inline double round_to(TnDType t, double x) {
    if (t == TN_F16) return round_bits(x, 11, -14, 65504);
    if (t == TN_BF16) return round_bits(x, 8, -126, 3.3895313892515355e38);
    return t == TN_F32 ? (double)(float)x : x;
}

static inline double f16_value(uint16_t h) {
    int e = h >> 10 & 31, m = h & 1023;
    double x = e == 31  ? (m ? (double)NAN : (double)INFINITY)
               : e == 0 ? ldexp(m, -24)
                        : ldexp(m + 1024, e - 25);
    return h & 0x8000 ? -x : x;
}

static inline double bf16_value(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float x;
    memcpy(&x, &bits, 4);
    return (double)x;
}

/* The bits of a value that t can hold: the upper ones of a float, or found among 65536 patterns. */
static inline uint16_t half_bits(TnDType t, double x) {
    float f = (float)x;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (t == TN_BF16 && x == x) return (uint16_t)(bits >> 16);
    for (uint32_t h = 0; h < 65536; h++) {
        double v = f16_value((uint16_t)h);
        if (t == TN_F16 && v == x && signbit(v) == signbit(x)) return (uint16_t)h;
    }
    return 0x7fff;
}

static inline double real_get(TnDType t, const void *p) {
    float f;
    double d;
    uint16_t h;
    switch (t) {
    case TN_F32: memcpy(&f, p, 4); return (double)f;
    case TN_F64: memcpy(&d, p, 8); return d;
    default: memcpy(&h, p, 2); return t == TN_F16 ? f16_value(h) : bf16_value(h);
    }
}

static inline void real_set(TnDType t, void *p, double x) {
    float f = (float)x;
    if (t == TN_F32) {
        memcpy(p, &f, 4);
    } else if (t == TN_F64) {
        memcpy(p, &x, 8);
    } else {
        uint16_t h = half_bits(t, round_to(t, x));
        memcpy(p, &h, 2);
    }
}

/* Integers of any type, sign- or zero-extended (u64 as its bits). */
static inline int64_t int_get(TnDType t, const void *p) {
    int64_t v = 0;
    size_t size = tn_dtype_size(t);
    memcpy(&v, p, size);
    if (tn_dtype_class(t) == TN_CLASS_INT && size < 8) {
        int64_t sign = (int64_t)1 << (size * 8 - 1);
        v = (v ^ sign) - sign;
    }
    return v;
}

static inline void int_set(TnDType t, void *p, int64_t v) {
    memcpy(p, &v, tn_dtype_size(t));
}

static inline double any_get(TnDType t, const void *p) {
    return tn_is_float(t) ? real_get(t, p) : (double)int_get(t, p);
}

/* Random small values: integers for every type, and fractions for floats. */
static inline void view_randomise(const View *v, uint32_t *state) {
    TnDType t = (TnDType)v->t.dtype;
    for (int64_t i = 0, n = view_count(&v->t); i < n; i++) {
        void *p = view_element(&v->t, i);
        int r = (int)pick(state, 41) - 20;
        if (t == TN_F16 || t == TN_BF16) {
            uint16_t h = (uint16_t)((t == TN_F16 ? 0x3800 : 0x3f00) + pick(state, 0x180) +
                                    (r < 0 ? 0x8000 : 0)); /* 0.5 to 2 in size */
            memcpy(p, &h, 2);
        } else if (tn_is_float(t)) {
            real_set(t, p, (double)noise(state) * 4);
        } else {
            int_set(t, p, t == TN_BOOL ? r > 0 : r);
        }
    }
}

static inline void view_check(const View *v) {
    size_t all = (size_t)v->size + 2 * VIEW_GUARD, size = tn_dtype_size((TnDType)v->t.dtype);
    unsigned char *owned = calloc(all, 1);
    for (int64_t i = 0, n = view_count(&v->t); i < n; i++)
        memset(owned + ((unsigned char *)view_element(&v->t, i) - v->bytes), 1, size);
    for (size_t i = 0; i < all; i++)
        if (!owned[i] && v->bytes[i] != VIEW_FILL) fail_msg("byte %zu overwritten", i);
    free(owned);
}

static inline void view_free(View *v) {
    free(v->bytes);
}

#endif
