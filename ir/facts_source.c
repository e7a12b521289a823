/* Facts of constants, graph inputs and operators without operands, and of reductions of small
 * tensors.
 *
 * Constant tables are recognised as functions of the coordinates when the whole table agrees:
 *
 *     0 1 2 3 ..           i0                (position ids)
 *     1 0 0 / 1 1 0 / ..   i0 - i1 >= 0      (causal masks, boolean, integer or float)
 *     0 5 / 1 5 / 2 5        where(i1 <= 0, i0, 5)   (coordinates of places, one per column)
 *     1 1 0 / 1 0 0          i0 + i1 <= 1         (corners of bands)
 *     1 0 0 / 1 0 0 / 1 0 1   the same, and t[2, i1]: some columns are empty (boolean) */
#include "ir/shape.h"

#include <math.h>
#include <string.h>
#include "ir/infer.h"

/* v = num / den with a denominator that is a power of two. */
static bool rational(double v, int64_t *num, int64_t *den) {
    const double max = (double)((int64_t)1 << 40);
    if (!(fabs(v) < max)) return false;
    for (*den = 1; *den <= 1 << 20; *den *= 2)
        if (v * (double)*den == floor(v * (double)*den)) {
            *num = (int64_t)(v * (double)*den);
            return true;
        }
    return false;
}

static void set_uniform(Value *v, double x) {
    v->facts.choice = pr_bool(v->graph->module->ex, true);
    v->facts.yes = v->facts.no = x;
}

/* --- tables --- */

typedef struct Table {
    TnDType dtype;
    const char *data;
    size_t size; /* of an element */
    int64_t count, dims[TN_MAX_RANK];
    int rank;
} Table;

static bool table_same(const Table *t, int64_t i, int64_t j) {
    if (t->dtype == TN_BOOL) return !t->data[i] == !t->data[j];
    return memcmp(t->data + (size_t)i * t->size, t->data + (size_t)j * t->size, t->size) == 0;
}

/* Index of the first element unlike element 0; `count` if there is none. */
static int64_t first_other(const Table *t) {
    int64_t i = 1;
    while (i < t->count && table_same(t, 0, i)) i++;
    return i;
}

/* Elements far beyond any length give 0, so that sums and differences of a few do not overflow. */
static int64_t element_or_fail(const Table *t, int64_t i, bool *ok) {
    int64_t v = ir_element_i64(t->dtype, t->data, i);
    if ((t->dtype != TN_U64 || v >= 0) && v > -((int64_t)1 << 40) && v < (int64_t)1 << 40) return v;
    *ok = false;
    return 0;
}

/* t[i0, i1, ..] = base + sum of steps[k] * ik? Or, with `part` >= 0, at that place of the last
 * axis.
 */
static bool table_affine(const Table *t, int64_t part, int64_t *base, int64_t *steps) {
    bool ok = true;
    int rank = part < 0 ? t->rank : t->rank - 1;
    int64_t first = part < 0 ? 0 : part, unit = part < 0 ? 1 : t->dims[rank], stride = unit;
    *base = element_or_fail(t, first, &ok);
    for (int k = rank - 1; k >= 0; stride *= t->dims[k--])
        steps[k] = t->dims[k] > 1 ? element_or_fail(t, first + stride, &ok) - *base : 0;
    for (int64_t i = 0; ok && i < t->count / unit; i++) {
        int64_t want = *base, rest = i;
        for (int k = rank - 1; k >= 0; rest /= t->dims[k--]) want += steps[k] * (rest % t->dims[k]);
        ok = element_or_fail(t, first + i * unit, &ok) == want && ok;
    }
    return ok;
}

/* The two axes that a table depends on. */
typedef struct Plane {
    int row, column;
    int64_t rows, columns, down, across; /* extents, elements from one to the next */
} Plane;

static bool table_varies(const Table *t, int64_t stride, int64_t extent) {
    for (int64_t k = stride; k < t->count; k++)
        if (k / stride % extent && !table_same(t, k, k - stride)) return true;
    return false;
}

