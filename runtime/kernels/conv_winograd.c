/* The transforms of Winograd's filtering: common/conv_winograd.c says of what.
 *
 * A transform of a tile is one of lines: of all its columns, then of all rows of what that gave.
 * Where the elements of a tile fit the registers, they stay there in between. */
#include "runtime/kernels/conv.h"
#include "runtime/kernels/simd.h"

enum { REGISTERS = 2 * VF_WIDTH }; /* of vectors, as many as there are on each ISA */

#if VF_WIDTH > 1
#define UNROLL_VECTORS UNROLL
#else
#define UNROLL_VECTORS
#endif

/* A line of `side` vectors, in place; of results, the first ones. */
typedef void Line(vf *d);

/* B' d of F(2, 3) */
ALWAYS_INLINE void read_2(vf *d) {
    vf a = d[0], b = d[1], c = d[2], e = d[3];
    d[0] = vf_sub(a, c);
    d[1] = vf_add(b, c);
    d[2] = vf_sub(c, b);
    d[3] = vf_sub(b, e);
}

ALWAYS_INLINE void result_2(vf *d) {
    vf b = d[1], c = d[2];
    d[0] = vf_add(d[0], vf_add(b, c));
    d[1] = vf_sub(vf_sub(b, c), d[3]);
}

/* Stride 2: places 0, 2 and 4 by F(2, 2) with the outer taps; 1 and 3 with the tap between. */
ALWAYS_INLINE void read_2_strided(vf *d) {
    vf b = d[1];
    d[0] = vf_sub(d[0], d[2]);
    d[1] = d[2];
    d[2] = vf_sub(d[4], d[2]);
    d[4] = d[3];
    d[3] = b;
}

ALWAYS_INLINE void result_2_strided(vf *d) {
    d[0] = vf_add(vf_add(d[0], d[1]), d[3]);
    d[1] = vf_add(vf_add(d[1], d[2]), d[4]);
}

/* F(4, 3), at the points 0, 1, -1, 2 and -2 */
ALWAYS_INLINE void read_4(vf *d) {
    const vf two = vf_set1(2), four = vf_set1(4), five = vf_set1(5);
    vf a = vf_fnma(four, d[2], d[4]), b = vf_fnma(four, d[1], d[3]);
    vf c = vf_sub(d[4], d[2]), e = vf_sub(d[3], d[1]);
    d[0] = vf_fma(four, d[0], vf_fnma(five, d[2], d[4]));
    d[5] = vf_fma(four, d[1], vf_fnma(five, d[3], d[5]));
    d[1] = vf_add(a, b);
    d[2] = vf_sub(a, b);
    d[3] = vf_fma(two, e, c);
    d[4] = vf_fnma(two, e, c);
}

ALWAYS_INLINE void result_4(vf *d) {
    vf a = vf_add(d[1], d[2]), b = vf_sub(d[1], d[2]);
    vf c = vf_add(d[3], d[4]), e = vf_sub(d[3], d[4]);
    d[0] = vf_add(vf_add(d[0], a), c);
    d[1] = vf_fma(vf_set1(2), e, b);
    d[2] = vf_fma(vf_set1(4), c, a);
    d[3] = vf_add(vf_fma(vf_set1(8), e, b), d[5]);
}

/* Column j of a tile from every side-th of `from` on, to column j of t. */
ALWAYS_INLINE void read_column(const float *const *from, int64_t c, vf *t, int side, Line *line) {
    vf d[CONV_SIDE];
    UNROLL_VECTORS for (int i = 0; i < side; i++) d[i] = vf_load(from[i * side] + c);
    line(d);
    UNROLL_VECTORS for (int i = 0; i < side; i++) t[i * side] = d[i];
}

ALWAYS_INLINE void read_row(const vf *t, float *to, int64_t plane, int side, Line *line) {
    vf d[CONV_SIDE];
    UNROLL_VECTORS for (int j = 0; j < side; j++) d[j] = t[j];
    line(d);
    UNROLL_VECTORS for (int j = 0; j < side; j++) vf_store(to + j * plane, d[j]);
}

