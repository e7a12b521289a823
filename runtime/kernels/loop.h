/* Nested loops over operands of one index space but different strides.
 *
 * loop_over + loop_add lay the operands side by side (right-aligned, stride 0 where one is
 * broadcast), loop_collapse drops axes of extent 1 and merges neighbours that every operand walks
 * as one. Afterwards rank >= 1. A walk divides once, in loop_seek, or not at all from loop_start;
 * loop_next only adds.
 *
 *     Loop l;
 *     loop_over(&l, y), loop_add(&l, x), loop_add(&l, y), loop_collapse(&l);
 *     int outer = l.rank - 1;
 *     loop_seek(&l, outer, first, &at);
 *     for (i = first; i < last; i++, loop_next(&l, outer, &at)) row(at.offset[0], at.offset[1]);
 */
#ifndef TENON_RUNTIME_KERNELS_LOOP_H
#define TENON_RUNTIME_KERNELS_LOOP_H

#include "runtime/kernels.h"

#define LOOP_MAX 17 /* 16 inputs of a map and its result */

typedef struct Loop {
    int32_t rank, operands;
    int64_t dims[TN_MAX_RANK];
    int64_t strides[LOOP_MAX][TN_MAX_RANK]; /* in elements */
} Loop;

typedef struct LoopAt {
    int64_t index[TN_MAX_RANK];
    int64_t offset[LOOP_MAX]; /* of each operand, in elements */
} LoopAt;

static inline int64_t tensor_elements(const TnTensor *t) {
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++) count *= t->dims[i];
    return count;
}

/* Product of dims [first, last). */
static inline int64_t tensor_extent(const TnTensor *t, int first, int last) {
    int64_t count = 1;
    for (int i = first; i < last; i++) count *= t->dims[i];
    return count;
}

/* Over the first `rank` axes of a tensor. Strides mean nothing before their operand is added. */
static inline void loop_init(Loop *l, const TnTensor *shape, int rank) {
    l->rank = rank;
    l->operands = 0;
    for (int i = 0; i < rank; i++) l->dims[i] = shape->dims[i];
}

static inline void loop_over(Loop *l, const TnTensor *shape) {
    loop_init(l, shape, shape->rank);
}

/* The first `rank` axes of a tensor. */
void loop_add_axes(Loop *l, const TnTensor *t, int rank);

static inline void loop_add(Loop *l, const TnTensor *t) {
    loop_add_axes(l, t, t->rank);
}

/* Operands whose strides are 0 until the caller sets them. */
static inline void loop_add_still(Loop *l, int count) {
    for (; count > 0; count--, l->operands++)
        for (int i = 0; i < l->rank; i++) l->strides[l->operands][i] = 0;
}

void loop_drop_axis(Loop *l, int axis);

/* Puts the axes in the order in which operand `o` lies in memory; for kernels to which their order
 * means nothing. */
void loop_sort(Loop *l, int o);

void loop_collapse(Loop *l);

/* Points of the first `axes` axes. */
static inline int64_t loop_points(const Loop *l, int axes) {
    int64_t count = 1;
    for (int i = 0; i < axes; i++) count *= l->dims[i];
    return count;
}

/* Whether operand `o` is visited in memory order without gaps. */
static inline int loop_dense(const Loop *l, int o) {
    int64_t expected = 1;
    for (int i = l->rank - 1; i >= 0; i--) {
        if (l->strides[o][i] != expected && l->dims[i] != 1) return 0;
        expected *= l->dims[i];
    }
    return 1;
}

/* Goes to the first point of the first `axes` axes, which may have none. */
static inline void loop_start(const Loop *l, int axes, LoopAt *at) {
    for (int o = 0; o < l->operands; o++) at->offset[o] = 0;
    for (int i = 0; i < axes; i++) at->index[i] = 0;
}

/* Goes to point number `point`, which there must be, of the first `axes` axes, the last of them
 * fastest. */
void loop_seek(const Loop *l, int axes, int64_t point, LoopAt *at);

void loop_next(const Loop *l, int axes, LoopAt *at);

/* The walk of one task over lines along an axis:
 *
 *     LoopLines l = loop_lines(&loop, axis, task, lines per task);
 *     for (; l.i < l.last; loop_next_line(&loop, &l)) line(l.at.offset[0], l.at.offset[1]);
 */
typedef struct LoopLines {
    int64_t i, last;
    LoopAt at;
} LoopLines;

/* `l` has all its operands, and is not collapsed yet. */
LoopLines loop_lines(Loop *l, int axis, int64_t task, int64_t per_task);

static inline void loop_next_line(const Loop *l, LoopLines *lines) {
    lines->i++;
    loop_next(l, l->rank, &lines->at);
}

#endif
