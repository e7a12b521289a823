/* Choosing lengths that a plan's contract allows. */
#include "backend/sample.h"

#include "runtime/base/checked.h"

#define ROUNDS     16 /* of mending: a length that was made to fit may break another requirement */
#define MOST_BYTES ((int64_t)64 << 20) /* of contents made up for a state */
#define MAX_DEPTH  16                  /* of expressions looked into */

PlanTables sample_tables(const Image *im) {
    return (PlanTables){.symbols = (const PlanSymbol *)im->symbols.data,
                        .exprs = (const PlanExpr *)im->exprs.data,
                        .requirements = (const PlanRequirement *)im->requirements.data,
                        .ports = (const PlanPort *)im->ports.data,
                        .views = (const PlanView *)im->views.data,
                        .ids = (const uint32_t *)im->ids.data,
                        .states = (const PlanState *)im->states.data,
                        .buffers = (const PlanBuffer *)im->buffers.data,
                        .strings = (const char *)im->strings.data,
                        .state_count = (uint32_t)im->states.count,
                        .symbol_count = (uint32_t)im->symbols.count,
                        .expr_count = (uint32_t)im->exprs.count,
                        .requirement_count = (uint32_t)im->requirements.count};
}

static bool is_first_axis(const PlanTables *t, const PlanFunction *f, uint32_t symbol) {
    for (uint32_t i = 0; i < f->input_count; i++) {
        const PlanView *v = &t->views[t->ports[f->first_input + i].view];
        const PlanExpr *e = v->rank ? &t->exprs[t->ids[v->dims]] : NULL;
        if (e && e->op == TN_EXPR_SYMBOL && e->a == symbol) return true;
    }
    return false;
}

int64_t *sample_values(Arena *a, const PlanTables *t, const int64_t *lengths) {
    int64_t *values = ARENA_ARRAY(a, int64_t, (size_t)t->expr_count + 1);
    for (uint32_t i = 0; i < t->expr_count; i++) { /* operands come before what uses them */
        const PlanExpr *e = &t->exprs[i];
        if (e->op == TN_EXPR_CONST)
            values[i] = e->value;
        else if (e->op == TN_EXPR_SYMBOL)
            values[i] = lengths[e->a];
        else
            values[i] = tn_expr_apply((PlanExprOp)e->op, values[e->a], values[e->b]);
    }
    return values;
}

typedef struct Choosing {
    const PlanTables *t;
    const int64_t *values; /* of the expressions, at the lengths as they are */
    const bool *given;
    int64_t *lengths;
} Choosing;

/* Makes expression `id` equal `target` by another length of one symbol in it, if one can: (past +
 * 1) * 4 == 20. */
static bool reach(const Choosing *c, uint32_t id, int64_t target, int depth) {
    const PlanExpr *e = &c->t->exprs[id];
    if (e->op == TN_EXPR_SYMBOL) {
        const PlanSymbol *s = &c->t->symbols[e->a];
        if (c->given[e->a] || target < s->min || target > s->max) return false;
        c->lengths[e->a] = target;
        return true;
    }
    for (int i = 0; e->op != TN_EXPR_CONST && depth < MAX_DEPTH && i < 2; i++) {
        uint32_t side = i ? e->b : e->a;
        int64_t other = c->values[i ? e->a : e->b], wanted = TN_UNKNOWN;
        if (e->op == TN_EXPR_ADD)
            wanted = other > TN_UNKNOWN + 1 ? tn_expr_apply(TN_EXPR_ADD, target, -other) : wanted;
        if (e->op == TN_EXPR_MUL && other > 0 && target % other == 0) wanted = target / other;
        if (e->op == TN_EXPR_FLOORDIV && i == 0) wanted = tn_expr_apply(TN_EXPR_MUL, target, other);
        if (wanted != TN_UNKNOWN && reach(c, side, wanted, depth + 1)) return true;
    }
    return false;
}

/* Mends the first requirement that does not hold and can be mended. */
static bool mend(Arena *a, const PlanTables *t, uint32_t function, const bool *given,
                 int64_t *lengths) {
    const int64_t *values = sample_values(a, t, lengths);
    const Choosing c = {t, values, given, lengths};
    for (uint32_t i = 0; i < t->requirement_count; i++) {
        const PlanRequirement *r = &t->requirements[i];
        int64_t left = values[r->left], right = values[r->right];
        if (r->function != function || left == TN_UNKNOWN || right == TN_UNKNOWN) continue;
        if (left == right || (r->relation == TN_RELATION_LE && left < right)) continue;
        if (reach(&c, r->right, left, 0) || reach(&c, r->left, right, 0)) return true;
    }
    return false;
}

void sample_lengths(Arena *a, const PlanTables *t, const PlanFunction *f, uint32_t function,
                    int64_t *lengths) {
    size_t count = (size_t)t->symbol_count + 1;
    bool *given = ARENA_ARRAY(a, bool, count), *kept = ARENA_ARRAY(a, bool, count);
    for (uint32_t i = 0; i < t->symbol_count; i++) {
        const PlanSymbol *s = &t->symbols[i];
        bool first = is_first_axis(t, f, i);
        given[i] = lengths[i] != TN_UNKNOWN || s->kind == TN_SYMBOL_MEASURED;
        kept[i] = given[i] || first; /* a batch is changed only if nothing else helps */
        if (given[i]) continue;
        int64_t length = first ? 1 : SAMPLE_LENGTH;
        lengths[i] = length < s->min ? s->min : length > s->max ? s->max : length;
    }
    for (int round = 0; round < ROUNDS; round++)
        if (!mend(a, t, function, kept, lengths) && !mend(a, t, function, given, lengths)) break;
    const int64_t *values = sample_values(a, t, lengths);
    for (uint32_t i = 0; i < t->state_count; i++) /* room for what there will be */
        lengths[t->states[i].capacity] = values[t->states[i].next];
    for (uint32_t i = 0; i < t->symbol_count; i++) /* as much as there may be */
        if (lengths[i] == TN_UNKNOWN && t->symbols[i].bound != TN_NO_ID)
            lengths[i] = values[t->symbols[i].bound];
}

tenon_status sample_bind_states(Arena *a, const PlanTables *t, uint32_t function,
                                const int64_t *values, tenon_session *session, tenon_error *err) {
    tenon_status status = TENON_OK;
    for (uint32_t i = 0; i < t->state_count && !status; i++) {
        const PlanState *s = &t->states[i];
        TnDType dtype = (TnDType)t->buffers[s->buffer].dtype;
        tenon_tensor x = {.dtype = (tenon_dtype)dtype, .rank = s->rank};
        int64_t bytes = (int64_t)tn_dtype_size(dtype);
        if (s->function != function || s->access == TN_STATE_WRITE) continue;
        for (uint32_t k = 0; k < s->rank; k++) {
            x.dims[k] = values[t->ids[s->dims + k]];
            if (x.dims[k] < 0 || !tn_mul_i64(bytes, x.dims[k], &bytes) || bytes > MOST_BYTES)
                return TENON_OK; /* it stays empty */
        }
        x.data = arena_array(a, (size_t)bytes + 1, 1);
        if (x.data) status = tenon_session_bind(session, t->strings + s->name, &x, err);
    }
    return status;
}
