/* The parts of a product's patch: results with the same taps. Where the window is x itself, taps
 * that find padding are left out. The columns at the edges of a 3 x 3 kernel's are one wide; their
 * tiles are neighbours in one column.
 *
 *     +---+-----------+---+
 *     +---+-----------+---+
 *     |   |           |   |
 *     +---+-----------+---+
 *     +---+-----------+---+
 */
#include "runtime/kernels/conv.h"

/* How many results along this axis, from number `at` on of `count`, have the same taps: until the
 * one before them comes into x, or their last one leaves it. */
static int64_t same_taps(const ConvShape *s, const ConvWindow *window, ConvPart *part, int i,
                         int64_t at, int64_t count) {
    const int64_t dilation = s->dilation[HEIGHT + i], stride = s->stride[HEIGHT + i];
    const int64_t x_first = window->first[i], x_end = window->end[i];
    int64_t before = x_first - at * stride, within = x_end - at * stride;
    int64_t end = within > 0 ? TN_CEIL_DIV(within, dilation) : 0;
    end = conv_smaller(end, s->kernel[HEIGHT + i]);
    int64_t first = before > 0 ? conv_smaller(TN_CEIL_DIV(before, dilation), end) : 0;
    part->first[i] = first;
    part->end[i] = end;
    if (first > 0)
        count = conv_smaller(count, TN_CEIL_DIV(x_first - (first - 1) * dilation, stride));
    if (end > 0) count = conv_smaller(count, TN_CEIL_DIV(x_end - (end - 1) * dilation, stride));
    return count - at;
}

/* Its rows and columns change places. */
static void turn(ConvPart *part) {
    const ConvPatch p = part->p;
    const int64_t row = part->row;
    part->turned = *part->s;
    tn_conv_turn(&part->turned);
    part->s = &part->turned;
    part->p.row = p.column;
    part->p.column = p.row;
    part->p.rows = p.columns;
    part->p.columns = p.rows;
    part->row = part->line;
    part->line = row;
}

bool tn_conv_next_part(const ConvShape *s, const ConvPatch *p, const ConvWindow *window,
                       ConvPart *part) {
    const int64_t row = part->next[0], column = part->next[1];
    if (row == p->rows) {
        part->next[0] = 0;
        return false;
    }
    part->s = s;
    part->p = *p;
    part->p.row += row;
    part->p.column += column;
    part->p.rows = same_taps(s, window, part, 0, row, p->rows);
    part->p.columns = same_taps(s, window, part, 1, column, p->columns);
    part->row = s->stride[WIDTH] * window->column;
    part->line = s->stride[HEIGHT] * window->line;
    part->at = window->at + row * part->line + column * part->row;
    part->next[1] = column + part->p.columns;
    if (part->next[1] == p->columns) {
        part->next[0] = row + part->p.rows;
        part->next[1] = 0;
    }
    if (part->p.columns < part->p.rows && part->p.columns <= CONV_NARROW) turn(part);
    return true;
}
