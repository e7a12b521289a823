/* Transposes moved inwards, towards where the elements come from. */
#ifndef TENON_PASSES_TURN_H
#define TENON_PASSES_TURN_H

#include "ir/build.h"

/* v with its axes permuted (axis i is axis perm[i] of v), its transpose moved in front of the
 * operators that v comes from as far as they let it. New nodes go before the graph's cursor. */
Value *turned(Graph *g, Value *v, const int *perm);

#endif
