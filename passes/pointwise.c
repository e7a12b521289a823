/* pointwise: a convolution of single places whose result is read as rows is a product.
 *
 *     %y: f32[b, o, h, w] = conv %x, %w, %bias                 w: [o, c, 1, 1]
 *     %z = view %y {dims=[b, o, h w]}, transposed to [b, h w, o]
 * =>
 *     %1: f32[b, h, w, c] = transpose %x
 *     %2: f32[b, h, w, o] = matmul %1, %w as [o, c] {tb=1}
 *     %y                  = transpose (%2 + %bias)
 *
 * The last transpose meets the one of the model, and what is made of products (packed projections,
 * norms of sums) is made of this one. Other convolutions stay what they are: their own kernel is a
 * product of the same rows. */
#include "ir/build.h"
#include "passes/pass.h"

/* Every reader moves the channels behind the places. */
static bool read_as_rows(const Value *v) {
    if (!v->use_count || ir_is_output(v)) return false;
    for (int i = 0; i < v->use_count; i++) {
        const Node *n = v->uses[i].node;
        const Value *y = n->outputs[0];
        if (n->op == OP_transpose) {
            if (attr_ints(n, "perm")->v[v->type.rank - 1] != 1) return false;
        } else if (n->op != OP_view || y->type.rank < 3 || y->type.dims[0] != v->type.dims[0] ||
                   y->type.dims[1] != v->type.dims[1] || !read_as_rows(y)) {
            return false;
        }
    }
    return true;
}

static const char *check(const Node *n) {
    const Constant *w = n->inputs[1]->constant;
    if (!w || w->dtype != TN_F32) return "its weight is no f32 constant";
    int spatial = w->rank - 2;
    if (attr_int(n, "groups") != 1) return "it has groups";
    const IntList *strides = attr_ints(n, "strides"), *pads = attr_ints(n, "pads");
    for (int i = 0; i < spatial; i++) {
        if (w->dims[2 + i] != 1) return "its windows have several places";
        if (strides->v[i] != 1) return "it leaves places out";
        if (pads->v[i] || pads->v[spatial + i]) return "it is padded";
    }
    return read_as_rows(n->outputs[0]) ? NULL : "its result is not read as rows";
}

static Value *rewrite(Graph *g, const Node *n) {
    Value *x = n->inputs[0], *w = n->inputs[1];
    int rank = x->type.rank, to_rows[TN_MAX_RANK] = {0}, back[TN_MAX_RANK] = {0, rank - 1};
    for (int i = 2; i < rank; i++) {
        to_rows[i - 1] = i;
        back[i] = i - 1;
    }
    to_rows[rank - 1] = 1;
    Value *y =
        ir_matmul(g, ir_transpose(g, x, to_rows), ir_view(g, w, 2, w->type.dims), false, true);
    if (n->input_count > 2 && n->inputs[2]) y = ir_binary(g, OP_add, y, n->inputs[2]);
    return ir_transpose(g, y, back);
}

bool pass_pointwise(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        if (n->op != OP_conv) continue;
        const char *why = check(n);
        if (why) {
            report_miss(r, "pointwise", n, "%s", why);
            continue;
        }
        ir_edit_begin(g, n, &n, 1);
        Value *y = rewrite(g, n);
        ir_edit_end(g);
        ir_replace(n->outputs[0], y);
        ir_remove(n);
        report_fired(r, "pointwise");
        changed = true;
    }
    return changed;
}
