/* Where an element of a tensor comes from: the walk back through operators that only move elements.
 *
 *     %1: f32[b, 5, 4] = pad %x {after=[0, 1, 0]}      %x: f32[b, 4, 4]
 *     %2: f32[b, 4, 5] = view %1
 *
 *     %2[b, r, c], r < 2, c < 3    is    %1[b, (5 r + c) // 4, (5 r + c) mod 4] = %x[b, r, r + c]
 *
 * Coordinates are expressions over coordinates whose extents say where the question is asked. Which
 * operand of a concat an element is from, whether it is inside a pad and which branch of a where it
 * is must be decided by them: the walk ends where they are not, and at operators that compute.
 * Which one of a row of windows over one tensor it is may stay open. Steps are limited, and so are
 * rows within rows: a walk that would take more of them ends. */
#include "passes/origin.h"

#include <math.h>
#include <string.h>
#include "ir/infer.h"

#define MAX_STEPS 20000
#define MAX_DEPTH 4

/* What a question may still cost. */
typedef struct Fuel {
    int steps, depth;
} Fuel;

static void walk(Origin *o, Fuel *fuel);

static void through_slice(ExprCx *x, const Node *n, Origin *o) {
    int axis = (int)attr_int(n, "axis");
    const Expr *steps = ex_scale(x, o->at[axis], attr_int(n, "step"), 1);
    o->at[axis] = ex_add(x, attr_dim(n, "start"), steps);
    o->value = n->inputs[0];
}

static void through_transpose(const Node *n, Origin *o) {
    const IntList *perm = attr_ints(n, "perm");
    const Expr *at[TN_MAX_RANK];
    memcpy(at, o->at, sizeof at);
    for (int i = 0; i < perm->count; i++) o->at[perm->v[i]] = at[i];
    o->value = n->inputs[0];
}

static bool through_view(Module *m, const Node *n, Origin *o) {
    const Expr *map[TN_MAX_RANK];
    const Type *in = &n->inputs[0]->type;
    if (!facts_view_map(m, in, &n->outputs[0]->type, o->at, map)) return false;
    memcpy(o->at, map, (size_t)in->rank * sizeof *map);
    o->value = n->inputs[0];
    return true;
}

/* The coordinates of the operand that broadcasts to the type. */
static void broadcast(ExprCx *x, Value *v, const Type *to, const Expr *const *at, Origin *o) {
    int shift = to->rank - v->type.rank;
    for (int i = 0; i < v->type.rank; i++) {
        const Expr *c = at[i + shift];
        o->at[i] = ex_is(v->type.dims[i], 1) ? ex_int(x, 0) : c;
    }
    o->value = v;
}

/* The k-th of a row that begins with these two; NULL if their distance is no number. */
static const Expr *in_row(ExprCx *x, const Expr *first, const Expr *second, const Expr *k) {
    int64_t step;
    if (!ex_const(ex_sub(x, second, first), &step)) return NULL;
    return ex_add(x, first, ex_scale(x, k, step, 1));
}

/* Operands of one length that are from places side by side, as windows over one tensor are, are one
 * operand whose place depends on which it is. */
static bool through_row(ExprCx *x, const Node *n, Origin *o, Fuel *fuel) {
    int axis = (int)attr_int(n, "axis");
    const Expr *length = n->inputs[0]->type.dims[axis], *at[TN_MAX_RANK];
    Origin first, second;
    if (ex_is(length, 0)) return false;
    const Expr *k = ex_floordiv(x, o->at[axis], length);
    memcpy(at, o->at, sizeof at);
    at[axis] = ex_mod(x, at[axis], length);
    for (int p = 0; p < n->input_count; p++) {
        if (n->inputs[p]->type.dims[axis] != length) return false;
        Origin this = {.value = n->inputs[p]};
        memcpy(this.at, at, sizeof at);
        walk(&this, fuel);
        if (p == 0) first = second = this;
        if (p == 1) second = this;
        if (this.value != first.value) return false;
        if (!this.value && this.number != first.number) return false;
        for (int i = 0; this.value && i < this.value->type.rank; i++)
            if (in_row(x, first.at[i], second.at[i], ex_int(x, p)) != this.at[i]) return false;
    }
    for (int i = 0; first.value && i < first.value->type.rank; i++)
        first.at[i] = in_row(x, first.at[i], second.at[i], k);
    *o = first;
    return true;
}

static bool through_concat(ExprCx *x, const Node *n, Origin *o, Fuel *fuel) {
    int axis = (int)attr_int(n, "axis");
    const Expr *at = o->at[axis];
    for (int i = 0; i < n->input_count; i++) {
        const Expr *dim = n->inputs[i]->type.dims[axis];
        if (ex_provably_ge(x, ex_sub(x, dim, ex_int(x, 1)), at)) {
            o->at[axis] = at;
            o->value = n->inputs[i];
            return true;
        }
        at = ex_sub(x, at, dim);
        if (!ex_nonneg(x, at)) break;
    }
    if (n->input_count < 2 || fuel->depth == MAX_DEPTH) return false;
    fuel->depth++;
    bool found = through_row(x, n, o, fuel);
    fuel->depth--;
    return found;
}

static bool uniform(const Value *v, double *number) {
    const Facts *f = &v->facts;
    if (!tn_is_float(v->type.dtype)) return false;
    if (f->choice && f->choice->kind == PRED_TRUE) {
        *number = f->yes;
        return true;
    }
    return ir_constant_float(v, number);
}

