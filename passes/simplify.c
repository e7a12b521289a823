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
    for (int i = 0; i < 2; i++) {
        Node *neg = ir_producer(n->inputs[i], OP_neg);
        if (neg) return ir_binary(n->graph, OP_sub, n->inputs[1 - i], neg->inputs[0]);
    }
    return NULL;
}

/* x - c is x + (-c), for one number as well as for a tensor. */
static Value *simplify_sub(Node *n) {
    Graph *g = n->graph;
    Value *x = n->inputs[0], *c = n->inputs[1];
    double v;
    if (is_number(c, 0)) return as_result(n, x);
    if (!c->constant) return NULL;
    bool one =
        tn_is_float(c->type.dtype) && same_type(x, n->outputs[0]) && ir_constant_float(c, &v);
    return ir_binary(g, OP_add, x, one ? number_like(n, -v) : ir_unary(g, OP_neg, c));
}

static Value *simplify_mul(Node *n) {
    if (is_number(n->inputs[1], 1)) return as_result(n, n->inputs[0]);
    return NULL;
}

/* Far from the ends of the range, where 1 / c would lose digits or be infinite. */
static bool invertible(const Constant *c) {
    int64_t n = (int64_t)(c->bytes / tn_dtype_size(c->dtype));
    double low = c->dtype == TN_F64 ? 1e-300 : c->dtype == TN_F16 ? 1e-4 : 1e-37;
    for (int64_t i = 0; i < n; i++) {
        double x = fabs(ir_element_f64(c->dtype, c->data, i));
        if (!(x >= low && x <= 1 / low)) return false;
    }
    return true;
}

static Value *simplify_div(Node *n) {
    Graph *g = n->graph;
    Value *x = n->inputs[0], *c = n->inputs[1];
    double v;
    if (is_number(c, 1)) return as_result(n, x);
    if (!tn_is_float(n->outputs[0]->type.dtype)) return NULL;
    if (is_number(x, 1) && same_type(c, n->outputs[0])) return ir_unary(g, OP_reciprocal, c);
    if (attr_bool(n, "exact") || !c->constant || !invertible(c->constant)) return NULL;
    bool one = same_type(x, n->outputs[0]) && ir_constant_float(c, &v);
    return ir_binary(g, OP_mul, x, one ? number_like(n, 1 / v) : ir_unary(g, OP_reciprocal, c));
}

static Value *simplify_pow(Node *n) {
    Graph *g = n->graph;
    Value *x = n->inputs[0];
    bool floats = tn_is_float(x->type.dtype);
    if (is_number(n->inputs[1], 1)) return as_result(n, x);
    if (is_number(n->inputs[1], 2)) return as_result(n, ir_binary(g, OP_mul, x, x));
    if (floats && is_number(n->inputs[1], 0.5)) return as_result(n, ir_unary(g, OP_sqrt, x));
    if (floats && is_number(n->inputs[1], -1)) return as_result(n, ir_unary(g, OP_reciprocal, x));
    if (floats && is_number(n->inputs[1], -0.5))
        return as_result(n, ir_unary(g, OP_reciprocal, ir_unary(g, OP_sqrt, x)));
    return NULL;
}

static Value *simplify_cast(Node *n) {
    Value *x = n->inputs[0];
    TnDType to = n->outputs[0]->type.dtype;
    if (x->type.dtype == to) return x;
    Node *inner = ir_producer(x, OP_cast);
    if (!inner || !tn_dtype_holds(x->type.dtype, inner->inputs[0]->type.dtype)) return NULL;
    return ir_cast(n->graph, inner->inputs[0], to);
}

static Value *simplify_where(Node *n) {
    const Pred *p = n->inputs[0]->facts.pred;
    if (p && p->kind == PRED_TRUE) return as_result(n, n->inputs[1]);
    if (p && p->kind == PRED_FALSE) return as_result(n, n->inputs[2]);
    if (n->inputs[1] == n->inputs[2]) return as_result(n, n->inputs[1]);
    const Node *c = n->inputs[0]->node;
    if (c && c->op == OP_not) return ir_where(n->graph, c->inputs[0], n->inputs[2], n->inputs[1]);
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

static Value *simplify_xor(Node *n) {
    for (int i = 0; i < 2; i++) {
        if (is_pred(n->inputs[i], PRED_FALSE)) return as_result(n, n->inputs[1 - i]);
        if (is_pred(n->inputs[i], PRED_TRUE))
            return as_result(n, ir_unary(n->graph, OP_not, n->inputs[1 - i]));
    }
    return NULL;
}

/* f(f(x)) is x */
static Value *simplify_twice(Node *n) {
    Node *inner = ir_producer(n->inputs[0], n->op);
    return inner ? inner->inputs[0] : NULL;
}

static Value *simplify_minmax(Node *n) {
    return n->inputs[0] == n->inputs[1] ? n->inputs[0] : NULL;
}

/* A constant as if it had been broadcast: of equal rows one, of equal rows of equal numbers one
 * number. A vector stays one, be it a bias of ones. */
static Value *distinct(Value *v) {
    Module *m = v->graph->module;
    int last = v->type.rank - 1;
    Value *row = canon_distinct(v, last);
    if (row == v) return v;
    Value *one = canon_distinct(v, last + 1);
    return ir_elements(m, &one->type) == ex_int(m->ex, 1) ? ir_view(v->graph, one, 0, NULL) : row;
}

/* What an operand was broadcast from; a splat is one number broadcast. */
static Value *unexpanded(Graph *g, Value *v) {
    Node *e = v->node;
    if (v->constant) return distinct(v);
    if (!e || (e->op != OP_expand && e->op != OP_splat)) return v;
    if (e->op == OP_expand) return e->inputs[0];
    return tn_is_float(v->type.dtype) ? ir_scalar(g, v->type.dtype, attr_float(e, "value"))
                                      : ir_scalar_int(g, v->type.dtype, attr_int(e, "integer"));
}

/* f(expand(x), y) = expand(f(x, y)), which is no expansion at all if y has the result's dims. */
static Value *simplify_expanded(Node *n) {
    if (!(ir_op_info(n->op)->flags & OPF_ELEMENTWISE)) return NULL;
    const Type *t = &n->outputs[0]->type;
    Value *inputs[3];
    bool changed = false;
    for (int i = 0; i < n->input_count; i++) {
        inputs[i] = unexpanded(n->graph, n->inputs[i]);
        changed |= inputs[i] != n->inputs[i];
    }
    if (!changed) return NULL;
    Node *direct = ir_node(n->graph, n->op, n->input_count, inputs);
    ir_copy_attrs(direct, n);
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
    case OP_xor: v = simplify_xor(n); break;
    case OP_neg:
    case OP_not: v = simplify_twice(n); break;
    case OP_min:
    case OP_max: v = simplify_minmax(n); break;
    default: break;
    }
    return v ? v : simplify_expanded(n);
}
