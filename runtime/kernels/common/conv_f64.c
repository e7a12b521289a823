/* conv of f64; see ../conv.c for what is computed. Exact integer convolutions run here too.
 *
 * A unit of work is some rows of results for up to four channels of a group: for every tap a row of
 * x is added to the rows of these channels, which lie in scratch. */
#include "runtime/kernels/conv.h"
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/params.h"

#define CHANNELS  4
#define LANES     8
#define TASK_WORK 131072

enum { TILE_ROWS };

typedef struct Shape {
    const double *w, *bias;
    const TnTensor *x, *y;
    int64_t groups, channels, outputs; /* channels and outputs of one group */
    int64_t blocks;                    /* of outputs in a group */
    int64_t in[SPATIAL], out[SPATIAL], kernel[SPATIAL];
    int64_t stride[SPATIAL], dilation[SPATIAL], pad[SPATIAL], xs[SPATIAL], ys[SPATIAL];
} Shape;

static Shape shape_of(const TnCall *call) {
    const ParamsConv *p = call->params;
    const TnTensor *x = &call->operands[0], *w = &call->operands[1];
    const TnTensor *y = &call->operands[call->inputs];
    Shape s = {.w = w->data, .x = x, .y = y, .groups = p->groups, .channels = w->dims[1]};
    s.bias = call->inputs > 2 ? call->operands[2].data : NULL;
    s.outputs = w->dims[0] / s.groups;
    s.blocks = TN_CEIL_DIV(s.outputs, CHANNELS);
    for (int i = 0; i < SPATIAL; i++) {
        int from = i - (SPATIAL - (int)p->spatial);
        s.in[i] = from < 0 ? 1 : x->dims[2 + from];
        s.out[i] = from < 0 ? 1 : y->dims[2 + from];
        s.kernel[i] = from < 0 ? 1 : w->dims[2 + from];
        s.xs[i] = from < 0 ? 0 : x->strides[2 + from];
        s.ys[i] = from < 0 ? 0 : y->strides[2 + from];
        s.stride[i] = from < 0 ? 1 : p->stride[from];
        s.dilation[i] = from < 0 ? 1 : p->dilation[from];
        s.pad[i] = from < 0 ? 0 : p->pad_begin[from];
    }
    return s;
}

void conv_f64_plan_common(TnCall *call) {
    Shape s = shape_of(call);
    int64_t taps = s.channels * s.kernel[DEPTH] * s.kernel[HEIGHT] * s.kernel[WIDTH];
    int64_t row_work = s.out[WIDTH] * CHANNELS * (taps + 1), rows = s.out[DEPTH] * s.out[HEIGHT];
    int64_t some = row_work < TASK_WORK ? TASK_WORK / row_work : 1;
    call->tile[TILE_ROWS] = some < rows ? some : rows;
    call->tasks = s.x->dims[0] * s.groups * s.blocks * TN_CEIL_DIV(rows, call->tile[TILE_ROWS]);
    call->work = tensor_elements(s.y) * (taps + 1) / 4;
    call->scratch_bytes = (size_t)(CHANNELS * s.out[WIDTH]) * sizeof(double);
}

/* sum[o][i] += w[o] x[i step] for the four channels. */
static void add_four(double *sum, int64_t pitch, const double *w, const double *x, int64_t step,
                     int64_t n) {
    int64_t i = 0;
    for (; step == 1 && i + LANES <= n; i += LANES)
        for (int o = 0; o < CHANNELS; o++) {
            double *restrict to = sum + o * pitch + i;
            for (int j = 0; j < LANES; j++) to[j] += w[o] * x[i + j];
        }
    for (; i < n; i++)
        for (int o = 0; o < CHANNELS; o++) sum[o * pitch + i] += w[o] * x[i * step];
}

