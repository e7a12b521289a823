/* pad_product: a product behind a column of zeros is a product with one row of zeros more.
 *
 *     %p = matmul %q, %r {tb=1}                    [.., s, t]
 *     %y = concat %zero, %p {axis=-1}              [.., s, t + 1]
 * =>
 *     %r2 = pad %r                                 [.., t + 1, d]
 *     %y = matmul %q, %r2 {tb=1}
 *
 * The relative shift of Transformer-XL begins like this, and the scores need not be copied for it.
 * The zeros move on to where the rows of %r come from: through views, transposes and products with
 * constants, so that all layers share one extended table of positions. */
#include <string.h>
#include "passes/canon.h"
#include "passes/turn.h"

/* v with one slice of zeros in front along an axis. */
static Value *extended(Graph *g, Value *v, int axis);

static Value *extended_view(Graph *g, const Node *n, int axis) {
    const Type *t = &n->outputs[0]->type;
    const Expr *dims[TN_MAX_RANK];
    AxisRuns r;
    int k = 0;
    if (!axis_runs(g->module->ex, &n->inputs[0]->type, t, &r)) return NULL;
    while (r.out[k + 1] <= axis) k++;
    if (r.in[k + 1] - r.in[k] != 1 || r.out[k + 1] - r.out[k] != 1) return NULL;
    for (int i = 0; i < t->rank; i++) dims[i] = t->dims[i];
    dims[axis] = ex_add(g->module->ex, dims[axis], ex_int(g->module->ex, 1));
    return ir_view(g, extended(g, n->inputs[0], r.in[k]), t->rank, dims);
}

static Value *extended_node(Graph *g, const Node *n, int axis) {
    const Type *t = &n->outputs[0]->type;
    int perm[TN_MAX_RANK];
    switch (n->op) {
    case OP_view: return extended_view(g, n, axis);
    case OP_transpose:
        for (int i = 0; i < t->rank; i++) perm[i] = (int)attr_ints(n, "perm")->v[i];
        return ir_transpose(g, extended(g, n->inputs[0], perm[axis]), perm);
    case OP_matmul: {
        const Value *w = n->inputs[1];
        if (!w->constant || w->type.rank != 2 || attr_bool(n, "ta") || axis == t->rank - 1)
            return NULL;
        return ir_matmul(g, extended(g, n->inputs[0], axis), n->inputs[1], false,
                         attr_bool(n, "tb"));
    }
    default: return NULL;
    }
}

static Value *extended(Graph *g, Value *v, int axis) {
    Value *y = v->node && ir_single_use(v) ? extended_node(g, v->node, axis) : NULL;
    if (y) return y;
    const Expr *before[TN_MAX_RANK], *after[TN_MAX_RANK], *zero = ex_int(g->module->ex, 0);
    for (int i = 0; i < v->type.rank; i++) before[i] = after[i] = zero;
    before[axis] = ex_int(g->module->ex, 1);
    Node *pad = ir_node(g, OP_pad, 1, &v);
    ir_set_dims(pad, "before", v->type.rank, before);
    ir_set_dims(pad, "after", v->type.rank, after);
    return ir_insert(pad);
}

static bool is_zero(const Value *v) {
    double x;
    if (v->node && v->node->op == OP_splat) return attr_float(v->node, "value") == 0;
    return ir_constant_float(v, &x) && x == 0;
}

/* The product, or view of its rows, behind a column of zeros, or NULL. */
static Node *padded_product(const Node *n) {
    int last = n->outputs[0]->type.rank - 1;
    Value *p = NULL;
    if (last < 1 || !tn_is_float(n->outputs[0]->type.dtype)) return NULL;
    if (n->op == OP_concat && n->input_count == 2 && attr_int(n, "axis") == last) {
        bool column = ex_is(n->inputs[0]->type.dims[last], 1) && is_zero(n->inputs[0]);
        p = column ? n->inputs[1] : NULL;
    } else if (n->op == OP_pad && !strcmp(attr_string(n, "mode"), "constant") &&
               (n->input_count == 1 || is_zero(n->inputs[1]))) {
        const DimList *before = attr_dims(n, "before"), *after = attr_dims(n, "after");
        bool column = ex_is(before->e[last], 1);
        for (int i = 0; i <= last; i++)
            column = column && ex_is(after->e[i], 0) && (i == last || ex_is(before->e[i], 0));
        p = column ? n->inputs[0] : NULL;
    }
    while (p && p->node && p->node->op == OP_view && ir_single_use(p) && canon_keeps_rows(p->node))
        p = p->node->inputs[0];
    if (!p || !p->node || p->node->op != OP_matmul || !ir_single_use(p)) return NULL;
    const Value *a = p->node->inputs[0], *b = p->node->inputs[1];
    return a->constant || (b->constant && b->type.rank == 2) ? NULL : p->node;
}

bool pass_pad_product(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        Node *product = padded_product(n);
        if (!product) continue;
        Value *b = product->inputs[1];
        bool tb = attr_bool(product, "tb");
        ir_edit_begin(g, n, (Node *[]){product, n}, 2);
        Value *wider = extended(g, b, b->type.rank - (tb ? 2 : 1));
        Value *y = ir_matmul(g, product->inputs[0], wider, attr_bool(product, "ta"), tb);
        const Type *t = &n->outputs[0]->type;
        ir_replace(n->outputs[0], ir_view(g, y, t->rank, t->dims));
        ir_edit_end(g);
        report_fired(r, "pad_product");
        changed = true;
    }
    return changed;
}
