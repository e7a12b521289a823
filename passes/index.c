/* index: tables read at positions that follow from the element's place need no index tensor.
 *
 *     %p: i64[1, seq] = ...                     elements 0 + i1
 *     %y: f32[1, seq, 64] = gather %table, %p
 * =>
 *     %1: f32[seq, 64] = slice %table {axis=0, start=0, length=seq}
 *     %y: f32[1, seq, 64] = view %1
 *
 * A gather whose index is c + i_k (one coordinate, step 1) is a slice; one whose index is the same
 * everywhere is a slice of one. */
#include "passes/index.h"

#include "ir/build.h"
#include "passes/pass.h"

static bool free_of_data(const Expr *e) {
    return ex_is_integral(e) && !ex_mentions(e, ATOM_LOAD) && !ex_mentions(e, ATOM_WHERE) &&
           !ex_mentions(e, ATOM_BIT) && !ex_mentions(e, ATOM_TRUNC);
}

bool index_run(Module *m, const Expr *e, const Type *t, const Expr **start, int *axis) {
    ExprCx *x = m->ex;
    if (!e || !free_of_data(e)) return false;
    *axis = -1;
    for (int i = 0; i < t->rank; i++) {
        if (!ex_mentions_coord(e, i)) continue;
        if (*axis >= 0) return false;
        *axis = i;
    }
    *start = *axis < 0 ? e : ex_sub(x, e, ex_coord(x, *axis, t->dims[*axis]));
    return !ex_mentions(*start, ATOM_COORD);
}

static Value *gather_as_slice(Node *n) {
    Graph *g = n->graph;
    Module *m = g->module;
    Value *x = n->inputs[0], *index = n->inputs[1];
    int axis = (int)attr_int(n, "axis"), run;
    const Expr *start;
    if (!index_run(m, index->facts.elem, &index->type, &start, &run)) return NULL;
    int64_t constant;
    if (ex_const(start, &constant) && constant < 0)
        return NULL; /* counts from the end: canon knows single ones */
    const Expr *length = run < 0 ? ex_int(m->ex, 1) : index->type.dims[run];
    if (!ex_nonneg(m->ex, start)) return NULL;
    if (!ex_provably_ge(m->ex, x->type.dims[axis], ex_add(m->ex, start, length))) return NULL;
    Value *s = ir_slice(g, x, axis, start, length, 1);
    const Type *t = &n->outputs[0]->type;
    const Expr *dims[TN_MAX_RANK];
    for (int i = 0; i < t->rank; i++) {
        bool of_index = i >= axis && i < axis + index->type.rank;
        dims[i] = of_index && i - axis != run ? ex_int(m->ex, 1) : t->dims[i];
    }
    return ir_expand(g, ir_view(g, s, t->rank, dims), t->rank, t->dims);
}

bool pass_index(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        if (n->op != OP_gather) continue;
        ir_edit_begin(g, n, &n, 1);
        Value *v = gather_as_slice(n);
        ir_edit_end(g);
        if (!v) continue;
        ir_replace(n->outputs[0], v);
        ir_remove(n);
        report_fired(r, "index");
        changed = true;
    }
    return changed;
}
