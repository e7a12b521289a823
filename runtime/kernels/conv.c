/* conv: direct convolution, channels first, f32, up to three spatial axes, groups g, zero padding.
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
 * stride. Then tiles of up to 8 channels by 2 vectors of columns stay in registers over all taps;
 * weights are broadcast. */
#include <string.h>
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/simd.h"
#include "runtime/params.h"

TN_FAMILY(conv);

#define PATCH          128 /* results per channel in a unit, about */
#define TILE_CHANNELS  8
#define TILE_VECTORS   2
#define SINGLE_VECTORS 8 /* one channel takes more columns, to hide the latency of additions */

enum { DEPTH, HEIGHT, WIDTH, SPATIAL };

typedef struct Shape {
    const float *x, *w, *bias;
    float *y;
    int64_t batch, groups, channels, outputs; /* channels and outputs of one group */
    int64_t in[SPATIAL], out[SPATIAL], kernel[SPATIAL];
    int64_t stride[SPATIAL], dilation[SPATIAL], pad[SPATIAL];
    int64_t x_strides[2 + SPATIAL], y_strides[2 + SPATIAL];
    int64_t rows, width; /* of a patch */
    int64_t row_patches, column_patches;
    int64_t input_rows, phase_columns; /* of a patch's input */
    int64_t taps;
} Shape;

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

