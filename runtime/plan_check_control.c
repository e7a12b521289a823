/* Verification of instructions that the interpreter does itself: measure, if and loop.
 *
 * The operands are what the ports of the functions that run say: same count, element types and
 * ranks. That the operands' dims are those of the ports is checked when a function is entered, as
 * for any input. Scalars are the dims of all results, one after another.
 *
 *     if    functions (x0, x1, ..) -> (y0, ..)           if cond, x0, x1, .. -> y0, ..
 *     loop  body (i, cond, v.., x..) -> (cond, v.., z..) loop trips?, cond?, v.., x.. -> v.., zs..
 */
#include "runtime/pack.h"
#include "runtime/params.h"
#include "runtime/runtime.h"

static const char *name_of(const PlanInstruction *i) {
    return tn_instr(i->opcode)->name;
}

/* Internal functions of higher index, so that none runs itself. */
static bool check_callee(PlanCheck *c, const PlanInstruction *i, uint32_t callee) {
    const tenon_plan *p = c->plan;
    uint32_t caller = (uint32_t)(c->function - p->functions);
    if (callee >= p->functions_count || !(p->functions[callee].flags & TN_FUNCTION_INTERNAL))
        return plan_invalid(c, "%s runs function %u, which is not internal", name_of(i), callee);
    if (callee <= caller)
        return plan_invalid(c, "%s runs function %u from function %u", name_of(i), callee, caller);
    if (c->depth[callee] <= c->depth[caller]) c->depth[callee] = (uint8_t)(c->depth[caller] + 1);
    return c->depth[callee] <= TN_MAX_CALL_DEPTH ||
           plan_invalid(c, "more than %d functions run within one another", TN_MAX_CALL_DEPTH);
}

static const PlanView *port_view(const PlanCheck *c, const PlanFunction *f, uint32_t port) {
    return &c->plan->views[plan_port(c->plan, f, port)->view];
}

/* A tensor of this type and rank, with elements one after another. */
static bool is_tensor(PlanCheck *c, const PlanInstruction *i, int operand, const PlanView *like,
                      int more_axes) {
    const PlanView *v = plan_operand(c->plan, i, operand);
    if (!v) return plan_invalid(c, "%s: operand %d is missing", name_of(i), operand);
    return (v->dtype == like->dtype && v->rank == like->rank + more_axes &&
            v->layout == like->layout) ||
           plan_invalid(c, "%s: operand %d is %s of rank %d, the function has %s of rank %d",
                        name_of(i), operand, tn_dtype_name((TnDType)v->dtype), v->rank,
                        tn_dtype_name((TnDType)like->dtype), like->rank + more_axes);
}

static bool is_scalar(PlanCheck *c, const PlanInstruction *i, int operand, TnDType dtype) {
    const PlanView *v = plan_operand(c->plan, i, operand);
    return (v && v->dtype == dtype && v->layout == TN_LAYOUT_STRIDED) ||
           plan_invalid(c, "%s: operand %d must be %s", name_of(i), operand, tn_dtype_name(dtype));
}

static bool has_scalars(PlanCheck *c, const PlanInstruction *i) {
    int wanted = 0;
    for (int k = i->inputs; k < i->inputs + i->outputs; k++)
        wanted += plan_operand(c->plan, i, k)->rank;
    return i->scalar_count == wanted || plan_invalid(c, "%s: %d scalars for %d dims of results",
                                                     name_of(i), i->scalar_count, wanted);
}

static bool has_counts(PlanCheck *c, const PlanInstruction *i, const PlanFunction *f, int inputs,
                       int outputs) {
    return (inputs >= 0 && outputs >= 0 && f->input_count == (uint32_t)inputs &&
            f->output_count == (uint32_t)outputs) ||
           plan_invalid(c,
                        "%s: function '%.80s' has %u inputs and %u outputs, wanted are %d and %d",
                        name_of(i), plan_string(c->plan, f->name), f->input_count, f->output_count,
                        inputs, outputs);
}

static bool check_branch(PlanCheck *c, const PlanInstruction *i, uint32_t function) {
    const PlanFunction *f = &c->plan->functions[function];
    if (!has_counts(c, i, f, i->inputs - 1, i->outputs)) return false;
    for (int k = 1; k < i->inputs + i->outputs; k++)
        if (!is_tensor(c, i, k, port_view(c, f, (uint32_t)k - 1), 0)) return false;
    return true;
}

static bool check_loop(PlanCheck *c, const PlanInstruction *i, const ParamsLoop *p) {
    if (!check_callee(c, i, p->body)) return false;
    const PlanFunction *f = &c->plan->functions[p->body];
    int carried = p->carried <= i->outputs ? (int)p->carried : -1;
    if (carried < 0 || i->inputs < 2 + carried)
        return plan_invalid(c, "loop: %u carried values, %d inputs and %d outputs", p->carried,
                            i->inputs, i->outputs);
    if (!has_counts(c, i, f, i->inputs, 1 + i->outputs)) return false;
    const PlanView *number = port_view(c, f, 0), *cond = port_view(c, f, 1),
                   *next = port_view(c, f, f->input_count);
    if (number->dtype != TN_I64 || number->rank || cond->dtype != TN_BOOL || cond->rank ||
        next->dtype != TN_BOOL)
        return plan_invalid(c,
                            "loop: the body's first inputs and output are no i64, bool and bool");
    for (int k = 0; k < 2; k++)
        if (plan_operand(c->plan, i, k) && !is_scalar(c, i, k, k ? TN_BOOL : TN_I64)) return false;
    for (int k = 2; k < i->inputs; k++)
        if (!is_tensor(c, i, k, port_view(c, f, (uint32_t)k), 0)) return false;
    for (int k = 0; k < i->outputs; k++) {
        const PlanView *output = port_view(c, f, f->input_count + 1 + (uint32_t)k);
        if (!is_tensor(c, i, i->inputs + k, output, k >= carried)) return false;
        if (k < carried && !is_tensor(c, i, 2 + k, output, 0)) return false;
    }
    return true;
}

bool plan_check_control(PlanCheck *c, const PlanInstruction *i, const void *record) {
    const ParamsIf *branches = record;
    if (i->opcode == TN_OP_measure) return is_scalar(c, i, 0, TN_I64);
    bool ok = i->opcode == TN_OP_if ? check_callee(c, i, branches->then_function) &&
                                          check_callee(c, i, branches->else_function) &&
                                          is_scalar(c, i, 0, TN_BOOL) &&
                                          check_branch(c, i, branches->then_function) &&
                                          check_branch(c, i, branches->else_function)
                                    : check_loop(c, i, record);
    return ok && has_scalars(c, i);
}
