/* widen: operators whose kernels compute in f32 get operands of f32.
 *
 *     %y: f16[n, 8] = linear %x, %w, %b      %x1: f32[n, 4] = cast %x
 *                                       =>   %y1: f32[n, 8] = linear %x1, %w, %b1
 *                                            %y: f16[n, 8] = cast %y1
 *
 * Nor is anything rounded from one such operator to the next: elementwise operators and sums are
 * widened too, a move of what was widened is one of f32, and only casts of the model's own round,
 * and what becomes a result, or is kept beside what came in 16 bits (a past and its new rows).
 *
 * The weights of products stay as they are, each stored once; the kernel widens them as it goes.
 * Tables that will be rounded to other types are widened.
 * The casts join the maps around them (fuse_map). Norms of f64 have no kernel and are taken apart.
 *
 * Where the plan computes in bf16, bfloat decides where to round: then all operators are widened,
 * and casts of the model's own do not round either. */
#include <string.h>
#include "ir/build.h"
#include "passes/pass.h"

static bool is_half(TnDType t) {
    return t == TN_F16 || t == TN_BF16;
}

static bool computes_in_f32(OpKind op) {
    switch (op) {
    case OP_matmul:
    case OP_conv:
    case OP_col2im:
    case OP_deform_columns:
    case OP_linear:
    case OP_qkv:
    case OP_attention:
    case OP_layer_norm:
    case OP_rms_norm:
    case OP_add_norm:
    case OP_rotary: return true;
    default: return false;
    }
}

/* A constant whose readers read it in f32. */
static bool is_widened(const Value *v) {
    return v->constant && v->constant->widened;
}

/* Operand i is a weight that the kernel reads as it is stored. */
static bool is_weight(const Node *n, int i) {
    if (is_widened(n->inputs[i])) return false;
    if (n->op == OP_linear) return i == 1;
    if (n->op == OP_conv) return i == 1 && n->inputs[1]->constant && attr_int(n, "groups") == 1;
    return n->op == OP_qkv && i >= 1 && i <= attr_int(n, "parts");
}

/* All but what moves or looks up whole tables, and what says its type itself. */
static bool may_widen(const Node *n) {
    switch (n->op) {
    case OP_cast:
    case OP_bitcast:
    case OP_splat: return false;
    case OP_gather: return !n->inputs[0]->constant || is_widened(n->inputs[0]);
    default: return !(ir_op_info(n->op)->flags & OPF_CONTROL);
    }
}

static bool is_sum(OpKind op) {
    switch (op) {
    case OP_softmax:
    case OP_log_softmax:
    case OP_reduce_sum:
    case OP_reduce_mean: return true;
    default: return false;
    }
}

/* v was rounded by a cast that this pass made, those from number `first` on. */
static bool was_rounded(const Value *v, uint32_t first) {
    return v->node && v->node->op == OP_cast && v->node->id >= first;
}

/* All operands of 16 bits are f32 that was rounded here, or constants that are f32 here. */
static bool moves_widened(const Node *n, uint32_t first) {
    if (!(ir_op_info(n->op)->flags & OPF_MOVE)) return false;
    for (int i = 0; i < n->input_count; i++) {
        const Value *v = n->inputs[i];
        if (v && is_half(v->type.dtype) && !was_rounded(v, first) && !is_widened(v)) return false;
    }
    return true;
}

/* The operand in f32. Vectors of constants - biases, gains - are converted here, so that they stay
 * constants whatever their length. */
static Value *widened(Graph *g, Value *v) {
    Constant *c = v->constant;
    return c && (c->rank == 1 || c->widened) ? ir_constant_f32(g, c) : ir_cast(g, v, TN_F32);
}

static bool is_multiplied(const Value *v) {
    for (int i = 0; i < v->use_count; i++)
        if (is_weight(v->uses[i].node, v->uses[i].index)) return true;
    return false;
}

/* A table that is to be rounded - to fewer bits or, if it is a weight too, to bf16 - is f32 until
 * then, where it is looked up and where it is multiplied: it is rounded, and stored, once. */
static void widen_tables(Graph *g) {
    const Module *m = g->module;
    for (const Node *n = g->first; n; n = n->next) {
        const Value *table = n->op == OP_gather ? n->inputs[0] : NULL;
        if (!table || !table->constant || !is_half(table->type.dtype)) continue;
        bool to_bf16 = m->bf16 && table->type.dtype == TN_F16 && is_multiplied(table);
        if (m->weight_bits || to_bf16) ir_constant_f32(g, table->constant);
    }
}

/* The node with these operands takes its place; results are cast to the types that they had. */
static void replace_operands(Node *n, Value *const *in) {
    Graph *g = n->graph;
    Node *by = ir_node(g, n->op, n->input_count, in);
    ir_copy_attrs(by, n);
    ir_insert(by);
    for (int i = 0; i < n->output_count; i++)
        ir_replace(n->outputs[i], ir_cast(g, by->outputs[i], n->outputs[i]->type.dtype));
}

