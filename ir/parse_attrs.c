/* Parses numbers, elements and attributes. One parser per
 * kind of attribute serves all operators. */
#include "ir/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "ir/map.h"

/* --- numbers --- */

int64_t parse_int(Lexer *l) {
    char *end;
    errno = 0;
    long long v = strtoll(l->token.at, &end, 10);
    if (end == l->token.at) lex_fail(l, l->token.at, "integer expected");
    if (errno) lex_fail(l, l->token.at, "integer beyond 64 bits");
    lex_seek(l, end);
    return v;
}

/* An integer of the type, in 64 bits. */
static int64_t parse_element_int(Lexer *l, TnDType type) {
    const char *at = l->token.at;
    if (type == TN_U64 && *at != '-') {
        char *end;
        errno = 0;
        unsigned long long v = strtoull(at, &end, 10);
        if (end == at) lex_fail(l, at, "integer expected");
        if (errno) lex_fail(l, at, "integer beyond 64 bits");
        lex_seek(l, end);
        return (int64_t)v;
    }
    int64_t v = parse_int(l), place = 0;
    ir_store_i64(type, &place, 0, v);
    if (type == TN_U64 || ir_element_i64(type, &place, 0) != v)
        lex_fail(l, at, "not a number of type %s", tn_dtype_name(type));
    return v;
}

double parse_float(Lexer *l) {
    char *end;
    double v = strtod(l->token.at, &end);
    if (end == l->token.at) lex_fail(l, l->token.at, "number expected");
    lex_seek(l, end);
    return v;
}

TnDType parse_dtype(Lexer *l) {
    const char *at = l->token.at, *name = lex_word(l, "element type");
    TnDType t = tn_dtype_parse(name);
    if (t == TN_NONE) lex_fail(l, at, "unknown element type '%.100s'", name);
    return t;
}

void *parse_elements(Lexer *l, TnDType type, int64_t count) {
    Arena *a = &l->cx->arena;
    const char *at = l->token.at;
    size_t size = tn_dtype_size(type), capacity = 0;
    char *data = NULL;
    int64_t n = 0;
    lex_expect(l, '{');
    for (; !lex_is(l, '}'); n++) {
        if (n) lex_expect(l, ',');
        data = arena_grow(a, data, &capacity, (size_t)n + 1, size);
        if (tn_is_float(type))
            ir_store_f64(type, data, n, parse_float(l));
        else
            ir_store_i64(type, data, n, parse_element_int(l, type));
    }
    lex_expect(l, '}');
    if (n != count) lex_fail(l, at, "%lld elements, not %lld", (long long)n, (long long)count);
    return data;
}

/* --- expressions --- */

const Expr *parse_expr(Lexer *l, ExprCx *x) {
    const char *at = l->token.at;
    tn_enter(l->cx, "file", lex_place(l, at)); /* prints as it is */
    const Expr *e = ex_parse(x, &at);
    tn_leave(l->cx);
    lex_seek(l, at);
    return e;
}

int parse_exprs(Lexer *l, ExprCx *x, const Expr ***list) {
    size_t capacity = 0;
    int n = 0;
    *list = NULL;
    lex_expect(l, '[');
    for (; !lex_is(l, ']'); n++) {
        if (n) lex_expect(l, ',');
        *list = arena_grow(&l->cx->arena, *list, &capacity, (size_t)n + 1, sizeof **list);
        (*list)[n] = parse_expr(l, x);
    }
    lex_expect(l, ']');
    return n;
}

/* --- programs of maps --- */

typedef struct Program {
    Lexer *l;
    int inputs, count; /* operands; steps so far */
    MapStep *steps;
    TnDType *types; /* of all registers */
    size_t step_capacity, type_capacity;
} Program;

/* "x0" or "t3": an operand, a step; any register below `limit`. */
static int parse_register(Program *p, int limit) {
    const char *at = p->l->token.at, *s = lex_word(p->l, "register");
    char *end;
    long i = strtol(s + 1, &end, 10);
    bool digits = s[1] >= '0' && s[1] <= '9' && !*end;
    if (!digits || i >= limit || *s != (i < p->inputs ? 'x' : 't'))
        lex_fail(p->l, at, "no register '%.100s' here", s);
    return (int)i;
}

/* "t2: f32 = splat 0.5" */
static void parse_step(Program *p) {
    const char *at = p->l->token.at;
    MapStep s = {0};
    int number = p->inputs + p->count;
    if (parse_register(p, number + 1) != number) lex_fail(p->l, at, "t%d expected", number);
    if (lex_accept(p->l, ':')) s.dtype = parse_dtype(p->l);
    lex_expect(p->l, '=');
    const char *name = lex_word(p->l, "operator");
    s.op = ir_op_find(name);
    if (s.op == OP_COUNT) lex_fail(p->l, at, "unknown operator '%.100s'", name);
    const OpInfo *info = ir_op_info(s.op);
    if (s.op != OP_splat && !(info->flags & OPF_ELEMENTWISE))
        lex_fail(p->l, at, "%s cannot be a step of a map", name);
    if (s.op == OP_splat && tn_is_float(s.dtype))
        s.value = parse_float(p->l);
    else if (s.op == OP_splat)
        s.integer = parse_int(p->l);
    for (int i = 0; i < info->min_inputs; i++) s.args[i] = parse_register(p, number);
    if (!s.dtype) s.dtype = map_step_type(&s, p->types);
    const char *wrong = map_check_step(&s, p->types);
    if (wrong) lex_fail(p->l, at, "%s", wrong);

    Arena *a = &p->l->cx->arena;
    size_t n = (size_t)p->count;
    p->steps = arena_grow(a, p->steps, &p->step_capacity, n + 1, sizeof s);
    p->types = arena_grow(a, p->types, &p->type_capacity, (size_t)number + 1, sizeof *p->types);
    p->steps[p->count++] = s;
    p->types[number] = s.dtype;
}

