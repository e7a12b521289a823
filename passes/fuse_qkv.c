/* fuse_qkv: the projections of queries, keys and values become one packed product, and so do those
 * of a gate, and those of the places and weights of deformable attention.
 *
 *     %q = linear %x, %wq, %bq
 *     %k = linear %x, %wk, %bk    =>    %q, %k, %v = qkv %x, %wq, %wk, %wv, %bq, %bk, %bv
 *     %v = linear %x, %wv, %bv                           {parts=3, widths=[..]}
 *
 * Also one product that is cut into three (GPT-2), and two of them when the third comes from
 * elsewhere (cross-attention; DETR adds positions to queries and keys only). Between a projection
 * and the attention heads may be split, rotated and normalised, and earlier keys and values joined.
 *
 *     %g = linear %x, %w1, %b1 {act=silu}         %1, %u = qkv %x, %w1, %w2, %b1, %b2
 *     %u = linear %x, %w2, %b2              =>    %g = silu %1
 *     %y = mul %g, %u                             %y = mul %g, %u          which become one map
 *
 * The weights stay constants of their own; the backend stores them as one matrix. So other readers
 * of a weight must read it beside the same others (layers that share their weights, or graphs). */
#include "ir/build.h"
#include "passes/pass.h"

#include <string.h>

typedef struct Projection {
    Node *linear;
    Value *value;      /* what the attention reads, before views and transposes */
    const Expr *start; /* first column; NULL: all of them */
} Projection;

typedef struct Qkv {
    Projection part[3];
    int count;
    bool cut; /* one product, cut by columns */
} Qkv;

#define MAX_DEPTH 16

static bool is_product(const Node *n) {
    return n && n->op == OP_linear && n->input_count <= 3;
}

static bool is_projection(const Node *n) {
    return is_product(n) && !strcmp(attr_string(n, "act"), "none");
}

/* v as a projection or a part of one: the columns that a slice takes. */
static bool projected(Value *v, Projection *p) {
    Node *n = v->node;
    *p = (Projection){.value = v};
    if (n && n->op == OP_slice && attr_int(n, "axis") == v->type.rank - 1 &&
        attr_int(n, "step") == 1) {
        p->start = attr_dim(n, "start");
        n = n->inputs[0]->node;
        while (n && n->op == OP_view && n->inputs[0]->type.rank == v->type.rank)
            n = n->inputs[0]->node;
    }
    p->linear = is_projection(n) ? n : NULL;
    return p->linear != NULL;
}

/* What may stand between a projection and the attention. */
static bool passes_on(OpKind op) {
    switch (op) {
    case OP_view:
    case OP_transpose:
    case OP_slice:
    case OP_concat:
    case OP_add:
    case OP_sub:
    case OP_mul:
    case OP_neg:
    case OP_rms_norm:
    case OP_layer_norm:
    case OP_rotary: return true;
    default: return false;
    }
}

/* The only projection that v is computed from; false if there are two. */
static bool find_projection(Value *v, int depth, Projection *p) {
    Projection here;
    if (!v || v->constant || !v->node || depth == 0) return true;
    if (projected(v, &here)) {
        if (p->linear && p->value != here.value) return false;
        *p = here;
        return true;
    }
    for (int i = 0; passes_on(v->node->op) && i < v->node->input_count; i++)
        if (!find_projection(v->node->inputs[i], depth - 1, p)) return false;
    return true;
}

static Value *bias_of(const Node *linear) {
    return linear->input_count > 2 ? linear->inputs[2] : NULL;
}

static const Expr *width_of(const Value *v) {
    return v->type.dims[v->type.rank - 1];
}

static bool reads(const Node *n, const Value *weight) {
    for (int i = 1; i < n->input_count; i++)
        if (n->inputs[i] == weight) return true;
    return false;
}

/* Whether some projection of x, or this very product, has the weight. */
static bool read_beside(const Node *user, const Value *weight, bool transposed) {
    for (int i = 0; i < weight->use_count; i++) {
        const Use *u = &weight->uses[i];
        if (u->node == user) return true;
        if (u->index == 1 && is_product(u->node) && u->node->inputs[0] == user->inputs[0] &&
            attr_bool(u->node, "tb") == transposed)
            return true;
    }
    return false;
}