static bool table_plane(const Table *t, Plane *p) {
    int64_t stride = 1;
    int found = 0;
    *p = (Plane){0};
    for (int k = t->rank - 1; k >= 0; stride *= t->dims[k--]) {
        if (t->dims[k] == 1 || !table_varies(t, stride, t->dims[k])) continue;
        if (found == 0) p->column = k, p->columns = t->dims[k], p->across = stride;
        if (found == 1) p->row = k, p->rows = t->dims[k], p->down = stride;
        if (found++ == 2) return false;
    }
    return found == 2;
}

/* Whether the elements like the first are those with sj * j + si * i <= limit, i and j being row
 * and column; the others must all be alike too. */
static bool table_is_half(const Table *t, const Plane *p, int64_t other, int si, int sj,
                          int64_t limit) {
    for (int64_t i = 0; i < p->rows; i++)
        for (int64_t j = 0; j < p->columns; j++)
            if (!table_same(t, si * i + sj * j <= limit ? 0 : other, i * p->down + j * p->across))
                return false;
    return true;
}

/* A triangle in two axes, the same along all others: where the elements are like the first. */
static const Pred *table_triangle(Module *m, const Table *t, int64_t other) {
    ExprCx *x = m->ex;
    Plane p;
    if (!table_plane(t, &p)) return NULL;
    int64_t across = 1, down = 1;
    while (across < p.columns && table_same(t, 0, across * p.across)) across++;
    while (down < p.rows && table_same(t, 0, down * p.down)) down++;
    const Expr *i = ex_coord(x, p.row, ex_int(x, p.rows));
    const Expr *j = ex_coord(x, p.column, ex_int(x, p.columns));
    if (table_is_half(t, &p, other, -1, 1, across - 1))
        return pr_ge(x, ex_add(x, i, ex_int(x, across - 1)), j);
    if (table_is_half(t, &p, other, 1, -1, down - 1))
        return pr_ge(x, ex_add(x, j, ex_int(x, down - 1)), i);
    if (table_is_half(t, &p, other, 1, 1, across - 1))
        return pr_ge(x, ex_int(x, across - 1), ex_add(x, i, j));
    return NULL;
}

/* A lower triangle in which some columns are unlike the first element all the way: where the
 * elements are like the first. The last row says which columns. */
static const Pred *table_columns(const Value *v, const Table *t, int64_t other) {
    ExprCx *x = v->graph->module->ex;
    int r = t->rank;
    if (r < 2 || t->dims[r - 2] * t->dims[r - 1] != t->count) return NULL;
    int64_t columns = t->dims[r - 1], last = t->count - columns, across = 1;
    while (across < columns && table_same(t, 0, across)) across++;
    for (int64_t k = 0; k < t->count; k++) {
        bool like = k % columns < k / columns + across && table_same(t, 0, last + k % columns);
        if (!table_same(t, like ? 0 : other, k)) return NULL;
    }
    const Expr *at[TN_MAX_RANK];
    for (int i = 0; i < r; i++) at[i] = ex_int(x, t->dims[i] - 1);
    at[r - 1] = ex_coord(x, r - 1, ex_int(x, columns));
    const Expr *i = ex_coord(x, r - 2, ex_int(x, t->dims[r - 2]));
    const Pred *column = pr_nonzero(x, ex_load(x, v, at, r));
    if (!t->data[0]) column = pr_not(x, column);
    return pr_and(x, pr_ge(x, ex_add(x, i, ex_int(x, across - 1)), at[r - 1]), column);
}

/* --- constants --- */

static void constant_values(Value *v, const Table *t) {
    Module *m = v->graph->module;
    if (t->count > TN_MAX_FACTS) return;
    const Expr **values = ARENA_ARRAY(&m->cx->arena, const Expr *, (size_t)t->count);
    for (int64_t i = 0; i < t->count; i++) {
        int64_t num, den = 1;
        if (tn_is_float(t->dtype)) {
            if (!rational(ir_element_f64(t->dtype, t->data, i), &num, &den)) return;
        } else {
            num = ir_element_i64(t->dtype, t->data, i);
            if (num == INT64_MIN || (t->dtype == TN_U64 && num < 0)) return;
        }
        values[i] = ex_rational(m->ex, num, den);
    }
    v->facts.values = values;
    v->facts.count = (int)t->count;
}

