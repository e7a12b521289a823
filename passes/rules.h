/* The rule engine: rows of rules.def as patterns, matched and rewritten. */
#ifndef TENON_PASSES_RULES_H
#define TENON_PASSES_RULES_H

#include "passes/pass.h"

#define PATTERN_VARS  10
#define PATTERN_ARGS  6
#define PATTERN_ATTRS 4
#define MATCH_NODES   24

typedef enum PatternKind { PATTERN_VAR, PATTERN_NUMBER, PATTERN_OP } PatternKind;
typedef enum VarClass { VAR_ANY, VAR_SCALAR, VAR_CONST } VarClass;

typedef struct PatternAttr {
    const char *name;
    int bind;         /* index of a bound attribute ($a), or -1 */
    int var;          /* right side: a scalar variable whose number it takes, or -1 */
    const char *word; /* otherwise a literal: word or number as written */
} PatternAttr;

typedef struct Pattern {
    PatternKind kind;
    int var;
    VarClass class;
    bool optional;
    double number;
    bool approximate;
    OpKind op;
    bool last_axis; /* mean(x), sum(x), largest(x): the axes must be the last one, kept */
    int count;      /* operands; chains of an associative operator are flat */
    struct Pattern *args[PATTERN_ARGS];
    int attr_count;
    PatternAttr attrs[PATTERN_ATTRS];
} Pattern;

typedef struct Match {
    Value *vars[PATTERN_VARS];
    Attr attrs[PATTERN_ATTRS];
    bool attr_bound[PATTERN_ATTRS];
    Node *nodes[MATCH_NODES]; /* matched nodes, root first */
    int node_count;
    Value *rest[PATTERN_ARGS + 2]; /* operands of the root's chain that the pattern does not have */
    int rest_count;
    const char *why; /* what stopped the deepest attempt */
    int depth;       /* nodes matched in that attempt */
} Match;

typedef struct Rule Rule;
typedef bool RuleGuard(const Rule *rule, const Match *m, const char **why);
typedef enum RuleGroup { GROUP_algebra, GROUP_linear } RuleGroup;

struct Rule {
    RuleGroup group;
    const char *name, *left_text, *right_text;
    RuleGuard *guard;
    Pattern *left, *right;
    int var_count;
    const char *vars[PATTERN_VARS];
    VarClass classes[PATTERN_VARS];
};

/* pattern.c: parses a rule's texts; raises TN_E_INVALID with rule and position when malformed. */
void rule_parse(Cx *cx, Rule *rule);
/* All rules, parsed, in the order of rules.def. */
Rule *rules_all(Cx *cx, int *count);
/* The value bound to a variable; NULL if absent. */
Value *match_var(const Rule *rule, const Match *m, const char *name);

/* match.c: whether `rule` matches with `root` as its root. Looks only. */
bool rule_match(const Rule *rule, Node *root, Match *m);

/* rules.c: applies the rules of a group everywhere until none fires. */
bool rules_apply(Graph *g, Report *r, RuleGroup group);
/* Rewrites one match: true if done, else why not. */
bool rule_rewrite(const Rule *rule, Graph *g, const Match *m, const char **why);

/* guards.c */
#define GUARD(name) bool guard_##name(const Rule *rule, const Match *m, const char **why)
GUARD(epsilon_fits);
GUARD(gain_is_vector);
GUARD(rounds_back);
GUARD(weight_is_matrix);
GUARD(bias_is_vector);

#endif
