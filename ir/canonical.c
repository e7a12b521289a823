/* Checks the canonical form of docs/ir.md, one function per rule, named after it (C4's is in
 * canonical_identity.c). A function returns what is wrong with a node, or NULL.
 *
 *     C5: a view of a view: %3: f32[6] = view %2 {dims=[6]} */
#include "ir/canonical.h"

#include <string.h>
#include "runtime/base/checked.h"

#define SMALL 4096       /* elements that a constant made of nothing or of an expansion may have */
#define GROWN (64 << 10) /* bytes that a constant may have if its operands have fewer */

/* --- C1, C2: the graph has nothing superfluous --- */

static const char *c1_dead(const Node *n) {
    return ir_is_used(n) || ir_never_dead(n) ? NULL : "no result is used";
}

static bool same_operands(const Node *a, const Node *b) {
    if (a->input_count != b->input_count) return false;
    if ((ir_op_info(a->op)->flags & OPF_COMM) && a->inputs[0] == b->inputs[1] &&
        a->inputs[1] == b->inputs[0])
        return true;
    return !a->input_count ||
           !memcmp(a->inputs, b->inputs, (size_t)a->input_count * sizeof(Value *));
}

static bool equal_nodes(const Node *a, const Node *b) {
    if (a->op != b->op || !same_operands(a, b)) return false;
    for (int i = 0; i < ir_attr_count(a->op); i++)
        if (!ir_attr_equal(a->op, i, &a->attrs[i], &b->attrs[i])) return false;
    return true;
}

/* Equal nodes share their operands, so it is enough to look at the users of one; nodes without
 * operands are few. */
static const char *c2_equal(const Node *n) {
    const Value *x = n->input_count ? n->inputs[0] : NULL;
    if (!x) {
        for (const Node *k = n->prev; k; k = k->prev)
            if (equal_nodes(k, n)) return "an equal node comes before";
        return NULL;
    }
    if (x->constant && n->input_count > 1 && n->inputs[1]) x = n->inputs[1];
    for (int i = 0; i < x->use_count; i++) {
        const Node *k = x->uses[i].node;
        if (k->id < n->id && equal_nodes(k, n)) return "there is an equal node";
    }
    return NULL;
}

/* --- C3: constants are folded --- */

static const char *c3_constant(const Node *n) {
    int64_t dims[TN_MAX_RANK], count;
    const Type *t = &n->outputs[0]->type;
    if (!ir_static_dims(t, dims) || !tn_product(dims, t->rank, &count)) return NULL;
    if (n->op == OP_splat) return count <= SMALL ? "a small splat" : NULL;
    if (!ir_attrs_known(n)) return NULL;
    if (n->op == OP_iota) return count <= SMALL ? "a small constant range" : NULL;
    if (n->input_count == 0 || n->output_count != 1 || ir_is_attention(n) || ir_awaits_linear(n) ||
        ir_awaits_integers(n) || (ir_op_info(n->op)->flags & (OPF_CHECKS | OPF_CONTROL)))
        return NULL;
    size_t size = tn_dtype_size(t->dtype), in = 0;
    for (int i = 0; i < n->input_count; i++) {
        if (!n->inputs[i]) continue;
        if (!n->inputs[i]->constant) return NULL;
        in += n->inputs[i]->constant->bytes;
    }
    if (count > TN_MAX_FOLD / (int64_t)size) return NULL;
    bool grows = (size_t)count * size > GROWN && (size_t)count * size > in;
    return grows || (n->op == OP_expand && count > SMALL) ? NULL : "all operands are constants";
}

/* --- C5: moves are merged --- */

static bool roll_along_others(const Node *n, const Node *inner) {
    const DimList *a = attr_dims(n, "starts"), *b = attr_dims(inner, "starts");
    for (int i = 0; i < a->count; i++)
        if (!ex_is(a->e[i], 0) && !ex_is(b->e[i], 0)) return false;
    return true;
}

