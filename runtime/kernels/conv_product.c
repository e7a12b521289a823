/* conv of many channels: a patch's results as a product, for the micro-kernels of gemm.h.
 *
 *     y[o, p] = bias[o] + sum over taps t of w[o, t] B[t, p]
 *
 * B, what tap t finds for place p, is packed into panels of 16 places; the places of a patch are
 * counted row by row, so that narrow images fill panels too. Then rows of w pass over all of B, so
 * that weights are read once per patch. */
#include <string.h>
#include "runtime/kernels/conv.h"
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/simd.h"

static int64_t panels_of(const ConvShape *s) {
    return TN_CEIL_DIV(s->rows * s->width, TN_PANEL);
}

size_t TN_FN(conv_product_scratch)(const ConvShape *s) {
    return (size_t)(panels_of(s) * s->taps) * TN_PANEL * sizeof(float);
}

/* A panel of B; from: where the places find their input, relative to the tap's. */
static void pack_panel(const ConvShape *s, float *to, const int64_t *taps, const float *input,
                       const int32_t *from) {
    bool neighbours = true;
    for (int i = 1; i < TN_PANEL; i++) neighbours = neighbours && from[i] == from[0] + i;
    for (int64_t t = 0; t < s->taps; t++, to += TN_PANEL) {
        const float *x = input + taps[t];
        if (neighbours)
            memcpy(to, x + from[0], TN_PANEL * sizeof *to);
        else
            for (int i = 0; i < TN_PANEL; i += VF_WIDTH)
                vf_store(to + i, vf_gather(x, vi_load(from + i)));
    }
}

/* Places beyond the patch's last read what that reads. */
static void pack(const ConvShape *s, const ConvPatch *p, float *to, const int64_t *taps,
                 const float *input) {
    int64_t places = p->rows * p->columns, row = 0, column = 0;
    int64_t x_row = s->stride[HEIGHT] * s->stride[WIDTH] * s->phase_columns;
    for (int64_t first = 0; first < places; first += TN_PANEL, to += s->taps * TN_PANEL) {
        int32_t from[TN_PANEL];
        for (int i = 0; i < TN_PANEL; i++) {
            from[i] = (int32_t)(row * x_row + column);
            if (first + i + 1 >= places) continue;
            if (++column < p->columns) continue;
            column = 0;
            row++;
        }
        pack_panel(s, to, taps, input, from);
    }
}

/* One row of a tile, the results of a channel from place `first` on. */
static void store(const ConvShape *s, const ConvPatch *p, float *y, const float *tile, float bias,
                  int64_t first, int64_t n) {
    int64_t y_row = s->y_strides[2 + HEIGHT], y_column = s->y_strides[2 + WIDTH];
    if (y_column == 1 && (p->rows == 1 || y_row == p->columns)) {
        const vf b = vf_set1(bias);
        int64_t i = 0;
        for (y += first; i + VF_WIDTH <= n; i += VF_WIDTH)
            vf_store(y + i, vf_add(vf_load(tile + i), b));
        if (i < n) vf_store_n(y + i, vf_add(vf_load(tile + i), b), n - i);
        return;
    }
    int64_t row = first / p->columns, column = first % p->columns;
    for (int64_t i = 0; i < n; i++) {
        y[row * y_row + column * y_column] = tile[i] + bias;
        if (++column < p->columns) continue;
        column = 0;
        row++;
    }
}

void TN_FN(conv_product)(const ConvShape *s, const ConvPatch *p, const int64_t *taps,
                         const float *input, void *scratch, int64_t o, int64_t end) {
    _Alignas(64) float buffer[TILE_MAX_ROWS * TILE_MAX_PANELS * TN_PANEL];
    int64_t places = p->rows * p->columns, panels = TN_CEIL_DIV(places, TN_PANEL);
    int64_t out = p->g * s->outputs + o;
    TileShape shape = tile_shape(end - o, s->taps);
    int64_t tiles = TN_CEIL_DIV(end - o, shape.rows);
    float *y = s->y + p->b * s->y_strides[0] + out * s->y_strides[1] +
               p->depth * s->y_strides[2 + DEPTH] + p->row * s->y_strides[2 + HEIGHT] +
               p->column * s->y_strides[2 + WIDTH];
    pack(s, p, scratch, taps, input);
    for (int64_t i = 0; i < tiles; i++) {
        int64_t r = deal(end - o, tiles, i), count = deal(end - o, tiles, i + 1) - r;
        for (int64_t j = 0; j < panels; j += shape.panels) {
            int64_t now = panels - j < shape.panels ? panels - j : shape.panels;
            int64_t first = j * TN_PANEL, n = now * TN_PANEL;
            if (n > places - first) n = places - first;
            Tile t = {.k = s->taps, .a = s->w + (out + r) * s->taps, .a_row = s->taps};
            t.b = (const float *)scratch + first * s->taps;
            t.b_row = TN_PANEL;
            t.b_panel = TN_PANEL * s->taps;
            t.c = buffer;
            t.c_row = now * TN_PANEL;
            t.prefetch = (const char *)t.b;
            TN_FN(tile_kernels).tile[now][count](&t);
            for (int64_t k = 0; k < count; k++)
                store(s, p, y + (r + k) * s->y_strides[1], buffer + k * t.c_row,
                      s->bias ? s->bias[out + r + k] : 0, first, n);
        }
    }
}
