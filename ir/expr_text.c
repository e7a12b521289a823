/* Printing. The text depends on the content only: terms are sorted by degree, highest first, and
 * then by their text, arguments of min, max, and, or by their text.
 *
 *     sum      = ["-"] term { ("+" | "-") term }            3*batch*seq - 1/2*past + 1
 *     term     = [number "*"] factor { "*" factor } | number
 *     factor   = name | i0 | f(sum, ...) | a//b | a % b     a//b in parentheses unless alone
 *     operand  = name | number | f(...) | "(" sum ")"       (seq + 2)//3
 *     bool     = sum ">= 0" | sum "== 0" | sum "!= 0" | "not (" bool ")"
 *              | bool { ("and" | "or" | "xor") bool }
 *
 * ex_parse reads all of it but coordinates and loads.
 */
#include "ir/expr_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct Printer {
    ExprCx *x;
    ExprLeafName *name;
    void *user;
} Printer;

static const char *sum_text(Printer *p, const Expr *e);
static const char *bool_text(Printer *p, const Pred *q);

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static char *join(Printer *p, const char **parts, int n, const char *separator) {
    size_t gap = strlen(separator), size = 1;
    for (int i = 0; i < n; i++) size += strlen(parts[i]) + gap;
    char *text = arena_alloc(&p->x->cx->arena, size), *end = text;
    for (int i = 0; i < n; i++) {
        size_t length = strlen(parts[i]);
        if (i) {
            memcpy(end, separator, gap);
            end += gap;
        }
        memcpy(end, parts[i], length);
        end += length;
    }
    *end = 0;
    return text;
}

static const char *number_text(Printer *p, Rational r) {
    if (r.den == 1) return arena_printf(&p->x->cx->arena, "%" PRId64, r.num);
    return arena_printf(&p->x->cx->arena, "%" PRId64 "/%" PRId64, r.num, r.den);
}

static bool infix(const Atom *a) {
    return a->kind == ATOM_FLOORDIV || a->kind == ATOM_MOD;
}

static const char *operand_text(Printer *p, const Expr *e) {
    const Atom *a = single_atom(e);
    int64_t v;
    const char *text = sum_text(p, e);
    if ((a && !infix(a)) || (ex_const(e, &v) && v >= 0)) return text;
    return arena_printf(&p->x->cx->arena, "(%s)", text);
}

static const char *call_text(Printer *p, const char *function, const Atom *a, bool sort) {
    const char **args = ARENA_ARRAY(&p->x->cx->arena, const char *, (size_t)a->arity + 1);
    int n = 0;
    if (a->pred) args[n++] = bool_text(p, a->pred);
    for (int i = 0; i < a->arity; i++) args[n++] = sum_text(p, a->args[i]);
    if (sort) qsort(args, (size_t)n, sizeof(*args), by_text);
    const char *list = join(p, args, n, ", ");
    return arena_printf(&p->x->cx->arena, "%s(%s)", function, list);
}

static const char *load_text(Printer *p, const Atom *a) {
    const char **index = ARENA_ARRAY(&p->x->cx->arena, const char *, (size_t)a->arity + 1);
    for (int i = 0; i < a->arity; i++) index[i] = sum_text(p, a->args[i]);
    const char *leaf = p->name ? p->name(p->user, a->leaf) : "load";
    return arena_printf(&p->x->cx->arena, "%s[%s]", leaf, join(p, index, a->arity, ", "));
}

static const char *atom_text(Printer *p, const Atom *a) {
    Arena *arena = &p->x->cx->arena;
    switch (a->kind) {
    case ATOM_SYMBOL: return p->x->symbols[a->number]->pub.name;
    case ATOM_COORD: return arena_printf(arena, "i%d", (int)a->number);
    case ATOM_FLOORDIV:
    case ATOM_MOD: {
        const char *left = operand_text(p, a->args[0]);
        const char *sign = a->kind == ATOM_MOD ? " % " : "//";
        return arena_printf(arena, "%s%s%s", left, sign, operand_text(p, a->args[1]));
    }
    case ATOM_MIN: return call_text(p, "min", a, true);
    case ATOM_MAX: return call_text(p, "max", a, true);
    case ATOM_ABS: return call_text(p, "abs", a, false);
    case ATOM_TRUNC: return call_text(p, "trunc", a, false);
    case ATOM_WHERE: return call_text(p, "where", a, false);
    case ATOM_BIT: return call_text(p, "bit", a, false);
    case ATOM_LOAD: break;
    }
    return load_text(p, a);
}

/* Quotients need parentheses unless they are the whole term;
 * the sum adds them where it writes a leading minus. */
