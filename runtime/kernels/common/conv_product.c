/* conv of many channels: rows of windows times a matrix of weights, by the micro-kernels of gemm.h.
 *
 *     y[p, o] = sum over runs r, j of window[run[r].a + p's place + j] B[run[r].b + j, o]
 *
 * A tile is some neighbouring results of one row. What their taps find are runs of floats: all taps
 * along WIDTH at once where places are neighbours, else the channels of one tap. B is in panels.
 * A patch is done in parts, of results with the same taps (conv_part.c).
 *
 * Where a good part of them stays in the cache, a tile is done for all of that part before the next
 * one, so that x and y pass by in the order of memory: twice as fast as y in pieces of a group's
 * width. Large panels are used as gemm does it: a group stays in the cache while all rows of the
 * patch pass over it, and the next is fetched meanwhile. Groups of channels use columns of the same
 * panels. B in pairs of bf16 is multiplied with windows of bf16 where the CPU can, and made floats
 * elsewhere. */
#include <string.h>
#include "runtime/kernels/conv.h"
#include "runtime/kernels/map.h"

#define PANELS_FLOATS 98304 /* that stay in L2 beside x and y, about */

typedef struct Product {
    const ConvShape *s;
    const ConvPatch *p;
    int64_t k; /* of B: taps x channels, one more if its rows are pairs of an odd number */
    int64_t first, last; /* columns of the group */
    int64_t base;        /* the channel of panel 0 */
    float *panels;       /* where panels are made if they are not stored as tiles take them */
    ConvWindow window;
    ConvPart part; /* the present one, and what its tiles have in common */
    Tile t;
    TileRun *run;  /* room for those of a part */
    int64_t steps; /* of all tiles with a group of panels */
    bool dense;    /* channels of y and of the residual lie side by side */
    TileShape shape;
} Product;

static bool stored(const ConvShape *s) {
    return s->pairs || (s->w->layout == TN_LAYOUT_PANELS16 && s->w->dtype == TN_F32);
}

static int64_t rows_of_panel(const ConvShape *s) {
    const TnLayout layout = (TnLayout)s->w->layout;
    return tn_packed_rows(layout, tn_conv_rows(layout, s->taps * s->channels, s->run));
}

size_t tn_conv_product_scratch(const ConvShape *s) {
    size_t floats = stored(s) ? 0 : (size_t)(rows_of_panel(s) * TN_PANEL * TILE_MAX_PANELS);
    return (size_t)s->taps * sizeof(TileRun) + floats * sizeof(float);
}

/* Where the runs of the part start. */
static void list_runs(Product *m) {
    const ConvShape *s = m->s;
    const ConvWindow *window = &m->window;
    const int64_t *first = m->part.first, *end = m->part.end;
    const int64_t width = end[1] - first[1], along = s->kernel[WIDTH] * s->channels;
    const int64_t line = s->pairs ? tn_pairs_rows(along) : along; /* rows of B */
    const bool joint = s->dilation[WIDTH] == 1 && window->column == s->channels;
    Tile *t = &m->t;
    t->k = joint ? width * s->channels : s->channels;
    if (s->pairs) t->k = tn_pairs_rows(t->k);
    t->runs = 0;
    for (int64_t d = 0; d < s->kernel[DEPTH]; d++)
        for (int64_t h = first[0]; h < end[0]; h++)
            for (int64_t w = first[1]; w < end[1]; w += joint ? width : 1)
                m->run[t->runs++] =
                    (TileRun){d * window->plane + h * s->dilation[HEIGHT] * window->line +
                                  w * s->dilation[WIDTH] * window->column,
                              ((d * s->kernel[HEIGHT] + h) * line + w * s->channels) * TN_PANEL};
    if (t->runs > 0) return;
    m->run[t->runs++] = (TileRun){0, 0}; /* padding only */
    t->k = 0;
}

