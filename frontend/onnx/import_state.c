/* Operators that carry a state from step to step and give it back, so that a sequence may come in
 * pieces: a causal convolution's last inputs, linear attention's sum of outer products.
 *
 * Letters: b batch, t steps, h heads of queries, g heads of keys and values, d and e their sizes.
 */
#include <math.h>
#include "frontend/onnx/import.h"

/* --- causal convolution --- */

typedef enum ConvOperand { INPUT, KERNEL, BIAS, PAST } ConvOperand;

/* What stands before the input, [b, c, k - 1]: the past, or zeros. */
static Value *left_border(OnnxNode *n, const Expr *length) {
    const Type *t = &n->inputs[INPUT]->type;
    const Expr *dims[] = {t->dims[0], t->dims[1], length};
    if (onnx_given(n, PAST)) return n->inputs[PAST];
    return ir_splat(n->g, t->dtype, 3, dims, 0);
}

/* y[b, c, i] = sum over j of padded[b, c, i + j] kernel[c, 0, j] */
void import_causal_conv(OnnxNode *n) {
    static const char *const activations[] = {"none", "silu", "swish", NULL};
    const Type *x = &n->inputs[INPUT]->type, *w = &n->inputs[KERNEL]->type;
    ExprCx *e = n->x;
    int64_t channels;
    if (x->rank != 3 || w->rank != 3 || !ex_is(w->dims[1], 1))
        tn_fail(n->cx, TN_E_MODEL, "input %s and kernel %s, wanted [b, c, t] and [c, 1, k]",
                ir_type_text(n->m, x), ir_type_text(n->m, w));
    ir_same_dim(n->m, x->dims[1], w->dims[0], "channels of input and kernel");
    if (!ex_const(w->dims[0], &channels))
        tn_fail(n->cx, TN_E_UNSUPPORTED, "unsupported: %s channels, not a number",
                ex_text(e, w->dims[0]));
    const Expr *border = ex_sub(e, w->dims[2], ex_int(e, 1));
    Value *pair[] = {left_border(n, border), n->inputs[INPUT]};
    Value *padded = ir_concat(n->g, 2, pair, 2);
    Value *operands[] = {padded, n->inputs[KERNEL], onnx_given(n, BIAS) ? n->inputs[BIAS] : NULL};
    Node *conv = ir_node(n->g, OP_conv, operands[2] ? 3 : 2, operands);
    ir_set_ints(conv, "strides", 1, (int64_t[]){1});
    ir_set_ints(conv, "dilations", 1, (int64_t[]){1});
    ir_set_ints(conv, "pads", 2, (int64_t[]){0, 0});
    ir_set_int(conv, "groups", channels);
    Value *y = ir_insert(conv);
    bool plain = onnx_word(n, "activation", activations) == 0;
    n->outputs[0] = plain ? y : ir_unary(n->g, OP_silu, y);
    if (n->output_count > 1) n->outputs[1] = ir_slice(n->g, padded, 2, x->dims[2], border, 1);
}

/* --- linear attention --- */

typedef enum Operand { QUERY, KEY, VALUE, STATE, DECAY, RATE, OPERANDS } Operand;

typedef struct Recurrence {
    int64_t heads, groups; /* of queries; of keys and values */
    bool gated, delta;
    const Expr *batch, *steps, *d, *e;
} Recurrence;

/* [b, t, heads size] as f32[b, t, heads, size] */
static Value *split(OnnxNode *n, int i, int64_t heads) {
    const Type *t = &n->inputs[i]->type;
    onnx_need_rank(n, i, 3);
    const Expr *dims[] = {t->dims[0], t->dims[1], ex_int(n->x, heads),
                          onnx_part(n, t->dims[2], heads)};
    return ir_cast(n->g, ir_view(n->g, n->inputs[i], 4, dims), TN_F32);
}

static void check_operand(OnnxNode *n, int i, bool wanted, const char *name) {
    if (onnx_given(n, i) != wanted)
        tn_fail(n->cx, TN_E_MODEL, "update_rule '%s' %s input %d, %s",
                onnx_string(n, "update_rule"), wanted ? "needs" : "takes no", i, name);
}

static Recurrence read_recurrence(OnnxNode *n) {
    static const char *const rules[] = {"linear", "gated", "delta", "gated_delta", NULL};
    int rule = onnx_word(n, "update_rule", rules);
    Recurrence r = {onnx_int(n, "q_num_heads"), onnx_int(n, "kv_num_heads"), rule % 2 == 1,
                    rule >= 2, .batch = NULL};
    if (r.groups < 1 || r.heads < 1 || r.heads > INT32_MAX || r.heads % r.groups != 0)
        tn_fail(n->cx, TN_E_MODEL, "%lld heads of queries for %lld of keys", (long long)r.heads,
                (long long)r.groups);
    check_operand(n, DECAY, r.gated, "decay");
    check_operand(n, RATE, r.delta, "beta");
    return r;
}

/* Row i of x along the axis of steps, as [b, heads, rows, columns]. */
static Value *step_of(const Recurrence *r, Graph *g, Value *x, Value *i, const Expr *heads,
                      const Expr *rows, const Expr *columns) {
    const Expr *dims[] = {r->batch, heads, rows, columns};
    return ir_view(g, ir_gather(g, x, i, 1), 4, dims);
}

/* One step, the body of the loop; inputs after the state: q, k, v, then decay and rate if given:
 *     state = exp(decay) state + k' u     with u = v, or rate (v - k exp(decay) state)
 *     y = q state */
