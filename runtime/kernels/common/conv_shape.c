/* A convolution's operands, the way it is done, and the patches its results are cut into: what a
 * plan and every task of it work out, the same on every ISA but for a few figures. */
#include "runtime/kernels/conv.h"
#include "runtime/kernels/loop.h"

#define WINDOW_FLOATS 65536  /* of a window, about: it stays in the cache */
#define TILES_FLOATS  131072 /* of the tiles of a patch, about */

/* Spreads the spatial axes of a tensor over DEPTH, HEIGHT, WIDTH; missing ones are extent 1. */
static void spatial_axes(const TnTensor *t, int64_t *dims, int64_t *strides) {
    int spatial = t->rank - 2;
    for (int i = 0; i < SPATIAL; i++) {
        int from = i - (SPATIAL - spatial);
        if (dims) dims[i] = from < 0 ? 1 : t->dims[2 + from];
        strides[2 + i] = from < 0 ? 0 : t->strides[2 + from];
    }
    for (int i = 0; i < 2; i++) strides[i] = t->strides[i];
}

static void swap(int64_t *axis) {
    int64_t height = axis[HEIGHT];
    axis[HEIGHT] = axis[WIDTH];
    axis[WIDTH] = height;
}

void tn_conv_turn(ConvShape *s) {
    int64_t *axes[] = {
        s->in,  s->out,           s->kernel,        s->stride,        s->dilation,
        s->pad, s->x_strides + 2, s->y_strides + 2, s->w_strides + 2, s->residual_strides + 2};
    for (size_t i = 0; i < sizeof axes / sizeof *axes; i++) swap(axes[i]);
}

static void operands_of(const TnCall *call, ConvShape *out) {
    const ParamsConv *params = call->params;
    const TnTensor *x = &call->operands[0], *w = &call->operands[1];
    const TnTensor *y = &call->operands[call->inputs];
    const TnTensor *residual = call->inputs > 3 ? &call->operands[3] : NULL;
    const bool packed = w->layout != TN_LAYOUT_STRIDED;
    ConvShape s = {.call = call,
                   .w = w,
                   .x = x->data,
                   .y = y->data,
                   .x_bf16 = x->dtype == TN_BF16,
                   .y_bf16 = y->dtype == TN_BF16,
                   .batch = x->dims[0],
                   .groups = params->groups,
                   .activation = (TnActivation)params->activation,
                   .residual_first = params->flags & TN_RESIDUAL_FIRST,
                   .taps = 1};
    s.bias = call->inputs > 2 ? call->operands[2].data : NULL;
    s.channels = x->dims[1] / s.groups;
    s.outputs = y->dims[1] / s.groups;
    spatial_axes(x, s.in, s.x_strides);
    spatial_axes(y, s.out, s.y_strides);
    if (!packed) spatial_axes(w, NULL, s.w_strides);
    if (residual && residual->data) {
        s.residual = residual->data;
        s.residual_bf16 = residual->dtype == TN_BF16;
        spatial_axes(residual, NULL, s.residual_strides);
    }
    for (int i = 0; i < SPATIAL; i++) {
        int from = i - (SPATIAL - (x->rank - 2));
        s.kernel[i] = from < 0 ? 1 : packed ? params->kernel[from] : w->dims[2 + from];
        s.stride[i] = from < 0 ? 1 : params->stride[from];
        s.dilation[i] = from < 0 ? 1 : params->dilation[from];
        s.pad[i] = from < 0 ? 0 : params->pad_begin[from];
        s.taps *= s.kernel[i];
    }
    s.run = s.channels * s.kernel[WIDTH];
    /* results are worked on along WIDTH: columns of images one place wide become rows */
    if (s.out[WIDTH] == 1 && s.kernel[WIDTH] == 1) tn_conv_turn(&s);
    *out = s;
}

/* Every tap of every result lies in x, along this axis. */
static bool unpadded(const ConvShape *s, int axis) {
    int64_t last = (s->out[axis] - 1) * s->stride[axis] + (s->kernel[axis] - 1) * s->dilation[axis];
    return s->pad[axis] == 0 && last < s->in[axis];
}

