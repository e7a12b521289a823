/* Operators that work row by row or element by element, over views that are split or rolled.
 *
 *     %1: [b, 8, 7, 8, 7, c] = transpose %windows       strided
 *     %2: [b, 3136, c] = view %1                        no strides say this: the view stays split
 *     %3: [b, 3136, c] = map %shortcut, %2              reads [b, 8, 7, 8, 7, c] of both
 *
 * The order of elements is the same, so any dims will do under which every operand and every result
 * is a view; first come those of a result that is stored for its reader, then those of the
 * operands. Where none do for all, the operands in the way are copied. */
#include "backend/lower.h"

typedef struct Walk {
    Lower *lo;
    const Type *shape; /* of the first result */
    bool rows;
    int rank; /* the common dims; of rows, all but the last */
    const Expr *dims[TN_MAX_RANK];
} Walk;

static bool leading_dims(const Type *a, const Type *b, bool rows) {
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank - rows; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

/* `view`, of a value of type `t`, under the common dims. */
static bool fit(const Walk *w, const View *view, const Type *t, View *out) {
    View all = *view;
    const Expr *dims[TN_MAX_RANK];
    int rank = w->rank, last = t->rank - 1;
    for (int i = 0; i < rank; i++) dims[i] = w->dims[i];
    if (w->rows) dims[rank++] = t->dims[last];
    if (!leading_dims(t, w->shape, w->rows)) {
        const Expr *whole[TN_MAX_RANK];
        if (!view_has_dims(view, t) || t->rank > w->shape->rank) return false;
        for (int i = 0; i < w->shape->rank; i++) whole[i] = w->shape->dims[i];
        if (w->rows) whole[w->shape->rank - 1] = t->dims[last];
        all = view_broadcast(w->lo, view, w->shape->rank, whole);
    }
    return view_reshape(w->lo, &all, rank, dims, out) && (!w->rows || view_has_rows(out));
}

/* Whether a view's innermost axis is as long as that of its value, or long enough to be walked. */
static bool has_long_rows(const View *view, const Type *t, bool rows) {
    int64_t length;
    if (!view->rank || !t->rank || !view_has_rows(view)) return false;
    const Expr *last = view->dims[view->rank - 1];
    return last == t->dims[t->rank - 1] || (!rows && (!ex_const(last, &length) || length >= 16));
}

/* Takes the dims of a view of v. A split one is walked by its rows: a copy in blocks costs less
 * than elements that lie far apart, or a few at a time. */
static bool dims_of(Walk *w, const View *view, const Value *v) {
    if (!v || !leading_dims(&v->type, w->shape, w->rows)) return false;
    if (!view_has_dims(view, &v->type) && !has_long_rows(view, &v->type, w->rows)) return false;
    w->rank = view->rank - w->rows;
    for (int i = 0; i < w->rank; i++) w->dims[i] = view->dims[i];
    return true;
}

static int misfits(const Walk *w, int count, const Value *const *values, const View *raw) {
    int n = 0;
    View out;
    for (int i = 0; i < count; i++) n += values[i] && !fit(w, &raw[i], &values[i]->type, &out);
    return n;
}

static bool choose_dims(Walk *w, int inputs, int outputs, const Value *const *values,
                        const View *raw) {
    int count = inputs + outputs;
    for (int i = count - 1; i >= 0; i--) /* results first */
        if (dims_of(w, &raw[i], values[i]) && !misfits(w, count, values, raw)) return true;
    for (int i = count - 1; i >= inputs; i--) /* the results cannot be copied */
        if (dims_of(w, &raw[i], values[i]) && !misfits(w, outputs, values + inputs, raw + inputs))
            return true;
    return false;
}

/* Whether the rings of operand i close where those behind it do. */
static bool rings_meet(Lower *lo, const View *views, int i, int count) {
    for (int k = i + 1; k < count; k++)
        if (views[k].buffer != TN_NO_ID && !view_rings_meet(lo, &views[i], &views[k])) return false;
    return true;
}

static View result(Lower *lo, const Value *v, bool stored) {
    return !v ? view_absent() : stored ? lower_store(lo, v) : lower_result(lo, v);
}

void lower_walked(Lower *lo, int inputs, int outputs, const Value *const *values, bool rows,
                  View *views) {
    const Value *const *results = values + inputs;
    View raw[TN_MAX_MAP_INPUTS + 2], *out = raw + inputs;
    for (int i = 0; i < inputs; i++) raw[i] = lower_as_is(lo, values[i]);
    for (int i = 0; i < outputs; i++) /* one stored for its reader is enough */
        out[i] = result(lo, results[i], !i || view_is_dense(lo, &out[0]));
    Walk w = {.lo = lo, .shape = &results[0]->type, .rows = rows};
    if (!choose_dims(&w, inputs, outputs, values, raw)) { /* the second result lies elsewhere */
        out[0] = lower_result(lo, results[0]);
        choose_dims(&w, inputs, outputs, values, raw);
    }
    for (int i = inputs + outputs - 1; i >= 0; i--) {
        views[i] = raw[i];
        if (raw[i].buffer == TN_NO_ID) continue;
        const Type *t = &values[i]->type;
        if (fit(&w, &raw[i], t, &views[i]) && rings_meet(lo, views, i, inputs + outputs)) continue;
        View dense = lower_dense(lo, values[i]);
        fit(&w, &dense, t, &views[i]);
    }
}
