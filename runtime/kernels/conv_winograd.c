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

/* F(4, 3), at the points 0, a, -a, b and -b. Points near 1 whose powers are far from large round
 * half as much as 1 and 2. */
#define A  0.75f
#define B  1.625f
#define AA (A * A)
#define BB (B * B)

ALWAYS_INLINE void read_4(vf *d) {
    const vf aa = vf_set1(AA), bb = vf_set1(BB), both = vf_set1(AA + BB),
             product = vf_set1(AA * BB);
    vf a = vf_fnma(bb, d[2], d[4]), b = vf_mul(vf_set1(A), vf_fnma(bb, d[1], d[3]));
    vf c = vf_fnma(aa, d[2], d[4]), e = vf_mul(vf_set1(B), vf_fnma(aa, d[1], d[3]));
    d[0] = vf_fma(product, d[0], vf_fnma(both, d[2], d[4]));
    d[5] = vf_fma(product, d[1], vf_fnma(both, d[3], d[5]));
    d[1] = vf_add(a, b);
    d[2] = vf_sub(a, b);
    d[3] = vf_add(c, e);
    d[4] = vf_sub(c, e);
}

ALWAYS_INLINE void result_4(vf *d) {
    vf a = vf_add(d[1], d[2]), b = vf_sub(d[1], d[2]);
    vf c = vf_add(d[3], d[4]), e = vf_sub(d[3], d[4]);
    d[0] = vf_add(vf_add(d[0], a), c);
    d[1] = vf_fma(vf_set1(A), b, vf_mul(vf_set1(B), e));
    d[2] = vf_fma(vf_set1(AA), a, vf_mul(vf_set1(BB), c));
    d[3] = vf_fma(vf_set1(A * AA), b, vf_fma(vf_set1(B * BB), e, d[5]));
}

/* Column j of a tile from every across-th of `from` on, to column j of t. */
ALWAYS_INLINE void read_column(const float *const *from, int64_t c, vf *t, int down, int across,
                               Line *line) {
    vf d[CONV_SIDE];
    UNROLL_VECTORS for (int i = 0; i < down; i++) d[i] = vf_load(from[i * across] + c);
    line(d);
    UNROLL_VECTORS for (int i = 0; i < down; i++) t[i * across] = d[i];
}

ALWAYS_INLINE void read_row(const vf *t, float *to, int64_t plane, int across, Line *line) {
    vf d[CONV_SIDE];
    UNROLL_VECTORS for (int j = 0; j < across; j++) d[j] = t[j];
    line(d);
    UNROLL_VECTORS for (int j = 0; j < across; j++) vf_store(to + j * plane, d[j]);
}

ALWAYS_INLINE void read_tile(const float *const *place, int64_t ahead, float *to, int64_t plane,
                             int64_t channels, int down, int across, int step, Line *line_down,
                             Line *line_across) {
    for (int64_t c = 0; c < channels; c += VF_WIDTH) {
        vf t[CONV_SIDE * CONV_SIDE];
        if (c % TN_PANEL == 0)
            for (int i = 0; i < down; i++)
                for (int j = across - step; j < across; j++)
                    __builtin_prefetch(place[i * across + j] + (ahead + c));
        if (down * across <= REGISTERS) {
            UNROLL_VECTORS for (int j = 0; j < across; j++) {
                read_column(place + j, c, t + j, down, across, line_down);
            }
            UNROLL_VECTORS for (int i = 0; i < down; i++) {
                read_row(t + i * across, to + i * across * plane + c, plane, across, line_across);
            }
        } else {
            for (int j = 0; j < across; j++)
                read_column(place + j, c, t + j, down, across, line_down);
            for (int i = 0; i < down; i++)
                read_row(t + i * across, to + i * across * plane + c, plane, across, line_across);
        }
    }
}

ALWAYS_INLINE void result_column(const float *sums, int64_t plane, vf *t, int down, int across,
                                 int results, Line *line) {
    vf d[CONV_SIDE];
    UNROLL_VECTORS for (int i = 0; i < down; i++) d[i] = vf_load(sums + i * across * plane);
    line(d);
    UNROLL_VECTORS for (int i = 0; i < results; i++) t[i * across] = d[i];
}

ALWAYS_INLINE void result_row(const vf *t, float *to, int64_t cols, int across, int results,
                              Line *line) {
    vf d[CONV_SIDE];
    UNROLL_VECTORS for (int j = 0; j < across; j++) d[j] = t[j];
    line(d);
    UNROLL_VECTORS for (int j = 0; j < results; j++) vf_store(to + j * cols, d[j]);
}

ALWAYS_INLINE void result_tile(const float *sums, int64_t plane, float *to, int64_t to_line,
                               int64_t cols, int down, int across, int results_down,
                               int results_across, Line *line_down, Line *line_across) {
    for (int64_t o = 0; o < cols; o += VF_WIDTH) {
        vf t[CONV_SIDE * CONV_SIDE];
        if (down * across <= REGISTERS) {
            UNROLL_VECTORS for (int j = 0; j < across; j++) {
                result_column(sums + j * plane + o, plane, t + j, down, across, results_down,
                              line_down);
            }
            UNROLL_VECTORS for (int i = 0; i < results_down; i++) {
                result_row(t + i * across, to + i * to_line + o, cols, across, results_across,
                           line_across);
            }
        } else {
            for (int j = 0; j < across; j++)
                result_column(sums + j * plane + o, plane, t + j, down, across, results_down,
                              line_down);
            for (int i = 0; i < results_down; i++)
                result_row(t + i * across, to + i * to_line + o, cols, across, results_across,
                           line_across);
        }
    }
}

/* A side of a tile. */
enum {
    places_2 = 4,
    results_2 = 2,
    places_2_strided = 5,
    results_2_strided = 2,
    step_2_strided = 4,
    places_4 = 6,
    results_4 = 4,
    step_4 = 4
};

#define FILTER(name, down, across)                                                               \
    static void filter_read_##name(const float *const *place, int64_t ahead, float *to,          \
                                   int64_t plane, int64_t channels) {                            \
        read_tile(place, ahead, to, plane, channels, places_##down, places_##across,             \
                  step_##across, read_##down, read_##across);                                    \
    }                                                                                            \
    static void filter_result_##name(const float *sums, int64_t plane, float *to, int64_t line,  \
                                     int64_t cols) {                                             \
        result_tile(sums, plane, to, line, cols, places_##down, places_##across, results_##down, \
                    results_##across, result_##down, result_##across);                           \
    }
FILTER(2_strided, 2_strided, 2_strided)
FILTER(2x4, 2, 4)
FILTER(4, 4, 4)

/* clang-format off */
#define DOWN_2 {results_2, places_2, 2, 4, {0, 1, 2, 3}}
#define SIDE_2_STRIDED {results_2_strided, places_2_strided, step_2_strided, 4, {0, 1, 2, 3, 3}}
#define SIDE_4 {results_4, places_4, step_4, 6, {0, 1, 2, 3, 4, 5}}
/* clang-format on */

const ConvFilter TN_FN(conv_filters)[CONV_FILTERS] = {
    [CONV_F2_STRIDED] = {SIDE_2_STRIDED, SIDE_2_STRIDED, filter_read_2_strided,
                         filter_result_2_strided},
    [CONV_F2X4] = {DOWN_2, SIDE_4, filter_read_2x4, filter_result_2x4},
    [CONV_F4] = {SIDE_4, SIDE_4, filter_read_4, filter_result_4},
};
