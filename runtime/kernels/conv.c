/* conv: convolution in up to three spatial axes, in f32 (f64: conv_f64.c), groups g, zero padding.
 *
 *     y[b, o, p] = act(bias[o] + sum over c, k of x[b, g C + c, p stride + k dilation - pad] w[o,
 * c, k])
 *
 * and a residual, added after or before the activation. x, y and the residual may have any strides;
 * best is a channel stride of 1. w is [O, C, kernel] of any strides, or panels (pack.h) of the
 * matrix [kernel C, O]. Missing spatial axes count as extent 1.
 *
 * A unit of work is a patch of the result: one batch, one depth, `rows` rows by `width` columns,
 * and a set of channels. What it reads of x is its window (conv_window.c), in x itself if that has
 * the form, else a copy with the padding written out: places one after another, the channels of
 * each side by side. A result's taps are then runs of floats at places that are the same for all
 * results, relative to its first. Many channels are a product of the windows with the weights,
 * several results by several vectors of outputs at once (conv_product.c), or of what becomes of
 * both by a transform (conv_winograd.c). Where groups have few outputs, as in a depthwise
 * convolution, lanes are outputs of neighbouring groups (conv_channels.c). */
#include "runtime/kernels/conv.h"
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/simd.h"
#include "runtime/params.h"

TN_FAMILY(conv);

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

/* Results are worked on along WIDTH: columns of images one place wide become rows. */
static void turn_columns(ConvShape *s) {
    if (s->out[WIDTH] > 1 || s->kernel[WIDTH] > 1) return;
    int64_t *axes[] = {
        s->in,  s->out,           s->kernel,        s->stride,        s->dilation,
        s->pad, s->x_strides + 2, s->y_strides + 2, s->w_strides + 2, s->residual_strides + 2};
    for (size_t i = 0; i < sizeof axes / sizeof *axes; i++) swap(axes[i]);
}

