/* Parses the texts of rules.def into patterns.
 *
 *     sum     = product { ("+" | "-") product }
 *     product = unary { ("*" | "/") unary }
 *     unary   = "-" unary | primary
 *     primary = number ["~"] | name [":" class] ["?"] | "(" sum ")"
 *             | name "(" sum {"," sum} [";" attr {"," attr}] ")"
 *     left    = { "let" name "=" sum "in" } sum
 *
 * A name defined by `let` stands for its pattern wherever it occurs; since the graph has no
 * duplicate nodes, the occurrences match the same node. Chains of + and * become one node with
 * several operands. */
#include "passes/rules.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LETS 4

typedef struct PatternParser {
    Cx *cx;
    Rule *rule;
    const char *text, *at;
    const char *let_names[MAX_LETS];
    Pattern *lets[MAX_LETS];
    int let_count;
    const char *attr_names[PATTERN_ATTRS]; /* $a -> index; shared by both sides */
    int attr_count;
} PatternParser;

static Pattern *parse_sum(PatternParser *p);

_Noreturn static void fail(PatternParser *p, const char *what) {
    tn_fail(p->cx, TN_E_INVALID, "rule '%s', column %d of \"%s\": %s", p->rule->name,
            (int)(p->at - p->text) + 1, p->text, what);
}

static void skip_space(PatternParser *p) {
    while (*p->at == ' ') p->at++;
}

static bool accept(PatternParser *p, char c) {
    skip_space(p);
    if (*p->at != c) return false;
    p->at++;
    return true;
}

static void expect(PatternParser *p, char c) {
    if (!accept(p, c)) fail(p, arena_printf(&p->cx->arena, "'%c' is missing", c));
}

static const char *parse_word(PatternParser *p) {
    skip_space(p);
    const char *start = p->at;
    while (isalnum((unsigned char)*p->at) || *p->at == '_' || *p->at == '.') p->at++;
    if (p->at == start) fail(p, "a name is missing");
    return arena_strndup(&p->cx->arena, start, (size_t)(p->at - start));
}

static bool accept_word(PatternParser *p, const char *word) {
    skip_space(p);
    size_t n = strlen(word);
    if (strncmp(p->at, word, n) || isalnum((unsigned char)p->at[n]) || p->at[n] == '_')
        return false;
    p->at += n;
    return true;
}

static Pattern *new_pattern(PatternParser *p, PatternKind kind) {
    Pattern *q = ARENA_NEW(&p->cx->arena, Pattern);
    q->kind = kind;
    q->op = OP_COUNT;
    return q;
}

static int variable(PatternParser *p, const char *name) {
    Rule *r = p->rule;
    for (int i = 0; i < r->var_count; i++)
        if (!strcmp(r->vars[i], name)) return i;
    if (p->text == r->right_text) fail(p, "the left side has no such variable");
    if (r->var_count == PATTERN_VARS) fail(p, "too many variables");
    r->vars[r->var_count] = name;
    return r->var_count++;
}

static int bound_attr(PatternParser *p, const char *name) {
    for (int i = 0; i < p->attr_count; i++)
        if (!strcmp(p->attr_names[i], name)) return i;
    if (p->attr_count == PATTERN_ATTRS) fail(p, "too many attributes");
    p->attr_names[p->attr_count] = name;
    return p->attr_count++;
}

static void parse_attr(PatternParser *p, Pattern *q) {
    if (q->attr_count == PATTERN_ATTRS) fail(p, "too many attributes");
    PatternAttr *a = &q->attrs[q->attr_count++];
    *a = (PatternAttr){.name = parse_word(p), .bind = -1, .var = -1};
    expect(p, '=');
    if (accept(p, '$')) {
        a->bind = bound_attr(p, parse_word(p));
        return;
    }
    a->word = parse_word(p);
    if (p->text == p->rule->right_text)
        for (int i = 0; i < p->rule->var_count; i++)
            if (!strcmp(p->rule->vars[i], a->word)) a->var = i;
}

/* Reductions over the last axis, kept, have names of their own. */
static OpKind reduction(const char *name) {
    if (!strcmp(name, "mean")) return OP_reduce_mean;
    if (!strcmp(name, "sum")) return OP_reduce_sum;
    return strcmp(name, "largest") ? OP_COUNT : OP_reduce_max;
}

static Pattern *parse_call(PatternParser *p, const char *name) {
    Pattern *q = new_pattern(p, PATTERN_OP);
    q->op = reduction(name);
    q->last_axis = q->op != OP_COUNT;
    if (!q->last_axis) q->op = ir_op_find(name);
    if (q->op == OP_COUNT) fail(p, "unknown operator");
    do {
        if (q->count == PATTERN_ARGS) fail(p, "too many operands");
        q->args[q->count++] = parse_sum(p);
    } while (accept(p, ','));
    if (accept(p, ';')) do
            parse_attr(p, q);
        while (accept(p, ','));
    expect(p, ')');
    return q;
}

