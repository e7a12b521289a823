/* The contract: symbols from the dims of bound inputs, expressions from symbols, then what must
 * hold.
 *
 * A dim of an input that is a bare symbol sets that symbol; every other dim is a claim about
 * symbols, checked once all are set. An expression that cannot be computed is TN_UNKNOWN, so a
 * requirement that guards it is reported before anything that uses it. What needs measured symbols
 * is done when its stage begins. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "runtime/base/checked.h"
#include "runtime/runtime.h"

#define MAX_NAMED  6  /* symbols or inputs that a message lists */
#define MAX_VISITS 64 /* expressions looked at for one message */

static int64_t evaluate(const PlanExpr *e, const SymbolState *symbols, const int64_t *values) {
    if (e->op == TN_EXPR_CONST) return e->value;
    if (e->op == TN_EXPR_SYMBOL) return symbols[e->a].value;
    return tn_expr_apply((PlanExprOp)e->op, values[e->a], values[e->b]);
}

static const char *port_name(const tenon_session *s, int32_t port) {
    return plan_string(s->plan, session_port(s, (uint32_t)port)->name);
}

static tenon_status check_bound(const tenon_session *s, tenon_error *err) {
    char names[300] = "";
    size_t n = 0;
    int missing = 0;
    for (uint32_t i = 0; i < s->function->input_count; i++) {
        if (s->bindings[i].bound || session_port(s, i)->fill != TN_DEFAULT_NONE) continue;
        if (missing++ < MAX_NAMED)
            n += (size_t)snprintf(names + n, sizeof names - n, "%s'%.32s'", missing > 1 ? ", " : "",
                                  port_name(s, (int32_t)i));
    }
    if (!missing) return TENON_OK;
    return tn_error(err, TENON_E_ARGUMENT, "%s %s%s not bound", missing > 1 ? "inputs" : "input",
                    names,
                    missing > MAX_NAMED ? ", ... are"
                    : missing > 1       ? " are"
                                        : " is");
}

/* The symbol that a dim consists of, or NULL. */
static SymbolState *bare_symbol(const tenon_session *s, uint32_t expr) {
    const PlanExpr *e = &s->plan->exprs[expr];
    return e->op == TN_EXPR_SYMBOL ? &s->symbols[e->a] : NULL;
}

/* The node whose requirement gave a symbol its range, "" if none did: symbol <= max, min <= symbol.
 */
static const char *range_origin(const tenon_session *s, uint32_t symbol) {
    const tenon_plan *p = s->plan;
    for (uint32_t i = 0; i < p->requirements_count; i++) {
        const PlanRequirement *r = &p->requirements[i];
        const PlanExpr *left = &p->exprs[r->left], *right = &p->exprs[r->right];
        bool upper = left->op == TN_EXPR_SYMBOL && left->a == symbol && right->op == TN_EXPR_CONST;
        bool lower = right->op == TN_EXPR_SYMBOL && right->a == symbol && left->op == TN_EXPR_CONST;
        if (&p->functions[r->function] == s->function && (upper || lower))
            return plan_string(p, r->origin);
    }
    return "";
}

static tenon_status out_of_range(const tenon_session *s, uint32_t input, int axis, uint32_t id,
                                 tenon_error *err) {
    const PlanSymbol *symbol = &s->plan->symbols[id];
    char from[48], to[48], origin[140] = "";
    const char *node = range_origin(s, id);
    snprintf(from, sizeof from, " from %" PRId64, symbol->min);
    snprintf(to, sizeof to, " to %" PRId64, symbol->max);
    if (node[0]) snprintf(origin, sizeof origin, " (needed by node '%.100s')", node);
    tn_error(
        err, TENON_E_SHAPE, "input '%.80s' axis %d is %" PRId64 ", the model wants %.80s%s%s%s",
        port_name(s, (int32_t)input), axis, s->bindings[input].tensor.dims[axis],
        plan_string(s->plan, symbol->name), from, symbol->max < INT64_MAX ? to : " on", origin);
    tn_error_at(err, -1, node);
    return TENON_E_SHAPE;
}