static bool inside(const ConvShape *s) {
    return unpadded(s, HEIGHT) && unpadded(s, WIDTH);
}

/* Results fall into few parts by which of their taps lie in x, along this axis: tap t does for
 * those from one place on, to another. */
static bool in_few_parts(const ConvShape *s, int axis) {
    if (unpadded(s, axis)) return true;
    int64_t parts = 1, stride = s->stride[axis], out = s->out[axis];
    for (int64_t t = 0; t < s->kernel[axis] && 2 * parts <= out; t++) {
        int64_t before = s->pad[axis] - t * s->dilation[axis], inside = before + s->in[axis];
        parts += before > 0 && TN_CEIL_DIV(before, stride) < out;
        parts += inside > 0 && TN_CEIL_DIV(inside, stride) < out;
    }
    return 2 * parts <= out;
}

/* Windows of a product are read in x if the channels of a place are side by side, if runs are long,
 * and if padding, which is none along DEPTH, leaves few parts. Those of neighbouring groups may be
 * padded but for DEPTH. */
static bool readable(const ConvShape *s) {
    if (s->x_bf16 != s->pairs || (s->pairs && s->run % 2)) return false;
    if (s->channels % 2 && s->pairs && s->x_strides[2 + WIDTH] != s->channels) return false;
    if (s->way == CONV_WINOGRAD || s->way == CONV_PLACES) return s->x_strides[1] == 1;
    if (!unpadded(s, DEPTH)) return false;
    if (s->way == CONV_PRODUCT) {
        bool runs = s->kernel[WIDTH] == 1 || s->x_strides[2 + WIDTH] == s->channels;
        bool wide = s->channels >= CONV_LANES, even = s->channels % 2 == 0 || !s->pairs;
        bool few = wide && even && in_few_parts(s, HEIGHT) && in_few_parts(s, WIDTH);
        if (!inside(s) && !few) return false;
        return (s->channels == 1 || s->x_strides[1] == 1) && (runs || wide);
    }
    return s->channels == 1 && s->outputs == 1 && s->x_strides[1] == 1 &&
           s->groups % CONV_LANES == 0 && (s->kernel[DEPTH] == 1 || unpadded(s, HEIGHT));
}

/* Cuts the results into patches of about `results` per channel. */
static void cut_patches(ConvShape *s, int64_t results) {
    int64_t width = s->out[WIDTH], height = s->out[HEIGHT];
    s->column_patches = width > 2 * results ? TN_CEIL_DIV(width, results) : 1;
    s->width = TN_CEIL_DIV(width, s->column_patches);
    s->row_patches = TN_CEIL_DIV(height, results / s->width > 1 ? results / s->width : 1);
    s->rows = TN_CEIL_DIV(height, s->row_patches);
    s->row_patches = TN_CEIL_DIV(height, s->rows);
    s->column_patches = TN_CEIL_DIV(width, s->width);
    s->input_rows =
        (s->rows - 1) * s->stride[HEIGHT] + (s->kernel[HEIGHT] - 1) * s->dilation[HEIGHT] + 1;
    bool strips = s->in_place && s->width >= 3 * s->results;
    s->strip = strips ? s->results : s->width;
    s->input_columns =
        (s->strip - 1) * s->stride[WIDTH] + (s->kernel[WIDTH] - 1) * s->dilation[WIDTH] + 1;
}

/* Halves patches, down to about `least` results, while their windows are larger than `floats` or
 * tasks fewer than `want`. */
static void shrink_patches(ConvShape *s, int64_t results, int64_t least, int64_t floats,
                           int64_t want) {
    cut_patches(s, results);
    for (; results > least; results /= 2) {
        bool large = conv_window_floats(s) > floats;
        if (!large && conv_patches(s) * s->splits >= want) break;
        cut_patches(s, results / 2);
    }
}

