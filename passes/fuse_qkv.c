/* fuse_qkv: the projections of queries, keys and values become one packed product.
 *
 *     %q = linear %x, %wq, %bq
 *     %k = linear %x, %wk, %bk    =>    %q, %k, %v = qkv %x, %wq, %wk, %wv, %bq, %bk, %bv
 *     %v = linear %x, %wv, %bv                           {parts=3, widths=[..]}
 *
 * Also one product that is cut into three (GPT-2), and keys and values alone when the queries come
 * from elsewhere (cross-attention). The weights stay three constants; the backend stores them as
 * one matrix. A weight that something else needs too is left alone. */
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

static Projection projection_of(Value *v) {
    while (v->node && (v->node->op == OP_view || v->node->op == OP_transpose))
        v = v->node->inputs[0];
    Projection p = {.value = v};
    Node *n = v->node;
    if (n && n->op == OP_slice && attr_int(n, "axis") == v->type.rank - 1 &&
        attr_int(n, "step") == 1) {
        p.start = attr_dim(n, "start");
        n = n->inputs[0]->node;
        while (n && n->op == OP_view && n->inputs[0]->type.rank == v->type.rank)
            n = n->inputs[0]->node;
    }
    if (n && n->op == OP_linear && !strcmp(attr_string(n, "act"), "none") && n->input_count <= 3)
        p.linear = n;
    return p;
}

static bool weight_is_private(const Node *linear) {
    return linear->inputs[1]->use_count == 1 && !ir_is_output(linear->inputs[1]);
}

static Value *bias_of(const Node *linear) {
    return linear->input_count > 2 ? linear->inputs[2] : NULL;
}

static const Expr *width_of(const Value *v) {
    return v->type.dims[v->type.rank - 1];
}

static const char *check_siblings(const Qkv *f) {
    for (int i = 0; i < f->count; i++) {
        Node *n = f->part[i].linear;
        if (f->part[i].start) return "only some of them are cut from one product";
        if (n->inputs[0] != f->part[0].linear->inputs[0]) return "they have different inputs";
        if (attr_bool(n, "tb") != attr_bool(f->part[0].linear, "tb"))
            return "one weight is transposed";
        if (!weight_is_private(n)) return "a weight is shared with another operator";
        for (int k = 0; k < i; k++)
            if (f->part[k].linear == n) return "two of them are the same product";
    }
    return NULL;
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

static const char *find_qkv(Node *attention, Qkv *f) {
    Projection p[3];
    for (int i = 0; i < 3; i++) {
        p[i] = projection_of(attention->inputs[i]);
        if (!p[i].linear) return "they are no products with constants";
    }
    ExprCx *x = attention->graph->module->ex;
    *f = (Qkv){.count = 3, .part = {p[0], p[1], p[2]}};
    if (p[0].start) {
        f->cut = true;
        return check_cut(x, f);
    }
    if (p[0].linear->inputs[0] != p[1].linear->inputs[0])
        *f = (Qkv){.count = 2, .part = {p[1], p[2]}};
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
    g->cursor = earliest(f);
    ir_origins_from(g, nodes, parts);
    Node *n = ir_node(g, OP_qkv, count + 1, in);
    ir_set_int(n, "parts", parts);
    ir_set_ints(n, "widths", f->count, widths);
    ir_set_bool(n, "tb", attr_bool(f->part[0].linear, "tb"));
    ir_insert(n);
    for (int i = 0; i < f->count; i++) {
        Value *old = f->part[i].value;
        ir_replace(old, ir_view(g, n->outputs[i], old->type.rank, old->type.dims));
    }
    ir_origins_from(g, NULL, 0);
    g->cursor = NULL;
}

bool pass_fuse_qkv(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        Qkv f;
        int64_t widths[3];
        if (n->op != OP_attention) continue;
        const char *why = find_qkv(n, &f);
        if (!why && !static_widths(&f, widths)) why = "a width is not known";
        if (why) {
            report_miss(r, "qkv", n, "%s", why);
            continue;
        }
        rewrite_qkv(g, &f, widths);
        report_fired(r, f.count == 3 ? "qkv" : "kv");
        changed = true;
    }
    return changed;
}
