/* conv of 3 x 3 taps by Winograd's minimal filtering: tiles of m x m results at once.
 *
 *     y = A' [ (G g G') * (B' d B) ] A        d: the places that a tile reads
 *
 * where * goes element by element and sums over channels, so it is as many products of matrices as
 * there are elements: [tiles, C] from x by [C, O] from the weights, which the compiler has
 * transformed (pack.h). Per 36 multiplications of the sum over taps
 *
 *     F(2 x 2), stride 2    25        entries of B and A are 0, 1 and -1: sums of sums cost no
 *                                     accuracy to speak of
 *     F(2 x 4), stride 1    12        entries up to 4.3 one way: errors as the plain sum's
 *     F(4 x 4), stride 1    9         ... both ways: two to three times as large
 *
 * With stride 2, even places go with the outer taps by F(2, 2), odd places with the middle one, two
 * of which use the same weights. Infinities spread over their tile as NaN.
 *
 * A task owns a patch of tiles and a run of panels:
 *
 *     B' d B for all tiles and channels              [elements][tiles][C], in L2
 *     for each group of panels
 *         for each of the elements                   its panels in L2, the next prefetched
 *             products of 12 tiles at a time         [elements][tiles][16 panels], in L2
 *         A' .. A, bias, activation, residual        straight to y
 *
 * The transforms are kernels of each ISA (conv_winograd.c). Tiles lie on a grid from the first
 * result on, whatever the patches are, so tasks don't change a bit of the results. */
#include <string.h>
#include "runtime/kernels/conv.h"

typedef struct Winograd {
    const ConvShape *s;
    const ConvFilter *f;
    const ConvPatch *p;
    int64_t elements;
    int64_t across, tiles;     /* of the patch */
    int64_t pitch;             /* of a tile's channels */
    int64_t plane, sums_plane; /* from element to element */
    float *read, *sums, *zeros;
    ConvWindow window;
} Winograd;

/* Floats from plane to plane; an odd number of cache lines, so that the same place of all planes is
 * in several sets of the cache. */
static int64_t plane_floats(int64_t rows, int64_t row) {
    return (rows * row / TN_PANEL | 1) * TN_PANEL + TN_PANEL;
}

static Winograd layout_of(const ConvShape *s, float *scratch) {
    Winograd w = {.s = s, .f = s->filter, .zeros = scratch};
    w.elements = conv_elements(w.f);
    w.tiles = s->rows / w.f->down.results * (s->width / w.f->across.results);
    w.pitch = s->channels + TN_PANEL;
    w.plane = plane_floats(w.tiles, w.pitch);
    w.sums_plane = plane_floats(w.tiles, s->isa->tiles->tall.panels * TN_PANEL);
    w.read = w.zeros + s->channels;
    w.sums = w.read + w.elements * w.plane;
    return w;
}

size_t tn_conv_winograd_scratch(const ConvShape *s) {
    Winograd w = layout_of(s, NULL);
    int64_t floats = s->channels + w.elements * (w.plane + w.sums_plane);
    return (size_t)floats * sizeof(float);
}

/* Where the places that a tile reads are: zeros where there are none. */
static void find_places(const Winograd *w, int64_t row, int64_t column, const float **place) {
    const ConvWindow *x = &w->window;
    const int64_t down = w->f->down.places, across = w->f->across.places;
    const float *first = (const float *)x->x + (x->at + row * x->line + column * x->column);
    bool inside = row >= x->first[0] && row + down <= x->end[0] && column >= x->first[1] &&
                  column + across <= x->end[1];
    for (int64_t i = 0; i < down; i++)
        for (int64_t j = 0; j < across; j++) {
            bool there = inside || (row + i >= x->first[0] && row + i < x->end[0] &&
                                    column + j >= x->first[1] && column + j < x->end[1]);
            *place++ = there ? first + (i * x->line + j * x->column) : w->zeros;
        }
}

static void read_tiles(const Winograd *w) {
    const float *place[CONV_SIDE * CONV_SIDE];
    const int64_t down = w->f->down.step, across = w->f->across.step;
    memset(w->zeros, 0, (size_t)w->s->channels * sizeof *w->zeros);
    for (int64_t t = 0; t < w->tiles; t++) {
        find_places(w, t / w->across * down, t % w->across * across, place);
        w->f->read(place, across * w->window.column, w->read + t * w->pitch, w->plane,
                   w->s->channels);
    }
}