static ConvShape operands_of(const TnCall *call) {
    const ParamsConv *params = call->params;
    const TnTensor *x = &call->operands[0], *w = &call->operands[1];
    const TnTensor *y = &call->operands[call->inputs];
    const TnTensor *residual = call->inputs > 3 ? &call->operands[3] : NULL;
    const bool packed = w->layout == TN_LAYOUT_PANELS16;
    ConvShape s = {.call = call,
                   .w = w,
                   .x = x->data,
                   .y = y->data,
                   .batch = x->dims[0],
                   .groups = params->groups,
                   .activation = (TnActivation)params->activation,
                   .residual_first = params->flags & TN_RESIDUAL_FIRST,
                   .winograd = params->flags & TN_CONV_WINOGRAD2 ? 2 : 0,
                   .taps = 1};
    s.bias = call->inputs > 2 ? call->operands[2].data : NULL;
    s.channels = x->dims[1] / s.groups;
    s.outputs = y->dims[1] / s.groups;
    spatial_axes(x, s.in, s.x_strides);
    spatial_axes(y, s.out, s.y_strides);
    if (!packed) spatial_axes(w, NULL, s.w_strides);
    if (residual && residual->data) {
        s.residual = residual->data;
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
    turn_columns(&s);
    return s;
}

/* Every tap of every result lies in x, along this axis. */
static bool unpadded(const ConvShape *s, int axis) {
    int64_t last = (s->out[axis] - 1) * s->stride[axis] + (s->kernel[axis] - 1) * s->dilation[axis];
    return s->pad[axis] == 0 && last < s->in[axis];
}

/* Windows of a product are read in x if nothing is padded and the channels of a place are side by
 * side, and if runs are long. Those of neighbouring groups may be padded but for DEPTH. */
static bool readable(const ConvShape *s) {
    if (s->winograd) return s->x_strides[1] == 1;
    if (!unpadded(s, DEPTH)) return false;
    if (s->product) {
        bool runs = s->kernel[WIDTH] == 1 || s->x_strides[2 + WIDTH] == s->channels;
        return unpadded(s, HEIGHT) && unpadded(s, WIDTH) &&
               (s->channels == 1 || s->x_strides[1] == 1) && (runs || s->channels >= CONV_LANES);
    }
    return s->channels == 1 && s->outputs == 1 && s->x_strides[1] == 1 &&
           s->groups % CONV_LANES == 0 && (s->kernel[DEPTH] == 1 || unpadded(s, HEIGHT));
}

static int64_t patches(const ConvShape *s) {
    return s->batch * s->sets * s->out[DEPTH] * s->row_patches * s->column_patches;
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
    bool strips = s->in_place && s->width >= 3 * conv_results(s);
    s->strip = strips ? conv_results(s) : s->width;
    s->input_columns =
        (s->strip - 1) * s->stride[WIDTH] + (s->kernel[WIDTH] - 1) * s->dilation[WIDTH] + 1;
}

/* Halves patches, down to about `least` results, while their windows are larger than `floats` or
 * tasks fewer than `want`. */
static void shrink_patches(ConvShape *s, int64_t results, int64_t least, int64_t floats,
                           int64_t want) {
    cut_patches(s, results);
    for (; results > least; results /= 2) {
        bool large = TN_FN(conv_window_floats)(s) > floats;
        if (!large && patches(s) * s->splits >= want) break;
        cut_patches(s, results / 2);
    }
}

/* Patches of whole tiles, about `tiles` of them. */
static void cut_tiles(ConvShape *s, int64_t tiles) {
    int64_t m = s->winograd, across = TN_CEIL_DIV(s->out[WIDTH], m);
    int64_t down = TN_CEIL_DIV(s->out[HEIGHT], m);
    across = TN_CEIL_DIV(across, TN_CEIL_DIV(across, tiles));
    int64_t rows = conv_smaller(tiles / across > 1 ? tiles / across : 1, down);
    rows = TN_CEIL_DIV(down, TN_CEIL_DIV(down, rows));
    s->width = s->strip = across * m;
    s->rows = rows * m;
    s->column_patches = TN_CEIL_DIV(s->out[WIDTH], s->width);
    s->row_patches = TN_CEIL_DIV(s->out[HEIGHT], s->rows);
    s->input_rows = s->rows + 2;
    s->input_columns = s->width + 2;
}

/* Tiles of a patch stay in L2, but weights that don't are read once per patch. */
static void choose_tiles(ConvShape *s, int64_t want) {
    int64_t side = s->winograd + 2;
    int64_t tiles = TILES_FLOATS / (side * side * (s->channels + 2 * TN_PANEL));
    int64_t groups = TN_CEIL_DIV(s->outputs, TN_PANEL * TN_FN(tile_kernels).tall.panels);
    tiles = tiles > 96 ? 96 : tiles < 48 ? 48 : tiles;
    cut_tiles(s, tiles);
    for (; tiles > 24 && patches(s) < want; tiles /= 2) cut_tiles(s, tiles / 2);
    s->splits = conv_smaller(TN_CEIL_DIV(groups, 2), TN_CEIL_DIV(want, patches(s)));
}

/* Large patches read weights less often and copy fewer places twice. */
static void choose_patches(ConvShape *s, int64_t want) {
    s->splits = 1;
    if (s->winograd) {
        s->sets = 1;
        s->pitch = s->channels;
        choose_tiles(s, want);
        return;
    }
    if (s->product) {
        s->sets = s->groups;
        s->pitch = s->channels;
        shrink_patches(s, 1024, 192, WINDOW_FLOATS, want);
        int64_t groups = TN_CEIL_DIV(s->outputs, TN_PANEL * TN_FN(tile_kernels).tall.panels);
        s->splits = conv_smaller(groups, TN_CEIL_DIV(want, patches(s)));
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
        if (block == CONV_LANES || patches(s) >= want) break;
    }
    shrink_patches(s, s->rows * s->width, 64, INT64_MAX, want);
}

static double nanoseconds(const ConvShape *s) {
    double results = (double)tensor_elements(&s->call->operands[s->call->inputs]);
    double flops = 2 * results * (double)(s->taps * s->channels);
    if (s->winograd) flops *= 0.6;
    return (s->product ? flops : 3 * flops) / TILE_FLOPS_PER_NS + 1000;
}

static ConvShape shape_of(const TnCall *call) {
    ConvShape s = operands_of(call);
    s.product = tn_conv_is_product(s.groups, s.outputs) || s.w->layout == TN_LAYOUT_PANELS16;
    s.in_place = readable(&s);
    choose_patches(&s, tile_tasks(nanoseconds(&s)));
    return s;
}

void TN_FN(conv_plan)(TnCall *call) {
    call->tasks = call->work = 0;
    call->scratch_bytes = 0;
    if (tensor_elements(&call->operands[call->inputs]) == 0) return;
    if (call->operands[0].dtype == TN_F64) {
        conv_f64_plan_common(call);
        return;
    }
    ConvShape s = shape_of(call);
    call->tasks = patches(&s) * s.splits;
    call->work = (int64_t)nanoseconds(&s);
    call->scratch_bytes = (size_t)TN_FN(conv_window_floats)(&s) * sizeof(float) +
                          (s.winograd  ? TN_FN(conv_winograd_scratch)(&s)
                           : s.product ? TN_FN(conv_product_scratch)(&s)
                                       : TN_FN(conv_channels_scratch)(&s));
}

static ConvPatch patch_of(const ConvShape *s, int64_t unit) {
    ConvPatch p;
    p.column = unit % s->column_patches * s->width;
    unit /= s->column_patches;
    p.row = unit % s->row_patches * s->rows;
    unit /= s->row_patches;
    p.depth = unit % s->out[DEPTH];
    unit /= s->out[DEPTH];
    p.set = unit % s->sets;
    p.b = unit / s->sets;
    p.columns = conv_smaller(s->width, s->out[WIDTH] - p.column);
    p.rows = conv_smaller(s->rows, s->out[HEIGHT] - p.row);
    return p;
}

void TN_FN(conv_run)(const TnCall *call, int64_t task, void *scratch) {
    if (call->operands[0].dtype == TN_F64) {
        conv_f64_run_common(call, task, scratch);
        return;
    }
    ConvShape s = shape_of(call);
    ConvPatch p = patch_of(&s, task / s.splits);
    if (s.winograd)
        TN_FN(conv_winograd)(&s, &p, task % s.splits, scratch);
    else if (s.product)
        TN_FN(conv_product)(&s, &p, task % s.splits, scratch);
    else
        TN_FN(conv_channels)(&s, &p, scratch);
}

/* to[i, j] = from[i rows + j columns] for a tile. */
static void gather_tile(float *to, const float *from, int64_t row, int64_t column, int64_t rows,
                        int64_t cols) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) to[i * cols + j] = from[i * row + j * column];
}

