/* Inner interface of the conv family: what its files share. */
#ifndef TENON_RUNTIME_KERNELS_CONV_H
#define TENON_RUNTIME_KERNELS_CONV_H

#include <stdbool.h>
#include "runtime/kernels/bf16.h"
#include "runtime/kernels/isa.h"

enum { DEPTH, HEIGHT, WIDTH, SPATIAL };

typedef enum ConvWay { CONV_PRODUCT, CONV_WINOGRAD, CONV_PLACES, CONV_CHANNELS } ConvWay;

enum {
    CONV_BLOCK = 256,  /* outputs in a block, at most */
    CONV_TAPS = 4096,  /* weights of a block, about: they stay in the first cache */
    CONV_COLUMNS = 64, /* channels that conv_end takes, at most */
    CONV_NARROW = 6,   /* columns of a part that is turned, at most */
    CONV_RESULTS = 8,  /* neighbouring results at once, at most */
    CONV_LANES = 16,   /* a block is a multiple, on every ISA */
    CONV_SIDE = 6,     /* places of a side that a Winograd filter's tiles read, at most, ... */
    CONV_TILE = 4      /* ... and results of a side */
};

/* Winograd's filtering by tiles (common/conv_winograd.c): B' d B of the places that a tile reads
 * are as many elements; A' s A of as many sums are its results. */
typedef struct ConvFilterSide {
    int results, places, step; /* of a tile; step: places of x from tile to tile */
    int weights;               /* elements of a side of G w G', ... */
    uint8_t weight[CONV_SIDE]; /* ... which of them each element is multiplied with */
} ConvFilterSide;

typedef struct ConvFilter {
    ConvFilterSide down, across;
    /* B' d B of one tile, whose places are at place[], for all channels (a multiple of TN_PANEL),
     * to planes of elements. `ahead` is where the next tile is: it is fetched. */
    void (*read)(const float *const *place, int64_t ahead, float *to, int64_t plane,
                 int64_t channels);
    /* A' s A of one tile, from planes of elements: lines of results, `line` apart, of
     * across.results times `cols` floats (whole panels). */
    void (*result)(const float *sums, int64_t plane, float *to, int64_t line, int64_t cols);
} ConvFilter;

/* F(2 x 2, 3 x 3) of stride 2, F(2 x 4, 3 x 3), F(4 x 4, 3 x 3) */
enum { CONV_F2_STRIDED, CONV_F2X4, CONV_F4, CONV_FILTERS };

typedef struct ConvShape {
    const TnCall *call;
    const TnTensor *w;
    const void *x, *residual; /* f32 or bf16 */
    const float *bias;
    void *y;
    bool x_bf16, y_bf16, residual_bf16;
    bool pairs; /* a product of bf16: windows are, too, else of floats; B is in pairs */
    int64_t batch, groups, channels, outputs; /* channels and outputs of one group */
    int64_t in[SPATIAL], out[SPATIAL], kernel[SPATIAL];
    int64_t stride[SPATIAL], dilation[SPATIAL], pad[SPATIAL];
    /* batch, channel, then the spatial axes; w: output, channel, ..; nothing if it is in panels */
    int64_t x_strides[2 + SPATIAL], y_strides[2 + SPATIAL], residual_strides[2 + SPATIAL];
    int64_t w_strides[2 + SPATIAL];
    TnActivation activation;
    bool residual_first;
    int64_t taps; /* places of the kernel */
    int64_t run;  /* rows that weights in pairs have side by side (pack.h) */
    ConvWay way;  /* which file does it */
    const TnIsaKernels *isa;
    const ConvFilter *filter; /* of CONV_WINOGRAD */
    double nanoseconds;
    bool in_place; /* windows, or most of them, are read in x */
    int64_t sets;  /* channels are dealt out to: the groups, or blocks of `block` outputs */
    int64_t block;
    int64_t results;     /* neighbours at once: what registers hold beside the weights */
    int64_t splits;      /* of a product's panels */
    int64_t pitch;       /* floats per place of a copied window */
    int64_t rows, width; /* results of a patch */
    int64_t row_patches, column_patches;
    int64_t strip;                     /* results of a row whose window is copied at once */
    int64_t input_rows, input_columns; /* places of that copy */
} ConvShape;

