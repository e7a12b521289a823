/* Float tensors that have only two values: masks.
 *
 *     cast(pred) to f32                       1 where pred, else 0
 *     1 - choice                              computed on both values
 *     where(pred, splat -inf, splat 0)        -inf where pred, else 0
 *     choice * choice                         if the four products are only two values
 *
 * A tensor all of whose elements are equal is a choice under TRUE. Values are computed in double
 * and rounded to the tensor's type, which for + - * / is what the type's own arithmetic gives. */
#include "ir/infer.h"

#include <math.h>

typedef struct Choice {
    const Pred *p; /* in coordinates of the node's output */
    double yes, no;
} Choice;

const Pred *facts_if(ExprCx *x, const Pred *p, const Pred *yes, const Pred *no) {
    if (yes == no) return yes;
    if (yes->kind == PRED_TRUE) return pr_or(x, p, no);
    if (yes->kind == PRED_FALSE) return pr_and(x, pr_not(x, p), no);
    if (no->kind == PRED_TRUE) return pr_or(x, pr_not(x, p), yes);
    if (no->kind == PRED_FALSE) return pr_and(x, p, yes);
    if (pr_not(x, yes) == no) return pr_xor(x, p, no);
    return pr_or(x, pr_and(x, p, yes), pr_and(x, pr_not(x, p), no));
}

static bool uniform(const Choice *c) {
    return c->p->kind == PRED_TRUE;
}

static bool same_value(double a, double b) {
    return a == b || (isnan(a) && isnan(b));
}

static double rounded(TnDType t, double v) {
    char data[8];
    ir_store_f64(t, data, 0, v);
    return ir_element_f64(t, data, 0);
}

static bool operand_choice(const Node *n, int i, Choice *c) {
    const Value *v = n->inputs[i];
    const Type *out = &n->outputs[0]->type;
    if (!v->facts.choice) return false;
    *c = (Choice){v->facts.choice, v->facts.yes, v->facts.no};
    if (uniform(c) || ir_same_dims(&v->type, out)) return true;
    const Expr *map[TN_MAX_RANK];
    facts_broadcast_map(n->graph->module, &v->type, out, map);
    c->p = pr_at(infer_ex(n), c->p, map, v->type.rank);
    return true;
}

static void set_choice(Node *n, const Pred *p, double yes, double no) {
    ExprCx *x = infer_ex(n);
    Facts *f = &n->outputs[0]->facts;
    if (p->kind == PRED_FALSE || same_value(yes, no)) {
        if (p->kind == PRED_FALSE) yes = no;
        p = pr_bool(x, true);
    }
    if (pr_size(p) > FACTS_MAX_SIZE) return;
    if (p->kind == PRED_TRUE) no = yes;
    f->choice = p;
    f->yes = yes;
    f->no = no;
}

/* --- one operand --- */

static double apply_unary(OpKind op, double v) {
    switch (op) {
    case OP_neg: return -v;
    case OP_abs: return fabs(v);
    case OP_floor: return floor(v);
    case OP_ceil: return ceil(v);
    default: return v;
    }
}

void choice_unary(Node *n) {
    TnDType t = n->outputs[0]->type.dtype;
    Choice c;
    if (!operand_choice(n, 0, &c)) return;
    set_choice(n, c.p, rounded(t, apply_unary(n->op, c.yes)), rounded(t, apply_unary(n->op, c.no)));
}

/* --- two operands --- */

/* NaN for what has no meaning: the result is then no fact. */
static double apply_binary(OpKind op, double a, double b) {
    switch (op) {
    case OP_add: return a + b;
    case OP_sub: return a - b;
    case OP_mul: return a * b;
    case OP_div: return a / b;
    case OP_min: return isnan(a) || isnan(b) ? (double)NAN : fmin(a, b);
    case OP_max: return isnan(a) || isnan(b) ? (double)NAN : fmax(a, b);
    case OP_eq: return a == b;
    case OP_lt: return a < b;
    case OP_le: return a <= b;
    default: return (double)NAN;
    }
}

