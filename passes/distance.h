/* Tensors that the distance of a row and a column determines: one line instead of a matrix. */
#ifndef TENON_PASSES_DISTANCE_H
#define TENON_PASSES_DISTANCE_H

#include "ir/build.h"

/* The entries of a line over `rows` x `columns` pairs: rows + columns + 1, entry k of them for
 * column - row = k - rows. Distances -rows and columns, which no pair has, have what their
 * neighbours have; with them the line has no negative length, even without rows and columns. */
const Expr *distance_entries(ExprCx *x, const Expr *rows, const Expr *columns);

/* v without its axis `row`, its axis `column` a line: [.., rows, .., columns, ..] becomes [..,
 * entries, ..]. Axes that v only repeats may have length 1 in it, and leading ones of those be
 * missing. NULL if it is not proven that nothing but the distance matters. */
Value *distance_line(Graph *g, Value *v, int row, int column);

#endif
