/* Pasts that come in, and go out with rows behind them.
 *
 *     %3: [b, h, n, d] = concat %past, %new      returned, so a copy of %past comes before %new
 *     %4: [b, n, h, d] = transpose %3
 *     %6 = attention %5, %4, ..                  finds the first keys in %past as well
 *
 * A long past is much to copy and to read. What has just been copied is in cache, what it was
 * copied to need not be: so attention is told of both places, and order.c marks copies that
 * nobody else reads. */
#include "backend/lower.h"

/* The axis of v that goes along axis `k` of `of`, the same elements in another order; -1: none. */
static int same_axis(const View *v, const View *of, int k) {
    for (int i = 0; i < v->rank; i++)
        if (v->dims[i] == of->dims[k] && v->strides[i] == of->strides[k]) return i;
    return -1;
}

static const Node *concat_behind(const Value *v) {
    while (v->node && (v->node->op == OP_view || v->node->op == OP_transpose))
        v = v->node->inputs[0];
    return v->node && v->node->op == OP_concat && ir_is_output(v) ? v->node : NULL;
}

View lower_past(Lower *lo, const Value *v, const View *view) {
    const Node *n = concat_behind(v);
    if (!n || n->inputs[0]->constant) return view_absent();
    const View all = lower_as_is(lo, n->outputs[0]), past = lower_as_is(lo, n->inputs[0]);
    View found = past;
    int along = -1;
    if (past.buffer == all.buffer || view->buffer != all.buffer || view->offset != all.offset ||
        !view_has_dims(&past, &n->inputs[0]->type) || view_has_ring(&past))
        return view_absent();
    found.rank = view->rank;
    for (int k = 0; k < view->rank; k++) {
        const int i = same_axis(&all, view, k);
        found.dims[k] = view->dims[k];
        found.strides[k] = ex_int(lo->x, 0);
        if (ex_is(view->dims[k], 1)) continue;
        if (i < 0) return view_absent();
        if (i == attr_int(n, "axis")) along = k;
        found.dims[k] = past.dims[i];
        found.strides[k] = past.strides[i];
    }
    return along == 1 && view_has_rows(&found) ? found : view_absent();
}
