/* Placing: where in memory each result lies, decided while graphs are lowered.
 *
 * The logical dims of a value are the graph's; in which order its axes lie in memory is free, since
 * every operand is a view with strides. So channels-last is not an operator but a memory order: the
 * result [b, c, h, w] of an elementwise operator lies as [b, h, w, c] if its operand does. A result
 * gets, by what applies first,
 *
 *     its place in another value   the operand of a concat or of a pad with constant borders is
 *                                  computed straight into its slice of the result, a returned
 *                                  value into the output, and the contents of a state into it;
 *                                  views and transposes in between are undone on the slice
 *     the wish of a reader         a memory order in which a reader that takes only rows or dense
 *                                  operands finds them through views, and needs no copy
 *     the order of its row         in lower_ops.h: row-major, or that of its largest operand
 *
 * provided that its kernel can write that (the row's `writes`). For example, all free of copies:
 *
 *     %0: f32[b, s, 64] = linear ..           rows of 64, 128 apart: the left half of %4
 *     %1: f32[b, 64, s] = transpose %0
 *     %2: f32[b, s, 64] = transpose (map %1)  the map writes the right half in the order of %1
 *     %4: f32[b, s, 128] = concat %0, %2 */
#ifndef TENON_BACKEND_PLACE_H
#define TENON_BACKEND_PLACE_H

#include "backend/lower.h"

typedef enum PlaceForm {
    PLACE_ANY,   /* any strides */
    PLACE_ROWS,  /* a dense last axis */
    PLACE_DENSE, /* row-major without gaps */
    PLACE_VIEW,  /* results are views of operands: nothing to place */
} PlaceForm;

typedef enum PlaceOrder {
    PLACE_ROW_MAJOR,
    PLACE_OPERAND,       /* of the largest operand */
    PLACE_CHANNELS_LAST, /* [b, c, ..] lies as [b, .., c] */
} PlaceOrder;

/* What an operator's row in LOWERED_OPS says. */
typedef struct PlaceRow {
    PlaceForm reads, writes;
    PlaceOrder order;
} PlaceRow;

const PlaceRow *place_row(OpKind op); /* lower_table.c; zeros for an operator without a row */

/* The value that is computed into a slice of another. */
typedef struct Part {
    const Value *of;   /* the operand of `into`, or the returned value, that is a view of it */
    const Node *into;  /* concat or pad; NULL: the graph's output or a state */
    int operand;       /* which one of `into` */
    const Expr *start; /* along the axis of a concat */
    const View *whole; /* the output or state */
} Part;

/* Fills lo->parts: the first of all places that each value could have. */
void place_parts(Lower *lo);
/* The view that v's result is to be written to. */
View place_result(Lower *lo, const Value *v);
/* The place of v in another value, of an operator that works row by row: the view may be split.
 * False: there is none. */
bool place_rows(Lower *lo, const Value *v, View *view);
/* The same of a product, whose columns may also come as heads: [.., h, d] for the last axis h d. */
bool place_columns(Lower *lo, const Value *v, View *view);
/* How it would lie if it were no part of anything: a view without a buffer. */
View place_own(Lower *lo, const Value *v);
/* The result of a concat or pad, some operands of which may have been written already. */
View place_joined(Lower *lo, const Node *n);
/* Operand `i` of a concat or pad as a slice of its result; start: along the axis of a concat. */
View place_slice(Lower *lo, const Node *n, int i, const Expr *start, const View *result);

#endif
