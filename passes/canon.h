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
/* simplify_move.c: views, transposes, slices, gathers, products of them */
Value *canon_simplify_move(Node *n);
/* simplify_concat.c: concatenations, their slices and transposes */
Value *canon_concat(Node *n);
Value *canon_slice_of_concat(Node *n);
Value *canon_transpose_of_concat(Node *n);

#endif