/* The first panel that an element is multiplied with, of `all` that each has. */
static int64_t panels_of(const ConvFilter *f, int64_t element, int64_t all) {
    const ConvFilterSide *x = &f->across;
    return (f->down.weight[element / x->places] * x->weights + x->weight[element % x->places]) *
           all;
}

/* The products of all tiles with `panels` panels from number p on. */
static void multiply(const Winograd *w, int64_t p, int panels) {
    const ConvShape *s = w->s;
    const TileShape shape = s->isa->tiles->tall;
    int64_t rows = TN_CEIL_DIV(w->tiles, shape.rows), most = panels > 1 ? 128 : 64;
    int64_t share = TN_CEIL_DIV(64 * panels, rows), all = TN_CEIL_DIV(s->outputs, TN_PANEL);
    Tile t = {.k = s->channels,
              .a_row = w->pitch,
              .b_row = TN_PANEL,
              .b_panel = s->channels * TN_PANEL,
              .c_row = panels * TN_PANEL,
              .prefetch_step = conv_smaller(share, most)};
    for (int64_t e = 0; e < w->elements; e++) {
        int64_t next = e + 1 < w->elements ? panels_of(w->f, e + 1, all) + p : p + panels;
        t.b = (const float *)s->w->data + (panels_of(w->f, e, all) + p) * t.b_panel;
        t.prefetch = (const char *)((const float *)s->w->data + next * t.b_panel);
        for (int64_t i = 0; i < rows; i++) {
            int64_t first = deal(w->tiles, rows, i), n = deal(w->tiles, rows, i + 1) - first;
            t.a = w->read + e * w->plane + first * w->pitch;
            t.c = w->sums + e * w->sums_plane + first * t.c_row;
            s->isa->tiles->tile[panels][n](&t);
            t.prefetch += t.k * t.prefetch_step;
        }
    }
}

/* The results of all tiles for `panels` panels, from output o on. */
static void write_tiles(const Winograd *w, int64_t o, int panels) {
    _Alignas(64) float lines[CONV_TILE * TILE_MAX_ROWS * TILE_MAX_PANELS * TN_PANEL];
    const ConvShape *s = w->s;
    const int64_t down = w->f->down.results, m = w->f->across.results;
    const int64_t cols = panels * TN_PANEL, line = TILE_MAX_ROWS * cols;
    const int64_t some = conv_smaller(s->outputs - o, cols);
    for (int64_t row = 0, n; row < w->p->rows; row += down)
        for (int64_t j = 0; j < w->across; j += n) {
            n = conv_smaller(TILE_MAX_ROWS / m, w->across - j);
            const float *sums = w->sums + (row / down * w->across + j) * cols;
            for (int64_t i = 0; i < n; i++)
                w->f->result(sums + i * cols, w->sums_plane, lines + i * m * cols, line, cols);
            int64_t width = conv_smaller(n * m, w->p->columns - j * m);
            for (int64_t i = 0; i < conv_smaller(down, w->p->rows - row); i++) {
                TileEnd end = tn_conv_end_of(s, w->p, row + i, j * m, o);
                tn_conv_end(s, &end, width, some, lines + i * line, cols);
            }
        }
}

void tn_conv_winograd(const ConvShape *s, const ConvPatch *p, int64_t split, void *scratch) {
    Winograd w = layout_of(s, scratch);
    int64_t most = s->isa->tiles->tall.panels, all = TN_CEIL_DIV(s->outputs, TN_PANEL);
    float *copy = (float *)((char *)scratch + tn_conv_winograd_scratch(s));
    w.p = p;
    w.across = TN_CEIL_DIV(p->columns, w.f->across.results);
    w.tiles = w.across * TN_CEIL_DIV(p->rows, w.f->down.results);
    w.window = s->in_place ? conv_in_place(s, p) : tn_conv_copy(s, p, copy);
    read_tiles(&w);
    int64_t groups = TN_CEIL_DIV(all, most), at = deal(groups, s->splits, split) * most;
    int64_t end = conv_smaller(deal(groups, s->splits, split + 1) * most, all);
    for (; at < end; at += most) {
        int panels = (int)conv_smaller(most, end - at);
        multiply(&w, at, panels);
        write_tiles(&w, at * TN_PANEL, panels);
    }
}
