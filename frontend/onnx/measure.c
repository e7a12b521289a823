/* Operands that only a run knows: target shapes, bounds, axes that are computed from data.
 *
 * An import function normalises such an operand by integer arithmetic (negative axes, 0 and -1 of a
 * Reshape, bounds of a Slice) and has onnx_measure make symbols of the result; with these it goes
 * on as with lengths. Ranges of the symbols and requirements over them say what the data must obey.
 *
 *     Value *sizes = onnx_vector(n, 1, "sizes of the parts");
 *     const Expr *const *e = onnx_measure(n, "sizes of the parts", sizes, 0, 0, INT64_MAX);
 *
 * Symbols are named after the node's first output, `parts.0`, so a name means the same in every
 * round of inference; `first` tells apart what one node measures in several places.
 *
 * The same number is often measured again, by itself or as a bound of a slice. What it is computed
 * from is an expression over elements of tensors (facts), so later nodes get what is known by then:
 *
 *     measure max(n[], 0) = k, measure n[] = k (a check), Slice to n = k */
#include <ctype.h>
#include <string.h>
#include "frontend/onnx/import.h"
#include "ir/infer.h"

#define MAX_LIST 1024 /* elements of one operand */

/* --- names --- */

static const char *first_output(const OnnxNode *n) {
    for (size_t i = 0; i < n->proto->n_output; i++)
        if (*n->proto->output[i]) return n->proto->output[i];
    return n->proto->op_type;
}

/* A symbol of an input or of another model is called base.something. */
static bool occurs(const OnnxNode *n, const char *base) {
    size_t length = strlen(base);
    for (int i = 0; i < ex_symbol_count(n->x); i++) {
        const char *s = ex_symbol_at(n->x, i)->name;
        if (strncmp(s, base, length) == 0 && s[length] == '.') return true;
    }
    return false;
}

static const char *as_word(const OnnxNode *n, const char *name) {
    char *word =
        arena_printf(&n->cx->arena, "%s%s", isdigit((unsigned char)*name) ? "_" : "", name);
    for (char *c = word; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '.') *c = '_';
    return *word && *word != '.' ? word : arena_printf(&n->cx->arena, "_%s", word);
}

const char *onnx_symbol_base(OnnxNode *n) {
    OnnxModel *model = n->model;
    const char *name = arena_printf(&n->cx->arena, "%s%s", n->prefix, first_output(n));
    const char *base = names_find(&model->symbols, name);
    if (base) return base;
    model->symbols.arena = model->words.arena = &n->cx->arena;
    const char *word = base = as_word(n, name);
    for (int i = 1; occurs(n, base) || !names_add(&model->words, base, NULL); i++)
        base = arena_printf(&n->cx->arena, "%s_%d", word, i);
    names_add(&model->symbols, name, (void *)base);
    return base;
}

/* --- operands --- */

static bool is_known(const Expr *e) {
    return !ex_mentions(e, ATOM_LOAD) && !ex_mentions(e, ATOM_COORD) && ex_is_integral(e);
}

bool onnx_known(const OnnxNode *n, int i) {
    if (!onnx_given(n, i)) return true;
    const Value *v = n->inputs[i];
    if (v->constant || (v->type.rank == 1 && ex_is(v->type.dims[0], 0))) return true;
    for (int k = 0; k < v->facts.count; k++)
        if (!is_known(v->facts.values[k])) return false;
    return v->facts.count > 0;
}

int onnx_count(const OnnxNode *n, int i, const char *what) {
    const Type *t = &n->inputs[i]->type;
    int64_t count = 1;
    if (t->rank > 1)
        tn_fail(n->cx, TN_E_MODEL, "%s is %s, not a vector", what, ir_type_text(n->m, t));
    if (t->rank == 1 && !ex_const(t->dims[0], &count))
        tn_fail(n->cx, TN_E_UNSUPPORTED,
                "%s is %s: a number of elements that is not known is unsupported", what,
                ir_type_text(n->m, t));
    if (count > MAX_LIST)
        tn_fail(n->cx, TN_E_LIMIT, "%s has %lld elements, at most %d", what, (long long)count,
                MAX_LIST);
    return (int)count;
}

Value *onnx_vector(const OnnxNode *n, int i, const char *what) {
    Value *v = n->inputs[i];
    const Expr *count = ex_int(n->x, onnx_count(n, i, what));
    if (!tn_is_int(v->type.dtype))
        tn_fail(n->cx, TN_E_MODEL, "%s is of type %s, not of an integer type", what,
                tn_dtype_name(v->type.dtype));
    return ir_view(n->g, ir_cast(n->g, v, TN_I64), 1, &count);
}

/* --- what has been measured before --- */

static void note_measured(const OnnxNode *n, const Expr *element, const Expr *length) {
    OnnxModel *m = n->model;
    m->measured = arena_grow(&n->cx->arena, m->measured, &m->measured_capacity,
                             m->measured_count + 1, sizeof *m->measured);
    m->measured[m->measured_count++] = (OnnxMeasured){n->g, element, length};
}

static bool is_atom(const Expr *e) {
    return e->count == 1 && e->terms[0].degree == 1 && e->terms[0].coef.num == 1 &&
           e->terms[0].coef.den == 1;
}