/* Part of the results; its first, and how many there are. */
typedef struct ConvPatch {
    int64_t b, set, depth, row, column;
    int64_t rows, columns;
} ConvPatch;

/* What a patch reads. Tap (d, h, w) of the result (i, j) is in x at
 *
 *     at + d plane + (i stride + h dilation) line + (j stride + w dilation) column
 *
 * and there are its channels, one after another. */
typedef struct ConvWindow {
    const void *x;
    int64_t at, plane, line, column;
    int64_t first[2], end[2]; /* lines and columns that there are; others are padding */
} ConvWindow;

/* common/conv.c: how results from (row, column) of the patch on end, of channels from `o` on. */
TileEnd tn_conv_end_of(const ConvShape *s, const ConvPatch *p, int64_t row, int64_t column,
                       int64_t o);

/* Ends `rows` results that way, of `cols` channels, which are in `tile`. That is scratch
 * afterwards. */
void tn_conv_end(const ConvShape *s, const TileEnd *e, int64_t rows, int64_t cols, float *tile,
                 int64_t tile_row);

/* The weights of the block, tap by tap, and where each tap is in the window. */
typedef struct ConvTaps {
    const float *w; /* a row per tap, `w_row` apart */
    const int64_t *at;
    int64_t count, w_row, lanes; /* lanes: outputs there are */
    int64_t step, to_step;       /* from result to result, in the window and where they go */
    int64_t first, end;          /* of neighbouring places: those that there are */
    const float *bias;           /* NULL: none, or added later */
} ConvTaps;

/* Rows of results that are done from top to bottom. There are places in lines [first, end) of the
 * window. */
typedef struct ConvWalk {
    int64_t rows, first, end;
    int64_t line, to_line; /* from line to line, in the window and where results go */
} ConvWalk;

/* Sums of some neighbouring results, the first of which finds its taps from x + at on, for all
 * lanes. */
typedef void ConvTapsFn(const ConvTaps *taps, const float *x, int64_t at, float *to);
typedef void ConvWalkFn(const ConvTaps *taps, const ConvWalk *walk, const float *x, int64_t at,
                        float *to);

/* conv_channels.c */
typedef struct ConvChannels {
    ConvTapsFn *taps[CONV_RESULTS + 1]; /* [results]: powers of two */
    /* [width of the kernel]: where results and taps are neighbours, which mind `first` and `end` as
     * `walk` does; or NULL */
    ConvTapsFn *rows[8];
    ConvWalkFn *walk; /* of 3 x 3 neighbouring taps; NULL: none */
    int64_t walk_columns;
} ConvChannels;

extern const ConvChannels TN_FN(conv_channels_kernels);

/* conv_winograd.c */
extern const ConvFilter TN_FN(conv_filters)[CONV_FILTERS];

typedef struct ConvKernels {
    const ConvChannels *channels;
    const ConvFilter *filters; /* CONV_FILTERS of them */
} ConvKernels;

extern const ConvKernels TN_FN(conv_kernels); /* conv_channels.c */

/* common/conv_window.c: the window as a copy in scratch of conv_window_floats */
ConvWindow tn_conv_copy(const ConvShape *s, const ConvPatch *p, void *scratch);

/* Results of a patch with the same taps, which are [first, end) along HEIGHT and WIDTH. */
typedef struct ConvPart {
    const ConvShape *s; /* which is turned if tiles had better be parts of a column, ... */
    ConvPatch p;        /* ... as these are */
    int64_t first[2], end[2];
    int64_t at, row, line; /* of the first in the window; steps from there to the next */
    int64_t next[2];       /* where the next part begins; zeros before the first */
    ConvShape turned;
} ConvPart;

/* common/conv_part.c: the next one, from left to right and down; false: there is none, and the
 * first will be next. */
bool tn_conv_next_part(const ConvShape *s, const ConvPatch *p, const ConvWindow *window,
                       ConvPart *part);

/* common/conv_shape.c: of a call that has results */
void tn_conv_shape(const TnCall *call, ConvShape *s);

/* HEIGHT and WIDTH change places. */
void tn_conv_turn(ConvShape *s);

