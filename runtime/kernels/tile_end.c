/* What comes before and after the tiles of products (gemm.h): B in panels; bias, activation and
 * residual. */
#include "runtime/kernels/bf16.h"
#include "runtime/kernels/simd_half.h"

/* Whether columns may end in part of a vector of floats: where a mask costs nothing. */
enum { PARTS = VF_WIDTH == 16 };

/* A vector of floats, with PARTS the first n of them, or one of bf16. */
ALWAYS_INLINE vf load_either(const void *p, bool bf16, int64_t n) {
    if (bf16) return vf_load_bf16(p);
    return PARTS ? vf_load_n(p, n) : vf_load(p);
}

/* Columns of vectors, one after another: bias and steps stay in registers. The last may be part of
 * one with PARTS where all are floats. */
ALWAYS_INLINE void end_as(const TileEnd *e, const float *tile, int64_t tile_row, int64_t rows,
                          int64_t cols, TnActivation act) {
    const bool first = e->residual && e->residual_first, after = e->residual && !first;
    const bool from_bf16 = e->residual_bf16, to_bf16 = e->c_bf16;
    const int64_t residual_row = e->residual_row * float_size(from_bf16);
    const int64_t c_row = e->c_row * float_size(to_bf16);
    for (int64_t j = 0; j < cols; j += VF_WIDTH, tile += VF_WIDTH) {
        const int64_t n = cols - j < VF_WIDTH ? cols - j : VF_WIDTH;
        const vf bias = e->bias ? load_either(e->bias + j, false, n) : vf_zero();
        const char *residual = e->residual;
        if (residual) residual = float_at(residual, from_bf16, j);
        char *c = float_at(e->c, to_bf16, j);
        for (int64_t i = 0; i < rows; i++) {
            vf x = vf_add(load_either(tile + i * tile_row, false, n), bias);
            if (first) x = vf_add(x, load_either(residual + i * residual_row, from_bf16, n));
            x = vf_activate(x, act);
            if (after) x = vf_add(x, load_either(residual + i * residual_row, from_bf16, n));
            if (to_bf16)
                vf_store_bf16((uint16_t *)(void *)(c + i * c_row), x);
            else if (PARTS)
                vf_store_n((float *)(void *)(c + i * c_row), x, n);
            else
                vf_store((float *)(void *)(c + i * c_row), x);
        }
    }
}

static void end_whole(const TileEnd *e, const float *tile, int64_t tile_row, int64_t rows,
                      int64_t cols) {
    switch (e->activation) {
#define X(upper, lower, number) \
    case TN_ACT_##upper: end_as(e, tile, tile_row, rows, cols, TN_ACT_##upper); break;
        TN_ACTIVATIONS(X)
#undef X
    default: break;
    }
}

#if VF_WIDTH > 1
/* Fewer columns than a vector has, from column j on: in lines of their own. */
static void end_part(const TileEnd *e, const float *tile, int64_t tile_row, int64_t rows, int64_t j,
                     int64_t cols) {
    float bias[VF_WIDTH] = {0}, residual[TILE_MAX_ROWS * VF_WIDTH] = {0};
    float lines[TILE_MAX_ROWS * VF_WIDTH] = {0};
    TileEnd whole = *e;
    if (e->bias) vf_store(bias, vf_load_n(e->bias + j, cols));
    for (int64_t i = 0; i < rows; i++) {
        vf_store(lines + i * VF_WIDTH, vf_load_n(tile + i * tile_row + j, cols));
        if (!e->residual) continue;
        const int64_t at = i * e->residual_row + j;
        if (!e->residual_bf16)
            vf_store(residual + i * VF_WIDTH, vf_load_n((const float *)e->residual + at, cols));
        for (int64_t k = 0; k < cols && e->residual_bf16; k++)
            residual[i * VF_WIDTH + k] = float_get(e->residual, true, at + k);
    }
    whole.bias = bias;
    if (e->residual) whole.residual = residual;
    whole.c = lines;
    whole.residual_row = whole.c_row = VF_WIDTH;
    whole.residual_bf16 = whole.c_bf16 = false;
    end_whole(&whole, lines, VF_WIDTH, rows, VF_WIDTH);
    for (int64_t i = 0; i < rows; i++) {
        const int64_t at = i * e->c_row + j;
        if (!e->c_bf16) vf_store_n((float *)e->c + at, vf_load(lines + i * VF_WIDTH), cols);
        for (int64_t k = 0; k < cols && e->c_bf16; k++)
            float_set(e->c, true, at + k, lines[i * VF_WIDTH + k]);
    }
}
#endif

void TN_FN(tile_end)(const TileEnd *e, float *tile, int64_t tile_row, int64_t rows, int64_t cols) {
    const bool parts = PARTS && !e->c_bf16 && !(e->residual && e->residual_bf16);
    const int64_t whole = parts ? cols : cols / VF_WIDTH * VF_WIDTH;
    if (whole) end_whole(e, tile, tile_row, rows, whole);
#if VF_WIDTH > 1
    if (whole < cols) end_part(e, tile, tile_row, rows, whole, cols - whole);
#endif
}

void TN_FN(tile_scale)(float *tile, int64_t tile_row, int64_t rows, int panels, float alpha) {
    for (int64_t i = 0; i < rows; i++, tile += tile_row)
        for (int j = 0; j < panels * TN_PANEL; j += VF_WIDTH)
            vf_store(tile + j, vf_mul(vf_set1(alpha), vf_load(tile + j)));
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
