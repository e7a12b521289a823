/* Applies rules: at every node the first row that matches is rewritten, until no row fires.
 *
 * Nodes are taken from the last to the first, so that of two formulas of which one is part of the
 * other (a layer norm holds an RMS norm) the whole is found. A rewrite builds the right side before
 * the root and lets the root's users read it. If the type would change (an operand broadcast the
 * root wider than the new node would be) the new nodes are taken out again and the row counts as a
 * near miss. The step limit guards against rows that undo each other. */
#include "passes/rules.h"

#include <stdlib.h>
#include <string.h>
#include "ir/build.h"

#define STEPS_PER_NODE 8

typedef struct Builder {
    const Rule *rule;
    const Match *match;
    Graph *graph;
    const char *why;
} Builder;

static Value *build(Builder *b, const Pattern *p, TnDType dtype);

static void set_attr(Builder *b, Node *n, const PatternAttr *a) {
    for (int k = 0; k < ir_attr_count(n->op); k++) {
        const AttrInfo *info = ir_attr_info(n->op, k);
        if (strcmp(info->name, a->name)) continue;
        double number = 0;
        if (a->bind >= 0) {
            n->attrs[k] = b->match->attrs[a->bind];
        } else if (a->var >= 0) {
            ir_constant_float(b->match->vars[a->var], &number);
            ir_set_float(n, a->name, number);
        } else if (info->kind == 's') {
            ir_set_string(n, a->name, a->word);
        } else if (info->kind == 'f') {
            ir_set_float(n, a->name, strtod(a->word, NULL));
        } else if (info->kind == 'b') {
            ir_set_bool(n, a->name, a->word[0] == '1');
        } else {
            ir_set_int(n, a->name, strtoll(a->word, NULL, 10));
        }
    }
}

/* Gains and biases are vectors, whatever axes of length 1 the model gives them in front. */
static Value *as_vector(Graph *g, Value *v) {
    const Constant *c = v->constant;
    if (!c || c->rank < 2) return v;
    for (int i = 0; i + 1 < c->rank; i++)
        if (c->dims[i] != 1) return v;
    const int64_t *length = &c->dims[c->rank - 1];
    return ir_constant(g, ir_constant_new(g->module, c->name, c->dtype, 1, length, c->data));
}

static bool takes_vector(OpKind op, int operand) {
    if (op == OP_linear) return operand == 2;
    return operand > 0 && (op == OP_layer_norm || op == OP_rms_norm);
}

static Value *build_op(Builder *b, const Pattern *p, TnDType dtype) {
    Value *inputs[PATTERN_ARGS];
    for (int i = 0; i < p->count; i++) {
        inputs[i] = build(b, p->args[i], dtype);
        if (inputs[i] && takes_vector(p->op, i)) inputs[i] = as_vector(b->graph, inputs[i]);
    }
    int count = p->count;
    while (count > 0 && !inputs[count - 1]) count--;
    Node *n = ir_node(b->graph, p->op, count, inputs);
    for (int i = 0; i < p->attr_count; i++) set_attr(b, n, &p->attrs[i]);
    return ir_insert(n);
}

static Value *build(Builder *b, const Pattern *p, TnDType dtype) {
    switch (p->kind) {
    case PATTERN_VAR: return b->match->vars[p->var];
    case PATTERN_NUMBER: return ir_scalar(b->graph, dtype, p->number);
    default: return build_op(b, p, dtype);
    }
}

static void remove_dead(Value *v) {
    Node *n = v->node;
    if (!n || n->removed || ir_is_used(n)) return;
    Value *inputs[PATTERN_ARGS + 2];
    int count = 0;
    for (int i = 0; i < n->input_count && count < PATTERN_ARGS + 2; i++)
        if (n->inputs[i]) inputs[count++] = n->inputs[i];
    ir_remove(n);
    for (int i = 0; i < count; i++) remove_dead(inputs[i]);
}

bool rule_rewrite(const Rule *rule, Graph *g, const Match *m, const char **why) {
    Node *root = m->nodes[0];
    Value *old = root->outputs[0];
    Builder b = {.rule = rule, .match = m, .graph = g};
    Node *cursor = g->cursor;
    g->cursor = root;
    ir_origins_from(g, m->nodes, m->node_count);
    Value *new = build(&b, rule->right, old->type.dtype);
    for (int i = 0; i < m->rest_count; i++) new = ir_binary(g, root->op, new, m->rest[i]);
    ir_origins_from(g, NULL, 0);
    g->cursor = cursor;
    if (new->type.dtype != old->type.dtype || !ir_same_dims(&new->type, &old->type)) {
        *why =
            arena_printf(&g->module->cx->arena, "the result would be %s instead of %s",
                         ir_type_text(g->module, &new->type), ir_type_text(g->module, &old->type));
        remove_dead(new);
        return false;
    }
    ir_replace(old, new);
    remove_dead(old);
    return true;
}

/* An inner node of a longer chain is matched from the chain's top. */
static bool inside_chain(const Node *n) {
    unsigned flags = ir_op_info(n->op)->flags;
    const Value *v = n->outputs[0];
    return (flags & OPF_ASSOC) && ir_single_use(v) && v->uses[0].node->op == n->op;
}

static bool apply_at(const Rule *rules, int count, RuleGroup group, Graph *g, Node *n, Report *r) {
    for (int i = 0; i < count; i++) {
        const Rule *rule = &rules[i];
        if (rule->group != group || rule->left->op != n->op) continue;
        Match m;
        const char *why = NULL;
        if (!rule_match(rule, n, &m)) {
            if (m.depth > 2 && m.depth + 1 >= rule->left->count && m.why)
                report_miss(r, rule->name, n, "%s", m.why);
            continue;
        }
        if ((!rule->guard || rule->guard(rule, &m, &why)) && rule_rewrite(rule, g, &m, &why)) {
            report_fired(r, rule->name);
            return true;
        }
        report_miss(r, rule->name, n, "%s", why);
    }
    return false;
}

/* One walk from the last node to the first; after a rewrite it goes on at the node that was built.
 */
static bool sweep(const Rule *rules, int count, RuleGroup group, Graph *g, Report *r,
                  int64_t *budget) {
    bool changed = false;
    for (Node *n = g->last, *prev; n && (*budget)-- > 0; n = prev) {
        prev = n->prev;
        if (inside_chain(n)) continue;
        Value *root = n->outputs[0];
        if (!apply_at(rules, count, group, g, n, r)) continue;
        changed = true;
        prev = ir_resolve(root)->node;
    }
    return changed;
}

bool rules_apply(Graph *g, Report *r, RuleGroup group) {
    int count;
    Rule *rules = rules_all(g->module->cx, &count);
    bool changed = false;
    int64_t budget = (int64_t)STEPS_PER_NODE * g->node_count + 64;
    while (budget > 0 && sweep(rules, count, group, g, r, &budget)) changed = true;
    return changed;
}

bool pass_algebra(Graph *g, Report *r) {
    return rules_apply(g, r, GROUP_algebra);
}

bool pass_fuse_linear(Graph *g, Report *r) {
    return rules_apply(g, r, GROUP_linear);
}
