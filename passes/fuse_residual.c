/* fuse_residual: activations and residual connections after a convolution or a product become its
 * end.
 *
 *     %1 = conv %x, %w, %b
 *     %2 = add %1, %r                  %3 = conv %x, %w, %b, %r {act=relu, residual_first=1}
 *     %3 = relu %2               =>
 *
 * A residual has the dims of the result. Transposes between a product and the addition move behind
 * it if the residual lies in the same order: it is transposed likewise, or a convolution's. A view
 * that only moves axes of length 1 is such a transpose.
 *
 *     %1 = linear %a, %w               %y = linear %a, %w, _, %q
 *     %2 = transpose %1          =>    %3 = transpose %y
 *     %r = transpose %q
 *     %3 = add %2, %r
 */
#include "ir/build.h"
#include "passes/pass.h"

#include <string.h>

enum { BIAS = 2, RESIDUAL = 3 };

static bool is_product(const Node *n) {
    return n && (n->op == OP_conv || n->op == OP_linear) && n->outputs[0]->type.dtype != TN_F64;
}

static bool has_residual(const Node *n) {
    return n->input_count > RESIDUAL && n->inputs[RESIDUAL];
}

static bool is_active(const Node *n) {
    return strcmp(attr_string(n, "act"), "none") != 0;
}

/* The activation that the operator is, or NULL. */
static const char *activation(OpKind op) {
    switch (op) {
    case OP_relu:
    case OP_gelu:
    case OP_gelu_tanh:
    case OP_gelu_quick:
    case OP_silu:
    case OP_tanh:
    case OP_sigmoid: return ir_op_info(op)->name;
    default: return NULL;
    }
}

static bool fuse_activation(Graph *g, Node *n, Report *r) {
    Node *product = n->inputs[0]->node;
    if (!is_product(product)) return false;
    const char *why = NULL;
    if (!ir_single_use(product->outputs[0])) why = "what comes before is read elsewhere";
    if (is_active(product)) why = "what comes before has an activation";
    if (why) {
        report_miss(r, "activation", n, "%s", why);
        return false;
    }
    ir_edit_begin(g, n, (Node *[]){product, n}, 2);
    Node *fused = ir_node(g, product->op, product->input_count, product->inputs);
    ir_copy_attrs(fused, product);
    ir_set_string(fused, "act", activation(n->op));
    ir_set_bool(fused, "residual_first", has_residual(product));
    ir_insert(fused);
    ir_edit_end(g);
    ir_replace(n->outputs[0], fused->outputs[0]);
    ir_remove(n);
    ir_remove(product);
    report_fired(r, "activation");
    return true;
}

/* An addition and the product that takes the other addend as its residual. */
typedef struct Residual {
    Node *add, *product, *transpose; /* transpose: or view, between the two; or NULL */
    Value *residual;
} Residual;

/* Its axes longer than 1 are those of what it views. */
static bool moves_ones(const Node *view) {
    const Type *x = &view->inputs[0]->type, *y = &view->outputs[0]->type;
    int i = 0, j = 0;
    while (true) {
        while (i < x->rank && ex_is(x->dims[i], 1)) i++;
        while (j < y->rank && ex_is(y->dims[j], 1)) j++;
        if (i == x->rank || j == y->rank || x->dims[i] != y->dims[j]) break;
        i++, j++;
    }
    return i == x->rank && j == y->rank;
}

static bool is_transpose(const Node *n) {
    return n && (n->op == OP_transpose || (n->op == OP_view && moves_ones(n)));
}

/* It lies in memory as the transposed product does. */
static bool lies_alike(const Value *v, const Node *transpose) {
    const Node *n = v->node;
    if (!n) return false;
    if (n->op == OP_conv) return true;
    if (n->op != transpose->op) return false;
    return n->op == OP_view
               ? ir_same_dims(&n->inputs[0]->type, &transpose->inputs[0]->type)
               : !memcmp(attr_ints(n, "perm"), attr_ints(transpose, "perm"), sizeof(IntList));
}

