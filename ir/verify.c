/* Checks what always holds of a graph ("What always holds" in docs/ir.md).
 *
 * Nothing is repaired and nothing is assumed: the checks go from the list of nodes to what hangs
 * off it. Inferring types again raises, naming the node, where a shape rule would not accept the
 * node any more. */
#include "ir/infer.h"
#include "ir/ir.h"
#include "ir/map.h"
#include "ir/symbols.h"
#include "runtime/base/checked.h"

#include <string.h>

typedef struct Verifier {
    Graph *g;
    Arena *arena;
    int *uses;     /* by value id: operand slots that hold the value */
    int *results;  /* by value id: results of the graph that are the value */
    bool *defined; /* by value id: a node seen so far computes it */
    bool *open;    /* by symbol number: it is to be measured, but no node so far does */
    uint32_t values;
} Verifier;

static const char *about(const Node *n, const char *what) {
    return arena_printf(&n->graph->module->cx->arena, "%s: %s", what, ir_print_node(n));
}

/* --- attributes --- */

static bool is_static_expr(const Expr *e) {
    return e && !ex_mentions(e, ATOM_COORD) && !ex_mentions(e, ATOM_LOAD);
}

static bool are_static_exprs(const Expr *const *e, int n) {
    for (int i = 0; i < n; i++)
        if (!is_static_expr(e[i])) return false;
    return true;
}

/* Whether `s` is one of the words of "relu|gelu|silu". */
static bool is_word_of(const char *s, const char *words) {
    size_t n = s ? strlen(s) : 0;
    for (const char *w = words; n && w; w = strchr(w, '|') ? strchr(w, '|') + 1 : NULL)
        if (!strncmp(w, s, n) && (w[n] == '|' || !w[n])) return true;
    return false;
}

static bool attr_ok(const AttrInfo *info, const Attr *a) {
    switch (info->kind) {
    case 't': return a->t >= TN_NONE + !info->has_default && a->t < TN_DTYPE_COUNT;
    case 's': return is_word_of(a->s, info->words);
    case 'd': return is_static_expr(a->d);
    case 'D': return a->D && are_static_exprs(a->D->e, a->D->count);
    case 'E': return a->E && are_static_exprs(a->E->e, a->E->count);
    case 'I': return a->I && a->I->count <= 2 * TN_MAX_RANK;
    case 'm': return a->m && a->m->count > 0;
    case 'g': return a->g && a->g->internal;
    default: return true;
    }
}

static bool comes_before(const Graph *g, const Graph *caller) {
    const Graph *k = caller->module->graphs;
    while (k && k != g && k != caller) k = k->next;
    return k == g;
}

static const char *check_attrs(const Node *n) {
    for (int i = 0; i < ir_attr_count(n->op); i++)
        if (!attr_ok(ir_attr_info(n->op, i), &n->attrs[i])) return about(n, "bad attribute");
    for (int i = 0; i < ir_attr_count(n->op); i++)
        if (ir_attr_info(n->op, i)->kind == 'g' && !comes_before(n->attrs[i].g, n->graph))
            return about(n, "a body does not come before its caller");
    const char *wrong = n->op == OP_map ? map_check(n) : NULL;
    return wrong ? about(n, wrong) : NULL;
}

/* --- operands and results --- */

static bool is_known(const Verifier *v, const Value *x) {
    if (x->id >= v->values) return false;
    if (x->constant)
        return x->constant->id < v->g->constant_capacity &&
               v->g->constant_values[x->constant->id] == x;
    if (x->graph != v->g) return false;
    if (x->node) return v->defined[x->id];
    return x->index >= 0 && x->index < v->g->input_count && v->g->inputs[x->index] == x;
}

static const char *check_operands(Verifier *v, const Node *n) {
    const OpInfo *info = ir_op_info(n->op);
    if (n->input_count < info->min_inputs ||
        (info->max_inputs >= 0 && n->input_count > info->max_inputs))
        return about(n, "wrong number of operands");
    for (int i = 0; i < n->input_count; i++) {
        const Value *x = n->inputs[i];
        if (!x && i < info->min_inputs) return about(n, "a required operand is absent");
        if (!x) continue;
        if (!is_known(v, x)) return about(n, "an operand is not computed before it is used");
        int slot = n->use_slots[i];
        if (slot < 0 || slot >= x->use_count || x->uses[slot].node != n || x->uses[slot].index != i)
            return about(n, "the use list of an operand lacks this use");
        v->uses[x->id]++;
    }
    return NULL;
}