static Graph *build_step(OnnxNode *n, const Recurrence *r, Value *const *x, Value *state) {
    ExprCx *e = n->x;
    const char *name = n->g->origin ? n->g->origin : "linear_attention";
    Graph *g = ir_body_new(n->g, arena_printf(&n->cx->arena, "%s.%s", n->g->name, name));
    const Expr *one = ex_int(e, 1), *groups = ex_int(e, r->groups);
    const Expr *shared = ex_int(e, r->heads / r->groups);
    Value *i = ir_input(g, "i", TN_I64, 0, NULL, INPUT_REQUIRED), *in[OPERANDS] = {NULL};
    Value *go_on = ir_input(g, "go_on", TN_BOOL, 0, NULL, INPUT_REQUIRED);
    Value *s = ir_input(g, "state", TN_F32, 4, state->type.dims, INPUT_REQUIRED);
    for (int k = 0; k < OPERANDS; k++)
        if (x[k])
            in[k] = ir_input(g, arena_printf(&n->cx->arena, "x%d", k), TN_F32, x[k]->type.rank,
                             x[k]->type.dims, INPUT_REQUIRED);
    Value *k = step_of(r, g, in[KEY], i, groups, one, r->d);
    Value *u = step_of(r, g, in[VALUE], i, groups, one, r->e);
    if (r->gated) {
        Value *decay = step_of(r, g, in[DECAY], i, groups, in[DECAY]->type.dims[3], one);
        s = ir_binary(g, OP_mul, s, ir_unary(g, OP_exp, decay));
    }
    if (r->delta) {
        Value *known = ir_matmul(g, k, s, false, false);
        Value *rate = step_of(r, g, in[RATE], i, in[RATE]->type.dims[2], one, one);
        u = ir_binary(g, OP_mul, rate, ir_binary(g, OP_sub, u, known));
    }
    s = ir_binary(g, OP_add, s, ir_matmul(g, k, u, true, false));
    Value *q = step_of(r, g, in[QUERY], i, groups, shared, r->d);
    ir_output(g, "go_on", go_on);
    ir_output(g, "state", s);
    ir_output(g, "y", ir_matmul(g, q, s, false, false));
    return g;
}

/* The loop over all steps: the last state, and y as [t, b, g, h / g, e]. */
static Node *run_steps(OnnxNode *n, const Recurrence *r, Value *const *x, Value *state) {
    ExprCx *e = n->x;
    Value *trips = ir_view(n->g, ir_scalars(n->g, TN_I64, 1, &r->steps), 0, NULL);
    Value *operands[3 + OPERANDS] = {trips, NULL, state};
    int count = 3;
    for (int k = 0; k < OPERANDS; k++)
        if (x[k]) operands[count++] = x[k];
    const Expr *dims[] = {r->batch,
                          ex_int(e, r->groups),
                          r->d,
                          r->e,
                          r->steps,
                          r->batch,
                          ex_int(e, r->groups),
                          ex_int(e, r->heads / r->groups),
                          r->e};
    Node *loop = ir_node(n->g, OP_loop, count, operands);
    ir_set_graph(loop, "body", build_step(n, r, x, state));
    ir_set_int(loop, "carried", 1);
    ir_set_exprs(loop, "dims", 9, dims);
    ir_insert(loop);
    return loop;
}

/* 1 / sqrt(d) unless given */
static double output_scale(OnnxNode *n, const Recurrence *r) {
    double scale = onnx_float(n, "scale");
    int64_t size;
    if (scale != 0) return scale;
    if (!ex_const(r->d, &size) || size < 1)
        tn_fail(n->cx, TN_E_UNSUPPORTED, "unsupported: a head size of %s, not a number",
                ex_text(n->x, r->d));
    return 1 / sqrt((double)size);
}

void import_linear_attention(OnnxNode *n) {
    static const int batch_first[] = {1, 0, 2, 3, 4};
    Recurrence r = read_recurrence(n);
    TnDType t = n->inputs[QUERY]->type.dtype;
    Value *x[OPERANDS] = {split(n, QUERY, r.heads), split(n, KEY, r.groups),
                          split(n, VALUE, r.groups)};
    const Expr *const *k = x[KEY]->type.dims;
    r.batch = k[0];
    r.steps = k[1];
    r.d = k[3];
    r.e = x[VALUE]->type.dims[3];
    if (r.gated) x[DECAY] = split(n, DECAY, r.groups);
    if (r.delta) onnx_need_rank(n, RATE, 3);
    if (r.delta) x[RATE] = split(n, RATE, ex_is(n->inputs[RATE]->type.dims[2], 1) ? 1 : r.groups);
    const Expr *state_dims[] = {r.batch, ex_int(n->x, r.groups), r.d, r.e};
    bool past = onnx_given(n, STATE);
    Value *zeros = ir_splat(n->g, TN_F32, 4, state_dims, 0), *state = zeros;
    if (past) {
        onnx_need_same_dims(n, n->inputs[STATE], zeros);
        state = ir_cast(n->g, n->inputs[STATE], TN_F32);
    }
    Node *loop = run_steps(n, &r, x, state);
    Value *y = ir_transpose(n->g, loop->outputs[1], batch_first);
    const Expr *dims[] = {r.batch, r.steps, ex_scale(n->x, r.e, r.heads, 1)};
    y = onnx_with_scalar(n, OP_mul, ir_view(n->g, y, 3, dims), output_scale(n, &r));
    n->outputs[0] = ir_cast(n->g, y, t);
    if (n->output_count > 1)
        n->outputs[1] = ir_cast(n->g, loop->outputs[0], past ? n->inputs[STATE]->type.dtype : t);
}
