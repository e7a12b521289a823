/* Positions that follow from the place of an element. */
#ifndef TENON_PASSES_INDEX_H
#define TENON_PASSES_INDEX_H

#include "ir/ir.h"

/* e = start + i_axis for one axis (or none: axis = -1) of a tensor with these dims. */
bool index_run(Module *m, const Expr *e, const Type *t, const Expr **start, int *axis);

#endif