static const char *check_results(Verifier *v, const Node *n) {
    Module *m = v->g->module;
    int wanted = ir_op_info(n->op)->outputs;
    if (wanted >= 0 && n->output_count != wanted) return about(n, "wrong number of results");
    for (int i = 0; i < n->output_count; i++) {
        const Value *y = n->outputs[i];
        if (y->node != n || y->index != i || y->graph != v->g || y->id >= v->values)
            return about(n, "a result does not know its node");
        if (v->defined[y->id]) return about(n, "a result is computed twice");
        v->defined[y->id] = true;
    }
    Node again = *n;
    tn_enter_node(m->cx, n->origin_count ? n->origins[0] : ir_op_info(n->op)->name,
                  ir_op_info(n->op)->name);
    infer_types(&again);
    tn_leave(m->cx);
    m->value_count = v->values; /* the values just inferred are gone */
    if (again.output_count != n->output_count) return about(n, "wrong number of results");
    for (int i = 0; i < n->output_count; i++) {
        const Type *was = &n->outputs[i]->type, *now = &again.outputs[i]->type;
        if (was->dtype != now->dtype || !ir_same_dims(was, now))
            return about(n, arena_printf(v->arena, "result %d is inferred to be %s", i,
                                         ir_type_text(m, now)));
    }
    return NULL;
}

/* --- measured symbols --- */

static void open_symbol(void *user, const Symbol *s) {
    ((bool *)user)[s->atom->number] = true;
}

static void close_symbol(void *user, const Symbol *s) {
    ((bool *)user)[s->atom->number] = false;
}

static void close_number(void *user, int symbol) {
    ((bool *)user)[symbol] = false;
}

/* Lengths that differ from call to call are symbols that a body's inputs give a value. */
static void close_inputs(Verifier *v, const Graph *g) {
    for (int i = 0; i < g->input_count; i++)
        for (int k = 0; k < g->inputs[i]->type.rank; k++)
            ir_each_symbol(g->inputs[i]->type.dims[k], close_number, v->open);
}

/* A graph that another one calls may use what that one measures. */
static void open_symbols(Verifier *v) {
    const Module *m = v->g->module;
    for (int i = 0; i < ex_symbol_count(m->ex); i++) v->open[i] = ex_symbol_at(m->ex, i)->measured;
    for (const Graph *g = m->graphs; g; g = g->next)
        for (const Node *n = g == v->g ? NULL : g->first; n; n = n->next)
            ir_each_measured(n, close_symbol, v->open);
    for (const Node *n = v->g->first; n; n = n->next) ir_each_measured(n, open_symbol, v->open);
    for (const Graph *g = v->g->internal ? m->graphs : NULL; g; g = g->next)
        if (g->internal) close_inputs(v, g);
}

typedef struct Early {
    const Verifier *v;
    const Symbol *symbol; /* one that is measured later, if any */
} Early;

static void find_early(void *user, int symbol) {
    Early *e = user;
    if (e->v->open[symbol]) e->symbol = ex_symbol_at(e->v->g->module->ex, symbol);
}

static void find_early_in(Early *e, const Expr *const *list, int n) {
    for (int i = 0; i < n; i++)
        if (ex_mentions_measured(list[i])) ir_each_symbol(list[i], find_early, e);
}

/* What a node and its results mention is measured by now. */
static const char *check_symbols(Verifier *v, const Node *n) {
    Early e = {.v = v};
    ir_each_measured(n, close_symbol, v->open);
    for (int i = 0; i < n->output_count; i++)
        find_early_in(&e, n->outputs[i]->type.dims, n->outputs[i]->type.rank);
    for (int i = 0; i < ir_attr_count(n->op); i++) {
        const Attr *a = &n->attrs[i];
        switch (ir_attr_info(n->op, i)->kind) {
        case 'd': find_early_in(&e, &a->d, 1); break;
        case 'D': find_early_in(&e, a->D->e, a->D->count); break;
        case 'E': find_early_in(&e, a->E->e, a->E->count); break;
        default: break;
        }
    }
    if (!e.symbol) return NULL;
    return about(n, arena_printf(v->arena, "%s is not measured before it is used", e.symbol->name));
}

static const char *check_node(Verifier *v, const Node *n, const Node *before) {
    if (n->graph != v->g || n->removed || n->prev != before)
        return about(n, "the node is not where the list says");
    const char *wrong = check_operands(v, n);
    if (!wrong) wrong = check_attrs(n);
    if (!wrong) wrong = check_symbols(v, n);
    return wrong ? wrong : check_results(v, n);
}

/* --- the rest --- */

