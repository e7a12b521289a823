/* quantised: constants that are dequantised, (q - z) s, meet what reads them.
 *
 *     %a = mul (add (cast %x), -3), 0.5                %p: i32[n, 8] = matmul_int %x, %w, 3
 *     %b = mul (cast %w), %s                      =>   %y = mul (cast %p), 0.5 s
 *     %y = matmul %a, %b
 *
 * A product of two dequantised operands is one of integers if x has one scale and w one per column:
 * sum (x - 3) 0.5 w s = 0.5 s sum (x - 3) w, and that sum is exact. So is one of two such x. Rows
 * of a table are dequantised when they have been looked up. Any other such constant is dequantised
 * here, once, in f32 as the model would have. What is dequantised, moved and quantised again alike
 * is only moved. What is dequantised is never NaN, which guards behind a softmax ask. */
#include <math.h>
#include "ir/build.h"
#include "ir/element.h"
#include "passes/pass.h"
#include "runtime/base/checked.h"

/* A value (q + shift) scale in f32, q of few bits; shift and scale are constants. */
typedef struct Scaled {
    Value *q, *shift, *scale; /* shift: NULL if absent */
} Scaled;

/* Numbers that f32 holds, as it does what is subtracted from them. */
static bool is_few_bits(TnDType t) {
    return tn_is_int(t) && t != TN_BOOL && tn_dtype_bits(t) <= 16;
}

static bool find_scaled(const Value *v, Scaled *s) {
    const Node *n = v->node;
    *s = (Scaled){0};
    if (!n || n->op != OP_mul || !n->inputs[1]->constant || v->type.dtype != TN_F32) return false;
    s->scale = n->inputs[1];
    n = n->inputs[0]->node;
    if (n && n->op == OP_add && n->inputs[1]->constant) {
        s->shift = n->inputs[1];
        n = n->inputs[0]->node;
    }
    if (!n || n->op != OP_cast || !is_few_bits(n->inputs[0]->type.dtype)) return false;
    s->q = n->inputs[0];
    return ir_same_dims(&s->q->type, &v->type);
}

static bool is_single(const Value *v) {
    double x;
    return !v || (v->type.rank == 0 && ir_constant_float(v, &x));
}

enum { MOST_MOVES = 8 }; /* that are looked back over */

static bool only_moves(const Node *n) {
    return n->op == OP_view || n->op == OP_transpose;
}

/* What v was moved from. */
static Value *unmoved(Value *v) {
    for (int i = 0; i < MOST_MOVES && v->node && only_moves(v->node); i++) v = v->node->inputs[0];
    return v;
}

/* q moved as v was from `from`. */
static Value *moved(Graph *g, Value *v, const Value *from, Value *q) {
    if (v == from) return q;
    Node *n = ir_node(g, v->node->op, 1, (Value *[]){moved(g, v->node->inputs[0], from, q)});
    ir_copy_attrs(n, v->node);
    return ir_insert(n);
}

/* --- products --- */

/* One number for all, or one per column of the product, which is axis `axis` of its matrix. */
static bool per_column(const Value *v, int axis, const Expr *columns) {
    if (is_single(v)) return true;
    if (v->type.rank == 1) return axis == 1 && v->type.dims[0] == columns;
    return v->type.rank == 2 && v->type.dims[axis] == columns && ex_is(v->type.dims[!axis], 1);
}

/* The sums stay below 2^31: of 8 bits, both less a zero of 8 bits. */
static bool sums_fit(ExprCx *x, const Expr *depth) {
    int64_t least, most;
    return ex_bounds(x, depth, &least, &most) && most <= INT32_MAX / (255 * 255);
}

static bool is_8_bits(const Value *v) {
    return v->type.dtype == TN_I8 || v->type.dtype == TN_U8;
}

/* Elements of a constant of floats with the other sign, in type `to`; NULL if one does not fit. */
static Value *zeros_of(Graph *g, const Value *shift, TnDType to) {
    const Constant *c = shift->constant;
    int64_t count = 1;
    for (int i = 0; i < c->rank; i++) count *= c->dims[i]; /* there is data for all */
    char *zeros = ARENA_ARRAY(&g->module->cx->arena, char, (size_t)count + 1);
    for (int64_t i = 0; i < count; i++) {
        double z = -ir_element_f64(c->dtype, c->data, i);
        const double least = to == TN_I8 ? -128 : 0;
        if (!(z >= least && z <= least + 255) || z != (double)(int64_t)z) return NULL;
        ir_store_i64(to, zeros, i, (int64_t)z);
    }
    return ir_constant(g, ir_constant_new(g->module, c->name, to, c->rank, c->dims, zeros));
}

/* v, a scalar or a number per column, as a vector or scalar. */
static Value *as_row(Graph *g, Value *v, const Expr *columns) {
    return v->type.rank ? ir_view(g, v, 1, &columns) : v;
}

