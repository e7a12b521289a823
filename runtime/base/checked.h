/* Arithmetic on sizes that come from files: every function reports overflow, none wraps. */
#ifndef TENON_RUNTIME_BASE_CHECKED_H
#define TENON_RUNTIME_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns true and stores the result, or returns false and stores nothing useful. */
static inline bool tn_add_i64(int64_t a, int64_t b, int64_t *r) {
    return !__builtin_add_overflow(a, b, r);
}
static inline bool tn_sub_i64(int64_t a, int64_t b, int64_t *r) {
    return !__builtin_sub_overflow(a, b, r);
}
static inline bool tn_mul_i64(int64_t a, int64_t b, int64_t *r) {
    return !__builtin_mul_overflow(a, b, r);
}
static inline bool tn_add_size(size_t a, size_t b, size_t *r) {
    return !__builtin_add_overflow(a, b, r);
}
static inline bool tn_mul_size(size_t a, size_t b, size_t *r) {
    return !__builtin_mul_overflow(a, b, r);
}

/* Whether [offset, offset + length) lies within [0, total). */
static inline bool tn_range_ok(uint64_t offset, uint64_t length, uint64_t total) {
    return offset <= total && length <= total - offset;
}

/* Product of non-negative dims; false on overflow or a negative dim. */
static inline bool tn_product(const int64_t *dims, int rank, int64_t *r) {
    int64_t p = 1;
    for (int i = 0; i < rank; i++)
        if (dims[i] < 0 || !tn_mul_i64(p, dims[i], &p)) return false;
    *r = p;
    return true;
}

#endif
