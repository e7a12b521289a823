/* fuse_attention: softmax(scale q k' + masks) v becomes one operator.
 *
 *     %s = matmul %q, %k {tb=1}            %q4 = transpose %q {perm=[0, 2, 1, 3]}   (k, v likewise)
 *     %1 = mul %s, 0.125                   %o  = attention %q4, %k4, %v4, %mask {scale=0.125}
 *     %2 = add %1, %bias             =>    %y  = transpose %o {perm=[0, 2, 1, 3]}
 *     %3 = softmax %2 {axis=3}
 *     %y = matmul %3, %v
 *
 * find_attention walks from the softmax towards the product of queries and keys and only looks;
 * rewrite_attention only edits. A mask becomes part of the operator if mask.c proves what it is;
 * anything else that is added stays an additive bias. The transposes meet those of the model and
 * cancel. */
#include "passes/emit.h"
#include "passes/mask.h"
#include "passes/pass.h"

#include <math.h>

#define MAX_BIASES 4
#define MAX_STEPS  24

typedef struct Attention {
    Node *nodes[MAX_STEPS]; /* from the last product inwards */
    int node_count;
    Value *q, *k, *v; /* q[.., s, d], k[.., t, d] or transposed, v[.., t, e] */
    bool k_transposed, v_transposed;
    double scale;
    const Pred *allowed; /* over the coordinates of the scores; NULL = everything */
    double mask_value;
    bool select;
    Value *bias[MAX_BIASES];
    double bias_scale[MAX_BIASES];
    int bias_count;
    Type scores; /* [b, h, s, t] */
} Attention;

static bool is_product(const Value *v) {
    return v->node && v->node->op == OP_matmul && !v->node->inputs[0]->constant &&
           !v->node->inputs[1]->constant;
}

/* Whether walking inwards from v can reach the product of queries and keys. */
static bool leads_to_scores(const Value *v, int depth) {
    if (is_product(v)) return true;
    if (depth == 0 || !v->node || !ir_single_use(v)) return false;
    switch (v->node->op) {
    case OP_mul: return leads_to_scores(v->node->inputs[0], depth - 1);
    case OP_add:
        return leads_to_scores(v->node->inputs[0], depth - 1) ||
               leads_to_scores(v->node->inputs[1], depth - 1);
    case OP_where:
        return leads_to_scores(v->node->inputs[1], depth - 1) ||
               leads_to_scores(v->node->inputs[2], depth - 1);
    case OP_view: return leads_to_scores(v->node->inputs[0], depth - 1);
    default: return false;
    }
}

/* The predicate of a tensor that broadcasts against the scores, over the scores' coordinates. */
static const Pred *over_scores(ExprCx *x, const Pred *p, const Type *t, const Type *scores) {
    const Expr *map[TN_MAX_RANK];
    for (int i = 0; i < t->rank; i++) {
        int axis = i + scores->rank - t->rank;
        map[i] = ex_is(t->dims[i], 1) ? ex_int(x, 0) : ex_coord(x, axis, scores->dims[axis]);
    }
    return pr_at(x, p, map, t->rank);
}

static bool set_mask(Attention *a, ExprCx *x, const Pred *allowed, double value, bool select) {
    if (allowed->kind == PRED_TRUE) return true;
    if (a->allowed && (a->mask_value != value || a->select != select || !select)) return false;
    a->allowed = a->allowed ? pr_and(x, a->allowed, allowed) : allowed;
    a->mask_value = value;
    a->select = select;
    return true;
}

/* An added tensor: a mask if it is zero where allowed and one number elsewhere, else a bias. */
static bool take_added(Attention *a, ExprCx *x, Value *v, double factor) {
    const Facts *f = &v->facts;
    if (v->type.rank > a->scores.rank) return false;
    if (f->choice && f->choice->kind == PRED_TRUE && f->yes == 0) return true;
    if (f->choice && (f->yes == 0 || f->no == 0)) {
        const Pred *p = f->yes == 0 ? f->choice : pr_not(x, f->choice);
        double value = (f->yes == 0 ? f->no : f->yes) * factor;
        const Pred *allowed = over_scores(x, p, &v->type, &a->scores);
        Mask m;
        const Pred *rest;
        if (mask_split(x, allowed, &m, &rest) && set_mask(a, x, allowed, value, false)) return true;
    }
    if (a->bias_count == MAX_BIASES) return false;
    a->bias[a->bias_count] = v;
    a->bias_scale[a->bias_count++] = factor;
    return true;
}

