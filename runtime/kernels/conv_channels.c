/* Sums over taps of lanes that are outputs of neighbouring groups: the kernels of
 * common/conv_channels.c, whose results are one vector after another for all lanes. */
#include "runtime/kernels/conv.h"
#include "runtime/kernels/simd.h"

enum { RESULTS = CONV_RESULTS };

/* Both counts are constants where these are inlined. */

ALWAYS_INLINE void store(const ConvTaps *taps, float *to, int64_t lane, const vf *sum,
                         int results) {
    int64_t lanes = taps->lanes - lane;
    if (lanes >= VF_WIDTH) {
        UNROLL for (int i = 0; i < results; i++) vf_store(to + i * taps->to_step, sum[i]);
    } else {
        UNROLL for (int i = 0; i < results; i++) {
            vf_store_n(to + i * taps->to_step, sum[i], lanes);
        }
    }
}

ALWAYS_INLINE vf first_sum(const ConvTaps *taps, int64_t lane) {
    int64_t lanes = taps->lanes - lane < VF_WIDTH ? taps->lanes - lane : VF_WIDTH;
    return taps->bias ? vf_load_n(taps->bias + lane, lanes) : vf_zero();
}

ALWAYS_INLINE void tap_by_tap(const ConvTaps *taps, const float *x, int64_t at, float *to,
                              int results) {
    for (int64_t lane = 0; lane < taps->lanes; lane += VF_WIDTH) {
        vf sum[RESULTS], first = first_sum(taps, lane);
        UNROLL for (int i = 0; i < results; i++) sum[i] = first;
        for (int64_t t = 0; t < taps->count; t++) {
            const vf w = vf_load(taps->w + t * taps->w_row + lane);
            const float *from = x + (at + taps->at[t] + lane);
            UNROLL for (int i = 0; i < results; i++) {
                sum[i] = vf_fma(vf_load(from + i * taps->step), w, sum[i]);
            }
        }
        store(taps, to + lane, lane, sum, results);
    }
}

#if VF_WIDTH > 1
/* Neighbouring results and taps: place i serves tap t of result i - t. Padding adds nothing. */
ALWAYS_INLINE void row_by_row(const ConvTaps *taps, const float *x, int64_t at, float *to,
                              int results, int width) {
    for (int64_t lane = 0; lane < taps->lanes; lane += VF_WIDTH) {
        vf sum[RESULTS], first = first_sum(taps, lane);
        UNROLL for (int i = 0; i < results; i++) sum[i] = first;
        for (int64_t t = 0; t < taps->count; t += width) {
            const float *from = x + (at + taps->at[t] + lane),
                        *weight = taps->w + t * taps->w_row + lane;
            vf w[7];
            UNROLL for (int k = 0; k < width; k++) w[k] = vf_load(weight + k * taps->w_row);
            UNROLL for (int i = 0; i < results + width - 1; i++) {
                if (i < taps->first || i >= taps->end) continue;
                const vf place = vf_load(from + i * taps->step);
                UNROLL for (int k = 0; k < width; k++) {
                    if (i - k >= 0 && i - k < results) sum[i - k] = vf_fma(place, w[k], sum[i - k]);
                }
            }
        }
        store(taps, to + lane, lane, sum, results);
    }
}

/* WALK columns of 3 x 3 neighbouring taps, from top to bottom: each place is loaded once and serves
 * the results of three rows. */
enum { WALK = VF_WIDTH == 16 ? 6 : 4 };

static void walk_down(const ConvTaps *taps, const ConvWalk *walk, const float *x, int64_t at,
                      float *to) {
    for (int64_t lane = 0; lane < taps->lanes; lane += VF_WIDTH) {
        vf w[9], sum[3][WALK], first = first_sum(taps, lane);
        UNROLL for (int k = 0; k < 9; k++) w[k] = vf_load(taps->w + k * taps->w_row + lane);
        UNROLL for (int i = 0; i < WALK; i++) sum[1][i] = sum[2][i] = first;
        for (int64_t line = 0; line < walk->rows + 2; line++) {
            UNROLL for (int i = 0; i < WALK; i++) {
                sum[0][i] = sum[1][i];
                sum[1][i] = sum[2][i];
                sum[2][i] = first;
            }
            if (line >= walk->first && line < walk->end) {
                const float *from = x + (at + line * walk->line + lane);
                UNROLL for (int i = 0; i < WALK + 2; i++) {
                    if (i < taps->first || i >= taps->end) continue;
                    const vf place = vf_load(from + i * taps->step);
                    UNROLL for (int k = 0; k < 3; k++) {
                        if (i - k < 0 || i - k >= WALK) continue;
                        sum[0][i - k] = vf_fma(place, w[6 + k], sum[0][i - k]);
                        sum[1][i - k] = vf_fma(place, w[3 + k], sum[1][i - k]);
                        sum[2][i - k] = vf_fma(place, w[k], sum[2][i - k]);
                    }
                }
            }
            if (line >= 2) store(taps, to + (line - 2) * walk->to_line + lane, lane, sum[0], WALK);
        }
    }
}

#endif

#define TAP_BY_TAP(n)                                                                   \
    static void taps_##n(const ConvTaps *taps, const float *x, int64_t at, float *to) { \
        tap_by_tap(taps, x, at, to, n);                                                 \
    }
#define ROW_BY_ROW(width, n)                                                                \
    static void rows_##width(const ConvTaps *taps, const float *x, int64_t at, float *to) { \
        row_by_row(taps, x, at, to, n, width);                                              \
    }
TAP_BY_TAP(1)
TAP_BY_TAP(2)
TAP_BY_TAP(4)
TAP_BY_TAP(8)
#if VF_WIDTH > 1
ROW_BY_ROW(5, 8)
ROW_BY_ROW(7, 7)
#endif

const ConvChannels TN_FN(conv_channels_kernels) = {
    .taps = {[1] = taps_1, [2] = taps_2, [4] = taps_4, [8] = taps_8},
#if VF_WIDTH > 1
    .rows = {[5] = rows_5, [7] = rows_7},
    .walk = walk_down,
    .walk_columns = WALK,
#endif
};

const ConvKernels TN_FN(conv_kernels) = {&TN_FN(conv_channels_kernels), TN_FN(conv_filters)};
