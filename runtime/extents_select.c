/* Extent rules of instructions that write at positions from data, order and select. */
#include "runtime/extents.h"

bool extent_scatter_elements(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsScatter *p = c->params;
    const TnTensor *x = input(c, 0), *index = input(c, 1);
    for (int i = 0; i < x->rank; i++)
        if (i != (int)p->axis && index->dims[i] > x->dims[i])
            return misfit_pair(&w, "index and x", index, x);
    return same_dims(&w, index, input(c, 2), "index and u") &&
           same_dims(&w, x, output(c, 0), "x and y");
}

bool extent_scatter_nd(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *x = input(c, 0), *index = input(c, 1), *u = input(c, 2);
    int last = index->rank - 1, n = 0;
    int64_t dims[2 * TN_MAX_RANK], axes = index->dims[last];
    if (axes < 1 || axes > x->rank)
        return misfit_pair(&w, "last axis of index and axes of x", index, x);
    for (int i = 0; i < last; i++) dims[n++] = index->dims[i];
    for (int i = (int)axes; i < x->rank; i++) dims[n++] = x->dims[i];
    if (n != u->rank) return misfit(&w, "u has rank %d, x and index give %d", u->rank, n);
    return has_dims(&w, u, n, dims, "u and what x and index give") &&
           same_dims(&w, x, output(c, 0), "x and y");
}

bool extent_topk(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsTopk *p = c->params;
    const TnTensor *y = output(c, 0), *places = output(c, 1);
    TnTensor wanted = *input(c, 0);
    int64_t n = wanted.dims[p->axis], k = y->rank == wanted.rank ? y->dims[p->axis] : 0;
    if (k > n) return misfit(&w, "%" PRId64 " of %" PRId64 " elements", k, n);
    wanted.dims[p->axis] = k;
    return same_dims(&w, y, &wanted, "values and x with the axis cut") &&
           (!places || same_dims(&w, places, y, "places and values"));
}
