/* Elements of any type as unsigned numbers in the same order, so that what sorts needs no types.
 * -0 equals 0; NaNs equal each other and come above everything. */
#ifndef TENON_RUNTIME_KERNELS_COMMON_KEYS_H
#define TENON_RUNTIME_KERNELS_COMMON_KEYS_H

#include <string.h>
#include "runtime/kernels/map.h"

/* The bits of a float of either sign rise with its value once the negative ones are inverted. */
static inline uint64_t key_of_double(double x) {
    uint64_t bits, sign = (uint64_t)1 << 63;
    if (x != x) return UINT64_MAX;
    x += 0.0;
    memcpy(&bits, &x, sizeof bits);
    return bits & sign ? ~bits : bits | sign;
}

/* Keys of n <= MAP_BLOCK elements in memory, `stride` elements apart. */
static inline void load_keys(uint64_t *keys, const void *data, TnDType t, int64_t stride,
                             int64_t n) {
    union {
        float f[MAP_BLOCK];
        double d[MAP_BLOCK];
        int64_t i[MAP_BLOCK];
    } block;
    uint64_t flip = t == TN_U64 ? 0 : (uint64_t)1 << 63;
    TN_FN(map_load)(&block, data, t, stride, n);
    switch (map_class(t)) {
    case MAP_FLOAT:
        for (int64_t k = 0; k < n; k++) keys[k] = key_of_double((double)block.f[k]);
        break;
    case MAP_DOUBLE:
        for (int64_t k = 0; k < n; k++) keys[k] = key_of_double(block.d[k]);
        break;
    default:
        for (int64_t k = 0; k < n; k++) keys[k] = (uint64_t)block.i[k] ^ flip;
    }
}

#endif
