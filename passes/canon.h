/* Parts of the canon pass. Each returns the value that output 0 of `n` equals in simpler form (new
 * nodes go before n), or NULL. */
#ifndef TENON_PASSES_CANON_H
#define TENON_PASSES_CANON_H

#include "ir/build.h"
#include "passes/pass.h"

/* fold.c: constants computed, known elements written down */
Value *canon_fold(Node *n);
/* simplify.c: arithmetic identities */
Value *canon_simplify(Node *n);
/* simplify_expand.c: what is the same for rows that are equal */
Value *canon_simplify_expand(Node *n);
/* A constant with one element along each of its first axes along which all are equal, as if it had
 * been broadcast. */
Value *canon_distinct(Value *v, int axes);
/* simplify_move.c: views, transposes, slices, gathers, products of them */
Value *canon_simplify_move(Node *n);
/* simplify_concat.c: concatenations, their slices and transposes */
Value *canon_concat(Node *n);
Value *canon_slice_of_concat(Node *n);
Value *canon_transpose_of_concat(Node *n);

/* simplify_unfold.c: views and expansions behind what is computed row by row */
Value *canon_unfold(Node *n);

/* A view that keeps the last axis and merges or splits the ones before it: every row stays a row.
 */
bool canon_keeps_rows(const Node *view);
/* Whether a view only merges neighbouring axes: axis j those from[j] up to from[j + 1]. */
bool canon_merges(const Node *view, int *from);

#endif