/* Where the scales' product is not finite, 0 times it is no 0. */
static bool scales_fit(const Value *a, const Value *b) {
    const Constant *c = b->constant;
    double x;
    int64_t count = 1;
    if (!ir_constant_float(a, &x)) return false;
    for (int i = 0; i < c->rank; i++) count *= c->dims[i]; /* there is data for all */
    for (int64_t i = 0; i < count; i++)
        if (!isfinite((float)x * (float)ir_element_f64(c->dtype, c->data, i))) return false;
    return true;
}

static const char *why_no_integers(const Node *n, const Scaled *a, const Scaled *b) {
    const Type *t = &n->inputs[0]->type, *y = &n->outputs[0]->type;
    const Expr *columns = y->dims[y->rank - 1];
    const int axis = !attr_bool(n, "tb");
    if (!is_8_bits(a->q) || !is_8_bits(b->q)) return "its operands are not of 8 bits";
    if (b->q->constant && b->q->type.rank != 2) return "its weights are no matrix";
    if (!b->q->constant && (!is_single(b->scale) || !is_single(b->shift)))
        return "its columns, which are no weights, have scales of their own";
    if (!is_single(a->scale) || !is_single(a->shift)) return "its rows have scales of their own";
    if (!per_column(b->scale, axis, columns) || !per_column(b->shift, axis, columns))
        return "scales are not per column of its weights";
    if (!scales_fit(a->scale, b->scale)) return "the product of its scales is not finite";
    if (attr_bool(n, "ta")) return "its left operand is transposed";
    if (!sums_fit(n->graph->module->ex, t->dims[t->rank - 1])) return "sums may exceed 32 bits";
    return NULL;
}