/* A factor or term of whole rows, which a map takes up: whatever it is added to, that is broadcast
 * but for rows of one element. */
static bool is_column(const Value *v) {
    return v->node->op == OP_linear && ex_is(v->type.dims[v->type.rank - 1], 1);
}

static const char *find(Node *add, int side, Residual *f) {
    Value *v = add->inputs[side];
    *f = (Residual){.add = add, .residual = add->inputs[1 - side]};
    if (is_transpose(v->node)) {
        f->transpose = v->node;
        if (!ir_single_use(v)) return "a transposed product is read elsewhere";
        v = v->node->inputs[0];
    }
    if (!is_product(v->node)) return "";
    f->product = v->node;
    if (!ir_single_use(v)) return "what comes before is read elsewhere";
    if (has_residual(f->product)) return "what comes before has a residual";
    if (is_column(v)) return "the product is one column";
    if (f->residual->constant) return "the other addend is a constant";
    if (!ir_same_dims(&add->inputs[side]->type, &f->residual->type))
        return "the other addend is broadcast";
    if (!ir_same_dims(&add->outputs[0]->type, &f->residual->type))
        return "the addends are broadcast";
    if (f->transpose && !lies_alike(f->residual, f->transpose))
        return "the other addend lies in another order";
    return NULL;
}

static bool comes_before(const Node *a, const Node *b) {
    while (a && a != b) a = a->next;
    return a != NULL;
}

/* The later of two products is the better one: the other's result is there when it runs. */
static const char *choose(Node *add, Residual *f) {
    Residual other;
    const char *why = find(add, 1, f), *why_other = find(add, 0, &other);
    if (!why && !why_other && comes_before(f->product, other.product)) *f = other;
    if (why && (!why_other || !*why)) {
        *f = other;
        why = why_other;
    }
    return why;
}

/* v with its axes as they are behind f's transpose, or, inverse, before it. */
static Value *transposed(const Residual *f, Value *v, bool inverse) {
    const Node *n = f->transpose;
    Graph *g = f->product->graph;
    if (!n) return v;
    const Type *t = &(inverse ? n->inputs[0] : n->outputs[0])->type;
    if (n->op == OP_view) return ir_view(g, v, t->rank, t->dims);
    const IntList *list = attr_ints(n, "perm");
    int perm[TN_MAX_RANK];
    for (int i = 0; i < list->count; i++)
        perm[inverse ? list->v[i] : i] = (int)(inverse ? i : list->v[i]);
    return ir_transpose(g, v, perm);
}

static Value *rewrite(const Residual *f) {
    const Node *n = f->product;
    Value *residual = transposed(f, f->residual, true);
    Value *in[4] = {n->inputs[0], n->inputs[1], n->input_count > BIAS ? n->inputs[BIAS] : NULL,
                    residual};
    Node *fused = ir_node(n->graph, n->op, 4, in);
    ir_copy_attrs(fused, n);
    return transposed(f, ir_insert(fused), false);
}

static bool fuse_addition(Graph *g, Node *add, Report *r) {
    Residual f;
    const char *why = choose(add, &f);
    if (why) {
        if (*why) report_miss(r, "residual", add, "%s", why);
        return false;
    }
    Node *both[2] = {f.product, add};
    ir_edit_begin(g, add, both, 2);
    Value *y = rewrite(&f);
    ir_edit_end(g);
    ir_replace(add->outputs[0], y);
    ir_remove(add);
    if (f.transpose) ir_remove(f.transpose);
    ir_remove(f.product);
    report_fired(r, "residual");
    return true;
}

bool pass_fuse_residual(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        if (n->op == OP_add)
            changed |= fuse_addition(g, n, r);
        else if (activation(n->op))
            changed |= fuse_activation(g, n, r);
    }
    return changed;
}
