/* conv whose groups have few outputs: lanes are outputs of neighbouring groups.
 *
 *     y[p, o] = bias[o] + sum over taps t of window[p's place + tap[t] + o] w[t, o]
 *
 * (a tap being a place of the kernel and a channel of the group). Up to 8 neighbouring results of a
 * vector of outputs stay in registers. Where these step through neighbouring places, each place
 * loaded serves all taps along WIDTH that find it; of 3 x 3 taps all of them, columns being done
 * from top to bottom.
 *
 * Columns whose taps along WIDTH all lie in x are done there, rows near the edge with fewer taps;
 * so are those of neighbouring places, of which some are padding then. The others, and those of an
 * x in another form, have their window copied. */
#include <string.h>
#include "runtime/kernels/conv.h"

static int64_t tap_count(const ConvShape *s) {
    return s->taps * s->channels;
}

size_t tn_conv_channels_scratch(const ConvShape *s) {
    int64_t taps = tap_count(s);
    return (size_t)(taps + taps % 2) * sizeof(int64_t) + (size_t)(taps * s->block) * sizeof(float);
}

/* The weights of one tap for outputs o.. ; zeros beyond the last. */
static void pack_tap(const ConvShape *s, const float *from, int64_t o, float *w) {
    int64_t lanes = conv_smaller(s->block, s->groups * s->outputs - o), stride = s->w_strides[0];
    from += o * stride;
    if (stride == 1)
        memcpy(w, from, (size_t)lanes * sizeof *w);
    else
        for (int64_t i = 0; i < lanes; i++) w[i] = from[i * stride];
    for (int64_t i = lanes; i < s->block; i++) w[i] = 0;
}

static void pack_weights(const ConvShape *s, int64_t o, float *to) {
    const int64_t *ws = s->w_strides;
    for (int64_t d = 0; d < s->kernel[DEPTH]; d++)
        for (int64_t h = 0; h < s->kernel[HEIGHT]; h++)
            for (int64_t w = 0; w < s->kernel[WIDTH]; w++)
                for (int64_t c = 0; c < s->channels; c++, to += s->block)
                    pack_tap(s,
                             (const float *)s->w->data + c * ws[1] + d * ws[2 + DEPTH] +
                                 h * ws[2 + HEIGHT] + w * ws[2 + WIDTH],
                             o, to);
}

/* Weights are used where they are if all outputs of a tap lie side by side, one tap after another,
 * and blocks are full: so the compiler stores them. */
static bool in_rows(const ConvShape *s) {
    int64_t outputs = s->groups * s->outputs, row = outputs;
    const int64_t *ws = s->w_strides;
    if (ws[0] != 1 || outputs % CONV_LANES) return false;
    if (s->channels > 1 && ws[1] != row) return false;
    row *= s->channels;
    for (int i = WIDTH; i >= DEPTH; row *= s->kernel[i--])
        if (s->kernel[i] > 1 && ws[2 + i] != row) return false;
    return true;
}

static void list_taps(const ConvShape *s, const ConvWindow *window, int64_t *at) {
    for (int64_t d = 0; d < s->kernel[DEPTH]; d++)
        for (int64_t h = 0; h < s->kernel[HEIGHT]; h++)
            for (int64_t w = 0; w < s->kernel[WIDTH]; w++)
                for (int64_t c = 0; c < s->channels; c++)
                    *at++ = d * window->plane + h * s->dilation[HEIGHT] * window->line +
                            w * s->dilation[WIDTH] * window->column + c * s->block;
}

/* The taps of a row of results that lie in x; those of the first and the last rows are fewer. */
static ConvTaps taps_inside(const ConvShape *s, ConvTaps taps, int64_t row) {
    int64_t above = s->pad[HEIGHT] - row * s->stride[HEIGHT], dilation = s->dilation[HEIGHT];
    int64_t first = above > 0 ? TN_CEIL_DIV(above, dilation) : 0, end = s->kernel[HEIGHT];
    int64_t below = above + s->in[HEIGHT]; /* where x ends, from the first tap on */
    if (TN_CEIL_DIV(below, dilation) < end) end = below > 0 ? TN_CEIL_DIV(below, dilation) : 0;
    if (first == 0 && end == s->kernel[HEIGHT]) return taps;
    int64_t line = taps.count / s->kernel[HEIGHT];
    taps.w += first * line * taps.w_row;
    taps.at += first * line;
    taps.count = end > first ? (end - first) * line : 0;
    return taps;
}

