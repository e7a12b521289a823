/* Attributes: the text of a row ("axis:i=-1 keep:b") as a table, and typed access by name.
 *
 * The table is made once per process under pthread_once and never written again. Words of ':s'
 * attributes are interned in it: an attribute set to "gelu" holds the table's "gelu".
 *
 * A required integer that was not set is INT64_MIN; every other required kind is NULL or TN_NONE,
 * which for a dtype may also be the default, `none`.
 *
 * The table's sizes follow from the rows: an attribute has four characters at least ("n:k" and what
 * ends it), a word one ('|' or what ends it), and every character is kept twice at most. */
#include "ir/ir.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "ir/infer.h"

#define UNSET INT64_MIN

enum {
    TEXT = 0
#define OP(name, min, max, outputs, types, attrs, shape, facts, flags, formula) +(int)sizeof(attrs)
#include "ir/ops.def"
#undef OP
    , /* characters of all rows' attributes, with the NUL of each */
    MAX_ATTRS = TEXT / 4
};

typedef struct Row {
    int count;
    AttrInfo *attrs;
    const char *const **words; /* of ':s': its legal values, up to NULL */
} Row;

static struct {
    pthread_once_t once;
    Row rows[OP_COUNT];
    AttrInfo attrs[MAX_ATTRS]; /* of all rows, one after another, and the words of each */
    const char *const *words_of[MAX_ATTRS];
    int attr_count;
    char text[2 * TEXT]; /* names; words, each attribute's joined by '|' and then one by one */
    size_t text_used;
    const char *words[TEXT];
    int word_count;
    /* Defaults of ':d' attributes: constants that belong to no ExprCx; only ir_attr_equal and
     * attrs_default look at them. */
    Term terms[MAX_ATTRS];
    Expr exprs[MAX_ATTRS];
    int expr_count;
} table = {.once = PTHREAD_ONCE_INIT};

static const char *keep(const char *s, size_t n) {
    char *copy = table.text + table.text_used;
    memcpy(copy, s, n);
    copy[n] = 0;
    table.text_used += n + 1;
    return copy;
}

/* "relu|gelu|silu": the first word is the default. */
static void parse_words(Row *row, const char *s, size_t n) {
    int i = row->count;
    row->attrs[i].words = keep(s, n);
    row->words[i] = table.words + table.word_count;
    for (const char *end = s + n; s < end;) {
        const char *bar = memchr(s, '|', (size_t)(end - s));
        if (!bar) bar = end;
        table.words[table.word_count++] = keep(s, (size_t)(bar - s));
        s = bar + 1;
    }
    table.word_count++; /* stays NULL: the end of the list */
    row->attrs[i].value.s = row->words[i][0];
}

static const Expr *default_dim(int64_t v) {
    Term *t = &table.terms[table.expr_count];
    Expr *e = &table.exprs[table.expr_count++];
    *t = (Term){.coef = {v, 1}};
    *e = (Expr){.count = v ? 1 : 0, .terms = t};
    return e;
}

static Attr unset(char kind) {
    if (kind == 'i') return (Attr){.i = UNSET};
    return (Attr){0};
}

static void parse_default(Row *row, const char *s, size_t n) {
    AttrInfo *a = &row->attrs[row->count];
    a->has_default = true;
    switch (a->kind) {
    case 'i': a->value.i = strtoll(s, NULL, 10); break;
    case 'f': a->value.f = strtod(s, NULL); break;
    case 'b': a->value.b = *s == '1'; break;
    case 'd': a->value.d = default_dim(strtoll(s, NULL, 10)); break;
    case 's': parse_words(row, s, n); break;
    case 't': a->value.t = TN_NONE; break; /* the only default there is */
    default: assert(false);
    }
}

/* One "name:kind" or "name:kind=default" of length n. */
static void parse_attr(Row *row, const char *s, size_t n) {
    const char *colon = memchr(s, ':', n);
    assert(colon);
    AttrInfo *a = &row->attrs[row->count];
    size_t length = (size_t)(colon - s);
    a->name = keep(s, length);
    a->kind = colon[1];
    a->value = unset(a->kind);
    if (n > length + 2) parse_default(row, colon + 3, n - length - 3);
    row->count++;
    table.attr_count++;
}

static void parse_table(void) {
    for (int op = 0; op < OP_COUNT; op++) {
        const char *s = ir_op_info((OpKind)op)->attrs;
        table.rows[op] = (Row){.attrs = table.attrs + table.attr_count,
                               .words = table.words_of + table.attr_count};
        while (*s) {
            size_t n = strcspn(s, " ");
            if (n) parse_attr(&table.rows[op], s, n);
            s += n + strspn(s + n, " ");
        }
    }
}

static const Row *row_of(OpKind op) {
    pthread_once(&table.once, parse_table);
    return &table.rows[op];
}

