/* fuse_attention: softmax(scale q k' + masks) v becomes one operator.
 *
 *     %s = matmul %q, %k {tb=1}            %q4 = transpose %q {perm=[0, 2, 1, 3]}   (k, v likewise)
 *     %1 = mul %s, 0.125                   %o  = attention %q4, %k4, %v4, %mask {scale=0.125}
 *     %2 = add %1, %bias             =>    %y  = transpose %o {perm=[0, 2, 1, 3]}
 *     %3 = softmax %2 {axis=-1}
 *     %y = matmul %3, %v
 *
 * find_attention walks from the softmax towards the product of queries and keys and only looks;
 * rewrite_attention only edits. A mask becomes part of the operator if mask.c proves what it is;
 * anything else that is added stays an additive bias. Numbers that q and k are multiplied by join
 * the scale. The transposes meet those of the model and cancel.
 *
 * Scores are [b, h, s, t], or [b h, s, t] where a model folds the heads into the batch; a view
 * between the two may stand anywhere on the way. Without such a view a batch of three axes has one
 * head.
 *
 * Keys and values that a model repeats for groups of query heads are read as they were before the
 * repetition:
 *
 *     %2 = expand %1 {dims=[b, 2, 4, t, d]}       %1: [b, 2, 1, t, d]
 *     %k = view %2 {dims=[b, 8, t, d]}      =>    2 key heads for 8 heads */
#include "passes/emit.h"
#include "passes/mask.h"
#include "passes/pass.h"

#include <math.h>

#define MAX_BIASES 4
#define MAX_STEPS  24
#define MAX_NODES  (MAX_STEPS + 6)

typedef struct Added {
    Value *value;
    double factor;
    int rank; /* of the scores it is added to */
} Added;

typedef struct Attention {
    Node *nodes[MAX_NODES]; /* all that the operator stands for */
    int node_count;
    Node *last;       /* the product of probabilities and values */
    Value *q, *k, *v; /* q[.., s, d], k[.., t, d] or transposed, v[.., t, e] */
    bool k_transposed, v_transposed;
    double scale;
    Node *prescale[2]; /* products of q and k with a number that `scale` takes up */
    int prescale_count;
    const Expr *dims[4]; /* of the scores: b, h, s, t */
    const Pred *allowed; /* over the coordinates of the scores; NULL = everything */
    double mask_value;
    bool select;
    bool zero_nan; /* probabilities that are NaN count as zero */
    Added bias[MAX_BIASES];
    int bias_count;
} Attention;

static void push(Attention *a, Node *n) {
    a->nodes[a->node_count++] = n;
}

static bool is_zero(const Value *v) {
    double x;
    if (v->facts.choice && v->facts.choice->kind == PRED_TRUE) return v->facts.yes == 0;
    return ir_constant_float(v, &x) && x == 0;
}

static bool is_product(const Value *v) {
    return v->node && v->node->op == OP_matmul && !v->node->inputs[0]->constant &&
           !v->node->inputs[1]->constant;
}

/* Whether walking inwards from v can reach the product of queries and keys. */
static bool leads_to_scores(const Value *v, int depth) {
    if (is_product(v)) return true;
    if (depth == 0 || !v->node || !ir_single_use(v)) return false;
    Value *const *in = v->node->inputs;
    switch (v->node->op) {
    case OP_mul:
    case OP_view: return leads_to_scores(in[0], depth - 1);
    case OP_add: return leads_to_scores(in[0], depth - 1) || leads_to_scores(in[1], depth - 1);
    case OP_where: return leads_to_scores(in[1], depth - 1) || leads_to_scores(in[2], depth - 1);
    default: return false;
    }
}

/* --- masks and biases --- */

/* The coordinate of the scores [b, h, s, t] that axis i of a tensor follows if it broadcasts
 * against scores of `rank` axes. */
static int coordinate(int i, const Type *t, int rank) {
    int axis = i + rank - t->rank;
    return rank == 3 && axis > 0 ? axis + 1 : axis;
}

/* Whether the tensor's first axis is batch and heads in one. */
static bool folds_heads(const Attention *a, const Type *t, int rank) {
    return rank == 3 && t->rank == 3 && !ex_is(t->dims[0], 1) && !ex_is(a->dims[1], 1);
}