/* The next part of the patch; false: there is none. */
static bool next_part(Product *m) {
    if (!tn_conv_next_part(m->s, m->p, &m->window, &m->part)) return false;
    list_runs(m);
    m->t.a_row = m->part.row;
    m->shape = m->s->pairs ? m->s->isa->pairs->shape : tile_shape(m->s->isa->tiles, m->part.row);
    return true;
}

static int64_t tiles_across(const Product *m) {
    return TN_CEIL_DIV(m->part.p.columns, m->shape.rows);
}

/* Of a tile: over k, or pairs of k. */
static int64_t steps_of(const Product *m) {
    return m->t.runs * (m->s->pairs ? m->t.k / 2 : m->t.k);
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
                s->isa->tiles->pack(
                    to, from + d * ws[2 + DEPTH] + h * ws[2 + HEIGHT] + w * ws[2 + WIDTH], ws[1],
                    ws[0], s->channels, n);
}

/* Panels of pairs as panels of floats, in which run follows run: the next overwrites a row of
 * zeros.
 */
static void widen_panels(const Product *m, const void *at, int count) {
    const uint16_t *from = at;
    const int64_t run = m->s->run, pairs = tn_pairs_rows(run) / 2;
    for (int i = 0; i < count; i++)
        for (int64_t k = 0, row = 0; row < m->k; k += run, row += 2 * pairs)
            m->s->isa->bf16->panels(m->panels + (i * m->k + k) * TN_PANEL,
                                    from + (i * m->k + row) * TN_PANEL, pairs);
}

/* `count` panels from number p on; those of weights that are no panels start at the group's first
 * column. */
static const void *panels_of(const Product *m, int64_t p, int count) {
    const TnTensor *w = m->s->w;
    int64_t floats = m->k * TN_PANEL;
    if (w->layout == TN_LAYOUT_STRIDED) {
        for (int i = 0; i < count; i++)
            pack_panel(m, m->panels + i * floats, m->first + (p + i) * TN_PANEL);
        return m->panels;
    }
    const char *at = (const char *)w->data + p * floats * (int64_t)tn_dtype_size((TnDType)w->dtype);
    if (stored(m->s)) return at;
    if (w->layout == TN_LAYOUT_PAIRS16)
        widen_panels(m, at, count);
    else
        m->s->isa->map->load(m->panels, at, (TnDType)w->dtype, 1, count * floats);
    return m->panels;
}

/* `rows` results of row i, from column `at` on, for the panels of t; column: the channel that is
 * the first panel's first column. */
static void run_tile(Product *m, int panels, int64_t column, int64_t i, int64_t at, int64_t rows) {
    _Alignas(64) float buffer[TILE_MAX_ROWS * TILE_MAX_PANELS * TN_PANEL];
    const ConvShape *s = m->part.s;
    Tile *t = &m->t;
    const bool pairs = s->pairs;
    const TnIsaKernels *isa = s->isa;
    const int64_t from = column < m->first ? m->first : column;
    const int64_t cols = conv_smaller(m->last, column + panels * TN_PANEL) - from;
    TileEnd end = tn_conv_end_of(s, &m->part.p, i, at, from);
    const bool whole = cols == panels * TN_PANEL;
    const bool itself =
        whole && m->dense && tile_ends(&end, pairs) && rows * panels >= isa->tiles->end_vectors;
    t->start = whole ? end.bias : NULL;
    t->end = itself ? &end : NULL;
    t->c = itself ? end.c : buffer;
    t->c_bf16 = itself && end.c_bf16;
    t->c_row = itself ? end.c_row : panels * TN_PANEL;
    t->claim = end.c;
    t->claim_row = end.c_row * float_size(end.c_bf16);
    t->claim_every = itself ? TN_CEIL_DIV(steps_of(m), rows) : 0;
    t->a = float_at(m->window.x, pairs, m->part.at + i * m->part.line + at * m->part.row);
    (pairs ? isa->pairs->tile : isa->tiles->tile)[panels][rows](t);
    t->prefetch += steps_of(m) * t->prefetch_step;
    if (itself) return;
    if (whole) end.bias = NULL;
    tn_conv_end(s, &end, rows, cols, buffer + (from - column), t->c_row);
}

