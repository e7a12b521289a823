/* The value of an expression for given symbols (and, for tests, coordinates and loads), exactly or
 * not at all: every function returns false on overflow, division by zero, or something without a
 * value. Only the branch a where takes is computed. */
#include "ir/expr_internal.h"

#include "runtime/base/checked.h"

static bool reduced(int64_t num, int64_t den, Rational *r) {
    int64_t g = gcd_i64(num, den);
    *r = (Rational){num / g, den / g};
    return true;
}

static bool add(Rational a, Rational b, Rational *r) {
    int64_t left, right, num, den;
    return tn_mul_i64(a.num, b.den, &left) && tn_mul_i64(b.num, a.den, &right) &&
           tn_add_i64(left, right, &num) && tn_mul_i64(a.den, b.den, &den) && reduced(num, den, r);
}

static bool multiply(Rational a, Rational b, Rational *r) {
    int64_t num, den;
    return tn_mul_i64(a.num, b.num, &num) && tn_mul_i64(a.den, b.den, &den) && reduced(num, den, r);
}

static bool subtract(Rational a, Rational b, Rational *r) {
    return tn_sub_i64(0, b.num, &b.num) && add(a, b, r);
}

/* floor(a / b) */
static bool floor_divide(Rational a, Rational b, Rational *q) {
    int64_t num, den;
    if (b.num == 0 || !tn_mul_i64(a.num, b.den, &num) || !tn_mul_i64(a.den, b.num, &den))
        return false;
    if (den < 0 && (!tn_sub_i64(0, num, &num) || !tn_sub_i64(0, den, &den))) return false;
    *q = (Rational){floor_div_i64(num, den), 1};
    return true;
}

static bool modulo(Rational a, Rational b, Rational *r) {
    Rational q, whole;
    return floor_divide(a, b, &q) && multiply(q, b, &whole) && subtract(a, whole, r);
}

static bool extreme(const ExprEnv *env, const Atom *a, Rational *v) {
    for (int i = 0; i < a->arity; i++) {
        Rational next, gap;
        if (!ex_eval_in(env, a->args[i], &next)) return false;
        if (i == 0) {
            *v = next;
            continue;
        }
        if (!subtract(next, *v, &gap)) return false;
        if (a->kind == ATOM_MIN ? gap.num < 0 : gap.num > 0) *v = next;
    }
    return true;
}

static bool load(const ExprEnv *env, const Atom *a, Rational *v) {
    int64_t index[EX_MAX_ARGS];
    for (int i = 0; i < a->arity; i++) {
        Rational r;
        if (!ex_eval_in(env, a->args[i], &r) || r.den != 1) return false;
        index[i] = r.num;
    }
    v->den = 1;
    return env->load && env->load(env->user, a->leaf, index, a->arity, &v->num);
}

static bool rounded(const ExprEnv *env, const Atom *a, Rational *v) {
    if (!ex_eval_in(env, a->args[0], v)) return false;
    if (a->kind == ATOM_TRUNC)
        *v = (Rational){v->num / v->den, 1};
    else if (v->num < 0)
        return tn_sub_i64(0, v->num, &v->num);
    return true;
}

static bool eval_atom(const ExprEnv *env, const Atom *a, Rational *v) {
    Rational l, r;
    bool p;
    switch (a->kind) {
    case ATOM_SYMBOL: *v = (Rational){env->symbols[a->number], 1}; return true;
    case ATOM_COORD:
        if (!env->coords || a->number >= env->coord_count) return false;
        *v = (Rational){env->coords[a->number], 1};
        return true;
    case ATOM_FLOORDIV:
    case ATOM_MOD:
        if (!ex_eval_in(env, a->args[0], &l) || !ex_eval_in(env, a->args[1], &r)) return false;
        return a->kind == ATOM_MOD ? modulo(l, r, v) : floor_divide(l, r, v);
    case ATOM_MIN:
    case ATOM_MAX: return extreme(env, a, v);
    case ATOM_ABS:
    case ATOM_TRUNC: return rounded(env, a, v);
    case ATOM_WHERE: return pr_eval_in(env, a->pred, &p) && ex_eval_in(env, a->args[!p], v);
    case ATOM_BIT:
        if (!pr_eval_in(env, a->pred, &p)) return false;
        *v = (Rational){p, 1};
        return true;
    case ATOM_LOAD: break;
    }
    return load(env, a, v);
}

bool ex_eval_in(const ExprEnv *env, const Expr *e, Rational *v) {
    *v = (Rational){0, 1};
    for (int i = 0; i < e->count; i++) {
        Rational term = e->terms[i].coef, atom;
        for (int k = 0; k < e->terms[i].degree; k++)
            if (!eval_atom(env, e->terms[i].atoms[k], &atom) || !multiply(term, atom, &term))
                return false;
        if (!add(*v, term, v)) return false;
    }
    return true;
}

/* One member that decides is enough, wherever it stands. */
static bool any_all(const ExprEnv *env, const Pred *p, bool all, bool *v) {
    bool known = true;
    for (int i = 0; i < p->count; i++) {
        if (!pr_eval_in(env, p->args[i], v))
            known = false;
        else if (*v != all)
            return true;
    }
    *v = all;
    return known;
}

bool pr_eval_in(const ExprEnv *env, const Pred *p, bool *v) {
    Rational r = {0, 1};
    bool other;
    if (p->expr && !ex_eval_in(env, p->expr, &r)) return false;
    switch (p->kind) {
    case PRED_FALSE: *v = false; return true;
    case PRED_TRUE: *v = true; return true;
    case PRED_GE0: *v = r.num >= 0; return true;
    case PRED_EQ0: *v = r.num == 0; return true;
    case PRED_NE0: *v = r.num != 0; return true;
    case PRED_AND: return any_all(env, p, true, v);
    case PRED_OR: return any_all(env, p, false, v);
    case PRED_NOT:
        if (!pr_eval_in(env, p->args[0], v)) return false;
        *v = !*v;
        return true;
    case PRED_XOR: break;
    }
    if (!pr_eval_in(env, p->args[0], v) || !pr_eval_in(env, p->args[1], &other)) return false;
    *v = *v != other;
    return true;
}

bool ex_eval(const ExprCx *x, const Expr *e, const int64_t *symbols, int64_t *v) {
    (void)x;
    ExprEnv env = {.symbols = symbols};
    Rational r;
    if (!ex_eval_in(&env, e, &r) || r.den != 1) return false;
    *v = r.num;
    return true;
}
