/* Attributes: typed access by name, comparing, and what is missing.
 *
 * Words of ':s' attributes are those of the table (attrs_table.c): an attribute set to "gelu" holds
 * the table's "gelu". A required integer that was not set is ATTR_UNSET; every other required kind
 * is NULL or TN_NONE, which for a dtype may also be the default, `none`. */
#include "ir/attrs.h"

#include <assert.h>
#include <string.h>
#include "ir/infer.h"

int ir_attr_count(OpKind op) {
    return attrs_row(op)->count;
}

const AttrInfo *ir_attr_info(OpKind op, int i) {
    const AttrRow *row = attrs_row(op);
    assert(i >= 0 && i < row->count);
    return &row->attrs[i];
}

Attr *attrs_default(Module *m, OpKind op) {
    const AttrRow *row = attrs_row(op);
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
    const AttrRow *row = attrs_row(n->op);
    for (int i = 0; i < row->count; i++) {
        const Attr *a = &n->attrs[i];
        bool missing = false;
        switch (row->attrs[i].kind) {
        case 'i': missing = a->i == ATTR_UNSET; break;
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
    const AttrRow *row = attrs_row(n->op);
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
    const char *const *w = attrs_row(n->op)->words[a - n->attrs];
    while (*w && strcmp(*w, s) != 0) w++;
    if (!*w)
        tn_fail(n->graph->module->cx, TN_E_MODEL, "attribute '%s' cannot be '%s'; it is one of %s",
                attr, s, attrs_row(n->op)->attrs[a - n->attrs].words);
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
