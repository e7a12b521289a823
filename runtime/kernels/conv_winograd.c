/* conv of 3 x 3 with stride 1 by Winograd's minimal filtering: tiles of m x m results at once.
 *
 *     y = A' [ (G g G') * (B' d B) ] A        d: the (m + 2) x (m + 2) places that a tile reads
 *
 * where * goes element by element and sums over channels, so it is (m + 2)^2 products of matrices:
 * [tiles, C] from x by [C, O] from the weights, which the compiler has transformed (pack.h). For
 * m = 2 that is 16 multiplications where a sum over taps has 36; B and A have entries 0, 1 and -1.
 *
 * A task owns a patch of tiles and a run of panels:
 *
 *     B' d B for all tiles and channels                      [(m + 2)^2][tiles][C], in L2
 *     for each group of panels
 *         for each of the (m + 2)^2 elements                 its panels in L2, the next prefetched
 *             products of 12 tiles at a time                 [(m + 2)^2][tiles][16 panels], in L2
 *         A' .. A, bias, activation, residual                straight to y
 *
 * Tiles lie on a grid from the first result on, whatever the patches are, so tasks don't change a
 * bit of the results. */
#include <string.h>
#include "runtime/kernels/conv.h"
#include "runtime/kernels/simd.h"

enum {
    MAX_SIDE = 6,                   /* of what a tile reads */
    LINE_TILES = TILE_MAX_ROWS / 4, /* tiles side by side that end together */
};

typedef struct Winograd {
    const ConvShape *s;
    const ConvPatch *p;
    int64_t across, tiles;     /* of the patch */
    int64_t pitch;             /* of a tile's channels */
    int64_t plane, sums_plane; /* from element to element */
    float *read, *sums, *zeros;
    ConvWindow window;
    int64_t first[2], end[2]; /* rows and columns of the window that there are */
} Winograd;

/* Floats from plane to plane; an odd number of cache lines, so that the same place of all planes is
 * in several sets of the cache. */
static int64_t plane_floats(int64_t rows, int64_t row) {
    return (rows * row / TN_PANEL | 1) * TN_PANEL + TN_PANEL;
}

static int64_t group_panels(void) {
    return TN_FN(tile_kernels).tall.panels;
}

static Winograd layout_of(const ConvShape *s, float *scratch) {
    int64_t m = s->winograd, elements = (m + 2) * (m + 2);
    Winograd w = {.s = s, .zeros = scratch};
    w.tiles = s->rows / m * (s->width / m);
    w.pitch = s->channels + TN_PANEL;
    w.plane = plane_floats(w.tiles, w.pitch);
    w.sums_plane = plane_floats(w.tiles, group_panels() * TN_PANEL);
    w.read = w.zeros + s->channels;
    w.sums = w.read + elements * w.plane;
    return w;
}

size_t TN_FN(conv_winograd_scratch)(const ConvShape *s) {
    int64_t elements = (s->winograd + 2) * (s->winograd + 2);
    Winograd w = layout_of(s, NULL);
    int64_t floats = s->channels + elements * (w.plane + w.sums_plane);
    return (size_t)floats * sizeof(float);
}

/* B' d along one line of what a tile reads, in place. */
ALWAYS_INLINE void read_line(vf *d, int step) {
    vf a = d[0], b = d[step], c = d[2 * step], e = d[3 * step];
    d[0] = vf_sub(a, c);
    d[step] = vf_add(b, c);
    d[2 * step] = vf_sub(c, b);
    d[3 * step] = vf_sub(b, e);
}

/* A' d along one line of sums: the first m of d. */
ALWAYS_INLINE void result_line(vf *d, int step) {
    vf b = d[step], c = d[2 * step];
    d[0] = vf_add(d[0], vf_add(b, c));
    d[step] = vf_sub(vf_sub(b, c), d[3 * step]);
}

/* B' d B of one tile for all channels, to element planes at `to`. */
ALWAYS_INLINE void read_tile(const Winograd *w, const float *const *place, float *to, int side) {
    for (int64_t c = 0; c < w->s->channels; c += VF_WIDTH) {
        vf d[MAX_SIDE * MAX_SIDE];
        UNROLL for (int i = 0; i < side; i++) {
            UNROLL for (int j = 0; j < side; j++) {
                d[i * side + j] = vf_load(place[i * side + j] + c);
            }
            read_line(d + i * side, 1);
        }
        UNROLL for (int j = 0; j < side; j++) {
            read_line(d + j, side);
            UNROLL for (int i = 0; i < side; i++) {
                vf_store(to + (i * side + j) * w->plane + c, d[i * side + j]);
            }
        }
    }
}

/* The window, of which x has a part, or a copy what results that are wanted read. */
static void find_window(Winograd *w, float *copy) {
    const ConvShape *s = w->s;
    const int64_t results[2] = {w->p->rows, w->p->columns}, from[2] = {w->p->row, w->p->column};
    w->window = s->in_place ? conv_in_place(s, w->p) : TN_FN(conv_copy)(s, w->p, copy);
    for (int i = 0; i < 2; i++) {
        int64_t before = from[i] - s->pad[HEIGHT + i]; /* where the window starts, in x */
        w->first[i] = s->in_place ? -before : 0;
        w->end[i] = s->in_place ? s->in[HEIGHT + i] - before : results[i] + 2;
    }
}