/* The four cases of two conditions p and q: both, p only, q only, neither. */
enum { CASES = 4 };

static void reachable_cases(ExprCx *x, const Choice *a, const Choice *b, bool *reachable) {
    bool equal = a->p == b->p, opposite = a->p == pr_not(x, b->p);
    reachable[0] = !opposite;
    reachable[1] = !equal && !uniform(b);
    reachable[2] = !equal && !uniform(a);
    reachable[3] = !opposite && !uniform(a) && !uniform(b);
}

void choice_binary(Node *n) {
    ExprCx *x = infer_ex(n);
    TnDType t = n->outputs[0]->type.dtype;
    Choice a, b;
    bool reachable[CASES], is_yes[CASES] = {false};
    double values[CASES], yes = 0, no = 0;
    int first = -1, other = -1;
    if (!operand_choice(n, 0, &a) || !operand_choice(n, 1, &b)) return;
    reachable_cases(x, &a, &b, reachable);
    for (int i = 0; i < CASES; i++) {
        if (!reachable[i]) continue;
        values[i] = rounded(t, apply_binary(n->op, i & 2 ? a.no : a.yes, i & 1 ? b.no : b.yes));
        if (first < 0) yes = values[first = i];
        is_yes[i] = same_value(values[i], yes);
        if (is_yes[i]) continue;
        if (other < 0) no = values[other = i];
        if (!same_value(values[i], no)) return;
    }
    const Pred *truth[2] = {pr_bool(x, false), pr_bool(x, true)};
    const Pred *if_a = facts_if(x, b.p, truth[is_yes[0]], truth[is_yes[1]]);
    const Pred *if_not_a = facts_if(x, b.p, truth[is_yes[2]], truth[is_yes[3]]);
    const Pred *p = facts_if(x, a.p, if_a, if_not_a);
    if (other < 0) p = truth[1];
    if (t != TN_BOOL) {
        set_choice(n, p, yes, no);
    } else if (other < 0 || !n->outputs[0]->facts.pred) {
        facts_set_elem(n->outputs[0], (Elem){.p = yes != 0 ? p : pr_not(x, p)});
    }
}

/* --- where, cast --- */

/* Whether c says that operand i is 0: it is the condition that i's element is not != 0. */
static bool zero_when(const Node *n, int i, const Pred *c) {
    const Value *v = n->inputs[i];
    if (!v->facts.elem) return false;
    const Expr *map[TN_MAX_RANK];
    facts_broadcast_map(n->graph->module, &v->type, &n->outputs[0]->type, map);
    Elem e = facts_at(v, map);
    ExprCx *x = infer_ex(n);
    return facts_small(e.e, 61) && pr_not(x, pr_nonzero(x, e.e)) == c;
}

/* The operand as a choice as far as the condition holds, which alone may make it 0 or one of its
 * values: where(1 - m != 0, c, 1 - m). */
static bool branch_choice(const Node *n, int i, const Pred *condition, Choice *c) {
    ExprCx *x = infer_ex(n);
    if (operand_choice(n, i, c)) {
        if (c->p == condition) *c = (Choice){pr_bool(x, true), c->yes, c->yes};
        if (c->p == pr_not(x, condition)) *c = (Choice){pr_bool(x, true), c->no, c->no};
        return true;
    }
    *c = (Choice){pr_bool(x, true), 0, 0};
    return zero_when(n, i, condition);
}

/* Where c has the value `yes`. */
static const Pred *where_yes(ExprCx *x, const Choice *c, double yes) {
    const Pred *truth[2] = {pr_bool(x, false), pr_bool(x, true)};
    bool if_no = uniform(c) ? same_value(c->yes, yes) : same_value(c->no, yes);
    return facts_if(x, c->p, truth[same_value(c->yes, yes)], truth[if_no]);
}

