/* Facts rules of concat, pad and the gathers: where an
 * element comes from depends on more than a fixed map. */
#include "ir/shape.h"

#include "ir/infer.h"

static Type *result(const Node *n) {
    return &n->outputs[0]->type;
}

static Elem choose(ExprCx *x, const Pred *p, Elem yes, Elem no) {
    if (yes.p && no.p) return (Elem){.p = facts_if(x, p, yes.p, no.p)};
    if (yes.e && no.e) return (Elem){.e = ex_where(x, p, yes.e, no.e)};
    return (Elem){0};
}

static bool too_large(Elem e) {
    return (e.e && ex_size(e.e) > FACTS_MAX_SIZE) || (e.p && pr_size(e.p) > FACTS_MAX_SIZE);
}

/* --- concat --- */

/* Of dims[from, to). */
static int64_t product(const int64_t *dims, int from, int to) {
    int64_t p = 1;
    for (int i = from; i < to; i++) p *= dims[i];
    return p;
}

static void concat_values(Node *n, int axis) {
    Value *out = n->outputs[0];
    int64_t count, dims[TN_MAX_RANK], d[TN_MAX_RANK], position = 0;
    for (int i = 0; i < n->input_count; i++)
        if (!n->inputs[i]->facts.values) return;
    if (!facts_static_count(&out->type, &count)) return;
    ir_static_dims(&out->type, dims);
    const Expr **values = ARENA_ARRAY(&module_of(n)->cx->arena, const Expr *, (size_t)count);
    int64_t row = product(dims, axis, out->type.rank);
    for (int i = 0; i < n->input_count; i++) {
        const Value *v = n->inputs[i];
        ir_static_dims(&v->type, d);
        int64_t part = product(d, axis, v->type.rank);
        for (int64_t k = 0; k < v->facts.count; k++)
            values[k / part * row + position + k % part] = v->facts.values[k];
        position += part;
    }
    out->facts.values = values;
    out->facts.count = (int)count;
}

void facts_concat(Node *n) {
    ExprCx *x = infer_ex(n);
    int axis = ir_axis(module_of(n), attr_int(n, "axis"), result(n)->rank);
    concat_values(n, axis);
    /* of places side by side, [.., 2], the function says more than their numbers */
    if (n->outputs[0]->facts.values && result(n)->rank < 2) return;
    const Expr *at[TN_MAX_RANK], *end[FACTS_MAX_SIZE], *position = ex_int(x, 0);
    if (n->input_count > FACTS_MAX_SIZE) return;
    for (int i = 0; i < n->input_count; i++) {
        if (!n->inputs[i]->facts.elem && !n->inputs[i]->facts.pred) return;
        end[i] = position = ex_add(x, position, infer_input(n, i)->dims[axis]);
    }
    Elem e = {0};
    const Expr *c = ex_coord(x, axis, result(n)->dims[axis]);
    for (int i = n->input_count - 1; i >= 0; i--) {
        const Expr *start = i ? end[i - 1] : ex_int(x, 0);
        facts_coords(module_of(n), result(n), at);
        at[axis] = ex_sub(x, c, start);
        Elem part = facts_at(n->inputs[i], at);
        bool last = i == n->input_count - 1;
        e = last ? part : choose(x, pr_not(x, pr_ge(x, c, end[i])), part, e);
        if (too_large(e)) return;
    }
    facts_set_elem(n->outputs[0], e);
}

/* --- pad --- */

void facts_pad(Node *n) {
    ExprCx *x = infer_ex(n);
    const Value *v = n->inputs[0], *fill = n->input_count > 1 ? n->inputs[1] : NULL;
    bool is_bool = v->type.dtype == TN_BOOL;
    const char *mode = attr_string(n, "mode");
    const Expr *at[TN_MAX_RANK];
    if ((!v->facts.elem && !v->facts.pred) || mode[0] != 'c') return;
    Elem border = is_bool ? (Elem){.p = pr_bool(x, false)} : (Elem){.e = ex_int(x, 0)};
    if (fill) border = (Elem){fill->facts.elem, fill->facts.pred};
    const Pred *inside = pr_bool(x, true);
    facts_coords(module_of(n), result(n), at);
    for (int i = 0; i < v->type.rank; i++) {
        const Expr *before = attr_dims(n, "before")->e[i], *dim = v->type.dims[i];
        if (ex_is(before, 0) && ex_is(attr_dims(n, "after")->e[i], 0)) continue;
        const Expr *c = at[i] = ex_sub(x, at[i], before);
        inside = pr_and(x, inside, pr_ge(x, c, ex_int(x, 0)));
        inside = pr_and(x, inside, pr_not(x, pr_ge(x, c, dim)));
    }
    facts_set_elem(n->outputs[0], choose(x, inside, facts_at(v, at), border));
}

/* --- gathers --- */

