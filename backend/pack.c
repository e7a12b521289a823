/* Packs constants: panels of 16 columns, of rows, of pairs or quads of rows or of records, for
 * products, plain bytes for the rest.
 *
 * A panel is made in a buffer of its own and handed on, so packing a model needs a few hundred KiB
 * beside the mapped source. Columns of a packed matrix may come from several constants (packed
 * QKV): the parts lie side by side. Sources may be unaligned, hence memcpy per element. */
#include "backend/pack.h"

#include <string.h>
#include "backend/quantise.h"

/* Columns [0, n) of one part, rows [0, k): where element (row, column) starts. Rows of a
 * convolution's weight are the channels of one tap after another, those of a tap `row_stride`
 * apart. */
typedef struct Source {
    const unsigned char *data;
    int64_t size;                            /* bytes of an element */
    int64_t k, n, row_stride, column_stride; /* in elements */
    int64_t taps;
} Source;

/* Taps side by side are the columns of each output. */
static Source source_of_output(const Stored *s, int64_t output) {
    const Constant *c = s->part[0];
    int64_t size = (int64_t)tn_dtype_size(c->dtype), k = c->dims[1];
    const unsigned char *data = (const unsigned char *)c->data + output * k * s->taps * size;
    return (Source){data, size, k, s->taps, s->taps, 1, 1};
}

static Source source_of(const Stored *s, int64_t part) {
    if (s->form == CONV_PLACES) return source_of_output(s, part);
    const Constant *c = s->part[part];
    int64_t size = (int64_t)tn_dtype_size(c->dtype);
    if (s->taps) {
        int64_t k = c->dims[1] * s->taps;
        return (Source){c->data, size, k, c->dims[0], s->taps, k, s->taps};
    }
    if (s->transposed) return (Source){c->data, size, c->dims[1], c->dims[0], 1, c->dims[1], 1};
    return (Source){c->data, size, c->dims[0], c->dims[1], c->dims[1], 1, 1};
}

/* Where row k of a column starts, in elements. */
static int64_t row_at(const Source *s, int64_t k) {
    if (s->taps == 1) return k * s->row_stride;
    int64_t channels = s->k / s->taps;
    return k % channels * s->row_stride + k / channels;
}

/* Of 1, 2 or 4 bytes: the usual sizes, inlined. */
static inline void copy_element(unsigned char *to, const unsigned char *from, int64_t size) {
    if (size == 4)
        memcpy(to, from, 4);
    else if (size == 2)
        memcpy(to, from, 2);
    else
        *to = *from;
}

/* Fills `count` columns of a panel, from column `to` on, with columns from `from` on of the source.
 */
static void fill_columns(const Source *src, int64_t from, int64_t count, int64_t to,
                         unsigned char *panel) {
    int64_t size = src->size;
    if (src->column_stride == 1) { /* rows of the panel are runs of the source */
        for (int64_t k = 0; k < src->k; k++)
            memcpy(panel + size * (k * TN_PANEL + to),
                   src->data + size * (k * src->row_stride + from), (size_t)(size * count));
        return;
    }
    for (int64_t block = 0; block < src->k;
         block += TN_PANEL) { /* a block of 16 x 16 stays in the cache */
        int64_t end = block + TN_PANEL < src->k ? block + TN_PANEL : src->k;
        for (int64_t c = 0; c < count; c++) {
            const unsigned char *at = src->data + size * ((from + c) * src->column_stride);
            for (int64_t k = block; k < end; k++)
                copy_element(panel + size * (k * TN_PANEL + to + c), at + size * row_at(src, k),
                             size);
        }
    }
}

/* Gives a panel in the form that the layout has, and clears it. */
typedef struct PanelSink {
    PackSink *sink;
    void *user;
    TnLayout layout;
    TnDType dtype;
    unsigned char *panel, *groups; /* groups: the panel as pairs or quads of rows, or records */
    int64_t k, run;                /* rows there are, and of a run of pairs */
    size_t room, bytes;            /* of the panel as rows; of what is given */
} PanelSink;

static void make_pairs(const PanelSink *p) {
    const uint16_t *from = (const uint16_t *)(const void *)p->panel;
    uint16_t *to = (uint16_t *)(void *)p->groups;
    memset(to, 0, p->bytes);
    for (int64_t k = 0; k < p->k; k++) {
        int64_t row = k / p->run * tn_pairs_rows(p->run) + k % p->run;
        uint16_t *pair = to + row / 2 * (2 * TN_PANEL) + row % 2;
        for (int64_t n = 0; n < TN_PANEL; n++) pair[2 * n] = from[k * TN_PANEL + n];
    }
}

static void make_records(const PanelSink *p, int64_t columns) {
    memset(p->groups, 0, p->bytes);
    quantise_panel(p->layout, p->dtype, p->panel, p->k, columns, p->groups);
}

static void make_quads(const PanelSink *p, int64_t columns) {
    memset(p->groups, 0, p->bytes);
    for (int64_t n = 0; n < columns; n++) {
        int32_t sum = 0;
        for (int64_t k = 0; k < p->k; k++) {
            uint8_t x = p->panel[k * TN_PANEL + n] ^ (p->dtype == TN_U8 ? 0x80 : 0);
            p->groups[k / 4 * 4 * TN_PANEL + n * 4 + k % 4] = x;
            sum += (int8_t)x;
        }
        memcpy(p->groups + p->bytes - 4 * TN_PANEL + n * 4, &sum, sizeof sum);
    }
}

