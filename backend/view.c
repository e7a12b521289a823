/* Forms of views: other dims and strides over the same buffer. */
#include "backend/lower.h"

View view_absent(void) {
    return (View){.buffer = TN_NO_ID};
}

View view_dense(Lower *lo, uint32_t buffer, const Type *t) {
    View v = {.buffer = buffer, .dtype = t->dtype, .rank = t->rank, .offset = ex_int(lo->x, 0)};
    const Expr *stride = ex_int(lo->x, 1);
    for (int i = t->rank - 1; i >= 0; i--) {
        v.dims[i] = t->dims[i];
        v.strides[i] = stride;
        stride = ex_mul(lo->x, stride, t->dims[i]);
    }
    return v;
}

bool view_is_dense(Lower *lo, const View *v) {
    const Expr *stride = ex_int(lo->x, 1);
    if (v->layout != TN_LAYOUT_STRIDED) return false;
    for (int i = v->rank - 1; i >= 0; i--) {
        if (v->from[i] || (!ex_is(v->dims[i], 1) && v->strides[i] != stride)) return false;
        stride = ex_mul(lo->x, stride, v->dims[i]);
    }
    return true;
}

IntList view_row_major(int rank) {
    IntList order = {.count = rank};
    for (int i = 0; i < rank; i++) order.v[i] = i;
    return order;
}

IntList view_channels_last(int rank) {
    IntList order = view_row_major(rank);
    for (int i = 1; i + 1 < rank; i++) order.v[i] = i + 1;
    if (rank > 1) order.v[rank - 1] = 1;
    return order;
}

View view_in_order(Lower *lo, uint32_t buffer, const Type *t, const IntList *order) {
    Type laid = *t;
    IntList places = {.count = order->count};
    for (int i = 0; i < order->count; i++) {
        laid.dims[i] = t->dims[order->v[i]];
        places.v[order->v[i]] = i;
    }
    View v = view_dense(lo, buffer, &laid);
    return view_permute(&v, &places);
}

/* Insertion by stride, which has to be a multiple of all that follow; axes of length 1 have no
 * place in memory and come first. */
bool view_order(Lower *lo, const View *v, IntList *order) {
    bool sorted = true;
    IntList found = {.count = v->rank};
    *order = view_row_major(v->rank);
    if (v->layout != TN_LAYOUT_STRIDED) return false;
    for (int i = 0, n = 0; i < v->rank; i++) {
        int at = n++;
        for (; at > 0; at--) {
            int64_t before = found.v[at - 1];
            const Expr *outer = v->strides[before], *inner = v->strides[i];
            if (ex_is(v->dims[before], 1)) break;
            if (!ex_is(v->dims[i], 1)) {
                if (ex_is(inner, 0) || outer == inner) return false;
                if (ex_exact_div(lo->x, outer, inner)) break;
                if (!ex_exact_div(lo->x, inner, outer)) return false;
                sorted = false;
            }
            found.v[at] = before;
        }
        found.v[at] = i;
    }
    if (!sorted) *order = found;
    return true;
}

bool view_is_same(const View *a, const View *b) {
    bool same = a->buffer == b->buffer && a->offset == b->offset;
    for (int i = 0; i < b->rank && same; i++)
        same = (a->strides[i] == b->strides[i] || ex_is(b->dims[i], 1)) &&
               a->from[i] == b->from[i] && a->period[i] == b->period[i];
    return same;
}

bool view_has_rows(const View *v) {
    int last = v->rank - 1;
    if (v->layout != TN_LAYOUT_STRIDED) return false;
    return v->rank == 0 ||
           (!v->from[last] && (ex_is(v->strides[last], 1) || ex_is(v->dims[last], 1)));
}

bool view_has_dims(const View *v, const Type *t) {
    if (v->rank != t->rank) return false;
    for (int i = 0; i < v->rank; i++)
        if (v->dims[i] != t->dims[i]) return false;
    return true;
}

