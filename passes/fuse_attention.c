/* fuse_attention: softmax(scale q k' + masks) v becomes one operator.
 *
 *     %s = matmul %q, %k {tb=1}            %q4 = transpose %q {perm=[0, 2, 1, 3]}   (k, v likewise)
 *     %1 = mul %s, 0.125                   %o  = attention %q4, %k4, %v4, %mask {scale=0.125}
 *     %2 = add %1, %bias             =>    %y  = transpose %o {perm=[0, 2, 1, 3]}
 *     %3 = softmax %2 {axis=-1}
 *     %y = matmul %3, %v
 *
 * attention_find.c walks from the softmax towards the product of queries and keys and only looks;
 * here is what edits. A mask becomes part of the operator if mask.c proves what it is;
 * anything else that is added stays an additive bias, of which the operator takes two. Numbers that
 * q and k are multiplied by join the scale. The transposes meet those of the model and cancel.
 *
 * Scores are [b, h, s, t], or [b h, s, t] where a model folds the heads into the batch; a view
 * between the two may stand anywhere on the way. Without such a view the heads are those that the
 * queries, keys or values were folded from, else a batch of three axes has one head.
 *
 * Keys and values that a model repeats for groups of query heads are read as they were before the
 * repetition:
 *
 *     %2 = expand %1 {dims=[b, 2, 4, t, d]}       %1: [b, 2, 1, t, d]
 *     %k = view %2 {dims=[b, 8, t, d]}      =>    2 key heads for 8 heads */
#include <float.h>
#include <math.h>
#include <string.h>
#include "passes/attention.h"
#include "passes/emit.h"
#include "passes/mask.h"
#include "passes/pass.h"

/* The proven masks of the operator. */
typedef struct Masks {
    Mask mask;
    Value *key, *query; /* NULL: none */
    double value;
    bool any, select;
} Masks;

/* Batch and heads of an operand must be the scores', not broadcast. */
static bool fits(const Attention *a, ExprCx *x, const Value *v) {
    const Expr *const *d = v->type.dims;
    if (v->type.rank == 3) return d[0] == ex_mul(x, a->dims[0], a->dims[1]);
    return v->type.rank == 4 && d[0] == a->dims[0] && d[1] == a->dims[1];
}

/* One head for all queries, broadcast by the product. */
static bool is_shared(const Attention *a, const Value *v) {
    const Expr *const *d = v->type.dims;
    return v->type.rank == 4 && d[0] == a->dims[0] && ex_is(d[1], 1) && !ex_is(a->dims[1], 1);
}

/* Keys and values have a head per head of the queries, or one each. */
static bool keys_fit(const Attention *a, ExprCx *x) {
    if (is_shared(a, a->k) && is_shared(a, a->v)) return true;
    return fits(a, x, a->k) && fits(a, x, a->v);
}

