/* Where an element comes from: back through operators that only move elements. */
#ifndef TENON_PASSES_TRACE_H
#define TENON_PASSES_TRACE_H

#include "ir/ir.h"

/* The element of a value at these coordinates, one per axis. */
typedef struct Place {
    Value *value;
    const Expr *at[TN_MAX_RANK];
} Place;

/* Goes to where the element is moved from: through one view, transpose, expand, slice or concat.
 * False, and nothing changes, if it is computed or read here, or if the operand of a concat is not
 * proven. */
bool trace_back(Module *m, Place *p);
/* The value, as `rank` x `dims` in row-major order, has this element at `at`. */
bool trace_is(Module *m, const Place *p, int rank, const Expr *const *dims, const Expr *const *at);

#endif
