/* Heads of attention, for the operators that have them.
 *
 * Letters: b batch, h heads of queries, g heads of keys and values, s positions, d head size. */
#ifndef TENON_FRONTEND_ONNX_HEADS_H
#define TENON_FRONTEND_ONNX_HEADS_H

#include "frontend/onnx/import.h"

/* [b, s, h d] -> [b, h, s, d]; what has 4 axes already is so. */
Value *heads_split(OnnxNode *n, Value *x, int64_t heads);
/* The reverse. */
Value *heads_merge(OnnxNode *n, Value *x);
/* [b, g, s, d] -> [b, h, s, d]: each head of keys or values serves h / g heads of queries. */
Value *heads_share(OnnxNode *n, Value *x, const Expr *heads);
/* The first `rotated` elements of each head, in pairs (x1, x2): (x1 cos - x2 sin, x1 sin + x2 cos).
 * Pairs are neighbours if interleaved, else elements of the first and second half. cos and sin
 * broadcast to [b, h, s, rotated / 2]. */
Value *heads_rotate(OnnxNode *n, Value *x, Value *cos, Value *sin, const Expr *rotated,
                    bool interleaved);

#endif
