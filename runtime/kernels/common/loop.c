/* Nested loops over operands (loop.h): set up once per task, and moved on from run to run of
 * elements. */
#include "runtime/kernels/loop.h"

void loop_add_axes(Loop *l, const TnTensor *t, int rank) {
    int64_t *strides = l->strides[l->operands++];
    int missing = l->rank - rank;
    for (int i = 0; i < l->rank; i++)
        strides[i] = i < missing || t->dims[i - missing] == 1 ? 0 : t->strides[i - missing];
}

void loop_drop_axis(Loop *l, int axis) {
    l->rank--;
    for (int i = axis; i < l->rank; i++) {
        l->dims[i] = l->dims[i + 1];
        for (int o = 0; o < l->operands; o++) l->strides[o][i] = l->strides[o][i + 1];
    }
}

void loop_sort(Loop *l, int o) {
    for (int i = 1; i < l->rank; i++)
        for (int j = i; j > 0 && l->strides[o][j - 1] < l->strides[o][j]; j--) {
            int64_t dim = l->dims[j];
            l->dims[j] = l->dims[j - 1], l->dims[j - 1] = dim;
            for (int k = 0; k < l->operands; k++) {
                int64_t stride = l->strides[k][j];
                l->strides[k][j] = l->strides[k][j - 1], l->strides[k][j - 1] = stride;
            }
        }
}

/* Whether one step along axis `before` is, for every operand, a full run of `axis`. */
static int loop_joint(const Loop *l, int before, int axis) {
    for (int o = 0; o < l->operands; o++)
        if (l->strides[o][before] != l->strides[o][axis] * l->dims[axis]) return 0;
    return 1;
}

void loop_collapse(Loop *l) {
    int rank = 0;
    for (int i = 0; i < l->rank; i++) {
        if (l->dims[i] == 1) continue;
        const int joint = rank > 0 && loop_joint(l, rank - 1, i);
        if (joint)
            l->dims[rank - 1] *= l->dims[i];
        else
            l->dims[rank++] = l->dims[i];
        for (int o = 0; o < l->operands; o++) l->strides[o][rank - 1] = l->strides[o][i];
    }
    l->rank = rank;
    if (rank > 0) return;
    l->rank = 1;
    l->dims[0] = 1;
    for (int o = 0; o < l->operands; o++) l->strides[o][0] = 1;
}

void loop_seek(const Loop *l, int axes, int64_t point, LoopAt *at) {
    for (int o = 0; o < l->operands; o++) at->offset[o] = 0;
    for (int i = axes - 1; i >= 0; i--) {
        at->index[i] = point % l->dims[i];
        point /= l->dims[i];
        for (int o = 0; o < l->operands; o++) at->offset[o] += at->index[i] * l->strides[o][i];
    }
}

void loop_next(const Loop *l, int axes, LoopAt *at) {
    for (int i = axes - 1; i >= 0; i--) {
        if (++at->index[i] < l->dims[i]) {
            for (int o = 0; o < l->operands; o++) at->offset[o] += l->strides[o][i];
            return;
        }
        at->index[i] = 0;
        for (int o = 0; o < l->operands; o++) at->offset[o] -= (l->dims[i] - 1) * l->strides[o][i];
    }
}

LoopLines loop_lines(Loop *l, int axis, int64_t task, int64_t per_task) {
    LoopLines lines = {.i = task * per_task};
    l->dims[axis] = 1;
    loop_collapse(l);
    int64_t all = loop_points(l, l->rank);
    lines.last = lines.i + per_task < all ? lines.i + per_task : all;
    loop_seek(l, l->rank, lines.i, &lines.at);
    return lines;
}
