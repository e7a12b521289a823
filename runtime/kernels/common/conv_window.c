/* The window of a patch: the part of x that it reads, channels side by side.
 *
 * A copy holds kernel[DEPTH] planes of lines of places, zeros where there is padding. A place has
 * the channels of the group; or, for a block of outputs that belong to several groups, for each of
 * a group's channels in turn that channel of every output's group:
 *
 *     place[c block + o] = x[(first + o) / outputs * channels + c]
 */
#include <string.h>
#include "runtime/kernels/conv.h"
#include "runtime/kernels/isa.h"

/* Channels that lie apart, places side by side: blocks of TN_PANEL channels and places change their
 * types on either side of a transpose of floats. */
static void turn_places(const ConvShape *s, void *to, const void *x, int64_t n, int64_t channels) {
    _Alignas(64) float lines[TN_PANEL * TN_PANEL], places[TN_PANEL * TN_PANEL];
    const int64_t channel = s->x_strides[1];
    for (int64_t c = 0; c < channels; c += TN_PANEL) {
        int64_t some = conv_smaller(TN_PANEL, channels - c), wide;
        for (int64_t i = 0; i < n; i += wide) {
            wide = conv_smaller(TN_PANEL, n - i);
            for (int64_t k = 0; k < some; k++)
                s->isa->bf16->copy(lines + k * TN_PANEL, false,
                                   float_at(x, s->x_bf16, (c + k) * channel + i), s->x_bf16, wide);
            s->isa->tiles->transpose(places, TN_PANEL, lines, TN_PANEL, some, wide, some);
            for (int64_t k = 0; k < wide; k++)
                s->isa->bf16->copy(float_at(to, s->pairs, (i + k) * s->pitch + c), s->pairs,
                                   places + k * TN_PANEL, false, some);
        }
    }
}

/* The same of bf16, or to bf16, channels apart. */
static void convert_places(const ConvShape *s, void *to, const void *x, int64_t n,
                           int64_t channels) {
    int64_t place = s->x_strides[2 + WIDTH], channel = s->x_strides[1];
    if (place == 1 && channels > 3) {
        turn_places(s, to, x, n, channels);
        return;
    }
    if (place == 1 && s->x_bf16 && s->pairs) {
        const uint16_t *from = x;
        for (int64_t c = 0; c < channels; c++, from += channel)
            for (int64_t i = 0; i < n; i++) ((uint16_t *)to)[i * s->pitch + c] = from[i];
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const void *from = float_at(x, s->x_bf16, i * place);
        void *row = float_at(to, s->pairs, i * s->pitch);
        for (int64_t c = 0; c < channels; c++)
            float_set(row, s->pairs, c, float_get(from, s->x_bf16, c * channel));
    }
}

/* `n` places of `channels` channels from those at x on. */
static void copy_places(const ConvShape *s, float *to, const float *x, int64_t n,
                        int64_t channels) {
    int64_t place = s->x_strides[2 + WIDTH], channel = s->x_strides[1];
    if (channel == 1 && place == channels && s->pitch == channels) {
        s->isa->bf16->copy(to, s->pairs, x, s->x_bf16, n * channels);
    } else if (channel == 1) {
        s->isa->bf16->rows(to, s->pitch, s->pairs, x, place, s->x_bf16, n, channels);
    } else if (s->x_bf16 || s->pairs) {
        convert_places(s, to, x, n, channels);
    } else if (place == 1 && channels > 3) {
        for (int64_t c = 0; c < channels; c += TN_PANEL) {
            int64_t some = conv_smaller(TN_PANEL, channels - c);
            s->isa->tiles->transpose(to + c, s->pitch, x + c * channel, channel, some, n, some);
        }
    } else {
        for (int64_t c = 0; c < channels; c++)
            for (int64_t i = 0; i < n; i++) to[i * s->pitch + c] = x[c * channel + i * place];
    }
}

