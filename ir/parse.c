/* Parses the text that print.c prints (docs/ir.md).
 *
 * Types are inferred again and must be the printed ones. When inference learns a requirement, what
 * was inferred before may be out of date: the text is then read again with everything learnt so
 * far, until nothing new comes. Constants are made in the first round only. */
#include "ir/parse.h"

#include <stdlib.h>
#include <string.h>
#include "ir/names.h"
#include "runtime/base/checked.h"

#define MAX_ROUNDS 64

typedef struct Parser {
    Lexer l;
    Module *m, *like;
    int round;
    uint32_t generation; /* at the start of the round */
    NameMap constants;   /* name -> Constant */
    size_t zero_bytes;   /* given to constants known by hash only */
    Graph *g,
        *next_old; /* being parsed; the one of the round before that the next graph replaces */
    NameMap graphs, values;
    int symbols; /* of the inputs so far, and measured ones; no others may occur */
} Parser;

static Arena *arena_of(Parser *p) {
    return &p->m->cx->arena;
}

/* --- names --- */

/* A word, or a quoted string; *key tells `"0"` from `0`. */
static const char *parse_name(Parser *p, const char **key) {
    if (p->l.token.kind == TOKEN_STRING) {
        const char *name = lex_string(&p->l, "name");
        *key = arena_printf(arena_of(p), "\"%s", name);
        return name;
    }
    return *key = lex_word(&p->l, "name");
}

static void define(Parser *p, const char *at, const char *key, Value *v) {
    if (names_has(&p->constants, key) || !names_add(&p->values, key, v))
        lex_fail(&p->l, at, "%%%.100s is defined twice", key);
}

/* %name; NULL for _ */
static Value *parse_value(Parser *p) {
    const char *at = p->l.token.at, *key;
    lex_expect(&p->l, '%');
    parse_name(p, &key);
    Value *v = names_find(&p->values, key);
    if (v) return v;
    Constant *c = names_find(&p->constants, key);
    if (!c) lex_fail(&p->l, at, "%%%.100s is not defined yet", key);
    return ir_constant(p->g, c);
}

static Type parse_type(Parser *p) {
    const Expr **dims;
    const char *at = p->l.token.at;
    Type t = {.dtype = parse_dtype(&p->l)};
    t.rank = parse_exprs(&p->l, p->m->ex, &dims);
    if (t.rank > TN_MAX_RANK) lex_fail(&p->l, at, "%d axes, at most %d", t.rank, TN_MAX_RANK);
    for (int i = 0; i < t.rank; i++) t.dims[i] = dims[i];
    return t;
}

/* --- module level --- */

static const void *zeros(Parser *p, const char *at, size_t bytes) {
    if (bytes > TN_MAX_FOLD - p->zero_bytes)
        lex_fail(&p->l, at, "more than %d bytes of constants without values", TN_MAX_FOLD);
    p->zero_bytes += bytes;
    return arena_alloc(arena_of(p), bytes);
}

static const Constant *find_by_hash(Module *like, uint64_t hash, const Constant *c) {
    for (Constant *k = like ? like->constants : NULL; k; k = k->next)
        if (k->dtype == c->dtype && k->rank == c->rank &&
            !memcmp(k->dims, c->dims, sizeof k->dims) && ir_constant_hash(k) == hash)
            return k;
    return NULL;
}

/* "#9f3c0123456789ab" */
static void parse_hash(Parser *p, Constant *c) {
    const char *at = p->l.token.at;
    lex_expect(&p->l, '#');
    const char *word = lex_word(&p->l, "hash");
    char *end;
    uint64_t hash = strtoull(word, &end, 16);
    if (*end || strlen(word) > 16 || hash == 0) lex_fail(&p->l, at, "not a hash");
    if (p->round) return;
    const Constant *same = find_by_hash(p->like, hash, c);
    c->data = same ? same->data : zeros(p, at, c->bytes);
    c->hash = hash;
}

/* const %name: type = {1, 2} */
static void parse_constant(Parser *p) {
    const char *at = p->l.token.at, *key;
    lex_expect(&p->l, '%');
    const char *name = parse_name(p, &key);
    lex_expect(&p->l, ':');
    Type t = parse_type(p);
    lex_expect(&p->l, '=');
    int64_t dims[TN_MAX_RANK], count;
    if (!ir_static_dims(&t, dims) || !tn_product(dims, t.rank, &count))
        lex_fail(&p->l, at, "the dimensions of a constant are numbers");
    Constant *c = names_find(&p->constants, key);
    if (!p->round) {
        tn_enter(p->m->cx, "file", lex_place(&p->l, at));
        c = ir_constant_new(p->m, name, t.dtype, t.rank, dims, NULL);
        tn_leave(p->m->cx);
        if (!names_add(&p->constants, key, c))
            lex_fail(&p->l, at, "%%%.100s is defined twice", key);
    }
    if (lex_is(&p->l, '#'))
        parse_hash(p, c);
    else
        c->data = parse_elements(&p->l, t.dtype, count);
    if (!c->data) c->data = arena_alloc(arena_of(p), 0);
}