int ir_attr_count(OpKind op) {
    return row_of(op)->count;
}

const AttrInfo *ir_attr_info(OpKind op, int i) {
    const Row *row = row_of(op);
    assert(i >= 0 && i < row->count);
    return &row->attrs[i];
}

Attr *attrs_default(Module *m, OpKind op) {
    const Row *row = row_of(op);
    if (!row->count) return NULL;
    Attr *attrs = ARENA_ARRAY(&m->cx->arena, Attr, (size_t)row->count);
    for (int i = 0; i < row->count; i++) {
        int64_t v;
        attrs[i] = row->attrs[i].value;
        if (row->attrs[i].kind == 'd' && attrs[i].d && ex_const(attrs[i].d, &v))
            attrs[i].d = ex_int(m->ex, v);
    }
    return attrs;
}

void attrs_check(const Node *n) {
    const Row *row = row_of(n->op);
    for (int i = 0; i < row->count; i++) {
        const Attr *a = &n->attrs[i];
        bool missing = false;
        switch (row->attrs[i].kind) {
        case 'i': missing = a->i == UNSET; break;
        case 't': missing = a->t == TN_NONE && !row->attrs[i].has_default; break;
        case 's': missing = !a->s; break;
        case 'd': missing = !a->d; break;
        case 'D': missing = !a->D; break;
        case 'I': missing = !a->I; break;
        case 'E': missing = !a->E; break;
        case 'm': missing = !a->m; break;
        case 'g': missing = !a->g; break;
        default: break;
        }
        if (missing)
            tn_fail(n->graph->module->cx, TN_E_MODEL, "attribute '%s' of %s is missing",
                    row->attrs[i].name, ir_op_info(n->op)->name);
    }
}

/* --- comparing --- */

static bool dims_equal(const Expr *const *a, const Expr *const *b, int n) {
    for (int i = 0; i < n; i++)
        if (a[i] != b[i]) return false;
    return true;
}

static bool dim_equal(const Expr *a, const Expr *b) {
    int64_t u, v;
    return a == b || (a && b && ex_const(a, &u) && ex_const(b, &v) && u == v);
}

static bool step_equal(const MapStep *a, const MapStep *b) {
    return a->op == b->op && a->dtype == b->dtype && a->integer == b->integer &&
           memcmp(&a->value, &b->value, sizeof a->value) == 0 &&
           memcmp(a->args, b->args, sizeof a->args) == 0;
}

static bool body_equal(const MapBody *a, const MapBody *b) {
    if (a->count != b->count) return false;
    for (int i = 0; i < a->count; i++)
        if (!step_equal(&a->steps[i], &b->steps[i])) return false;
    return true;
}

bool ir_attr_equal(OpKind op, int i, const Attr *a, const Attr *b) {
    char kind = ir_attr_info(op, i)->kind;
    bool pointer = strchr("sdDIEmg", kind) != NULL;
    if (pointer && a->s == b->s) return true;
    if (pointer && (!a->s || !b->s)) return false;
    switch (kind) {
    case 'i': return a->i == b->i;
    case 'f': return memcmp(&a->f, &b->f, sizeof a->f) == 0;
    case 'b': return a->b == b->b;
    case 't': return a->t == b->t;
    case 's': return strcmp(a->s, b->s) == 0;
    case 'd': return dim_equal(a->d, b->d);
    case 'D': return a->D->count == b->D->count && dims_equal(a->D->e, b->D->e, a->D->count);
    case 'E': return a->E->count == b->E->count && dims_equal(a->E->e, b->E->e, a->E->count);
    case 'I':
        return a->I->count == b->I->count &&
               memcmp(a->I->v, b->I->v, (size_t)a->I->count * sizeof a->I->v[0]) == 0;
    case 'g': return a->g == b->g;
    default: return body_equal(a->m, b->m);
    }
}

/* --- by name --- */

static Attr *find(const Node *n, const char *name, char kind) {
    const Row *row = row_of(n->op);
    int i = 0;
    while (i < row->count && strcmp(row->attrs[i].name, name) != 0) i++;
    assert(i < row->count && row->attrs[i].kind == kind);
    (void)kind;
    return &n->attrs[i];
}

static Arena *arena_of(const Node *n) {
    return &n->graph->module->cx->arena;
}

static void limit(const Node *n, int count, int max, const char *attr) {
    if (count > max)
        tn_fail(n->graph->module->cx, TN_E_LIMIT, "attribute '%s' has %d entries, at most %d", attr,
                count, max);
}

void ir_set_int(Node *n, const char *attr, int64_t v) {
    find(n, attr, 'i')->i = v;
}

void ir_set_float(Node *n, const char *attr, double v) {
    find(n, attr, 'f')->f = v;
}

