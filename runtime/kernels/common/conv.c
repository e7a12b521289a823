/* conv: convolution in up to three spatial axes, groups g, zero padding; x, y and the residual are
 * f32 or bf16, or all f64 (conv_f64.c).
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
 * both by a transform (conv_winograd.c). Few outputs are sums of what each place gives to
 * each tap (conv_places.c). Where groups have few outputs, as in a depthwise convolution,
 * lanes are outputs of neighbouring groups (conv_channels.c). */
#include "runtime/kernels/conv.h"
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"

TN_COMMON_FAMILY(conv);

static const struct {
    size_t (*scratch_bytes)(const ConvShape *s); /* beside a window's */
    void (*run)(const ConvShape *s, const ConvPatch *p, int64_t split, void *scratch);
} ways[] = {
    [CONV_PRODUCT] = {tn_conv_product_scratch, tn_conv_product},
    [CONV_WINOGRAD] = {tn_conv_winograd_scratch, tn_conv_winograd},
    [CONV_PLACES] = {tn_conv_places_scratch, tn_conv_places},
    [CONV_CHANNELS] = {tn_conv_channels_scratch, tn_conv_channels},
};

void conv_plan_common(TnCall *call) {
    call->tasks = call->work = 0;
    call->scratch_bytes = 0;
    if (tensor_elements(&call->operands[call->inputs]) == 0) return;
    if (call->operands[0].dtype == TN_F64) {
        conv_f64_plan_common(call);
        return;
    }
    ConvShape s;
    tn_conv_shape(call, &s);
    call->tasks = conv_patches(&s) * s.splits;
    call->work = (int64_t)s.nanoseconds;
    call->scratch_bytes =
        (size_t)conv_window_floats(&s) * sizeof(float) + ways[s.way].scratch_bytes(&s);
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

void conv_run_common(const TnCall *call, int64_t task, void *scratch) {
    if (call->operands[0].dtype == TN_F64) {
        conv_f64_run_common(call, task, scratch);
        return;
    }
    ConvShape s;
    tn_conv_shape(call, &s);
    ConvPatch p = patch_of(&s, task / s.splits);
    ways[s.way].run(&s, &p, task % s.splits, scratch);
}

/* to[i, j] = from[i rows + j columns] for a tile. */
static void gather_tile(float *to, const void *from, bool bf16, int64_t row, int64_t column,
                        int64_t rows, int64_t cols) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            to[i * cols + j] = float_get(from, bf16, i * row + j * column);
}

TileEnd tn_conv_end_of(const ConvShape *s, const ConvPatch *p, int64_t row, int64_t column,
                       int64_t o) {
    const int64_t *ys = s->y_strides, *rs = s->residual_strides;
    TileEnd end = {.bias = s->bias ? s->bias + o : NULL,
                   .c = conv_y_at(s, conv_place(ys, p, row, column, o)),
                   .c_bf16 = s->y_bf16,
                   .c_row = ys[2 + WIDTH],
                   .residual_row = rs[2 + WIDTH],
                   .residual_bf16 = s->residual_bf16,
                   .activation = s->activation,
                   .residual_first = s->residual_first};
    if (s->residual) end.residual = conv_residual_at(s, conv_place(rs, p, row, column, o));
    return end;
}

void tn_conv_end(const ConvShape *s, const TileEnd *e, int64_t rows, int64_t cols, float *tile,
                 int64_t tile_row) {
    _Alignas(64) float gathered[TILE_MAX_ROWS * CONV_COLUMNS];
    const int64_t *ys = s->y_strides, *rs = s->residual_strides;
    TileEnd end = *e;
    const bool dense = ys[1] == 1 || cols == 1;
    if (!dense) {
        end.c = tile;
        end.c_bf16 = false;
        end.c_row = tile_row;
    }
    if (end.residual && rs[1] != 1 && cols > 1) {
        gather_tile(gathered, end.residual, s->residual_bf16, rs[2 + WIDTH], rs[1], rows, cols);
        end.residual = gathered;
        end.residual_bf16 = false;
        end.residual_row = cols;
    }
    s->isa->tiles->end(&end, tile, tile_row, rows, cols);
    if (dense) return;
    if (ys[2 + WIDTH] == 1 && !s->y_bf16) {
        s->isa->tiles->transpose(e->c, ys[1], tile, tile_row, rows, cols, rows);
        return;
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++)
            float_set(e->c, s->y_bf16, i * ys[2 + WIDTH] + j * ys[1], tile[i * tile_row + j]);
}
