/* bfloat: the values between products become bf16, and the weights of products.
 *
 *     %1: f32[n, 8] = layer_norm %x, %g              %1: bf16[n, 8] = layer_norm %x, %g {to=bf16}
 *     %2: f32[n, 8] = linear %1, %w, %b        =>    %2: bf16[n, 8] = linear %1, %w16, %b {to=bf16}
 *     %3: f32[n, 8] = gelu %2                        %3: f32[n, 8] = cast %2 {to=f32}; gelu; cast
 *
 * Which values, bfloat_choose.c says. Sums and statistics run in f32 inside the kernels,
 * elementwise operators between two casts that join their map (fuse_map), so a number is rounded
 * where it is stored and nowhere else. */
#include "passes/bfloat.h"

#include "ir/build.h"

typedef struct Rewrite {
    Bfloat b;
    Value **now; /* by value id: what a value that became bf16 is now */
    int products, f32_products;
} Rewrite;

static bool is_half_or_single(TnDType t) {
    return t == TN_F32 || t == TN_F16 || t == TN_BF16;
}

/* Whether the operands and results of `n` that share a type have become bf16. */
static bool shares_bf16(const Rewrite *w, const Node *n) {
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i] && bfloat_operand(n, i) == '1' && bfloat_chosen(&w->b, n->inputs[i]))
            return true;
    for (int i = 0; i < n->output_count; i++)
        if (bfloat_result(n, i) == '1' && bfloat_chosen(&w->b, n->outputs[i])) return true;
    return false;
}

static Value *operand(const Rewrite *w, const Node *n, int i, bool shared) {
    Value *v = n->inputs[i];
    if (!v) return NULL;
    if (v->constant && is_half_or_single(v->constant->dtype) &&
        (bfloat_is_weight(n, i) || (shared && bfloat_operand(n, i) == '1')))
        return ir_constant_bf16(n->graph, v->constant);
    if (!bfloat_chosen(&w->b, v)) return v;
    bool steps = ir_op_info(n->op)->flags & OPF_ELEMENTWISE;
    return steps ? ir_cast(n->graph, w->now[v->id], TN_F32) : w->now[v->id];
}

/* Names of attributes that give results their types. */
static void set_result_types(const Rewrite *w, const Node *n, Node *by) {
    static const char *const names[] = {"to", "sum"};
    for (int k = 0; k < n->output_count && k < 2; k++) {
        TnDType t = bfloat_chosen(&w->b, n->outputs[k]) ? TN_BF16 : TN_F32;
        bool own = bfloat_result(n, k) == 'e' || n->op == OP_qkv;
        if (own && t != by->inputs[0]->type.dtype) ir_set_dtype(by, names[k], t);
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
    bool shared = shares_bf16(w, n), changed = false;
    g->cursor = n;
    ir_origins_from(g, &n, 1);
    for (int i = 0; i < n->input_count; i++) {
        in[i] = operand(w, n, i, shared);
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
    ir_origins_from(g, NULL, 0);
    g->cursor = NULL;
    return changed;
}

static void report_product(const Rewrite *w, const Node *n, Report *r) {
    bool bf16 = false;
    const Value *f32 = n->inputs[0];
    for (int i = 0; i < n->input_count && !bf16; i++) {
        bf16 = n->inputs[i] && (bfloat_is_weight(n, i) || bfloat_chosen(&w->b, n->inputs[i]));
        if (n->inputs[i] && !n->inputs[i]->constant && !bf16) f32 = n->inputs[i];
    }
    if (bf16)
        report_fired(r, "bf16");
    else
        report_miss(r, "bf16", n, "%s", f32->type.dtype == TN_F32 ? bfloat_why(&w->b, f32) : "?");
}

static void remove_dead(Graph *g) {
    for (Node *n = g->last, *prev; n; n = prev) {
        bool used = ir_never_dead(n);
        prev = n->prev;
        for (int i = 0; i < n->output_count; i++)
            used |= n->outputs[i]->use_count || ir_is_output(n->outputs[i]);
        if (!used) ir_remove(n);
    }
}

bool pass_bfloat(Graph *g, Report *r) {
    Rewrite w = {.b = bfloat_choose(g)};
    bool changed = false;
    w.now = ARENA_ARRAY(&g->module->cx->arena, Value *, w.b.count + 1);
    IR_FOR_NODES(n, g)
    if (bfloat_is_product(n)) report_product(&w, n, r);
    IR_FOR_NODES(n, g) changed |= rewrite_node(&w, n);
    remove_dead(g);
    return changed;
}