void ir_set_bool(Node *n, const char *attr, bool v) {
    find(n, attr, 'b')->b = v;
}

void ir_set_dtype(Node *n, const char *attr, TnDType t) {
    find(n, attr, 't')->t = t;
}

void ir_set_string(Node *n, const char *attr, const char *s) {
    Attr *a = find(n, attr, 's');
    const char *const *w = row_of(n->op)->words[a - n->attrs];
    while (*w && strcmp(*w, s) != 0) w++;
    if (!*w)
        tn_fail(n->graph->module->cx, TN_E_MODEL, "attribute '%s' cannot be '%s'; it is one of %s",
                attr, s, row_of(n->op)->attrs[a - n->attrs].words);
    a->s = *w;
}

void ir_set_dim(Node *n, const char *attr, const Expr *e) {
    find(n, attr, 'd')->d = ex_norm(n->graph->module->ex, e);
}

void ir_set_dims(Node *n, const char *attr, int count, const Expr *const *e) {
    limit(n, count, TN_MAX_RANK, attr);
    DimList *list = ARENA_NEW(arena_of(n), DimList);
    list->count = count;
    for (int i = 0; i < count; i++) list->e[i] = ex_norm(n->graph->module->ex, e[i]);
    find(n, attr, 'D')->D = list;
}

void ir_set_ints(Node *n, const char *attr, int count, const int64_t *v) {
    IntList *list = ARENA_NEW(arena_of(n), IntList);
    limit(n, count, (int)(sizeof list->v / sizeof list->v[0]), attr);
    list->count = count;
    if (count) memcpy(list->v, v, (size_t)count * sizeof *v);
    find(n, attr, 'I')->I = list;
}

void ir_set_exprs(Node *n, const char *attr, int count, const Expr *const *e) {
    ExprList *list = ARENA_NEW(arena_of(n), ExprList);
    const Expr **copy = ARENA_ARRAY(arena_of(n), const Expr *, (size_t)count);
    for (int i = 0; i < count; i++) copy[i] = ex_norm(n->graph->module->ex, e[i]);
    *list = (ExprList){count, copy};
    find(n, attr, 'E')->E = list;
}

void ir_set_body(Node *n, const char *attr, const MapBody *body) {
    MapBody *copy = ARENA_NEW(arena_of(n), MapBody);
    copy->count = body->count;
    copy->steps = ARENA_ARRAY(arena_of(n), MapStep, (size_t)body->count);
    if (body->count) memcpy(copy->steps, body->steps, (size_t)body->count * sizeof body->steps[0]);
    find(n, attr, 'm')->m = copy;
}

void ir_set_graph(Node *n, const char *attr, Graph *g) {
    find(n, attr, 'g')->g = g;
}

void ir_copy_attrs(Node *to, const Node *from) {
    for (int i = 0; i < ir_attr_count(from->op); i++) to->attrs[i] = from->attrs[i];
}

int64_t attr_int(const Node *n, const char *attr) {
    return find(n, attr, 'i')->i;
}

double attr_float(const Node *n, const char *attr) {
    return find(n, attr, 'f')->f;
}

bool attr_bool(const Node *n, const char *attr) {
    return find(n, attr, 'b')->b;
}

TnDType attr_dtype(const Node *n, const char *attr) {
    return find(n, attr, 't')->t;
}

const char *attr_string(const Node *n, const char *attr) {
    return find(n, attr, 's')->s;
}

const Expr *attr_dim(const Node *n, const char *attr) {
    return find(n, attr, 'd')->d;
}

const DimList *attr_dims(const Node *n, const char *attr) {
    return find(n, attr, 'D')->D;
}

const IntList *attr_ints(const Node *n, const char *attr) {
    return find(n, attr, 'I')->I;
}

const ExprList *attr_exprs(const Node *n, const char *attr) {
    return find(n, attr, 'E')->E;
}

const MapBody *attr_body(const Node *n, const char *attr) {
    return find(n, attr, 'm')->m;
}

Graph *attr_graph(const Node *n, const char *attr) {
    return find(n, attr, 'g')->g;
}

static bool are_numbers(const Expr *const *e, int count) {
    int64_t v;
    for (int i = 0; i < count; i++)
        if (!ex_const(e[i], &v)) return false;
    return true;
}

bool ir_attrs_known(const Node *n) {
    for (int i = 0; i < ir_attr_count(n->op); i++) {
        const Attr *a = &n->attrs[i];
        switch (ir_attr_info(n->op, i)->kind) {
        case 'd':
            if (!are_numbers(&a->d, 1)) return false;
            break;
        case 'D':
            if (!are_numbers(a->D->e, a->D->count)) return false;
            break;
        case 'E':
            if (!are_numbers(a->E->e, a->E->count)) return false;
            break;
        default: break;
        }
    }
    return true;
}
