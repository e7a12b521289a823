/* Runs nodes and graphs on the reference kernels of ref/: evaluates constants, and is the oracle
 * for everything else.
 *
 * A kernel sees operands whose dims are those of the node's
 * types under the given symbols, and zeroed results. Control flow runs the
 * graphs that it names, each with the symbols of its caller. */
#include "ir/eval.h"

#include "ir/ref/ref.h"
#include "runtime/base/checked.h"

static void (*const kernels[OP_COUNT])(RefCall *) = {
#define OP(name, ...)      [OP_##name] = ref_##name,
#define CONTROL(name, ...) [OP_##name] = NULL,
#include "ir/ops.def"
#undef OP
};

int64_t tensor_count(const Tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->dims[i];
    return n;
}

/* --- one node --- */

static void on_scratch_oom(void *user, size_t bytes) {
    ref_fail(user, TN_E_MEMORY, "out of memory (%zu bytes wanted)", bytes);
}

static void resolve_dims(RefCall *call, const Type *type, int64_t *dims) {
    for (int i = 0; i < type->rank; i++) dims[i] = ref_expr(call, type->dims[i]);
}

static void check_operand(RefCall *call, int i) {
    const Value *v = call->node->inputs[i];
    const Tensor *t = call->in[i];
    int64_t dims[TN_MAX_RANK];
    if (!v != !t) ref_fail(call, TN_E_ARGUMENT, "operand %d is there or not, unlike its value", i);
    if (!v) return;
    if (t->dtype != v->type.dtype)
        ref_fail(call, TN_E_DTYPE, "operand %d is %s, not %s", i, tn_dtype_name(t->dtype),
                 tn_dtype_name(v->type.dtype));
    resolve_dims(call, &v->type, dims);
    bool same = t->rank == v->type.rank;
    for (int k = 0; same && k < t->rank; k++) same = t->dims[k] == dims[k];
    if (!same)
        ref_fail(call, TN_E_SHAPE, "operand %d has other dimensions than %s", i,
                 ir_type_text(call->node->graph->module, &v->type));
}

static void make_output(RefCall *call, const Type *type, Tensor *t, Arena *arena) {
    int64_t count, bytes;
    *t = (Tensor){.dtype = type->dtype, .rank = type->rank};
    resolve_dims(call, type, t->dims);
    if (!tn_product(t->dims, t->rank, &count) ||
        !tn_mul_i64(count, (int64_t)tn_dtype_size(t->dtype), &bytes))
        ref_fail(call, TN_E_SHAPE, "%s is negative or too large here",
                 ir_type_text(call->node->graph->module, type));
    t->bytes = (size_t)bytes;
    t->data = arena_alloc(arena, t->bytes);
}

/* Kernels read elements as they are typed; constants in mapped files may be anywhere. */
static void align_operand(RefCall *call, const Tensor **operand) {
    const Tensor *t = *operand;
    if (!t || (uintptr_t)t->data % tn_dtype_size(t->dtype) == 0) return;
    Tensor *copy = ARENA_NEW(&call->scratch, Tensor);
    *copy = *t;
    copy->data = arena_copy(&call->scratch, t->data, t->bytes);
    *operand = copy;
}

void ir_eval_node(const Node *n, const Tensor *const *inputs, Tensor *outputs,
                  const int64_t *symbols, Arena *arena) {
    Cx *cx = n->graph->module->cx;
    RefCall call = {.node = n,
                    .n_in = n->input_count,
                    .out = outputs,
                    .n_out = n->output_count,
                    .symbols = symbols,
                    .cx = cx};
    call.scratch = (Arena){.alloc = arena->alloc, .on_oom = on_scratch_oom, .oom_user = &call};
    const char *op = ir_op_info(n->op)->name;
    tn_enter_node(cx, n->origin_count ? n->origins[0] : op, op);
    const Tensor **operands = ARENA_ARRAY(&call.scratch, const Tensor *, (size_t)n->input_count);
    call.in = operands;
    for (int i = 0; i < n->input_count; i++) {
        operands[i] = inputs[i];
        align_operand(&call, &operands[i]);
        check_operand(&call, i);
    }
    for (int i = 0; i < n->output_count; i++)
        make_output(&call, &n->outputs[i]->type, &outputs[i], arena);
    kernels[n->op](&call);
    arena_free(&call.scratch);
    tn_leave(cx);
}

