/* bfloat: which values become bf16.
 *
 * A value of f32 becomes bf16 if its producer can write it and all its readers can read it
 * (bfloat.def), if it is neither an input nor a result of the graph, and if it lies on the way from
 * one product to the next: it is computed from a product's result or read by a product, and a
 * product follows. So masks, positions and angles, which are computed from lengths and indices,
 * keep their bits, and so does what has numbers that bf16 rounds to infinity added or put in their
 * place.
 *
 * Operators that only move elements tie their operands and results to one type: a class. What an
 * elementwise operator hands to its only reader, another one, is never stored and stays f32. */
#include <math.h>
#include <string.h>
#include "passes/bfloat.h"
#include "passes/winograd.h"

#define LARGE 1e30 /* numbers that stand for infinity in masks */
#define GROUP 16   /* channels of a group, and results, that make a product */

typedef struct Row {
    const char *operands, *results;
} Row;

static const Row rows[OP_COUNT] = {
#define BF16(name, operands, results) [OP_##name] = {operands, results},
#include "passes/bfloat.def"
#undef BF16
};

static bool elementwise(const Node *n) {
    return ir_op_info(n->op)->flags & OPF_ELEMENTWISE;
}

static char letter(const char *letters, int i) {
    int last = (int)strlen(letters) - 1;
    return letters[i < last ? i : last];
}

/* A convolution in small groups multiplies in f32; one whose weights are computed is f32 as a
 * whole. */
static bool in_groups(const Node *n) {
    if (n->op != OP_conv || attr_int(n, "groups") == 1) return false;
    const Constant *w = n->inputs[1]->constant;
    return !w || w->dims[1] < GROUP || w->dims[0] / attr_int(n, "groups") < GROUP;
}

/* One that Winograd's filtering leaves a quarter of the multiplications is faster in f32, too, and
 * rounds far less than bf16 does. */
static bool filters_tiles(const Node *n) {
    return n->op == OP_conv && winograd_choose(n, true) == WINOGRAD_4;
}

static bool computed_weight(const Node *n) {
    return n->op == OP_conv && !n->inputs[1]->constant;
}

char bfloat_operand(const Node *n, int i) {
    const Row *row = &rows[n->op];
    if (elementwise(n)) return 'e';
    if (!row->operands || computed_weight(n)) return 'f';
    char c = letter(row->operands, i);
    if ((in_groups(n) || filters_tiles(n)) && (c == 'm' || c == 'w')) return c == 'm' ? 'e' : 'f';
    return c != 'w' || (n->inputs[i] && n->inputs[i]->type.rank > 1) ? c : 'f';
}

char bfloat_result(const Node *n, int i) {
    const Row *row = &rows[n->op];
    if (elementwise(n)) return 'e';
    return row->results && !computed_weight(n) ? letter(row->results, i) : 'f';
}

bool bfloat_is_product(const Node *n) {
    return rows[n->op].operands && rows[n->op].operands[0] == 'm';
}

/* --- classes --- */

static uint32_t root(const Bfloat *b, uint32_t id) {
    while (b->parent[id] != id) id = b->parent[id] = b->parent[b->parent[id]];
    return id;
}

static void keep_f32(Bfloat *b, const Value *v, const char *why) {
    const char **old = &b->f32[root(b, v->id)];
    if (!*old) *old = why;
}

static void unite(Bfloat *b, const Value *v, const Value *with) {
    uint32_t from = root(b, v->id), to = root(b, with->id);
    if (from == to) return;
    b->parent[from] = to;
    b->wanted[to] |= b->wanted[from];
    b->outside[to] |= b->outside[from];
    if (!b->f32[to]) b->f32[to] = b->f32[from];
}

static bool is_f32(const Value *v) {
    return v && !v->constant && v->type.dtype == TN_F32;
}

/* --- looking at the graph --- */

