/* Symbolic expressions: hash-consing, symbols and atoms.
 *
 * Invariants: a Mono, Atom, Expr or Pred exists once per content, so pointers compare as values.
 * Ids count up in order of creation and are the only order used; addresses never decide anything.
 * Everything lives in cx->arena and is never changed except for memos.
 *
 *     ex_add(x, s, ex_int(x, 0)) == s
 */
#include "ir/expr_internal.h"

#include <string.h>

uint64_t ex_hash(uint64_t h, uint64_t v) {
    h ^= v + UINT64_C(0x9e3779b97f4a7c15) + (h << 6) + (h >> 2);
    h ^= h >> 30;
    h *= UINT64_C(0xbf58476d1ce4e5b9);
    return h ^ (h >> 27);
}

uint64_t ex_hash_name(const char *name) {
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (; *name; name++) h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return h;
}

/* --- tables: open addressing; the caller compares contents --- */

static void table_grow(ExprCx *x, Table *t) {
    size_t capacity = t->capacity ? t->capacity * 2 : 256;
    Slot *slots = ARENA_ARRAY(&x->cx->arena, Slot, capacity);
    for (size_t i = 0; i < t->capacity; i++) {
        if (!t->slots[i].item) continue;
        size_t at = t->slots[i].hash & (capacity - 1);
        while (slots[at].item) at = (at + 1) & (capacity - 1);
        slots[at] = t->slots[i];
    }
    t->slots = slots;
    t->capacity = capacity;
}

typedef bool SameFn(const void *item, const void *key);

/* The item with this hash that is `same` as key, or the free slot for it. */
static Slot *table_find(ExprCx *x, Table *t, uint64_t hash, SameFn *same, const void *key) {
    if (t->used * 2 >= t->capacity) table_grow(x, t);
    size_t at = hash & (t->capacity - 1);
    while (t->slots[at].item && !(t->slots[at].hash == hash && same(t->slots[at].item, key)))
        at = (at + 1) & (t->capacity - 1);
    return &t->slots[at];
}

static void table_set(Table *t, Slot *slot, uint64_t hash, void *item) {
    *slot = (Slot){hash, item};
    t->used++;
}

/* --- limits --- */

void ex_too_large(ExprCx *x) {
    if (!x->quiet) tn_fail(x->cx, TN_E_LIMIT, "symbolic size overflows 64 bits");
    x->overflowed = true;
}

static void check_traits(ExprCx *x, const Traits *t) {
    if (t->depth > EX_MAX_DEPTH)
        tn_fail(x->cx, TN_E_LIMIT, "symbolic size is nested more than %d deep", EX_MAX_DEPTH);
    if (t->size > EX_MAX_SIZE)
        tn_fail(x->cx, TN_E_LIMIT, "symbolic size has more than %d parts", EX_MAX_SIZE);
}

void traits_join(Traits *t, const Traits *o) {
    t->kinds |= o->kinds;
    t->axes |= o->axes;
    t->size = o->size > INT32_MAX - t->size ? INT32_MAX : t->size + o->size;
    if (o->depth > t->depth) t->depth = o->depth;
    if (o->known_after > t->known_after) t->known_after = o->known_after;
}

/* --- products --- */

typedef struct MonoKey {
    const Atom *const *atoms;
    int degree;
} MonoKey;

static bool mono_same(const void *item, const void *key) {
    const Mono *m = item;
    const MonoKey *k = key;
    if (m->degree != k->degree) return false;
    for (int i = 0; i < m->degree; i++)
        if (m->atoms[i] != k->atoms[i]) return false;
    return true;
}

const Mono *mono_intern(ExprCx *x, const Atom *const *atoms, int degree) {
    uint64_t hash = ex_hash(11, (uint64_t)degree);
    for (int i = 0; i < degree; i++) hash = ex_hash(hash, atoms[i]->hash);
    MonoKey key = {atoms, degree};
    Slot *slot = table_find(x, &x->monos, hash, mono_same, &key);
    if (slot->item) return slot->item;
    Mono *m = arena_alloc(&x->cx->arena, sizeof(Mono) + (size_t)degree * sizeof(Atom *));
    m->hash = hash;
    m->degree = degree;
    for (int i = 0; i < degree; i++) m->atoms[i] = atoms[i];
    table_set(&x->monos, slot, hash, m);
    return m;
}

/* --- expressions --- */

typedef struct ExprKey {
    const Term *terms;
    int count;
} ExprKey;

static bool expr_same(const void *item, const void *key) {
    const Expr *e = item;
    const ExprKey *k = key;
    if (e->count != k->count) return false;
    for (int i = 0; i < e->count; i++) {
        const Term *a = &e->terms[i], *b = &k->terms[i];
        if (a->atoms != b->atoms || a->coef.num != b->coef.num || a->coef.den != b->coef.den)
            return false;
    }
    return true;
}

