/* The proof goes from a tensor back to what it is computed from, and computes the same of all
 * distances instead of all pairs:
 *
 *     %2: i64[s, t] = sub %1, %0       j - i, by its element function      iota from -s, clamped
 *     %3: i64[s, t] = abs %2           elementwise                         %b = abs %a
 *     %4: f32[s, t, 8] = gather %w, %3 look-ups                            %c = gather %w, %b
 *     %5 = transpose %4 ..             moves that leave row and column axes what they are
 *
 * Constants are lines if their diagonals are each of one element. */
#include "passes/distance.h"

#include <string.h>
#include "ir/infer.h"

#define STEPS 256 /* operators that compute a tensor, those on several ways counted on each */

typedef struct Line {
    Graph *g;
    ExprCx *x;
    int steps;
} Line;

static Value *line_of(Line *p, Value *v, int row, int column);

const Expr *distance_entries(ExprCx *x, const Expr *rows, const Expr *columns) {
    return ex_add(x, ex_add(x, rows, columns), ex_int(x, 1));
}

static bool has_axis(const Type *t, int axis) {
    return axis >= 0 && !ex_is(t->dims[axis], 1);
}

/* Axis i of what is left of a tensor without its rows. */
static int without(int row, int i) {
    return i > row ? i - 1 : i;
}

/* v with axes of length 1 in front, `rank` in all. */
static Value *filled(const Line *p, Value *v, int rank) {
    const Expr *dims[TN_MAX_RANK];
    int missing = rank - v->type.rank;
    for (int i = 0; i < rank; i++)
        dims[i] = i < missing ? ex_int(p->x, 1) : v->type.dims[i - missing];
    return ir_view(p->g, v, rank, dims);
}

/* A tensor that is the same for all pairs. */
static Value *same_for_all(const Line *p, Value *v, int row) {
    const Expr *dims[TN_MAX_RANK];
    if (row < 0) return v;
    for (int i = 0; i < v->type.rank; i++) dims[without(row, i)] = v->type.dims[i];
    return ir_view(p->g, v, v->type.rank - 1, dims);
}

static Value *number(Graph *g, const Expr *e) {
    return ir_scalars(g, TN_I64, 1, &e);
}

/* Whether v comes from integers alone: the element function of what was a float does not round. */
static bool of_integers(const Value *v, int *steps) {
    if (tn_is_float(v->type.dtype) || --*steps < 0) return false;
    for (int i = 0; v->node && i < v->node->input_count; i++)
        if (v->node->inputs[i] && !of_integers(v->node->inputs[i], steps)) return false;
    return true;
}

/* sign (column - row) + rest for every entry, if that is v's element function. */
static Value *of_element(const Line *p, const Value *v, int row, int column) {
    const Type *t = &v->type;
    const Expr *e = v->facts.elem, *rows = t->dims[row], *columns = t->dims[column];
    const Expr *one = ex_int(p->x, 1), *dims[TN_MAX_RANK];
    bool negative = false;
    int steps = STEPS;
    if (!e || !of_integers(v, &steps)) return NULL;
    const Expr *distance = ex_sub(p->x, ex_coord(p->x, column, columns), ex_coord(p->x, row, rows)),
               *rest = ex_sub(p->x, e, distance);
    if (ex_mentions(rest, ATOM_COORD)) {
        rest = ex_add(p->x, e, distance);
        negative = true;
    }
    if (ex_mentions(rest, ATOM_COORD) || ex_mentions(rest, ATOM_LOAD) || !ex_is_integral(rest))
        return NULL;
    dims[0] = distance_entries(p->x, rows, columns);
    Value *d = ir_iota(p->g, TN_I64, dims[0], ex_neg(p->x, rows), one);
    d = ir_binary(p->g, OP_min, d, number(p->g, ex_sub(p->x, columns, one)));
    d = ir_binary(p->g, OP_max, d, number(p->g, ex_sub(p->x, one, rows)));
    if (negative) d = ir_unary(p->g, OP_neg, d);
    d = ir_cast(p->g, ir_binary(p->g, OP_add, d, number(p->g, rest)), t->dtype);
    int rank = t->rank - 1 - without(row, column);
    for (int i = 1; i < rank; i++) dims[i] = one;
    return ir_view(p->g, d, rank, dims);
}