static bool is_large(const Value *v) {
    double x;
    if (v->type.dtype != TN_F32) return false;
    if (v->constant && ir_constant_float(v, &x)) return fabs(x) >= LARGE;
    return v->facts.choice && (fabs(v->facts.yes) >= LARGE || fabs(v->facts.no) >= LARGE);
}

static bool meets_large(const Node *n) {
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i] && is_large(n->inputs[i])) return true;
    return false;
}

/* Whether the value is only a step of its reader's map. */
static bool is_step(const Node *n, const Value *v) {
    if (!elementwise(n) || !ir_single_use(v)) return false;
    const Node *reader = v->uses[0].node;
    return elementwise(reader) && ir_same_dims(&v->type, &reader->outputs[0]->type);
}

static const char *works_in_f32(const Graph *g, const Node *n) {
    return arena_printf(&g->module->cx->arena, "%s works in f32", ir_op_info(n->op)->name);
}

static void tie(Bfloat *b, const Value *v, char letter, const Value **same) {
    if (letter != '1') return;
    if (*same) unite(b, v, *same);
    *same = v;
}

/* Rows of a constant table are data: they were learned as weights are. */
static bool looks_up(const Node *n) {
    return n->op == OP_gather && n->inputs[0]->constant;
}

static bool any(const Node *n, const bool *of_value) {
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i] && of_value[n->inputs[i]->id]) return true;
    return false;
}

static void look_at_operands(Bfloat *b, const Node *n, const Value **same) {
    bool product = bfloat_is_product(n) && any(n, b->data);
    for (int i = 0; i < n->input_count; i++) {
        const Value *v = n->inputs[i];
        if (!is_f32(v)) continue;
        char c = bfloat_operand(n, i);
        if (c == 'f' || c == 'w') keep_f32(b, v, works_in_f32(b->g, n));
        tie(b, v, c, same);
        if (product) b->wanted[root(b, v->id)] = true;
    }
}

/* Whether the value is part of the stream past the layers of a model, in which roundings would add
 * up, layer by layer: it is added to what follows, or norms are all that reads it. A product that
 * reads it too has it cast. (Rows of a table, with which a stream begins, are rounded where weights
 * are, once.) */
static bool is_stream(const Value *v) {
    bool normed = true;
    for (int i = 0; i < v->use_count; i++) {
        const Node *reader = v->uses[i].node;
        int at = v->uses[i].index;
        if ((reader->op == OP_add_norm && at < 2) || (reader->op == OP_linear && at == 3))
            return true;
        normed &= reader->op == OP_layer_norm || reader->op == OP_rms_norm;
    }
    return normed;
}

/* Marks the values from which a product follows. What becomes of the others is a result, whose
 * spread may be far smaller than its size. */
static void look_ahead(Bfloat *b, const Graph *g) {
    for (const Node *n = g->last; n; n = n->prev) {
        bool ahead = bfloat_is_product(n) || ir_op_info(n->op)->flags & OPF_CONTROL;
        for (int i = 0; i < n->output_count; i++) ahead |= b->ahead[n->outputs[i]->id];
        for (int i = 0; i < n->input_count && ahead; i++)
            if (n->inputs[i]) b->ahead[n->inputs[i]->id] = true;
    }
}

static void look_at_results(Bfloat *b, const Node *n, const Value **same) {
    bool data = looks_up(n) || any(n, b->data);
    bool from = looks_up(n) || any(n, b->from_products) || (bfloat_is_product(n) && data);
    for (int i = 0; i < n->output_count; i++) {
        const Value *v = n->outputs[i];
        bool is_float = tn_is_float(v->type.dtype);
        b->from_products[v->id] = from && is_float;
        b->data[v->id] = data && is_float;
        if (!is_f32(v)) continue;
        char c = bfloat_result(n, i);
        if (c == 'f') keep_f32(b, v, works_in_f32(b->g, n));
        if (ir_is_output(v)) keep_f32(b, v, "it is a result of the graph");
        if (elementwise(n) && meets_large(n)) keep_f32(b, v, "it may hold numbers beyond bf16's");
        if (is_step(n, v) || !v->use_count) keep_f32(b, v, "it is never stored");
        if (!b->ahead[v->id]) keep_f32(b, v, "no product follows");
        if (is_stream(v) && !looks_up(n)) keep_f32(b, v, "roundings would add up");
        tie(b, v, c, same);
        if (from) b->wanted[root(b, v->id)] = true;
    }
}