const Expr *expr_intern(ExprCx *x, const Term *terms, int count) {
    if (count > EX_MAX_TERMS) {
        ex_too_large(x);
        return x->zero;
    }
    uint64_t hash = ex_hash(13, (uint64_t)count);
    for (int i = 0; i < count; i++) {
        hash = ex_hash(hash, (uint64_t)terms[i].coef.num);
        hash = ex_hash(hash, (uint64_t)terms[i].coef.den ^ term_mono(&terms[i])->hash);
    }
    ExprKey key = {terms, count};
    Slot *slot = table_find(x, &x->exprs, hash, expr_same, &key);
    if (slot->item) return slot->item;
    ExprNode *e = ARENA_NEW(&x->cx->arena, ExprNode);
    e->pub = (Expr){.id = x->expr_count++, .count = count, .hash = hash};
    if (count) e->pub.terms = arena_copy(&x->cx->arena, terms, (size_t)count * sizeof(Term));
    for (int i = 0; i < count; i++)
        for (int k = 0; k < terms[i].degree; k++)
            traits_join(&e->has, &atom_node(terms[i].atoms[k])->has);
    table_set(&x->exprs, slot, hash, e);
    return &e->pub;
}

/* --- atoms --- */

static bool atom_same(const void *item, const void *key) {
    const Atom *a = item, *k = key;
    if (a->kind != k->kind || a->number != k->number || a->arity != k->arity ||
        a->pred != k->pred || a->leaf != k->leaf)
        return false;
    for (int i = 0; i < a->arity; i++)
        if (a->args[i] != k->args[i]) return false;
    return true;
}

static Traits atom_traits(const Atom *a) {
    Traits t = {.kinds = 1u << a->kind, .size = 1};
    if (a->kind == ATOM_COORD) t.axes = UINT64_C(1) << (a->number < 63 ? a->number : 63);
    for (int i = 0; i < a->arity; i++) {
        const Traits *o = &expr_node(a->args[i])->has;
        if (a->kind != ATOM_COORD)
            traits_join(&t, o);
        else if (o->depth > t.depth)
            t.depth = o->depth;
    }
    if (a->pred) traits_join(&t, &pred_node(a->pred)->has);
    t.depth++;
    return t;
}

const Atom *atom_intern(ExprCx *x, const Atom *key) {
    uint64_t hash = ex_hash(ex_hash(17, (uint64_t)key->kind), (uint64_t)key->number);
    for (int i = 0; i < key->arity; i++) hash = ex_hash(hash, key->args[i]->hash);
    if (key->pred) hash = ex_hash(hash, key->pred->hash);
    if (key->leaf) hash = ex_hash(hash, (uintptr_t)key->leaf);
    Slot *slot = table_find(x, &x->atoms, hash, atom_same, key);
    if (slot->item) return slot->item;
    AtomNode *a = ARENA_NEW(&x->cx->arena, AtomNode);
    a->pub = *key;
    a->pub.id = x->atom_count++;
    a->pub.hash = hash;
    if (key->arity)
        a->pub.args = arena_copy(&x->cx->arena, key->args, (size_t)key->arity * sizeof(*key->args));
    a->has = atom_traits(&a->pub);
    if (key->kind == ATOM_SYMBOL && x->symbols[key->number]->pub.measured)
        a->has.known_after = key->number + 1;
    check_traits(x, &a->has);
    table_set(&x->atoms, slot, hash, a);
    const Atom *self = &a->pub;
    a->itself = poly_term(x, (Rational){1, 1}, mono_intern(x, &self, 1));
    return self;
}

const Expr *atom_expr(ExprCx *x, const Atom *a) {
    AtomNode *n = (AtomNode *)a;
    if (!n->replacement || n->busy) return n->itself;
    n->busy = true;
    const Expr *e = ex_norm(x, n->replacement);
    n->busy = false;
    return e;
}

const Expr *atom_of(ExprCx *x, AtomKind kind, const Expr *const *args, int arity, const Pred *p) {
    Atom key = {.kind = kind, .args = args, .arity = arity, .pred = p};
    AtomNode *a = (AtomNode *)atom_intern(x, &key);
    const Expr *e = atom_expr(x, &a->pub);
    a->norm = (Memo){x->generation, e};
    return e;
}

/* --- predicates --- */

static bool pred_same(const void *item, const void *key) {
    const Pred *p = item, *k = key;
    if (p->kind != k->kind || p->expr != k->expr || p->count != k->count) return false;
    for (int i = 0; i < p->count; i++)
        if (p->args[i] != k->args[i]) return false;
    return true;
}

const Pred *pred_intern(ExprCx *x, PredKind kind, const Expr *e, const Pred *const *args,
                        int count) {
    uint64_t hash = ex_hash(ex_hash(19, (uint64_t)kind), e ? e->hash : 0);
    for (int i = 0; i < count; i++) hash = ex_hash(hash, args[i]->hash);
    Pred key = {.kind = kind, .expr = e, .args = args, .count = count};
    Slot *slot = table_find(x, &x->preds, hash, pred_same, &key);
    if (slot->item) return slot->item;
    PredNode *p = ARENA_NEW(&x->cx->arena, PredNode);
    p->pub = key;
    p->pub.id = x->pred_count++;
    p->pub.hash = hash;
    if (count) p->pub.args = arena_copy(&x->cx->arena, args, (size_t)count * sizeof(*args));
    p->has.size = 1;
    if (e) traits_join(&p->has, &expr_node(e)->has);
    for (int i = 0; i < count; i++) traits_join(&p->has, &pred_node(args[i])->has);
    p->has.depth++;
    check_traits(x, &p->has);
    table_set(&x->preds, slot, hash, p);
    return &p->pub;
}