int64_t contract_inherited(const tenon_session *s, uint32_t symbol) {
    const tenon_session *from = s->caller;
    if (!from || s->definitions[symbol].slot != TN_NO_ID) return TN_UNKNOWN;
    bool known = from->definitions[symbol].stage <= from->stage;
    return known ? from->symbols[symbol].value : TN_UNKNOWN;
}

static tenon_status set_symbols(tenon_session *s, tenon_error *err) {
    const tenon_plan *p = s->plan;
    for (uint32_t i = 0; i < p->symbols_count; i++)
        s->symbols[i] = (SymbolState){contract_inherited(s, i), -1, -1, -1};
    tenon_status status = states_set_symbols(s, err);
    if (status) return status;
    for (uint32_t i = 0; i < s->function->input_count; i++) {
        if (!s->bindings[i].bound) continue;
        const PlanView *v = &p->views[session_port(s, i)->view];
        for (int axis = 0; axis < v->rank; axis++) {
            uint32_t expr = p->ids[v->dims + (uint32_t)axis];
            int64_t found = s->bindings[i].tensor.dims[axis];
            SymbolState *state = bare_symbol(s, expr);
            if (!state || state->port >= 0 || state->use >= 0) continue;
            const PlanSymbol *symbol = &p->symbols[p->exprs[expr].a];
            if (found < symbol->min || found > symbol->max)
                return out_of_range(s, i, axis, p->exprs[expr].a, err);
            *state = (SymbolState){found, (int32_t)i, axis, -1};
        }
    }
    return TENON_OK;
}

static tenon_status wrong_dim(const tenon_session *s, uint32_t input, int axis, uint32_t expr,
                              tenon_error *err) {
    char text[TN_TEXT_MAX], setter[200] = "";
    int64_t found = s->bindings[input].tensor.dims[axis], wanted = s->values[expr];
    const SymbolState *state = bare_symbol(s, expr);
    if (state && state->use >= 0)
        snprintf(setter, sizeof setter, " (set by state '%.80s' axis %d)",
                 plan_string(s->plan, s->plan->states[state->use].name), state->axis);
    else if (state)
        snprintf(setter, sizeof setter, " (set by input '%.80s' axis %d)",
                 port_name(s, state->port), state->axis);
    plan_expr_text(s->plan, expr, text);
    if (s->plan->exprs[expr].op == TN_EXPR_CONST)
        return tn_error(err, TENON_E_SHAPE,
                        "input '%.80s' axis %d is %" PRId64 ", the model wants %" PRId64,
                        port_name(s, (int32_t)input), axis, found, wanted);
    if (wanted == TN_UNKNOWN)
        return tn_error(err, TENON_E_SHAPE,
                        "input '%.80s' axis %d is %" PRId64
                        ", the model wants %s, which cannot be computed",
                        port_name(s, (int32_t)input), axis, found, text);
    return tn_error(err, TENON_E_SHAPE,
                    "input '%.80s' axis %d is %" PRId64 ", the model wants %s = %" PRId64 "%s",
                    port_name(s, (int32_t)input), axis, found, text, wanted, setter);
}

/* Dims of bound inputs are what the contract says; those of inputs left out are known. */
static tenon_status check_inputs(const tenon_session *s, tenon_error *err) {
    const tenon_plan *p = s->plan;
    for (uint32_t i = 0; i < s->function->input_count; i++) {
        const PlanView *v = &p->views[session_port(s, i)->view];
        for (int axis = 0; axis < v->rank; axis++) {
            uint32_t expr = p->ids[v->dims + (uint32_t)axis];
            int64_t wanted = s->values[expr];
            char text[TN_TEXT_MAX];
            if (s->bindings[i].bound && s->bindings[i].tensor.dims[axis] != wanted)
                return wrong_dim(s, i, axis, expr, err);
            if (!s->bindings[i].bound && wanted == TN_UNKNOWN)
                return tn_error(err, TENON_E_ARGUMENT,
                                "input '%.80s' is left out but its axis %d, %s, does not follow "
                                "from the others",
                                port_name(s, (int32_t)i), axis, plan_expr_text(p, expr, text));
        }
    }
    return TENON_OK;
}

