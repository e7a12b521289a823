/* Finds attention: see fuse_attention.c for what it is.
 *
 * The walk starts at the softmax and goes inwards, to the product of queries and keys. What is
 * added on the way is collected; what is selected away is a mask that mask.c must know. A product
 * with zeros and ones is a selection, too, if what is added is zero where the ones are:
 *
 *     w m + (1 - m) (-10000)  =  where(m, w, -10000)          finite w, m of zeros and ones
 */
#include "passes/attention.h"

#include <math.h>
#include <string.h>
#include "passes/mask.h"

#define MASKED_FAR_BELOW -1e36 /* BIAS_BELOW is less than half a last place of it */

static void push(Attention *a, Node *n) {
    a->nodes[a->node_count++] = n;
}

static bool is_zero(const Value *v) {
    double x;
    if (v->facts.choice && v->facts.choice->kind == PRED_TRUE) return v->facts.yes == 0;
    return ir_constant_float(v, &x) && x == 0;
}

/* A constant matrix is the weight of a projection; queries that a model learns have heads. */
static bool is_product(const Value *v) {
    if (!v->node || v->node->op != OP_matmul) return false;
    for (int i = 0; i < 2; i++)
        if (v->node->inputs[i]->constant && v->node->inputs[i]->type.rank < 3) return false;
    return true;
}

/* Whether walking inwards from v can reach the product of queries and keys. */
static bool leads_to_scores(const Value *v, int depth) {
    if (is_product(v)) return true;
    if (depth == 0 || !v->node || !ir_single_use(v)) return false;
    Value *const *in = v->node->inputs;
    switch (v->node->op) {
    case OP_mul:
    case OP_sub:
    case OP_tanh:
    case OP_view: return leads_to_scores(in[0], depth - 1);
    case OP_add: return leads_to_scores(in[0], depth - 1) || leads_to_scores(in[1], depth - 1);
    case OP_where: return leads_to_scores(in[1], depth - 1) || leads_to_scores(in[2], depth - 1);
    default: return false;
    }
}

/* --- masks and biases --- */

int attention_coordinate(int i, const Type *t, int rank) {
    int axis = i + rank - t->rank;
    if (rank == 5) return axis ? axis - 1 : 0;
    return rank == 3 && axis > 0 ? axis + 1 : axis;
}

bool attention_folds_heads(const Attention *a, const Type *t, int rank) {
    return rank == 3 && t->rank == 3 && !ex_is(t->dims[0], 1) && !ex_is(a->dims[1], 1);
}

const Pred *attention_over_scores(const Attention *a, ExprCx *x, const Pred *p, const Type *t,
                                  int rank) {
    const Expr *map[TN_MAX_RANK];
    if (t->rank > rank || rank == 5 || attention_folds_heads(a, t, rank)) return NULL;
    for (int i = 0; i < t->rank; i++) {
        int c = attention_coordinate(i, t, rank);
        map[i] = ex_is(t->dims[i], 1) ? ex_int(x, 0) : ex_coord(x, c, a->dims[c]);
    }
    return pr_at(x, p, map, t->rank);
}

const Pred *attention_added_mask(const Attention *a, ExprCx *x, const Added *added, double *value) {
    const Facts *f = &added->value->facts;
    if (!f->choice || (f->yes != 0 && f->no != 0)) return NULL;
    *value = (f->yes == 0 ? f->no : f->yes) * added->factor;
    const Pred *p = f->yes == 0 ? f->choice : pr_not(x, f->choice);
    return attention_over_scores(a, x, p, &added->value->type, added->rank);
}

bool attention_reads_product(const Value *v) {
    double c;
    const Node *n = v->node;
    while (n && ((ir_op_info(n->op)->flags & OPF_MOVE) ||
                 (n->op == OP_mul && ir_constant_float(n->inputs[1], &c))))
        n = n->inputs[0]->node;
    return n && n->op == OP_matmul;
}

static bool outgrows_operands(const Node *sum) {
    const Type *t = &sum->outputs[0]->type;
    return !ir_same_dims(&sum->inputs[0]->type, t) && !ir_same_dims(&sum->inputs[1]->type, t);
}

/* If v is where(mask, bias, c), a table and a c so low that nothing is left of a bias beside it:
 * the bias. Then adding v is adding the bias and where(mask, 0, c). */