/* Of which `columns` are in use. */
static void give_panel(const PanelSink *p, int64_t columns) {
    if (p->layout == TN_LAYOUT_PAIRS16) make_pairs(p);
    if (p->layout == TN_LAYOUT_QUADS16) make_quads(p, columns);
    if (tn_is_records(p->layout)) make_records(p, columns);
    p->sink(p->user, p->layout == TN_LAYOUT_PANELS16 ? p->panel : p->groups, p->bytes);
    memset(p->panel, 0, p->room);
}

static void pack_panels(Image *im, const Stored *s, PackSink *sink, void *user) {
    Source src = source_of(s, 0);
    int64_t run = s->run ? s->run : src.k, used = 0;
    int64_t rows = tn_packed_rows(s->layout, tn_conv_rows(s->layout, src.k, s->run));
    PanelSink out = {.sink = sink, .user = user, .layout = s->layout, .k = src.k, .run = run};
    out.dtype = s->part[0]->dtype;
    out.room = (size_t)((rows > src.k ? rows : src.k) * TN_PANEL * src.size);
    out.bytes =
        (size_t)(rows * TN_PANEL) * (tn_is_records(s->layout) ? sizeof(float) : (size_t)src.size);
    out.panel = arena_alloc(&im->cx->arena, out.room + 1);
    if (s->layout != TN_LAYOUT_PANELS16) out.groups = arena_alloc(&im->cx->arena, out.bytes + 1);
    memset(out.panel, 0, out.room);
    int64_t parts = s->form == CONV_PLACES ? s->part[0]->dims[0] : s->parts;
    for (int64_t part = 0; part < parts; part++) {
        src = source_of(s, part);
        for (int64_t from = 0; from < src.n;) {
            int64_t count = src.n - from < TN_PANEL - used ? src.n - from : TN_PANEL - used;
            fill_columns(&src, from, count, used, out.panel);
            from += count;
            used += count;
            if (used < TN_PANEL) continue;
            give_panel(&out, TN_PANEL);
            used = 0;
        }
    }
    if (used) give_panel(&out, used);
}

/* The weight of a convolution as a plain matrix. */
static void pack_rows(Image *im, const Stored *s, PackSink *sink, void *user) {
    Source src = source_of(s, 0);
    size_t bytes = (size_t)(src.n * src.size);
    unsigned char *row = arena_alloc(&im->cx->arena, bytes + 1);
    for (int64_t k = 0; k < src.k; k++) {
        const unsigned char *from = src.data + src.size * row_at(&src, k);
        for (int64_t n = 0; n < src.n; n++)
            memcpy(row + n * src.size, from + n * src.column_stride * src.size, (size_t)src.size);
        sink(user, row, bytes);
    }
}

/* G of Winograd's filtering: rows of elements by taps (pack.h). */
#define A2 (0.75 * 0.75)
#define B2 (1.625 * 1.625)
#define AT(x, over) \
    { 1 / (over), (x) / (over), (x) * (x) / (over) }
static const double winograd2[][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}},
                    winograd2_strided[][3] = {{1, 0, 0}, {1, 0, 1}, {0, 0, 1}, {0, 1, 0}},
                    winograd4[][3] = {AT(0, A2 *B2),
                                      AT(0.75, 2 * A2 * (A2 - B2)),
                                      AT(-0.75, 2 * A2 * (A2 - B2)),
                                      AT(1.625, 2 * B2 * (B2 - A2)),
                                      AT(-1.625, 2 * B2 * (B2 - A2)),
                                      {0, 0, 1}};

/* The transforms of a form: down and across. */
static const struct {
    const double (*down)[3], (*across)[3];
    int64_t columns;
} winograd_of[CONV_FORMS] = {
    [CONV_WINOGRAD2] = {winograd2, winograd4, 6},
    [CONV_WINOGRAD2_STRIDED] = {winograd2_strided, winograd2_strided, 4},
    [CONV_WINOGRAD4] = {winograd4, winograd4, 6},
};

/* A weight w[o, c, 3, 3] as Winograd's filtering uses it: element (a, b) of H w G'. */
static void pack_winograd(Image *im, const Stored *s, PackSink *sink, void *user) {
    const Constant *w = s->part[0];
    const double(*h)[3] = winograd_of[s->form].down, (*g)[3] = winograd_of[s->form].across;
    const int64_t across = winograd_of[s->form].columns;
    int64_t channels = w->dims[1], outputs = w->dims[0], elements = conv_elements(s->form);
    size_t bytes = (size_t)(channels * TN_PANEL) * sizeof(float);
    float *panel = arena_alloc(&im->cx->arena, bytes + 1);
    for (int64_t e = 0; e < elements; e++)
        for (int64_t o = 0; o < outputs; o += TN_PANEL) {
            memset(panel, 0, bytes);
            for (int64_t j = 0; j < TN_PANEL && o + j < outputs; j++)
                for (int64_t c = 0; c < channels; c++) {
                    float tap[9];
                    double sum = 0;
                    memcpy(tap, (const float *)w->data + ((o + j) * channels + c) * 9, sizeof tap);
                    for (int i = 0; i < 9; i++)
                        sum += h[e / across][i / 3] * g[e % across][i % 3] * (double)tap[i];
                    panel[c * TN_PANEL + j] = (float)sum;
                }
            sink(user, panel, bytes);
        }
}

void pack_constant(Image *im, const Stored *s, PackSink *sink, void *user) {
    if (conv_elements(s->form)) {
        pack_winograd(im, s, sink, user);
        return;
    }
    if (s->layout != TN_LAYOUT_STRIDED) {
        pack_panels(im, s, sink, user);
        return;
    }
    if (s->taps) {
        pack_rows(im, s, sink, user);
        return;
    }
    for (int part = 0; part < s->parts; part++)
        sink(user, s->part[part]->data, s->part[part]->bytes);
}
