/* Places of elements, followed back; see trace.h.
 *
 *     %1: f32[b, 2, n, d] = transpose %x {perm=[0, 2, 1, 3]}
 *     %2: f32[2*b, n, d] = view %1
 *
 * The element of %2 at (2 i + h, t, c), h < 2, is that of %1 at (i, h, t, c) and of %x at
 * (i, t, h, c). Everything is arithmetic on coordinates: no spelling of the moves matters. */
#include "passes/trace.h"

#include <string.h>
#include "ir/infer.h"

/* The operand of a concat that holds coordinate `at` along the axis, and its first coordinate. */
static Value *part_at(Module *m, const Node *n, int axis, const Expr *at, const Expr **first) {
    *first = ex_int(m->ex, 0);
    for (int i = 0; i < n->input_count; i++) {
        const Expr *next = ex_add(m->ex, *first, n->inputs[i]->type.dims[axis]);
        bool before = ex_provably_ge(m->ex, next, ex_add(m->ex, at, ex_int(m->ex, 1)));
        if (before && ex_provably_ge(m->ex, at, *first)) return n->inputs[i];
        *first = next;
    }
    return NULL;
}

bool trace_back(Module *m, Place *p) {
    Node *n = p->value->node;
    if (!n || n->input_count < 1 || !n->inputs[0]) return false;
    const Type *t = &p->value->type;
    const Expr *at[TN_MAX_RANK], *first;
    Value *from = n->inputs[0];
    memcpy(at, p->at, sizeof at);
    int axis;
    switch (n->op) {
    case OP_view:
        if (!facts_view_map(m, &from->type, t, p->at, at)) return false;
        break;
    case OP_transpose:
        for (int i = 0; i < t->rank; i++) at[attr_ints(n, "perm")->v[i]] = p->at[i];
        break;
    case OP_expand:
        for (int i = 0; i < from->type.rank; i++)
            at[i] = ex_is(from->type.dims[i], 1) ? ex_int(m->ex, 0)
                                                 : p->at[i + t->rank - from->type.rank];
        break;
    case OP_slice:
        axis = ir_axis(m, attr_int(n, "axis"), t->rank);
        at[axis] =
            ex_add(m->ex, attr_dim(n, "start"), ex_scale(m->ex, at[axis], attr_int(n, "step"), 1));
        break;
    case OP_concat:
        axis = ir_axis(m, attr_int(n, "axis"), t->rank);
        from = part_at(m, n, axis, at[axis], &first);
        if (!from) return false;
        at[axis] = ex_sub(m->ex, at[axis], first);
        break;
    default: return false;
    }
    p->value = from;
    memcpy(p->at, at, sizeof at);
    return true;
}

bool trace_is(Module *m, const Place *p, int rank, const Expr *const *dims, const Expr *const *at) {
    const Expr *map[TN_MAX_RANK];
    Type wanted = {.dtype = p->value->type.dtype, .rank = rank};
    const Type *t = &p->value->type;
    memcpy(wanted.dims, dims, (size_t)rank * sizeof *dims);
    if (ir_elements(m, t) != ir_elements(m, &wanted)) return false;
    if (!facts_view_map(m, t, &wanted, at, map)) return false;
    for (int i = 0; i < t->rank; i++)
        if (map[i] != p->at[i] && !ex_is(t->dims[i], 1)) return false;
    return true;
}
