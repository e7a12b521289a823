/* Ordering for kernels that sort: elements of any type as unsigned keys in the order of their
 * values, and heaps of (key, place) pairs. -0 equals 0; NaNs equal each other and come above
 * everything. */
#ifndef TENON_RUNTIME_KERNELS_COMMON_ORDER_H
#define TENON_RUNTIME_KERNELS_COMMON_ORDER_H

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

/* An element of a heap that has the worst entry at its root. */
typedef struct Entry {
    uint64_t key; /* larger is better */
    int64_t place;
} Entry;

static inline int better(const Entry *a, const Entry *b) {
    return a->key > b->key || (a->key == b->key && a->place < b->place);
}

/* Moves the entry at `i` down until it is worse than both below it. */
static inline void sink(Entry *heap, int64_t n, int64_t i) {
    Entry e = heap[i];
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && better(&heap[child], &heap[child + 1])) child++;
        if (!better(&e, &heap[child])) break;
        heap[i] = heap[child];
    }
    heap[i] = e;
}

static inline void make_heap(Entry *heap, int64_t n) {
    for (int64_t i = n / 2 - 1; i >= 0; i--) sink(heap, n, i);
}

/* A heap becomes a list, best first: the worst goes to the end. */
static inline void sort_best(Entry *heap, int64_t k) {
    for (int64_t n = k - 1; n > 0; n--) {
        Entry worst = heap[0];
        heap[0] = heap[n];
        heap[n] = worst;
        sink(heap, n, 0);
    }
}

#endif