/* Patches of whole tiles, about `tiles` of them. */
static void cut_tiles(ConvShape *s, int64_t tiles) {
    const ConvFilterSide *y = &s->filter->down, *x = &s->filter->across;
    int64_t across = TN_CEIL_DIV(s->out[WIDTH], x->results);
    int64_t down = TN_CEIL_DIV(s->out[HEIGHT], y->results);
    across = TN_CEIL_DIV(across, TN_CEIL_DIV(across, tiles));
    int64_t rows = conv_smaller(tiles / across > 1 ? tiles / across : 1, down);
    rows = TN_CEIL_DIV(down, TN_CEIL_DIV(down, rows));
    s->width = s->strip = across * x->results;
    s->rows = rows * y->results;
    s->column_patches = TN_CEIL_DIV(s->out[WIDTH], s->width);
    s->row_patches = TN_CEIL_DIV(s->out[HEIGHT], s->rows);
    s->input_rows = (rows - 1) * y->step + y->places;
    s->input_columns = (across - 1) * x->step + x->places;
}

/* Tiles of a patch stay in L2, but weights that don't are read once per patch; every split of its
 * outputs transforms all of its tiles. So there are no more tasks than threads may want, and few
 * splits. */
static void choose_tiles(ConvShape *s, int64_t groups, int64_t want) {
    int64_t elements = conv_elements(s->filter);
    int64_t tiles = TILES_FLOATS / (elements * (s->channels + 2 * TN_PANEL));
    tiles = tiles > 96 ? 96 : tiles < 72 ? 72 : tiles;
    cut_tiles(s, tiles);
    want = conv_smaller(want, 8);
    for (; tiles > 24 && conv_patches(s) < want; tiles -= 12) cut_tiles(s, tiles - 12);
    s->splits = conv_smaller(TN_CEIL_DIV(groups, 2), TN_CEIL_DIV(want, conv_patches(s)));
    s->splits = conv_smaller(s->splits, 4);
}

/* Patches about as high as wide: what they read twice is at their edges. */
static void cut_places(ConvShape *s, int64_t want) {
    int64_t floats = s->w->dims[1] + (s->in_place ? 0 : s->channels); /* of a place */
    int64_t places = WINDOW_FLOATS / floats, side = 16;
    while (side < 64 && 4 * side * side <= places) side *= 2;
    for (;; side /= 2) {
        s->column_patches = TN_CEIL_DIV(s->out[WIDTH], side);
        s->width = s->strip = TN_CEIL_DIV(s->out[WIDTH], s->column_patches);
        s->row_patches = TN_CEIL_DIV(s->out[HEIGHT], TN_CEIL_DIV(side * side, s->width));
        s->rows = TN_CEIL_DIV(s->out[HEIGHT], s->row_patches);
        s->row_patches = TN_CEIL_DIV(s->out[HEIGHT], s->rows);
        s->column_patches = TN_CEIL_DIV(s->out[WIDTH], s->width);
        if (side <= 16 || conv_patches(s) >= want) break;
    }
    s->input_rows = s->rows + (s->kernel[HEIGHT] - 1) * s->dilation[HEIGHT];
    s->input_columns = s->width + (s->kernel[WIDTH] - 1) * s->dilation[WIDTH];
}

/* Patches of a product whose window is a padded x cost nothing to share: outputs are split first.
 * Columns at an edge are tiles of as many results as there are rows. */
static void cut_padded(ConvShape *s, int64_t groups, int64_t want) {
    int64_t least = s->out[HEIGHT] > 1 ? 8 * s->out[WIDTH] : 0;
    if (least < 256) least = 256;
    s->splits = conv_smaller(groups, want);
    shrink_patches(s, least > 1024 ? least : 1024, least, INT64_MAX, want);
}

