/* fuse_group_norm: a norm over groups of channels and all places, with a gain and a bias for each
 * channel, is one operator. It reads channels last, as convolutions leave and want them.
 *
 *     %1 = view %x {dims=[b, 32, c h w // 32]}                    %x: [b, c, h, w]
 *     %2 = layer_norm %1
 *     %3 = view %2 {dims=[b, c, h, w]}
 *     %4 = mul %3, %g                                             %g, %b: [c, 1, 1]
 *     %y = add %4, %b
 * =>
 *     %1 = transpose %x {perm=[0, 2, 3, 1]}
 *     %2 = group_norm %1, %g as [c], %b as [c] {groups=32}
 *     %y = transpose %2 {perm=[0, 3, 1, 2]}
 *
 * The places may have become one axis behind it. */
#include "ir/build.h"
#include "passes/pass.h"

typedef struct Found {
    Value *x, *gamma, *beta; /* NULL: none */
    Node *last;              /* whose result is replaced */
    int64_t groups;
} Found;

static const char *find_groups(const Node *norm, Found *f) {
    const Node *split = norm->inputs[0]->node;
    if (!split || split->op != OP_view || !ir_single_use(norm->outputs[0])) return "";
    Node *join = norm->outputs[0]->uses[0].node;
    const Type *x = &split->inputs[0]->type, *rows = &split->outputs[0]->type;
    const Type *y = &join->outputs[0]->type;
    if (join->op != OP_view || rows->rank != 3 || x->rank < 3 || x->rank > 5 || y->rank < 3)
        return "";
    if (rows->dims[0] != x->dims[0] || y->dims[0] != x->dims[0] || y->dims[1] != x->dims[1])
        return "";
    int64_t channels;
    for (int i = 1; i < norm->input_count; i++)
        if (norm->inputs[i]) return "the norm has a gain for each element";
    if (x->dtype != TN_F32) return "the image is not of f32";
    if (!ex_const(rows->dims[1], &f->groups) || !ex_const(x->dims[1], &channels))
        return "the number of channels is not known";
    if (f->groups < 1 || channels % f->groups) return "groups are no whole channels";
    f->x = split->inputs[0];
    f->last = join;
    return NULL;
}

/* The constant with one number per channel that an operator combines v with, as a vector. */
static Value *per_channel(const Node *n, const Value *v) {
    Value *c = n->inputs[n->inputs[0] == v];
    int rank = v->type.rank, axis = 1 - (rank - c->type.rank);
    if (!c->constant || c == v || axis < 0 || c->type.rank > rank) return NULL;
    for (int i = 0; i < c->type.rank; i++)
        if (!ex_is(c->type.dims[i], 1) && i != axis) return NULL;
    const Expr *channels = v->type.dims[1];
    return c->type.dims[axis] == channels ? ir_view(n->graph, c, 1, &channels) : NULL;
}

/* A mul or add of each channel that alone reads what there is so far. */
static Value *follow(Found *f, OpKind op) {
    const Value *v = f->last->outputs[0];
    if (!ir_single_use(v) || v->uses[0].node->op != op) return NULL;
    Node *n = v->uses[0].node;
    n->graph->cursor = n;
    Value *c = per_channel(n, v);
    n->graph->cursor = NULL;
    if (c) f->last = n;
    return c;
}

static Value *rewrite(Graph *g, const Found *f, double eps) {
    int rank = f->x->type.rank, to_rows[TN_MAX_RANK] = {0}, back[TN_MAX_RANK] = {0, rank - 1};
    for (int i = 2; i < rank; i++) {
        to_rows[i - 1] = i;
        back[i] = i - 1;
    }
    to_rows[rank - 1] = 1;
    Value *in[3] = {ir_transpose(g, f->x, to_rows), f->gamma, f->beta};
    Node *n = ir_node(g, OP_group_norm, f->beta ? 3 : f->gamma ? 2 : 1, in);
    ir_set_int(n, "groups", f->groups);
    ir_set_float(n, "eps", eps);
    const Type *y = &f->last->outputs[0]->type;
    return ir_view(g, ir_transpose(g, ir_insert(n), back), y->rank, y->dims);
}

bool pass_fuse_group_norm(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        Found f = {0};
        if (n->op != OP_layer_norm) continue;
        const char *why = find_groups(n, &f);
        if (why) {
            if (*why) report_miss(r, "group_norm", n, "%s", why);
            continue;
        }
        f.gamma = follow(&f, OP_mul);
        f.beta = follow(&f, OP_add);
        ir_edit_begin(g, f.last, (Node *[]){n, f.last}, 2);
        Value *y = rewrite(g, &f, attr_float(n, "eps"));
        ir_edit_end(g);
        ir_replace(f.last->outputs[0], y);
        report_fired(r, "group_norm");
        changed = true;
    }
    return changed;
}
