/* What a plan tells about itself: strings, metadata, ports and their dims as text.
 *
 * A dim's text is the contract that messages quote: "sequence", "768", "past + sequence". Texts are
 * made once when the plan is opened, for the dims of ports only, and cut at TN_TEXT_MAX bytes;
 * expressions may share parts, so depth is bounded. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "runtime/runtime.h"

#define MAX_DEPTH 6

typedef struct Text {
    char *s; /* of TN_TEXT_MAX bytes */
    size_t length;
} Text;

const char *plan_string(const tenon_plan *p, uint32_t id) {
    return id == TN_NO_ID ? "" : p->strings + id;
}

const char *plan_origin(const tenon_plan *p, uint32_t instruction) {
    return p->origins_count ? plan_string(p, p->origins[instruction]) : "";
}

const PlanView *plan_operand(const tenon_plan *p, const PlanInstruction *instruction, int operand) {
    uint32_t view = p->ids[instruction->operands + (uint32_t)operand];
    return view == TN_NO_ID ? NULL : &p->views[view];
}

static void put(Text *t, const char *s) {
    size_t n = strlen(s), room = TN_TEXT_MAX - 1 - t->length;
    if (n > room) n = room;
    memcpy(t->s + t->length, s, n);
    t->length += n;
    t->s[t->length] = 0;
}

/* How tightly an operator binds; an operand that binds less needs parentheses. */
static int binding_power(const PlanExpr *e) {
    switch (e->op) {
    case TN_EXPR_ADD: return 1;
    case TN_EXPR_MUL:
    case TN_EXPR_FLOORDIV:
    case TN_EXPR_MOD: return 2;
    default: return 3;
    }
}

static void render(const tenon_plan *p, Text *t, uint32_t id, int depth);

static void render_operand(const tenon_plan *p, Text *t, uint32_t id, int power, int depth) {
    bool parentheses = binding_power(&p->exprs[id]) < power;
    if (parentheses) put(t, "(");
    render(p, t, id, depth);
    if (parentheses) put(t, ")");
}

static void render(const tenon_plan *p, Text *t, uint32_t id, int depth) {
    static const char *const infix[TN_EXPR_OP_COUNT] = {[TN_EXPR_ADD] = " + ",
                                                        [TN_EXPR_MUL] = " * ",
                                                        [TN_EXPR_FLOORDIV] = " / ",
                                                        [TN_EXPR_MOD] = " % "};
    const PlanExpr *e = &p->exprs[id];
    char number[24];
    if (e->op == TN_EXPR_CONST) {
        snprintf(number, sizeof number, "%" PRId64, e->value);
        put(t, number);
    } else if (e->op == TN_EXPR_SYMBOL) {
        put(t, plan_string(p, p->symbols[e->a].name));
    } else if (depth == 0) {
        put(t, "...");
    } else if (infix[e->op]) {
        int power = binding_power(e);
        render_operand(p, t, e->a, power, depth - 1);
        put(t, infix[e->op]);
        render_operand(p, t, e->b, power + (e->op != TN_EXPR_ADD), depth - 1);
    } else {
        put(t, e->op == TN_EXPR_MIN ? "min(" : "max(");
        render(p, t, e->a, depth - 1);
        put(t, ", ");
        render(p, t, e->b, depth - 1);
        put(t, ")");
    }
}

const char *plan_expr_text(const tenon_plan *p, uint32_t id, char text[TN_TEXT_MAX]) {
    Text t = {.s = text};
    text[0] = 0;
    render(p, &t, id, MAX_DEPTH);
    return text;
}

static bool render_dims(tenon_plan *p, const PlanPort *port) {
    const PlanView *v = &p->views[port->view];
    for (int axis = 0; axis < v->rank; axis++) {
        uint32_t id = p->ids[v->dims + (uint32_t)axis];
        char text[TN_TEXT_MAX];
        if (p->expr_texts[id]) continue;
        p->expr_texts[id] = arena_strdup(&p->arena, plan_expr_text(p, id, text));
        if (!p->expr_texts[id]) return false;
    }
    return true;
}

bool plan_render(tenon_plan *p) {
    p->expr_texts = ARENA_ARRAY(&p->arena, const char *, p->exprs_count);
    if (!p->expr_texts) return false;
    for (uint32_t i = 0; i < p->functions_count; i++) {
        const PlanFunction *f = &p->functions[i];
        for (uint32_t j = 0; j < f->input_count + f->output_count; j++)
            if (!render_dims(p, plan_port(p, f, j))) return false;
    }
    return true;
}

const char *tenon_plan_meta(const tenon_plan *plan, const char *key) {
    if (!plan || !key) return NULL;
    for (uint32_t i = 0; i < plan->metadata_count; i++)
        if (strcmp(plan_string(plan, plan->metadata[i].key), key) == 0)
            return plan_string(plan, plan->metadata[i].value);
    return NULL;
}

const PlanFunction *plan_function(const tenon_plan *p, const char *name, tenon_error *err) {
    if (!name) return &p->functions[0];
    for (uint32_t i = 0; i < p->functions_count; i++)
        if (!(p->functions[i].flags & TN_FUNCTION_INTERNAL) &&
            strcmp(plan_string(p, p->functions[i].name), name) == 0)
            return &p->functions[i];
    tn_error(err, TENON_E_ARGUMENT, "the plan has no function '%.100s'; its first is '%.100s'",
             name, plan_string(p, p->functions[0].name));
    return NULL;
}

tenon_status tenon_plan_port(const tenon_plan *plan, const char *function, int32_t index,
                             tenon_port *port, tenon_error *err) {
    if (!plan || !port) return tn_error(err, TENON_E_ARGUMENT, "plan and port must not be NULL");
    const PlanFunction *f = plan_function(plan, function, err);
    if (!f) return TENON_E_ARGUMENT;
    uint32_t count = f->input_count + f->output_count;
    if (index < 0 || (uint32_t)index >= count)
        return tn_error(err, TENON_E_ARGUMENT, "port %d of %" PRIu32, index, count);
    bool is_output = (uint32_t)index >= f->input_count;
    const PlanPort *source = plan_port(plan, f, (uint32_t)index);
    const PlanView *v = &plan->views[source->view];
    *port = (tenon_port){.name = plan_string(plan, source->name),
                         .dtype = (tenon_dtype)v->dtype,
                         .rank = v->rank,
                         .is_output = is_output,
                         .is_optional = source->fill != TN_DEFAULT_NONE};
    for (int axis = 0; axis < v->rank; axis++) {
        uint32_t id = plan->ids[v->dims + (uint32_t)axis];
        port->dims[axis] = plan->exprs[id].op == TN_EXPR_CONST ? plan->exprs[id].value : -1;
        port->symbols[axis] = plan->expr_texts[id];
    }
    return TENON_OK;
}
