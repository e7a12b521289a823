/* fuse_products: a product with a constant of a product with a constant is one product.
 *
 *     %1 = linear %x, %v, %b                       v: [k, m], w: [m, n]
 *     %2 = transpose %1, viewed as an image
 *     %y = conv %2, %w, %c                    =>   %y = conv (%x, transposed and viewed alike), %u,
 * %d
 *
 * with u = v w and d = b w + c. Between the two the channels may move, but stay together. It pays
 * where k n <= k m + m n: not for a product that was split in two to make it cheap. */
#include "ir/build.h"
#include "passes/pass.h"

#include <string.h>

enum { X, W, BIAS };

/* A product with a constant along one axis; weights w[o * out + c * in]. */
typedef struct Product {
    Node *node;
    int axis;
    const void *w, *bias; /* f32, maybe unaligned; bias: NULL if there is none */
    int64_t inputs, outputs, in, out;
} Product;

static const void *constant_f32(const Node *n, int i) {
    const Value *v = n->input_count > i ? n->inputs[i] : NULL;
    return v && v->constant && v->constant->dtype == TN_F32 ? v->constant->data : NULL;
}

static bool is_pointwise(const Node *n) {
    const Constant *w = n->inputs[W]->constant;
    const IntList *strides = attr_ints(n, "strides"), *pads = attr_ints(n, "pads");
    if (attr_int(n, "groups") != 1) return false;
    for (int i = 0; i < w->rank - 2; i++)
        if (w->dims[2 + i] != 1 || strides->v[i] != 1 || pads->v[i] || pads->v[w->rank - 2 + i])
            return false;
    return true;
}

static bool product_of(Node *n, Product *p) {
    if (!n || (n->op != OP_linear && n->op != OP_conv)) return false;
    *p = (Product){.node = n, .w = constant_f32(n, W), .bias = constant_f32(n, BIAS)};
    if (!p->w || n->outputs[0]->type.dtype != TN_F32 || n->input_count > BIAS + 1 ||
        strcmp(attr_string(n, "act"), "none") != 0)
        return false;
    if (n->input_count > BIAS && n->inputs[BIAS] && !p->bias) return false;
    const int64_t *dims = n->inputs[W]->constant->dims;
    bool rows = n->op == OP_conv || attr_bool(n, "tb"); /* w[o, c] */
    if (n->op == OP_conv && !is_pointwise(n)) return false;
    p->axis = n->op == OP_conv ? 1 : n->outputs[0]->type.rank - 1;
    p->outputs = dims[rows ? 0 : 1];
    p->inputs = dims[rows ? 1 : 0];
    p->out = rows ? p->inputs : 1;
    p->in = rows ? 1 : p->outputs;
    return true;
}

/* The axis of a view's operand that its axis is, or -1. */
static int viewed_axis(ExprCx *x, const Type *from, const Type *to, int axis) {
    const Expr *before = ex_product(x, to->dims, axis), *length = to->dims[axis];
    for (int i = 0; i < from->rank; i++)
        if (from->dims[i] == length && ex_product(x, from->dims, i) == before) return i;
    return -1;
}

/* The operand's axis behind a node that only moves elements, or -1. */
static int axis_behind(ExprCx *x, const Node *n, int axis) {
    if (n->op == OP_transpose) return (int)attr_ints(n, "perm")->v[axis];
    if (n->op != OP_view) return -1;
    return viewed_axis(x, &n->inputs[0]->type, &n->outputs[0]->type, axis);
}

/* The product whose channels are those of axis `axis` of v. NULL: found; "": there is none. */
static const char *find_inner(ExprCx *x, const Value *v, int axis, Product *inner) {
    bool shared = false;
    for (; v->node && !product_of(v->node, inner); v = v->node->inputs[0]) {
        shared |= !ir_single_use(v);
        axis = axis_behind(x, v->node, axis);
        if (axis < 0) return "";
    }
    if (!v->node || axis != inner->axis) return "";
    return shared || !ir_single_use(v) ? "what comes before is read elsewhere" : NULL;
}

