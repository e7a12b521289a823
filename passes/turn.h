/* Transposes moved inwards, towards where the elements come from. */
#ifndef TENON_PASSES_TURN_H
#define TENON_PASSES_TURN_H

#include "ir/build.h"

/* Runs of axes of a view and of what it views that hold the same elements: axes in[k] up to
 * in[k + 1] of the one are out[k] up to out[k + 1] of the other. */
typedef struct AxisRuns {
    int count, in[TN_MAX_RANK + 1], out[TN_MAX_RANK + 1];
} AxisRuns;

/* The shortest runs; false if none are found. */
bool axis_runs(ExprCx *x, const Type *in, const Type *out, AxisRuns *r);

/* v with its axes permuted (axis i is axis perm[i] of v), its transpose moved in front of the
 * operators that v comes from as far as they let it. New nodes go before the graph's cursor. */
Value *turned(Graph *g, Value *v, const int *perm);

#endif
