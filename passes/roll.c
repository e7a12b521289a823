/* roll: the two parts of a tensor in the other order are a shift.
 *
 *     %1 = slice %x {axis=1, start=3, length=53}
 *     %2 = slice %x {axis=1, start=0, length=3}
 *     %y = concat %1, %2 {axis=1}                  =>      %y = roll %x {starts=[0, 3, 0, 0]}
 *
 * A shift of a shift along another axis becomes one operator in canon. */
#include "ir/build.h"
#include "passes/pass.h"

/* The tensor that v is a run of along `axis`, NULL if it is none. */
static Value *run_of(const Value *v, int axis, const Expr **start, const Expr **length) {
    const Node *n = v->node;
    if (!n || n->op != OP_slice || attr_int(n, "axis") != axis || attr_int(n, "step") != 1)
        return NULL;
    *start = attr_dim(n, "start");
    *length = attr_dim(n, "length");
    return n->inputs[0];
}

/* The tensor that concat `n` shifts; NULL, with the reason if it nearly is one. */
static Value *find(const Node *n, const Expr **start, const char **why) {
    ExprCx *ex = n->graph->module->ex;
    int axis = (int)attr_int(n, "axis");
    const Expr *at[2], *length[2];
    *why = NULL;
    if (n->input_count != 2) return NULL;
    Value *x = run_of(n->inputs[0], axis, &at[0], &length[0]);
    if (!x || run_of(n->inputs[1], axis, &at[1], &length[1]) != x) return NULL;
    if (!ex_is(at[1], 0) || ex_norm(ex, length[1]) != ex_norm(ex, at[0]))
        *why = "the second part does not end where the first begins";
    else if (ex_norm(ex, ex_add(ex, at[0], length[0])) != x->type.dims[axis])
        *why = "the first part is not known to end with the axis";
    *start = ex_norm(ex, at[0]);
    return *why ? NULL : x;
}

static Value *rolled(Graph *g, Value *x, int axis, const Expr *start) {
    const Expr *starts[TN_MAX_RANK];
    for (int i = 0; i < x->type.rank; i++) starts[i] = ex_int(g->module->ex, 0);
    starts[axis] = start;
    Node *n = ir_node(g, OP_roll, 1, &x);
    ir_set_dims(n, "starts", x->type.rank, starts);
    return ir_insert(n);
}

bool pass_roll(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        const Expr *start;
        const char *why;
        if (n->op != OP_concat) continue;
        Value *x = find(n, &start, &why);
        if (why) report_miss(r, "roll", n, "%s", why);
        if (!x) continue;
        Node *const parts[] = {n, n->inputs[0]->node, n->inputs[1]->node};
        ir_edit_begin(g, n, parts, 3);
        Value *y = rolled(g, x, (int)attr_int(n, "axis"), start);
        ir_edit_end(g);
        ir_replace(n->outputs[0], y);
        ir_remove(n);
        report_fired(r, "roll");
        changed = true;
    }
    return changed;
}