static Shape shape_of(const TnCall *call) {
    const ParamsConv *params = call->params;
    const TnTensor *x = &call->operands[0], *w = &call->operands[1];
    const TnTensor *y = &call->operands[call->inputs];
    Shape s = {
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
    s.width = smaller(s.out[WIDTH], PATCH);
    s.rows = s.width > 0 ? smaller(s.out[HEIGHT], TN_CEIL_DIV(PATCH, s.width)) : 1;
    if (s.rows < 1) s.rows = 1;
    s.row_patches = TN_CEIL_DIV(s.out[HEIGHT], s.rows);
    s.column_patches = s.width > 0 ? TN_CEIL_DIV(s.out[WIDTH], s.width) : 0;
    s.input_rows =
        (s.rows - 1) * s.stride[HEIGHT] + (s.kernel[HEIGHT] - 1) * s.dilation[HEIGHT] + 1;
    int64_t reach = (s.kernel[WIDTH] - 1) * s.dilation[WIDTH] / s.stride[WIDTH];
    s.phase_columns =
        s.width + reach + SINGLE_VECTORS * VF_WIDTH; /* a tile may read beyond the patch */
    s.taps = s.channels * s.kernel[DEPTH] * s.kernel[HEIGHT] * s.kernel[WIDTH];
    return s;
}

static int64_t input_floats(const Shape *s) {
    return s->channels * s->kernel[DEPTH] * s->input_rows * s->stride[WIDTH] * s->phase_columns;
}

void TN_FN(conv_plan)(TnCall *call) {
    Shape s = shape_of(call);
    int64_t results = s.batch * s.groups * s.outputs * s.out[DEPTH] * s.out[HEIGHT] * s.out[WIDTH];
    int64_t units = s.batch * s.groups * s.out[DEPTH] * s.row_patches * s.column_patches;
    call->tasks = results == 0 ? 0 : units;
    call->work = results * (s.taps + 1) / 16;
    call->scratch_bytes =
        (size_t)input_floats(&s) * sizeof(float) + (size_t)s.taps * sizeof(int64_t);
}

/* One row of x into its phases; `row` NULL means padding. `first` is the patch's first input
 * column. */
static void split_row(const Shape *s, float *to, const float *row, int64_t first) {
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

typedef struct Patch {
    int64_t b, g, depth, row, column; /* first result */
    int64_t rows, columns;
} Patch;

static Patch patch_of(const Shape *s, int64_t unit) {
    Patch p;
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

static void copy_input(const Shape *s, const Patch *p, float *input) {
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
static void list_taps(const Shape *s, int64_t *taps) {
    int64_t row_floats = s->stride[WIDTH] * s->phase_columns;
    for (int64_t plane = 0; plane < s->channels * s->kernel[DEPTH]; plane++)
        for (int64_t kh = 0; kh < s->kernel[HEIGHT]; kh++)
            for (int64_t kw = 0; kw < s->kernel[WIDTH]; kw++) {
                int64_t column = kw * s->dilation[WIDTH], phase = column % s->stride[WIDTH];
                int64_t row = plane * s->input_rows + kh * s->dilation[HEIGHT];
                *taps++ = row * row_floats + phase * s->phase_columns + column / s->stride[WIDTH];
            }
}

/* `channels` x (`vectors` VF_WIDTH) results; both are constants where this is inlined. */
static inline __attribute__((always_inline)) void tile(const Shape *s, const int64_t *taps,
                                                       const float *input, const float *w,
                                                       const float *bias, float *y, int64_t n,
                                                       int channels, int vectors) {
    vf sum[TILE_CHANNELS][SINGLE_VECTORS];
    for (int o = 0; o < channels; o++)
        for (int v = 0; v < vectors; v++) sum[o][v] = vf_set1(bias ? bias[o] : 0);
    for (int64_t t = 0; t < s->taps; t++) {
        const float *from = input + taps[t];
        vf x[SINGLE_VECTORS];
        for (int v = 0; v < vectors; v++) x[v] = vf_load(from + v * VF_WIDTH);
        for (int o = 0; o < channels; o++) {
            vf weight = vf_set1(w[o * s->taps + t]);
            for (int v = 0; v < vectors; v++) sum[o][v] = vf_fma(weight, x[v], sum[o][v]);
        }
    }
    int64_t stride = s->y_strides[2 + WIDTH];
    for (int o = 0; o < channels; o++, y += s->y_strides[1])
        for (int v = 0; v < vectors && v * VF_WIDTH < n; v++) {
            int64_t rest = smaller(n - v * VF_WIDTH, VF_WIDTH);
            float *to = y + v * VF_WIDTH * stride, lane[VF_WIDTH];
            if (stride == 1) {
                vf_store_n(to, sum[o][v], rest);
                continue;
            }
            vf_store(lane, sum[o][v]);
            for (int64_t i = 0; i < rest; i++) to[i * stride] = lane[i];
        }
}

/* One row of the patch for `channels` channels from o on. */
static void row_of_tiles(const Shape *s, const Patch *p, const int64_t *taps, const float *input,
                         int64_t row, int64_t o, int channels) {
    int64_t out = p->g * s->outputs + o;
    const float *w = s->w + out * s->taps, *bias = s->bias ? s->bias + out : NULL;
    float *y = s->y + p->b * s->y_strides[0] + out * s->y_strides[1] +
               p->depth * s->y_strides[2 + DEPTH] + (p->row + row) * s->y_strides[2 + HEIGHT] +
               p->column * s->y_strides[2 + WIDTH];
    int64_t vectors = channels == 1 ? SINGLE_VECTORS : TILE_VECTORS;
    input += row * s->stride[HEIGHT] * s->stride[WIDTH] * s->phase_columns;
    for (int64_t i = 0; i < p->columns; i += vectors * VF_WIDTH) {
        float *to = y + i * s->y_strides[2 + WIDTH];
        int64_t rest = p->columns - i;
        if (channels == 1)
            tile(s, taps, input + i, w, bias, to, rest, 1, SINGLE_VECTORS);
        else if (rest <= VF_WIDTH)
            tile(s, taps, input + i, w, bias, to, rest, TILE_CHANNELS, 1);
        else
            tile(s, taps, input + i, w, bias, to, rest, TILE_CHANNELS, TILE_VECTORS);
    }
}

void TN_FN(conv_run)(const TnCall *call, int64_t task, void *scratch) {
    Shape s = shape_of(call);
    Patch p = patch_of(&s, task);
    int64_t *taps = scratch;
    float *input = (float *)(taps + s.taps);
    list_taps(&s, taps);
    copy_input(&s, &p, input);
    for (int64_t o = 0, step; o < s.outputs; o += step) {
        step = s.outputs - o >= TILE_CHANNELS ? TILE_CHANNELS : 1;
        for (int64_t row = 0; row < p.rows; row++)
            row_of_tiles(&s, &p, taps, input, row, o, (int)step);
    }
}