/* Every product with one of the weights is one of a set of products with all of them. */
static bool weights_go_together(const Qkv *f) {
    bool transposed = attr_bool(f->part[0].linear, "tb");
    for (int i = 0; i < f->count; i++) {
        const Value *w = f->part[i].linear->inputs[1];
        if (ir_is_output(w)) return false;
        for (int k = 0; k < i; k++)
            if (f->part[k].linear->inputs[1] == w) return false;
        for (int u = 0; u < w->use_count; u++) {
            const Node *user = w->uses[u].node;
            if (user->op == OP_qkv ? !reads(user, w) : !is_product(user)) return false;
            if (user->op == OP_linear && w->uses[u].index != 1) return false;
            for (int k = 0; k < f->count; k++)
                if (!read_beside(user, f->part[k].linear->inputs[1], transposed)) return false;
        }
    }
    return true;
}

static const char *check_siblings(const Qkv *f) {
    for (int i = 0; i < f->count; i++) {
        Node *n = f->part[i].linear;
        if (f->part[i].start) return "only some of them are cut from one product";
        if (n->inputs[0] != f->part[0].linear->inputs[0]) return "they have different inputs";
        if (attr_bool(n, "tb") != attr_bool(f->part[0].linear, "tb"))
            return "one weight is transposed";
        for (int k = 0; k < i; k++)
            if (f->part[k].linear == n) return "two of them are the same product";
    }
    return weights_go_together(f) ? NULL : "a weight is shared with another operator";
}

/* The parts lie side by side and cover the product. */
static const char *check_cut(ExprCx *x, const Qkv *f) {
    const Expr *at = ex_int(x, 0);
    for (int i = 0; i < f->count; i++) {
        if (!f->part[i].start || f->part[i].linear != f->part[0].linear)
            return "they are cut from different products";
        if (f->part[i].start != at) return "the parts are not side by side";
        at = ex_add(x, at, width_of(f->part[i].value));
    }
    const Value *product = f->part[0].linear->outputs[0];
    bool whole = at == width_of(product) && product->use_count == f->count;
    return whole && !ir_is_output(product) ? NULL : "the product has other parts";
}

static bool is_one_product(const Projection *p) {
    return p[0].linear == p[1].linear && p[0].linear == p[2].linear;
}

/* The largest set of the three that reads one input: p again, its members first. */
static int shared_input(const Projection *p, Projection *members) {
    static const int pairs[3][2] = {{1, 2}, {0, 1}, {0, 2}};
    bool same[3];
    for (int i = 0; i < 3; i++) {
        const Projection *a = &p[pairs[i][0]], *b = &p[pairs[i][1]];
        same[i] = a->linear && b->linear && a->linear->inputs[0] == b->linear->inputs[0];
    }
    memcpy(members, p, 3 * sizeof *p);
    if (same[0] && same[1]) return 3;
    for (int i = 0; i < 3; i++) {
        if (!same[i]) continue;
        members[0] = p[pairs[i][0]];
        members[1] = p[pairs[i][1]];
        return 2;
    }
    return 0;
}

/* NULL with f->count = 0 if there is nothing to do. */
static const char *find_qkv(Node *attention, Qkv *f) {
    Projection p[3] = {{0}};
    int found = 0;
    *f = (Qkv){0};
    for (int i = 0; i < 3; i++) {
        if (!find_projection(attention->inputs[i], MAX_DEPTH, &p[i]))
            return "one of them is computed from several products";
        found += p[i].linear != NULL;
    }
    if (found < 2) return "they are no products with constants";
    if (found == 3 && p[0].start && is_one_product(p)) {
        f->cut = true;
        f->count = 3;
        memcpy(f->part, p, sizeof p);
        return check_cut(attention->graph->module->ex, f);
    }
    if (found == 3 && is_one_product(p)) return NULL;
    f->count = shared_input(p, f->part);
    return f->count ? check_siblings(f) : "they have different inputs";
}