/* --- constants --- */

/* Whether every element is the one a step before it along axis a, or along both. */
static bool repeats(const Constant *c, int a, int b) {
    const size_t size = tn_dtype_size(c->dtype);
    int64_t count = 1, stride[TN_MAX_RANK] = {0};
    for (int i = c->rank - 1; i >= 0; i--) {
        stride[i] = count;
        count *= c->dims[i];
    }
    const char *at = c->data;
    const size_t step = (size_t)(stride[a] + (b != a ? stride[b] : 0)) * size;
    for (int64_t k = 0; k < count; k++, at += size)
        if (k / stride[a] % c->dims[a] && k / stride[b] % c->dims[b] && memcmp(at, at - step, size))
            return false;
    return true;
}

/* Where in the constant element k of its line is, whose extents are those, 1 instead of rows. */
static int64_t place_in(const Constant *c, int row, int column, const int64_t *extent, int64_t k) {
    int64_t place = 0, stride = 1, at[TN_MAX_RANK];
    for (int i = c->rank - 1; i >= 0; i--, k /= extent[i + 1]) at[i] = k % extent[i];
    int64_t d = at[column] - c->dims[row], low = 1 - c->dims[row], high = c->dims[column] - 1;
    d = d < low ? low : d > high ? high : d;
    at[row] = d < 0 ? -d : 0;
    at[column] = d < 0 ? 0 : d;
    for (int i = c->rank - 1; i >= 0; stride *= c->dims[i--]) place += at[i] * stride;
    return place;
}

/* A constant whose diagonals are each of one element. */
static Value *of_constant(const Line *p, const Constant *c, int row, int column) {
    const size_t size = tn_dtype_size(c->dtype);
    int64_t extent[TN_MAX_RANK], dims[TN_MAX_RANK], count = 1;
    for (int i = 0; i < c->rank; i++)
        if (c->dims[i] == 0) return NULL;
    if (!repeats(c, row, column)) return NULL;
    for (int i = 0; i < c->rank; i++) {
        extent[i] = i == row ? 1 : i == column ? c->dims[row] + c->dims[i] + 1 : c->dims[i];
        if (i != row && i != column && repeats(c, i, i)) extent[i] = 1;
        count *= extent[i];
        if (i != row) dims[without(row, i)] = extent[i];
    }
    char *line = arena_alloc(&p->g->module->cx->arena, (size_t)count * size);
    for (int64_t k = 0; k < count; k++)
        memcpy(line + (size_t)k * size,
               (const char *)c->data + (size_t)place_in(c, row, column, extent, k) * size, size);
    return ir_tensor(p->g, NULL, c->dtype, c->rank - 1, dims, line);
}

/* --- operators --- */

static Value *of_elementwise(Line *p, const Node *n, int row, int column) {
    Value *in[3];
    if (n->input_count > 3) return NULL;
    for (int i = 0; i < n->input_count; i++) {
        int missing = n->outputs[0]->type.rank - n->inputs[i]->type.rank;
        if (!(in[i] = line_of(p, n->inputs[i], row - missing, column - missing))) return NULL;
    }
    Node *same = ir_node(p->g, n->op, n->input_count, in);
    ir_copy_attrs(same, n);
    return ir_insert(same);
}

/* Whether the look-up requires nothing of lengths that is not known. What the model's own requires
 * is; more would make expressions out of date that are used (ir/expr_require.c). */
static bool requires_nothing(const Line *p, const Value *index, const Expr *dim) {
    const Expr *e = index->facts.elem, *last;
    if (!e || !ex_nonneg(p->x, e) || !(last = facts_last_index(p->x, e, &index->type))) return true;
    return ex_nonneg(p->x, ex_sub(p->x, ex_sub(p->x, dim, last), ex_int(p->x, 1)));
}