const Expr *facts_last_index(ExprCx *x, const Expr *index, const Type *t) {
    static const AtomKind opaque[] = {ATOM_LOAD, ATOM_WHERE, ATOM_BIT, ATOM_FLOORDIV, ATOM_MOD};
    for (size_t i = 0; i < sizeof opaque / sizeof *opaque; i++)
        if (ex_mentions(index, opaque[i])) return NULL;
    const Expr *last[TN_MAX_RANK];
    for (int i = 0; i < t->rank; i++) last[i] = ex_sub(x, t->dims[i], ex_int(x, 1));
    return ex_at(x, index, last, t->rank);
}

_Noreturn static void fail_outside(Node *n, const Expr *index, const Expr *dim) {
    ExprCx *x = infer_ex(n);
    tn_fail(module_of(n)->cx, TN_E_MODEL, "index %s is outside an axis of length %s",
            ex_text(x, index), ex_text(x, dim));
}

/* A run in which no index is out of range has its largest index below the dim: at the last
 * coordinates this is a relation between lengths, and required. */
static void require_in_range(Node *n, const Expr *index, const Expr *dim) {
    ExprCx *x = infer_ex(n);
    const Expr *last = facts_last_index(x, index, result(n));
    if (last && !infer_try_le(module_of(n), ex_add(x, last, ex_int(x, 1)), dim))
        fail_outside(n, last, dim);
}

/* An index as a coordinate of an axis of length `dim`: negative numbers count from the end. NULL if
 * its sign is open. */
static const Expr *index_coordinate(Node *n, const Expr *index, const Expr *dim) {
    ExprCx *x = infer_ex(n);
    int64_t c;
    if (ex_const(index, &c) && c < 0) {
        const Expr *negative = index;
        index = ex_add(x, index, dim);
        if (!infer_try_le(module_of(n), ex_int(x, 0), index)) fail_outside(n, negative, dim);
    } else if (!ex_nonneg(x, index)) {
        return NULL;
    }
    require_in_range(n, index, dim);
    return index;
}

/* Data and indices known element by element. */
static void gather_values(Node *n, int axis) {
    const Value *v = n->inputs[0], *index = n->inputs[1];
    Value *out = n->outputs[0];
    int64_t count, dims[TN_MAX_RANK], at;
    if (!v->facts.values || !index->facts.values || !facts_static_count(result(n), &count)) return;
    if (!ir_static_dims(&v->type, dims)) return;
    int64_t dim = dims[axis], inner = product(dims, axis + 1, v->type.rank);
    const Expr **values = ARENA_ARRAY(&module_of(n)->cx->arena, const Expr *, (size_t)count);
    for (int64_t k = 0; k < count; k++) {
        int64_t row = k / inner, columns = index->facts.count;
        if (!ex_const(index->facts.values[row % columns], &at)) return;
        if (at < 0) at += dim;
        if (at < 0 || at >= dim) return;
        values[k] = v->facts.values[(row / columns * dim + at) * inner + k % inner];
    }
    out->facts.values = values;
    out->facts.count = (int)count;
}

void facts_gather(Node *n) {
    ExprCx *x = infer_ex(n);
    const Value *v = n->inputs[0], *index = n->inputs[1];
    int axis = ir_axis(module_of(n), attr_int(n, "axis"), v->type.rank), r = index->type.rank;
    const Expr *at[TN_MAX_RANK], *map[TN_MAX_RANK];
    for (int i = 0; i < r; i++) at[i] = ex_coord(x, axis + i, index->type.dims[i]);
    if (!v->facts.values && !facts_known(v)) { /* positions must lie within a table of data, too */
        index_coordinate(n, facts_at(index, at).e, v->type.dims[axis]);
        return;
    }
    gather_values(n, axis);
    if (n->outputs[0]->facts.values) return;
    for (int i = 0; i < v->type.rank; i++) {
        int to = i < axis ? i : i - 1 + r;
        map[i] = i == axis ? index_coordinate(n, facts_at(index, at).e, v->type.dims[i])
                           : ex_coord(x, to, result(n)->dims[to]);
        if (!map[i]) return;
    }
    facts_move(n, v, map);
}

void facts_gather_nd(Node *n) {
    ExprCx *x = infer_ex(n);
    const Value *v = n->inputs[0], *index = n->inputs[1];
    int batch = (int)attr_int(n, "batch"), last = index->type.rank - 1;
    int64_t depth;
    const Expr *at[TN_MAX_RANK], *map[TN_MAX_RANK];
    if (!facts_known(v) || !ex_const(index->type.dims[last], &depth)) return;
    facts_coords(module_of(n), result(n), at);
    for (int i = 0; i < v->type.rank; i++) {
        int k = i - batch, to = last + k - (int)depth;
        if (k < 0) {
            map[i] = at[i];
        } else if (k < depth) {
            const Expr *of_index[TN_MAX_RANK];
            for (int j = 0; j < last; j++) of_index[j] = ex_coord(x, j, index->type.dims[j]);
            of_index[last] = ex_int(x, k);
            map[i] = index_coordinate(n, facts_at(index, of_index).e, v->type.dims[i]);
        } else {
            map[i] = at[to];
        }
        if (!map[i]) return;
    }
    facts_move(n, v, map);
}
