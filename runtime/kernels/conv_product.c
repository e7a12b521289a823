/* conv of many channels: rows of windows times a matrix of weights, by the micro-kernels of gemm.h.
 *
 *     y[p, o] = sum over runs r, j of window[run[r] + p's place + j] B[r k + j, o]
 *
 * A tile is some neighbouring results of one row. What their taps find are runs of floats: all taps
 * along WIDTH at once where places are neighbours, else the channels of one tap. B is in panels,
 * which are used as gemm does it: a group stays in the cache while all rows of the patch pass over
 * it, and the next is fetched meanwhile. Groups of channels use columns of the same panels. */
#include <string.h>
#include "runtime/kernels/conv.h"
#include "runtime/kernels/map.h"
#include "runtime/kernels/simd.h"

typedef struct Product {
    const ConvShape *s;
    const ConvPatch *p;
    int64_t k;           /* of B: taps x channels */
    int64_t first, last; /* columns of the group */
    float *panels;       /* where panels are made if they are not stored as floats */
    ConvWindow window;
    int64_t row, line; /* steps from result to result */
    TileShape shape;
} Product;

static bool stored(const ConvShape *s) {
    return s->w->layout == TN_LAYOUT_PANELS16 && s->w->dtype == TN_F32;
}

size_t TN_FN(conv_product_scratch)(const ConvShape *s) {
    size_t floats = stored(s) ? 0 : (size_t)(s->taps * s->channels * TN_PANEL * TILE_MAX_PANELS);
    return (size_t)(s->taps + s->taps % 2) * sizeof(int64_t) + floats * sizeof(float);
}

/* Where the runs start; returns how many there are and sets their length. */
static int64_t list_runs(const ConvShape *s, const ConvWindow *window, int64_t *run,
                         int64_t *length) {
    bool joint = s->dilation[WIDTH] == 1 && window->column == s->channels;
    int64_t count = 0, columns = joint ? 1 : s->kernel[WIDTH];
    *length = joint ? s->kernel[WIDTH] * s->channels : s->channels;
    for (int64_t d = 0; d < s->kernel[DEPTH]; d++)
        for (int64_t h = 0; h < s->kernel[HEIGHT]; h++)
            for (int64_t w = 0; w < columns; w++)
                run[count++] = d * window->plane + h * s->dilation[HEIGHT] * window->line +
                               w * s->dilation[WIDTH] * window->column;
    return count;
}

/* Columns o.. of B, which weights [O, C, kernel] hold, as a panel: tap by tap. */
static void pack_panel(const Product *m, float *to, int64_t o) {
    const ConvShape *s = m->s;
    const int64_t *ws = s->w_strides;
    const float *from = (const float *)s->w->data + o * ws[0];
    int64_t n = conv_smaller(TN_PANEL, m->last - o);
    for (int64_t d = 0; d < s->kernel[DEPTH]; d++)
        for (int64_t h = 0; h < s->kernel[HEIGHT]; h++)
            for (int64_t w = 0; w < s->kernel[WIDTH]; w++, to += s->channels * TN_PANEL)
                TN_FN(tile_pack)
    (to, from + d * ws[2 + DEPTH] + h * ws[2 + HEIGHT] + w * ws[2 + WIDTH], ws[1], ws[0],
     s->channels, n);
}

/* `count` panels from number p on; those of weights that are no panels start at the group's first
 * column. */
static const float *panels_of(const Product *m, int64_t p, int count) {
    const TnTensor *w = m->s->w;
    int64_t floats = m->k * TN_PANEL;
    if (w->layout != TN_LAYOUT_PANELS16) {
        for (int i = 0; i < count; i++)
            pack_panel(m, m->panels + i * floats, m->first + (p + i) * TN_PANEL);
        return m->panels;
    }
    const char *at = (const char *)w->data + p * floats * (int64_t)tn_dtype_size((TnDType)w->dtype);
    if (w->dtype == TN_F32) return (const float *)(const void *)at;
    TN_FN(map_load)(m->panels, at, (TnDType)w->dtype, 1, count * floats);
    return m->panels;
}

/* All results of the patch for a group of panels; column: the channel that is the first panel's
 * first column. */
static void run_group(const Product *m, Tile *t, int panels, int64_t column) {
    _Alignas(64) float buffer[TILE_MAX_ROWS * TILE_MAX_PANELS * TN_PANEL];
    int64_t tiles = TN_CEIL_DIV(m->p->columns, m->shape.rows);
    int64_t from = column < m->first ? m->first : column;
    int64_t end = conv_smaller(m->last, column + panels * TN_PANEL);
    int64_t most = panels > 1 ? 128 : 64, share = TN_CEIL_DIV(64 * panels, tiles * m->p->rows);
    t->prefetch_step = stored(m->s) ? conv_smaller(share, most) : 0;
    t->c = buffer;
    t->c_row = panels * TN_PANEL;
    for (int64_t i = 0; i < m->p->rows; i++)
        for (int64_t j = 0; j < tiles; j++) {
            int64_t at = deal(m->p->columns, tiles, j);
            int64_t rows = deal(m->p->columns, tiles, j + 1) - at;
            t->a = m->window.x + m->window.at + i * m->line + at * m->row;
            TN_FN(tile_kernels).tile[panels][rows](t);
            t->prefetch += m->k * t->prefetch_step;
            TN_FN(conv_end)
            (m->s, m->p, i, at, rows, from, end - from, buffer + (from - column), t->c_row);
        }
}

void TN_FN(conv_product)(const ConvShape *s, const ConvPatch *p, int64_t split, void *scratch) {
    int64_t *run = scratch;
    Product m = {.s = s,
                 .p = p,
                 .k = s->taps * s->channels,
                 .first = p->set * s->outputs,
                 .last = (p->set + 1) * s->outputs,
                 .panels = (float *)(run + s->taps + s->taps % 2)};
    float *copy = (float *)((char *)scratch + TN_FN(conv_product_scratch)(s));
    m.window = s->in_place ? conv_in_place(s, p) : TN_FN(conv_copy)(s, p, copy);
    m.row = s->stride[WIDTH] * m.window.column;
    m.line = s->stride[HEIGHT] * m.window.line;
    m.shape = tile_shape(p->columns, m.row);
    Tile t = {.a_row = m.row, .b_row = TN_PANEL, .b_panel = m.k * TN_PANEL, .run = run};
    t.runs = list_runs(s, &m.window, run, &t.k);

    bool packed = s->w->layout == TN_LAYOUT_PANELS16;
    int64_t base = packed ? 0 : m.first; /* the channel of panel 0 */
    int64_t p0 = (m.first - base) / TN_PANEL, p1 = TN_CEIL_DIV(m.last - base, TN_PANEL);
    int64_t groups = TN_CEIL_DIV(p1 - p0, m.shape.panels);
    int64_t at = p0 + deal(groups, s->splits, split) * m.shape.panels;
    int64_t end = p0 + deal(groups, s->splits, split + 1) * m.shape.panels;
    end = conv_smaller(end, p1);
    for (; at < end; at += m.shape.panels) {
        int panels = (int)conv_smaller(m.shape.panels, end - at);
        t.b = panels_of(&m, at, panels);
        t.prefetch = (const char *)(t.b + (stored(s) ? panels * t.b_panel : 0));
        run_group(&m, &t, panels, base + at * TN_PANEL);
    }
}
