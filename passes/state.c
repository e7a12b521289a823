/* state: a past that is returned with rows behind it becomes a state of the plan.
 *
 *     graph decode(%ids: i64[b, s], %past: f32[b, h, p, d])
 *       %3 = concat %past, %new {axis=2}
 *       ...                                          =>   the same, and
 *       return %9 as "logits", %3 as "present"            state "past" from %past to "present" axis
 * 2
 *
 * That the input is a past is proven from the graph, whatever it is called: a result is it with
 * rows behind it that the graph has computed, attention reads that result, the input's length is a
 * symbol of its own, and all its other lengths follow from other inputs. All such pairs of a graph
 * become states, or none.
 *
 * Then graphs are tied: what one leaves (prefill: `present.0.encoder.key`) is what another finds
 * (decode: `past_key_values.0.encoder.key`). Here only names can tell, so they have to agree but
 * for the words past and present, and the types too. The graphs themselves do not change. */
#include <string.h>
#include "ir/symbols.h"
#include "passes/pass.h"

#define MAX_MOVES 8 /* between a past and the attention that reads it */

typedef struct Pair {
    int input, output, axis;
    const Node *append;
} Pair;

static bool is_state_input(const Graph *g, const Pair *pairs, int count, int input) {
    for (int i = 0; i < count; i++)
        if (pairs[i].input == input) return true;
    return ir_state_of_input(g, input) != NULL;
}

/* --- pairs within a graph --- */

static int result_index(const Graph *g, const Value *v) {
    for (int i = 0; i < g->output_count; i++)
        if (g->outputs[i] == v) return i;
    return -1;
}

/* The node that returns the input with rows behind it, or NULL. */
static const Node *find_append(const Graph *g, const Value *past, Report *r) {
    const Node *found = NULL;
    for (int i = 0; i < past->use_count; i++) {
        const Node *n = past->uses[i].node;
        if (n->op != OP_concat) continue;
        if (past->uses[i].index != 0) {
            if (n->inputs[0]->node && ir_is_output(n->outputs[0]))
                report_miss(r, "state", n, "'%s' is not what comes first", past->name);
            continue;
        }
        if (result_index(g, n->outputs[0]) >= 0) found = n;
    }
    return found;
}

/* Whether keys or values of attention, fused or not, are the value or a rearrangement of it. */
static bool is_attended(const Value *v, int depth) {
    for (int i = 0; i < v->use_count && depth; i++) {
        const Node *n = v->uses[i].node;
        int index = v->uses[i].index;
        switch (n->op) {
        case OP_attention:
            if (index == 1 || index == 2) return true;
            break;
        case OP_matmul:
            if (!n->inputs[!index]->constant) return true;
            break;
        case OP_view:
        case OP_transpose:
        case OP_expand:
        case OP_slice:
        case OP_cast:
            if (is_attended(n->outputs[0], depth - 1)) return true;
            break;
        default: break;
        }
    }
    return false;
}

typedef struct Search {
    const Graph *g;
    const Pair *pairs;
    int count;
    bool open; /* a symbol was found that no other input has */
} Search;

static void look_up(void *user, int number) {
    Search *s = user;
    ExprCx *x = s->g->module->ex;
    for (int i = 0; i < s->g->input_count; i++) {
        const Value *v = s->g->inputs[i];
        if (is_state_input(s->g, s->pairs, s->count, i)) continue;
        for (int k = 0; k < v->type.rank; k++) {
            const Symbol *symbol = ex_as_symbol(x, v->type.dims[k]);
            if (symbol && symbol->atom->number == number) return;
        }
    }
    s->open = true;
}

/* All lengths but that of `axis` are numbers or follow from inputs that stay. */
static bool is_bound(const Graph *g, const Pair *pairs, int count, const Type *t, int axis) {
    Search s = {g, pairs, count, false};
    for (int i = 0; i < t->rank; i++)
        if (i != axis) ir_each_symbol(t->dims[i], look_up, &s);
    return !s.open;
}

/* NULL, or what is in the way. */
static const char *why_not(const Graph *g, const Pair *pairs, int count, const Pair *p) {
    ExprCx *x = g->module->ex;
    const Value *past = g->inputs[p->input];
    const Symbol *length = ex_as_symbol(x, past->type.dims[p->axis]);
    if (!length) return "its length is no symbol of its own";
    for (int i = 0; i < past->type.rank; i++)
        if (i != p->axis && ex_as_symbol(x, past->type.dims[i]) == length)
            return "two of its axes have the same length";
    if (past->output_uses) return "it is returned too";
    if (g->defaults[p->input] != INPUT_REQUIRED) return "it may be left out";
    for (int i = 1; i < p->append->input_count; i++)
        if (!p->append->inputs[i]->node) return "what comes behind it is not computed";
    if (!is_attended(p->append->outputs[0], MAX_MOVES)) return "no attention reads it";
    if (ex_mentions_measured(g->outputs[p->output]->type.dims[p->axis]))
        return "how much comes behind it depends on data";
    if (!is_bound(g, pairs, count, &past->type, p->axis))
        return "one of its lengths does not follow from the inputs that stay";
    return NULL;
}

