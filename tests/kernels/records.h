/* Matrices in records, laid out as the text of pack.h says, with integers and scales of all kinds.
 */
#ifndef TENON_TESTS_KERNELS_RECORDS_H
#define TENON_TESTS_KERNELS_RECORDS_H

#include "runtime/kernels/half.h"
#include "tests/kernels/kernel_call.h"

static inline unsigned char *record_of(unsigned char *records, TnLayout layout, int64_t big_k,
                                       int64_t k, int64_t n) {
    static const int64_t all[] = {17, 9, 18, 10};
    int64_t lines = all[layout - TN_LAYOUT_RECORDS8];
    return records + (n / 16 * ((big_k + 63) / 64) + k / 64) * lines * 64;
}

static inline void record_put(unsigned char *record, TnLayout layout, int64_t k, int64_t n,
                              int integer) {
    if (layout == TN_LAYOUT_RECORDS8 || layout == TN_LAYOUT_RECORDS8F)
        record[64 * (1 + k / 4) + n * 4 + k % 4] = (unsigned char)integer;
    else
        record[64 * (1 + k / 8) + n * 4 + k % 4] |=
            (unsigned char)((integer & 15) << (k % 8 < 4 ? 0 : 4));
}

/* Of a group, as near to x as it can be stored, which is what comes back. */
static inline float record_put_scale(unsigned char *record, TnLayout layout, int64_t k, int64_t n,
                                     float x) {
    uint16_t *high = (uint16_t *)(void *)record + k / 32 * 16 + n;
    *high = bf16_of_float(x);
    if (layout < TN_LAYOUT_RECORDS8F) return float_of_bf16(*high);
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    ((int16_t *)high)[32 * (layout == TN_LAYOUT_RECORDS8F ? 17 : 9)] =
        (int16_t)(bits - (int32_t)((uint32_t)*high << 16));
    return x;
}

/* Fills b[k, n] with what the records mean. */
static inline void *noise_records(TnLayout layout, float *b, int64_t big_k, int64_t big_n,
                                  uint32_t seed) {
    size_t bytes = (size_t)tn_packed_elements(layout, big_k, big_n) * 4;
    unsigned char *records = calloc(bytes + 1, 1);
    float scale = 0;
    assert_non_null(records);
    const bool eight = layout == TN_LAYOUT_RECORDS8 || layout == TN_LAYOUT_RECORDS8F;
    const int low = eight ? -128 : -8, count = -2 * low;
    for (int64_t n = 0; n < big_n; n++)
        for (int64_t k = 0; k < big_k; k++) {
            unsigned char *record = record_of(records, layout, big_k, k, n);
            if (k % 32 == 0) /* some are negative */
                scale = record_put_scale(record, layout, k % 64, n % 16, noise(&seed) / 64);
            int integer = low + (int)((n * 31 + k * 7 + k * n) % count);
            record_put(record, layout, k % 64, n % 16, integer);
            b[k * big_n + n] = scale * (float)integer;
        }
    return records;
}

#endif