static void parse_meta(Parser *p) {
    const char *key = lex_string(&p->l, "quoted key");
    lex_expect(&p->l, '=');
    ir_set_meta(p->m, key, lex_string(&p->l, "quoted value"));
}

/* --- the head of a graph --- */

/* %ids: i64[batch, seq] = ones */
static void parse_input(Parser *p) {
    const char *at = p->l.token.at, *key;
    lex_expect(&p->l, '%');
    const char *name = parse_name(p, &key);
    lex_expect(&p->l, ':');
    Type t = parse_type(p);
    InputDefault fill = INPUT_REQUIRED;
    if (lex_accept(&p->l, '=')) {
        fill = lex_is_word(&p->l, "ones") ? INPUT_ONES : INPUT_ZEROS;
        if (fill == INPUT_ONES)
            lex_next(&p->l);
        else
            lex_expect_word(&p->l, "zeros");
    }
    define(p, at, key, ir_input(p->g, name, t.dtype, t.rank, t.dims, fill));
}

/* --- nodes --- */

typedef struct Result {
    const char *at, *key;
    Type type;
} Result;

/* The comment behind a node, split at " + ". */
static void parse_origins(Parser *p, const char *comment) {
    size_t capacity = 0, n = 0;
    const char **list = NULL;
    if (comment && *comment == ' ') comment++;
    while (comment && *comment) {
        const char *plus = strstr(comment, " + ");
        size_t length = plus ? (size_t)(plus - comment) : strlen(comment);
        list = arena_grow(arena_of(p), list, &capacity, n + 1, sizeof *list);
        if (length) list[n++] = arena_strndup(arena_of(p), comment, length);
        comment = plus ? plus + 3 : NULL;
    }
    p->g->origin_list = list;
    p->g->origin_list_count = (int)n;
}

static Node *parse_operation(Parser *p) {
    const char *at = p->l.token.at, *name = lex_word(&p->l, "operator");
    OpKind op = ir_op_find(name);
    if (op == OP_COUNT) lex_fail(&p->l, at, "unknown operator '%.100s'", name);
    Value **operands = NULL;
    size_t capacity = 0;
    int n = 0;
    while (ir_op_info(op)->max_inputs != 0 &&
           (n ? lex_accept(&p->l, ',') : lex_is(&p->l, '%') || lex_is_word(&p->l, "_"))) {
        operands = arena_grow(arena_of(p), operands, &capacity, (size_t)n + 1, sizeof *operands);
        operands[n++] = lex_accept_word(&p->l, "_") ? NULL : parse_value(p);
    }
    Node *node = ir_node(p->g, op, n, operands);
    parse_attrs(&p->l, node);
    return node;
}

static void check_result(Parser *p, const Result *r, const Value *v) {
    bool up_to_date = ex_generation(p->m->ex) == p->generation;
    Type stated = r->type;
    for (int i = 0; i < stated.rank; i++) stated.dims[i] = ex_norm(p->m->ex, stated.dims[i]);
    if (up_to_date && (stated.dtype != v->type.dtype || !ir_same_dims(&stated, &v->type)))
        lex_fail(&p->l, r->at, "the type is %s, not %s", ir_type_text(p->m, &v->type),
                 ir_type_text(p->m, &stated));
}

/* %0: f32[n] = add %x, %y   // origins */
static void parse_node(Parser *p) {
    const char *at = p->l.token.at;
    Result *results = NULL;
    size_t capacity = 0;
    int n = 0;
    do {
        results = arena_grow(arena_of(p), results, &capacity, (size_t)n + 1, sizeof *results);
        Result *r = &results[n++];
        r->at = p->l.token.at;
        lex_expect(&p->l, '%');
        parse_name(p, &r->key);
        lex_expect(&p->l, ':');
        r->type = parse_type(p);
    } while (lex_accept(&p->l, ','));
    lex_expect(&p->l, '=');
    Node *node = parse_operation(p);
    parse_check_symbols(&p->l, p->g, p->symbols, at);
    parse_origins(p, p->l.comment);
    tn_enter(p->m->cx, "file", lex_place(&p->l, at));
    ir_insert(node);
    tn_leave(p->m->cx);
    if (node->output_count != n)
        lex_fail(&p->l, at, "%s has %d results, not %d", ir_op_info(node->op)->name,
                 node->output_count, n);
    for (int i = 0; i < n; i++) {
        check_result(p, &results[i], node->outputs[i]);
        define(p, results[i].at, results[i].key, node->outputs[i]);
    }
}