Value *onnx_as_measured(const OnnxNode *n, Value *v) {
    const OnnxModel *m = n->model;
    const Expr *const *e = v->facts.values, **known;
    int count = 0, rank = v->type.rank;
    bool loads = false;
    for (int k = 0; e && k < v->facts.count; k++) loads = loads || ex_mentions(e[k], ATOM_LOAD);
    if (!loads || !m->measured_count || rank > 1 || !tn_is_int(v->type.dtype)) return v;
    const Expr **from = ARENA_ARRAY(&n->cx->arena, const Expr *, m->measured_count);
    const Expr **to = ARENA_ARRAY(&n->cx->arena, const Expr *, m->measured_count);
    for (size_t i = 0; i < m->measured_count; i++) {
        if (m->measured[i].g != n->g || !is_atom(m->measured[i].element)) continue;
        from[count] = m->measured[i].element;
        to[count++] = ex_norm(n->x, m->measured[i].length);
    }
    known = ARENA_ARRAY(&n->cx->arena, const Expr *, (size_t)v->facts.count);
    for (int k = 0; k < v->facts.count; k++) {
        known[k] = ex_known(n->x, e[k], count, from, to);
        if (!is_known(known[k])) return v;
    }
    return ir_view(n->g, ir_scalars(n->g, v->type.dtype, v->facts.count, known), rank,
                   v->type.dims);
}

/* What max(e, 0) has been measured as, or NULL: that is e, if e is to be 0 or more. */
static const Expr *length_of(const OnnxNode *n, const Expr *e) {
    const OnnxModel *m = n->model;
    const Expr *positive = ex_max(n->x, e, ex_int(n->x, 0));
    for (size_t i = 0; i < m->measured_count; i++)
        if (m->measured[i].g == n->g && m->measured[i].element == positive)
            return ex_norm(n->x, m->measured[i].length);
    return NULL;
}

/* --- measuring --- */

/* What is known already must lie in the range. */
static void check_known(OnnxNode *n, const char *what, int k, const Expr *e, int64_t min,
                        int64_t max) {
    bool ok = infer_try_le(n->m, ex_int(n->x, min), e);
    if (max < INT64_MAX) ok = ok && infer_try_le(n->m, e, ex_int(n->x, max));
    if (!ok)
        tn_fail(n->cx, TN_E_MODEL, "%s: element %d is %s, out of range", what, k, ex_text(n->x, e));
}

static void measure_part(OnnxNode *n, const char *what, Value *x, int first, int64_t min,
                         int64_t max, const Expr **e, int count) {
    bool unknown = false;
    for (int k = 0; k < count; k++) {
        const Expr *now = x->facts.values ? ex_norm(n->x, x->facts.values[k]) : NULL;
        if (now && is_known(now)) {
            e[k] = now;
            check_known(n, what, k, e[k], min, max);
            continue;
        }
        const char *name = arena_printf(&n->cx->arena, "%s.%d", onnx_symbol_base(n), first + k);
        e[k] = now && min == 0 && max == INT64_MAX ? length_of(n, now) : NULL;
        if (!e[k]) e[k] = ex_measured(n->x, name, min, max);
        if (now) note_measured(n, now, e[k]);
        unknown = true;
    }
    if (!unknown) return;
    if (!x->name) x->name = what;
    ir_measure(n->g, x, count, e);
}

const Expr *const *onnx_measure(OnnxNode *n, const char *what, Value *x, int first, int64_t min,
                                int64_t max) {
    int64_t count = 1;
    if (x->type.rank) ex_const(x->type.dims[0], &count);
    const Expr **e = ARENA_ARRAY(&n->cx->arena, const Expr *, (size_t)count);
    for (int64_t at = 0; at < count; at += TN_MAX_FACTS) {
        int64_t part = count - at < TN_MAX_FACTS ? count - at : TN_MAX_FACTS;
        Value *v = x;
        if (part < count) v = ir_slice(n->g, x, 0, ex_int(n->x, at), ex_int(n->x, part), 1);
        measure_part(n, what, v, first + (int)at, min, max, e + at, (int)part);
    }
    return e;
}

const Expr *const *onnx_lengths(OnnxNode *n, int i, const char *what, int first, int *count) {
    const Expr *const *e;
    if (onnx_known(n, i)) {
        *count = onnx_values(n, i, what, &e);
        return e;
    }
    *count = onnx_count(n, i, what);
    return onnx_measure(n, what, onnx_vector(n, i, what), first, 0, INT64_MAX);
}

const Expr *onnx_length(OnnxNode *n, int i, const char *what, int first) {
    int count;
    const Expr *const *e = onnx_lengths(n, i, what, first, &count);
    if (count != 1) tn_fail(n->cx, TN_E_MODEL, "%s has %d elements, not one", what, count);
    return e[0];
}

void onnx_check_lengths(const OnnxNode *n, const char *what, int count, const Expr *const *e) {
    int64_t v;
    for (int i = 0; i < count; i++)
        if (ex_const(e[i], &v) && v < 0)
            tn_fail(n->cx, TN_E_MODEL, "%s %d is %lld", what, i, (long long)v);
}

void onnx_demand(OnnxNode *n, const char *what, Value *x, int first, int64_t value) {
    onnx_measure(n, what, x, first, value, value);
}