static const char *c5_merged(const Node *n) {
    if (n->input_count == 0 || !n->inputs[0] || !n->inputs[0]->node) return NULL;
    const Node *x = n->inputs[0]->node;
    if (n->op == OP_concat) {
        for (int i = 0; i < n->input_count; i++)
            if (ir_producer(n->inputs[i], OP_concat) && ir_single_use(n->inputs[i]) &&
                attr_int(n->inputs[i]->node, "axis") == attr_int(n, "axis"))
                return "a concat of a concat";
        return NULL;
    }
    if (x->op != n->op) return NULL;
    switch (n->op) {
    case OP_view: return "a view of a view";
    case OP_transpose: return "a transpose of a transpose";
    case OP_expand: return "an expand of an expand";
    case OP_slice:
        if (attr_int(n, "axis") != attr_int(x, "axis") || attr_int(n, "step") != 1 ||
            attr_int(x, "step") != 1)
            return NULL;
        return "a slice of a slice";
    case OP_roll: return roll_along_others(n, x) ? "a roll of a roll" : NULL;
    case OP_cast:
        return tn_dtype_holds(x->outputs[0]->type.dtype, x->inputs[0]->type.dtype)
                   ? "a cast of a cast"
                   : NULL;
    default: return NULL;
    }
}

/* --- C6, C7: one spelling --- */

static const char *c6_right(const Node *n) {
    bool wrong =
        (ir_op_info(n->op)->flags & OPF_COMM) && n->inputs[0]->constant && !n->inputs[1]->constant;
    return wrong ? "a constant stands left" : NULL;
}

static bool swaps_last_two(const Value *v) {
    if (!ir_producer(v, OP_transpose)) return false;
    const IntList *perm = attr_ints(v->node, "perm");
    int n = perm->count;
    for (int i = 0; i < n - 2; i++)
        if (perm->v[i] != i) return false;
    return n >= 2 && perm->v[n - 2] == n - 1 && perm->v[n - 1] == n - 2;
}

static bool is_column_view(const Value *v) {
    const Type *t = &v->type;
    return ir_producer(v, OP_view) && ex_is(t->dims[t->rank - 1], 1) &&
           !ex_is(t->dims[t->rank - 2], 1);
}

static bool is_known_integer(const Value *v) {
    return v->type.rank == 0 && v->facts.values && !ex_mentions(v->facts.values[0], ATOM_LOAD);
}

static const char *c7_spelling(const Node *n) {
    bool floats = tn_is_float(n->outputs[0]->type.dtype);
    const Value *a = n->input_count > 0 ? n->inputs[0] : NULL;
    const Value *b = n->input_count > 1 ? n->inputs[1] : NULL;
    switch (n->op) {
    case OP_sub: return b->constant ? "subtracts a constant" : NULL;
    case OP_add: return ir_producer(a, OP_neg) || ir_producer(b, OP_neg) ? "adds a neg" : NULL;
    case OP_pow:
        return floats && (is_number(b, 2) || is_number(b, 0.5) || is_number(b, -1) ||
                          is_number(b, -0.5))
                   ? "a power with a simpler name"
                   : NULL;
    case OP_div:
        if (floats && b->constant && !attr_bool(n, "exact")) return "divides by a constant";
        return floats && is_number(a, 1) && has_result_dims(n, b) ? "a reciprocal" : NULL;
    case OP_gather: return is_known_integer(b) ? "takes one known place" : NULL;
    case OP_matmul:
        if (swaps_last_two(b) || (!attr_bool(n, "tb") && is_column_view(b)))
            return "of a transpose";
        /* rows that meet a constant matrix stay rows */
        return swaps_last_two(a) && !(b->constant && b->type.rank == 2 && a->type.rank > 2)
                   ? "of a transpose"
                   : NULL;
    default: return NULL;
    }
}

/* --- C8, C9, C10 --- */

/* The type of what an operand was expanded from. */
static const Type *before_expansion(const Value *v) {
    static const Type scalar = {0};
    if (ir_producer(v, OP_expand)) return &v->node->inputs[0]->type;
    return ir_producer(v, OP_splat) ? &scalar : &v->type;
}

/* Whether the result has its dims even if operand i is not expanded. */
static bool expands_in_vain(const Node *n, int i) {
    const Type *y = &n->outputs[0]->type;
    for (int k = 1; k <= y->rank; k++) { /* counted from the last axis */
        const Expr *d = y->dims[y->rank - k];
        bool found = ex_is(d, 1);
        for (int o = 0; o < n->input_count && !found; o++) {
            const Type *t = o == i ? before_expansion(n->inputs[o]) : &n->inputs[o]->type;
            found = k <= t->rank && t->dims[t->rank - k] == d;
        }
        if (!found) return false;
    }
    for (int o = 0; o < n->input_count; o++) /* and its rank */
        if ((o == i ? before_expansion(n->inputs[o]) : &n->inputs[o]->type)->rank == y->rank)
            return true;
    return false;
}

