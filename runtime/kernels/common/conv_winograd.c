/* conv of 3 x 3 with stride 1 by Winograd's minimal filtering: tiles of 2 x 2 results at once.
 *
 *     y = A' [ (G g G') * (B' d B) ] A        d: the 4 x 4 places that a tile reads
 *
 * where * goes element by element and sums over channels, so it is 16 products of matrices:
 * [tiles, C] from x by [C, O] from the weights, which the compiler has transformed (pack.h). Those
 * are 16 multiplications where a sum over taps has 36; B and A have entries 0, 1 and -1. Sums of
 * sums cost no accuracy to speak of. But infinities spread over their tile as NaN.
 *
 * A task owns a patch of tiles and a run of panels:
 *
 *     B' d B for all tiles and channels              [16][tiles][C], in L2
 *     for each group of panels
 *         for each of the 16 elements                its panels in L2, the next prefetched
 *             products of 12 tiles at a time         [16][tiles][16 panels], in L2
 *         A' .. A, bias, activation, residual        straight to y
 *
 * The transforms are kernels of each ISA (conv_winograd.c). Tiles lie on a grid from the first
 * result on, whatever the patches are, so tasks don't change a bit of the results. */
#include <string.h>
#include "runtime/kernels/conv.h"

enum { SIDE = CONV_TILE + 2 }; /* of what a tile reads */

typedef struct Winograd {
    const ConvShape *s;
    const ConvPatch *p;
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
    Winograd w = {.s = s, .zeros = scratch};
    w.tiles = s->rows / CONV_TILE * (s->width / CONV_TILE);
    w.pitch = s->channels + TN_PANEL;
    w.plane = plane_floats(w.tiles, w.pitch);
    w.sums_plane = plane_floats(w.tiles, s->isa->tiles->tall.panels * TN_PANEL);
    w.read = w.zeros + s->channels;
    w.sums = w.read + CONV_ELEMENTS * w.plane;
    return w;
}

size_t tn_conv_winograd_scratch(const ConvShape *s) {
    Winograd w = layout_of(s, NULL);
    int64_t floats = s->channels + CONV_ELEMENTS * (w.plane + w.sums_plane);
    return (size_t)floats * sizeof(float);
}

/* Where the places that a tile reads are: zeros where there are none. */
static void find_places(const Winograd *w, int64_t row, int64_t column, const float **place) {
    const ConvWindow *x = &w->window;
    for (int64_t i = 0; i < CONV_ELEMENTS; i++) {
        int64_t h = row + i / SIDE, c = column + i % SIDE;
        bool inside = h >= x->first[0] && h < x->end[0] && c >= x->first[1] && c < x->end[1];
        place[i] = inside ? (const float *)x->x + (x->at + h * x->line + c * x->column) : w->zeros;
    }
}

static void read_tiles(const Winograd *w) {
    const float *place[CONV_ELEMENTS];
    memset(w->zeros, 0, (size_t)w->s->channels * sizeof *w->zeros);
    for (int64_t t = 0; t < w->tiles; t++) {
        find_places(w, t / w->across * CONV_TILE, t % w->across * CONV_TILE, place);
        w->s->isa->winograd_read(place, w->read + t * w->pitch, w->plane, w->s->channels);
    }
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
    for (int64_t e = 0; e < CONV_ELEMENTS; e++) {
        int64_t next = e + 1 < CONV_ELEMENTS ? (e + 1) * all + p : p + panels;
        t.b = (const float *)s->w->data + (e * all + p) * t.b_panel;
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
    int64_t cols = panels * TN_PANEL, line = TILE_MAX_ROWS * cols, n;
    int64_t some = conv_smaller(s->outputs - o, cols);
    for (int64_t row = 0; row < w->p->rows; row += CONV_TILE)
        for (int64_t j = 0; j < w->across; j += n) {
            n = conv_smaller(TILE_MAX_ROWS / CONV_TILE, w->across - j);
            const float *sums = w->sums + (row / CONV_TILE * w->across + j) * cols;
            for (int64_t i = 0; i < n; i++)
                s->isa->winograd_result(sums + i * cols, w->sums_plane,
                                        lines + i * CONV_TILE * cols, line, cols);
            int64_t width = conv_smaller(n * CONV_TILE, w->p->columns - j * CONV_TILE);
            for (int64_t i = 0; i < conv_smaller(CONV_TILE, w->p->rows - row); i++)
                s->isa->end(s, w->p, row + i, j * CONV_TILE, width, o, some, lines + i * line,
                            cols);
        }
}

void tn_conv_winograd(const ConvShape *s, const ConvPatch *p, int64_t split, void *scratch) {
    Winograd w = layout_of(s, scratch);
    int64_t most = s->isa->tiles->tall.panels, all = TN_CEIL_DIV(s->outputs, TN_PANEL);
    float *copy = (float *)((char *)scratch + tn_conv_winograd_scratch(s));
    w.p = p;
    w.across = TN_CEIL_DIV(p->columns, CONV_TILE);
    w.tiles = w.across * TN_CEIL_DIV(p->rows, CONV_TILE);
    w.window = s->in_place ? conv_in_place(s, p) : s->isa->copy(s, p, copy);
    read_tiles(&w);
    int64_t groups = TN_CEIL_DIV(all, most), at = deal(groups, s->splits, split) * most;
    int64_t end = conv_smaller(deal(groups, s->splits, split + 1) * most, all);
    for (; at < end; at += most) {
        int panels = (int)conv_smaller(most, end - at);
        multiply(&w, at, panels);
        write_tiles(&w, at * TN_PANEL, panels);
    }
}