/* If x is y with every head repeated for a group of query heads, y, and its heads. */
static Value *ungrouped(const Attention *a, ExprCx *x, Value *v, const Expr **heads) {
    const Type *t = &v->type;
    Node *n = v->node;
    if (is_shared(a, v)) {
        *heads = ex_int(x, 1);
        return v;
    }
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

/* --- biases --- */

/* where(mask, bias, c) is added as where(mask, 0, c), which may become a mask, and the bias. */
static void split_masks(Graph *g, Attention *a) {
    for (int i = 0; i < a->added_count; i++) {
        Added *z = &a->added[i];
        double c;
        if (!z->bias) continue;
        memmove(z + 1, z, (size_t)(a->added_count - i) * sizeof *z);
        Value *const *in = z->value->node->inputs, *zero = ir_scalar(g, z->value->type.dtype, 0);
        bool last = ir_constant_float(in[2], &c);
        z[0].value = ir_where(g, in[0], last ? zero : in[1], last ? in[2] : zero);
        z[1].value = z[1].bias;
        z[0].bias = z[1].bias = NULL;
        a->added_count++;
        if (i < a->added_last) a->added_last++;
    }
}

/* A bias that is the same for every group of batch entries, of one group: [w, h, s, t] before
 *
 *     %1 = expand %0 {dims=[b, w, h, s, t]}        %0: [1, w, h, s, t] or [w, h, s, t]
 *     %2 = view %1 {dims=[b w, h, s, t]}
 */
static Value *of_one_group(Graph *g, Value *v) {
    Node *n = v->node;
    if (!n || n->op != OP_view || v->type.rank != 4) return v;
    n = n->inputs[0]->node;
    if (!n || n->op != OP_expand) return v;
    const Type *from = &n->inputs[0]->type, *to = &n->outputs[0]->type;
    const Expr *const *group = from->dims + from->rank - 4;
    if (to->rank != 5 || from->rank < 4 || (from->rank == 5 && !ex_is(from->dims[0], 1))) return v;
    for (int i = 0; i < 4; i++)
        if (group[i] != to->dims[i + 1] || (i && group[i] != v->type.dims[i])) return v;
    return ir_view(g, n->inputs[0], 4, group);
}

/* A bias with four axes, those that it does not follow of length 1. */
static Value *four_axes(Graph *g, const Attention *a, const Added *added) {
    Value *v = of_one_group(g, added->value);
    const Type *t = &v->type;
    const Expr *one = ex_int(g->module->ex, 1), *dims[4] = {one, one, one, one};
    for (int i = 0; i < t->rank; i++)
        if (!ex_is(t->dims[i], 1)) dims[attention_coordinate(i, t, added->rank)] = t->dims[i];
    if (attention_folds_heads(a, t, added->rank)) {
        dims[0] = a->dims[0];
        dims[1] = a->dims[1];
    }
    return ir_view(g, v, 4, dims);
}

static bool is_scale(double factor) {
    return isfinite((float)factor) && (float)factor != 0;
}

static Value *scaled(Graph *g, Value *v, double factor) {
    return factor == 1 ? v : ir_binary(g, OP_mul, v, ir_scalar(g, v->type.dtype, factor));
}

/* v without the number that it is multiplied by below views and transposes; *factor takes it up. */
static Value *unscaled(Graph *g, Value *v, double *factor) {
    Node *n = v->node;
    double c;
    if (!n) return v;
    Value *x = n->input_count ? n->inputs[0] : NULL;
    if (n->op == OP_mul && ir_constant_float(n->inputs[1], &c) && is_scale(*factor * c) &&
        ir_same_dims(&x->type, &v->type)) {
        *factor *= c;
        return unscaled(g, x, factor);
    }
    if (n->op != OP_view && n->op != OP_transpose) return v;
    Value *y = unscaled(g, x, factor);
    if (y == x) return v;
    if (n->op == OP_view) return ir_view(g, y, v->type.rank, v->type.dims);
    int perm[TN_MAX_RANK];
    for (int i = 0; i < v->type.rank; i++) perm[i] = (int)attr_ints(n, "perm")->v[i];
    return ir_transpose(g, y, perm);
}

/* The operator adds two tensors, each times a number: of more, one that is a view of a product, and
 * the sum of the others. */
static void two_biases(Graph *g, Attention *a, Value **bias, double *scale) {
    int count = a->added_count, alone = 0;
    while (alone + 1 < count && !attention_reads_product(a->added[alone].value)) alone++;
    if (count == 2 || !count || !attention_reads_product(a->added[alone].value)) alone = 0;
    for (int i = 0; i < count; i++) {
        Added *added = &a->added[i];
        added->value = unscaled(g, added->value, &added->factor);
        Value *b = four_axes(g, a, added);
        double factor = added->factor;
        int place = i != alone;
        if (is_scale(factor) && (i == alone || count == 2))
            scale[place] = factor;
        else
            b = scaled(g, b, factor);
        bias[place] = bias[place] ? ir_binary(g, OP_add, bias[place], b) : b;
    }
}

/* --- masks --- */

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

static const char *emit_masks(Graph *g, const Attention *a, const Pred *allowed, Masks *m) {
    const Pred *rest;
    if (!mask_split(g->module->ex, allowed, &m->mask, &rest)) return "the masks do not go together";
    if (!emit_mask(g, a, m->mask.key, 3, &m->key) || !emit_mask(g, a, m->mask.query, 2, &m->query))
        return "the mask cannot be computed per key";
    m->any = allowed->kind != PRED_TRUE;
    return NULL;
}

/* Added in 16 bits, the lowest f16 leaves nothing of a score (they round to itself), so that a row
 * in which every key is masked is a mean. The operator adds in f32, and so the lowest f32. */
static double value_in_f32(double value, TnDType t) {
    return t == TN_F16 && value == -65504 ? -FLT_MAX : value;
}

/* Masks that select stay; else the first tensor that is added and proves to be a mask is one. */
static const char *settle_masks(Graph *g, Attention *a, Masks *m) {
    *m = (Masks){.mask = {.left = -1, .right = -1, .offset = ex_int(g->module->ex, 0)}};
    if (a->allowed) {
        m->value = a->mask_value;
        m->select = true;
        if (a->added_last && a->added_last < a->added_count)
            return "biases are added before and after the selection";
        return emit_masks(g, a, a->allowed, m);
    }
    for (int i = 0; i < a->added_count; i++) {
        Masks found = *m;
        const Pred *p = attention_added_mask(a, g->module->ex, &a->added[i], &found.value);
        if (!p || isnan(found.value) || emit_masks(g, a, p, &found)) continue;
        found.value = value_in_f32(found.value, a->added[i].value->type.dtype);
        *m = found;
        a->added_count--;
        memmove(&a->added[i], &a->added[i + 1], (size_t)(a->added_count - i) * sizeof *a->added);
        break;
    }
    return NULL;
}

/* --- the operator --- */

static void remove_prescale(Attention *a) {
    for (int i = 0; i < a->prescale_count; i++)
        ir_replace(a->prescale[i]->outputs[0], a->prescale[i]->inputs[0]);
    a->q = ir_resolve(a->q);
    a->k = ir_resolve(a->k);
}

/* Keys that are transposed before they are scaled: with the scale gone, the product reads them
 * transposed, and what repeats their heads is seen. */
static void take_transpose(Attention *a) {
    Node *n = a->k->node;
    int r = a->k->type.rank;
    if (!n || n->op != OP_transpose) return;
    const IntList *perm = attr_ints(n, "perm");
    for (int i = 0; i < r - 2; i++)
        if (perm->v[i] != i) return;
    if (perm->v[r - 1] != r - 2) return;
    a->k = n->inputs[0];
    a->k_transposed = !a->k_transposed;
}

static Node *attention_node(Graph *g, Attention *a, const Masks *m) {
    ExprCx *x = g->module->ex;
    const Expr *heads = a->dims[1], *key_heads = heads, *value_heads = heads;
    Value *k = ungrouped(a, x, a->k, &key_heads), *v = ungrouped(a, x, a->v, &value_heads);
    if (key_heads != value_heads) { /* one of them stays repeated: so do both */
        k = a->k;
        v = a->v;
        key_heads = value_heads = heads;
    }
    Value *bias[2] = {NULL, NULL};
    double scale[2] = {1, 1};
    two_biases(g, a, bias, scale);
    Value *in[7] = {token_major(g, a, a->q, heads, a->q_transposed),
                    token_major(g, a, k, key_heads, a->k_transposed),
                    token_major(g, a, v, value_heads, a->v_transposed),
                    m->key,
                    m->query,
                    bias[0],
                    bias[1]};
    int count = 7;
    while (!in[count - 1]) count--;
    Node *n = ir_node(g, OP_attention, count, in);
    ir_set_float(n, "scale", a->scale);
    ir_set_bool(n, "causal", m->mask.causal);
    ir_set_dim(n, "offset", m->mask.offset);
    ir_set_int(n, "left", m->mask.left);
    ir_set_int(n, "right", m->mask.right);
    ir_set_float(n, "softcap", a->softcap);
    ir_set_bool(n, "zero_nan", a->zero_nan);
    ir_set_float(n, "bias_scale", scale[0]);
    ir_set_float(n, "more_scale", scale[1]);
    ir_set_bool(n, "bias_last", m->select && a->added_last);
    if (m->any) {
        ir_set_float(n, "mask_value", m->value);
        ir_set_string(n, "mode", m->select ? "select" : "add");
    }
    return n;
}

/* How batch and heads were folded into the first axis of x[n, .., ..]: from [b, h, .., ..]; or they
 * were one axis behind the sequence all along, [s, n, d], and may count as heads of one batch. */
static bool unfolded(ExprCx *ex, const Value *x, const Expr **batch, const Expr **heads) {
    const Node *n = x->node;
    if (!n || x->type.rank != 3) return false;
    const Type *from = &n->inputs[0]->type;
    if (n->op == OP_transpose && attr_ints(n, "perm")->v[0] == 1) {
        *batch = ex_int(ex, 1);
        *heads = x->type.dims[0];
        return true;
    }
    if (n->op != OP_view || from->rank != 4 || from->dims[2] != x->type.dims[1] ||
        from->dims[3] != x->type.dims[2])
        return false;
    *batch = from->dims[0];
    *heads = from->dims[1];
    return ex_mul(ex, *batch, *heads) == x->type.dims[0];
}

/* Whether what is added is repeated for every head: then it need not be, per head. */
static bool repeated(const Value *v) {
    return v->node && v->node->op == OP_view && v->node->inputs[0]->node &&
           v->node->inputs[0]->node->op == OP_expand;
}

/* Scores without heads of their own get those that nothing has to be moved for. */
static void find_heads(Attention *a, ExprCx *ex, const Masks *m) {
    const Value *operands[] = {a->q, a->k, a->v};
    if (!ex_is(a->dims[1], 1)) return;
    for (int i = 0; i < a->added_count; i++)
        if (a->added[i].rank != 3) return;
    if (m->key && !ex_is(m->key->type.dims[0], 1)) return;
    if (m->query && !ex_is(m->query->type.dims[0], 1)) return;
    for (int i = 0; i < a->added_count; i++)
        if (repeated(a->added[i].value) &&
            unfolded(ex, a->added[i].value, &a->dims[0], &a->dims[1]))
            return;
    for (int i = 0; i < 3; i++)
        if (unfolded(ex, operands[i], &a->dims[0], &a->dims[1])) return;
}

static const char *rewrite_attention(Graph *g, Attention *a) {
    ExprCx *x = g->module->ex;
    Masks masks;
    if (!isfinite((float)a->scale)) return "the scale is not finite";
    if (isnan(a->mask_value)) return "the masked value is NaN";
    if (!fits(a, x, a->q) || !keys_fit(a, x))
        return "queries, keys and values have different batches or heads";
    split_masks(g, a);
    const char *why = settle_masks(g, a, &masks);
    if (why) return why;
    remove_prescale(a);
    find_heads(a, x, &masks);
    take_transpose(a);
    Value *y = ir_transpose(g, ir_insert(attention_node(g, a, &masks)), (int[]){0, 2, 1, 3});
    Value *old = a->last->outputs[0];
    ir_replace(old, ir_view(g, y, old->type.rank, old->type.dims));
    return NULL;
}

bool pass_fuse_attention(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        Attention a;
        if (n->op != OP_softmax) continue;
        const char *why = attention_find(n, &a);
        if (!why) {
            ir_edit_begin(g, a.last, a.nodes, a.node_count);
            why = rewrite_attention(g, &a);
            changed = true; /* a rewrite that is refused leaves nodes that nothing reads */
            ir_edit_end(g);
        }
        if (why)
            report_miss(r, "attention", n, "%s", why);
        else
            report_fired(r, "attention");
    }
    return changed;
}