static const char *check_constant(Verifier *v, const Constant *c) {
    int64_t count, bytes;
    bool ok = c->rank >= 0 && c->rank <= TN_MAX_RANK && c->dtype > TN_NONE &&
              c->dtype < TN_DTYPE_COUNT && c->data && tn_product(c->dims, c->rank, &count) &&
              tn_mul_i64(count, (int64_t)tn_dtype_size(c->dtype), &bytes) &&
              (size_t)bytes == c->bytes;
    return ok ? NULL
              : arena_printf(v->arena, "constant '%s' has no data of its type",
                             c->name ? c->name : "");
}

static const char *check_value(const Verifier *v, const Value *x) {
    if (v->uses[x->id] == x->use_count && v->results[x->id] == x->output_uses) return NULL;
    return arena_printf(v->arena, "value %u ('%s') is used %d times, its list says %d", x->id,
                        x->name ? x->name : "", v->uses[x->id] + v->results[x->id],
                        x->use_count + x->output_uses);
}

static const char *check_uses(const Verifier *v) {
    const char *wrong = NULL;
    const Graph *g = v->g;
    for (int i = 0; !wrong && i < g->input_count; i++) wrong = check_value(v, g->inputs[i]);
    for (size_t i = 0; !wrong && i < g->constant_capacity; i++)
        if (g->constant_values[i]) wrong = check_value(v, g->constant_values[i]);
    for (const Node *n = g->first; !wrong && n; n = n->next)
        for (int i = 0; !wrong && i < n->output_count; i++) wrong = check_value(v, n->outputs[i]);
    return wrong;
}

/* The one node that may change a state between reading and leaving it. */
static bool is_append(const Graph *g, const StateUse *s) {
    const Value *past = g->inputs[s->input], *present = g->outputs[s->output];
    const Node *n = present->node;
    if (!n || n->op != OP_concat || n->inputs[0] != past || attr_int(n, "axis") != s->axis)
        return false;
    for (int i = 1; i < n->input_count; i++)
        if (n->inputs[i] == past) return false;
    return true;
}

const char *ir_check_state(const Graph *g, const StateUse *s) {
    Arena *a = &g->module->cx->arena;
    if (g->internal) return "a body has no states";
    if (s->input < 0 && s->output < 0)
        return arena_printf(a, "state '%s' is neither read nor left", s->name);
    if (s->input < 0 && !g->outputs[s->output]->node)
        return arena_printf(a, "state '%s' is left by no node", s->name);
    const Value *v = s->input >= 0 ? g->inputs[s->input] : g->outputs[s->output];
    if (s->axis < 0 || s->axis >= v->type.rank)
        return arena_printf(a, "state '%s' has no axis %d", s->name, s->axis);
    if (s->input >= 0 && s->output >= 0 && !is_append(g, s))
        return arena_printf(a, "state '%s' is not appended to along axis %d", s->name, s->axis);
    for (const StateUse *other = g->states; other < g->states + g->state_count; other++)
        if (other != s &&
            (!strcmp(other->name, s->name) || (s->input >= 0 && other->input == s->input) ||
             (s->output >= 0 && other->output == s->output)))
            return arena_printf(a, "state '%s' is used twice", s->name);
    return NULL;
}

const char *ir_verify(Graph *g) {
    Arena *a = &g->module->cx->arena;
    uint32_t values = g->module->value_count;
    Verifier v = {.g = g,
                  .arena = a,
                  .uses = ARENA_ARRAY(a, int, values),
                  .results = ARENA_ARRAY(a, int, values),
                  .defined = ARENA_ARRAY(a, bool, values),
                  .open = ARENA_ARRAY(a, bool, (size_t)ex_symbol_count(g->module->ex)),
                  .values = values};
    const char *wrong = NULL;
    const Node *before = NULL;
    int count = 0;
    for (const Constant *c = g->module->constants; !wrong && c; c = c->next)
        wrong = check_constant(&v, c);
    open_symbols(&v);
    for (const Node *n = g->first; !wrong && n; before = n, n = n->next, count++)
        wrong = check_node(&v, n, before);
    if (!wrong && (g->last != before || g->node_count != count))
        wrong = "the list of nodes has another end or length than the graph says";
    for (int i = 0; !wrong && i < g->output_count; i++) {
        if (!g->outputs[i] || !is_known(&v, g->outputs[i]))
            wrong = arena_printf(a, "result '%s' is not computed", g->output_names[i]);
        else
            v.results[g->outputs[i]->id]++;
    }
    for (int i = 0; !wrong && i < g->state_count; i++) wrong = ir_check_state(g, &g->states[i]);
    return wrong ? wrong : check_uses(&v);
}