static void float_table(Value *v, const Table *t) {
    double first = ir_element_f64(t->dtype, t->data, 0);
    int64_t other = first_other(t), num, den;
    ExprCx *x = v->graph->module->ex;
    if (other == t->count) {
        set_uniform(v, first);
        if (rational(first, &num, &den)) v->facts.elem = ex_rational(x, num, den);
        return;
    }
    v->facts.choice = table_triangle(v->graph->module, t, other);
    v->facts.yes = first;
    v->facts.no = ir_element_f64(t->dtype, t->data, other);
}

static void bool_table(Value *v, const Table *t) {
    ExprCx *x = v->graph->module->ex;
    bool first = t->data[0] != 0;
    int64_t other = first_other(t);
    const Pred *p =
        other == t->count ? pr_bool(x, true) : table_triangle(v->graph->module, t, other);
    if (!p) p = table_columns(v, t, other);
    if (p) v->facts.pred = first ? p : pr_not(x, p);
}

/* The whole table, or a part of its last axis, as a polynomial of the coordinates; or NULL. */
static const Expr *affine_elem(const Value *v, const Table *t, int64_t part) {
    ExprCx *x = v->graph->module->ex;
    int64_t base, steps[TN_MAX_RANK];
    if (!table_affine(t, part, &base, steps)) return NULL;
    const Expr *e = ex_int(x, base);
    for (int k = 0; k < (part < 0 ? t->rank : t->rank - 1); k++)
        e = ex_add(x, e, ex_scale(x, ex_coord(x, k, v->type.dims[k]), steps[k], 1));
    return e;
}

/* Coordinates of places, one in each column: a polynomial per column. */
static const Expr *columns_elem(const Value *v, const Table *t) {
    ExprCx *x = v->graph->module->ex;
    int last = t->rank - 1;
    if (t->rank < 2 || t->dims[last] < 2 || t->dims[last] > TN_MAX_RANK) return NULL;
    const Expr *e = NULL, *column = ex_coord(x, last, v->type.dims[last]);
    for (int64_t k = t->dims[last] - 1; k >= 0; k--) {
        const Expr *part = affine_elem(v, t, k);
        if (!part) return NULL;
        e = e ? ex_where(x, pr_ge(x, ex_int(x, k), column), part, e) : part;
    }
    return e;
}

static void integer_table(Value *v, const Table *t) {
    Module *m = v->graph->module;
    ExprCx *x = m->ex;
    int64_t other = first_other(t);
    bool ok = true;
    v->facts.elem = affine_elem(v, t, -1);
    if (v->facts.elem || other == t->count) return;
    int64_t yes = element_or_fail(t, 0, &ok), no = element_or_fail(t, other, &ok);
    const Pred *p = ok ? table_triangle(m, t, other) : NULL;
    v->facts.elem = p ? ex_where(x, p, ex_int(x, yes), ex_int(x, no)) : columns_elem(v, t);
}

static void constant_facts(Value *v) {
    const Constant *c = v->constant;
    Table t = {c->dtype, c->data, tn_dtype_size(c->dtype), 1, {0}, c->rank};
    for (int i = 0; i < c->rank; i++) t.count *= t.dims[i] = c->dims[i];
    constant_values(v, &t);
    if (!t.count) return;
    if (tn_is_float(t.dtype))
        float_table(v, &t);
    else if (t.dtype == TN_BOOL)
        bool_table(v, &t);
    else
        integer_table(v, &t);
}

void facts_of_source(Value *v) {
    if (v->constant) constant_facts(v);
    facts_complete(v);
}

/* --- operators without operands --- */

static void fill_values(Node *n, const Expr *e) {
    Value *out = n->outputs[0];
    int64_t count;
    if (!facts_static_count(&out->type, &count)) return;
    const Expr **values = ARENA_ARRAY(&module_of(n)->cx->arena, const Expr *, (size_t)count);
    for (int64_t i = 0; i < count; i++) values[i] = e;
    out->facts.values = values;
    out->facts.count = (int)count;
}

