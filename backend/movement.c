/* The instructions of a plan image under numbers instead of expressions, as prepare sees them, each
 * given to cost_of. */
#include "backend/movement.h"

#include "backend/cost.h"
#include "runtime/base/checked.h"

static int64_t evaluate(const PlanExpr *e, const int64_t *values, const int64_t *lengths) {
    int64_t r = -1;
    if (e->op == TN_EXPR_CONST) return e->value;
    if (e->op == TN_EXPR_SYMBOL) return lengths[e->a];
    int64_t a = values[e->a], b = values[e->b];
    switch ((PlanExprOp)e->op) {
    case TN_EXPR_ADD: return tn_add_i64(a, b, &r) ? r : -1;
    case TN_EXPR_MUL: return tn_mul_i64(a, b, &r) ? r : -1;
    case TN_EXPR_FLOORDIV: return b > 0 ? a / b - (a % b < 0) : -1;
    case TN_EXPR_MOD: return b > 0 ? (a % b + b) % b : -1;
    case TN_EXPR_MIN: return a < b ? a : b;
    case TN_EXPR_MAX: return a > b ? a : b;
    default: return -1;
    }
}

static bool is_known(const PlanExpr *e, const bool *known, const int64_t *lengths) {
    if (e->op == TN_EXPR_CONST) return true;
    return e->op == TN_EXPR_SYMBOL ? lengths[e->a] >= 0 : known[e->a] && known[e->b];
}

typedef struct Numbers {
    const Image *im;
    int64_t *values;
    bool *known; /* no symbol in it is unknown */
} Numbers;

static Numbers numbers_at(const Image *im, const int64_t *lengths) {
    size_t count = im->exprs.count;
    const PlanExpr *exprs = (const PlanExpr *)im->exprs.data;
    Arena *a = &im->cx->arena;
    Numbers n = {im, ARENA_ARRAY(a, int64_t, count + 1), ARENA_ARRAY(a, bool, count + 1)};
    for (size_t i = 0; i < count; i++) {
        n.known[i] = is_known(&exprs[i], n.known, lengths);
        n.values[i] = n.known[i] ? evaluate(&exprs[i], n.values, lengths) : -1;
    }
    return n;
}

static bool operand(const Numbers *n, uint32_t view, TnTensor *t) {
    *t = (TnTensor){.dtype = TN_NONE};
    if (view == TN_NO_ID) return true;
    const PlanView *v = (const PlanView *)n->im->views.data + view;
    const uint32_t *ids = (const uint32_t *)n->im->ids.data;
    *t = (TnTensor){.rank = v->rank, .dtype = v->dtype, .layout = v->layout};
    for (uint32_t i = 0; i < v->rank; i++) {
        uint32_t dim = ids[v->dims + i], stride = ids[v->strides + i];
        if (!n->known[dim] || !n->known[stride] || n->values[dim] < 0) return false;
        t->dims[i] = n->values[dim];
        t->strides[i] = n->values[stride];
    }
    return true;
}

Movement movement_at(const Image *im, const int64_t *lengths) {
    Movement m = {0};
    Numbers n = numbers_at(im, lengths);
    const PlanFunction *f = (const PlanFunction *)im->functions.data;
    const uint32_t *ids = (const uint32_t *)im->ids.data;
    for (uint32_t i = 0; im->functions.count && i < f->instruction_count; i++) {
        const PlanInstruction *in =
            (const PlanInstruction *)im->instructions.data + f->first_instruction + i;
        int count = in->inputs + in->outputs;
        TnTensor *operands = ARENA_ARRAY(&im->cx->arena, TnTensor, (size_t)count + 1);
        bool ok = true;
        for (int k = 0; k < count; k++)
            ok &= operand(&n, ids[in->operands + (uint32_t)k], &operands[k]);
        TnCall call = {.params = im->params.data + in->params,
                       .operands = operands,
                       .inputs = in->inputs,
                       .outputs = in->outputs,
                       .opcode = in->opcode};
        Cost cost = ok ? cost_of(&call) : (Cost){0};
        m.unknown += !ok;
        m.bytes += cost.bytes;
        m.flops += cost.flops;
        if (cost.moves) m.moved += cost.bytes;
    }
    return m;
}