/* Fetches rows [row, end) of a tensor, `bytes` each. (gcc drops calls of functions that do
 * nothing else: they have no effect.) */
ALWAYS_INLINE void fetch_rows(const char *at, int64_t stride, int64_t row, int64_t end,
                              int64_t bytes) {
    for (; row < end; row++)
        for (int64_t j = 0; j < bytes; j += 64) __builtin_prefetch(at + row * stride + j, 1, 2);
}

/* One tile for the panels [first, end), which stay in the cache: x and y pass by in the order of
 * memory. What the next tile reads and where it ends up is fetched meanwhile, a part per group of
 * panels; it lies behind this one, or doesn't matter. */
static void run_panels(Product *m, int64_t first, int64_t end, int64_t i, int64_t at,
                       int64_t rows) {
    const ConvPart *part = &m->part;
    const ConvShape *s = part->s;
    Tile *t = &m->t;
    const int64_t groups = TN_CEIL_DIV(end - first, m->shape.panels),
                  o = m->base + first * TN_PANEL;
    const int64_t y_size = float_size(s->y_bf16), residual_size = float_size(s->residual_bf16);
    int64_t next = i * part->line + (at + rows) * part->row + t->run[t->runs - 1].a;
    int64_t bytes = rows * part->row * float_size(s->pairs), cols = (end - first) * TN_PANEL;
    int64_t steps = steps_of(m) > 0 ? steps_of(m) : 1;
    const char *x = float_at(m->window.x, s->pairs, part->at + next);
    const char *y = conv_y_at(s, conv_place(s->y_strides, &part->p, i, at + rows, o));
    const char *residual = s->residual;
    if (residual)
        residual = conv_residual_at(s, conv_place(s->residual_strides, &part->p, i, at + rows, o));
    /* the tile itself fetches the larger of x and y, if that is without gaps */
    const bool y_first = s->y_strides[2 + WIDTH] == cols && rows * cols * y_size > bytes;
    t->prefetch = y_first ? y : x;
    t->prefetch_step =
        conv_smaller(64, TN_CEIL_DIV(y_first ? rows * cols * y_size : bytes, groups * steps));
    int panels;
    for (int64_t p = first, g = 0; p < end; p += panels, g++) {
        int64_t from = g < groups ? deal(rows, groups, g) : rows,
                to = g < groups ? deal(rows, groups, g + 1) : rows;
        panels = tile_panels(m->shape, end - p, s->pairs);
        if (y_first)
            fetch_rows(x, part->row * float_size(s->pairs), from, to,
                       part->row * float_size(s->pairs));
        else if (s->y_strides[1] == 1)
            fetch_rows(y, s->y_strides[2 + WIDTH] * y_size, from, to, cols * y_size);
        if (residual && s->residual_strides[1] == 1)
            fetch_rows(residual, s->residual_strides[2 + WIDTH] * residual_size, from, to,
                       cols * residual_size);
        t->b = panels_of(m, p, panels);
        run_tile(m, panels, m->base + p * TN_PANEL, i, at, rows);
    }
}

/* All results of the patch for the panels [p, end): one group of them, or `by_tile`. */
static void run_tiles(Product *m, int64_t p, int64_t end, bool by_tile) {
    while (next_part(m)) {
        const ConvPatch *of = &m->part.p;
        int64_t tiles = tiles_across(m);
        for (int64_t t = 0; t < of->rows * tiles; t++) {
            int64_t i = t / tiles, at = deal(of->columns, tiles, t % tiles);
            int64_t rows = deal(of->columns, tiles, t % tiles + 1) - at;
            if (by_tile)
                run_panels(m, p, end, i, at, rows);
            else
                run_tile(m, (int)(end - p), m->base + p * TN_PANEL, i, at, rows);
        }
    }
}

