/* Heads of attention, for the operators that have them.
 *
 * Letters: b batch, h heads of queries, g heads of keys and values, s positions, d head size. */
#ifndef TENON_FRONTEND_ONNX_HEADS_H
#define TENON_FRONTEND_ONNX_HEADS_H

#include "frontend/onnx/import.h"

/* [b, s, h d] -> [b, h, s, d]; what has 4 axes already is so; others are refused. */
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
/* Rows of a table of angles [positions, r / 2] at positions [b, s], as [b, 1, s, r / 2] of type t.
 */
Value *heads_angles(OnnxNode *n, Value *table, Value *positions, TnDType t);

/* scale q k', [b, h, s, t]; a scale of 0 stands for 1 / sqrt(d) */
Value *heads_scores(OnnxNode *n, Value *q, Value *k, double scale);
/* probabilities v, merged: [b, s, h d] */
Value *heads_weighted(OnnxNode *n, Value *probabilities, Value *v);

/* i64[length]: start, start + 1, ... */
Value *heads_places(OnnxNode *n, const Expr *start, const Expr *length);
/* A vector of integers as a column per sample, i64[b, 1, 1, 1]. */
Value *heads_per_sample(OnnxNode *n, Value *x, const Expr *batch);
/* Elements [start, start + length) of the last axis. */
Value *heads_part(OnnxNode *n, Value *x, const Expr *start, const Expr *length);

#endif