static void parse_body(Lexer *l, Node *n, const char *attr) {
    Program p = {.l = l, .inputs = n->input_count};
    p.types =
        arena_grow(&l->cx->arena, NULL, &p.type_capacity, (size_t)p.inputs + 1, sizeof *p.types);
    for (int i = 0; i < p.inputs; i++) {
        if (!n->inputs[i]) lex_fail(l, l->token.at, "a map has no absent operands");
        p.types[i] = n->inputs[i]->type.dtype;
    }
    lex_expect(l, '(');
    do parse_step(&p);
    while (lex_accept(l, ';'));
    lex_expect(l, ')');
    ir_set_body(n, attr, &(MapBody){p.count, p.steps});
}

/* --- attributes --- */

static void parse_ints(Lexer *l, Node *n, const char *attr) {
    int64_t v[2 * TN_MAX_RANK];
    int count = 0;
    lex_expect(l, '[');
    for (; !lex_is(l, ']'); count++) {
        if (count) lex_expect(l, ',');
        if (count == 2 * TN_MAX_RANK) lex_fail(l, l->token.at, "too many integers");
        v[count] = parse_int(l);
    }
    lex_expect(l, ']');
    ir_set_ints(n, attr, count, v);
}

static bool parse_bool(Lexer *l) {
    const char *at = l->token.at;
    int64_t v = parse_int(l);
    if (v != 0 && v != 1) lex_fail(l, at, "0 or 1 expected");
    return v == 1;
}

static void parse_list(Lexer *l, Node *n, const AttrInfo *info) {
    const char *at = l->token.at;
    const Expr **list;
    int count = parse_exprs(l, n->graph->module->ex, &list);
    if (info->kind == 'E')
        ir_set_exprs(n, info->name, count, list);
    else if (count > TN_MAX_RANK)
        lex_fail(l, at, "%d axes, at most %d", count, TN_MAX_RANK);
    else
        ir_set_dims(n, info->name, count, list);
}

static void parse_word(Lexer *l, Node *n, const char *attr) {
    const char *place = lex_place(l, l->token.at), *word = lex_word(l, "word");
    tn_enter(l->cx, "file", place); /* prints as it is */
    ir_set_string(n, attr, word);
    tn_leave(l->cx);
}

/* "@name": a body that was there before the node's graph */
static Graph *parse_graph_name(Lexer *l, const Node *n) {
    lex_expect(l, '@');
    const char *at = l->token.at;
    const char *name =
        l->token.kind == TOKEN_STRING ? lex_string(l, "name") : lex_word(l, "name of a body");
    for (Graph *g = n->graph->module->graphs; g != n->graph; g = g->next)
        if (g->internal && !strcmp(g->name, name)) return g;
    lex_fail(l, at, "there is no body '%.100s' before this graph", name);
}

static void parse_attr(Lexer *l, Node *n, const AttrInfo *info) {
    const char *name = info->name;
    switch (info->kind) {
    case 'i': ir_set_int(n, name, parse_int(l)); break;
    case 'f': ir_set_float(n, name, parse_float(l)); break;
    case 'b': ir_set_bool(n, name, parse_bool(l)); break;
    case 't': ir_set_dtype(n, name, parse_dtype(l)); break;
    case 's': parse_word(l, n, name); break;
    case 'd': ir_set_dim(n, name, parse_expr(l, n->graph->module->ex)); break;
    case 'I': parse_ints(l, n, name); break;
    case 'm': parse_body(l, n, name); break;
    case 'g': ir_set_graph(n, name, parse_graph_name(l, n)); break;
    default: parse_list(l, n, info); break;
    }
}

static int find_attr(Lexer *l, const Node *n) {
    const char *at = l->token.at, *name = lex_word(l, "attribute");
    for (int i = 0; i < ir_attr_count(n->op); i++)
        if (!strcmp(ir_attr_info(n->op, i)->name, name)) return i;
    lex_fail(l, at, "%s has no attribute '%.100s'", ir_op_info(n->op)->name, name);
}

void parse_attrs(Lexer *l, Node *n) {
    unsigned seen = 0;
    if (!lex_accept(l, '{')) return;
    do {
        const char *at = l->token.at;
        int i = find_attr(l, n);
        if (seen & 1u << i) lex_fail(l, at, "the attribute is there twice");
        seen |= 1u << i;
        lex_expect(l, '=');
        parse_attr(l, n, ir_attr_info(n->op, i));
    } while (lex_accept(l, ','));
    lex_expect(l, '}');
}