/* --- results of costly operations; a new generation makes them stale --- */

static CacheEntry *cache_slot(ExprCx *x, AtomKind op, const Expr *a, const Expr *b) {
    return &x->cache[ex_hash(ex_hash((uint64_t)op, a->id), b->id) & (EX_CACHE - 1)];
}

const Expr *cache_get(ExprCx *x, AtomKind op, const Expr *a, const Expr *b) {
    const CacheEntry *c = cache_slot(x, op, a, b);
    bool hit = c->generation == x->generation && c->op == op && c->a == a && c->b == b;
    return hit ? c->result : NULL;
}

const Expr *cache_put(ExprCx *x, AtomKind op, const Expr *a, const Expr *b, const Expr *result) {
    *cache_slot(x, op, a, b) = (CacheEntry){x->generation, op, a, b, result};
    return result;
}

/* --- context and symbols --- */

ExprCx *ex_new(Cx *cx) {
    ExprCx *x = ARENA_NEW(&cx->arena, ExprCx);
    x->cx = cx;
    x->generation = 1;
    x->unit = mono_intern(x, NULL, 0);
    x->zero = expr_intern(x, NULL, 0);
    x->one = poly_int(x, 1);
    x->truth[0] = pred_intern(x, PRED_FALSE, NULL, NULL, 0);
    x->truth[1] = pred_intern(x, PRED_TRUE, NULL, NULL, 0);
    return x;
}

static bool symbol_same(const void *item, const void *key) {
    const SymbolNode *s = item;
    return strcmp(s->pub.name, key) == 0;
}

/* The symbol of this name, made like `model` if there is none. */
static const Symbol *find_or_make(ExprCx *x, const char *name, Symbol model) {
    uint64_t hash = ex_hash_name(name);
    Slot *slot = table_find(x, &x->names, hash, symbol_same, name);
    SymbolNode *s = slot->item;
    if (s) return &s->pub;
    s = ARENA_NEW(&x->cx->arena, SymbolNode);
    s->pub = model;
    s->pub.name = arena_strdup(&x->cx->arena, name);
    s->hash = hash;
    table_set(&x->names, slot, hash, s);
    x->symbols = arena_grow(&x->cx->arena, x->symbols, &x->symbol_capacity, x->symbol_count + 1,
                            sizeof(*x->symbols));
    Atom key = {.kind = ATOM_SYMBOL, .number = (int32_t)x->symbol_count};
    x->symbols[x->symbol_count++] = s;
    s->pub.atom = atom_intern(x, &key);
    return &s->pub;
}

const Expr *ex_symbol(ExprCx *x, const char *name) {
    return atom_expr(x, find_or_make(x, name, (Symbol){.max = INT64_MAX})->atom);
}

const Expr *ex_measured(ExprCx *x, const char *name, int64_t min, int64_t max) {
    if (min == max && !ex_find_symbol(x, name)) return ex_int(x, min);
    const Symbol *s = find_or_make(x, name, (Symbol){.min = min, .max = max, .measured = true});
    if (!s->measured) tn_fail(x->cx, TN_E_MODEL, "%s is a length of an input", name);
    return atom_expr(x, s->atom);
}

int ex_symbol_count(const ExprCx *x) {
    return (int)x->symbol_count;
}

const Symbol *ex_symbol_at(const ExprCx *x, int i) {
    return &x->symbols[i]->pub;
}

const Symbol *ex_find_symbol(const ExprCx *x, const char *name) {
    if (!x->names.capacity) return NULL;
    uint64_t hash = ex_hash_name(name);
    for (size_t at = hash & (x->names.capacity - 1); x->names.slots[at].item;
         at = (at + 1) & (x->names.capacity - 1)) {
        const SymbolNode *s = x->names.slots[at].item;
        if (s->hash == hash && strcmp(s->pub.name, name) == 0) return &s->pub;
    }
    return NULL;
}

const Expr *ex_coord(ExprCx *x, int axis, const Expr *extent) {
    extent = ex_norm(x, extent);
    if (extent == x->one) return x->zero;
    Atom key = {.kind = ATOM_COORD, .number = axis, .args = &extent, .arity = 1};
    return atom_expr(x, atom_intern(x, &key));
}

const Expr *ex_load(ExprCx *x, const void *leaf, const Expr *const *index, int n) {
    const Expr *args[EX_MAX_ARGS];
    if (n > EX_MAX_ARGS) tn_fail(x->cx, TN_E_LIMIT, "%d indices of one element", n);
    for (int i = 0; i < n; i++) args[i] = ex_norm(x, index[i]);
    Atom key = {.kind = ATOM_LOAD, .args = args, .arity = n, .leaf = leaf};
    return atom_expr(x, atom_intern(x, &key));
}
