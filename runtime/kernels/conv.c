/* conv: direct convolution, channels first, f32 (f64: conv_f64.c), up to three spatial axes, groups
 * g, zero padding.
 *
 *     y[b, o, p] = bias[o] + sum over c, k of x[b, g C + c, p stride + k dilation - pad] w[o, c, k]
 *
 * x and y may have any strides; w is dense [O, C, kernel], bias dense [O]. Missing spatial axes
 * count as extent 1.
 *
 * A unit of work is a patch of the result: one batch, one group, one depth, `rows` rows by `width`
 * columns, all channels of the group. The part of x it needs is first copied to scratch with the
 * padding written out, the columns of every row split by their remainder modulo the stride,
 *
 *     input[c][kernel depth][row][phase][i] = x at column i stride + phase - pad
 *
 * so that a tap (c, k) is one offset, and neighbouring results read neighbouring floats at any
 * stride. Many channels are a product with what the taps find (conv_product.c). Of a few, such as
 * the one of a depthwise convolution, up to 8 vectors of results stay in registers over all taps.
 * When there are few patches, their channels are split over tasks. */
#include <string.h>
#include "runtime/kernels/conv.h"
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/simd.h"
#include "runtime/params.h"

TN_FAMILY(conv);

#define PATCH            128 /* results per channel in a unit, about; fewer where units are few */
#define PATCH_LEAST      32
#define PATCH_RESULTS    2048   /* results of all channels in a unit, at least */
#define TASKS            8      /* wanted at least, so that threads share small images */
#define PRODUCT_LEAST    8      /* channels of a group for which a product pays */
#define PRODUCT_CHANNELS 64     /* per task, at least */
#define PRODUCT_FLOATS   131072 /* of packed input in a unit, about */
#define MAX_VECTORS      8 /* of a tile with one channel: enough to hide the latency of additions */