static Value *masked_bias(const Attention *a, const Value *v, int rank) {
    const Node *n = v->node;
    double c;
    if (!n || n->op != OP_where || v->facts.choice) return NULL;
    for (int i = 1; i < 3; i++) {
        Value *mask = n->inputs[0], *bias = n->inputs[i];
        ExprCx *x = n->graph->module->ex;
        if (!ir_constant_float(n->inputs[3 - i], &c) || c > MASKED_FAR_BELOW) continue;
        if (attention_bias(bias) != BIAS_TABLE || !mask->facts.pred) return NULL;
        const Pred *p = i == 1 ? mask->facts.pred : pr_not(x, mask->facts.pred), *rest;
        Mask m;
        p = attention_over_scores(a, x, p, &mask->type, rank);
        return p && mask_split(x, p, &m, &rest) ? bias : NULL;
    }
    return NULL;
}

/* A tensor times a number is one that is scaled. A sum of scores is two tensors that are added, and
 * so is one that is larger than both (of a bias per head and a mask per window); any other is
 * better computed once than in every head. */
static const char *take_added(Attention *a, Value *v, double factor, int rank) {
    Node *n = v->node;
    double c;
    if (v->type.rank > rank) return "what is added has more axes than the scores";
    if (is_zero(v)) return NULL;
    if (rank == 5 && v->type.rank == 5 && !ex_is(v->type.dims[0], 1))
        return "what is added differs between groups of batch entries";
    bool opens = n && ir_single_use(v) && !v->facts.choice && a->node_count + 2 < ATTENTION_STEPS;
    if (opens && n->op == OP_mul && ir_constant_float(n->inputs[1], &c) && isfinite(factor * c) &&
        ir_same_dims(&n->inputs[0]->type, &v->type)) {
        push(a, n);
        return take_added(a, n->inputs[0], factor * c, rank);
    }
    if (opens && (n->op == OP_add || n->op == OP_sub) && a->added_count + 2 <= ATTENTION_ADDED &&
        (attention_reads_product(n->inputs[0]) || attention_reads_product(n->inputs[1]) ||
         outgrows_operands(n))) {
        push(a, n);
        const char *why = take_added(a, n->inputs[0], factor, rank);
        return why ? why : take_added(a, n->inputs[1], n->op == OP_sub ? -factor : factor, rank);
    }
    if (a->added_count == ATTENTION_ADDED) return "too many tensors are added to the scores";
    a->added[a->added_count++] = (Added){v, factor, rank, masked_bias(a, v, rank)};
    return NULL;
}

static const char *select_where(Attention *a, ExprCx *x, const Pred *allowed, double value) {
    Mask m;
    const Pred *rest;
    if (!allowed || !mask_split(x, allowed, &m, &rest))
        return "the selecting mask is neither causal nor a key mask";
    if (allowed->kind == PRED_TRUE) return NULL;
    if (a->allowed && a->mask_value != value) return "two masks with different values";
    if (a->allowed && a->added_last != a->added_count) return "a bias is added between two masks";
    a->allowed = a->allowed ? pr_and(x, a->allowed, allowed) : allowed;
    a->mask_value = value;
    a->added_last = a->added_count;
    return NULL;
}

static const char *take_where(Attention *a, ExprCx *x, Node *n, double factor, Value **next) {
    bool scores_first = leads_to_scores(n->inputs[1], ATTENTION_STEPS);
    Value *mask = n->inputs[0], *other = n->inputs[scores_first ? 2 : 1];
    double value;
    if (other->facts.choice && other->facts.choice->kind == PRED_TRUE)
        value = other->facts.yes;
    else if (!ir_constant_float(other, &value))
        return "the masked value is no constant";
    const Pred *p = mask->facts.pred;
    if (!p) return "the mask has no element function";
    if (!scores_first) p = pr_not(x, p);
    *next = n->inputs[scores_first ? 1 : 2];
    return select_where(a, x, attention_over_scores(a, x, p, &mask->type, n->outputs[0]->type.rank),
                        value * factor);
}

