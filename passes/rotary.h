/* Rotary positions in a graph, however they are spelled: what rotary_find.c finds. */
#ifndef TENON_PASSES_ROTARY_H
#define TENON_PASSES_ROTARY_H

#include "ir/ir.h"

/* Elements start, start + step, .. of the last axis of `base`, `length` of them. With `pairs`, the
 * last two axes of `base`, [.., n, 2], are taken for one of 2n. */
typedef struct Part {
    Value *base;
    bool pairs;
    int64_t start, step, length;
} Part;

#define ROTATION_NODES 16

typedef struct Rotation {
    Part x;           /* what is rotated and, in the result, what is behind it */
    int64_t width;    /* elements that are rotated, from the first */
    bool interleaved; /* pairs are neighbours */
    bool back;        /* by the opposite angles */
    Value *cos, *sin; /* with `width` columns or, equal for both of a pair, width / 2; a cos of NULL
                         is 1 throughout */
    bool columns;     /* the last two axes of the result, [.., n, 2], stand for one of 2n */
    Value *result;    /* what it replaces */
    Node *nodes[ROTATION_NODES];
    int node_count;
} Rotation;

/* Whether `n` is where a rotation ends. If it nearly is, *why says what is missing. */
bool rotation_find(Node *n, Rotation *r, const char **why);

/* Elements of the last axis of what p is a part of. */
int64_t rotation_extent(const Part *p);

#endif
