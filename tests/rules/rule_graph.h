/* A rule's left side as a graph, in all the spellings it must match and with the faults it must
 * not.
 *
 * Variables become graph inputs, `:scalar` and `:const` ones constants. Which shapes they get
 * follows from their names: w is a matrix, g a vector over the last axis of x, b one over that of
 * the result, e a small number; everything else is shaped like x. */
#ifndef TENON_TESTS_RULES_RULE_GRAPH_H
#define TENON_TESTS_RULES_RULE_GRAPH_H

#include <string.h>
#include "ir/build.h"
#include "passes/rules.h"

#define MAX_BUILT 64
#define NONE      (-1)

typedef enum Fold { FOLD_LEFT, FOLD_RIGHT, FOLD_PAIRS } Fold;
typedef enum Odd { ODD_NOTHING, ODD_INPUT, ODD_RANK, ODD_LENGTH, ODD_VARIED } Odd;

/* How to spell the left side, and the one thing to get wrong (NONE = nothing). */
typedef struct Spelling {
    TnDType dtype;
    int rank;
    int64_t dims[4], width; /* of x; width of the result of a product */
    bool symbolic;          /* the first axis of x is a symbol */
    Fold fold;
    int rotate;      /* operands of commutative operators and chains start with this one */
    bool transposed; /* attributes bound by the rule (tb) */
    bool without_optional;
    bool further_operand; /* the root's chain has one operand more */
    int number_rank;      /* of the constants that stand for numbers */
    int wrong_number;     /* this number is 1 % larger */
    int swapped;          /* this non-commutative operator has its operands swapped */
    int wrong_attr;       /* this literal attribute has another value */
    int wrong_axis;       /* this reduction is over the first axis */
    int reused;           /* this inner node has a reader outside */
    bool reused_as_output;
    int odd_variable; /* this variable is not what the pattern says */
    Odd odd;
} Spelling;

typedef struct RuleGraph {
    Module *m;
    Graph *g;
    const Rule *rule;
    const Spelling *s;
    Value *vars[PATTERN_VARS];
    const Pattern *built[MAX_BUILT]; /* patterns that `let` shares are built once */
    Value *value[MAX_BUILT];
    int built_count;
    Node *nodes[MAX_BUILT]; /* root last */
    int node_count;
    int numbers, swappable, attrs, axes; /* how many there are */
    uint64_t random;
} RuleGraph;

static inline double rule_random(RuleGraph *r) {
    r->random = r->random * 6364136223846793005u + 1442695040888963407u;
    return (double)(r->random >> 11) / 4503599627370496.0 - 1; /* -1 .. 1 */
}

static inline Value *rule_constant(RuleGraph *r, int rank, const int64_t *dims, double low,
                                   double high) {
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= dims[i];
    void *data = arena_array(&r->m->cx->arena, (size_t)n, 8);
    for (int64_t i = 0; i < n; i++)
        ir_store_f64(r->s->dtype, data, i, low + (high - low) * (rule_random(r) + 1) / 2);
    return ir_tensor(r->g, NULL, r->s->dtype, rank, dims, data);
}

static inline Value *rule_input(RuleGraph *r, const char *name, int rank, const int64_t *dims) {
    const Expr *e[TN_MAX_RANK];
    for (int i = 0; i < rank; i++) e[i] = ex_int(r->m->ex, dims[i]);
    if (r->s->symbolic && rank > 1) e[0] = ex_symbol(r->m->ex, "batch");
    return ir_input(r->g, name, r->s->dtype, rank, e, INPUT_REQUIRED);
}

static inline bool rule_has_weight(const Rule *rule) {
    for (int i = 0; i < rule->var_count; i++)
        if (!strcmp(rule->vars[i], "w")) return true;
    return false;
}

static inline Value *rule_variable(RuleGraph *r, int v) {
    const Spelling *s = r->s;
    const char *name = r->rule->vars[v];
    int64_t last = s->dims[s->rank - 1], dims[5] = {1, 1, 1, 1, 1};
    Odd odd = s->odd_variable == v ? s->odd : ODD_NOTHING;
    VarClass class = odd == ODD_INPUT ? VAR_ANY : r->rule->classes[v];
    int rank = 1, extra = odd == ODD_RANK ? 1 : 0;
    if (class == VAR_SCALAR && odd != ODD_VARIED) return ir_scalar(r->g, s->dtype, 0.01);
    dims[extra] = last;
    if (!strcmp(name, "w")) {
        if (odd != ODD_INPUT) class = VAR_CONST;
        rank = 2;
        dims[extra] = s->transposed ? s->width : last;
        dims[extra + 1] = s->transposed ? last : s->width;
    } else if (!strcmp(name, "b") && rule_has_weight(r->rule)) {
        dims[extra] = s->width;
    } else if (r->rule->classes[v] == VAR_ANY) {
        return rule_input(r, name, s->rank, s->dims);
    }
    if (odd == ODD_LENGTH) dims[0] = 1;
    rank += extra;
    return class == VAR_ANY ? rule_input(r, name, rank, dims)
                            : rule_constant(r, rank, dims, 0.25, 1.25);
}

