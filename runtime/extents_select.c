/* Extent rules of instructions that write at positions from data, order and select. */
#include "runtime/extents.h"

bool extent_scatter_elements(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsScatter *p = c->params;
    const TnTensor *x = input(c, 0), *index = input(c, 1);
    for (int i = 0; i < x->rank; i++)
        if (i != (int)p->axis && index->dims[i] > x->dims[i])
            return tn_misfit_pair(&w, "index and x", index, x);
    return tn_same_dims(&w, index, input(c, 2), "index and u") &&
           tn_same_dims(&w, x, output(c, 0), "x and y");
}

bool extent_scatter_nd(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *x = input(c, 0), *index = input(c, 1), *u = input(c, 2);
    int last = index->rank - 1, n = 0;
    int64_t dims[2 * TN_MAX_RANK], axes = index->dims[last];
    if (axes < 1 || axes > x->rank)
        return tn_misfit_pair(&w, "last axis of index and axes of x", index, x);
    for (int i = 0; i < last; i++) dims[n++] = index->dims[i];
    for (int i = (int)axes; i < x->rank; i++) dims[n++] = x->dims[i];
    if (n != u->rank) return tn_misfit(&w, "u has rank %d, x and index give %d", u->rank, n);
    return tn_has_dims(&w, u, n, dims, "u and what x and index give") &&
           tn_same_dims(&w, x, output(c, 0), "x and y");
}

bool extent_topk(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsTopk *p = c->params;
    const TnTensor *y = output(c, 0), *places = output(c, 1);
    TnTensor wanted = *input(c, 0);
    int64_t n = wanted.dims[p->axis], k = y->rank == wanted.rank ? y->dims[p->axis] : 0;
    if (k > n) return tn_misfit(&w, "%" PRId64 " of %" PRId64 " elements", k, n);
    wanted.dims[p->axis] = k;
    return tn_same_dims(&w, y, &wanted, "values and x with the axis cut") &&
           (!places || tn_same_dims(&w, places, y, "places and values"));
}

bool extent_nonzero(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *x = input(c, 0), *y = output(c, 0);
    return (y->rank == 2 && y->dims[0] == x->rank) ||
           tn_misfit_pair(&w, "x and the coordinates of its elements", x, y);
}

bool extent_unique(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsUnique *p = c->params;
    int64_t n = input(c, 0)->dims[p->axis];
    for (int i = 0; i < 4; i++) {
        const TnTensor *t = output(c, i);
        if (!t) return tn_misfit(&w, "result %d is missing", i);
        if (!tn_is_vector(&w, t, i < 3 ? n : 1, "a result")) return false;
    }
    return true;
}

bool extent_nms(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *boxes = input(c, 0), *scores = input(c, 1), *rows = output(c, 0);
    if (boxes->rank != 3 || scores->rank != 3 || boxes->dims[0] != scores->dims[0] ||
        boxes->dims[1] != scores->dims[2] || boxes->dims[2] != 4)
        return tn_misfit_pair(&w, "boxes and scores", boxes, scores);
    for (int i = 2; i < 5; i++)
        if (input(c, i) && !tn_is_vector(&w, input(c, i), 1, "a limit or threshold")) return false;
    if (!output(c, 1)) return tn_misfit(&w, "the number of rows is missing");
    if (!tn_is_vector(&w, output(c, 1), 1, "the number of rows")) return false;
    if (rows->rank != 2 || rows->dims[1] != 3)
        return tn_misfit_pair(&w, "rows and boxes", rows, boxes);
    return tn_wholly_dense(&w, rows, "rows") &&
           tn_loops_ok(&w, (int64_t[]){product(scores, 0, 3), rows->dims[0]}, 2);
}