/* Where the places that a tile reads are: zeros where there are none. */
static void find_places(const Winograd *w, int64_t row, int64_t column, const float **place) {
    const ConvShape *s = w->s;
    int64_t side = s->winograd + 2;
    for (int64_t i = 0; i < side; i++)
        for (int64_t j = 0; j < side; j++) {
            int64_t h = row + i, c = column + j;
            bool inside = h >= w->first[0] && h < w->end[0] && c >= w->first[1] && c < w->end[1];
            int64_t at = w->window.at + h * w->window.line + c * w->window.column;
            place[i * side + j] = inside ? w->window.x + at : w->zeros;
        }
}

static void read_tiles(const Winograd *w) {
    const float *place[MAX_SIDE * MAX_SIDE];
    int64_t m = w->s->winograd;
    memset(w->zeros, 0, (size_t)w->s->channels * sizeof *w->zeros);
    for (int64_t t = 0; t < w->tiles; t++) {
        find_places(w, t / w->across * m, t % w->across * m, place);
        read_tile(w, place, w->read + t * w->pitch, 4);
    }
}

/* The products of all tiles with `panels` panels from number p on. */
static void multiply(const Winograd *w, int64_t p, int panels) {
    const ConvShape *s = w->s;
    const TileShape shape = TN_FN(tile_kernels).tall;
    int64_t elements = (s->winograd + 2) * (s->winograd + 2);
    int64_t rows = TN_CEIL_DIV(w->tiles, shape.rows), most = panels > 1 ? 128 : 64;
    int64_t share = TN_CEIL_DIV(64 * panels, rows), all = TN_CEIL_DIV(s->outputs, TN_PANEL);
    Tile t = {.k = s->channels,
              .a_row = w->pitch,
              .b_row = TN_PANEL,
              .b_panel = s->channels * TN_PANEL,
              .c_row = panels * TN_PANEL,
              .prefetch_step = conv_smaller(share, most)};
    for (int64_t e = 0; e < elements; e++) {
        int64_t next = e + 1 < elements ? (e + 1) * all + p : p + panels;
        t.b = (const float *)s->w->data + (e * all + p) * t.b_panel;
        t.prefetch = (const char *)((const float *)s->w->data + next * t.b_panel);
        for (int64_t i = 0; i < rows; i++) {
            int64_t first = deal(w->tiles, rows, i), n = deal(w->tiles, rows, i + 1) - first;
            t.a = w->read + e * w->plane + first * w->pitch;
            t.c = w->sums + e * w->sums_plane + first * t.c_row;
            TN_FN(tile_kernels).tile[panels][n](&t);
            t.prefetch += t.k * t.prefetch_step;
        }
    }
}

/* A' s A of one tile: m lines of results, `line` apart, each m times `cols` floats. */
ALWAYS_INLINE void result_tile(const Winograd *w, const float *sums, float *to, int64_t line,
                               int64_t cols, int m) {
    const int side = m + 2;
    for (int64_t o = 0; o < cols; o += VF_WIDTH) {
        vf d[MAX_SIDE * MAX_SIDE];
        UNROLL for (int i = 0; i < side; i++) {
            UNROLL for (int j = 0; j < side; j++) {
                d[i * side + j] = vf_load(sums + (i * side + j) * w->sums_plane + o);
            }
            result_line(d + i * side, 1);
        }
        UNROLL for (int j = 0; j < m; j++) {
            result_line(d + j, side);
            UNROLL for (int i = 0; i < m; i++) {
                vf_store(to + i * line + j * cols + o, d[i * side + j]);
            }
        }
    }
}

/* The results of all tiles for the columns [o, end) of a group of panels. */
static void write_tiles(const Winograd *w, int64_t o, int panels) {
    _Alignas(64) float lines[MAX_SIDE * TILE_MAX_ROWS * TILE_MAX_PANELS * TN_PANEL];
    const ConvShape *s = w->s;
    int64_t m = s->winograd, cols = panels * TN_PANEL, line = TILE_MAX_ROWS * cols;
    int64_t most = conv_smaller(s->outputs - o, cols), n;
    for (int64_t row = 0; row < w->p->rows; row += m)
        for (int64_t j = 0; j < w->across; j += n) {
            n = conv_smaller(TILE_MAX_ROWS / m, w->across - j);
            const float *sums = w->sums + (row / m * w->across + j) * cols;
            for (int64_t i = 0; i < n; i++)
                result_tile(w, sums + i * cols, lines + i * m * cols, line, cols, 2);
            int64_t width = conv_smaller(n * m, w->p->columns - j * m);
            for (int64_t i = 0; i < conv_smaller(m, w->p->rows - row); i++) TN_FN(conv_end)
            (s, w->p, row + i, j * m, width, o, most, lines + i * line, cols);
        }
}

void TN_FN(conv_winograd)(const ConvShape *s, const ConvPatch *p, int64_t split, void *scratch) {
    Winograd w = layout_of(s, scratch);
    int64_t m = s->winograd, most = group_panels(), all = TN_CEIL_DIV(s->outputs, TN_PANEL);
    float *copy = (float *)((char *)scratch + TN_FN(conv_winograd_scratch)(s));
    w.p = p;
    w.across = TN_CEIL_DIV(p->columns, m);
    w.tiles = w.across * TN_CEIL_DIV(p->rows, m);
    find_window(&w, copy);
    read_tiles(&w);
    int64_t groups = TN_CEIL_DIV(all, most), at = deal(groups, s->splits, split) * most;
    int64_t end = conv_smaller(deal(groups, s->splits, split + 1) * most, all);
    for (; at < end; at += most) {
        int panels = (int)conv_smaller(most, end - at);
        multiply(&w, at, panels);
        write_tiles(&w, at * TN_PANEL, panels);
    }
}
