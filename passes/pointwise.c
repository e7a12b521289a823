/* pointwise: a convolution of single elements is a product along the channels.
 *
 *     %y: f32[b, o, h, w] = conv %x, %w, %bias        w: [o, c, 1, 1], strides 1
 * =>
 *     %1: f32[b, h, w, c] = transpose %x
 *     %2: f32[b, h, w, o] = matmul %1, %w as [o, c] {tb=1}
 *     %y                  = transpose (%2 + %bias)
 *
 * The transposes are views where images lie channels last. */
#include "ir/build.h"
#include "passes/pass.h"

static bool has_taps(const Constant *w) {
    for (int i = 2; i < w->rank; i++)
        if (w->dims[i] != 1) return true;
    return false;
}

static const char *check(const Node *n) {
    const Constant *w = n->inputs[1]->constant;
    if (w->dtype != TN_F32) return "its weight is not f32";
    if (attr_int(n, "groups") != 1) return "it has groups";
    const IntList *strides = attr_ints(n, "strides"), *pads = attr_ints(n, "pads");
    for (int i = 0; i < strides->count; i++)
        if (strides->v[i] != 1) return "it leaves elements out";
    for (int i = 0; i < pads->count; i++)
        if (pads->v[i]) return "it is padded";
    return NULL;
}

/* x[b, c, ..] as [b, .., c]. A product would read [b, c, n] itself the other way round, its weight
 * unpacked: it sees [b, c, n, 1]. */
static Value *channels_last(Graph *g, Value *x) {
    const Expr *dims[TN_MAX_RANK];
    int rank = x->type.rank, perm[TN_MAX_RANK] = {0, 2, 1, 3};
    for (int i = 0; i < rank; i++) dims[i] = x->type.dims[i];
    if (rank > 3) {
        for (int i = 1; i < rank; i++) perm[i] = i + 1 < rank ? i + 1 : 1;
        return ir_transpose(g, x, perm);
    }
    dims[3] = ex_int(g->module->ex, 1);
    x = ir_transpose(g, ir_view(g, x, 4, dims), perm);
    return ir_view(g, x, 3, x->type.dims);
}

static Value *rewrite(Graph *g, const Node *n) {
    Value *w = n->inputs[1], *y = channels_last(g, n->inputs[0]);
    int rank = y->type.rank, back[TN_MAX_RANK] = {0, rank - 1};
    for (int i = 2; i < rank; i++) back[i] = i - 1;
    y = ir_matmul(g, y, ir_view(g, w, 2, w->type.dims), false, true);
    if (n->input_count > 2 && n->inputs[2]) y = ir_binary(g, OP_add, y, n->inputs[2]);
    return ir_transpose(g, y, back);
}

bool pass_pointwise(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        if (n->op != OP_conv || !n->inputs[1]->constant || has_taps(n->inputs[1]->constant))
            continue;
        const char *why = check(n);
        if (why) {
            report_miss(r, "pointwise", n, "%s", why);
            continue;
        }
        g->cursor = n;
        ir_origins_from(g, &n, 1);
        Value *y = rewrite(g, n);
        ir_origins_from(g, NULL, 0);
        g->cursor = NULL;
        ir_replace(n->outputs[0], y);
        ir_remove(n);
        report_fired(r, "pointwise");
        changed = true;
    }
    return changed;
}