ALWAYS_INLINE void read_tile(const float *const *place, int64_t ahead, float *to, int64_t plane,
                             int64_t channels, int side, int step, Line *line) {
    for (int64_t c = 0; c < channels; c += VF_WIDTH) {
        vf t[CONV_SIDE * CONV_SIDE];
        if (c % TN_PANEL == 0)
            for (int i = 0; i < side; i++)
                for (int j = side - step; j < side; j++)
                    __builtin_prefetch(place[i * side + j] + (ahead + c));
        if (side * side <= REGISTERS) {
            UNROLL_VECTORS for (int j = 0; j < side; j++) {
                read_column(place + j, c, t + j, side, line);
            }
            UNROLL_VECTORS for (int i = 0; i < side; i++) {
                read_row(t + i * side, to + i * side * plane + c, plane, side, line);
            }
        } else {
            for (int j = 0; j < side; j++) read_column(place + j, c, t + j, side, line);
            for (int i = 0; i < side; i++)
                read_row(t + i * side, to + i * side * plane + c, plane, side, line);
        }
    }
}

ALWAYS_INLINE void result_column(const float *sums, int64_t plane, vf *t, int side, int results,
                                 Line *line) {
    vf d[CONV_SIDE];
    UNROLL_VECTORS for (int i = 0; i < side; i++) d[i] = vf_load(sums + i * side * plane);
    line(d);
    UNROLL_VECTORS for (int i = 0; i < results; i++) t[i * side] = d[i];
}

ALWAYS_INLINE void result_row(const vf *t, float *to, int64_t cols, int side, int results,
                              Line *line) {
    vf d[CONV_SIDE];
    UNROLL_VECTORS for (int j = 0; j < side; j++) d[j] = t[j];
    line(d);
    UNROLL_VECTORS for (int j = 0; j < results; j++) vf_store(to + j * cols, d[j]);
}

ALWAYS_INLINE void result_tile(const float *sums, int64_t plane, float *to, int64_t to_line,
                               int64_t cols, int side, int results, Line *line) {
    for (int64_t o = 0; o < cols; o += VF_WIDTH) {
        vf t[CONV_SIDE * CONV_SIDE];
        if (side * side <= REGISTERS) {
            UNROLL_VECTORS for (int j = 0; j < side; j++) {
                result_column(sums + j * plane + o, plane, t + j, side, results, line);
            }
            UNROLL_VECTORS for (int i = 0; i < results; i++) {
                result_row(t + i * side, to + i * to_line + o, cols, side, results, line);
            }
        } else {
            for (int j = 0; j < side; j++)
                result_column(sums + j * plane + o, plane, t + j, side, results, line);
            for (int i = 0; i < results; i++)
                result_row(t + i * side, to + i * to_line + o, cols, side, results, line);
        }
    }
}

#define FILTER(form, side, step, results)                                                       \
    static void filter_read_##form(const float *const *place, int64_t ahead, float *to,         \
                                   int64_t plane, int64_t channels) {                           \
        read_tile(place, ahead, to, plane, channels, side, step, read_##form);                  \
    }                                                                                           \
    static void filter_result_##form(const float *sums, int64_t plane, float *to, int64_t line, \
                                     int64_t cols) {                                            \
        result_tile(sums, plane, to, line, cols, side, results, result_##form);                 \
    }
FILTER(2, 4, 2, 2)
FILTER(2_strided, 5, 4, 2)
FILTER(4, 6, 4, 4)

const ConvFilter TN_FN(conv_filters)[CONV_FILTERS] = {
    [CONV_F2] = {.results = 2,
                 .side = 4,
                 .step = 2,
                 .weights = 4,
                 .weight = {0, 1, 2, 3},
                 .read = filter_read_2,
                 .result = filter_result_2},
    [CONV_F2_STRIDED] = {.results = 2,
                         .side = 5,
                         .step = 4,
                         .weights = 4,
                         .weight = {0, 1, 2, 3, 3},
                         .read = filter_read_2_strided,
                         .result = filter_result_2_strided},
    [CONV_F4] = {.results = 4,
                 .side = 6,
                 .step = 4,
                 .weights = 6,
                 .weight = {0, 1, 2, 3, 4, 5},
                 .read = filter_read_4,
                 .result = filter_result_4},
};