/* return %a as "x", %b as "y" */
static void parse_return(Parser *p) {
    while (lex_is(&p->l, '%')) {
        Value *v = parse_value(p);
        lex_expect_word(&p->l, "as");
        ir_output(p->g, lex_string(&p->l, "quoted name"), v);
        if (!lex_accept(&p->l, ',')) return;
        if (!lex_is(&p->l, '%')) lex_expect(&p->l, '%');
    }
}

static int output_named(const Graph *g, const char *name) {
    for (int i = 0; i < g->output_count; i++)
        if (!strcmp(g->output_names[i], name)) return i;
    return -1;
}

/* state "kv.0" from %past to "present" axis 2 */
static void parse_state(Parser *p) {
    const char *at = p->l.token.at, *name = lex_string(&p->l, "quoted name");
    int input = -1, output = -1;
    if (lex_accept_word(&p->l, "from")) {
        const Value *v = parse_value(p);
        if (v->node || v->constant) lex_fail(&p->l, at, "a state is read as an input of the graph");
        input = v->index;
    }
    if (lex_accept_word(&p->l, "to")) {
        output = output_named(p->g, lex_string(&p->l, "quoted name"));
        if (output < 0) lex_fail(&p->l, at, "a state becomes a result of the graph");
    }
    lex_expect_word(&p->l, "axis");
    const char *axis = lex_word(&p->l, "axis");
    if (axis[0] < '0' || axis[0] >= '0' + TN_MAX_RANK || axis[1])
        lex_fail(&p->l, at, "the axis of a state is a number below %d", TN_MAX_RANK);
    ir_add_state(p->g, name, input, output, axis[0] - '0');
    const char *broken = ir_check_state(p->g, &p->g->states[p->g->state_count - 1]);
    if (broken) lex_fail(&p->l, at, "%s", broken);
}

static void start_graph(Parser *p, bool internal) {
    const char *at = p->l.token.at, *key, *name = parse_name(p, &key);
    if (!names_add(&p->graphs, key, NULL)) lex_fail(&p->l, at, "there are two graphs of this name");
    if (p->next_old) {
        Graph *old = p->next_old;
        p->next_old = old->next;
        p->g = ir_graph_replace(p->m, old);
    } else {
        p->g = ir_graph_new(p->m, name);
    }
    p->g->internal = internal;
    p->values = (NameMap){.arena = arena_of(p)};
}

static void parse_graph(Parser *p, bool internal) {
    start_graph(p, internal);
    lex_expect(&p->l, '(');
    if (!lex_is(&p->l, ')')) do
            parse_input(p);
        while (lex_accept(&p->l, ','));
    lex_expect(&p->l, ')');
    p->symbols = parse_contract(&p->l, p->m, p->g);
    lex_expect(&p->l, '{');
    while (!lex_accept_word(&p->l, "return")) parse_node(p);
    p->g->origin_list_count = 0;
    parse_return(p);
    while (lex_accept_word(&p->l, "state")) parse_state(p);
    lex_expect(&p->l, '}');
}

static void parse_module(Parser *p, const char *text) {
    lex_init(&p->l, p->m->cx, text);
    p->graphs = (NameMap){.arena = arena_of(p)};
    p->next_old = p->m->graphs;
    p->generation = ex_generation(p->m->ex);
    lex_expect_word(&p->l, "module");
    lex_expect(&p->l, '{');
    while (lex_accept_word(&p->l, "meta")) parse_meta(p);
    while (lex_accept_word(&p->l, "const")) parse_constant(p);
    p->g = NULL;
    if (lex_accept_word(&p->l, "contract")) p->symbols = parse_contract(&p->l, p->m, NULL);
    while (lex_is_word(&p->l, "graph") || lex_is_word(&p->l, "body"))
        parse_graph(p, lex_accept_word(&p->l, "body") || !lex_accept_word(&p->l, "graph"));
    lex_expect(&p->l, '}');
    if (p->l.token.kind != TOKEN_END) lex_fail(&p->l, p->l.token.at, "text after the module");
}

Module *ir_parse(Cx *cx, const char *text, Module *like) {
    Parser p = {.m = ir_module_new(cx), .like = like, .constants = {.arena = &cx->arena}};
    for (;; p.round++) {
        if (p.round == MAX_ROUNDS)
            tn_fail(cx, TN_E_LIMIT, "the requirements do not settle in %d rounds", MAX_ROUNDS);
        parse_module(&p, text);
        if (ex_generation(p.m->ex) == p.generation) return p.m;
    }
}