static bool repeats(const Value *v, int axes) {
    for (int i = 0; v->constant && i < axes; i++)
        if (ir_constant_repeats(v->constant, i)) return true;
    return false;
}

static const char *c8_expanded(const Node *n) {
    bool rows = n->op == OP_layer_norm || n->op == OP_rms_norm ||
                (n->op == OP_matmul && n->inputs[1]->constant && n->inputs[1]->type.rank == 2 &&
                 !attr_bool(n, "ta"));
    if (rows && repeats(n->inputs[0], n->inputs[0]->type.rank - 1)) return "equal rows";
    if (!(ir_op_info(n->op)->flags & OPF_ELEMENTWISE) || n->input_count < 2) return NULL;
    for (int i = 0; i < n->input_count; i++) {
        const Value *v = n->inputs[i];
        bool expanded = ir_producer(v, OP_expand) || ir_producer(v, OP_splat);
        if (repeats(v, v->type.rank - 1)) return "a constant repeats";
        if (expanded && expands_in_vain(n, i)) return "an operand is expanded in vain";
    }
    return NULL;
}

static const char *c9_known(const Node *n) {
    const Value *y = n->outputs[0];
    bool all_numbers = true;
    if (ir_op_info(n->op)->flags & OPF_CHECKS) return NULL;
    if (!tn_is_int(y->type.dtype) || !y->facts.values) return NULL;
    for (int i = 0; i < y->facts.count; i++) {
        int64_t v;
        if (ex_mentions(y->facts.values[i], ATOM_LOAD)) return NULL;
        all_numbers = all_numbers && ex_const(y->facts.values[i], &v);
    }
    if (all_numbers) return "a constant";
    if (n->op == OP_scalars) return NULL;
    return n->op == OP_view && ir_producer(n->inputs[0], OP_scalars) ? NULL : "known integers";
}

static bool axes_are_normal(const Node *n, const AttrInfo *info, const Attr *a) {
    if (!strcmp(info->name, "axis")) {
        bool softmax = n->op == OP_softmax || n->op == OP_log_softmax;
        return softmax ? a->i == -1 || (a->i >= 0 && a->i < n->inputs[0]->type.rank - 1)
                       : a->i >= 0;
    }
    if (strcmp(info->name, "axes") != 0) return true;
    for (int i = 0; i < a->I->count; i++)
        if (a->I->v[i] <= (i ? a->I->v[i - 1] : -1)) return false;
    return true;
}

static bool exprs_are_normal(ExprCx *x, const Expr *const *e, int count) {
    for (int i = 0; i < count; i++)
        if (ex_norm(x, e[i]) != e[i]) return false;
    return true;
}

static const char *c10_attrs(const Node *n) {
    ExprCx *x = n->graph->module->ex;
    for (int i = 0; i < ir_attr_count(n->op); i++) {
        const AttrInfo *info = ir_attr_info(n->op, i);
        const Attr *a = &n->attrs[i];
        bool ok = axes_are_normal(n, info, a);
        if (info->kind == 'd') ok = exprs_are_normal(x, &a->d, 1);
        if (info->kind == 'D') ok = exprs_are_normal(x, a->D->e, a->D->count);
        if (info->kind == 'E') ok = exprs_are_normal(x, a->E->e, a->E->count);
        if (!ok) return arena_printf(&n->graph->module->cx->arena, "%s is not normal", info->name);
    }
    return NULL;
}

static const char *(*const rules[])(const Node *) = {
    c1_dead,  c2_equal,    c3_constant, c4_identity, c5_merged,
    c6_right, c7_spelling, c8_expanded, c9_known,    c10_attrs,
};

const char *ir_verify_canonical(Graph *g) {
    const char *wrong = ir_verify(g);
    for (const Node *n = g->first; !wrong && n; n = n->next)
        for (size_t i = 0; !wrong && i < sizeof rules / sizeof *rules; i++) {
            const char *what = rules[i](n);
            if (what)
                wrong = arena_printf(&g->module->cx->arena, "C%d: %s: %s", (int)i + 1, what,
                                     ir_print_node(n));
        }
    return wrong;
}