static const char *take_where(Attention *a, ExprCx *x, Node *n, double factor, Value **next) {
    bool scores_first = leads_to_scores(n->inputs[1], MAX_STEPS);
    Value *other = n->inputs[scores_first ? 2 : 1];
    double value;
    if (other->facts.choice && other->facts.choice->kind == PRED_TRUE)
        value = other->facts.yes;
    else if (!ir_constant_float(other, &value))
        return "the masked value is no constant";
    const Pred *p = n->inputs[0]->facts.pred;
    if (!p || n->inputs[0]->type.rank > a->scores.rank) return "the mask has no element function";
    if (!scores_first) p = pr_not(x, p);
    Mask m;
    const Pred *rest, *allowed = over_scores(x, p, &n->inputs[0]->type, &a->scores);
    if (!mask_split(x, allowed, &m, &rest))
        return "the selecting mask is neither causal nor a key mask";
    if (a->bias_count) return "a bias is added to selected scores";
    if (!set_mask(a, x, allowed, value * factor, true)) return "two masks with different values";
    *next = n->inputs[scores_first ? 1 : 2];
    return NULL;
}

static const char *step(Attention *a, ExprCx *x, Node *n, double *factor, Value **next) {
    double c;
    switch (n->op) {
    case OP_mul:
        if (!ir_constant_float(n->inputs[1], &c)) return "the scores are multiplied by a tensor";
        *factor *= c;
        *next = n->inputs[0];
        return NULL;
    case OP_add: {
        int scores = leads_to_scores(n->inputs[0], MAX_STEPS) ? 0 : 1;
        if (!take_added(a, x, n->inputs[1 - scores], *factor))
            return "too many tensors are added to the scores";
        *next = n->inputs[scores];
        return NULL;
    }
    case OP_where: return take_where(a, x, n, *factor, next);
    case OP_view: *next = n->inputs[0]; return NULL;
    default: return "the scores are changed by another operator";
    }
}

static void push(Attention *a, Node *n) {
    a->nodes[a->node_count++] = n;
}

/* NULL if `softmax` is inside an attention that can be rewritten, else why not. */
static const char *find_attention(Node *softmax, Attention *a) {
    Graph *g = softmax->graph;
    ExprCx *x = g->module->ex;
    Value *p = softmax->outputs[0], *v = softmax->inputs[0];
    *a = (Attention){.scale = 1, .scores = v->type};
    int rank = v->type.rank;
    int64_t axis = attr_int(softmax, "axis");
    if (!leads_to_scores(v, MAX_STEPS - 4)) return "no product of queries and keys above it";
    if (v->type.dtype != TN_F32) return "the scores are not f32";
    if (rank < 3 || rank > 4 || (axis != -1 && axis != rank - 1))
        return "the softmax is not over the keys of [batch, heads, queries, keys]";
    if (!ir_single_use(p)) return "the probabilities are used elsewhere";
    Node *last = p->uses[0].node;
    if (last->op != OP_matmul || last->inputs[0] != p || attr_bool(last, "ta") ||
        last->inputs[1] == p)
        return "the probabilities are not multiplied by values";
    push(a, last);
    push(a, softmax);
    double factor = 1;
    while (!is_product(v)) {
        if (a->node_count == MAX_STEPS || !ir_single_use(v)) return "the scores are used elsewhere";
        push(a, v->node);
        const char *why = step(a, x, v->node, &factor, &v);
        if (why) return why;
    }
    if (!ir_single_use(v)) return "the scores are used elsewhere";
    push(a, v->node);
    if (attr_bool(v->node, "ta")) return "the queries are transposed";
    if (v->type.rank < 3 || v->type.rank > 4)
        return "the product of queries and keys has another rank";
    a->scale = factor;
    a->q = v->node->inputs[0];
    a->k = v->node->inputs[1];
    a->k_transposed = !attr_bool(v->node, "tb");
    a->v = last->inputs[1];
    a->v_transposed = attr_bool(last, "tb");
    return NULL;
}

/* [.., n, d] (or [.., d, n] if transposed) under the scores' batch and heads as [b, n, h, d]. */
static Value *token_major(Graph *g, const Attention *a, Value *x, bool transposed) {
    int r = x->type.rank;
    const Expr *dims[4], *one = ex_int(g->module->ex, 1);
    bool three = a->scores.rank == 3;
    const Expr *rows = x->type.dims[r - 2], *columns = x->type.dims[r - 1];
    dims[0] = a->scores.dims[0];
    dims[1] = three ? one : a->scores.dims[1];
    dims[2] = rows;
    dims[3] = columns;
    Value *four = x;
    if (r != 4 || three) four = ir_view(g, x, 4, dims);
    return ir_transpose(g, four, transposed ? (int[]){0, 3, 1, 2} : (int[]){0, 2, 1, 3});
}

/* Batch and heads of an operand must be the scores', not broadcast; heads may be folded into the
 * batch. */
