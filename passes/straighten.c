/* straighten: softmax is taken in the order of axes that the product of its scores has.
 *
 *     %s = matmul %q, %k {tb=1}                          b, h, i, j
 *     %1 = transpose %s {perm=[2, 3, 0, 1]}              i, j, b, h      as an einsum may ask for
 *     %2 = add %1, %bias
 *     %3 = softmax %2 {axis=1}
 * =>
 *     %4 = transpose %bias {perm=[2, 3, 0, 1]}
 *     %5 = add %s, %4
 *     %6 = softmax %5
 *     %3 = transpose %6 {perm=[2, 3, 0, 1]}
 *
 * What reads the probabilities in the product's order loses a transpose, too; then they are an
 * attention like any other. Where softmax is over the rows of the product, its operands change
 * places. Scores that are a product as it is stay as they are. */
#include <math.h>
#include "passes/pass.h"
#include "passes/turn.h"

#define STEPS 16

/* The products that `v` is elementwise computed from: whether one is there as it is; and the first
 * transpose that leaves `axis` of a product's columns, or else of its rows. */
typedef struct Products {
    bool plain;
    Node *columns, *rows;
} Products;

static void find_products(const Value *v, int axis, int depth, Products *p) {
    const Node *n = v->node;
    if (depth == 0 || !n || !ir_single_use(v)) return;
    if (n->op == OP_matmul) p->plain = true;
    if (n->op == OP_transpose) {
        const Node *product = n->inputs[0]->node;
        if (!product || product->op != OP_matmul) return;
        int64_t from = attr_ints(n, "perm")->v[axis];
        if (!p->columns && from == v->type.rank - 1) p->columns = v->node;
        if (!p->rows && from == v->type.rank - 2) p->rows = v->node;
    }
    if (!(ir_op_info(n->op)->flags & OPF_ELEMENTWISE)) return;
    for (int i = 0; i < n->input_count; i++)
        if (ir_same_dims(&n->inputs[i]->type, &n->outputs[0]->type))
            find_products(n->inputs[i], axis, depth - 1, p);
}

static bool straighten(Graph *g, Node *softmax) {
    Value *x = softmax->inputs[0], *old = softmax->outputs[0];
    int rank = x->type.rank, axis = ir_axis(g->module, attr_int(softmax, "axis"), rank);
    int back[TN_MAX_RANK], perm[TN_MAX_RANK];
    Products p = {0};
    find_products(x, axis, STEPS, &p);
    Node *turn = p.columns ? p.columns : p.rows;
    if (rank < 3 || p.plain || !turn) return false;
    for (int i = 0; i < rank; i++) {
        int from = (int)attr_ints(turn, "perm")->v[i];
        back[i] = !p.columns && from >= rank - 2 ? 2 * rank - 3 - from : from;
        perm[back[i]] = i;
    }
    x = turned(g, x, perm);
    ir_origins_from(g, &softmax, 1);
    Value *y = ir_softmax(g, x, -1);
    ir_replace(old, ir_transpose(g, y, back));
    return true;
}

bool pass_straighten(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        if (n->op != OP_softmax) continue;
        g->cursor = n;
        if (straighten(g, n)) {
            report_fired(r, "straighten");
            changed = true;
        }
        ir_edit_end(g);
    }
    return changed;
}
