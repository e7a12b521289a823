/* Facts rules of operators that move elements: coordinates are substituted.
 *
 * Each of them is a map from coordinates of the output to coordinates of the input. A view's map
 * may contain quotients and remainders of coordinates:
 *
 *     flat[k] = mask[k // t, k mod t]
 *
 * Left in place they would hide what a mask is, so where they do not cancel the element is a load
 * of the view's own result, flat[k]. A later gather at k = b * t + j (j < t) looks through the
 * view: there they cancel, and the element is mask[b, j] after all. */
#include "ir/shape.h"

#include "ir/infer.h"

#define MAX_LOOK_THROUGH 4 /* views in a row */

static Type *result(const Node *n) {
    return &n->outputs[0]->type;
}

/* --- quotients and remainders of coordinates --- */

static bool pred_divides(const Pred *p);

static bool divides(const Expr *e) {
    for (int i = 0; e && i < e->count; i++)
        for (int k = 0; k < e->terms[i].degree; k++) {
            const Atom *a = e->terms[i].atoms[k];
            if (a->kind == ATOM_COORD) continue;
            bool quotient = a->kind == ATOM_FLOORDIV || a->kind == ATOM_MOD;
            for (int j = 0; j < a->arity; j++)
                if ((quotient && ex_mentions(a->args[j], ATOM_COORD)) || divides(a->args[j]))
                    return true;
            if (a->pred && pred_divides(a->pred)) return true;
        }
    return false;
}

static bool pred_divides(const Pred *p) {
    if (!p) return false;
    for (int i = 0; i < p->count; i++)
        if (pred_divides(p->args[i])) return true;
    return divides(p->expr);
}

static bool divides_coords(Elem e) {
    return divides(e.e) || pred_divides(e.p);
}

/* --- views --- */

/* Axes [i, i + in_count) of the input hold the same
 * elements as [j, j + out_count) of the output. */
typedef struct Group {
    int i, in_count, j, out_count;
} Group;

static int next_axis(const Type *t, int i) {
    while (i < t->rank && ex_is(t->dims[i], 1)) i++;
    return i;
}

/* The smallest group from (i, j) on whose dims have equal
 * products; all the rest if there is none. */
static Group next_group(Module *m, const Type *in, const Type *out, int i, int j) {
    int rows = in->rank - i, columns = out->rank - j;
    const Expr *a[TN_MAX_RANK + 1], *b[TN_MAX_RANK + 1];
    a[0] = b[0] = ex_int(m->ex, 1);
    for (int total = 2; total <= rows + columns; total++) {
        int k = total - 1;
        if (k <= rows) a[k] = ex_mul(m->ex, a[k - 1], in->dims[i + k - 1]);
        if (k <= columns) b[k] = ex_mul(m->ex, b[k - 1], out->dims[j + k - 1]);
        for (int r = 1; r < total; r++)
            if (r <= rows && total - r <= columns && a[r] == b[total - r])
                return (Group){i, r, j, total - r};
    }
    return (Group){i, rows, j, columns};
}

static void map_group(Module *m, const Type *in, const Type *out, const Expr *const *at,
                      const Expr **map, Group g) {
    ExprCx *x = m->ex;
    if (g.in_count == 1 && g.out_count == 1) {
        map[g.i] = at[g.j];
        return;
    }
    const Expr *flat = ex_int(x, 0), *stride = ex_int(x, 1);
    for (int k = g.j + g.out_count - 1; k >= g.j; k--) {
        flat = ex_add(x, flat, ex_mul(x, at[k], stride));
        stride = ex_mul(x, stride, out->dims[k]);
    }
    stride = ex_int(x, 1);
    for (int k = g.i + g.in_count - 1; k >= g.i; k--) {
        if (ex_is(in->dims[k], 1)) continue;
        map[k] = ex_floordiv(x, flat, stride);
        if (next_axis(in, g.i) < k) map[k] = ex_mod(x, map[k], in->dims[k]);
        stride = ex_mul(x, stride, in->dims[k]);
    }
}

bool facts_view_map(Module *m, const Type *in, const Type *out, const Expr *const *at,
                    const Expr **map) {
    for (int i = 0; i < in->rank; i++) {
        if (ex_is(in->dims[i], 0)) return false;
        map[i] = ex_int(m->ex, 0);
    }
    int i = next_axis(in, 0), j = next_axis(out, 0);
    while (i < in->rank && j < out->rank) {
        Group g = next_group(m, in, out, i, j);
        map_group(m, in, out, at, map, g);
        i = next_axis(in, i + g.in_count);
        j = next_axis(out, j + g.out_count);
    }
    return true;
}

/* --- elements at other coordinates --- */

static Elem substitute(ExprCx *x, const Facts *f, const Expr *const *at, int rank) {
    Elem r = {0};
    if (f->pred) r.p = pr_at(x, f->pred, at, rank);
    if (f->elem) r.e = ex_at(x, f->elem, at, rank);
    return r;
}

static bool loads_itself(const Value *v) {
    const Expr *e = v->facts.elem;
    if (v->facts.pred) e = v->facts.pred->kind == PRED_NE0 ? v->facts.pred->expr : NULL;
    if (!e || e->count != 1 || e->terms[0].degree != 1) return false;
    const Atom *a = e->terms[0].atoms[0];
    return a->kind == ATOM_LOAD && a->leaf == v;
}