/* Up to MAX_NAMED distinct symbols of an expression. */
typedef struct SymbolList {
    uint32_t ids[MAX_NAMED];
    int count, visits;
} SymbolList;

static void list_symbols(const tenon_plan *p, uint32_t expr, SymbolList *list) {
    const PlanExpr *e = &p->exprs[expr];
    if (list->visits++ >= MAX_VISITS || e->op == TN_EXPR_CONST) return;
    if (e->op != TN_EXPR_SYMBOL) {
        list_symbols(p, e->a, list);
        list_symbols(p, e->b, list);
        return;
    }
    for (int i = 0; i < list->count; i++)
        if (list->ids[i] == e->a) return;
    if (list->count < MAX_NAMED) list->ids[list->count++] = e->a;
}

static tenon_status broken_requirement(const tenon_session *s, const PlanRequirement *r,
                                       tenon_error *err) {
    const tenon_plan *p = s->plan;
    SymbolList list = {.count = 0};
    char values[300] = "", origin[160] = "";
    size_t n = 0;
    list_symbols(p, r->left, &list);
    list_symbols(p, r->right, &list);
    for (int i = 0; i < list.count; i++)
        n += (size_t)snprintf(values + n, sizeof values - n, "%s%.24s = %" PRId64, i ? ", " : ": ",
                              plan_string(p, p->symbols[list.ids[i]].name),
                              s->symbols[list.ids[i]].value);
    const char *node = plan_string(p, r->origin);
    if (node[0]) snprintf(origin, sizeof origin, " (needed by node '%.100s')", node);
    tn_error(err, TENON_E_SHAPE, "%.120s does not hold%s%s", plan_string(p, r->text), values,
             origin);
    tn_error_at(err, -1, node);
    return TENON_E_SHAPE;
}

static tenon_status check_requirements(const tenon_session *s, uint32_t stage, tenon_error *err) {
    const ByStage *list = &s->stage_requirements;
    for (uint32_t i = list->first[stage]; i < list->first[stage + 1]; i++) {
        const PlanRequirement *r = &s->plan->requirements[list->ids[i]];
        int64_t left = s->values[r->left], right = s->values[r->right];
        bool holds = r->relation == TN_RELATION_EQ ? left == right : left <= right;
        if (!holds || left == TN_UNKNOWN || right == TN_UNKNOWN)
            return broken_requirement(s, r, err);
    }
    return TENON_OK;
}

static void evaluate_stage(tenon_session *s, uint32_t stage) {
    const ByStage *list = &s->needed;
    for (uint32_t i = list->first[stage]; i < list->first[stage + 1]; i++) {
        uint32_t id = list->ids[i];
        s->values[id] = evaluate(&s->plan->exprs[id], s->symbols, s->values);
    }
}

void contract_evaluate(const tenon_session *s, int64_t *values) {
    for (uint32_t i = 0; i < s->plan->exprs_count; i++)
        values[i] = evaluate(&s->plan->exprs[i], s->symbols, values);
}

/* Sets a bare symbol that nothing has set to what a requirement says it equals, if that is known.
 */
static bool set_equal(tenon_session *s, uint32_t expr, uint32_t equal) {
    const SymbolState *other = bare_symbol(s, equal);
    SymbolState *state = bare_symbol(s, expr);
    int64_t value = other ? other->value : s->values[equal];
    if (!state || state->value != TN_UNKNOWN || value == TN_UNKNOWN) return false;
    const PlanSymbol *symbol = &s->plan->symbols[s->plan->exprs[expr].a];
    if (symbol->kind != TN_SYMBOL_INPUT || value < symbol->min || value > symbol->max) return false;
    state->value = value;
    return true;
}

