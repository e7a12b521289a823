/* What comes before and after the tiles of products (gemm.h): B in panels; bias, activation and
 * residual. */
#include "runtime/kernels/bf16.h"
#include "runtime/kernels/simd.h"

/* `n` floats from p on, at most a vector. */
static inline vf some(const float *p, int64_t n) {
    return n == VF_WIDTH ? vf_load(p) : vf_load_n(p, n);
}

/* One column of vectors, or the first n lanes of it: what ends it stays in registers. */
ALWAYS_INLINE void end_column(const TileEnd *e, const float *tile, int64_t tile_row, int64_t rows,
                              int64_t j, int64_t n, TnActivation act) {
    const bool first = e->residual && e->residual_first, after = e->residual && !first;
    const float *residual = (const float *)e->residual + (e->residual ? j : 0);
    const int64_t residual_row = e->residual_row, c_row = e->c_row;
    const vf bias = e->bias ? some(e->bias + j, n) : vf_zero();
    float *c = (float *)e->c + j;
    tile += j;
    for (int64_t i = 0; i < rows; i++) {
        vf x = vf_add(some(tile + i * tile_row, n), bias);
        if (first) x = vf_add(x, some(residual + i * residual_row, n));
        x = vf_activate(x, act);
        if (after) x = vf_add(x, some(residual + i * residual_row, n));
        if (n == VF_WIDTH)
            vf_store(c + i * c_row, x);
        else
            vf_store_n(c + i * c_row, x, n);
    }
}

ALWAYS_INLINE void end_as(const TileEnd *e, const float *tile, int64_t tile_row, int64_t rows,
                          int64_t cols, TnActivation act) {
    int64_t j = 0;
    for (; j + VF_WIDTH <= cols; j += VF_WIDTH)
        end_column(e, tile, tile_row, rows, j, VF_WIDTH, act);
    if (j < cols) end_column(e, tile, tile_row, rows, j, cols - j, act);
}

static void end_floats(const TileEnd *e, const float *tile, int64_t tile_row, int64_t rows,
                       int64_t cols) {
    switch (e->activation) {
#define X(upper, lower, number) \
    case TN_ACT_##upper: end_as(e, tile, tile_row, rows, cols, TN_ACT_##upper); break;
        TN_ACTIVATIONS(X)
#undef X
    default: break;
    }
}

static void narrow(uint16_t *to, int64_t to_row, const float *from, int64_t from_row, int64_t rows,
                   int64_t cols) {
    for (int64_t i = 0; i < rows; i++, to += to_row, from += from_row)
        TN_FN(bf16_copy)(to, true, from, false, cols);
}

void TN_FN(tile_end)(const TileEnd *e, float *tile, int64_t tile_row, int64_t rows, int64_t cols) {
    _Alignas(64) float residual[TILE_MAX_ROWS * TILE_MAX_PANELS * TN_PANEL];
    TileEnd floats = *e;
    if (e->residual && e->residual_bf16) {
        floats.residual = residual;
        floats.residual_row = cols;
        for (int64_t i = 0; i < rows; i++) TN_FN(bf16_copy)
        (residual + i * cols, false, float_at(e->residual, true, i * e->residual_row), true, cols);
    }
    if (e->c_bf16) {
        floats.c = tile;
        floats.c_row = tile_row;
    }
    if (!e->c_bf16 || e->bias || e->residual || e->activation)
        end_floats(&floats, tile, tile_row, rows, cols);
    if (e->c_bf16) (e->narrow ? e->narrow : narrow)(e->c, e->c_row, tile, tile_row, rows, cols);
}

void TN_FN(tile_pack)(float *to, const float *b, int64_t b_k, int64_t b_n, int64_t k, int64_t n) {
    if (b_k == 1) {
        TN_FN(tile_kernels).transpose(to, TN_PANEL, b, b_n, n, k, TN_PANEL);
        return;
    }
    if (b_n == 1) {
        for (int64_t i = 0; i < k; i++, to += TN_PANEL, b += b_k)
            for (int64_t j = 0; j < TN_PANEL; j += VF_WIDTH) {
                int64_t left = n - j < 0 ? 0 : n - j;
                vf_store(to + j, left < VF_WIDTH ? vf_load_n(b + j, left) : vf_load(b + j));
            }
        return;
    }
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < TN_PANEL; j++)
            to[i * TN_PANEL + j] = j < n ? b[i * b_k + j * b_n] : 0;
}