static void widen(Node *n) {
    Graph *g = n->graph;
    Value **in = ARENA_ARRAY(&g->module->cx->arena, Value *, (size_t)n->input_count);
    for (int i = 0; i < n->input_count; i++) {
        Value *v = n->inputs[i];
        in[i] = v && is_half(v->type.dtype) && !is_weight(n, i) ? widened(g, v) : v;
    }
    replace_operands(n, in);
}

/* Weights and tables of f32 that the file has in 16 bits are read so, unless they are rounded. */
static bool read_narrow(Node *n) {
    Graph *g = n->graph;
    const int first = n->op == OP_gather ? 0 : 1,
              last = n->op == OP_qkv ? (int)attr_int(n, "parts") : first;
    if (n->op != OP_linear && n->op != OP_qkv && n->op != OP_gather) return false;
    Value **in = ARENA_ARRAY(&g->module->cx->arena, Value *, (size_t)n->input_count);
    for (int i = 0; i < n->input_count; i++) {
        const Constant *c = n->inputs[i] ? n->inputs[i]->constant : NULL;
        const bool weight = i >= first && i <= last;
        in[i] = n->inputs[i];
        if (!weight) continue;
        if (!c || !c->narrow) return false;
        in[i] = ir_constant(g, c->narrow);
        if (in[i]->type.dtype != in[first]->type.dtype) return false;
    }
    replace_operands(n, in);
    return true;
}

/* cast to f32 (cast of f32 to 16 bits) becomes the f32, if the inner one is of this pass. */
static void drop_rounding(Node *n, uint32_t first) {
    if (n->op != OP_cast || !was_rounded(n->inputs[0], first)) return;
    Node *inner = n->inputs[0]->node;
    if (n->outputs[0]->type.dtype != TN_F32 || !is_half(n->inputs[0]->type.dtype) ||
        inner->inputs[0]->type.dtype != TN_F32)
        return;
    ir_replace(n->outputs[0], inner->inputs[0]);
    ir_remove(n);
}

/* (s - mean) / sqrt(mean((s - mean)^2) + eps) gamma + beta over the last axis; rms: without mean.
 */
static void take_norm_apart(Node *n) {
    Graph *g = n->graph;
    bool rms = n->op == OP_rms_norm || (n->op == OP_add_norm && attr_bool(n, "rms"));
    int gamma = n->op == OP_add_norm ? 2 : 1;
    Value *s = n->inputs[0];
    if (n->op == OP_add_norm) s = ir_binary(g, OP_add, s, n->inputs[1]);
    const int64_t last = s->type.rank - 1;
    Value *d = rms ? s : ir_binary(g, OP_sub, s, ir_reduce(g, OP_reduce_mean, s, 1, &last, true));
    Value *variance = ir_reduce(g, OP_reduce_mean, ir_binary(g, OP_mul, d, d), 1, &last, true);
    Value *eps = ir_scalar(g, TN_F64, attr_float(n, "eps"));
    Value *y = ir_binary(g, OP_div, d, ir_unary(g, OP_sqrt, ir_binary(g, OP_add, variance, eps)));
    for (int i = gamma; i < n->input_count; i++)
        if (n->inputs[i]) y = ir_binary(g, i == gamma ? OP_mul : OP_add, y, n->inputs[i]);
    ir_replace(n->outputs[0], y);
    if (n->op == OP_add_norm) ir_replace(n->outputs[1], s);
}

static bool is_norm(OpKind op) {
    return op == OP_layer_norm || op == OP_rms_norm || op == OP_add_norm;
}

static bool has_half(const Node *n) {
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i] && is_half(n->inputs[i]->type.dtype) && !is_weight(n, i)) return true;
    return false;
}

/* Operators that compute in f32 whatever they are given, and what may as well. */
static bool is_to_widen(const Node *n, uint32_t first) {
    const Value *v = n->input_count ? n->inputs[0] : NULL;
    if (v && is_half(v->type.dtype) && computes_in_f32(n->op)) return true;
    if (!has_half(n) || !may_widen(n)) return false;
    return n->graph->module->bf16 || is_sum(n->op) || moves_widened(n, first) ||
           (ir_op_info(n->op)->flags & OPF_ELEMENTWISE);
}

bool pass_widen(Graph *g, Report *r) {
    bool changed = false;
    const uint32_t first = g->module->node_id;
    (void)r;
    widen_tables(g);
    IR_FOR_NODES(n, g) {
        TnDType t = n->input_count && n->inputs[0] ? n->inputs[0]->type.dtype : TN_NONE;
        bool half = is_to_widen(n, first), norm = t == TN_F64 && is_norm(n->op);
        if (!half && !norm) continue;
        ir_edit_begin(g, n, &n, 1);
        if (half)
            widen(n);
        else
            take_norm_apart(n);
        ir_edit_end(g);
        ir_remove(n);
        changed = true;
    }
    IR_FOR_NODES(n, g) drop_rounding(n, g->module->bf16 ? 0 : first);
    if (g->module->bf16 || g->module->weight_bits) return changed;
    IR_FOR_NODES(n, g) {
        ir_edit_begin(g, n, &n, 1);
        const bool narrow = read_narrow(n);
        ir_edit_end(g);
        if (narrow) ir_remove(n);
        changed |= narrow;
    }
    return changed;
}
