/* Element functions back into nodes: the tensor whose elements a Pred describes. */
#ifndef TENON_PASSES_EMIT_H
#define TENON_PASSES_EMIT_H

#include "ir/build.h"

/* A boolean tensor of dims[0..n) whose element at (j0, j1, ..) is `p` with coordinate axes[k] = jk.
 * Axes that p does not mention may have extent 1 in the result. NULL if p needs something that has
 * no operator here; nothing is left behind then that dead code removal does not take. New nodes go
 * before the graph's cursor. */
Value *emit_pred(Graph *g, const Pred *p, int n, const int *axes, const Expr *const *dims);

#endif
