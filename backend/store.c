/* Where results lie: in the order in which their readers want them.
 *
 *     %1: [b 64, 49, c] = linear ..
 *     %2: [b, 8, 8, 7, 7, c] = view %1
 *     %3: [b, 8, 7, 8, 7, c] = transpose %2
 *     %4: [b, 56, 56, c] = view %3            no strides say this if %1 is dense
 *
 * If %4 is dense instead, %1 is [b, 8, 8, 7, 7, c] with strides: the operator that computes it
 * writes its rows there, and nothing is copied. So the moves that a result goes through, each the
 * only reader of the one before, are undone from a dense view of what they arrive at. Only rows of
 * the result that stay whole are worth it. */
#include "backend/place.h"

#define MAX_MOVES 8

typedef struct Path {
    Node *move[MAX_MOVES];
    int count;
} Path;

/* A result that is larger or smaller may have lengths that are only measured after it. */
static bool is_measured(const Type *t) {
    for (int i = 0; i < t->rank; i++)
        if (ex_mentions_measured(t->dims[i])) return true;
    return false;
}

static bool is_move(const Node *n) {
    return n->op == OP_view || n->op == OP_transpose || n->op == OP_roll ||
           (n->op == OP_slice && attr_int(n, "step") > 0);
}

static Path path_of(const Value *v) {
    Path p = {.count = 0};
    while (p.count < MAX_MOVES && ir_single_use(v)) {
        Node *n = v->uses[0].node;
        if (!is_move(n)) break;
        v = n->outputs[0];
        if (is_measured(&v->type)) break;
        p.move[p.count++] = n;
    }
    return p;
}

static bool plain(const View *v, const Type *t) {
    return view_has_dims(v, t) && !view_has_ring(v);
}

/* The same elements as v under the dims of t; split if no strides say this. */
static View under(Lower *lo, const View *v, const Type *t) {
    View out;
    return view_reshape(lo, v, t->rank, t->dims, &out) ? out : *v;
}

static View permuted(const View *v, const IntList *perm, bool back) {
    IntList inverse = *perm;
    for (int i = 0; i < perm->count; i++) inverse.v[perm->v[i]] = i;
    return view_permute(v, back ? &inverse : perm);
}

/* From the view x of a move's operand that of its result, or back. False: needs a copy. */
static bool follow(Lower *lo, const Node *n, bool back, const View *x, View *y) {
    const Type *from = &n->inputs[0]->type, *to = &n->outputs[0]->type;
    if (n->op == OP_view) {
        *y = under(lo, x, back ? from : to);
        return true;
    }
    if (!view_has_dims(x, back ? to : from)) return false;
    switch (n->op) {
    case OP_transpose: *y = permuted(x, attr_ints(n, "perm"), back); return true;
    case OP_roll: return view_roll(lo, x, attr_dims(n, "starts"), back, y);
    case OP_slice:
        return !back && view_slice_ring(lo, x, (int)attr_int(n, "axis"), attr_dim(n, "start"),
                                        attr_dim(n, "length"), attr_int(n, "step"), y);
    default: return false;
    }
}

bool store_is_rowwise(const Node *n) {
    switch (n->op) {
    case OP_map:
    case OP_linear:
    case OP_qkv:
    case OP_layer_norm:
    case OP_rms_norm:
    case OP_add_norm: return true;
    default: return false;
    }
}

static bool has_rows(const View *v, const Type *t) {
    return v->rank && t->rank && view_has_rows(v) && v->dims[v->rank - 1] == t->dims[t->rank - 1];
}

/* Whether what moves [first, ..) of the path make of view v can be read without a copy. */
static bool arrives(Lower *lo, const Value *start, const Path *p, int first, const View *v) {
    const Value *end = p->count ? p->move[p->count - 1]->outputs[0] : start;
    View at = *v, next;
    for (int i = first; i < p->count; i++, at = next)
        if (!follow(lo, p->move[i], false, &at, &next)) return false;
    if (plain(&at, &end->type)) return true;
    for (int i = 0; i < end->use_count; i++)
        if (!store_is_rowwise(end->uses[i].node)) return false;
    return !ir_is_output(end) && has_rows(&at, &end->type);
}

/* The view of v if what move `last` makes of it is dense. */
static bool undo(Lower *lo, const Value *v, const Path *p, int last, View dense, View *out) {
    View at = dense;
    for (int i = last; i >= 0; i--, at = *out)
        if (!follow(lo, p->move[i], true, &at, out)) return false;
    return has_rows(out, &v->type);
}

bool store_for_reader(Lower *lo, const Value *v, View *stored) {
    Path p = path_of(v);
    View own = place_own(lo, v), dense;
    if (arrives(lo, v, &p, 0, &own)) return false;
    for (int i = p.count - 1; i >= 0; i--) {
        const Type *t = &p.move[i]->outputs[0]->type;
        dense = view_dense(lo, TN_NO_ID, t);
        if (!undo(lo, v, &p, i, dense, stored) || !arrives(lo, v, &p, i + 1, &dense)) continue;
        stored->buffer =
            lower_buffer(lo, TN_BUFFER_ARENA, 0, ir_elements(lo->im->module, t), t->dtype);
        return true;
    }
    return false;
}

View lower_store(Lower *lo, const Value *v) {
    View stored;
    if (!place_rows(lo, v, &stored) && !store_for_reader(lo, v, &stored))
        return lower_result(lo, v);
    lower_set(lo, v, stored);
    return stored;
}