static inline Value *rule_build(RuleGraph *r, const Pattern *p);

static inline Value *rule_insert(RuleGraph *r, Node *n) {
    r->nodes[r->node_count++] = n;
    return ir_insert(n);
}

static inline Value *rule_binary(RuleGraph *r, OpKind op, Value *a, Value *b) {
    return rule_insert(r, ir_node(r->g, op, 2, (Value *[]){a, b}));
}

static inline Value *rule_chain(RuleGraph *r, OpKind op, Value **v, int n) {
    if (n == 1) return v[0];
    int left = r->s->fold == FOLD_LEFT ? n - 1 : r->s->fold == FOLD_RIGHT ? 1 : n / 2;
    Value *a = rule_chain(r, op, v, left);
    return rule_binary(r, op, a, rule_chain(r, op, v + left, n - left));
}

static inline void rule_set_attr(RuleGraph *r, Node *n, const PatternAttr *a) {
    for (int k = 0; k < ir_attr_count(n->op); k++) {
        const AttrInfo *info = ir_attr_info(n->op, k);
        if (strcmp(info->name, a->name)) continue;
        bool wrong = a->bind < 0 && r->attrs++ == r->s->wrong_attr;
        if (info->kind == 't')
            ir_set_dtype(n, a->name, a->bind >= 0 ? r->s->dtype : wrong ? TN_F64 : TN_F32);
        else if (a->bind >= 0 && info->kind != 'b')
            continue; /* as it is by default */
        else if (info->kind == 's')
            ir_set_string(n, a->name, wrong ? "relu" : a->word);
        else
            ir_set_bool(n, a->name, a->bind >= 0 ? r->s->transposed : (a->word[0] == '1') != wrong);
    }
}

static inline Value *rule_reduction(RuleGraph *r, const Pattern *p) {
    Value *x = rule_build(r, p->args[0]);
    int64_t axis = r->axes++ == r->s->wrong_axis ? 0 : x->type.rank - 1;
    Node *n = ir_node(r->g, p->op, 1, &x);
    ir_set_ints(n, "axes", 1, &axis);
    return rule_insert(r, n);
}

static inline Value *rule_op(RuleGraph *r, const Pattern *p) {
    const OpInfo *info = ir_op_info(p->op);
    Value *in[PATTERN_ARGS + 1];
    int count = p->count;
    if (p->last_axis) return rule_reduction(r, p);
    bool root = p == r->rule->left, chain = (info->flags & OPF_ASSOC) && (info->flags & OPF_COMM);
    for (int i = 0; i < count; i++) in[i] = rule_build(r, p->args[i]);
    while (count && !in[count - 1]) count--;
    if (chain && root && r->s->further_operand)
        in[count++] = rule_input(r, "further", r->s->rank, r->s->dims);
    if (chain) {
        Value *turned[PATTERN_ARGS + 1];
        for (int i = 0; i < count; i++) turned[i] = in[(i + r->s->rotate) % count];
        return rule_chain(r, p->op, turned, count);
    }
    bool alike = !(info->flags & OPF_FUSED) && p->op != OP_layer_norm; /* operands of one shape */
    if (count == 2 && alike && r->swappable++ == r->s->swapped) {
        Value *first = in[0];
        in[0] = in[1];
        in[1] = first;
    }
    Node *n = ir_node(r->g, p->op, count, in);
    for (int i = 0; i < p->attr_count; i++) rule_set_attr(r, n, &p->attrs[i]);
    return rule_insert(r, n);
}

static inline Value *rule_number(RuleGraph *r, double v) {
    if (r->numbers++ == r->s->wrong_number) v *= 1.01;
    return rule_constant(r, r->s->number_rank, (int64_t[]){1, 1, 1, 1, 1}, v, v);
}

/* NULL for an optional variable that is left out. */
static inline Value *rule_build(RuleGraph *r, const Pattern *p) {
    if (p->kind == PATTERN_VAR) {
        if (p->optional && r->s->without_optional) return NULL;
        if (!r->vars[p->var]) r->vars[p->var] = rule_variable(r, p->var);
        return r->vars[p->var];
    }
    for (int i = 0; i < r->built_count; i++)
        if (r->built[i] == p) return r->value[i];
    Value *v = p->kind == PATTERN_NUMBER ? rule_number(r, p->number) : rule_op(r, p);
    r->built[r->built_count] = p;
    r->value[r->built_count++] = v;
    return v;
}

/* The graph of rule->left, its root returned as "y". */
static inline RuleGraph rule_graph(Cx *cx, const Rule *rule, const Spelling *s) {
    Module *m = ir_module_new(cx);
    RuleGraph r = {.m = m, .g = ir_graph_new(m, "main"), .rule = rule, .s = s, .random = 7};
    Value *root = rule_build(&r, rule->left);
    ir_output(r.g, "y", root);
    if (s->reused >= 0 && s->reused < r.node_count - 1) {
        Value *inner = r.nodes[s->reused]->outputs[0];
        ir_output(r.g, "inner", s->reused_as_output ? inner : ir_unary(r.g, OP_abs, inner));
    }
    return r;
}

#endif