/* Large patches read weights less often and copy fewer places twice. */
static void choose_patches(ConvShape *s, int64_t want) {
    const TileShape shape = s->pairs ? s->isa->pairs->shape : s->isa->tiles->tall;
    int64_t groups = TN_CEIL_DIV(s->outputs, TN_PANEL * shape.panels);
    s->splits = 1;
    s->sets = s->groups;
    s->pitch = s->channels;
    if (s->way == CONV_WINOGRAD) {
        choose_tiles(s, groups, want);
        return;
    }
    if (s->way == CONV_PLACES) {
        cut_places(s, want);
        return;
    }
    if (s->way == CONV_PRODUCT && s->in_place && !inside(s)) {
        cut_padded(s, groups, want);
        return;
    }
    if (s->way == CONV_PRODUCT) {
        shrink_patches(s, 1024, 192, WINDOW_FLOATS, want);
        s->splits = conv_smaller(groups, TN_CEIL_DIV(want, conv_patches(s)));
        shrink_patches(s, s->rows * s->width, 24, INT64_MAX, want);
        return;
    }
    for (int64_t block = CONV_BLOCK;; block /= 2) {
        int64_t outputs = s->groups * s->outputs;
        s->sets = TN_CEIL_DIV(outputs, block);
        s->block = TN_CEIL_DIV(TN_CEIL_DIV(outputs, s->sets), CONV_LANES) * CONV_LANES;
        s->pitch = s->channels * s->block;
        if (block > CONV_LANES && s->taps * s->channels * s->block > CONV_TAPS) continue;
        shrink_patches(s, 4096, 256, WINDOW_FLOATS, want);
        if (block == CONV_LANES || conv_patches(s) >= want) break;
    }
    shrink_patches(s, s->rows * s->width, 64, INT64_MAX, want);
}

/* What a core does on a sum over taps is less than what it does on a product. */
static double nanoseconds(const ConvShape *s) {
    double results = (double)tensor_elements(&s->call->operands[s->call->inputs]);
    double flops = 2 * results * (double)(s->taps * s->channels);
    if (s->way == CONV_PLACES) flops = 2 * TN_PANEL * results * (double)s->channels;
    if (s->way == CONV_WINOGRAD) /* multiplications, and the transforms */
        flops *= 0.15 + (double)conv_elements(s->filter) /
                            (9.0 * s->filter->down.results * s->filter->across.results);
    if (s->pairs) flops /= 2;
    return (s->way == CONV_CHANNELS ? 3 * flops : flops) / s->isa->flops_per_ns + 1000;
}

static ConvWay way_of(const ConvShape *s) {
    const ParamsConv *params = s->call->params;
    if (tn_conv_elements(params)) return CONV_WINOGRAD;
    if (params->flags & TN_CONV_PLACES) return CONV_PLACES;
    if (s->w->layout != TN_LAYOUT_STRIDED) return CONV_PRODUCT;
    return tn_conv_is_product(s->groups, s->outputs) ? CONV_PRODUCT : CONV_CHANNELS;
}

static const ConvFilter *filter_of(const ConvShape *s) {
    const ParamsConv *params = s->call->params;
    if (params->flags & TN_CONV_WINOGRAD4) return &s->isa->conv->filters[CONV_F4];
    return &s->isa->conv->filters[s->stride[WIDTH] == 2 ? CONV_F2_STRIDED : CONV_F2X4];
}

/* Runs of a window have pairs: those of a tap, or all along WIDTH, the last of which may have what
 * is next in the window multiplied with zeros. Channels of an f32 image that lie apart had better
 * become floats side by side, by transposing. */
static bool multiplies_pairs(const ConvShape *s) {
    bool even = s->channels % 2 == 0 || (s->way == CONV_PRODUCT && s->dilation[WIDTH] == 1 &&
                                         s->channels * s->kernel[WIDTH] == s->run);
    return s->w->layout == TN_LAYOUT_PAIRS16 && s->isa->pairs && even &&
           (s->x_bf16 || s->x_strides[1] == 1);
}

void tn_conv_shape(const TnCall *call, ConvShape *s) {
    operands_of(call, s);
    s->isa = &tn_isa_kernels[call->isa];
    s->way = way_of(s);
    s->filter = filter_of(s);
    s->pairs = multiplies_pairs(s);
    s->results = CONV_RESULTS;
    if (s->isa->conv->channels->rows[7] && conv_neighbours(s) && s->kernel[WIDTH] == 7)
        s->results = 7;
    s->in_place = readable(s);
    s->nanoseconds = nanoseconds(s);
    choose_patches(s, tile_tasks(s->nanoseconds));
}