static bool through_pad(ExprCx *x, const Node *n, Origin *o) {
    const Expr *at[TN_MAX_RANK];
    bool decided = true;
    if (attr_string(n, "mode")[0] != 'c') return false;
    for (int i = 0; i < n->inputs[0]->type.rank; i++) {
        const Expr *last = ex_sub(x, n->inputs[0]->type.dims[i], ex_int(x, 1));
        at[i] = ex_sub(x, o->at[i], attr_dims(n, "before")->e[i]);
        const Expr *beyond = ex_sub(x, at[i], ex_add(x, last, ex_int(x, 1)));
        if (ex_nonneg(x, beyond) || ex_nonneg(x, ex_sub(x, ex_int(x, -1), at[i]))) {
            o->number = 0;
            if (n->input_count > 1 && n->inputs[1] && !uniform(n->inputs[1], &o->number))
                return false;
            o->value = NULL;
            return true;
        }
        decided = decided && ex_nonneg(x, at[i]) && ex_provably_ge(x, last, at[i]);
    }
    if (!decided) return false;
    memcpy(o->at, at, sizeof at);
    o->value = n->inputs[0];
    return true;
}

static bool through_where(ExprCx *x, const Node *n, Origin *o) {
    const Type *t = &n->outputs[0]->type;
    Value *c = n->inputs[0];
    Origin of;
    if (!c->facts.pred) return false;
    broadcast(x, c, t, o->at, &of);
    const Pred *p = pr_at(x, c->facts.pred, of.at, c->type.rank);
    if (p->kind != PRED_TRUE && p->kind != PRED_FALSE) return false;
    const Expr *at[TN_MAX_RANK];
    memcpy(at, o->at, sizeof at);
    broadcast(x, n->inputs[p->kind == PRED_TRUE ? 1 : 2], t, at, o);
    return true;
}

static bool through_gather(ExprCx *x, const Node *n, Origin *o) {
    const Value *index = n->inputs[1];
    int axis = (int)attr_int(n, "axis"), r = index->type.rank;
    const Expr *at[TN_MAX_RANK];
    if (!index->facts.elem) return false;
    const Expr *row = ex_at(x, index->facts.elem, o->at + axis, r);
    if (ex_mentions(row, ATOM_LOAD) || !ex_nonneg(x, row)) return false;
    memcpy(at, o->at, sizeof at);
    o->value = n->inputs[0];
    o->at[axis] = row;
    for (int i = axis + 1; i < o->value->type.rank; i++) o->at[i] = at[i - 1 + r];
    return true;
}

static bool step(Origin *o, Fuel *fuel) {
    const Node *n = o->value->node;
    Module *m = o->value->graph->module;
    double number;
    if (uniform(o->value, &number)) {
        o->value = NULL;
        o->number = number;
        return true;
    }
    if (!n) return false;
    switch (n->op) {
    case OP_slice: through_slice(m->ex, n, o); return true;
    case OP_transpose: through_transpose(n, o); return true;
    case OP_view: return through_view(m, n, o);
    case OP_concat: return through_concat(m->ex, n, o, fuel);
    case OP_pad: return through_pad(m->ex, n, o);
    case OP_where: return through_where(m->ex, n, o);
    case OP_gather: return through_gather(m->ex, n, o);
    case OP_expand: {
        const Expr *at[TN_MAX_RANK];
        memcpy(at, o->at, sizeof at);
        broadcast(m->ex, n->inputs[0], &n->outputs[0]->type, at, o);
        return true;
    }
    default: return false;
    }
}

static void walk(Origin *o, Fuel *fuel) {
    bool moved = true;
    while (moved && o->value && fuel->steps-- > 0) moved = step(o, fuel);
}

Origin origin_of(Value *v, const Expr *const *at) {
    Origin o = {.value = v};
    Fuel fuel = {MAX_STEPS, 0};
    for (int i = 0; i < v->type.rank; i++) o.at[i] = at[i];
    walk(&o, &fuel);
    return o;
}

bool origin_back(Origin *o) {
    Fuel fuel = {MAX_STEPS, 0};
    Origin back = *o;
    if (!o->value || !step(&back, &fuel)) return false;
    *o = back;
    return true;
}

bool origin_is(const Origin *o, int rank, const Expr *const *dims, const Expr *const *at) {
    Module *m = o->value->graph->module;
    const Expr *map[TN_MAX_RANK];
    Type wanted = {.dtype = o->value->type.dtype, .rank = rank};
    const Type *t = &o->value->type;
    memcpy(wanted.dims, dims, (size_t)rank * sizeof *dims);
    if (ir_elements(m, t) != ir_elements(m, &wanted)) return false;
    if (!facts_view_map(m, t, &wanted, at, map)) return false;
    for (int i = 0; i < t->rank; i++)
        if (map[i] != o->at[i] && !ex_is(t->dims[i], 1)) return false;
    return true;
}

Origin origin_of_operand(Value *v, const Type *to, const Expr *const *at) {
    Origin o = {0};
    broadcast(v->graph->module->ex, v, to, at, &o);
    return origin_of(v, o.at);
}

Origin origin_in_product(const Node *matmul, int operand, const Expr *const *at, const Expr *k) {
    Value *v = matmul->inputs[operand];
    ExprCx *x = matmul->graph->module->ex;
    int r = v->type.rank, shift = matmul->outputs[0]->type.rank - r;
    bool swapped = attr_bool(matmul, operand ? "tb" : "ta");
    const Expr *own[TN_MAX_RANK];
    for (int i = 0; i < r - 2; i++)
        own[i] = ex_is(v->type.dims[i], 1) ? ex_int(x, 0) : at[i + shift];
    int inner = (operand == 0) != swapped ? r - 1 : r - 2;
    own[inner] = k;
    own[2 * r - 3 - inner] = at[shift + r - (operand ? 1 : 2)];
    return origin_of(v, own);
}