/* An empty state has no dims but its length. Where the batch of each state is a symbol of its own,
 * requirements tie them to the inputs'. */
static void follow_requirements(tenon_session *s) {
    const ByStage *list = &s->stage_requirements;
    bool found = false;
    for (uint32_t i = list->first[0]; i < list->first[1]; i++) {
        const PlanRequirement *r = &s->plan->requirements[list->ids[i]];
        if (r->relation != TN_RELATION_EQ) continue;
        found |= set_equal(s, r->left, r->right) || set_equal(s, r->right, r->left);
    }
    if (found) evaluate_stage(s, 0);
}

tenon_status contract_solve(tenon_session *s, tenon_error *err) {
    const ByStage *list = &s->needed;
    tenon_status status = check_bound(s, err);
    if (!status) status = set_symbols(s, err);
    if (status) return status;
    evaluate_stage(s, 0);
    if (s->use_count) follow_requirements(s);
    for (uint32_t i = list->first[1]; i < list->first[s->stage_count]; i++)
        s->values[list->ids[i]] = TN_UNKNOWN;
    status = check_inputs(s, err);
    if (!status) status = states_check(s, err);
    if (!status) status = check_requirements(s, 0, err);
    if (status || !s->use_count) return status;
    status = states_fit(s, err);
    evaluate_stage(s, 0); /* now that capacities are known */
    return status;
}

tenon_status contract_stage(tenon_session *s, uint32_t stage, tenon_error *err) {
    evaluate_stage(s, stage);
    return check_requirements(s, stage, err);
}

/* "(node 'NonZero_3')" or "" */
static const char *node_text(const tenon_session *s, int32_t call, char text[140]) {
    const char *node = plan_origin(s->plan, s->function->first_instruction + (uint32_t)call);
    text[0] = 0;
    if (node[0]) snprintf(text, 140, " (node '%.100s')", node);
    return text;
}

tenon_status contract_measured(tenon_session *s, uint32_t id, int64_t found, int32_t call,
                               tenon_error *err) {
    const PlanSymbol *symbol = &s->plan->symbols[id];
    const char *name = plan_string(s->plan, symbol->name), *node;
    char to[48] = " on", from[140], text[TN_TEXT_MAX];
    int64_t bound = symbol->bound == TN_NO_ID ? INT64_MAX : s->values[symbol->bound];
    if (found >= symbol->min && found <= symbol->max && found <= bound && bound != TN_UNKNOWN) {
        s->symbols[id].value = found;
        return TENON_OK;
    }
    if (symbol->max < INT64_MAX) snprintf(to, sizeof to, " to %" PRId64, symbol->max);
    node = node_text(s, call, from);
    if (found < symbol->min || found > symbol->max)
        tn_error(err, TENON_E_SHAPE,
                 "%.80s is %" PRId64 ", the model wants it from %" PRId64 "%s%s", name, found,
                 symbol->min, to, node);
    else
        tn_error(err, TENON_E_SHAPE, "%.80s is %" PRId64 ", more than %s%s", name, found,
                 plan_expr_text(s->plan, symbol->bound, text), node);
    tn_error_at(err, call, plan_origin(s->plan, s->function->first_instruction + (uint32_t)call));
    return TENON_E_SHAPE;
}

bool contract_dims(const tenon_session *s, const PlanView *v, int64_t *dims, int *axis) {
    int64_t bound = 1;
    for (*axis = 0; *axis < v->rank; ++*axis) {
        int64_t dim = s->values[s->plan->ids[v->dims + (uint32_t)*axis]];
        dims[*axis] = dim;
        if (dim < 0 || !tn_mul_i64(bound, dim > 0 ? dim : 1, &bound) || bound > TN_MAX_ELEMENTS)
            return false;
    }
    return true;
}