/* Scores times zeros and ones, where what is added later is zero beside the ones. */
static const char *take_product(Attention *a, ExprCx *x, Node *n) {
    static const char *const other = "the scores are multiplied by a tensor";
    const Value *m = n->inputs[1];
    const Facts *f = &m->facts;
    if (a->softcap != 0 || !f->choice ||
        !((f->yes == 1 && f->no == 0) || (f->yes == 0 && f->no == 1)))
        return other;
    const Pred *p = attention_over_scores(a, x, f->yes == 1 ? f->choice : pr_not(x, f->choice),
                                          &m->type, n->outputs[0]->type.rank);
    for (int i = 0; p && !a->allowed && i < a->added_count; i++) {
        double value;
        if (attention_added_mask(a, x, &a->added[i], &value) != p) continue;
        const char *why = select_where(a, x, p, value);
        if (why) return why;
        memmove(&a->added[i], &a->added[i + 1],
                (size_t)(a->added_count - i - 1) * sizeof *a->added);
        a->added_last = --a->added_count;
        return NULL;
    }
    return other;
}

/* --- the walk --- */

/* A view between [b, h, s, t], [b h, s, t] and [b / w, w, h, s, t]. */
static const char *take_view(Attention *a, ExprCx *x, Node *n, Value **next) {
    static const char *const other = "the scores are reshaped";
    const Type *in = &n->inputs[0]->type;
    int r = in->rank;
    if (r < 3 || r > 5) return other;
    if (in->dims[r - 2] != a->dims[2] || in->dims[r - 1] != a->dims[3]) return other;
    const Expr *rows = ex_mul(x, a->dims[0], a->dims[1]);
    if (r == 5 && (ex_mul(x, in->dims[0], in->dims[1]) != a->dims[0] || in->dims[2] != a->dims[1]))
        return other;
    if (r == 3 ? in->dims[0] != rows : r == 4 && ex_mul(x, in->dims[0], in->dims[1]) != rows)
        return other;
    if (r == 4) {
        bool same = in->dims[0] == a->dims[0] && in->dims[1] == a->dims[1];
        if (!same && (a->allowed || a->added_count)) return "masked before the heads are split";
        a->dims[0] = in->dims[0];
        a->dims[1] = in->dims[1];
    }
    *next = n->inputs[0];
    return NULL;
}

/* cap tanh(scores / cap): what is left of the factor scales what the tangent is taken of. */
static const char *take_tanh(Attention *a, Node *n, double *factor, Value **next) {
    if (a->softcap != 0) return "the scores are capped twice";
    if (!((float)*factor > 0 && isfinite((float)*factor))) return "the cap is no positive number";
    a->softcap = *factor;
    *next = n->inputs[0];
    return NULL;
}

static const char *step(Attention *a, ExprCx *x, Node *n, double *factor, Value **next) {
    const char *why = NULL;
    if (a->softcap != 0 && (n->op == OP_add || n->op == OP_sub || n->op == OP_where))
        return "the scores are masked before they are capped";
    double c;
    switch (n->op) {
    case OP_view: return take_view(a, x, n, next);
    case OP_mul:
        *next = n->inputs[0];
        if (ir_constant_float(n->inputs[1], &c))
            *factor *= c;
        else
            why = take_product(a, x, n);
        break;
    case OP_add: {
        int scores = leads_to_scores(n->inputs[0], ATTENTION_STEPS) ? 0 : 1;
        why = take_added(a, n->inputs[1 - scores], *factor, n->outputs[0]->type.rank);
        *next = n->inputs[scores];
        break;
    }
    case OP_sub:
        why = take_added(a, n->inputs[1], -*factor, n->outputs[0]->type.rank);
        *next = n->inputs[0];
        break;
    case OP_tanh: why = take_tanh(a, n, factor, next); break;
    case OP_where: why = take_where(a, x, n, *factor, next); break;
    default: return "the scores are changed by another operator";
    }
    if (why) return why;
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
    if (!leads_to_scores(softmax->inputs[0], ATTENTION_STEPS))
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

const char *attention_find(Node *softmax, Attention *a) {
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
        if (a->node_count >= ATTENTION_STEPS || !ir_single_use(v))
            return "the scores are used elsewhere";
        push(a, v->node);
        why = step(a, x, v->node, &factor, &v);
        if (why) return why;
    }
    if (!ir_single_use(v)) return "the scores are used elsewhere";
    push(a, v->node);
    a->scale = factor;
    a->q = v->node->inputs[0];
    a->k = v->node->inputs[1];
    a->q_transposed = attr_bool(v->node, "ta");
    a->k_transposed = !attr_bool(v->node, "tb");
    take_prescale(a, a->q);
    take_prescale(a, a->k);
    return NULL;
}
