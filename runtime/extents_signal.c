/* Extent rules of resampling, signal and recurrent instructions; see extents.c. */
#include "runtime/extents.h"

/* The same dims but for one axis, all dense. */
static bool along_axis(const Why *w, const TnTensor *x, const TnTensor *y, int axis) {
    TnTensor wanted = *x;
    if (axis < y->rank) wanted.dims[axis] = y->dims[axis];
    return same_dims(w, y, &wanted, "y and x but for one axis") && wholly_dense(w, x, "x") &&
           wholly_dense(w, y, "y");
}

bool extent_resize(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsResize *p = c->params;
    const TnTensor *x = input(c, 0), *grid = input(c, 1), *y = output(c, 0);
    int axis = (int)p->axis;
    if (!along_axis(&w, x, y, axis)) return false;
    if (x->dims[axis] > INT32_MAX / 4 || y->dims[axis] > INT32_MAX / 4)
        return misfit_pair(&w, "a resized axis is too long", x, y);
    if (x->dims[axis] == 0 && !is_empty(y)) return misfit_pair(&w, "an empty axis", x, y);
    if (grid && !is_vector(&w, grid, 3, "grid")) return false;
    return loops_ok(&w, (int64_t[]){product(y, 0, y->rank), x->dims[axis]}, 2);
}
