/* fuse_norm: a residual connection and the norm behind it become one operator.
 *
 *     %s = add %x, %r                             %y, %s = add_norm %x, %r, %g, %b
 *     %y = layer_norm %s, %g, %b           =>
 *
 * A residual connection adds two tensors of the same shape of which one is a sublayer's result, a
 * product, be its rows in another order. The sum itself stays available: pre-norm models read it
 * again. */
#include "ir/build.h"
#include "passes/pass.h"

static bool moves_rows(const Node *n) {
    switch (n->op) {
    case OP_view: return true;
    case OP_roll:
    case OP_slice:
    case OP_transpose: break;
    default: return false;
    }
    const Type *x = &n->inputs[0]->type, *y = &n->outputs[0]->type;
    const IntList *perm = n->op == OP_transpose ? attr_ints(n, "perm") : NULL;
    return x->dims[x->rank - 1] == y->dims[y->rank - 1] &&
           (!perm || perm->v[perm->count - 1] == perm->count - 1);
}

static bool is_product(const Value *v) {
    while (v->node && moves_rows(v->node)) v = v->node->inputs[0];
    return v->node && (v->node->op == OP_linear || v->node->op == OP_matmul);
}

static const char *find(const Node *norm, Node **sum) {
    Node *add = norm->inputs[0]->node;
    if (!add || add->op != OP_add) return "nothing is added before it";
    const Type *t = &norm->inputs[0]->type;
    if (!ir_same_dims(&add->inputs[0]->type, t) || !ir_same_dims(&add->inputs[1]->type, t))
        return "an addend is broadcast";
    if (add->inputs[0]->constant || add->inputs[1]->constant) return "an addend is a constant";
    for (int i = 1; i < norm->input_count; i++)
        if (norm->inputs[i] && norm->inputs[i]->node) return "gain or bias is computed";
    if (!is_product(add->inputs[0]) && !is_product(add->inputs[1]))
        return "no addend is a sublayer's result";
    *sum = add;
    return NULL;
}

bool pass_fuse_norm(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        if (n->op != OP_layer_norm && n->op != OP_rms_norm) continue;
        report_fired(r, n->op == OP_layer_norm ? "layer_norm" : "rms_norm");
        Node *add;
        const char *why = find(n, &add);
        if (why) {
            report_miss(r, "add_norm", n, "%s", why);
            continue;
        }
        Value *gamma = n->input_count > 1 ? n->inputs[1] : NULL,
              *beta = n->input_count > 2 ? n->inputs[2] : NULL;
        Value *in[4] = {add->inputs[0], add->inputs[1], gamma, beta};
        ir_edit_begin(g, add, (Node *[]){add, n}, 2);
        Node *fused = ir_node(g, OP_add_norm, beta ? 4 : gamma ? 3 : 2, in);
        ir_set_float(fused, "eps", attr_float(n, "eps"));
        ir_set_bool(fused, "rms", n->op == OP_rms_norm);
        ir_insert(fused);
        ir_edit_end(g);
        ir_replace(n->outputs[0], fused->outputs[0]);
        ir_remove(n);
        ir_replace(add->outputs[0], fused->outputs[1]);
        report_fired(r, "add_norm");
        changed = true;
    }
    return changed;
}