bool bfloat_chosen(const Bfloat *b, const Value *v) {
    if (!is_f32(v) || v->id >= b->count) return false;
    uint32_t class = root(b, v->id);
    return b->wanted[class] && !b->f32[class];
}

/* A past that comes in is multiplied as it is, rather than cast as a whole in every step. */
static bool is_past(const Bfloat *b, const Node *n, int i) {
    return (n->op == OP_attention || n->op == OP_matmul) && !n->inputs[i]->constant &&
           b->outside[root(b, n->inputs[i]->id)];
}

static bool multiplies(const Bfloat *b, const Node *n, const char **why) {
    *why = "it computes places, not data";
    if (!any(n, b->data)) return false;
    for (int i = 0; i < n->input_count; i++) {
        const Value *v = n->inputs[i];
        char c = bfloat_operand(n, i);
        if (!v || (c != 'm' && !(i == 0 && bfloat_is_product(n)))) continue;
        *why = "its operands are no f32";
        if (v->type.dtype != TN_F32) return false;
        *why = in_groups(n)       ? "it is in small groups"
               : filters_tiles(n) ? "it is faster in f32"
                                  : "its weights are computed";
        if (c != 'm') return false;
        *why = "an operand is an input of the graph";
        if (is_past(b, n, i)) return false;
    }
    *why = NULL;
    return true;
}

Bfloat bfloat_choose(Graph *g) {
    Arena *a = &g->module->cx->arena;
    Bfloat b = {.g = g, .count = g->module->value_count};
    b.parent = ARENA_ARRAY(a, uint32_t, b.count + 1);
    b.f32 = ARENA_ARRAY(a, const char *, b.count + 1);
    b.wanted = ARENA_ARRAY(a, bool, b.count + 1);
    b.outside = ARENA_ARRAY(a, bool, b.count + 1);
    b.from_products = ARENA_ARRAY(a, bool, b.count + 1);
    b.data = ARENA_ARRAY(a, bool, b.count + 1);
    b.ahead = ARENA_ARRAY(a, bool, b.count + 1);
    b.multiplies = ARENA_ARRAY(a, bool, g->module->node_id + 1);
    for (uint32_t i = 0; i < b.count; i++) b.parent[i] = i;
    for (int i = 0; i < g->input_count; i++) {
        const Value *v = g->inputs[i];
        keep_f32(&b, v, "it is an input of the graph");
        b.outside[v->id] = true;
        b.data[v->id] = tn_is_float(v->type.dtype);
    }
    look_ahead(&b, g);
    for (const Node *n = g->first; n; n = n->next) {
        const Value *same = NULL;
        look_at_operands(&b, n, &same);
        look_at_results(&b, n, &same);
    }
    const char *why;
    for (const Node *n = g->first; n; n = n->next)
        b.multiplies[n->id] = bfloat_is_product(n) && multiplies(&b, n, &why);
    return b;
}

const char *bfloat_why(const Bfloat *b, const Node *n) {
    const char *why = NULL;
    if (bfloat_is_product(n) && multiplies(b, n, &why)) return NULL;
    for (int i = 0; i < n->input_count + n->output_count; i++) {
        const Value *v = i < n->input_count ? n->inputs[i] : n->outputs[i - n->input_count];
        if (!is_f32(v)) continue;
        if (bfloat_chosen(b, v)) return NULL;
        const char *of_class = b->f32[root(b, v->id)];
        if (!why) why = of_class ? of_class : "no product is near";
    }
    return why;
}
