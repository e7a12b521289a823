/* conv with stride 1 of few outputs: what each place of x gives to each tap, then its sums.
 *
 *     z[p, (o, t)] = sum over c of x[p, c] w[o, c, t]        a product: rows are places
 *     y[p, o]      = sum over taps t of z[p + t dilation, (o, t)]
 *
 * Weights are the matrix [C, kernel O] (pack.h). Where a sum over taps and channels would use a few
 * columns of a panel per tap, this product uses most of them, and reads each place once. Weights in
 * pairs of bf16 are made floats where x is not multiplied in pairs. */
#include <string.h>
#include "runtime/kernels/conv.h"

enum { AHEAD = 2048 }; /* elements from a tile to what is fetched: memory is late */

typedef struct Places {
    const ConvShape *s;
    const ConvPatch *p;
    ConvWindow window;
    int64_t lines, columns; /* of places that the patch reads */
    int64_t gives;          /* floats of a place's row of z */
    int64_t panel;          /* elements of one of the weights' */
    const void *panels;
    float *z, *sums;
} Places;

static int64_t gives(const ConvShape *s) {
    return TN_CEIL_DIV(s->w->dims[1], TN_PANEL) * TN_PANEL;
}

static int64_t panel_elements(const ConvShape *s) {
    return tn_packed_rows((TnLayout)s->w->layout, s->channels) * TN_PANEL;
}

static bool widened(const ConvShape *s) {
    return s->w->layout == TN_LAYOUT_PAIRS16 && !s->pairs;
}

size_t tn_conv_places_scratch(const ConvShape *s) {
    int64_t z = s->input_rows * s->input_columns * gives(s);
    int64_t panels = widened(s) ? gives(s) / TN_PANEL * panel_elements(s) : 0;
    return (size_t)(panels + z + s->width * s->outputs + TN_PANEL) * sizeof(float);
}

/* Columns [first, end) of a line of z; what the next tile reads is fetched meanwhile. */
static void multiply_line(const Places *m, int64_t line, int64_t first, int64_t end) {
    const ConvShape *s = m->s;
    const TileKernels *kernels = s->isa->tiles;
    const TileShape shape = s->pairs ? s->isa->pairs->shape : kernels->tall;
    const ConvWindow *window = &m->window;
    int64_t tiles = TN_CEIL_DIV(end - first, shape.rows), panels = m->gives / TN_PANEL;
    Tile t = {.k = s->channels,
              .a_row = window->column,
              .b_row = s->pairs ? 2 * TN_PANEL : TN_PANEL,
              .b_panel = m->panel,
              .c_row = m->gives,
              .prefetch_step = 64};
    for (int64_t i = 0; i < tiles; i++) {
        int64_t at = first + deal(end - first, tiles, i);
        int64_t rows = first + deal(end - first, tiles, i + 1) - at;
        t.a = float_at(window->x, s->pairs, window->at + line * window->line + at * window->column);
        t.prefetch = float_at(t.a, s->pairs, rows * window->column + AHEAD);
        for (int64_t p = 0, some; p < panels; p += some) {
            some = tile_panels(shape, panels - p, s->pairs);
            t.b = float_at(m->panels, s->pairs, p * t.b_panel);
            t.c = m->z + (line * m->columns + at) * m->gives + p * TN_PANEL;
            (s->pairs ? s->isa->pairs->tile : kernels->tile)[some][rows](&t);
        }
    }
}

/* Padding gives nothing. */
static void multiply(const Places *m) {
    const int64_t *first = m->window.first, *last = m->window.end;
    int64_t begin = first[1] > 0 ? conv_smaller(first[1], m->columns) : 0;
    int64_t end = conv_smaller(last[1], m->columns);
    if (end < begin) end = begin;
    for (int64_t i = 0; i < m->lines; i++) {
        bool inside = i >= first[0] && i < last[0] && end > begin;
        float *line = m->z + i * m->columns * m->gives;
        int64_t from = inside ? begin : m->columns, to = inside ? end : m->columns;
        memset(line, 0, (size_t)(from * m->gives) * sizeof *line);
        memset(line + to * m->gives, 0, (size_t)((m->columns - to) * m->gives) * sizeof *line);
        if (inside) multiply_line(m, i, begin, end);
    }
}

