/* What pooling kernels share: the instruction as up to three spatial axes, and which taps of a
 * window lie inside. */
#ifndef TENON_RUNTIME_KERNELS_POOL_H
#define TENON_RUNTIME_KERNELS_POOL_H

#include "runtime/kernels/family.h"
#include "runtime/params.h"

enum { DEPTH, HEIGHT, WIDTH, SPATIAL };

typedef struct Pool {
    const ParamsPool *p;
    const TnTensor *x, *y, *places; /* places NULL: not wanted */
    TnDType dtype, lane;            /* what is stored, what is computed in */
    int64_t batch, channels;
    int64_t in[SPATIAL], out[SPATIAL];
    int64_t kernel[SPATIAL], stride[SPATIAL], dilation[SPATIAL], pad[SPATIAL], pad_end[SPATIAL];
    int64_t xs[SPATIAL], ys[SPATIAL], zs[SPATIAL]; /* strides of x, y and places */
    int64_t number[SPATIAL];                       /* what a step counts in a place */
    int64_t rows;                                  /* of results, all */
} Pool;

/* The instruction of a call. */
void tn_pool_of(const TnCall *call, Pool *s);

/* The taps [*first, *last) of an axis that fall inside [low, high), for the result at place i. */
void tn_pool_span(const Pool *s, int axis, int64_t i, int64_t low, int64_t high, int64_t *first,
                  int64_t *last);

/* How many taps of an axis a mean counts for the result at place i. */
int64_t tn_pool_count(const Pool *s, int axis, int64_t i);

#endif