void TN_FN(conv_end)(const ConvShape *s, const ConvPatch *p, int64_t row, int64_t column,
                     int64_t rows, int64_t o, int64_t cols, float *tile, int64_t tile_row) {
    _Alignas(64) float gathered[TILE_MAX_ROWS * CONV_COLUMNS];
    const int64_t *ys = s->y_strides, *rs = s->residual_strides;
    float *y = s->y + conv_place(ys, p, row, column, o);
    bool dense = ys[1] == 1 || cols == 1;
    TileEnd end = {.bias = s->bias ? s->bias + o : NULL,
                   .c = dense ? y : tile,
                   .c_row = dense ? ys[2 + WIDTH] : tile_row,
                   .residual_row = rs[2 + WIDTH],
                   .activation = s->activation,
                   .residual_first = s->residual_first};
    if (s->residual) {
        end.residual = s->residual + conv_place(rs, p, row, column, o);
        if (rs[1] != 1 && cols > 1) {
            gather_tile(gathered, end.residual, rs[2 + WIDTH], rs[1], rows, cols);
            end.residual = gathered;
            end.residual_row = cols;
        }
    }
    TN_FN(tile_end)(&end, tile, tile_row, rows, cols);
    if (dense) return;
    if (ys[2 + WIDTH] == 1) {
        TN_FN(tile_kernels).transpose(y, ys[1], tile, tile_row, rows, cols, rows);
        return;
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            y[i * ys[2 + WIDTH] + j * ys[1]] = tile[i * tile_row + j];
}
