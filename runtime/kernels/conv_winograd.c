/* The transforms of Winograd's filtering: common/conv_winograd.c says of what. */
#include "runtime/kernels/conv.h"
#include "runtime/kernels/simd.h"

enum { SIDE = CONV_TILE + 2 }; /* of what a tile reads */

/* Lines stay in registers, if there are vectors of them. */
#if VF_WIDTH > 1
#define UNROLL_VECTORS UNROLL
#else
#define UNROLL_VECTORS
#endif

/* B' d along one line of what a tile reads, in place. */
ALWAYS_INLINE void read_line(vf *d, int step) {
    vf a = d[0], b = d[step], c = d[2 * step], e = d[3 * step];
    d[0] = vf_sub(a, c);
    d[step] = vf_add(b, c);
    d[2 * step] = vf_sub(c, b);
    d[3 * step] = vf_sub(b, e);
}

/* A' d along one line of sums: the first two of d. */
ALWAYS_INLINE void result_line(vf *d, int step) {
    vf b = d[step], c = d[2 * step];
    d[0] = vf_add(d[0], vf_add(b, c));
    d[step] = vf_sub(vf_sub(b, c), d[3 * step]);
}

void TN_FN(winograd_read)(const float *const *place, float *to, int64_t plane, int64_t channels) {
    for (int64_t c = 0; c < channels; c += VF_WIDTH) {
        vf d[CONV_ELEMENTS];
        UNROLL_VECTORS for (int i = 0; i < CONV_ELEMENTS; i++) d[i] = vf_load(place[i] + c);
        UNROLL_VECTORS for (int i = 0; i < SIDE; i++) read_line(d + i * SIDE, 1);
        UNROLL_VECTORS for (int i = 0; i < SIDE; i++) read_line(d + i, SIDE);
        UNROLL_VECTORS for (int i = 0; i < CONV_ELEMENTS; i++) {
            vf_store(to + i * plane + c, d[i]);
        }
    }
}

void TN_FN(winograd_result)(const float *sums, int64_t plane, float *to, int64_t line,
                            int64_t cols) {
    for (int64_t o = 0; o < cols; o += VF_WIDTH) {
        vf d[CONV_ELEMENTS];
        UNROLL_VECTORS for (int i = 0; i < CONV_ELEMENTS; i++) {
            d[i] = vf_load(sums + i * plane + o);
        }
        UNROLL_VECTORS for (int i = 0; i < SIDE; i++) result_line(d + i * SIDE, 1);
        UNROLL_VECTORS for (int i = 0; i < CONV_TILE; i++) {
            result_line(d + i, SIDE);
            vf_store(to + i * cols + o, d[i]);
            vf_store(to + line + i * cols + o, d[SIDE + i]);
        }
    }
}