/* Spreads the spatial axes of a tensor over DEPTH, HEIGHT, WIDTH; missing ones are extent 1. */
static void spatial_axes(const TnTensor *t, int64_t *dims, int64_t *strides) {
    int spatial = t->rank - 2;
    for (int i = 0; i < SPATIAL; i++) {
        int from = i - (SPATIAL - spatial);
        dims[i] = from < 0 ? 1 : t->dims[2 + from];
        if (strides) strides[2 + i] = from < 0 ? 0 : t->strides[2 + from];
    }
    for (int i = 0; strides && i < 2; i++) strides[i] = t->strides[i];
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t patches(const ConvShape *s) {
    return s->batch * s->groups * s->out[DEPTH] * s->row_patches * s->column_patches;
}

static void cut_patches(ConvShape *s, int64_t results) {
    s->width = smaller(s->out[WIDTH], results);
    s->rows = smaller(s->out[HEIGHT], TN_CEIL_DIV(results, s->width));
    s->row_patches = TN_CEIL_DIV(s->out[HEIGHT], s->rows);
    s->column_patches = TN_CEIL_DIV(s->out[WIDTH], s->width);
}

/* Large patches read the weights less often; small ones, then fewer channels per task, make more
 * tasks. A product that is split packs its input again in each part. */
static void choose_patch(ConvShape *s) {
    int64_t results = PATCH_RESULTS / s->outputs > PATCH ? PATCH_RESULTS / s->outputs : PATCH;
    int64_t unit = s->product ? PRODUCT_CHANNELS : 1, blocks, ready = TASKS;
    blocks = TN_CEIL_DIV(s->outputs, unit);
    if (s->product) {
        results = PRODUCT_FLOATS / s->taps;
        results = results < PATCH / 2 ? PATCH / 2 : results > 2 * PATCH ? 2 * PATCH : results;
        ready = TN_CEIL_DIV(TASKS, blocks);
    }
    cut_patches(s, results);
    for (; results > PATCH_LEAST && patches(s) < ready; results /= 2) cut_patches(s, results / 2);
    s->input_rows =
        (s->rows - 1) * s->stride[HEIGHT] + (s->kernel[HEIGHT] - 1) * s->dilation[HEIGHT] + 1;
    int64_t reach = (s->kernel[WIDTH] - 1) * s->dilation[WIDTH] / s->stride[WIDTH];
    s->phase_columns = s->width + reach + VF_WIDTH; /* the last vector may reach beyond the patch */

    int64_t splits = smaller(TN_CEIL_DIV(TASKS, patches(s)), blocks);
    s->split_channels = TN_CEIL_DIV(blocks, splits) * unit;
    s->splits = TN_CEIL_DIV(s->outputs, s->split_channels);
}

static ConvShape shape_of(const TnCall *call) {
    const ParamsConv *params = call->params;
    const TnTensor *x = &call->operands[0], *w = &call->operands[1];
    const TnTensor *y = &call->operands[call->inputs];
    ConvShape s = {
        .x = x->data, .w = w->data, .y = y->data, .batch = x->dims[0], .groups = params->groups};
    s.bias = call->inputs > 2 ? call->operands[2].data : NULL;
    s.channels = w->dims[1];
    s.outputs = w->dims[0] / s.groups;
    spatial_axes(x, s.in, s.x_strides);
    spatial_axes(y, s.out, s.y_strides);
    spatial_axes(w, s.kernel, NULL);
    for (int i = 0; i < SPATIAL; i++) {
        int from = i - (SPATIAL - (x->rank - 2));
        s.stride[i] = from < 0 ? 1 : params->stride[from];
        s.dilation[i] = from < 0 ? 1 : params->dilation[from];
        s.pad[i] = from < 0 ? 0 : params->pad_begin[from];
    }
    s.taps = s.channels * s.kernel[DEPTH] * s.kernel[HEIGHT] * s.kernel[WIDTH];
    s.product = s.outputs >= PRODUCT_LEAST;
    choose_patch(&s);
    /* its offsets are of 32 bits */
    if (s.input_rows * s.stride[WIDTH] * s.phase_columns > INT32_MAX) s.product = false;
    return s;
}

static int64_t input_floats(const ConvShape *s) {
    return s->channels * s->kernel[DEPTH] * s->input_rows * s->stride[WIDTH] * s->phase_columns;
}

void TN_FN(conv_plan)(TnCall *call) {
    int64_t results = tensor_elements(&call->operands[call->inputs]);
    call->tasks = call->work = 0;
    call->scratch_bytes = 0;
    if (results == 0) return;
    if (call->operands[0].dtype == TN_F64) {
        TN_FN(conv_f64_plan)(call);
        return;
    }
    ConvShape s = shape_of(call);
    call->tasks = patches(&s) * s.splits;
    call->work = results * (s.taps + 1) / 16;
    call->scratch_bytes =
        (size_t)input_floats(&s) * sizeof(float) + (size_t)s.taps * sizeof(int64_t);
    if (s.product) call->scratch_bytes += TN_FN(conv_product_scratch)(&s);
}

/* One row of x into its phases; `row` NULL means padding.
 * `first` is the patch's first input column. */
static void split_row(const ConvShape *s, float *to, const float *row, int64_t first) {
    int64_t step = s->stride[WIDTH], stride = s->x_strides[2 + WIDTH], extent = s->in[WIDTH];
    for (int64_t phase = 0; phase < step; phase++, to += s->phase_columns) {
        int64_t n = s->phase_columns, at = first + phase, begin = 0, end = 0;
        if (row) {
            begin = at < 0 ? smaller(TN_CEIL_DIV(-at, step), n) : 0;
            end = extent > at ? smaller(TN_CEIL_DIV(extent - at, step), n) : 0;
        }
        if (end < begin) end = begin;
        for (int64_t i = 0; i < begin; i++) to[i] = 0;
        if (step == 1 && stride == 1 && end > begin)
            memcpy(to + begin, row + at + begin, (size_t)(end - begin) * sizeof(float));
        else
            for (int64_t i = begin; i < end; i++) to[i] = row[(at + i * step) * stride];
        for (int64_t i = end; i < n; i++) to[i] = 0;
    }
}

static ConvPatch patch_of(const ConvShape *s, int64_t unit) {
    ConvPatch p;
    p.column = unit % s->column_patches * s->width;
    unit /= s->column_patches;
    p.row = unit % s->row_patches * s->rows;
    unit /= s->row_patches;
    p.depth = unit % s->out[DEPTH];
    unit /= s->out[DEPTH];
    p.g = unit % s->groups;
    p.b = unit / s->groups;
    p.columns = smaller(s->width, s->out[WIDTH] - p.column);
    p.rows = smaller(s->rows, s->out[HEIGHT] - p.row);
    return p;
}

static void copy_input(const ConvShape *s, const ConvPatch *p, float *input) {
    int64_t row_floats = s->stride[WIDTH] * s->phase_columns;
    int64_t first = p->column * s->stride[WIDTH] - s->pad[WIDTH];
    for (int64_t c = 0; c < s->channels; c++) {
        const float *x = s->x + p->b * s->x_strides[0] + (p->g * s->channels + c) * s->x_strides[1];
        for (int64_t kd = 0; kd < s->kernel[DEPTH]; kd++) {
            int64_t d = p->depth * s->stride[DEPTH] + kd * s->dilation[DEPTH] - s->pad[DEPTH];
            int inside = d >= 0 && d < s->in[DEPTH];
            for (int64_t r = 0; r < s->input_rows; r++, input += row_floats) {
                int64_t h = p->row * s->stride[HEIGHT] + r - s->pad[HEIGHT];
                int present = inside && h >= 0 && h < s->in[HEIGHT];
                int64_t offset = d * s->x_strides[2 + DEPTH] + h * s->x_strides[2 + HEIGHT];
                split_row(s, input, present ? x + offset : NULL, first);
            }
        }
    }
}

/* Where each tap finds its input, relative to the result's place. */
static void list_taps(const ConvShape *s, int64_t *taps) {
    int64_t row_floats = s->stride[WIDTH] * s->phase_columns;
    for (int64_t plane = 0; plane < s->channels * s->kernel[DEPTH]; plane++)
        for (int64_t kh = 0; kh < s->kernel[HEIGHT]; kh++)
            for (int64_t kw = 0; kw < s->kernel[WIDTH]; kw++) {
                int64_t column = kw * s->dilation[WIDTH], phase = column % s->stride[WIDTH];
                int64_t row = plane * s->input_rows + kh * s->dilation[HEIGHT];
                *taps++ = row * row_floats + phase * s->phase_columns + column / s->stride[WIDTH];
            }
}

/* Vectors of results anywhere in the patch: where each finds its input and has its results. */
typedef struct Tile {
    const float *w;
    float bias;
    const float *input[MAX_VECTORS];
    float *y[MAX_VECTORS];
    int64_t lanes[MAX_VECTORS]; /* results there are; at most VF_WIDTH */
} Tile;

static void store_vector(const ConvShape *s, float *y, vf sum, int64_t lanes) {
    int64_t stride = s->y_strides[2 + WIDTH];
    float lane[VF_WIDTH];
    if (stride == 1) {
        vf_store_n(y, sum, lanes);
        return;
    }
    vf_store(lane, sum);
    for (int64_t i = 0; i < lanes; i++) y[i * stride] = lane[i];
}

/* `vectors` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void run_tile(const ConvShape *s, const Tile *tile,
                                                           const int64_t *taps, int vectors) {
    vf sum[MAX_VECTORS];
    const float *input[MAX_VECTORS], *w = tile->w;
    const int64_t count = s->taps;
    for (int v = 0; v < vectors; v++) sum[v] = vf_set1(tile->bias);
    for (int v = 0; v < vectors; v++) input[v] = tile->input[v];
    for (int64_t t = 0; t < count; t++) {
        const vf weight = vf_set1(w[t]);
        const int64_t at = taps[t];
        for (int v = 0; v < vectors; v++) sum[v] = vf_fma(weight, vf_load(input[v] + at), sum[v]);
    }
    for (int v = 0; v < vectors; v++) store_vector(s, tile->y[v], sum[v], tile->lanes[v]);
}

/* All results of a patch for channel o of the group. */
static void run_channel(const ConvShape *s, const ConvPatch *p, const int64_t *taps,
                        const float *input, int64_t o) {
    int64_t out = p->g * s->outputs + o, column = 0;
    int64_t x_row = s->stride[HEIGHT] * s->stride[WIDTH] * s->phase_columns;
    int64_t y_row = s->y_strides[2 + HEIGHT], y_column = s->y_strides[2 + WIDTH];
    float *y = s->y + p->b * s->y_strides[0] + out * s->y_strides[1] +
               p->depth * s->y_strides[2 + DEPTH] + p->row * y_row + p->column * y_column;
    int64_t left = p->rows * TN_CEIL_DIV(p->columns, VF_WIDTH);
    Tile tile = {.w = s->w + out * s->taps, .bias = s->bias ? s->bias[out] : 0};
    while (left > 0) {
        int vectors = left >= MAX_VECTORS ? MAX_VECTORS : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        for (int v = 0; v < vectors; v++) {
            tile.input[v] = input + column;
            tile.y[v] = y + column * y_column;
            tile.lanes[v] = smaller(p->columns - column, VF_WIDTH);
            column += VF_WIDTH;
            if (column < p->columns) continue;
            column = 0;
            input += x_row;
            y += y_row;
        }
        switch (vectors) {
        case MAX_VECTORS: run_tile(s, &tile, taps, MAX_VECTORS); break;
        case 4: run_tile(s, &tile, taps, 4); break;
        case 2: run_tile(s, &tile, taps, 2); break;
        default: run_tile(s, &tile, taps, 1);
        }
        left -= vectors;
    }
}

void TN_FN(conv_run)(const TnCall *call, int64_t task, void *scratch) {
    if (call->operands[0].dtype == TN_F64) {
        TN_FN(conv_f64_run)(call, task, scratch);
        return;
    }
    ConvShape s = shape_of(call);
    ConvPatch p = patch_of(&s, task / s.splits);
    int64_t *taps = scratch;
    float *input = (float *)(taps + s.taps);
    list_taps(&s, taps);
    copy_input(&s, &p, input);
    int64_t o = task % s.splits * s.split_channels, end = smaller(o + s.split_channels, s.outputs);
    if (s.product) TN_FN(conv_product)(&s, &p, taps, input, input + input_floats(&s), o, end);
    for (; !s.product && o < end; o++) run_channel(&s, &p, taps, input, o);
}
