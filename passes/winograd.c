/* 3 x 3 taps of many channels with the same stride both ways, unless there are hardly any tiles or
 * much of them lies beyond the result: transformed weights are 24/9 times as large, or 4 times for
 * tiles of 4 x 4. Weights that are computed, or stored in 16 bits, are never transformed. */
#include "passes/winograd.h"

#define CHANNELS    64 /* from here on it pays, and they are a multiple of ... */
#define PANEL       16 /* ... the columns of a packed matrix */
#define FEW_RESULTS 6  /* of a side of the image, and ... */
#define SOME        10 /* ... where tiles are larger */

/* The shortest side of the result that is known. */
static int64_t shortest_side(const Type *y) {
    int64_t shortest = INT64_MAX, extent;
    for (int i = 2; i < 4; i++)
        if (ex_const(y->dims[i], &extent) && extent < shortest) shortest = extent;
    return shortest;
}

Winograd winograd_choose(const Node *n, bool fast) {
    const Constant *w = n->inputs[1]->constant;
    if (!w || w->dtype != TN_F32 || w->rank != 4 || attr_int(n, "groups") != 1)
        return WINOGRAD_NONE;
    const int64_t *strides = attr_ints(n, "strides")->v, *dilations = attr_ints(n, "dilations")->v;
    if (w->dims[0] < 2 * PANEL || w->dims[1] < CHANNELS || w->dims[1] % PANEL) return WINOGRAD_NONE;
    if (strides[0] != strides[1] || strides[0] > 2) return WINOGRAD_NONE;
    for (int i = 0; i < 2; i++)
        if (w->dims[2 + i] != 3 || dilations[i] != 1) return WINOGRAD_NONE;
    const int64_t side = shortest_side(&n->outputs[0]->type);
    if (strides[0] == 2) return side < SOME ? WINOGRAD_NONE : WINOGRAD_2_STRIDED;
    if (fast && side >= SOME) return WINOGRAD_4;
    return side < FEW_RESULTS ? WINOGRAD_NONE : WINOGRAD_2;
}