/* The predicate of a tensor that broadcasts against the scores, over the scores' coordinates; NULL
 * if they do not give its own. */
static const Pred *over_scores(const Attention *a, ExprCx *x, const Pred *p, const Type *t,
                               int rank) {
    const Expr *map[TN_MAX_RANK];
    if (t->rank > rank || folds_heads(a, t, rank)) return NULL;
    for (int i = 0; i < t->rank; i++) {
        int c = coordinate(i, t, rank);
        map[i] = ex_is(t->dims[i], 1) ? ex_int(x, 0) : ex_coord(x, c, a->dims[c]);
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

static bool is_mask(ExprCx *x, const Pred *allowed) {
    Mask m;
    const Pred *rest;
    return allowed && mask_split(x, allowed, &m, &rest);
}

/* An added tensor: a mask if it is zero where allowed and one number elsewhere, else a bias. */
static bool take_added(Attention *a, ExprCx *x, Value *v, double factor, int rank) {
    const Facts *f = &v->facts;
    if (v->type.rank > rank) return false;
    if (is_zero(v)) return true;
    if (f->choice && (f->yes == 0 || f->no == 0)) {
        const Pred *p = f->yes == 0 ? f->choice : pr_not(x, f->choice);
        double value = (f->yes == 0 ? f->no : f->yes) * factor;
        const Pred *allowed = over_scores(a, x, p, &v->type, rank);
        if (is_mask(x, allowed) && set_mask(a, x, allowed, value, false)) return true;
    }
    if (a->bias_count == MAX_BIASES) return false;
    a->bias[a->bias_count++] = (Added){v, factor, rank};
    return true;
}

static const char *take_where(Attention *a, ExprCx *x, Node *n, double factor, Value **next) {
    bool scores_first = leads_to_scores(n->inputs[1], MAX_STEPS);
    Value *mask = n->inputs[0], *other = n->inputs[scores_first ? 2 : 1];
    double value;
    if (other->facts.choice && other->facts.choice->kind == PRED_TRUE)
        value = other->facts.yes;
    else if (!ir_constant_float(other, &value))
        return "the masked value is no constant";
    const Pred *p = mask->facts.pred;
    if (!p) return "the mask has no element function";
    if (!scores_first) p = pr_not(x, p);
    const Pred *allowed = over_scores(a, x, p, &mask->type, n->outputs[0]->type.rank);
    if (!is_mask(x, allowed)) return "the selecting mask is neither causal nor a key mask";
    if (a->bias_count) return "a bias is added to selected scores";
    if (!set_mask(a, x, allowed, value * factor, true)) return "two masks with different values";
    *next = n->inputs[scores_first ? 1 : 2];
    return NULL;
}

/* --- the walk --- */

/* A view between [b, h, s, t] and [b h, s, t]. */
static const char *take_view(Attention *a, ExprCx *x, Node *n, Value **next) {
    static const char *const other = "the scores are reshaped";
    const Type *in = &n->inputs[0]->type;
    if (in->rank < 3 || in->rank > 4) return other;
    if (in->dims[in->rank - 2] != a->dims[2] || in->dims[in->rank - 1] != a->dims[3]) return other;
    const Expr *rows = ex_mul(x, a->dims[0], a->dims[1]);
    if (in->rank == 3 ? in->dims[0] != rows : ex_mul(x, in->dims[0], in->dims[1]) != rows)
        return other;
    if (in->rank == 4) {
        bool same = in->dims[0] == a->dims[0] && in->dims[1] == a->dims[1];
        if (!same && (a->allowed || a->bias_count)) return "masked before the heads are split";
        a->dims[0] = in->dims[0];
        a->dims[1] = in->dims[1];
    }
    *next = n->inputs[0];
    return NULL;
}

static const char *step(Attention *a, ExprCx *x, Node *n, double *factor, Value **next) {
    double c;
    if (n->op == OP_view) return take_view(a, x, n, next);
    switch (n->op) {
    case OP_mul:
        if (!ir_constant_float(n->inputs[1], &c)) return "the scores are multiplied by a tensor";
        *factor *= c;
        *next = n->inputs[0];
        break;
    case OP_add: {
        int scores = leads_to_scores(n->inputs[0], MAX_STEPS) ? 0 : 1;
        if (!take_added(a, x, n->inputs[1 - scores], *factor, n->outputs[0]->type.rank))
            return "too many tensors are added to the scores";
        *next = n->inputs[scores];
        break;
    }
    case OP_where: {
        const char *why = take_where(a, x, n, *factor, next);
        if (why) return why;
        break;
    }
    default: return "the scores are changed by another operator";
    }
    return ir_same_dims(&(*next)->type, &n->outputs[0]->type) ? NULL : "the scores are broadcast";
}

/* q and k may be scaled before their product, in front of views and transposes too. */
static void take_prescale(Attention *a, Value *v) {
    double c;
    while (v->node && ir_single_use(v) && (v->node->op == OP_view || v->node->op == OP_transpose))
        v = v->node->inputs[0];
    Node *n = v->node;
    if (!n || n->op != OP_mul || !ir_single_use(v) || !ir_constant_float(n->inputs[1], &c)) return;
    if (!isfinite(c) || !ir_same_dims(&n->inputs[0]->type, &v->type)) return;
    a->scale *= c;
    a->prescale[a->prescale_count++] = n;
    push(a, n);
}

static const char *check_softmax(const Node *softmax) {
    const Type *t = &softmax->inputs[0]->type;
    int64_t axis = attr_int(softmax, "axis");
    if (!leads_to_scores(softmax->inputs[0], MAX_STEPS))
        return "no product of queries and keys above it";
    if (t->dtype != TN_F32 && t->dtype != TN_F16 && t->dtype != TN_BF16)
        return "the scores are not f32, f16 or bf16";
    if (t->rank < 3 || t->rank > 4 || (axis != -1 && axis != t->rank - 1))
        return "the softmax is not over the keys of [batch, heads, queries, keys]";
    return NULL;
}

/* Exports guard the probabilities against rows in which everything is masked: where(p == p, p, 0).
 * The guarded value, or NULL. */
static Value *guarded(Attention *a, const Value *p) {
    Node *where = NULL, *same = NULL;
    if (p->use_count != 3 || ir_is_output(p)) return NULL;
    for (int i = 0; i < 3; i++) {
        Node *n = p->uses[i].node;
        if (n->op == OP_where && p->uses[i].index == 1) where = n;
        if (n->op == OP_eq) same = n;
    }
    if (!where || !same || same->inputs[0] != p || same->inputs[1] != p) return NULL;
    if (where->inputs[0] != same->outputs[0] || !ir_single_use(same->outputs[0])) return NULL;
    if (!is_zero(where->inputs[2]) || !ir_same_dims(&p->type, &where->outputs[0]->type))
        return NULL;
    push(a, where);
    push(a, same);
    return where->outputs[0];
}

/* Takes the nodes from the product of probabilities and values back to the softmax. */
static const char *take_probabilities(Attention *a, Node *softmax) {
    Value *p = softmax->outputs[0], *zeros_for_nan = guarded(a, p);
    const Type *t = &p->type;
    if (zeros_for_nan) p = zeros_for_nan;
    a->zero_nan = zeros_for_nan != NULL;
    if (!ir_single_use(p)) return "the probabilities are used elsewhere";
    Node *n = p->uses[0].node;
    if (n->op == OP_view && ir_single_use(n->outputs[0])) { /* heads folded into the batch */
        p = n->outputs[0];
        int r = p->type.rank;
        if (r < 3 || p->type.dims[r - 2] != t->dims[t->rank - 2] ||
            p->type.dims[r - 1] != t->dims[t->rank - 1])
            return "the probabilities are reshaped";
        push(a, n);
        n = p->uses[0].node;
    }
    if (n->op != OP_matmul || n->inputs[0] != p || attr_bool(n, "ta") || n->inputs[1] == p)
        return "the probabilities are not multiplied by values";
    push(a, n);
    push(a, softmax);
    a->last = n;
    a->v = n->inputs[1];
    a->v_transposed = attr_bool(n, "tb");
    return NULL;
}

/* NULL if `softmax` is inside an attention that can be rewritten, else why not. */
static const char *find_attention(Node *softmax, Attention *a) {
    ExprCx *x = softmax->graph->module->ex;
    Value *v = softmax->inputs[0];
    const Type *t = &v->type;
    *a = (Attention){0};
    const char *why = check_softmax(softmax);
    if (!why) why = take_probabilities(a, softmax);
    if (why) return why;
    a->dims[0] = t->dims[0];
    a->dims[1] = t->rank == 4 ? t->dims[1] : ex_int(x, 1);
    a->dims[2] = t->dims[t->rank - 2];
    a->dims[3] = t->dims[t->rank - 1];
    double factor = 1;
    while (!is_product(v)) {
        if (a->node_count == MAX_STEPS || !ir_single_use(v)) return "the scores are used elsewhere";
        push(a, v->node);
        why = step(a, x, v->node, &factor, &v);
        if (why) return why;
    }
    if (!ir_single_use(v)) return "the scores are used elsewhere";
    if (attr_bool(v->node, "ta")) return "the queries are transposed";
    push(a, v->node);
    a->scale = factor;
    a->q = v->node->inputs[0];
    a->k = v->node->inputs[1];
    a->k_transposed = !attr_bool(v->node, "tb");
    take_prescale(a, a->q);
    take_prescale(a, a->k);
    return NULL;
}

/* --- the operator --- */

/* Batch and heads of an operand must be the scores', not broadcast. */
static bool fits(const Attention *a, ExprCx *x, const Value *v) {
    const Expr *const *d = v->type.dims;
    if (v->type.rank == 3) return d[0] == ex_mul(x, a->dims[0], a->dims[1]);
    return v->type.rank == 4 && d[0] == a->dims[0] && d[1] == a->dims[1];
}

/* If x is y with every head repeated for a group of query heads, y, and its heads. */
static Value *ungrouped(const Attention *a, ExprCx *x, Value *v, const Expr **heads) {
    const Type *t = &v->type;
    Node *n = v->node;
    if (n && n->op == OP_view) n = n->inputs[0]->node;
    if (!n || n->op != OP_expand) return v;
    const Type *from = &n->inputs[0]->type, *to = &n->outputs[0]->type;
    int r = to->rank; /* [b, g, 1, n, d] -> [b, g, h / g, n, d], or [b, 1, n, d] -> [b, h, n, d] */
    if (from->rank != r || r < 4 || r > 5 || !ex_is(from->dims[r - 3], 1)) return v;
    for (int i = 0; i < r; i++)
        if (i != r - 3 && from->dims[i] != to->dims[i]) return v;
    const Expr *groups = r == 5 ? to->dims[1] : ex_int(x, 1);
    bool same = to->dims[0] == a->dims[0] && ex_mul(x, groups, to->dims[r - 3]) == a->dims[1] &&
                to->dims[r - 2] == t->dims[t->rank - 2] && to->dims[r - 1] == t->dims[t->rank - 1];
    if (!same) return v;
    *heads = groups;
    return n->inputs[0];
}

/* [.., n, d] (or [.., d, n] if transposed) under the scores' batch and `heads` as [b, n, h, d]. */
static Value *token_major(Graph *g, const Attention *a, Value *x, const Expr *heads,
                          bool transposed) {
    int r = x->type.rank;
    const Expr *dims[4] = {a->dims[0], heads, x->type.dims[r - 2], x->type.dims[r - 1]};
    static const int forward[4] = {0, 2, 1, 3}, swapped[4] = {0, 3, 1, 2};
    return ir_transpose(g, ir_view(g, x, 4, dims), transposed ? swapped : forward);
}

/* A bias with four axes, those that it does not follow of length 1. */
static Value *four_axes(Graph *g, const Attention *a, const Added *added) {
    const Type *t = &added->value->type;
    const Expr *one = ex_int(g->module->ex, 1), *dims[4] = {one, one, one, one};
    for (int i = 0; i < t->rank; i++) dims[coordinate(i, t, added->rank)] = t->dims[i];
    if (folds_heads(a, t, added->rank)) {
        dims[0] = a->dims[0];
        dims[1] = a->dims[1];
    }
    return ir_view(g, added->value, 4, dims);
}

static Value *sum_of_biases(Graph *g, const Attention *a) {
    Value *sum = NULL;
    for (int i = 0; i < a->bias_count; i++) {
        Value *b = four_axes(g, a, &a->bias[i]);
        double factor = a->bias[i].factor;
        if (factor != 1) b = ir_binary(g, OP_mul, b, ir_scalar(g, b->type.dtype, factor));
        sum = sum ? ir_binary(g, OP_add, sum, b) : b;
    }
    return sum;
}

/* A mask's predicate as a tensor [b or 1, length]; false if no operators compute it. */
static bool emit_mask(Graph *g, const Attention *a, const Pred *p, int axis, Value **mask) {
    const Expr *dims[2] = {a->dims[0], a->dims[axis]};
    *mask = NULL;
    if (!p) return true;
    Value *v = emit_pred(g, p, 2, (int[]){0, axis}, dims);
    if (!v) return false;
    *mask = ir_expand(g, v, 2, (const Expr *[]){v->type.dims[0], dims[1]});
    return true;
}

static void remove_prescale(Attention *a) {
    for (int i = 0; i < a->prescale_count; i++)
        ir_replace(a->prescale[i]->outputs[0], a->prescale[i]->inputs[0]);
    a->q = ir_resolve(a->q);
    a->k = ir_resolve(a->k);
}

static const char *rewrite_attention(Graph *g, Attention *a) {
    ExprCx *x = g->module->ex;
    Mask mask = {.left = -1, .right = -1, .offset = ex_int(x, 0)};
    const Pred *rest;
    Value *key, *query;
    if (!isfinite((float)a->scale)) return "the scale is not finite";
    if (isnan(a->mask_value)) return "the masked value is NaN";
    if (!fits(a, x, a->q) || !fits(a, x, a->k) || !fits(a, x, a->v))
        return "queries, keys and values have different batches or heads";
    if (a->allowed && !mask_split(x, a->allowed, &mask, &rest))
        return "the masks do not go together";
    if (!emit_mask(g, a, mask.key, 3, &key) || !emit_mask(g, a, mask.query, 2, &query))
        return "the mask cannot be computed per key";
    remove_prescale(a);
    const Expr *heads = a->dims[1], *key_heads = heads, *value_heads = heads;
    Value *k = ungrouped(a, x, a->k, &key_heads), *v = ungrouped(a, x, a->v, &value_heads);
    if (key_heads != value_heads) { /* one of them stays repeated: so do both */
        k = a->k;
        v = a->v;
        key_heads = value_heads = heads;
    }
    Value *in[6] = {token_major(g, a, a->q, heads, false),
                    token_major(g, a, k, key_heads, a->k_transposed),
                    token_major(g, a, v, value_heads, a->v_transposed),
                    key,
                    query,
                    sum_of_biases(g, a)};
    int count = 6;
    while (!in[count - 1]) count--;
    Node *n = ir_node(g, OP_attention, count, in);
    ir_set_float(n, "scale", a->scale);
    ir_set_bool(n, "causal", mask.causal);
    ir_set_dim(n, "offset", mask.offset);
    ir_set_int(n, "left", mask.left);
    ir_set_int(n, "right", mask.right);
    ir_set_bool(n, "zero_nan", a->zero_nan);
    if (a->allowed) {
        ir_set_float(n, "mask_value", a->mask_value);
        ir_set_string(n, "mode", a->select ? "select" : "add");
    }
    Value *y = ir_transpose(g, ir_insert(n), (int[]){0, 2, 1, 3});
    Value *old = a->last->outputs[0];
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
            g->cursor = a.last;
            ir_origins_from(g, a.nodes, a.node_count);
            why = rewrite_attention(g, &a);
            changed = true; /* a rewrite that is refused leaves nodes that nothing reads */
            ir_origins_from(g, NULL, 0);
            g->cursor = NULL;
        }
        if (why)
            report_miss(r, "attention", n, "%s", why);
        else
            report_fired(r, "attention");
    }
    return changed;
}
