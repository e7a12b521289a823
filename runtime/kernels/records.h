/* Weights in records (pack.h): read element by element, decoded to panels of floats, and multiplied
 * as they come from memory.
 *
 * Products with the integers of a group are summed up first, times its scale they join the sum:
 *
 *     C[i, n] = sum over groups g of  scale[g, n] * (sum over k of g of  A[i, k] integer[k, n])
 *
 * Rows of A are floats where nothing better is known, so all that is lost is in the weights. CPUs
 * that add four products of 8 bits at a time (TN_ISA_AVX512_VNNI) take rows as integers of 16 bits,
 * two limbs of 8, times a scale per row: an error of 2^-16 of the row's largest element. Rows
 * of less than about 1e-34 count as zeros. */
#ifndef TENON_RUNTIME_KERNELS_RECORDS_H
#define TENON_RUNTIME_KERNELS_RECORDS_H

#include <string.h>
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/half.h"

/* Bytes from a scale to what is added to its bits, in the last line of its record; 0: nothing. */
static inline int64_t record_more(TnLayout layout) {
    return layout >= TN_LAYOUT_RECORDS8F ? (tn_record_lines(layout) - 1) * 64 : 0;
}

static inline float record_scale(const unsigned char *at, int64_t to_more) {
    uint16_t high;
    int16_t more = 0;
    memcpy(&high, at, sizeof high);
    if (to_more) memcpy(&more, at + to_more, sizeof more);
    const uint32_t bits = ((uint32_t)high << 16) + (uint32_t)more;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return scale;
}

/* Element (k, n) of a panel of records. */
static inline float record_element(const unsigned char *panel, TnLayout layout, uint64_t k,
                                   uint64_t n) {
    const unsigned char *record = panel + k / TN_RECORD * (uint64_t)tn_record_lines(layout) * 64;
    const uint64_t within = k % TN_RECORD;
    const unsigned char *scale = record + (within / TN_GROUP * TN_PANEL + n) * 2;
    const unsigned char *at = record + 64 + n * 4 + k % 4;
    int integer = tn_record_bits(layout) == 8 ? (int8_t)at[within / 4 * 64]
                                              : ((at[within / 8 * 64] >> (k & 4) & 15) ^ 8) - 8;
    return record_scale(scale, record_more(layout)) * (float)integer;
}

/* How loops over both kinds of records find eight rows of a group, as quads q = 0 and 1 of signed
 * bytes: in the line at `second` q, shifted left by `shift` if q is 0, the bits of `mask`. So
 * integers of 4 bits are in the upper halves of bytes, 16 times themselves. */
typedef struct RecordForm {
    int64_t bytes, more;  /* of a record, and record_more */
    int64_t second, next; /* bytes to quad 1, and to the next eight rows */
    int32_t mask;
    int shift;
    float unit; /* what a byte of 1 stands for */
} RecordForm;

static inline RecordForm record_form(TnLayout layout) {
    const int64_t bytes = tn_record_lines(layout) * 64, more = record_more(layout);
    if (tn_record_bits(layout) == 8) return (RecordForm){bytes, more, 64, 128, -1, 0, 1};
    return (RecordForm){bytes, more, 0, 64, (int32_t)0xf0f0f0f0u, 4, 0x1p-4f};
}

/* Panels of floats, k rows each. */
typedef void RecordPanelsFn(float *to, TnLayout layout, const void *from, int64_t panels,
                            int64_t k);
RecordPanelsFn TN_FN(record_panels);

/* Products of a few rows with one panel, which is read as one linear stream: from memory for the
 * first of them, then from the cache. */
typedef struct RecordStreams {
    int64_t most;   /* rows for which this beats tiles; 0: none */
    Streams stream; /* with gaps in rows, but always of 1; b_row: the layout */
    /* How long a row of A is as the tiles take it, in floats, and how `rows` of them are made,
     * `to_row` apart. */
    int64_t (*row)(int64_t k);
    void (*prepare)(float *to, int64_t to_row, const float *from, int64_t from_row, int64_t rows,
                    int64_t k);
    RecordPanelsFn *panels;
} RecordStreams;

/* The last from TN_ISA_AVX512_VNNI on. */
extern const RecordStreams record_panels_only_scalar, record_floats_avx2, record_limbs_avx512;

#endif