/* A group after another. */
static void run_by_group(Product *m, int64_t p, int64_t end) {
    Tile *t = &m->t;
    for (int panels; p < end; p += panels) {
        panels = tile_panels(m->shape, end - p, m->s->pairs);
        int64_t most = panels > 1 ? 128 : 64;
        int64_t share = TN_CEIL_DIV(panels * m->k * 64 / (m->s->pairs ? 2 : 1), m->steps);
        t->b = panels_of(m, p, panels);
        t->prefetch = t->b;
        if (stored(m->s)) t->prefetch = float_at(t->b, m->s->pairs, panels * t->b_panel);
        t->prefetch_step = stored(m->s) ? conv_smaller(share, most) : 0;
        run_tiles(m, p, p + panels, false);
    }
}

/* A tile after another for as many panels as stay in the cache. */
static void run_by_tile(Product *m, int64_t p, int64_t end, int64_t most) {
    for (int64_t some; p < end; p += some) {
        some = conv_smaller(most, end - p);
        run_tiles(m, p, p + some, true);
    }
}

/* Panels that run_by_tile takes at once: equal parts of all there are; 0: there had better be none,
 * as few tiles read large panels. */
static int64_t panels_at_once(const Product *m, int64_t panels) {
    int64_t tiles = m->p->rows * TN_CEIL_DIV(m->p->columns, m->shape.rows);
    if (!stored(m->s) || tiles < 8 || m->k == 0) return 0;
    int64_t most = PANELS_FLOATS / (m->k * TN_PANEL) * (m->s->pairs ? 2 : 1), parts;
    if (most < 2 * m->shape.panels) return 0;
    parts = TN_CEIL_DIV(panels, most / m->shape.panels * m->shape.panels);
    return TN_CEIL_DIV(panels, parts * m->shape.panels) * m->shape.panels;
}

void tn_conv_product(const ConvShape *s, const ConvPatch *p, int64_t split, void *scratch) {
    Product m = {.s = s,
                 .p = p,
                 .k = rows_of_panel(s),
                 .first = p->set * s->outputs,
                 .last = (p->set + 1) * s->outputs,
                 .run = scratch,
                 .panels = (float *)((TileRun *)scratch + s->taps),
                 .dense = s->y_strides[1] == 1 && (!s->residual || s->residual_strides[1] == 1)};
    float *copy = (float *)((char *)scratch + tn_conv_product_scratch(s));
    m.window = s->in_place ? conv_in_place(s, p) : tn_conv_copy(s, p, copy);
    m.t = (Tile){
        .b_row = s->pairs ? 2 * TN_PANEL : TN_PANEL, .b_panel = m.k * TN_PANEL, .run = m.run};
    while (next_part(&m)) m.steps += m.part.p.rows * tiles_across(&m) * steps_of(&m);
    if (m.steps == 0) m.steps = 1;

    bool packed = s->w->layout != TN_LAYOUT_STRIDED;
    m.base = packed ? 0 : m.first;
    int64_t p0 = (m.first - m.base) / TN_PANEL, p1 = TN_CEIL_DIV(m.last - m.base, TN_PANEL);
    int64_t groups = TN_CEIL_DIV(p1 - p0, m.shape.panels);
    int64_t at = p0 + deal(groups, s->splits, split) * m.shape.panels;
    int64_t end = p0 + deal(groups, s->splits, split + 1) * m.shape.panels;
    end = conv_smaller(end, p1);
    if (at >= end) return; /* there were fewer groups than parts */
    int64_t some = panels_at_once(&m, end - at);
    if (some)
        run_by_tile(&m, at, end, some);
    else
        run_by_group(&m, at, end);
}