/* A row of x, with the taps along it, into the sums; w: its first tap for the first channel. */
static void add_row(const Shape *s, double *sum, const double *row, const double *w,
                    int64_t w_pitch, int64_t count) {
    int64_t step = s->stride[WIDTH];
    for (int64_t k = 0; k < s->kernel[WIDTH]; k++) {
        int64_t at = k * s->dilation[WIDTH] - s->pad[WIDTH], last = s->out[WIDTH];
        int64_t first = at >= 0 ? 0 : TN_CEIL_DIV(-at, step);
        if (at + (last - 1) * step >= s->in[WIDTH])
            last = s->in[WIDTH] > at ? TN_CEIL_DIV(s->in[WIDTH] - at, step) : 0;
        if (first >= last) continue;
        double weight[CHANNELS] = {0};
        for (int64_t o = 0; o < count; o++) weight[o] = w[o * w_pitch + k];
        add_four(sum + first, s->out[WIDTH], weight, row + (at + first * step) * s->xs[WIDTH],
                 step * s->xs[WIDTH], last - first);
    }
}

/* The sums of one row of results of `count` channels from o on. */
static void sum_row(const Shape *s, double *sum, int64_t b, int64_t g, int64_t o, int64_t count,
                    int64_t depth, int64_t height) {
    int64_t plane_taps = s->kernel[DEPTH] * s->kernel[HEIGHT] * s->kernel[WIDTH];
    const double *x =
        (const double *)s->x->data + b * s->x->strides[0] + g * s->channels * s->x->strides[1];
    for (int64_t i = 0; i < CHANNELS * s->out[WIDTH]; i++) sum[i] = 0;
    for (int64_t c = 0; c < s->channels; c++) {
        for (int64_t kd = 0; kd < s->kernel[DEPTH]; kd++) {
            int64_t d = depth * s->stride[DEPTH] + kd * s->dilation[DEPTH] - s->pad[DEPTH];
            if (d < 0 || d >= s->in[DEPTH]) continue;
            for (int64_t kh = 0; kh < s->kernel[HEIGHT]; kh++) {
                int64_t h = height * s->stride[HEIGHT] + kh * s->dilation[HEIGHT] - s->pad[HEIGHT];
                if (h < 0 || h >= s->in[HEIGHT]) continue;
                const double *w = s->w + (o * s->channels + c) * plane_taps +
                                  (kd * s->kernel[HEIGHT] + kh) * s->kernel[WIDTH];
                add_row(s, sum, x + c * s->x->strides[1] + d * s->xs[DEPTH] + h * s->xs[HEIGHT], w,
                        s->channels * plane_taps, count);
            }
        }
    }
}

static void store_row(const Shape *s, const double *sum, int64_t b, int64_t o, int64_t count,
                      int64_t depth, int64_t height) {
    for (int64_t k = 0; k < count; k++, sum += s->out[WIDTH]) {
        double *y = (double *)s->y->data + b * s->y->strides[0] + (o + k) * s->y->strides[1] +
                    depth * s->ys[DEPTH] + height * s->ys[HEIGHT];
        double bias = s->bias ? s->bias[o + k] : 0;
        for (int64_t i = 0; i < s->out[WIDTH]; i++) y[i * s->ys[WIDTH]] = sum[i] + bias;
    }
}

void conv_f64_run_common(const TnCall *call, int64_t task, void *scratch) {
    Shape s = shape_of(call);
    int64_t rows = s.out[DEPTH] * s.out[HEIGHT], some = call->tile[TILE_ROWS];
    int64_t parts = TN_CEIL_DIV(rows, some), row = task % parts * some, end = row + some;
    task /= parts;
    int64_t block = task % s.blocks, g = task / s.blocks % s.groups, b = task / s.blocks / s.groups;
    int64_t o = block * CHANNELS, count = s.outputs - o < CHANNELS ? s.outputs - o : CHANNELS;
    o += g * s.outputs;
    if (end > rows) end = rows;
    for (; row < end; row++) {
        int64_t depth = row / s.out[HEIGHT], height = row % s.out[HEIGHT];
        sum_row(&s, scratch, b, g, o, count, depth, height);
        store_row(&s, scratch, b, o, count, depth, height);
    }
}
