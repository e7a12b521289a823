/* Arithmetic identities of the canonical form: one function per operator.
 *
 * Exactness: only rewrites that keep every float result, except x / c -> x * (1/c), which rounds
 * once more and lets rules be written in one spelling. */
#include "passes/canon.h"

#include <math.h>

static bool same_type(const Value *a, const Value *b) {
    return a->type.dtype == b->type.dtype && ir_same_dims(&a->type, &b->type);
}

/* x, if it already has the result's type, else x broadcast to it. */
static Value *as_result(Node *n, Value *x) {
    if (same_type(x, n->outputs[0])) return x;
    const Type *t = &n->outputs[0]->type;
    return x->type.dtype == t->dtype ? ir_expand(n->graph, x, t->rank, t->dims) : NULL;
}

static bool is_number(const Value *v, double x) {
    double c;
    if (ir_constant_float(v, &c)) return c == x;
    if (v->facts.choice && v->facts.choice->kind == PRED_TRUE) return v->facts.yes == x;
    return v->facts.elem && ex_is(v->facts.elem, (int64_t)x) && (double)(int64_t)x == x;
}

/* A number in the type of the result. */
static Value *number_like(Node *n, double v) {
    return ir_scalar(n->graph, n->outputs[0]->type.dtype, v);
}

static Value *simplify_add(Node *n) {
    if (is_number(n->inputs[1], 0)) return as_result(n, n->inputs[0]);
    return NULL;
}

static Value *simplify_sub(Node *n) {
    double c;
    if (is_number(n->inputs[1], 0)) return as_result(n, n->inputs[0]);
    if (!tn_is_float(n->outputs[0]->type.dtype) || !ir_constant_float(n->inputs[1], &c))
        return NULL;
    if (n->inputs[1]->type.rank > n->inputs[0]->type.rank) return NULL;
    return ir_binary(n->graph, OP_add, n->inputs[0], number_like(n, -c));
}

static Value *simplify_mul(Node *n) {
    if (is_number(n->inputs[1], 1)) return as_result(n, n->inputs[0]);
    return NULL;
}

static Value *simplify_div(Node *n) {
    double c;
    if (is_number(n->inputs[1], 1)) return as_result(n, n->inputs[0]);
    if (!tn_is_float(n->outputs[0]->type.dtype) || !ir_constant_float(n->inputs[1], &c))
        return NULL;
    if (n->inputs[1]->type.rank > n->inputs[0]->type.rank || fabs(c) < 1e-30 || !isfinite(c))
        return NULL;
    return ir_binary(n->graph, OP_mul, n->inputs[0], number_like(n, 1 / c));
}

static Value *simplify_pow(Node *n) {
    double c;
    if (!ir_constant_float(n->inputs[1], &c) || !same_type(n->inputs[0], n->outputs[0]))
        return NULL;
    Value *x = n->inputs[0];
    if (c == 1) return x;
    if (c == 2) return ir_binary(n->graph, OP_mul, x, x);
    if (c == 0.5 && tn_is_float(x->type.dtype)) return ir_unary(n->graph, OP_sqrt, x);
    return NULL;
}

static Value *simplify_cast(Node *n) {
    Value *x = n->inputs[0];
    TnDType to = n->outputs[0]->type.dtype;
    if (x->type.dtype == to) return x;
    /* bool -> any -> bool gives the bool back */
    if (x->node && x->node->op == OP_cast && x->node->inputs[0]->type.dtype == to && to == TN_BOOL)
        return x->node->inputs[0];
    return NULL;
}

static Value *simplify_where(Node *n) {
    const Pred *p = n->inputs[0]->facts.pred;
    if (p && p->kind == PRED_TRUE) return as_result(n, n->inputs[1]);
    if (p && p->kind == PRED_FALSE) return as_result(n, n->inputs[2]);
    if (n->inputs[1] == n->inputs[2]) return as_result(n, n->inputs[1]);
    return NULL;
}

static bool is_pred(const Value *v, PredKind kind) {
    return v->facts.pred && v->facts.pred->kind == kind;
}

static Value *simplify_logic(Node *n, PredKind neutral) {
    if (n->inputs[0] == n->inputs[1]) return n->inputs[0];
    if (is_pred(n->inputs[0], neutral)) return as_result(n, n->inputs[1]);
    if (is_pred(n->inputs[1], neutral)) return as_result(n, n->inputs[0]);
    return NULL;
}

static Value *simplify_not(Node *n) {
    const Node *inner = n->inputs[0]->node;
    return inner && inner->op == OP_not ? inner->inputs[0] : NULL;
}

static Value *simplify_minmax(Node *n) {
    return n->inputs[0] == n->inputs[1] ? n->inputs[0] : NULL;
}

/* f(expand(x)) = expand(f(x)); a broadcast operand need not be expanded first. */
static Value *simplify_expanded(Node *n) {
    if (!(ir_op_info(n->op)->flags & OPF_ELEMENTWISE)) return NULL;
    const Type *t = &n->outputs[0]->type;
    if (n->input_count == 1) {
        Node *e = n->inputs[0]->node;
        if (!e || e->op != OP_expand) return NULL;
        Node *inner = ir_node(n->graph, n->op, 1, e->inputs);
        for (int i = 0; i < ir_attr_count(n->op); i++) inner->attrs[i] = n->attrs[i];
        return ir_expand(n->graph, ir_insert(inner), t->rank, t->dims);
    }
    Value *inputs[3];
    bool changed = false;
    for (int i = 0; i < n->input_count; i++) {
        Node *e = n->inputs[i]->node;
        inputs[i] = e && e->op == OP_expand ? e->inputs[0] : n->inputs[i];
        changed |= inputs[i] != n->inputs[i];
    }
    if (!changed) return NULL;
    Node *direct = ir_node(n->graph, n->op, n->input_count, inputs);
    for (int i = 0; i < ir_attr_count(n->op); i++) direct->attrs[i] = n->attrs[i];
    return ir_expand(n->graph, ir_insert(direct), t->rank, t->dims);
}

Value *canon_simplify(Node *n) {
    Value *v = NULL;
    switch (n->op) {
    case OP_add: v = simplify_add(n); break;
    case OP_sub: v = simplify_sub(n); break;
    case OP_mul: v = simplify_mul(n); break;
    case OP_div: v = simplify_div(n); break;
    case OP_pow: v = simplify_pow(n); break;
    case OP_cast: v = simplify_cast(n); break;
    case OP_where: v = simplify_where(n); break;
    case OP_and: v = simplify_logic(n, PRED_TRUE); break;
    case OP_or: v = simplify_logic(n, PRED_FALSE); break;
    case OP_not: v = simplify_not(n); break;
    case OP_min:
    case OP_max: v = simplify_minmax(n); break;
    default: break;
    }
    return v ? v : simplify_expanded(n);
}
