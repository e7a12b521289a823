/* Element functions back into nodes: see emit.h.
 *
 * Expressions are computed in i64, one node per operation; a load whose indices are coordinates
 * (plus a constant) is the loaded tensor itself, sliced, with its axes put in the order of the
 * result. What cannot be computed that way may stand in the graph already: a tensor whose elements
 * are proven to be the wanted ones, or their opposites, is taken as it is. */
#include "passes/emit.h"

typedef struct Emit {
    Graph *g;
    ExprCx *x;
    int n;
    const int *axes;
    const Expr *const *dims;
} Emit;

static Value *emit_expr(Emit *e, const Expr *x);
static Value *emit(Emit *e, const Pred *p);
static Value *compute(Emit *e, const Pred *p);

static int axis_of(const Emit *e, int coordinate) {
    for (int k = 0; k < e->n; k++)
        if (e->axes[k] == coordinate) return k;
    return -1;
}

/* `index` = coordinate of result axis *axis plus *start, or *start alone (*axis = -1). */
static bool split_index(Emit *e, const Expr *index, int *axis, const Expr **start) {
    *axis = -1;
    for (int k = 0; k < e->n; k++) {
        if (!ex_mentions_coord(index, e->axes[k])) continue;
        if (*axis >= 0) return false;
        *axis = k;
    }
    *start =
        *axis < 0 ? index : ex_sub(e->x, index, ex_coord(e->x, e->axes[*axis], e->dims[*axis]));
    return !ex_mentions(*start, ATOM_COORD) && !ex_mentions(*start, ATOM_LOAD) &&
           ex_nonneg(e->x, *start);
}

static Value *emit_load(Emit *e, const Atom *a) {
    Value *v = ir_resolve((Value *)a->leaf);
    int axis_at[TN_MAX_RANK], perm[TN_MAX_RANK], used = 0;
    if (v->type.rank != a->arity || (v->node && v->node->removed)) return NULL;
    bool taken[TN_MAX_RANK] = {false};
    for (int j = 0; j < a->arity; j++) {
        const Expr *start;
        if (!split_index(e, a->args[j], &axis_at[j], &start)) return NULL;
        if (axis_at[j] >= 0 && taken[axis_at[j]]) return NULL;
        const Expr *length = axis_at[j] < 0 ? ex_int(e->x, 1) : e->dims[axis_at[j]];
        if (!ex_provably_ge(e->x, v->type.dims[j], ex_add(e->x, start, length))) return NULL;
        v = ir_slice(e->g, v, j, start, length, 1);
        if (axis_at[j] >= 0) taken[axis_at[j]] = true;
    }
    for (int k = 0; k < e->n; k++)
        for (int j = 0; j < a->arity; j++)
            if (axis_at[j] == k) perm[used++] = j;
    int moved = used;
    for (int j = 0; j < a->arity; j++)
        if (axis_at[j] < 0) perm[moved++] = j;
    v = ir_transpose(e->g, v, perm);
    const Expr *dims[TN_MAX_RANK];
    for (int k = 0; k < e->n; k++) dims[k] = taken[k] ? e->dims[k] : ex_int(e->x, 1);
    v = ir_view(e->g, v, e->n, dims);
    return ir_cast(e->g, v, TN_I64);
}

static Value *emit_coord(Emit *e, const Atom *a) {
    int k = axis_of(e, a->number);
    if (k < 0) return NULL;
    const Expr *dims[TN_MAX_RANK];
    for (int i = 0; i < e->n; i++) dims[i] = i == k ? e->dims[k] : ex_int(e->x, 1);
    Value *v = ir_iota(e->g, TN_I64, e->dims[k], ex_int(e->x, 0), ex_int(e->x, 1));
    return ir_view(e->g, v, e->n, dims);
}

