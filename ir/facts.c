/* What is known of tensors' elements: the machinery the facts rules share.
 *
 * Invariant: whatever facts say is true of every run that obeys the requirements and in which no
 * index is out of range. Lengths, positions and indices are taken to fit the integer type they are
 * computed in; types below 32 bits must be proven to hold the value.
 *
 * A rule fills in what it can of its output's facts; infer_facts completes them: `values` of an
 * affine table become a function of the coordinates, an integer or boolean tensor about which
 * nothing is known becomes a load of itself, and a few elements of known function become `values`.
 */
#include "ir/shape.h"

#include "ir/infer.h"

#define MAX_EXPANDED 8 /* elements for which `values` are derived from an element function */

/* --- small questions --- */

bool facts_known(const Value *v) {
    return v->facts.elem || v->facts.pred || v->facts.choice;
}

bool facts_static_count(const Type *t, int64_t *n) {
    int64_t dims[TN_MAX_RANK], count = 1;
    if (!ir_static_dims(t, dims)) return false;
    for (int i = 0; i < t->rank; i++) {
        if (dims[i] == 0) {
            *n = 0;
            return true;
        }
        if (dims[i] > TN_MAX_FACTS || (count *= dims[i]) > TN_MAX_FACTS) count = TN_MAX_FACTS + 1;
    }
    *n = count;
    return count <= TN_MAX_FACTS;
}

const Expr **facts_coords(Module *m, const Type *t, const Expr **c) {
    for (int i = 0; i < t->rank; i++) c[i] = ex_coord(m->ex, i, t->dims[i]);
    return c;
}

void facts_broadcast_map(Module *m, const Type *from, const Type *to, const Expr **map) {
    int shift = to->rank - from->rank;
    for (int i = 0; i < from->rank; i++)
        map[i] = ex_is(from->dims[i], 1) ? ex_int(m->ex, 0)
                                         : ex_coord(m->ex, i + shift, to->dims[i + shift]);
}

bool facts_small(const Expr *e, int bits) {
    int64_t limit = (int64_t)1 << bits;
    for (int i = 0; i < e->count; i++) {
        Rational c = e->terms[i].coef;
        if (c.num <= -limit || c.num >= limit || c.den >= limit) return false;
    }
    return true;
}

static bool within(int64_t lo, int64_t hi, TnDType t) {
    int bits = tn_dtype_bits(t);
    bool is_unsigned = tn_dtype_class(t) == TN_CLASS_UINT;
    if (bits == 64) return !is_unsigned || lo >= 0;
    int64_t max = INT64_MAX >> (64 - bits - is_unsigned), min = is_unsigned ? 0 : -max - 1;
    return lo >= min && hi <= max;
}

/* A constant of a float type: integers must be exact; fractions, which come from quotients of
 * lengths, stand for their rounded value in the wide types. */
static bool float_holds(TnDType t, Rational c) {
    char data[8];
    double v = (double)c.num / (double)c.den;
    ir_store_f64(t, data, 0, v);
    bool exact = (int64_t)v == c.num / c.den && ir_element_f64(t, data, 0) == v;
    return exact || (c.den != 1 && (t == TN_F32 || t == TN_F64));
}

bool facts_fits(ExprCx *x, TnDType t, const Expr *e) {
    int64_t lo, hi;
    bool is_number = e->count == 0 || (e->count == 1 && e->terms[0].degree == 0);
    if (tn_is_float(t)) {
        if (!facts_small(e, 53)) return false;
        if (is_number) return e->count == 0 || float_holds(t, e->terms[0].coef);
        return t == TN_F32 || t == TN_F64;
    }
    if (is_number) return ex_const(e, &lo) && within(lo, lo, t);
    if (t == TN_I64 || t == TN_I32) return true;
    if (t == TN_U64 || t == TN_U32) return ex_nonneg(x, e);
    return ex_bounds(x, e, &lo, &hi) && within(lo, hi, t);
}

/* --- elements --- */

Elem facts_value(const Value *v, int k) {
    ExprCx *x = v->graph->module->ex;
    const Expr *e = v->facts.values[k];
    return v->type.dtype == TN_BOOL ? (Elem){.p = pr_nonzero(x, e)} : (Elem){.e = e};
}

void facts_set_value(ExprCx *x, const Type *t, const Expr **values, int k, Elem e) {
    values[k] = t->dtype == TN_BOOL ? ex_bit(x, e.p) : e.e;
}

void facts_set_elem(Value *v, Elem e) {
    if (e.p && pr_size(e.p) <= FACTS_MAX_SIZE) v->facts.pred = e.p;
    if (e.e && ex_size(e.e) <= FACTS_MAX_SIZE) v->facts.elem = e.e;
}

/* --- completing a value's facts --- */

static Elem load_of(const Value *v) {
    Module *m = v->graph->module;
    const Expr *c[TN_MAX_RANK];
    const Expr *e = ex_load(m->ex, v, facts_coords(m, &v->type, c), v->type.rank);
    return v->type.dtype == TN_BOOL ? (Elem){.p = pr_nonzero(m->ex, e)} : (Elem){.e = e};
}

static bool all_equal(const Expr *const *values, int count) {
    for (int i = 1; i < count; i++)
        if (values[i] != values[0]) return false;
    return count > 0;
}