void facts_splat(Node *n) {
    ExprCx *x = infer_ex(n);
    Value *out = n->outputs[0];
    TnDType t = out->type.dtype;
    int64_t num = attr_int(n, "integer"), den = 1;
    char data[8];
    if (tn_is_float(t)) {
        ir_store_f64(t, data, 0, attr_float(n, "value"));
        double v = ir_element_f64(t, data, 0);
        set_uniform(out, v);
        if (!rational(v, &num, &den)) return;
    } else {
        ir_store_i64(t, data, 0, num);
        num = ir_element_i64(t, data, 0);
        if (num == INT64_MIN || (t == TN_U64 && num < 0)) return;
    }
    const Expr *e = ex_rational(x, num, den);
    fill_values(n, e);
    facts_set_elem(out, t == TN_BOOL ? (Elem){.p = pr_nonzero(x, e)} : (Elem){.e = e});
}

void facts_iota(Node *n) {
    ExprCx *x = infer_ex(n);
    Value *out = n->outputs[0];
    const Expr *c = ex_coord(x, 0, out->type.dims[0]);
    const Expr *start = attr_dim(n, "start"), *step = attr_dim(n, "step");
    const Expr *e = ex_add(x, start, ex_mul(x, step, c));
    int64_t count;
    if (!facts_fits(x, out->type.dtype, e)) return;
    out->facts.elem = e;
    if (!facts_static_count(&out->type, &count)) return;
    const Expr **values = ARENA_ARRAY(&module_of(n)->cx->arena, const Expr *, (size_t)count);
    for (int64_t i = 0; i < count; i++) values[i] = ex_add(x, start, ex_mul(x, step, ex_int(x, i)));
    out->facts.values = values;
    out->facts.count = (int)count;
}

void facts_scalars(Node *n) {
    const ExprList *list = attr_exprs(n, "values");
    if (list->count > TN_MAX_FACTS) return;
    n->outputs[0]->facts.values = list->e;
    n->outputs[0]->facts.count = list->count;
}

void facts_measure(Node *n) {
    const ExprList *list = attr_exprs(n, "symbols");
    n->outputs[0]->facts.values = list->e;
    n->outputs[0]->facts.count = list->count;
}

/* --- reductions of known values --- */

static const Expr *reduce_step(ExprCx *x, OpKind op, const Expr *a, const Expr *b) {
    if (!facts_small(a, 30) || !facts_small(b, 30) || ex_size(a) + ex_size(b) > 100) return NULL;
    switch (op) {
    case OP_reduce_sum: return ex_add(x, a, b);
    case OP_reduce_prod: return ex_mul(x, a, b);
    case OP_reduce_max: return ex_size(a) < 30 ? ex_max(x, a, b) : NULL;
    default: return ex_size(a) < 30 ? ex_min(x, a, b) : NULL;
    }
}

static const Expr *reduce_identity(ExprCx *x, OpKind op) {
    if (op == OP_reduce_sum) return ex_int(x, 0);
    return op == OP_reduce_prod ? ex_int(x, 1) : NULL;
}

void facts_reduce(Node *n) {
    const Value *v = n->inputs[0];
    Value *out = n->outputs[0];
    const IntList *axes = attr_ints(n, "axes");
    int64_t count, dims[TN_MAX_RANK], strides[TN_MAX_RANK], stride = 1;
    if (!v->facts.values || !facts_static_count(&out->type, &count)) return;
    ir_static_dims(&v->type, dims);
    bool reduced[TN_MAX_RANK] = {false};
    for (int i = 0; i < axes->count; i++)
        reduced[ir_axis(module_of(n), axes->v[i], v->type.rank)] = true;
    for (int k = v->type.rank - 1; k >= 0; k--) {
        strides[k] = reduced[k] ? 0 : stride;
        if (!reduced[k]) stride *= dims[k];
    }
    const Expr **values = ARENA_ARRAY(&module_of(n)->cx->arena, const Expr *, (size_t)count);
    for (int i = 0; i < v->facts.count; i++) {
        int64_t to = 0;
        for (int k = v->type.rank - 1, rest = i; k >= 0; rest /= (int)dims[k--])
            to += strides[k] * (rest % dims[k]);
        const Expr *e = v->facts.values[i];
        values[to] = values[to] ? reduce_step(infer_ex(n), n->op, values[to], e) : e;
        if (!values[to] || !facts_fits(infer_ex(n), out->type.dtype, values[to])) return;
    }
    for (int i = 0; i < count; i++) {
        if (!values[i]) values[i] = reduce_identity(infer_ex(n), n->op);
        if (!values[i]) return;
    }
    out->facts.values = values;
    out->facts.count = (int)count;
}
