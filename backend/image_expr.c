/* Symbolic expressions as records of the plan: sums of products over shared subexpressions.
 *
 * A polynomial with rational coefficients is floordiv(its integer multiple, common denominator),
 * which is exact because a dim is an integer. */
#include "backend/image.h"

#include <string.h>

static uint32_t record(Image *im, PlanExprOp op, uint32_t a, uint32_t b, int64_t value) {
    PlanExpr e = {.op = op, .a = a, .b = b, .value = value};
    for (size_t i = im->exprs.count;
         i-- > 0 && im->exprs.count - i < 64;) /* recent ones repeat most */
        if (!memcmp(im->exprs.data + i * sizeof e, &e, sizeof e)) return (uint32_t)i;
    *(PlanExpr *)table_add(im, &im->exprs) = e;
    return (uint32_t)im->exprs.count - 1;
}

static uint32_t constant(Image *im, int64_t v) {
    return record(im, TN_EXPR_CONST, 0, 0, v);
}

static uint32_t symbol(Image *im, int number) {
    im->symbol_of = arena_grow(&im->cx->arena, im->symbol_of, &im->symbol_capacity,
                               (size_t)number + 1, sizeof *im->symbol_of);
    if (!im->symbol_of[number]) {
        const Symbol *s = ex_symbol_at(im->ex, number);
        PlanSymbol p = {.name = image_string(im, s->name),
                        .kind = s->measured ? TN_SYMBOL_MEASURED : TN_SYMBOL_INPUT,
                        .min = s->min,
                        .max = s->max,
                        .bound = TN_NO_ID};
        *(PlanSymbol *)table_add(im, &im->symbols) = p;
        im->symbol_of[number] = (uint32_t)im->symbols.count;
    }
    return record(im, TN_EXPR_SYMBOL, im->symbol_of[number] - 1, 0, 0);
}

uint32_t image_capacity(Image *im, const Expr *e) {
    int number = ex_as_symbol(im->ex, e)->atom->number;
    symbol(im, number);
    uint32_t id = im->symbol_of[number] - 1;
    ((PlanSymbol *)im->symbols.data)[id].kind = TN_SYMBOL_CAPACITY;
    return id;
}

void image_bound(Image *im, const Expr *e, uint32_t bound) {
    int number = ex_as_symbol(im->ex, e)->atom->number;
    symbol(im, number);
    ((PlanSymbol *)im->symbols.data)[im->symbol_of[number] - 1].bound = bound;
}

static uint32_t fold(Image *im, PlanExprOp op, const Atom *a) {
    uint32_t e = image_expr(im, a->args[0]);
    for (int i = 1; i < a->arity; i++) e = record(im, op, e, image_expr(im, a->args[i]), 0);
    return e;
}

static uint32_t atom(Image *im, const Atom *a) {
    switch (a->kind) {
    case ATOM_SYMBOL: return symbol(im, a->number);
    case ATOM_FLOORDIV: return fold(im, TN_EXPR_FLOORDIV, a);
    case ATOM_MOD: return fold(im, TN_EXPR_MOD, a);
    case ATOM_MIN: return fold(im, TN_EXPR_MIN, a);
    case ATOM_MAX: return fold(im, TN_EXPR_MAX, a);
    case ATOM_ABS: {
        uint32_t e = image_expr(im, a->args[0]);
        return record(im, TN_EXPR_MAX, e, record(im, TN_EXPR_MUL, constant(im, -1), e, 0), 0);
    }
    default: tn_fail(im->cx, TN_E_UNSUPPORTED, "a length depends on data");
    }
}

static int64_t common_denominator(Image *im, const Expr *e) {
    int64_t d = 1;
    for (int i = 0; i < e->count; i++) {
        int64_t a = d, b = e->terms[i].coef.den;
        while (b) {
            int64_t r = a % b;
            a = b;
            b = r;
        }
        if (__builtin_mul_overflow(d / a, e->terms[i].coef.den, &d))
            tn_fail(im->cx, TN_E_LIMIT, "symbolic size overflows 64 bits");
    }
    return d;
}

static uint32_t polynomial(Image *im, const Expr *e) {
    int64_t den = common_denominator(im, e);
    uint32_t sum = TN_NO_ID;
    for (int i = 0; i < e->count; i++) {
        const Term *t = &e->terms[i];
        int64_t c;
        if (__builtin_mul_overflow(t->coef.num, den / t->coef.den, &c))
            tn_fail(im->cx, TN_E_LIMIT, "symbolic size overflows 64 bits");
        uint32_t term = c == 1 && t->degree ? TN_NO_ID : constant(im, c);
        for (int k = 0; k < t->degree; k++) {
            uint32_t f = atom(im, t->atoms[k]);
            term = term == TN_NO_ID ? f : record(im, TN_EXPR_MUL, term, f, 0);
        }
        sum = sum == TN_NO_ID ? term : record(im, TN_EXPR_ADD, sum, term, 0);
    }
    if (sum == TN_NO_ID) return constant(im, 0);
    return den == 1 ? sum : record(im, TN_EXPR_FLOORDIV, sum, constant(im, den), 0);
}

uint32_t image_expr(Image *im, const Expr *e) {
    im->expr_of = arena_grow(&im->cx->arena, im->expr_of, &im->expr_capacity, (size_t)e->id + 1,
                             sizeof *im->expr_of);
    if (!im->expr_of[e->id]) {
        uint32_t id = polynomial(im, e);
        im->expr_of[e->id] = id + 1;
    }
    return im->expr_of[e->id] - 1;
}