/* Axis i of v, to be skipped for its length. */
static bool is_one(const View *v, int i) {
    return ex_is(v->dims[i], 1) && !v->from[i];
}

/* Takes axes from the right off old and new dims until both groups have the same product; every old
 * group must be one run of memory, a ring a group of its own. */
bool view_reshape(Lower *lo, const View *v, int rank, const Expr *const *dims, View *out) {
    ExprCx *x = lo->x;
    if (view_is_dense(lo, v)) { /* whatever the dims: their products are equal */
        Type t = {.dtype = v->dtype, .rank = rank};
        for (int i = 0; i < rank; i++) t.dims[i] = dims[i];
        *out = view_dense(lo, v->buffer, &t);
        out->offset = v->offset;
        return true;
    }
    *out = (View){.buffer = v->buffer,
                  .dtype = v->dtype,
                  .layout = v->layout,
                  .rank = rank,
                  .offset = v->offset};
    int i = v->rank - 1, j = rank - 1;
    while (i >= 0 || j >= 0) {
        if (i >= 0 && is_one(v, i)) {
            i--;
            continue;
        }
        if (j >= 0 && ex_is(dims[j], 1)) {
            out->dims[j] = dims[j];
            out->strides[j--] = ex_int(x, 1);
            continue;
        }
        if (i < 0 || j < 0) return false;
        const Expr *old = v->dims[i], *new = dims[j], *stride = v->strides[i];
        const Expr *run = ex_mul(x, v->strides[i],
                                 v->dims[i]); /* stride of the next axis if it continues this one */
        int first_new = j;
        if (v->from[i]) {
            if (old != new) return false;
            out->from[j] = v->from[i];
            out->period[j] = v->period[i];
        }
        i--;
        j--;
        while (old != new) { /* whichever is no multiple of the other takes its next axis */
            bool more_old = !ex_exact_div(x, old, new), more_new = !ex_exact_div(x, new, old);
            if (more_old) {
                while (i >= 0 && is_one(v, i)) i--;
                if (i < 0 || v->strides[i] != run || v->from[i]) return false;
                run = ex_mul(x, run, v->dims[i]);
                old = ex_mul(x, old, v->dims[i--]);
            }
            if (more_new) {
                if (j < 0) return false;
                new = ex_mul(x, new, dims[j--]);
            }
        }
        for (int k = first_new; k > j; k--) {
            out->dims[k] = dims[k];
            out->strides[k] = stride;
            stride = ex_mul(x, stride, dims[k]);
        }
    }
    return true;
}

View view_permute(const View *v, const IntList *perm) {
    View out = *v;
    for (int i = 0; i < perm->count; i++) {
        out.dims[i] = v->dims[perm->v[i]];
        out.strides[i] = v->strides[perm->v[i]];
        out.from[i] = v->from[perm->v[i]];
        out.period[i] = v->period[perm->v[i]];
    }
    return out;
}

View view_slice(Lower *lo, const View *v, int axis, const Expr *start, const Expr *length,
                int64_t step) {
    View out = *v;
    out.offset = ex_add(lo->x, v->offset, ex_mul(lo->x, start, v->strides[axis]));
    out.dims[axis] = length;
    out.strides[axis] = ex_scale(lo->x, v->strides[axis], step, 1);
    return out;
}

View view_broadcast(Lower *lo, const View *v, int rank, const Expr *const *dims) {
    View out = *v;
    out.rank = rank;
    for (int i = 0; i < rank; i++) {
        int from = i - (rank - v->rank);
        bool same = from >= 0 && (v->dims[from] == dims[i] || !ex_is(v->dims[from], 1));
        out.dims[i] = dims[i];
        out.strides[i] = same ? v->strides[from] : ex_int(lo->x, 0);
        out.from[i] = same ? v->from[from] : NULL;
        out.period[i] = same ? v->period[from] : NULL;
    }
    return out;
}