/* Ends sums that are at `to`: neighbouring results of all lanes. */
static void end_columns(const ConvShape *s, const ConvPatch *p, const ConvTaps *taps, int64_t row,
                        int64_t i, int64_t n, float *to) {
    for (int64_t lane = 0; lane < taps->lanes; lane += CONV_COLUMNS) {
        TileEnd end = tn_conv_end_of(s, p, row, i, p->set * s->block + lane);
        tn_conv_end(s, &end, n, conv_smaller(CONV_COLUMNS, taps->lanes - lane), to + lane,
                    taps->to_step);
    }
}

/* Which places there are from column i on. */
static void find_ends(ConvTaps *taps, const ConvWindow *window, int64_t i) {
    taps->first = window->first[1] - i;
    taps->end = window->end[1] - i;
}

/* What runs of results share. */
typedef struct Strip {
    const ConvPatch *p;
    const ConvWindow *window;
    const ConvTaps *taps;
    bool inside; /* the window is x itself */
} Strip;

/* `n` neighbouring columns from number i on, rows [row, end). */
static void run_columns(const ConvShape *s, const Strip *strip, ConvTapsFn *run, int64_t i,
                        int64_t n, int64_t row, int64_t end) {
    _Alignas(64) float tile[CONV_RESULTS * CONV_BLOCK];
    const ConvPatch *p = strip->p;
    const ConvWindow *window = strip->window;
    bool dense = s->y_strides[1] == 1 && !s->residual && !s->y_bf16,
         plain = dense && !s->activation;
    int64_t o = p->set * s->block, line = s->stride[HEIGHT] * window->line;
    for (; row < end; row++) {
        ConvTaps taps = *strip->taps;
        if (strip->inside) taps = taps_inside(s, taps, p->row + row);
        float *to = dense ? conv_y_at(s, conv_place(s->y_strides, p, row, i, o)) : tile;
        find_ends(&taps, window, i);
        taps.to_step = dense ? s->y_strides[2 + WIDTH] : s->block;
        taps.bias = plain && s->bias ? s->bias + o : NULL;
        run(&taps, window->x, window->at + row * line + i * taps.step, to);
        if (!plain) end_columns(s, p, &taps, row, i, n, to);
    }
}

static bool walks(const ConvShape *s, int64_t columns) {
    bool square = s->kernel[DEPTH] == 1 && s->kernel[HEIGHT] == 3 && s->kernel[WIDTH] == 3;
    bool next = conv_neighbours(s) && s->stride[HEIGHT] == 1 && s->dilation[HEIGHT] == 1;
    return s->isa->conv->channels->walk && square && next &&
           columns >= s->isa->conv->channels->walk_columns && s->y_strides[1] == 1 &&
           !s->residual && !s->y_bf16;
}

/* The last columns are done with some before them once more. */
static void run_walks(const ConvShape *s, const Strip *strip) {
    const ConvPatch *p = strip->p;
    const ConvWindow *window = strip->window;
    const int64_t o = p->set * s->block, n = s->isa->conv->channels->walk_columns;
    ConvTaps taps = *strip->taps;
    ConvWalk walk = {.rows = p->rows,
                     .first = window->first[0],
                     .end = window->end[0],
                     .line = window->line,
                     .to_line = s->y_strides[2 + HEIGHT]};
    taps.to_step = s->y_strides[2 + WIDTH];
    taps.bias = s->bias && !s->activation ? s->bias + o : NULL;
    for (int64_t i = 0; i < p->columns; i += n) {
        if (p->columns - i < n) i = p->columns - n;
        float *to = conv_y_at(s, conv_place(s->y_strides, p, 0, i, o));
        find_ends(&taps, window, i);
        s->isa->conv->channels->walk(&taps, &walk, window->x, window->at + i * taps.step, to);
        for (int64_t row = 0; s->activation && row < p->rows; row++)
            end_columns(s, p, &taps, row, i, n, to + row * walk.to_line);
    }
}