static Value *emit_symbols(Emit *e, const Expr *x) {
    const Expr *dims[TN_MAX_RANK];
    for (int i = 0; i < e->n; i++) dims[i] = ex_int(e->x, 1);
    return ir_view(e->g, ir_scalars(e->g, TN_I64, 1, &x), e->n, dims);
}

static Value *emit_atom(Emit *e, const Atom *a) {
    Value *p, *q;
    switch (a->kind) {
    case ATOM_COORD: return emit_coord(e, a);
    case ATOM_LOAD: return emit_load(e, a);
    case ATOM_BIT: p = emit(e, a->pred); return p ? ir_cast(e->g, p, TN_I64) : NULL;
    case ATOM_ABS: p = emit_expr(e, a->args[0]); return p ? ir_unary(e->g, OP_abs, p) : NULL;
    case ATOM_MIN:
    case ATOM_MAX:
        p = emit_expr(e, a->args[0]);
        for (int i = 1; i < a->arity && p; i++) {
            q = emit_expr(e, a->args[i]);
            p = q ? ir_binary(e->g, a->kind == ATOM_MIN ? OP_min : OP_max, p, q) : NULL;
        }
        return p;
    case ATOM_MOD:
        p = emit_expr(e, a->args[0]);
        q = emit_expr(e, a->args[1]);
        return p && q ? ir_binary(e->g, OP_mod, p, q) : NULL;
    case ATOM_FLOORDIV:
        if (!ex_nonneg(e->x, a->args[0]) || !ex_nonneg(e->x, a->args[1])) return NULL;
        p = emit_expr(e, a->args[0]);
        q = emit_expr(e, a->args[1]);
        return p && q ? ir_binary(e->g, OP_div, p, q) : NULL;
    default: return NULL;
    }
}

static Value *emit_term(Emit *e, const Term *t) {
    Value *v = NULL;
    if (t->coef.den != 1) return NULL;
    for (int i = 0; i < t->degree; i++) {
        Value *a = emit_atom(e, t->atoms[i]);
        if (!a) return NULL;
        v = v ? ir_binary(e->g, OP_mul, v, a) : a;
    }
    if (t->coef.num == 1 && v) return v;
    Value *c = ir_scalar_int(e->g, TN_I64, t->coef.num);
    return v ? ir_binary(e->g, OP_mul, v, c) : c;
}

static Value *emit_expr(Emit *e, const Expr *x) {
    if (!ex_mentions(x, ATOM_COORD) && !ex_mentions(x, ATOM_LOAD) && !ex_mentions(x, ATOM_BIT)) {
        int64_t c;
        return ex_const(x, &c) ? ir_scalar_int(e->g, TN_I64, c) : emit_symbols(e, x);
    }
    Value *sum = NULL;
    for (int i = 0; i < x->count; i++) {
        Value *t = emit_term(e, &x->terms[i]);
        if (!t) return NULL;
        sum = sum ? ir_binary(e->g, OP_add, sum, t) : t;
    }
    return sum;
}

static Value *emit_compare(Emit *e, const Pred *p) {
    Value *v = emit_expr(e, p->expr);
    if (!v) return NULL;
    Value *zero = ir_scalar_int(e->g, TN_I64, 0);
    if (p->kind == PRED_GE0) return ir_binary(e->g, OP_le, zero, v);
    if (p->kind == PRED_EQ0) return ir_binary(e->g, OP_eq, v, zero);
    /* != 0 is what a cast to bool asks; a cast of a bool is the bool itself */
    return ir_cast(e->g, v, TN_BOOL);
}

/* --- what the graph has already --- */

/* The result axis that each axis of v follows, -1 for axes of length 1, if the axes in the set
 * `taken` are those that v has, in their order; false if the lengths do not go together. */