static Elem element_at(const Value *v, const Expr *const *at, int depth) {
    Module *m = v->graph->module;
    if (depth < MAX_LOOK_THROUGH && v->node && v->node->op == OP_view && loads_itself(v)) {
        const Value *x = v->node->inputs[0];
        const Expr *map[TN_MAX_RANK];
        if (x && facts_view_map(m, &x->type, &v->type, at, map)) {
            Elem e = element_at(x, map, depth + 1);
            if (!divides_coords(e)) return e;
        }
    }
    return substitute(m->ex, &v->facts, at, v->type.rank);
}

Elem facts_at(const Value *v, const Expr *const *at) {
    return element_at(v, at, 0);
}

/* --- maps --- */

/* Where element k of the output lies in v, or -1 if the map is not a matter of numbers alone. */
static int64_t source_index(Node *n, const Value *v, const Expr *const *map, const int64_t *dims,
                            int k) {
    ExprCx *x = infer_ex(n);
    const Expr *at[TN_MAX_RANK];
    int rank = result(n)->rank;
    for (int i = rank - 1, rest = k; i >= 0; rest /= (int)dims[i--])
        at[i] = ex_int(x, rest % dims[i]);
    int64_t index = 0;
    for (int i = 0; i < v->type.rank; i++) {
        int64_t c, d;
        if (!ex_const(ex_at(x, map[i], at, rank), &c) || !ex_const(v->type.dims[i], &d)) return -1;
        if (c < 0 || c >= d) return -1;
        index = index * d + c;
    }
    return index;
}

static void move_values(Node *n, const Value *v, const Expr *const *map) {
    int64_t count, dims[TN_MAX_RANK];
    if (!v->facts.values || !facts_static_count(result(n), &count)) return;
    ir_static_dims(result(n), dims);
    const Expr **values = ARENA_ARRAY(&module_of(n)->cx->arena, const Expr *, (size_t)count);
    for (int k = 0; k < count; k++) {
        int64_t from = source_index(n, v, map, dims, k);
        if (from < 0) return;
        values[k] = v->facts.values[from];
    }
    n->outputs[0]->facts.values = values;
    n->outputs[0]->facts.count = (int)count;
}

static void move_choice(Node *n, const Value *v, const Expr *const *map) {
    Facts *f = &n->outputs[0]->facts;
    if (!v->facts.choice) return;
    const Pred *p = pr_at(infer_ex(n), v->facts.choice, map, v->type.rank);
    bool worse = pred_divides(p) && !pred_divides(v->facts.choice);
    if (worse || pr_size(p) > FACTS_MAX_SIZE) return;
    f->choice = p;
    f->yes = v->facts.yes;
    f->no = v->facts.no;
}

void facts_move(Node *n, const Value *v, const Expr *const *map) {
    if (!n->outputs[0]->facts.values) move_values(n, v, map);
    if (!facts_known(v)) return;
    Elem old = {v->facts.elem, v->facts.pred}, e = facts_at(v, map);
    if (!divides_coords(e) || divides_coords(old)) facts_set_elem(n->outputs[0], e);
    move_choice(n, v, map);
}

/* Nothing to do for most float tensors. */
static bool idle(const Value *v) {
    return !v->facts.values && !facts_known(v);
}

void facts_view(Node *n) {
    const Value *v = n->inputs[0];
    const Expr *at[TN_MAX_RANK], *map[TN_MAX_RANK];
    if (idle(v)) return;
    int64_t count;
    if (v->facts.values && facts_static_count(result(n), &count) && count == v->facts.count) {
        n->outputs[0]->facts.values = v->facts.values;
        n->outputs[0]->facts.count = v->facts.count;
    }
    facts_coords(module_of(n), result(n), at);
    if (facts_view_map(module_of(n), &v->type, result(n), at, map)) facts_move(n, v, map);
}

void facts_transpose(Node *n) {
    const Expr *map[TN_MAX_RANK];
    const IntList *perm = attr_ints(n, "perm");
    if (idle(n->inputs[0])) return;
    for (int i = 0; i < perm->count; i++)
        map[perm->v[i]] = ex_coord(infer_ex(n), i, result(n)->dims[i]);
    facts_move(n, n->inputs[0], map);
}

void facts_expand(Node *n) {
    const Expr *map[TN_MAX_RANK];
    if (idle(n->inputs[0])) return;
    facts_broadcast_map(module_of(n), infer_input(n, 0), result(n), map);
    facts_move(n, n->inputs[0], map);
}

void facts_slice(Node *n) {
    ExprCx *x = infer_ex(n);
    const Expr *map[TN_MAX_RANK];
    if (idle(n->inputs[0])) return;
    facts_coords(module_of(n), result(n), map);
    int axis = ir_axis(module_of(n), attr_int(n, "axis"), result(n)->rank);
    map[axis] = ex_add(x, attr_dim(n, "start"), ex_scale(x, map[axis], attr_int(n, "step"), 1));
    facts_move(n, n->inputs[0], map);
}
