/* bfloat: the values between products become bf16, and the weights of products.
 *
 *     %1: f32[n, 8] = layer_norm %x, %g              %1: bf16[n, 8] = layer_norm %x, %g {to=bf16}
 *     %2: f32[n, 8] = linear %1, %w, %b        =>    %2: bf16[n, 8] = linear %1, %w16, %b
 *     %3: f32[n, 8] = gelu %2                        %3: f32 = cast %2; %4: f32 = gelu %3; ..
 *
 * Which values, bfloat_choose.c says. Sums and statistics run in f32 inside the kernels,
 * elementwise operators between two casts that join their map (fuse_map), so a number is rounded
 * where it is stored and nowhere else. */
#include "passes/bfloat.h"

#include "ir/build.h"

typedef struct Rewrite {
    Bfloat b;
    Value **now; /* by value id: what a value that became bf16 is now */
} Rewrite;

static bool is_half_or_single(TnDType t) {
    return t == TN_F32 || t == TN_F16 || t == TN_BF16;
}

/* The type of all operands and results of `n` that share one. */
static bool shares_bf16(const Rewrite *w, const Node *n) {
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i] && bfloat_operand(n, i) == '1' && bfloat_chosen(&w->b, n->inputs[i]))
            return true;
    for (int i = 0; i < n->output_count; i++)
        if (bfloat_result(n, i) == '1' && bfloat_chosen(&w->b, n->outputs[i])) return true;
    return false;
}

/* What an operand is to be: bf16, f32, or (TN_NONE) as it comes. */
static TnDType wanted(const Rewrite *w, const Node *n, int i) {
    const Value *v = n->inputs[i];
    if (!is_half_or_single(v->type.dtype)) return TN_NONE;
    switch (bfloat_operand(n, i)) {
    case 'm': return w->b.multiplies[n->id] ? TN_BF16 : TN_F32;
    case 'w': return w->b.multiplies[n->id] && v->constant ? TN_BF16 : TN_NONE;
    case '1':
        return v->constant && v->type.dtype == TN_F32 && shares_bf16(w, n) ? TN_BF16 : TN_NONE;
    default: return ir_op_info(n->op)->flags & OPF_ELEMENTWISE ? TN_F32 : TN_NONE;
    }
}

static Value *operand(const Rewrite *w, const Node *n, int i) {
    Value *v = n->inputs[i];
    if (!v) return NULL;
    TnDType t = wanted(w, n, i);
    if (v->constant) return t == TN_BF16 ? ir_constant_bf16(n->graph, v->constant) : v;
    bool is_bf16 = bfloat_chosen(&w->b, v);
    if (is_bf16) v = w->now[v->id];
    if (t == TN_NONE || (!is_bf16 && v->type.dtype != TN_F32)) return v;
    return ir_cast(n->graph, v, t);
}

/* Results that have a type of their own say it where it is not that of operand 0. */
static void set_result_types(const Rewrite *w, const Node *n, Node *by) {
    static const char *const names[] = {"to", "sum"};
    TnDType x = by->inputs[0]->type.dtype;
    for (int k = 0; k < n->output_count && k < 2; k++) {
        TnDType t = bfloat_chosen(&w->b, n->outputs[k]) ? TN_BF16 : n->outputs[k]->type.dtype;
        if (t != x && (bfloat_result(n, k) == 'e' || n->op == OP_qkv))
            ir_set_dtype(by, names[n->op == OP_qkv ? 0 : k], t);
    }
}

/* Readers of a result that became bf16 find it in `now`. */
static void hand_on(Rewrite *w, Value *old, Value *by) {
    if (bfloat_chosen(&w->b, old)) {
        w->now[old->id] = ir_cast(old->graph, by, TN_BF16);
        ir_take_sources(w->now[old->id], old);
    } else {
        ir_replace(old, by);
    }
}

static bool rewrite_node(Rewrite *w, Node *n) {
    Graph *g = n->graph;
    Value **in = ARENA_ARRAY(&g->module->cx->arena, Value *, (size_t)n->input_count);
    bool changed = false;
    ir_edit_begin(g, n, &n, 1);
    for (int i = 0; i < n->input_count; i++) {
        in[i] = operand(w, n, i);
        changed |= in[i] != n->inputs[i];
    }
    for (int i = 0; i < n->output_count; i++) changed |= bfloat_chosen(&w->b, n->outputs[i]);
    if (changed) {
        Node *by = ir_node(g, n->op, n->input_count, in);
        ir_copy_attrs(by, n);
        if (!(ir_op_info(n->op)->flags & OPF_ELEMENTWISE)) set_result_types(w, n, by);
        ir_insert(by);
        for (int i = 0; i < n->output_count; i++) hand_on(w, n->outputs[i], by->outputs[i]);
    }
    ir_edit_end(g);
    return changed;
}

/* Of what computes on its own: not of moves, which cost nothing, nor of steps of maps. */
static void report_node(const Rewrite *w, const Node *n, Report *r) {
    bool computes = n->output_count && n->outputs[0]->type.dtype == TN_F32;
    if (!computes || ir_op_info(n->op)->flags & (OPF_MOVE | OPF_ELEMENTWISE | OPF_CONTROL)) return;
    const char *why = bfloat_why(&w->b, n);
    if (why) report_miss(r, "bf16", n, "%s", why);
}

bool pass_bfloat(Graph *g, Report *r) {
    Rewrite w = {.b = bfloat_choose(g)};
    bool changed = false;
    w.now = ARENA_ARRAY(&g->module->cx->arena, Value *, w.b.count + 1);
    for (const Node *n = g->first; n; n = n->next) report_node(&w, n, r);
    IR_FOR_NODES(n, g) changed |= rewrite_node(&w, n);
    ir_remove_dead(g);
    return changed;
}