static const char *product_text(Printer *p, const Term *t, bool whole) {
    const char *factors[EX_MAX_DEGREE];
    for (int i = 0; i < t->degree; i++) {
        factors[i] = atom_text(p, t->atoms[i]);
        if (infix(t->atoms[i]) && !whole)
            factors[i] = arena_printf(&p->x->cx->arena, "(%s)", factors[i]);
    }
    qsort(factors, (size_t)t->degree, sizeof(*factors), by_text);
    return join(p, factors, t->degree, "*");
}

typedef struct Part {
    const char *text;
    Rational size; /* absolute value; the sign apart, since it may be INT64_MIN */
    int degree;
    bool negative, infix;
} Part;

static int by_degree_and_text(const void *a, const void *b) {
    const Part *l = a, *r = b;
    if (l->degree != r->degree) return l->degree > r->degree ? -1 : 1;
    return strcmp(l->text, r->text);
}

static Part part_of(Printer *p, const Term *t) {
    Part part = {.size = t->coef, .degree = t->degree, .negative = t->coef.num < 0};
    if (part.negative && t->coef.num != INT64_MIN) part.size.num = -part.size.num;
    bool unit = part.size.num == 1 && part.size.den == 1;
    part.infix = t->degree == 1 && unit && infix(t->atoms[0]);
    if (t->degree == 0)
        part.text = number_text(p, part.size);
    else
        part.text = product_text(p, t, part.infix);
    return part;
}

/* One term with its sign; `first` in the sum. */
static const char *part_text(Printer *p, const Part *t, bool first) {
    Arena *arena = &p->x->cx->arena;
    const char *text = t->text;
    bool unit = t->size.num == 1 && t->size.den == 1;
    if (t->degree && !unit) text = arena_printf(arena, "%s*%s", number_text(p, t->size), text);
    if (t->size.num == INT64_MIN) return arena_printf(arena, first ? "%s" : " + %s", text);
    if (!first) return arena_printf(arena, t->negative ? " - %s" : " + %s", text);
    if (!t->negative) return text;
    return arena_printf(arena, t->infix ? "-(%s)" : "-%s", text);
}

static const char *sum_text(Printer *p, const Expr *e) {
    if (e->count == 0) return "0";
    Part *parts = ARENA_ARRAY(&p->x->cx->arena, Part, (size_t)e->count);
    const char **texts = ARENA_ARRAY(&p->x->cx->arena, const char *, (size_t)e->count);
    for (int i = 0; i < e->count; i++) parts[i] = part_of(p, &e->terms[i]);
    qsort(parts, (size_t)e->count, sizeof(*parts), by_degree_and_text);
    for (int i = 0; i < e->count; i++) texts[i] = part_text(p, &parts[i], i == 0);
    return e->count == 1 ? texts[0] : join(p, texts, e->count, "");
}

/* --- predicates --- */

static bool compound(const Pred *q) {
    return q->kind == PRED_AND || q->kind == PRED_OR || q->kind == PRED_XOR;
}

static const char *list_text(Printer *p, const Pred *q, const char *word) {
    const char **args = ARENA_ARRAY(&p->x->cx->arena, const char *, (size_t)q->count);
    for (int i = 0; i < q->count; i++) {
        args[i] = bool_text(p, q->args[i]);
        if (compound(q->args[i])) args[i] = arena_printf(&p->x->cx->arena, "(%s)", args[i]);
    }
    qsort(args, (size_t)q->count, sizeof(*args), by_text);
    return join(p, args, q->count, word);
}

static const char *bool_text(Printer *p, const Pred *q) {
    Arena *arena = &p->x->cx->arena;
    switch (q->kind) {
    case PRED_FALSE: return "false";
    case PRED_TRUE: return "true";
    case PRED_GE0: return arena_printf(arena, "%s >= 0", sum_text(p, q->expr));
    case PRED_EQ0: return arena_printf(arena, "%s == 0", sum_text(p, q->expr));
    case PRED_NE0: return arena_printf(arena, "%s != 0", sum_text(p, q->expr));
    case PRED_NOT: return arena_printf(arena, "not (%s)", bool_text(p, q->args[0]));
    case PRED_AND: return list_text(p, q, " and ");
    case PRED_OR: return list_text(p, q, " or ");
    case PRED_XOR: break;
    }
    return list_text(p, q, " xor ");
}

const char *ex_text_with(ExprCx *x, const Expr *e, ExprLeafName *name, void *user) {
    Printer p = {x, name, user};
    return sum_text(&p, e);
}

const char *ex_text(ExprCx *x, const Expr *e) {
    return ex_text_with(x, e, NULL, NULL);
}

const char *pr_text_with(ExprCx *x, const Pred *p, ExprLeafName *name, void *user) {
    Printer printer = {x, name, user};
    return bool_text(&printer, p);
}

const char *pr_text(ExprCx *x, const Pred *p) {
    return pr_text_with(x, p, NULL, NULL);
}