/* --- graphs --- */

/* What an input left out is filled with. */
static Tensor default_input(Evaluation *e, const Value *v, InputDefault fill) {
    Tensor t = {.dtype = v->type.dtype, .rank = v->type.rank};
    int64_t count, bytes;
    for (int i = 0; i < t.rank; i++)
        ex_eval(e->g->module->ex, v->type.dims[i], e->symbols.value, &t.dims[i]);
    if (!tn_product(t.dims, t.rank, &count) ||
        !tn_mul_i64(count, (int64_t)tn_dtype_size(t.dtype), &bytes))
        tn_fail(e->g->module->cx, TN_E_SHAPE, "input '%s' is too large", v->name);
    t.bytes = (size_t)bytes;
    t.data = arena_alloc(e->arena, t.bytes);
    Scalar one = tn_is_float(t.dtype) ? (Scalar){.f = 1} : (Scalar){.i = 1};
    for (int64_t i = 0; fill == INPUT_ONES && i < count; i++) scalar_store(t.dtype, t.data, i, one);
    return t;
}

static const Tensor *tensor_of(Evaluation *e, const Value *v) {
    Tensor *t = &e->tensors[v->id];
    const Constant *c = v->constant;
    if (c && !t->dtype) {
        *t = (Tensor){
            .dtype = c->dtype, .rank = c->rank, .data = (void *)c->data, .bytes = c->bytes};
        for (int i = 0; i < c->rank; i++) t->dims[i] = c->dims[i];
    }
    return t;
}

static void measure(Evaluation *e, const Node *n, const Tensor *t) {
    Cx *cx = e->g->module->cx;
    const ExprList *list = attr_exprs(n, "symbols");
    const char *name = n->inputs[0]->name ? n->inputs[0]->name : "the operand";
    tn_enter_node(cx, n->origin_count ? n->origins[0] : "measure", "measure");
    for (int i = 0; i < list->count; i++)
        ir_bind_measured(&e->symbols, list->e[i], ir_element_i64(TN_I64, t->data, i),
                         arena_printf(e->arena, "element %d of '%s'", i, name));
    tn_leave(cx);
}

static void run_node(Evaluation *e, const Node *n) {
    const Tensor **in = ARENA_ARRAY(e->arena, const Tensor *, (size_t)n->input_count);
    Tensor *out = ARENA_ARRAY(e->arena, Tensor, (size_t)n->output_count);
    for (int i = 0; i < n->input_count; i++)
        in[i] = n->inputs[i] ? tensor_of(e, n->inputs[i]) : NULL;
    if (ir_op_info(n->op)->flags & OPF_CONTROL)
        eval_control(e, n, in, out);
    else
        ir_eval_node(n, in, out, e->symbols.value, e->arena);
    if (n->op == OP_measure) measure(e, n, &out[0]);
    for (int i = 0; i < n->output_count; i++) {
        e->tensors[n->outputs[i]->id] = out[i];
        if (e->watch) e->watch(e->user, n->outputs[i], &out[i]);
    }
}

void eval_graph(Evaluation *e, Graph *g, const Binding *outer, const Tensor *const *inputs,
                Tensor *outputs) {
    e->g = g;
    e->symbols = ir_bind(g, inputs, outer, e->arena);
    e->tensors = ARENA_ARRAY(e->arena, Tensor, g->module->value_count);
    for (int i = 0; i < g->input_count; i++)
        e->tensors[g->inputs[i]->id] =
            inputs[i] ? *inputs[i] : default_input(e, g->inputs[i], g->defaults[i]);
    for (const Node *n = g->first; n; n = n->next) run_node(e, n);
    for (int i = 0; i < g->output_count; i++) outputs[i] = *tensor_of(e, g->outputs[i]);
}

void ir_eval(Graph *g, const Tensor *const *inputs, Tensor *outputs, Arena *arena, EvalWatch *watch,
             void *user) {
    Evaluation e = {.arena = arena, .watch = watch, .user = user};
    eval_graph(&e, g, NULL, inputs, outputs);
}
