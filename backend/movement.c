/* The instructions of a plan image under numbers instead of expressions, as prepare sees them, each
 * given to cost_of. */
#include "backend/movement.h"

#include "backend/cost.h"

static bool operand(const PlanTables *p, const int64_t *values, uint32_t view, TnTensor *t) {
    *t = (TnTensor){.dtype = TN_NONE};
    if (view == TN_NO_ID) return true;
    const PlanView *v = &p->views[view];
    *t = (TnTensor){.rank = v->rank, .dtype = v->dtype, .layout = v->layout};
    for (uint32_t i = 0; i < v->rank; i++) {
        t->dims[i] = values[p->ids[v->dims + i]];
        t->strides[i] = values[p->ids[v->strides + i]];
        if (t->dims[i] < 0 || t->strides[i] == TN_UNKNOWN) return false;
    }
    return true;
}

static bool scalar(const PlanTables *p, const int64_t *values, uint32_t id, int64_t *to) {
    *to = values[p->ids[id]];
    return *to != TN_UNKNOWN;
}

Movement movement_at(const Image *im, const int64_t *values) {
    Movement m = {0};
    PlanTables tables = sample_tables(im);
    const PlanFunction *f = (const PlanFunction *)im->functions.data;
    for (uint32_t i = 0; im->functions.count && i < f->instruction_count; i++) {
        const PlanInstruction *in =
            (const PlanInstruction *)im->instructions.data + f->first_instruction + i;
        int count = in->inputs + in->outputs;
        TnTensor *operands = ARENA_ARRAY(&im->cx->arena, TnTensor, (size_t)count + 1);
        bool ok = true;
        for (int k = 0; k < count; k++)
            ok &= operand(&tables, values, tables.ids[in->operands + (uint32_t)k], &operands[k]);
        int64_t *scalars = ARENA_ARRAY(&im->cx->arena, int64_t, (size_t)in->scalar_count + 1);
        for (int k = 0; k < in->scalar_count; k++)
            ok &= scalar(&tables, values, in->scalars + (uint32_t)k, &scalars[k]);
        TnCall call = {.params = im->params.data + in->params,
                       .operands = operands,
                       .scalars = scalars,
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