/* Both axes are among those of the look-up's index. */
static Value *of_gather(Line *p, const Node *n, int row, int column) {
    int axis = (int)attr_int(n, "axis"), rank = n->inputs[1]->type.rank;
    row -= axis;
    column -= axis;
    if (row < 0 || row >= rank || column < 0 || column >= rank) return NULL;
    Value *table = n->inputs[0], *index = line_of(p, n->inputs[1], row, column);
    if (!index || !requires_nothing(p, index, table->type.dims[axis])) return NULL;
    return ir_gather(p->g, table, filled(p, index, rank - 1), axis);
}

static Value *of_transpose(Line *p, const Node *n, int row, int column) {
    const IntList *order = attr_ints(n, "perm");
    int from = (int)order->v[row], perm[TN_MAX_RANK];
    Value *x = line_of(p, n->inputs[0], from, (int)order->v[column]);
    if (!x) return NULL;
    for (int i = 0; i < order->count; i++)
        if (i != row) perm[without(row, i)] = without(from, (int)order->v[i]);
    return ir_transpose(p->g, filled(p, x, order->count - 1), perm);
}

/* The axis of v's operand that axis `axis` of the view v is, where a view only adds and takes axes
 * of length 1; -1: it does more. */
static int viewed_axis(const Type *in, const Type *out, int axis) {
    int i = 0, found = -1;
    for (int k = 0; k < out->rank; k++) {
        if (ex_is(out->dims[k], 1)) continue;
        while (i < in->rank && ex_is(in->dims[i], 1)) i++;
        if (i == in->rank || in->dims[i] != out->dims[k]) return -1;
        if (k == axis) found = i;
        i++;
    }
    return found;
}

static Value *of_view(Line *p, const Node *n, int row, int column) {
    const Type *in = &n->inputs[0]->type, *out = &n->outputs[0]->type;
    const Expr *dims[TN_MAX_RANK];
    int from = viewed_axis(in, out, row), along = viewed_axis(in, out, column);
    Value *x = from < 0 || along < 0 ? NULL : line_of(p, n->inputs[0], from, along);
    if (!x) return NULL;
    x = filled(p, x, in->rank - 1);
    for (int i = 0; i < out->rank; i++) {
        if (i == row) continue;
        int at = viewed_axis(in, out, i);
        dims[without(row, i)] = at < 0 ? ex_int(p->x, 1) : x->type.dims[without(from, at)];
    }
    return ir_view(p->g, x, out->rank - 1, dims);
}

/* Axes that the tensor does not have, it would have in front. */
static Value *line_of(Line *p, Value *v, int row, int column) {
    const Node *n = v->node;
    if (--p->steps < 0) return NULL;
    if (!has_axis(&v->type, row) && !has_axis(&v->type, column)) return same_for_all(p, v, row);
    if (!has_axis(&v->type, row) || !has_axis(&v->type, column)) return NULL;
    if (v->constant) return of_constant(p, v->constant, row, column);
    Value *linear = of_element(p, v, row, column);
    if (linear || !n) return linear;
    if (ir_op_info(n->op)->flags & OPF_ELEMENTWISE) return of_elementwise(p, n, row, column);
    int missing = v->type.rank - (n->input_count ? n->inputs[0]->type.rank : 0);
    switch (n->op) {
    case OP_gather: return of_gather(p, n, row, column);
    case OP_transpose: return of_transpose(p, n, row, column);
    case OP_view: return of_view(p, n, row, column);
    case OP_expand: return line_of(p, n->inputs[0], row - missing, column - missing);
    default: return NULL;
    }
}

Value *distance_line(Graph *g, Value *v, int row, int column) {
    Line p = {g, g->module->ex, STEPS};
    return line_of(&p, v, row, column);
}