void choice_where(Node *n) {
    ExprCx *x = infer_ex(n);
    Choice a, b;
    const Value *condition = n->inputs[0];
    if (!tn_is_float(n->outputs[0]->type.dtype) || !condition->facts.pred) return;
    const Expr *map[TN_MAX_RANK];
    facts_broadcast_map(n->graph->module, &condition->type, &n->outputs[0]->type, map);
    const Pred *c = facts_at(condition, map).p;
    if (!branch_choice(n, 1, c, &a) || !branch_choice(n, 2, pr_not(x, c), &b)) return;
    double yes = a.yes, no = yes,
           seen[] = {uniform(&a) ? a.yes : a.no, b.yes, uniform(&b) ? b.yes : b.no};
    for (int i = 0; i < 3; i++) {
        if (same_value(seen[i], yes)) continue;
        if (same_value(no, yes)) no = seen[i];
        if (!same_value(seen[i], no)) return;
    }
    set_choice(n, facts_if(x, c, where_yes(x, &a, yes), where_yes(x, &b, yes)), yes, no);
}

/* e = scale * bit(p) + offset, or where(p, a, b) of numbers: a choice. */
static bool two_valued(ExprCx *x, const Expr *e, Choice *c) {
    const Pred *p = NULL;
    for (int i = 0; i < e->count; i++) {
        if (e->terms[i].degree == 0) continue;
        const Atom *atom = e->terms[i].atoms[0];
        if (p || e->terms[i].degree > 1 || !atom->pred) return false;
        p = atom->pred;
    }
    if (!p) p = pr_bool(x, true);
    double value[2] = {0, 0}; /* where p fails, where it holds */
    for (int i = 0; i < e->count; i++) {
        const Term *t = &e->terms[i];
        double coef = (double)t->coef.num / (double)t->coef.den;
        int64_t branch[2] = {1, 1};
        if (t->degree && t->atoms[0]->kind == ATOM_BIT) branch[0] = 0;
        if (t->degree && t->atoms[0]->kind == ATOM_WHERE &&
            (!ex_const(t->atoms[0]->args[0], &branch[1]) ||
             !ex_const(t->atoms[0]->args[1], &branch[0])))
            return false;
        for (int k = 0; k < 2; k++) value[k] += coef * (double)branch[k];
    }
    *c = (Choice){p, value[1], value[0]};
    return true;
}

static void cast_from_float(Node *n, const Choice *c) {
    ExprCx *x = infer_ex(n);
    Value *out = n->outputs[0];
    const double limit = 1e15;
    double yes = c->yes, no = uniform(c) ? yes : c->no;
    if (out->type.dtype == TN_BOOL) {
        const Pred *truth[2] = {pr_bool(x, false), pr_bool(x, true)};
        if (!out->facts.pred || out->facts.elem)
            facts_set_elem(out, (Elem){.p = facts_if(x, c->p, truth[yes != 0], truth[no != 0])});
    } else if (fabs(yes) < limit && fabs(no) < limit && !out->facts.elem) {
        const Expr *a = ex_int(x, (int64_t)yes), *b = ex_int(x, (int64_t)no);
        if (facts_fits(x, out->type.dtype, a) && facts_fits(x, out->type.dtype, b))
            facts_set_elem(out, (Elem){.e = ex_where(x, c->p, a, b)});
    }
}

void choice_cast(Node *n) {
    TnDType from = infer_input(n, 0)->dtype, to = n->outputs[0]->type.dtype;
    const Facts *f = &n->inputs[0]->facts;
    Choice c;
    if (tn_is_float(from)) {
        if (!operand_choice(n, 0, &c)) return;
        if (!tn_is_float(to)) {
            cast_from_float(n, &c);
            return;
        }
    } else if (!tn_is_float(to)) {
        return;
    } else if (from == TN_BOOL) {
        c = (Choice){f->pred, 1, 0};
    } else if (!two_valued(infer_ex(n), f->elem, &c)) {
        return;
    }
    set_choice(n, c.p, rounded(to, c.yes), rounded(to, c.no));
}