/* common/conv_product.c, ..: the results of a patch for one of `splits` parts of its channels; a
 * window's copy lies in scratch behind what each asks for. */
size_t tn_conv_product_scratch(const ConvShape *s);
void tn_conv_product(const ConvShape *s, const ConvPatch *p, int64_t split, void *scratch);
size_t tn_conv_winograd_scratch(const ConvShape *s);
void tn_conv_winograd(const ConvShape *s, const ConvPatch *p, int64_t split, void *scratch);
size_t tn_conv_places_scratch(const ConvShape *s);
void tn_conv_places(const ConvShape *s, const ConvPatch *p, int64_t split, void *scratch);
size_t tn_conv_channels_scratch(const ConvShape *s);
void tn_conv_channels(const ConvShape *s, const ConvPatch *p, int64_t split, void *scratch);

/* common/conv_f64.c */
void conv_f64_plan_common(TnCall *call); /* of a call that has results */
void conv_f64_run_common(const TnCall *call, int64_t task, void *scratch);

static inline int64_t conv_smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static inline void *conv_y_at(const ConvShape *s, int64_t place) {
    return float_at(s->y, s->y_bf16, place);
}

/* Within a tensor; s->residual is one. */
static inline const void *conv_residual_at(const ConvShape *s, int64_t place) {
    return float_at(s->residual, s->residual_bf16, place);
}

static inline int64_t conv_elements(const ConvFilter *f) {
    return (int64_t)f->down.places * f->across.places;
}

static inline int64_t conv_patches(const ConvShape *s) {
    return s->batch * s->sets * s->out[DEPTH] * s->row_patches * s->column_patches;
}

static inline int64_t conv_window_floats(const ConvShape *s) {
    if (s->way != CONV_CHANNELS && s->in_place) return 0;
    return s->kernel[DEPTH] * s->input_rows * s->input_columns * s->pitch;
}

/* Where result (row, column) of the patch is, for channel o, in a tensor of these strides. */
static inline int64_t conv_place(const int64_t *strides, const ConvPatch *p, int64_t row,
                                 int64_t column, int64_t o) {
    return p->b * strides[0] + o * strides[1] + p->depth * strides[2 + DEPTH] +
           (p->row + row) * strides[2 + HEIGHT] + (p->column + column) * strides[2 + WIDTH];
}

/* The window of a patch in x itself. It may start before x where there is padding. */
static inline ConvWindow conv_in_place(const ConvShape *s, const ConvPatch *p) {
    const int64_t *xs = s->x_strides;
    int64_t first[SPATIAL] = {p->depth, p->row, p->column};
    ConvWindow window = {.x = s->x, .line = xs[2 + HEIGHT], .column = xs[2 + WIDTH]};
    window.plane = s->dilation[DEPTH] * xs[2 + DEPTH];
    window.at = p->b * xs[0] + p->set * (s->way == CONV_CHANNELS ? s->block : s->channels) * xs[1];
    for (int i = 0; i < SPATIAL; i++)
        window.at += (first[i] * s->stride[i] - s->pad[i]) * xs[2 + i];
    for (int i = 0; i < 2; i++) {
        window.first[i] = s->pad[HEIGHT + i] - first[HEIGHT + i] * s->stride[HEIGHT + i];
        window.end[i] = window.first[i] + s->in[HEIGHT + i];
    }
    return window;
}

/* Results and taps are neighbours: conv_channels.c has loops for some widths of kernels. */
static inline bool conv_neighbours(const ConvShape *s) {
    return s->stride[WIDTH] == 1 && s->dilation[WIDTH] == 1 && s->channels == 1;
}

/* How many results of a row, from this column on, have all their taps along WIDTH in x. */
static inline int64_t conv_columns_inside(const ConvShape *s, int64_t column) {
    int64_t reach = (s->kernel[WIDTH] - 1) * s->dilation[WIDTH];
    int64_t last = s->in[WIDTH] - 1 - reach + s->pad[WIDTH];
    if (column * s->stride[WIDTH] < s->pad[WIDTH] || last < 0) return 0;
    int64_t end = last / s->stride[WIDTH] + 1;
    return end > column ? end - column : 0;
}

#endif
