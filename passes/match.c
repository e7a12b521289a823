/* Matches a pattern against the graph, modulo commutation and re-association.
 *
 * A chain (operands of nested adds or muls, taken apart as long as the inner ones have no other
 * use) is matched as a set: every operand of the pattern takes another operand of the chain, by
 * backtracking. Only the root's chain may have operands left over. A match holds when no inner node
 * is needed by anybody outside it. */
#include "passes/rules.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CHAIN 8

static bool match(const Pattern *p, Value *v, Match *m);

static bool stop(Match *m, const char *why) {
    if (m->node_count > m->depth) {
        m->depth = m->node_count;
        m->why = why;
    }
    return false;
}

/* A model in a narrower type has the number as that type rounds it. */
static bool rounds_to(TnDType t, double number, double x) {
    char data[8];
    ir_store_f64(t, data, 0, number);
    return ir_element_f64(t, data, 0) == x;
}

static bool match_number(const Pattern *p, Value *v, Match *m) {
    double x;
    if (!v || !ir_constant_float(v, &x)) return false;
    double tolerance = p->approximate ? 1e-5 * fabs(p->number) : 0;
    if (fabs(x - p->number) <= tolerance) return true;
    TnDType t = v->type.dtype;
    if (p->approximate && (t == TN_F16 || t == TN_BF16) && rounds_to(t, p->number, x)) return true;
    return stop(m, "a constant has another value");
}

static bool match_variable(const Pattern *p, Value *v, Match *m) {
    if (!v) {
        if (!p->optional) return false;
        m->vars[p->var] = NULL;
        return true;
    }
    double x;
    if (p->class == VAR_CONST && !v->constant) return stop(m, "an operand is not a constant");
    if (p->class == VAR_SCALAR && !ir_constant_float(v, &x))
        return stop(m, "an operand is not a scalar constant");
    if (m->vars[p->var]) return m->vars[p->var] == v;
    m->vars[p->var] = v;
    return true;
}

static bool attr_is_word(const AttrInfo *info, const Attr *a, const char *word) {
    switch (info->kind) {
    case 'b': return a->b == (word[0] == '1');
    case 's': return !strcmp(a->s, word);
    case 't': return !strcmp(tn_dtype_name(a->t), word);
    case 'i': {
        char text[24];
        snprintf(text, sizeof text, "%lld", (long long)a->i);
        return !strcmp(text, word);
    }
    default: return false;
    }
}

static bool match_attrs(const Pattern *p, const Node *n, Match *m) {
    for (int i = 0; i < p->attr_count; i++)
        for (int k = 0; k < ir_attr_count(n->op); k++) {
            const AttrInfo *info = ir_attr_info(n->op, k);
            if (strcmp(info->name, p->attrs[i].name)) continue;
            int bind = p->attrs[i].bind;
            if (bind < 0) {
                if (!attr_is_word(info, &n->attrs[k], p->attrs[i].word))
                    return stop(m, "an attribute has another value");
            } else {
                m->attrs[bind] = n->attrs[k];
                m->attr_bound[bind] = true;
            }
        }
    if (!p->last_axis) return true;
    const IntList *axes = attr_ints(n, "axes");
    return axes->count == 1 && axes->v[0] == n->inputs[0]->type.rank - 1 && attr_bool(n, "keep");
}

static void flatten(Value *v, OpKind op, bool top, Value **operands, int *count, Node **nodes,
                    int *node_count) {
    Node *n = v->node;
    bool inner = n && n->op == op && (top || ir_single_use(v));
    if (!inner || *node_count == CHAIN) {
        operands[(*count)++] = v;
        return;
    }
    nodes[(*node_count)++] = n;
    flatten(n->inputs[0], op, false, operands, count, nodes, node_count);
    flatten(n->inputs[1], op, false, operands, count, nodes, node_count);
}

/* Gives pattern operands from `i` on each an unused operand of the chain. */
static bool match_set(const Pattern *p, int i, Value *const *operands, int count, unsigned *used,
                      Match *m) {
    if (i == p->count) return true;
    for (int k = 0; k < count; k++) {
        if (*used & 1u << k) continue;
        Match saved = *m;
        if (match(p->args[i], operands[k], m)) {
            *used |= 1u << k;
            if (match_set(p, i + 1, operands, count, used, m)) return true;
            *used &= ~(1u << k);
        }
        saved.why = m->why;
        saved.depth = m->depth;
        *m = saved;
    }
    return false;
}

static bool match_chain(const Pattern *p, Value *v, Match *m) {
    Value *operands[CHAIN + 2];
    Node *nodes[CHAIN];
    int count = 0, node_count = 0;
    bool root = m->node_count == 0;
    flatten(v, p->op, true, operands, &count, nodes, &node_count);
    if (count < p->count || (!root && count > p->count)) return false;
    if (m->node_count + node_count > MATCH_NODES) return false;
    for (int i = 0; i < node_count; i++) m->nodes[m->node_count++] = nodes[i];
    unsigned used = 0;
    if (!match_set(p, 0, operands, count, &used, m)) return false;
    for (int k = 0; k < count; k++)
        if (!(used & 1u << k)) m->rest[m->rest_count++] = operands[k];
    return true;
}

static bool match_operands(const Pattern *p, const Node *n, Match *m) {
    if (n->input_count < p->count) {
        for (int i = n->input_count; i < p->count; i++)
            if (!match(p->args[i], NULL, m)) return false;
    }
    for (int i = 0; i < n->input_count; i++) {
        if (i >= p->count) {
            if (n->inputs[i]) return stop(m, "an operand more than the pattern has");
        } else if (!match(p->args[i], n->inputs[i], m)) {
            return false;
        }
    }
    return true;
}

static bool match(const Pattern *p, Value *v, Match *m) {
    if (p->kind == PATTERN_NUMBER) return match_number(p, v, m);
    if (p->kind == PATTERN_VAR) return match_variable(p, v, m);
    if (!v || !v->node || v->node->op != p->op || v->index != 0) return false;
    unsigned flags = ir_op_info(p->op)->flags;
    if ((flags & OPF_ASSOC) && (flags & OPF_COMM)) return match_chain(p, v, m);
    Node *n = v->node;
    for (int i = 0; i < m->node_count; i++)
        if (m->nodes[i] == n) return match_operands(p, n, m); /* a shared interior, seen before */
    if (m->node_count == MATCH_NODES) return false;
    m->nodes[m->node_count++] = n;
    return match_attrs(p, n, m) && match_operands(p, n, m);
}

static bool inside(const Match *m, const Node *n) {
    for (int i = 0; i < m->node_count; i++)
        if (m->nodes[i] == n) return true;
    return false;
}

static bool interior_is_private(Match *m) {
    for (int i = 1; i < m->node_count; i++)
        for (int o = 0; o < m->nodes[i]->output_count; o++) {
            const Value *v = m->nodes[i]->outputs[o];
            if (ir_is_output(v)) return stop(m, "an inner value is an output of the graph");
            for (int u = 0; u < v->use_count; u++)
                if (!inside(m, v->uses[u].node)) return stop(m, "an inner value is used elsewhere");
        }
    return true;
}

bool rule_match(const Rule *rule, Node *root, Match *m) {
    *m = (Match){.depth = 1};
    if (!match(rule->left, root->outputs[0], m)) return false;
    m->depth = 0;
    if (interior_is_private(m)) return true;
    return false;
}