static Pattern *parse_variable(PatternParser *p, const char *name) {
    for (int i = 0; i < p->let_count; i++)
        if (!strcmp(p->let_names[i], name)) return p->lets[i];
    Pattern *q = new_pattern(p, PATTERN_VAR);
    q->var = variable(p, name);
    if (accept(p, ':')) {
        if (accept_word(p, "scalar"))
            q->class = VAR_SCALAR;
        else if (accept_word(p, "const"))
            q->class = VAR_CONST;
        else
            fail(p, "unknown class");
        p->rule->classes[q->var] = q->class;
    }
    q->optional = accept(p, '?');
    return q;
}

static Pattern *parse_primary(PatternParser *p) {
    skip_space(p);
    if (accept(p, '(')) {
        Pattern *q = parse_sum(p);
        expect(p, ')');
        return q;
    }
    if (isdigit((unsigned char)*p->at)) {
        Pattern *q = new_pattern(p, PATTERN_NUMBER);
        char *end;
        q->number = strtod(p->at, &end);
        p->at = end;
        q->approximate = accept(p, '~');
        return q;
    }
    const char *name = parse_word(p);
    return accept(p, '(') ? parse_call(p, name) : parse_variable(p, name);
}

static Pattern *binary(PatternParser *p, OpKind op, Pattern *a, Pattern *b) {
    bool chain = ir_op_info(op)->flags & OPF_ASSOC;
    if (chain && a->kind == PATTERN_OP && a->op == op && p->text == p->rule->left_text) {
        if (a->count == PATTERN_ARGS) fail(p, "too many operands");
        a->args[a->count++] = b;
        return a;
    }
    Pattern *q = new_pattern(p, PATTERN_OP);
    q->op = op;
    q->count = 2;
    q->args[0] = a;
    q->args[1] = b;
    return q;
}

static Pattern *parse_unary(PatternParser *p) {
    if (!accept(p, '-')) return parse_primary(p);
    Pattern *q = parse_unary(p);
    if (q->kind == PATTERN_NUMBER) {
        q->number = -q->number;
        return q;
    }
    Pattern *n = new_pattern(p, PATTERN_OP);
    n->op = OP_neg;
    n->count = 1;
    n->args[0] = q;
    return n;
}

static Pattern *parse_product(PatternParser *p) {
    Pattern *q = parse_unary(p);
    for (;;) {
        if (accept(p, '*'))
            q = binary(p, OP_mul, q, parse_unary(p));
        else if (accept(p, '/'))
            q = binary(p, OP_div, q, parse_unary(p));
        else
            return q;
    }
}

static Pattern *parse_sum(PatternParser *p) {
    Pattern *q = parse_product(p);
    for (;;) {
        if (accept(p, '+'))
            q = binary(p, OP_add, q, parse_product(p));
        else if (accept(p, '-'))
            q = binary(p, OP_sub, q, parse_product(p));
        else
            return q;
    }
}

static Pattern *parse_side(PatternParser *p, const char *text) {
    p->text = p->at = text;
    p->let_count = 0;
    while (accept_word(p, "let")) {
        if (p->let_count == MAX_LETS) fail(p, "too many lets");
        const char *name = parse_word(p);
        expect(p, '=');
        p->lets[p->let_count] = parse_sum(p);
        p->let_names[p->let_count++] = name;
        if (!accept_word(p, "in")) fail(p, "'in' is missing");
    }
    Pattern *q = parse_sum(p);
    skip_space(p);
    if (*p->at) fail(p, "text behind the pattern");
    return q;
}

void rule_parse(Cx *cx, Rule *rule) {
    PatternParser p = {.cx = cx, .rule = rule};
    rule->left = parse_side(&p, rule->left_text);
    if (rule->left->kind != PATTERN_OP) fail(&p, "the left side must be an operator");
    rule->right = parse_side(&p, rule->right_text);
}

static const Rule table[] = {
#define guard_none NULL
#define RULE(group, name, left, right, guard) \
    {GROUP_##group, #name, left, right, guard_##guard, NULL, NULL, 0, {NULL}, {VAR_ANY}},
#include "passes/rules.def"
#undef RULE
};

Rule *rules_all(Cx *cx, int *count) {
    *count = (int)(sizeof table / sizeof *table);
    Rule *rules = arena_copy(&cx->arena, table, sizeof table);
    for (int i = 0; i < *count; i++) rule_parse(cx, &rules[i]);
    return rules;
}

Value *match_var(const Rule *rule, const Match *m, const char *name) {
    for (int i = 0; i < rule->var_count; i++)
        if (!strcmp(rule->vars[i], name)) return m->vars[i];
    return NULL;
}