/* values[i0, i1, ..] = values[0] + sum of steps[k] * ik with constant steps, or NULL. */
static const Expr *affine_values(Module *m, const Type *t, const Expr *const *values) {
    ExprCx *x = m->ex;
    const Expr *result = values[0];
    int64_t stride = 1, dims[TN_MAX_RANK], steps[TN_MAX_RANK] = {0};
    int count = 1;
    ir_static_dims(t, dims);
    for (int k = t->rank - 1; k >= 0; k--) {
        count *= (int)dims[k];
        if (dims[k] == 1) continue;
        if (!facts_small(values[stride], 40) || !facts_small(values[0], 40) ||
            !ex_const(ex_sub(x, values[stride], values[0]), &steps[k]))
            return NULL;
        result = ex_add(x, result, ex_scale(x, ex_coord(x, k, t->dims[k]), steps[k], 1));
        stride *= dims[k];
    }
    for (int i = 1; i < count; i++) {
        int64_t offset = 0;
        for (int k = t->rank - 1, rest = i; k >= 0; rest /= (int)dims[k--])
            offset += steps[k] * (rest % dims[k]);
        if (values[i] != ex_add(x, values[0], ex_int(x, offset))) return NULL;
    }
    return result;
}

static void elem_from_values(Value *v) {
    Module *m = v->graph->module;
    const Expr *const *values = v->facts.values;
    bool is_bool = v->type.dtype == TN_BOOL;
    const Expr *e = NULL;
    if (all_equal(values, v->facts.count))
        e = values[0];
    else if (v->facts.count > 1 && !is_bool)
        e = affine_values(m, &v->type, values);
    if (!e) return;
    facts_set_elem(v, is_bool ? (Elem){.p = pr_nonzero(m->ex, e)} : (Elem){.e = e});
}

static void values_from_elem(Value *v) {
    Module *m = v->graph->module;
    int64_t count, dims[TN_MAX_RANK];
    if (!facts_static_count(&v->type, &count) || count > MAX_EXPANDED) return;
    ir_static_dims(&v->type, dims);
    const Expr **values = ARENA_ARRAY(&m->cx->arena, const Expr *, (size_t)count);
    for (int i = 0; i < count; i++) {
        const Expr *at[TN_MAX_RANK];
        for (int k = v->type.rank - 1, rest = i; k >= 0; rest /= (int)dims[k--])
            at[k] = ex_int(m->ex, rest % dims[k]);
        Elem e = {0};
        if (v->facts.pred) e.p = pr_at(m->ex, v->facts.pred, at, v->type.rank);
        if (v->facts.elem) e.e = ex_at(m->ex, v->facts.elem, at, v->type.rank);
        facts_set_value(m->ex, &v->type, values, i, e);
    }
    v->facts.values = values;
    v->facts.count = (int)count;
}

void facts_complete(Value *v) {
    if (v->facts.values) elem_from_values(v);
    if (!tn_is_float(v->type.dtype) && !v->facts.elem && !v->facts.pred)
        facts_set_elem(v, load_of(v));
    if (!v->facts.values && (v->facts.elem || v->facts.pred)) values_from_elem(v);
}

void infer_facts(Node *n) {
    ir_facts_rule(n->op)(n);
    for (int i = 0; i < n->output_count; i++) facts_complete(n->outputs[i]);
}

void facts_none(Node *n) {
    (void)n;
}

/* --- elementwise --- */

/* Values of all operands, element by element. */
static void values_elementwise(Node *n, ElemRule *rule) {
    Value *out = n->outputs[0];
    ExprCx *x = infer_ex(n);
    int64_t count, dims[TN_MAX_RANK], strides[3][TN_MAX_RANK];
    for (int i = 0; i < n->input_count; i++)
        if (!n->inputs[i]->facts.values) return;
    if (!facts_static_count(&out->type, &count)) return;
    ir_static_dims(&out->type, dims);
    for (int i = 0; i < n->input_count; i++) {
        const Type *t = infer_input(n, i);
        int shift = out->type.rank - t->rank;
        int64_t stride = 1, d;
        for (int k = out->type.rank - 1; k >= 0; k--) {
            strides[i][k] = 0;
            if (k < shift || !ex_const(t->dims[k - shift], &d) || d == 1) continue;
            strides[i][k] = stride;
            stride *= d;
        }
    }
    const Expr **values = ARENA_ARRAY(&module_of(n)->cx->arena, const Expr *, (size_t)count);
    for (int e = 0; e < count; e++) {
        Elem args[3], result = {0};
        for (int i = 0; i < n->input_count; i++) {
            int64_t at = 0;
            for (int k = out->type.rank - 1, rest = e; k >= 0; rest /= (int)dims[k--])
                at += strides[i][k] * (rest % dims[k]);
            args[i] = facts_value(n->inputs[i], (int)at);
        }
        if (!rule(n, args, &result)) return;
        facts_set_value(x, &out->type, values, e, result);
    }
    out->facts.values = values;
    out->facts.count = (int)count;
}

/* Element of an operand at the output's coordinates. */
static Elem broadcast_elem(const Node *n, int i) {
    const Value *v = n->inputs[i], *out = n->outputs[0];
    if (ir_same_dims(&v->type, &out->type)) return (Elem){v->facts.elem, v->facts.pred};
    const Expr *map[TN_MAX_RANK];
    facts_broadcast_map(module_of(n), &v->type, &out->type, map);
    return facts_at(v, map);
}

void facts_elementwise(Node *n, ElemRule *rule) {
    Elem args[3], result = {0};
    values_elementwise(n, rule);
    if (n->outputs[0]->facts.values && n->outputs[0]->facts.count == 1) return;
    for (int i = 0; i < n->input_count; i++)
        if (!n->inputs[i]->facts.elem && !n->inputs[i]->facts.pred) return;
    for (int i = 0; i < n->input_count; i++) args[i] = broadcast_elem(n, i);
    if (rule(n, args, &result)) facts_set_elem(n->outputs[0], result);
}
