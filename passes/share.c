/* share: equal constants become one, a matrix and its transpose too.
 *
 *     %1 = gather %emb, %ids                    %1 = gather %emb, %ids
 *     %2 = matmul %x, %emb_t             =>     %2 = matmul %x, %emb {tb=1}
 *
 * Exporters write the output projection of a language model as the transposed embedding and shared
 * layers once per repetition. Candidates are found by what a transposition keeps: type, size, first
 * and last element; then every element is compared. Only products can read a matrix transposed, so
 * of a pair the one that nothing but products reads is replaced. What graphs before this one read
 * is shared too, so the functions of a plan have their weights once. */
#include "ir/build.h"
#include "passes/pass.h"

#include <string.h>

#define MIN_TRANSPOSED_BYTES 256 /* below, two forms cost less than reading the wrong one */

typedef struct Shared {
    Constant **slots; /* representatives, by fingerprint */
    size_t mask;
} Shared;

/* Of size, type, first and last element, which a transposition keeps. */
static uint64_t fingerprint(const Constant *c) {
    size_t size = tn_dtype_size(c->dtype);
    unsigned char key[32] = {0};
    uint64_t h = 0;
    memcpy(key, &c->bytes, sizeof c->bytes);
    key[8] = (unsigned char)c->dtype;
    if (c->bytes >= size && size <= 8) {
        memcpy(key + 16, c->data, size);
        memcpy(key + 24, (const unsigned char *)c->data + c->bytes - size, size);
    }
    for (size_t i = 0; i < sizeof key; i++) h = (h ^ key[i]) * 0x100000001b3u;
    return h ^ h >> 32;
}

static bool same_shape(const Constant *a, const Constant *b) {
    if (a->dtype != b->dtype || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

static bool is_transpose(const Constant *a, const Constant *b) {
    if (a->rank != 2 || b->rank != 2 || a->dtype != b->dtype || a->bytes < MIN_TRANSPOSED_BYTES)
        return false;
    int64_t rows = a->dims[0], columns = a->dims[1];
    if (b->dims[0] != columns || b->dims[1] != rows) return false;
    size_t size = tn_dtype_size(a->dtype);
    const unsigned char *p = a->data, *q = b->data;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            if (memcmp(p + (size_t)(i * columns + j) * size, q + (size_t)(j * rows + i) * size,
                       size))
                return false;
    return true;
}

static Value *value_in(Graph *g, const Constant *c) {
    return c->id < g->constant_capacity ? g->constant_values[c->id] : NULL;
}

/* Only f32 products become panels that can be read both ways; every use must be a product's second
 * operand. */
static bool only_products(const Value *v) {
    if (!v || ir_is_output(v)) return false;
    for (int i = 0; i < v->use_count; i++)
        if (v->uses[i].node->op != OP_matmul || v->uses[i].index != 1) return false;
    return true;
}

static bool used(const Value *v) {
    return v && (v->use_count || ir_is_output(v));
}

/* Products that read `from` read `to`, its transpose, instead. */
static void read_transposed(Graph *g, Value *from, Value *to) {
    while (from->use_count) {
        Node *n = from->uses[0].node;
        ir_edit_begin(g, n, &n, 1);
        Value *y = ir_matmul(g, n->inputs[0], to, attr_bool(n, "ta"), !attr_bool(n, "tb"));
        ir_edit_end(g);
        ir_replace(n->outputs[0], y);
        ir_remove(n);
    }
}

/* What became of a constant that is compared with one met before. */
typedef enum Outcome { DIFFERENT, REPLACED, REPLACES } Outcome;

static Outcome compare(Graph *g, Constant *first, Constant *c) {
    Value *v = value_in(g, c), *w = value_in(g, first);
    if (same_shape(first, c) && !memcmp(first->data, c->data, c->bytes)) {
        ir_replace(v, ir_constant(g, first));
        return REPLACED;
    }
    bool second = only_products(v), other = used(w) && only_products(w);
    if ((!second && !other) || !is_transpose(first, c)) return DIFFERENT;
    if (second)
        read_transposed(g, v, ir_constant(g, first));
    else
        read_transposed(g, w, v);
    return second ? REPLACED : REPLACES;
}

/* By a graph that comes before this one. */
static bool used_before(Graph *g, const Constant *c) {
    for (Graph *h = g->module->graphs; h != g; h = h->next)
        if (used(value_in(h, c))) return true;
    return false;
}

static void add(Shared *s, Constant *c) {
    size_t i = fingerprint(c) & s->mask;
    while (s->slots[i]) i = (i + 1) & s->mask;
    s->slots[i] = c;
}

bool pass_share(Graph *g, Report *r) {
    Module *m = g->module;
    Shared s = {.mask = 63};
    size_t count = 0;
    for (Constant *c = m->constants; c; c = c->next)
        count += used(value_in(g, c)) || used_before(g, c);
    while (s.mask < 2 * count) s.mask = 2 * s.mask + 1;
    s.slots = ARENA_ARRAY(&m->cx->arena, Constant *, s.mask + 1);
    bool changed = false;
    for (Constant *c = m->constants; c; c = c->next)
        if (!used(value_in(g, c)) && used_before(g, c)) add(&s, c);
    for (Constant *c = m->constants; c; c = c->next) {
        if (!used(value_in(g, c))) continue;
        Outcome o = DIFFERENT;
        size_t i = fingerprint(c) & s.mask;
        for (; s.slots[i] && s.slots[i] != c; i = (i + 1) & s.mask) {
            if (s.slots[i]->bytes == c->bytes) o = compare(g, s.slots[i], c);
            if (o != DIFFERENT) break;
        }
        if (o != REPLACED) s.slots[i] = c;
        if (o == DIFFERENT) continue;
        report_fired(r, "share");
        changed = true;
    }
    return changed;
}
