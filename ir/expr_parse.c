/* Parsing of what expr_text.c prints, loads and coordinates apart, with the precedence of Python.
 *
 *     sum     = product { ("+" | "-") product }
 *     product = unary { ("*" | "//" | "%" | "/") unary }       "/" takes a constant on the right
 *     unary   = "-" unary | number | name | "(" sum ")" | function "(" ... ")"
 *
 * Recursion is bounded by MAX_NESTING.
 */
#include "ir/expr_internal.h"

#include <stdlib.h>
#include <string.h>
#include "runtime/base/checked.h"

#define MAX_NESTING 100
#define MAX_NAME    1024

typedef struct Parser {
    ExprCx *x;
    const char *start, *at;
    int depth;
} Parser;

static const Expr *parse_sum(Parser *p);
static const Pred *parse_or(Parser *p);

_Noreturn static void fail(Parser *p, const char *what) {
    tn_fail(p->x->cx, TN_E_MODEL, "size '%s': %s at '%s'",
            tn_printable(p->x->cx, p->start, strlen(p->start), 80), what,
            tn_printable(p->x->cx, p->at, strlen(p->at), 20));
}

static void skip_space(Parser *p) {
    while (*p->at == ' ' || *p->at == '\t') p->at++;
}

static bool accept(Parser *p, const char *token) {
    skip_space(p);
    size_t n = strlen(token);
    if (strncmp(p->at, token, n) != 0) return false;
    p->at += n;
    return true;
}

static void expect(Parser *p, const char *token) {
    if (!accept(p, token)) fail(p, arena_printf(&p->x->cx->arena, "expected '%s'", token));
}

static bool name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool name_part(char c) {
    return name_start(c) || (c >= '0' && c <= '9') || c == '.';
}

static size_t name_length(const char *s) {
    size_t n = 0;
    if (!name_start(*s)) return 0;
    while (name_part(s[n])) n++;
    return n;
}

static bool accept_word(Parser *p, const char *word) {
    skip_space(p);
    size_t n = name_length(p->at);
    if (n != strlen(word) || strncmp(p->at, word, n) != 0) return false;
    p->at += n;
    return true;
}

static void enter(Parser *p) {
    if (++p->depth > MAX_NESTING) fail(p, "nested too deeply");
}

static const Expr *parse_number(Parser *p) {
    int64_t v = 0;
    for (; *p->at >= '0' && *p->at <= '9'; p->at++)
        if (!tn_mul_i64(v, 10, &v) || !tn_add_i64(v, *p->at - '0', &v))
            fail(p, "number beyond 64 bits");
    return ex_int(p->x, v);
}

/* The inside of f(...), behind the opening parenthesis. */
static const Expr *parse_call(Parser *p, const char *name) {
    bool min = strcmp(name, "min") == 0, max = strcmp(name, "max") == 0;
    const Expr *e;
    if (strcmp(name, "bit") == 0) {
        e = ex_bit(p->x, parse_or(p));
    } else if (strcmp(name, "where") == 0) {
        const Pred *c = parse_or(p);
        expect(p, ",");
        const Expr *a = parse_sum(p);
        expect(p, ",");
        e = ex_where(p->x, c, a, parse_sum(p));
    } else {
        e = parse_sum(p);
        if (strcmp(name, "abs") == 0)
            e = ex_abs(p->x, e);
        else if (strcmp(name, "trunc") == 0)
            e = ex_trunc(p->x, e);
        else if (!min && !max)
            fail(p, "unknown function");
        while ((min || max) && accept(p, ","))
            e = min ? ex_min(p->x, e, parse_sum(p)) : ex_max(p->x, e, parse_sum(p));
    }
    expect(p, ")");
    return e;
}

static const Expr *parse_name(Parser *p) {
    char name[MAX_NAME];
    size_t n = name_length(p->at);
    if (n == 0) fail(p, "expected a name, a number or '('");
    if (n >= MAX_NAME) fail(p, "name too long");
    memcpy(name, p->at, n);
    name[n] = 0;
    p->at += n;
    return *p->at == '(' ? (p->at++, parse_call(p, name)) : ex_symbol(p->x, name);
}

