/* Rows of attention's products (attention.h) that are no tiles: scores as dot products, sums of
 * values of bf16, and what becomes of sums. */
#include "runtime/kernels/attention.h"
#include "runtime/kernels/bf16.h"
#include "runtime/kernels/simd_half.h"

enum {
    VECTORS = 4, /* of a row of values, at once */
    DOT_ROWS = VF_WIDTH == 16 ? 4 : 2,
    DOT_KEYS = 4
};

/* scores[i, t] of `rows` queries and 4 keys. */
ALWAYS_INLINE void dots_of_keys(float *scores, int64_t stride, const float *q, int64_t q_row,
                                const float *k, int64_t k_row, int64_t depth, int rows) {
    vf sum[DOT_ROWS][DOT_KEYS];
    UNROLL for (int i = 0; i < rows * DOT_KEYS; i++) {
        sum[i / DOT_KEYS][i % DOT_KEYS] = vf_zero();
    }
    UNROLL for (int j = 0; j < DOT_KEYS; j++, k += k_row) { /* as they come from memory */
        for (int64_t d = 0; d < depth; d += VF_WIDTH) {
            const int64_t n = depth - d < VF_WIDTH ? depth - d : VF_WIDTH;
            const vf key = vf_load_n(k + d, n);
            UNROLL for (int i = 0; i < rows; i++) {
                sum[i][j] = vf_fma(vf_load_n(q + i * q_row + d, n), key, sum[i][j]);
            }
        }
    }
    UNROLL for (int i = 0; i < rows; i++) {
        vf_store_sums(scores + i * stride, sum[i][0], sum[i][1], sum[i][2], sum[i][3]);
    }
}

/* The last steps overlap those before; keys fewer than a step takes are taken four times each. */
static void dots(float *scores, int64_t stride, const float *q, int64_t q_row, int64_t rows,
                 const float *k, int64_t k_row, int64_t n, int64_t depth) {
    const int64_t step = rows < DOT_ROWS ? 1 : DOT_ROWS;
    const int64_t apart = n < DOT_KEYS ? 0 : k_row, next = n < DOT_KEYS ? 1 : DOT_KEYS;
    for (int64_t i = 0; i < rows; i += step) {
        const int64_t r = i + step < rows ? i : rows - step;
        for (int64_t j = 0; j < n; j += next) {
            const int64_t first = j + next < n ? j : n - next;
            float *to = scores + r * stride + first;
            const float *keys = k + first * k_row;
            if (step == 1)
                dots_of_keys(to, stride, q + r * q_row, q_row, keys, apart, depth, 1);
            else
                dots_of_keys(to, stride, q + r * q_row, q_row, keys, apart, depth, DOT_ROWS);
        }
    }
}

static void store(const Unit *u, const Block *block, int64_t r, int64_t rows, float *tile,
                  const float *more, int64_t tile_row, int64_t e, int64_t cols) {
    const bool bf16 = u->a->out_bf16;
    for (int64_t i = 0; i < rows; i++, tile += tile_row) {
        const vf factor = vf_set1(u->inverse[r + i]);
        const float *other = more ? more + i * tile_row : NULL;
        void *o = float_at(block->o, bf16, (r + i) * block->o_row + e);
        for (int64_t n = 0; n < cols; n += VF_WIDTH) { /* the tile has whole panels */
            vf y = vf_load(tile + n);
            if (other) y = vf_add(y, vf_load(other + n));
            y = vf_mul(factor, y);
            const int64_t left = cols - n < VF_WIDTH ? cols - n : VF_WIDTH;
            if (!bf16 && left == VF_WIDTH) {
                vf_store((float *)o + n, y);
            } else if (!bf16) {
                vf_store_n((float *)o + n, y, left);
            } else if (left == VF_WIDTH) {
                vf_store_bf16((uint16_t *)o + n, y);
            } else {
                vf_store(tile + n, y);
                TN_FN(bf16_copy)((uint16_t *)o + n, true, tile + n, false, left);
            }
        }
    }
}

static void sums(float *to, int64_t cols, const float *weight, const uint16_t *v, int64_t v_row,
                 int64_t n) {
    for (int64_t e = 0; e < cols; e += VECTORS * VF_WIDTH) {
        const int64_t left = (cols - e) / VF_WIDTH;
        vf sum[VECTORS];
        for (int j = 0; j < VECTORS; j++) sum[j] = vf_zero();
        for (int64_t t = 0; t < n; t++) {
            const vf w = vf_set1(weight[t]);
            const uint16_t *from = v + t * v_row + e;
            UNROLL for (int j = 0; j < VECTORS; j++) {
                if (j < left) sum[j] = vf_fma(w, vf_load_bf16(from + j * VF_WIDTH), sum[j]);
            }
        }
        for (int j = 0; j < VECTORS && j < left; j++) vf_store(to + e + j * VF_WIDTH, sum[j]);
    }
}

const AttentionRows TN_FN(attention_rows) = {dots, sums, store};