static bool add_pairs(Graph *g, Report *r) {
    Pair *pairs = ARENA_ARRAY(&g->module->cx->arena, Pair, (size_t)g->input_count + 1);
    int count = 0;
    bool all = true;
    for (int i = 0; i < g->input_count; i++) {
        const Node *n = ir_state_of_input(g, i) ? NULL : find_append(g, g->inputs[i], r);
        if (n)
            pairs[count++] = (Pair){i, result_index(g, n->outputs[0]), (int)attr_int(n, "axis"), n};
    }
    for (int i = 0; i < count; i++) {
        const char *why = why_not(g, pairs, count, &pairs[i]);
        if (!why) continue;
        report_miss(r, "state", pairs[i].append, "'%s' is no past: %s",
                    g->inputs[pairs[i].input]->name, why);
        all = false;
    }
    for (int i = 0; all && i < count; i++) {
        ir_add_state(g, g->inputs[pairs[i].input]->name, pairs[i].input, pairs[i].output,
                     pairs[i].axis);
        report_fired(r, "state");
    }
    return all && count;
}

/* --- pairs across graphs --- */

/* "past_key_values.0.key", "present.0.key" -> ".0.key" */
static const char *stem(const char *name) {
    static const char *const words[] = {"past", "present", "_key_values", "_key_value"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strncmp(name, words[i], strlen(words[i]))) name += strlen(words[i]);
    return name;
}

static bool same_stem(const char *a, const char *b) {
    const char *x = stem(a), *y = stem(b);
    return x != a && y != b && !strcmp(x, y);
}

/* Lengths that are numbers are equal, but along `axis`. */
static bool agree(const Type *a, const Type *b, int axis) {
    if (a->dtype != b->dtype || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++) {
        int64_t x, y;
        if (i != axis && ex_const(a->dims[i], &x) && ex_const(b->dims[i], &y) && x != y)
            return false;
    }
    return true;
}

/* The axis along which states of this rank grow in the graph; -1: there are none. */
static int axis_of_others(const Graph *g, int rank) {
    for (int i = 0; i < g->state_count; i++) {
        const StateUse *s = &g->states[i];
        if (s->output >= 0 && s->input >= 0 && g->inputs[s->input]->type.rank == rank)
            return s->axis;
    }
    return -1;
}

/* The result of `from` that is what `to` finds in its input, or -1. */
static int find_result(const Graph *from, const Graph *to, int input) {
    const StateUse *s = ir_state_of_input(to, input);
    const char *present = s && s->output >= 0 ? to->output_names[s->output] : "";
    for (int i = 0; i < from->output_count; i++)
        if (!strcmp(from->output_names[i], present) ||
            same_stem(from->output_names[i], to->inputs[input]->name))
            return i;
    return -1;
}

static bool has_state(const Graph *g, const char *name) {
    for (int i = 0; i < g->state_count; i++)
        if (!strcmp(g->states[i].name, name)) return true;
    return false;
}

/* Result `output` of `from` becomes the state that `to` has as its input. */
static bool tie(Graph *from, int output, Graph *to, int input, Report *r) {
    const Value *left = from->outputs[output], *found = to->inputs[input];
    const StateUse *s = ir_state_of_input(to, input);
    int axis = s ? s->axis : axis_of_others(to, found->type.rank);
    if (ir_state_of_output(from, output) || has_state(from, found->name) || axis < 0 || !left->node)
        return false;
    if (!agree(&left->type, &found->type, axis)) {
        report_miss(r, "state", left->node, "'%s' and '%s' of '%s' are of different types",
                    from->output_names[output], found->name, to->name);
        return false;
    }
    bool other = !s && (to->defaults[input] != INPUT_REQUIRED || found->output_uses ||
                        !is_bound(to, &(Pair){.input = input}, 1, &found->type, axis));
    if (other || ex_mentions_measured(left->type.dims[axis])) return false;
    if (!s) ir_add_state(to, found->name, input, -1, axis);
    ir_add_state(from, found->name, -1, output, axis);
    report_fired(r, "state");
    return true;
}

static bool tie_graphs(Graph *from, Graph *to, Report *r) {
    bool changed = false;
    for (int i = 0; i < to->input_count; i++) {
        int output = find_result(from, to, i);
        if (output >= 0) changed |= tie(from, output, to, i, r);
    }
    return changed;
}

bool pass_state(Graph *g, Report *r) {
    bool changed = !g->internal && add_pairs(g, r);
    /* with those that are done; later ones will be tied with this one */
    for (Graph *other = g->module->graphs; other != g && !g->internal; other = other->next) {
        if (other->internal) continue;
        changed |= tie_graphs(other, g, r);
        changed |= tie_graphs(g, other, r);
    }
    return changed;
}