static const char *find(ExprCx *x, Node *n, Product *outer, Product *inner) {
    if (!product_of(n, outer)) return "";
    const char *why = find_inner(x, n->inputs[X], outer->axis, inner);
    if (why) return why;
    double k = (double)inner->inputs, m = (double)inner->outputs, o = (double)outer->outputs;
    return k * o <= k * m + m * o ? NULL : "one product would be larger than the two";
}

/* The operand of the inner product, moved as its result was. */
static Value *move_operand(Graph *g, const Value *v, const Product *inner, int axis) {
    Node *n = v->node;
    if (n == inner->node) return n->inputs[X];
    Value *x = move_operand(g, n->inputs[0], inner, axis_behind(g->module->ex, n, axis));
    if (n->op == OP_transpose) {
        int perm[TN_MAX_RANK];
        for (int i = 0; i < v->type.rank; i++) perm[i] = (int)attr_ints(n, "perm")->v[i];
        return ir_transpose(g, x, perm);
    }
    const Expr *dims[TN_MAX_RANK];
    for (int i = 0; i < v->type.rank; i++) dims[i] = v->type.dims[i];
    dims[axis] = ex_int(g->module->ex, inner->inputs);
    return ir_view(g, x, v->type.rank, dims);
}

static double element(const void *data, int64_t i) {
    float x;
    memcpy(&x, (const char *)data + i * (int64_t)sizeof x, sizeof x);
    return (double)x;
}

/* sum[c] of inner's weights, and its bias last, that arrive at result o of the outer product. */
static void multiply(const Product *outer, const Product *inner, int64_t o, double *sum) {
    int64_t k = inner->inputs;
    for (int64_t c = 0; c <= k; c++) sum[c] = 0;
    for (int64_t j = 0; j < inner->outputs; j++) {
        double w = element(outer->w, o * outer->out + j * outer->in);
        for (int64_t c = 0; c < k; c++)
            sum[c] += w * element(inner->w, j * inner->out + c * inner->in);
        if (inner->bias) sum[k] += w * element(inner->bias, j);
    }
    if (outer->bias) sum[k] += element(outer->bias, o);
}

/* Constants as the outer product has them. */
static Value *rewrite(const Product *outer, const Product *inner) {
    Graph *g = outer->node->graph;
    Arena *arena = &g->module->cx->arena;
    const Constant *w = outer->node->inputs[W]->constant;
    int64_t k = inner->inputs, n = outer->outputs, dims[TN_MAX_RANK];
    bool rows = outer->in == 1 && outer->out == outer->inputs;
    float *weight = arena_array(arena, (size_t)(k * n), sizeof(float));
    float *bias = arena_array(arena, (size_t)n, sizeof(float));
    double *sum = arena_array(arena, (size_t)k + 1, sizeof(double));
    for (int64_t o = 0; o < n; o++) {
        multiply(outer, inner, o, sum);
        for (int64_t c = 0; c < k; c++) weight[rows ? o * k + c : c * n + o] = (float)sum[c];
        bias[o] = (float)sum[k];
    }
    for (int i = 0; i < w->rank; i++) dims[i] = w->dims[i];
    dims[rows ? 1 : 0] = k;
    Value *in[3] = {
        move_operand(g, outer->node->inputs[X], inner, outer->axis),
        ir_constant(g, ir_constant_new(g->module, w->name, TN_F32, w->rank, dims, weight))};
    bool biased = outer->bias || inner->bias;
    if (biased) in[BIAS] = ir_constant(g, ir_constant_new(g->module, w->name, TN_F32, 1, &n, bias));
    Node *fused = ir_node(g, outer->node->op, biased ? 3 : 2, in);
    ir_copy_attrs(fused, outer->node);
    return ir_insert(fused);
}

bool pass_fuse_products(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        Product outer, inner;
        const char *why = find(g->module->ex, n, &outer, &inner);
        if (why) {
            if (*why) report_miss(r, "fuse_products", n, "%s", why);
            continue;
        }
        ir_edit_begin(g, n, (Node *[]){inner.node, n}, 2);
        Value *y = rewrite(&outer, &inner);
        ir_edit_end(g);
        ir_replace(n->outputs[0], y);
        ir_remove(n);
        report_fired(r, "fuse_products");
        changed = true;
    }
    return changed;
}