static const Expr *parse_unary(Parser *p) {
    const Expr *e;
    enter(p);
    if (accept(p, "-")) {
        e = ex_neg(p->x, parse_unary(p));
    } else if (accept(p, "(")) {
        e = parse_sum(p);
        expect(p, ")");
    } else {
        e = *p->at >= '0' && *p->at <= '9' ? parse_number(p) : parse_name(p);
    }
    p->depth--;
    return e;
}

static const Expr *divide(Parser *p, const Expr *a, const Expr *b) {
    int64_t v;
    if (!ex_const(b, &v)) fail(p, "'/' by something that is not a number; did you mean '//'?");
    return ex_scale(p->x, a, 1, v);
}

static const Expr *parse_product(Parser *p) {
    const Expr *e = parse_unary(p);
    for (;;) {
        if (accept(p, "*"))
            e = ex_mul(p->x, e, parse_unary(p));
        else if (accept(p, "//"))
            e = ex_floordiv(p->x, e, parse_unary(p));
        else if (accept(p, "/"))
            e = divide(p, e, parse_unary(p));
        else if (accept(p, "%"))
            e = ex_mod(p->x, e, parse_unary(p));
        else
            return e;
    }
}

static const Expr *parse_sum(Parser *p) {
    enter(p);
    const Expr *e = parse_product(p);
    for (;;) {
        if (accept(p, "+"))
            e = ex_add(p->x, e, parse_product(p));
        else if (accept(p, "-"))
            e = ex_sub(p->x, e, parse_product(p));
        else
            break;
    }
    p->depth--;
    return e;
}

/* --- predicates --- */

/* Whether the parenthesis that opens here holds a predicate:
 * no operator that takes numbers follows its end. */
static bool opens_predicate(const char *s) {
    int depth = 0;
    do {
        if (*s == '(') depth++;
        if (*s == ')') depth--;
        s++;
    } while (depth > 0 && *s);
    while (*s == ' ') s++;
    return !*s || !strchr("+-*/%<>=!", *s);
}

static const Pred *parse_comparison(Parser *p) {
    const Expr *a = parse_sum(p);
    if (accept(p, ">=")) return pr_ge(p->x, a, parse_sum(p));
    if (accept(p, "==")) return pr_eq(p->x, a, parse_sum(p));
    if (accept(p, "!=")) return pr_not(p->x, pr_eq(p->x, a, parse_sum(p)));
    fail(p, "expected a comparison");
}

static const Pred *parse_not(Parser *p) {
    const Pred *r;
    enter(p);
    skip_space(p);
    if (accept_word(p, "not")) {
        r = pr_not(p->x, parse_not(p));
    } else if (accept_word(p, "true")) {
        r = pr_bool(p->x, true);
    } else if (accept_word(p, "false")) {
        r = pr_bool(p->x, false);
    } else if (*p->at == '(' && opens_predicate(p->at)) {
        p->at++;
        r = parse_or(p);
        expect(p, ")");
    } else {
        r = parse_comparison(p);
    }
    p->depth--;
    return r;
}

/* xor, and, or bind alike: mixed ones are printed in parentheses. */
static const Pred *parse_or(Parser *p) {
    const Pred *r = parse_not(p);
    for (;;) {
        if (accept_word(p, "and"))
            r = pr_and(p->x, r, parse_not(p));
        else if (accept_word(p, "or"))
            r = pr_or(p->x, r, parse_not(p));
        else if (accept_word(p, "xor"))
            r = pr_xor(p->x, r, parse_not(p));
        else
            return r;
    }
}

const Expr *ex_parse(ExprCx *x, const char **s) {
    Parser p = {.x = x, .start = *s, .at = *s};
    const Expr *e = parse_sum(&p);
    *s = p.at;
    return e;
}