static Value *with_last_axes_swapped(Graph *g, Value *v) {
    int perm[TN_MAX_RANK], rank = v->type.rank;
    for (int i = 0; i < rank; i++) perm[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    return ir_transpose(g, v, perm);
}

/* The product as one of integers; NULL if it is none of two dequantised operands. */
static Value *integer_product(Node *n, Report *r) {
    Graph *g = n->graph;
    Scaled a, b;
    if (n->op != OP_matmul || attr_dtype(n, "to") != TN_NONE) return NULL;
    Value *from = unmoved(n->inputs[0]);
    if (!find_scaled(from, &a) || !find_scaled(n->inputs[1], &b)) return NULL;
    const char *why = why_no_integers(n, &a, &b);
    const Type *t = &n->outputs[0]->type;
    const Expr *columns = t->dims[t->rank - 1];
    Value *za = NULL, *zb = NULL;
    if (!why) {
        za = a.shift ? zeros_of(g, a.shift, a.q->type.dtype) : NULL;
        zb = b.shift ? zeros_of(g, b.shift, b.q->type.dtype) : NULL;
        if ((a.shift && !za) || (b.shift && !zb)) why = "a zero point is no number of its type";
    }
    if (why) {
        report_miss(r, "quantised", n, "%s", why);
        return NULL;
    }
    Value *w = attr_bool(n, "tb") ? with_last_axes_swapped(g, b.q) : b.q;
    Value *in[4] = {moved(g, n->inputs[0], from, a.q), w, za, zb ? as_row(g, zb, columns) : NULL};
    Value *sum = ir_insert(ir_node(g, OP_matmul_int, zb ? 4 : za ? 3 : 2, in));
    Value *scale = ir_binary(g, OP_mul, as_row(g, b.scale, columns), a.scale);
    return ir_binary(g, OP_mul, ir_cast(g, sum, TN_F32), scale);
}

/* --- what is quantised again --- */

/* v is cast (add (round (div x, scale)), zero): x quantised, with constants. */
static Value *find_quantised(const Value *v, double *scale, double *zero) {
    const Node *n = v->node;
    *zero = 0;
    if (n->op != OP_cast || !is_few_bits(v->type.dtype)) return NULL;
    n = n->inputs[0]->node;
    if (n && n->op == OP_add && ir_constant_float(n->inputs[1], zero)) n = n->inputs[0]->node;
    if (!n || n->op != OP_round) return NULL;
    n = n->inputs[0]->node;
    if (!n || n->op != OP_div || n->outputs[0]->type.dtype != TN_F32) return NULL;
    return ir_constant_float(n->inputs[1], scale) ? n->inputs[0] : NULL;
}

/* The number that find_quantised began with. k scale / scale lies within k 2^-23 of the integer k
 * if no product leaves the normal floats, and is rounded to it. */
static bool is_same_number(const Scaled *s, TnDType t, double scale, double zero) {
    double by, shift = 0;
    if (!is_single(s->scale) || !is_single(s->shift) || s->q->type.dtype != t) return false;
    if (s->shift && !ir_constant_float(s->shift, &shift)) return false;
    return ir_constant_float(s->scale, &by) && by == scale && shift == -zero &&
           fabs(zero) <= 1 << 16 && fabs(scale) > 1e-30 && fabs(scale) < 1e30;
}

/* What n quantises, as it was before it was dequantised, or NULL. */
static Value *as_it_was(Node *n) {
    double scale, zero;
    Scaled s;
    Value *x = find_quantised(n->outputs[0], &scale, &zero), *from;
    if (!x) return NULL;
    from = unmoved(x);
    if (!find_scaled(from, &s)) return NULL;
    return is_same_number(&s, n->outputs[0]->type.dtype, scale, zero)
               ? moved(n->graph, x, from, s.q)
               : NULL;
}

/* --- guards --- */

/* x of where(x == x, x, z) if it is a finite number times another. */
static Value *guarded(const Node *n) {
    const Node *same = n->inputs[0]->node;
    Value *x = n->inputs[1];
    double scale, shift = 0;
    Scaled s;
    if (!same || same->op != OP_eq || same->inputs[0] != x || same->inputs[1] != x) return NULL;
    if (!find_scaled(x, &s) || !ir_same_dims(&x->type, &n->outputs[0]->type)) return NULL;
    if (!ir_constant_float(s.scale, &scale) || !isfinite(scale)) return NULL;
    if (s.shift && (!ir_constant_float(s.shift, &shift) || !isfinite(shift))) return NULL;
    return x;
}

/* --- tables and other constants --- */

static bool all_uses_look_up_rows(const Value *v) {
    for (int i = 0; i < v->use_count; i++) {
        const Node *n = v->uses[i].node;
        if (n->op != OP_gather || v->uses[i].index != 0 || attr_int(n, "axis") != 0) return false;
    }
    return v->use_count && !v->output_uses;
}

static void look_up_first(const Value *v, const Scaled *s) {
    Graph *g = v->graph;
    for (int i = 0; i < v->use_count; i++) {
        Node *n = v->uses[i].node;
        g->cursor = n;
        ir_origins_from(g, (Node *[]){v->node, n}, 2);
        Value *y = ir_cast(g, ir_gather(g, s->q, n->inputs[1], 0), TN_F32);
        if (s->shift) y = ir_binary(g, OP_add, y, s->shift);
        ir_replace(n->outputs[0], ir_binary(g, OP_mul, y, s->scale));
    }
}

/* How far apart the elements of a parameter are along each axis of q; 0 where it is broadcast. */
static bool param_steps(const Value *param, const Constant *q, int64_t *step) {
    const Constant *c = param ? param->constant : NULL;
    int64_t size = 1;
    for (int i = 0; i < q->rank; i++) step[i] = 0;
    if (!c) return true;
    if (c->rank > q->rank) return false;
    for (int i = c->rank, axis = q->rank; i-- > 0; size *= c->dims[i])
        if (axis--, c->dims[i] != 1) step[axis] = size;
    return true;
}

/* (q + shift) scale, computed; NULL if it is too large to be had. TN_MAX_FOLD is no bound for it:
 * the integers are all there, so it is no more than a few times what the file is, and what is not
 * dequantised here would be in each run. */
static Value *dequantised(Graph *g, const Scaled *s, const char *name) {
    const Constant *q = s->q->constant, *shift = s->shift ? s->shift->constant : NULL,
                   *scale = s->scale->constant;
    int64_t at[TN_MAX_RANK] = {0}, by[2][TN_MAX_RANK], place[2] = {0}, count, bytes;
    if (!tn_product(q->dims, q->rank, &count) || !tn_mul_i64(count, sizeof(float), &bytes))
        return NULL;
    if (!param_steps(s->shift, q, by[0]) || !param_steps(s->scale, q, by[1])) return NULL;
    float *y = ARENA_ARRAY(&g->module->cx->arena, float, (size_t)count + 1);
    for (int64_t i = 0; i < count; i++) {
        float v = (float)ir_element_f64(q->dtype, q->data, i);
        if (shift) v += (float)ir_element_f64(shift->dtype, shift->data, place[0]);
        y[i] = v * (float)ir_element_f64(scale->dtype, scale->data, place[1]);
        for (int axis = q->rank; axis-- > 0;) {
            bool ends = ++at[axis] == q->dims[axis];
            for (int p = 0; p < 2; p++) place[p] += (ends ? 1 - at[axis] : 1) * by[p][axis];
            if (!ends) break;
            at[axis] = 0;
        }
    }
    return ir_constant(g, ir_constant_new(g->module, name, TN_F32, q->rank, q->dims, y));
}

static bool settle_constant(Node *n) {
    Value *v = n->outputs[0];
    Scaled s;
    if (!v->use_count && !v->output_uses) return false;
    if (!find_scaled(v, &s) || !s.q->constant) return false;
    if (all_uses_look_up_rows(v) && is_single(s.shift) && is_single(s.scale)) {
        look_up_first(v, &s);
        return true;
    }
    Value *c = dequantised(n->graph, &s, v->name);
    if (!c) return false;
    n->graph->module->scaled = true;
    ir_replace(v, c);
    return true;
}

bool pass_quantised(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        g->cursor = n;
        ir_origins_from(g, &n, 1);
        Value *y = n->op == OP_cast    ? as_it_was(n)
                   : n->op == OP_where ? guarded(n)
                                       : integer_product(n, r);
        if (y) {
            ir_replace(n->outputs[0], y);
            ir_remove(n);
            report_fired(r, "quantised");
            changed = true;
        }
    }
    ir_origins_from(g, NULL, 0);
    IR_FOR_NODES(n, g) changed |= settle_constant(n);
    ir_origins_from(g, NULL, 0);
    g->cursor = NULL;
    return changed;
}