/* The kernel for neighbouring places; NULL: none. */
static ConvTapsFn *longest(const ConvShape *s) {
    return conv_neighbours(s) && s->kernel[WIDTH] < 8
               ? s->isa->conv->channels->rows[s->kernel[WIDTH]]
               : NULL;
}

/* Rows [row, end); the last columns of many are done with some before them once more, unless
 * results take the place of a residual. */
static void run_rows(const ConvShape *s, const Strip *strip, int64_t row, int64_t end) {
    const int64_t most = s->results, columns = strip->p->columns;
    const ConvChannels *kernels = s->isa->conv->channels;
    for (int64_t i = 0, n; i < columns; i += n) {
        int64_t left = columns - i;
        ConvTapsFn *run = longest(s) ? longest(s) : kernels->taps[CONV_RESULTS];
        n = most;
        if (left < most && columns >= most && !s->residual) {
            i = columns - most;
        } else if (left < most) {
            n = left >= 4 ? 4 : left >= 2 ? 2 : 1;
            run = kernels->taps[n];
        }
        run_columns(s, strip, run, i, n, row, end);
    }
}

/* Every run of results of the patch is one by a kernel that minds the edges of x. Places at a
 * multiple of 2 KiB share few sets of L1: they had better be copied. */
static bool minds_edges(const ConvShape *s, int64_t columns) {
    if (s->x_strides[2 + WIDTH] * (int64_t)sizeof(float) % 2048 == 0) return false;
    if (walks(s, columns)) return true;
    return longest(s) && (columns % s->results == 0 || (columns > s->results && !s->residual));
}

/* Of large kernels, columns are done from top to bottom: what the next row reads again stays in the
 * first cache. Small ones go through memory in its order. */
static void run_strip(const ConvShape *s, const Strip *strip) {
    if (walks(s, strip->p->columns)) {
        run_walks(s, strip);
        return;
    }
    int64_t band = s->taps > 16 ? strip->p->rows : 1;
    for (int64_t row = 0; row < strip->p->rows; row += band) run_rows(s, strip, row, row + band);
}

void tn_conv_channels(const ConvShape *s, const ConvPatch *p, int64_t split, void *scratch) {
    (void)split; /* its channels are dealt out as sets */
    int64_t *at = scratch, count = tap_count(s), o = p->set * s->block;
    float *w = (float *)(at + count + count % 2), *copy = w + count * s->block;
    ConvTaps taps = {.w = w, .at = at, .count = count, .w_row = s->block};
    taps.lanes = conv_smaller(s->block, s->groups * s->outputs - o);
    if (in_rows(s)) {
        taps.w = (const float *)s->w->data + o;
        taps.w_row = s->groups * s->outputs;
    } else {
        pack_weights(s, o, w);
    }
    ConvPatch strip = *p;
    const int64_t most = s->results;
    const bool edges = s->in_place && minds_edges(s, p->columns);
    for (int64_t i = 0; i < p->columns; i += strip.columns) {
        int64_t left = p->columns - i, inside = conv_columns_inside(s, p->column + i);
        bool in_place = s->in_place && inside >= conv_smaller(left, most);
        if (edges) inside = left, in_place = true;
        if (!in_place && !s->residual && left < s->strip && p->columns >= s->strip)
            i = p->columns - s->strip;
        strip.column = p->column + i;
        strip.columns = conv_smaller(p->columns - i, in_place ? inside : s->strip);
        if (in_place && inside < left) strip.columns = inside / most * most;
        ConvWindow window = in_place ? conv_in_place(s, &strip) : tn_conv_copy(s, &strip, copy);
        list_taps(s, &window, at);
        taps.step = s->stride[WIDTH] * window.column;
        run_strip(s, &(Strip){&strip, &window, &taps, in_place});
    }
}