static bool fits(const Attention *a, ExprCx *x, const Value *v) {
    int r = v->type.rank;
    const Type *s = &a->scores;
    if (r < 3 || r > 4) return false;
    const Expr *want = s->rank == 3 ? s->dims[0] : ex_mul(x, s->dims[0], s->dims[1]);
    const Expr *have = r == 3 ? v->type.dims[0] : ex_mul(x, v->type.dims[0], v->type.dims[1]);
    if (r == 4 && s->rank == 4)
        return v->type.dims[0] == s->dims[0] && v->type.dims[1] == s->dims[1];
    return want == have;
}

static Value *scaled_bias(Graph *g, const Attention *a) {
    Value *sum = NULL;
    for (int i = 0; i < a->bias_count; i++) {
        Value *b = a->bias[i];
        if (a->bias_scale[i] != 1)
            b = ir_binary(g, OP_mul, b, ir_scalar(g, TN_F32, a->bias_scale[i]));
        sum = sum ? ir_binary(g, OP_add, sum, b) : b;
    }
    if (!sum) return NULL;
    const Expr *dims[4], *one = ex_int(g->module->ex, 1);
    int three = a->scores.rank == 3, r = sum->type.rank;
    for (int i = 0; i < 4; i++) {
        int of_scores = three ? (i == 0 ? 0 : i - 1) : i; /* [b, s, t] -> [b, 1, s, t] */
        int axis = of_scores - (a->scores.rank - r);
        dims[i] = (three && i == 1) || axis < 0 ? one : sum->type.dims[axis];
    }
    return ir_view(g, sum, 4, dims);
}

/* The masks' predicates as tensors; false if one has no operators to compute it. */
static bool emit_masks(Graph *g, const Attention *a, const Mask *m, Value **key, Value **query) {
    const Expr *b = a->scores.dims[0], *s = a->scores.dims[a->scores.rank - 2],
               *t = a->scores.dims[a->scores.rank - 1];
    *key = *query = NULL;
    if (m->key) *key = emit_pred(g, m->key, 2, (int[]){0, 3}, (const Expr *[]){b, t});
    if (m->query) *query = emit_pred(g, m->query, 2, (int[]){0, 2}, (const Expr *[]){b, s});
    return (!m->key || *key) && (!m->query || *query);
}

/* Masks that broadcast over the keys (or queries) get their full length; the batch may stay 1. */
static Value *full_length(Graph *g, Value *mask, const Expr *length) {
    if (!mask || mask->type.dims[1] == length) return mask;
    return ir_expand(g, mask, 2, (const Expr *[]){mask->type.dims[0], length});
}

static const char *rewrite_attention(Graph *g, Attention *a) {
    ExprCx *x = g->module->ex;
    Mask mask = {.left = -1, .right = -1, .offset = ex_int(x, 0)};
    const Pred *rest;
    Value *key, *query;
    if (!fits(a, x, a->q) || !fits(a, x, a->k) || !fits(a, x, a->v))
        return "queries, keys and values have different batches or heads";
    if (a->scores.rank == 3 && a->allowed) return "a mask over heads folded into the batch";
    if (a->allowed && !mask_split(x, a->allowed, &mask, &rest))
        return "the masks do not go together";
    if (!emit_masks(g, a, &mask, &key, &query)) return "the mask cannot be computed per key";
    const Expr *s = a->scores.dims[a->scores.rank - 2], *t = a->scores.dims[a->scores.rank - 1];
    Value *in[6] = {token_major(g, a, a->q, false),
                    token_major(g, a, a->k, a->k_transposed),
                    token_major(g, a, a->v, a->v_transposed),
                    full_length(g, key, t),
                    full_length(g, query, s),
                    scaled_bias(g, a)};
    int count = 6;
    while (!in[count - 1]) count--;
    Node *n = ir_node(g, OP_attention, count, in);
    ir_set_float(n, "scale", a->scale);
    ir_set_bool(n, "causal", mask.causal);
    ir_set_dim(n, "offset", mask.offset);
    ir_set_int(n, "left", mask.left);
    ir_set_int(n, "right", mask.right);
    if (a->allowed) {
        ir_set_float(n, "mask_value", a->mask_value);
        ir_set_string(n, "mode", a->select ? "select" : "add");
    }
    Value *y = ir_transpose(g, ir_insert(n), (int[]){0, 2, 1, 3});
    Value *old = a->nodes[0]->outputs[0];
    ir_replace(old, ir_view(g, y, old->type.rank, old->type.dims));
    return NULL;
}

bool pass_fuse_attention(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        Attention a;
        if (n->op != OP_softmax) continue;
        const char *why = find_attention(n, &a);
        if (!why) {
            g->cursor = a.nodes[0];
            ir_origins_from(g, a.nodes, a.node_count);
            why = rewrite_attention(g, &a);
            ir_origins_from(g, NULL, 0);
            g->cursor = NULL;
        }
        if (why) {
            report_miss(r, "attention", n, "%s", why);
            continue;
        }
        report_fired(r, "attention");
        changed = true;
    }
    return changed;
}