/* Places for `lanes` outputs from number `first` on, groups having several channels or outputs. */
static void copy_spread(const ConvShape *s, float *to, const void *x, int64_t n, int64_t first,
                        int64_t lanes) {
    for (int64_t c = 0; c < s->channels; c++)
        for (int64_t o = 0; o < lanes; o++) {
            int64_t channel = (first + o) / s->outputs * s->channels + c;
            const void *from = float_at(x, s->x_bf16, channel * s->x_strides[1]);
            for (int64_t i = 0; i < n; i++)
                to[i * s->pitch + c * s->block + o] =
                    float_get(from, s->x_bf16, i * s->x_strides[2 + WIDTH]);
        }
}

static int64_t columns_read(const ConvShape *s, int64_t results) {
    return (results - 1) * s->stride[WIDTH] + (s->kernel[WIDTH] - 1) * s->dilation[WIDTH] + 1;
}

/* One line; `x` is the first place of that line of x, NULL: all padding. */
static void copy_line(const ConvShape *s, const ConvPatch *p, void *to, const void *x) {
    const size_t place = (size_t)(s->pitch * float_size(s->pairs));
    int64_t at = p->column * s->stride[WIDTH] - s->pad[WIDTH];
    int64_t n = columns_read(s, p->columns);
    int64_t begin = at < 0 ? conv_smaller(-at, n) : 0;
    int64_t end = s->in[WIDTH] > at ? conv_smaller(s->in[WIDTH] - at, n) : 0;
    if (end < begin || !x) end = begin;
    memset(to, 0, (size_t)begin * place);
    memset((char *)to + (size_t)end * place, 0, (size_t)(n - end) * place);
    if (s->pairs && s->run % 2) float_set(to, true, n * s->pitch, 0); /* of the last row's pair */
    if (end == begin) return;
    to = (char *)to + (size_t)begin * place;
    x = float_at(x, s->x_bf16, (at + begin) * s->x_strides[2 + WIDTH]);
    if (s->way != CONV_CHANNELS) {
        x = float_at(x, s->x_bf16, p->set * s->channels * s->x_strides[1]);
        copy_places(s, to, x, end - begin, s->channels);
        return;
    }
    int64_t o = p->set * s->block, lanes = conv_smaller(s->block, s->groups * s->outputs - o);
    if (lanes < s->block) memset(to, 0, (size_t)(end - begin) * place);
    if (s->channels == 1 && s->outputs == 1)
        copy_places(s, to, float_at(x, s->x_bf16, o * s->x_strides[1]), end - begin, lanes);
    else
        copy_spread(s, to, x, end - begin, o, lanes);
}

ConvWindow tn_conv_copy(const ConvShape *s, const ConvPatch *p, void *scratch) {
    const int64_t *xs = s->x_strides;
    ConvWindow window = {.x = scratch, .column = s->pitch};
    window.line = s->input_columns * s->pitch;
    window.plane = s->input_rows * window.line;
    int64_t first = p->row * s->stride[HEIGHT] - s->pad[HEIGHT];
    int64_t lines =
        (p->rows - 1) * s->stride[HEIGHT] + (s->kernel[HEIGHT] - 1) * s->dilation[HEIGHT] + 1;
    window.end[0] = lines;
    window.end[1] = columns_read(s, p->columns);
    for (int64_t k = 0; k < s->kernel[DEPTH]; k++) {
        int64_t d = p->depth * s->stride[DEPTH] + k * s->dilation[DEPTH] - s->pad[DEPTH];
        bool inside = d >= 0 && d < s->in[DEPTH];
        for (int64_t i = 0; i < lines; i++) {
            int64_t h = first + i;
            const void *line = NULL;
            if (inside && h >= 0 && h < s->in[HEIGHT])
                line = float_at(s->x, s->x_bf16,
                                p->b * xs[0] + d * xs[2 + DEPTH] + h * xs[2 + HEIGHT]);
            copy_line(s, p, float_at(scratch, s->pairs, k * window.plane + i * window.line), line);
        }
    }
    return window;
}