static bool follow_axes(const Emit *e, const Value *v, unsigned taken, int *axis_at) {
    int k = 0;
    for (int j = 0; j < v->type.rank; j++) {
        axis_at[j] = -1;
        if (ex_is(v->type.dims[j], 1)) continue;
        while (k < e->n && !(taken & 1u << k)) k++;
        if (k == e->n || !ex_provably_ge(e->x, v->type.dims[j], e->dims[k])) return false;
        axis_at[j] = k++;
    }
    while (k < e->n && !(taken & 1u << k)) k++;
    return k == e->n;
}

/* v, whose axes follow axis_at, as a tensor of the result's axes. */
static Value *settle_axes(Emit *e, Value *v, const int *axis_at) {
    const Expr *dims[TN_MAX_RANK];
    for (int k = 0; k < e->n; k++) dims[k] = ex_int(e->x, 1);
    for (int j = 0, rank = v->type.rank; j < rank; j++) {
        if (axis_at[j] < 0) continue;
        dims[axis_at[j]] = e->dims[axis_at[j]];
        v = ir_slice(e->g, v, j, ex_int(e->x, 0), dims[axis_at[j]], 1);
    }
    return ir_view(e->g, v, e->n, dims);
}

/* v as the tensor of p, if its element function says that it is. */
static Value *same_elements(Emit *e, Value *v, const Pred *p) {
    int axis_at[TN_MAX_RANK];
    const Expr *map[TN_MAX_RANK];
    for (unsigned taken = 0; taken < 1u << e->n; taken++) {
        if (!follow_axes(e, v, taken, axis_at)) continue;
        for (int j = 0; j < v->type.rank; j++) {
            int k = axis_at[j];
            map[j] = k < 0 ? ex_int(e->x, 0) : ex_coord(e->x, e->axes[k], e->dims[k]);
        }
        if (pr_at(e->x, v->facts.pred, map, v->type.rank) == p) return settle_axes(e, v, axis_at);
    }
    return NULL;
}

static Value *find_elements(Emit *e, const Pred *p) {
    IR_FOR_NODES(n, e->g) {
        if (n == e->g->cursor) break;
        for (int i = 0; i < n->output_count; i++) {
            Value *v = n->outputs[i];
            if (v->type.dtype != TN_BOOL || !v->facts.pred) continue;
            Value *found = same_elements(e, v, p);
            if (found) return found;
        }
    }
    return NULL;
}

static Value *emit(Emit *e, const Pred *p) {
    Value *v = compute(e, p);
    if (v || (v = find_elements(e, p))) return v;
    v = find_elements(e, pr_not(e->x, p));
    return v ? ir_unary(e->g, OP_not, v) : NULL;
}

static Value *compute(Emit *e, const Pred *p) {
    switch (p->kind) {
    case PRED_TRUE:
    case PRED_FALSE: return ir_scalar_int(e->g, TN_BOOL, p->kind == PRED_TRUE);
    case PRED_GE0:
    case PRED_EQ0:
    case PRED_NE0: return emit_compare(e, p);
    case PRED_NOT: {
        Value *v = emit(e, p->args[0]);
        return v ? ir_unary(e->g, OP_not, v) : NULL;
    }
    default: break;
    }
    OpKind op = p->kind == PRED_AND ? OP_and : p->kind == PRED_OR ? OP_or : OP_xor;
    Value *all = NULL;
    for (int i = 0; i < p->count; i++) {
        Value *v = emit(e, p->args[i]);
        if (!v) return NULL;
        all = all ? ir_binary(e->g, op, all, v) : v;
    }
    return all;
}

Value *emit_pred(Graph *g, const Pred *p, int n, const int *axes, const Expr *const *dims) {
    Emit e = {.g = g, .x = g->module->ex, .n = n, .axes = axes, .dims = dims};
    Value *v = emit(&e, p);
    if (!v || v->type.rank == n) return v;
    const Expr *ones[TN_MAX_RANK];
    for (int i = 0; i < n; i++) ones[i] = ex_int(e.x, 1);
    return v->type.rank < n ? ir_view(g, v, n, ones) : NULL;
}