/* sums += what `n` places give to one tap */
static void add_column(float *restrict sums, const float *restrict z, int64_t gives, int64_t n) {
    int64_t i = 0;
    for (; i + 4 <= n; i += 4, z += 4 * gives) {
        sums[i] += z[0];
        sums[i + 1] += z[gives];
        sums[i + 2] += z[2 * gives];
        sums[i + 3] += z[3 * gives];
    }
    for (; i < n; i++, z += gives) sums[i] += z[0];
}

/* The sums of a row of results, output by output beside one another. */
static void sum_row(const Places *m, int64_t row, float *sums) {
    const ConvShape *s = m->s;
    const int64_t outputs = s->outputs;
    memset(sums, 0, (size_t)(m->p->columns * outputs) * sizeof *sums);
    for (int64_t h = 0, t = 0; h < s->kernel[HEIGHT]; h++)
        for (int64_t w = 0; w < s->kernel[WIDTH]; w++, t++) {
            int64_t place = (row + h * s->dilation[HEIGHT]) * m->columns + w * s->dilation[WIDTH];
            const float *z = m->z + place * m->gives + t;
            if (outputs == 1)
                add_column(sums, z, m->gives, m->p->columns);
            else
                for (int64_t i = 0; i < m->p->columns; i++, z += m->gives)
                    for (int64_t o = 0; o < outputs; o++) sums[i * outputs + o] += z[o * s->taps];
        }
}

/* Patches are as narrow as tile_end has columns: one output of neighbouring results is as good as
 * neighbouring outputs of one result. */
static bool is_line(const ConvShape *s) {
    return s->outputs == 1 && s->y_strides[2 + WIDTH] == 1 &&
           (!s->residual || s->residual_strides[2 + WIDTH] == 1);
}

static void end_line(const Places *m, int64_t row, float *sums) {
    const ConvShape *s = m->s;
    TileEnd end = {.c = conv_y_at(s, conv_place(s->y_strides, m->p, row, 0, 0)),
                   .c_bf16 = s->y_bf16,
                   .residual_bf16 = s->residual_bf16,
                   .activation = s->activation,
                   .residual_first = s->residual_first};
    if (s->residual)
        end.residual = conv_residual_at(s, conv_place(s->residual_strides, m->p, row, 0, 0));
    for (int64_t i = 0; s->bias && i < m->p->columns; i++) sums[i] += s->bias[0];
    s->isa->tiles->end(&end, sums, 0, 1, m->p->columns);
}

static void end_row(const Places *m, int64_t row, float *sums) {
    const int64_t outputs = m->s->outputs, columns = m->p->columns;
    if (is_line(m->s)) {
        end_line(m, row, sums);
        return;
    }
    for (int64_t i = 0; i < columns; i += TILE_MAX_ROWS) {
        TileEnd end = tn_conv_end_of(m->s, m->p, row, i, 0);
        tn_conv_end(m->s, &end, conv_smaller(TILE_MAX_ROWS, columns - i), outputs,
                    sums + i * outputs, outputs);
    }
}

void tn_conv_places(const ConvShape *s, const ConvPatch *p, int64_t split, void *scratch) {
    (void)split;
    Places m = {.s = s, .p = p, .gives = gives(s), .panel = panel_elements(s), .z = scratch};
    m.lines = p->rows + (s->kernel[HEIGHT] - 1) * s->dilation[HEIGHT];
    m.columns = p->columns + (s->kernel[WIDTH] - 1) * s->dilation[WIDTH];
    m.sums = m.z + s->input_rows * s->input_columns * m.gives;
    float *copy = (float *)((char *)scratch + tn_conv_places_scratch(s));
    m.panels = s->w->data;
    if (widened(s)) {
        int64_t elements = m.gives / TN_PANEL * m.panel;
        m.panels = copy - elements;
        s->isa->bf16->panels(copy - elements, s->w->data, elements / (2 * TN_PANEL));
    }
    m.window = s->in_place ? conv_in_place(s, p) : tn_conv_copy(s, p, copy);
    multiply(&m);
    for (int64_t row = 0; row < p->rows; row++) {
        sum_row(&m, row, m.sums);
        end_row(&m, row, m.sums);
    }
}