/* The same of deformable attention's places and weights. */
static const char *find_places(Node *n, Qkv *f) {
    Projection p[2] = {{0}};
    *f = (Qkv){0};
    for (int i = 0; i < 2; i++)
        if (!find_projection(n->inputs[1 + i], MAX_DEPTH, &p[i]))
            return "one of them is computed from several products";
    if (!p[0].linear || !p[1].linear) return "they are no products with constants";
    if (p[0].linear == p[1].linear) return NULL;
    f->count = 2;
    memcpy(f->part, p, sizeof p);
    return check_siblings(f);
}

/* The product whose elements, one by one, v is computed from. */
static Node *gated_product(const Value *v) {
    Node *n = v->node;
    while (n && !is_product(n)) {
        bool follows =
            n->input_count == 1 && (n->op == OP_view || ir_op_info(n->op)->flags & OPF_ELEMENTWISE);
        n = follows ? n->inputs[0]->node : NULL;
    }
    return n;
}

/* NULL with f->count = 0 if the node is no gate. */
static const char *find_gate(Node *mul, Qkv *f) {
    *f = (Qkv){0};
    Node *a = gated_product(mul->inputs[0]), *b = gated_product(mul->inputs[1]);
    if (!a || !b || a == b) return NULL;
    f->count = 2;
    f->part[0] = (Projection){.linear = a, .value = a->outputs[0]};
    f->part[1] = (Projection){.linear = b, .value = b->outputs[0]};
    return check_siblings(f);
}

static Node *earliest(const Qkv *f) {
    Graph *g = f->part[0].linear->graph;
    IR_FOR_NODES(n, g)
    for (int i = 0; i < f->count; i++)
        if (f->part[i].linear == n) return n;
    return NULL;
}

static bool static_widths(const Qkv *f, int64_t *widths) {
    for (int i = 0; i < f->count; i++)
        if (!ex_const(width_of(f->part[i].value), &widths[i])) return false;
    return true;
}

static void rewrite_qkv(Graph *g, const Qkv *f, const int64_t *widths) {
    int parts = f->cut ? 1 : f->count, count = 0;
    Value *in[7] = {f->part[0].linear->inputs[0]};
    for (int i = 0; i < parts; i++) in[++count] = f->part[i].linear->inputs[1];
    for (int i = 0; i < parts; i++) in[++count] = bias_of(f->part[i].linear);
    Node *nodes[3] = {f->part[0].linear, f->part[1].linear,
                      f->count > 2 ? f->part[2].linear : NULL};
    ir_edit_begin(g, earliest(f), nodes, parts);
    Node *n = ir_node(g, OP_qkv, count + 1, in);
    ir_set_int(n, "parts", parts);
    ir_set_ints(n, "widths", f->count, widths);
    ir_set_bool(n, "tb", attr_bool(f->part[0].linear, "tb"));
    ir_insert(n);
    for (int i = 0; i < f->count; i++) {
        Value *old = f->part[i].value;
        Value *new = ir_view(g, n->outputs[i], old->type.rank, old->type.dims);
        const char *act = attr_string(f->part[i].linear, "act");
        if (strcmp(act, "none")) new = ir_unary(g, ir_op_find(act), new); /* words are names */
        ir_replace(old, new);
    }
    ir_edit_end(g);
}

/* Where projections meet. */
static const struct {
    OpKind at;
    const char *(*find)(Node *n, Qkv *f);
    const char *name, *name_of_two;
} kinds[] = {{OP_attention, find_qkv, "qkv", "kv"},
             {OP_mul, find_gate, "gate", "gate"},
             {OP_deformable_attention, find_places, "places", "places"}};

bool pass_fuse_qkv(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        Qkv f;
        int64_t widths[3];
        size_t k = 0, count = sizeof kinds / sizeof *kinds;
        while (k < count && kinds[k].at != n->op) k++;
        if (k == count) continue;
        const char *why = kinds[k].find(n, &f);
        if (!why && !static_widths(&f, widths)) why = "a width is not known";
        if (why) report_miss(r, kinds[k].name, n, "%s", why);
        if (why || !f.count) continue;
        rewrite_qkv(g, &f, widths);
        report_fired(r, f.count == 3 ? kinds[k].name : kinds[k].name_of_two);
        changed = true;
    }
    return changed;
}
