/* Masks of attention: what an element function says about which key a query may see. */
#ifndef TENON_PASSES_MASK_H
#define TENON_PASSES_MASK_H

#include "ir/build.h"

/* The mask of scores[b, h, s, t], as far as it is proven. */
typedef struct Mask {
    bool causal;
    const Expr *offset;  /* key j allowed iff j <= i + offset */
    int64_t left, right; /* window, -1 = unbounded: i + offset - left <= j <= i + offset + right */
    const Pred *key;     /* over i0, i3; NULL = none */
    const Pred *query;   /* over i0, i2 */
} Mask;

/* Splits `allowed`, a predicate over coordinates i0 (batch), i1 (head), i2 (query), i3 (key), into
 * the parts of a Mask. False, with the part that fits nowhere in *rest, if it is none of them. */
bool mask_split(ExprCx *x, const Pred *allowed, Mask *m, const Pred **rest);

#endif
