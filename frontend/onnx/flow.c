/* Values across frames, bodies and their captures, and the symbols that a body keeps to itself. */
#include "frontend/onnx/flow.h"

#include <stdio.h>
#include "ir/symbols.h"

/* --- captures --- */

/* An integer tensor whose elements are all expressions over lengths, made anew; NULL if it is not.
 */
static Value *written_again(Frame *frame, const Value *v) {
    const Facts *f = &v->facts;
    int64_t dims[TN_MAX_RANK];
    if (!f->values || !tn_is_int(v->type.dtype) || !ir_static_dims(&v->type, dims)) return NULL;
    for (int i = 0; i < f->count; i++)
        if (ex_mentions(f->values[i], ATOM_LOAD)) return NULL;
    const Expr **values = ARENA_ARRAY(&frame->g->module->cx->arena, const Expr *, (size_t)f->count);
    for (int i = 0; i < f->count; i++) values[i] = flow_inside(frame, f->values[i]);
    Value *y = ir_scalars(frame->g, v->type.dtype, f->count, values);
    return ir_view(frame->g, y, v->type.rank, v->type.dims);
}

/* The number of a captured value. */
static int add_capture(Frame *f, Value *v) {
    Captures *c = f->captures;
    Arena *a = &f->g->module->cx->arena;
    char id[16];
    snprintf(id, sizeof id, "%u", v->id);
    c->index.arena = a;
    const int *known = names_find(&c->index, id);
    if (known) return *known;
    int *number = ARENA_NEW(a, int);
    *number = c->count;
    names_add(&c->index, arena_strdup(a, id), number);
    c->outer = arena_grow(a, c->outer, &c->capacity, (size_t)c->count + 1, sizeof *c->outer);
    c->outer[c->count] = v;
    return c->count++;
}

static Value *input_for(Frame *f, int i) {
    Arena *a = &f->g->module->cx->arena;
    f->inner = arena_grow(a, f->inner, &f->inner_capacity, (size_t)i + 1, sizeof *f->inner);
    if (f->inner[i]) return f->inner[i];
    const Value *v = f->captures->outer[i];
    const Expr *dims[TN_MAX_RANK];
    for (int k = 0; k < v->type.rank; k++) dims[k] = flow_inside(f, v->type.dims[k]);
    f->inner[i] = ir_input(f->g, v->name ? v->name : "captured", v->type.dtype, v->type.rank, dims,
                           INPUT_REQUIRED);
    return f->inner[i];
}

Value *flow_capture(Frame *f, Value *outer) {
    return input_for(f, add_capture(f, outer));
}

Value *flow_use(Frame *f, Value *v) {
    if (v->constant) return ir_constant(f->g, v->constant);
    if (v->graph == f->g) return v;
    Value *outer = flow_use(f->outer, v);
    Value *again = written_again(f, outer);
    return again ? again : flow_capture(f, outer);
}

OnnxResult flow_use_result(Frame *f, OnnxResult r) {
    if (r.value) r.value = flow_use(f, r.value);
    if (!r.list) return r;
    OnnxList *list = ARENA_NEW(&f->g->module->cx->arena, OnnxList);
    *list = *r.list;
    list->items = ARENA_ARRAY(&f->g->module->cx->arena, OnnxResult, (size_t)list->count);
    for (int i = 0; i < list->count; i++) list->items[i] = flow_use_result(f, r.list->items[i]);
    if (list->stacked) list->stacked = flow_use(f, list->stacked);
    return (OnnxResult){.list = list};
}

/* --- bodies --- */

Frame flow_body(OnnxNode *n, const char *suffix, Captures *captures, bool own) {
    Importer *im = n->scope->im;
    Arena *a = &n->cx->arena;
    const char *base = arena_printf(a, "%s.%s%s", n->g->name, onnx_symbol_base(n), suffix);
    const char *name = base;
    im->bodies.arena = a;
    for (int i = 1; !names_add(&im->bodies, name, NULL); i++)
        name = arena_printf(a, "%s.%d", base, i);
    Frame f = {.g = ir_body_new(n->g, name), .outer = n->scope->frame, .captures = captures};
    if (!own) return f;
    f.own = ARENA_NEW(a, OwnSymbols);
    f.own->im = im;
    f.own->base = arena_printf(a, "%s%s", onnx_symbol_base(n), suffix);
    return f;
}

void flow_settle(Frame *frames, int count, int first) {
    for (int k = 0; k < count; k++) {
        Frame *f = &frames[k];
        Arena *a = &f->g->module->cx->arena;
        int captured = f->captures->count;
        Value **order = ARENA_ARRAY(a, Value *, (size_t)(first + captured));
        for (int i = 0; i < captured; i++) input_for(f, i);
        for (int i = 0; i < first; i++) order[i] = f->g->inputs[i];
        for (int i = 0; i < captured; i++) order[first + i] = f->inner[i];
        ir_order_inputs(f->g, order);
    }
}

/* --- symbols --- */

void flow_note_measure(Importer *im, const Graph *g, const Symbol *s) {
    size_t number = (size_t)s->atom->number;
    im->measures = arena_grow(&im->cx->arena, im->measures, &im->measures_capacity, number + 1,
                              sizeof *im->measures);
    if (!im->measures[number]) im->measures[number] = g;
}

typedef struct Noting {
    Importer *im;
    const Graph *g;
} Noting;

static void note_symbol(void *user, const Symbol *s) {
    const Noting *noting = user;
    flow_note_measure(noting->im, noting->g, s);
}

void flow_note_symbols(Importer *im, Frame *f) {
    Noting noting = {im, f->g};
    for (Node *n = f->noted ? f->noted->next : f->g->first; n; f->noted = n, n = n->next)
        ir_each_measured(n, note_symbol, &noting);
}

typedef struct Search {
    const Importer *im;
    const Frame *f;
    bool hidden;
} Search;

static void find_hidden(void *user, int number) {
    Search *s = user;
    if (!ex_symbol_at(s->im->module->ex, number)->measured) return;
    const Graph *by = (size_t)number < s->im->measures_capacity ? s->im->measures[number] : NULL;
    const Frame *f = s->f;
    while (f && f->g != by) f = f->outer;
    if (!f) s->hidden = true;
}

bool flow_is_visible(Importer *im, const Frame *f, const Expr *e) {
    Search s = {im, f, false};
    ir_each_symbol(ex_norm(im->module->ex, e), find_hidden, &s);
    return !s.hidden;
}

const Expr *flow_symbol(OnnxNode *n, const char *what, int i, int axis) {
    const char *name =
        arena_printf(&n->cx->arena, "%s.%s%d.%d", onnx_symbol_base(n), what, i, axis);
    return ex_measured(n->x, name, 0, INT64_MAX);
}

/* --- operands --- */

Value *flow_tensor(OnnxNode *n, OnnxResult r, const char *what) {
    if (!r.value) tn_fail(n->cx, TN_E_MODEL, "%s is no tensor", what);
    return r.value;
}

Value *flow_scalar(OnnxNode *n, Value *v, TnDType dtype, const char *what) {
    if (v->type.dtype != dtype)
        tn_fail(n->cx, TN_E_MODEL, "%s is of type %s, not %s", what, tn_dtype_name(v->type.dtype),
                tn_dtype_name(dtype));
    for (int i = 0; i < v->type.rank; i++)
        ir_same_dim(n->m, v->type.dims[i], ex_int(n->x, 1), what);
    return v->type.rank ? ir_view(n->g, v, 0, NULL) : v;
}

bool flow_known_bool(OnnxNode *n, const Value *v, bool *value) {
    int64_t x;
    if (v->constant && v->constant->bytes == 1) {
        *value = *(const unsigned char *)v->constant->data != 0;
        return true;
    }
    if (v->facts.values && v->facts.count == 1 && ex_const(ex_norm(n->x, v->facts.values[0]), &x)) {
        *value = x != 0;
        return true;
    }
    const Pred *p = v->facts.pred ? pr_norm(n->x, v->facts.pred) : NULL;
    *value = p && p->kind == PRED_TRUE;
    return p && (p->kind == PRED_TRUE || p->kind == PRED_FALSE);
}

bool flow_known_int(OnnxNode *n, const Value *v, int64_t *value) {
    if (v->constant && v->constant->bytes == tn_dtype_size(v->type.dtype) &&
        tn_is_int(v->type.dtype)) {
        *value = ir_element_i64(v->type.dtype, v->constant->data, 0);
        return true;
    }
    return v->facts.values && v->facts.count == 1 &&
           ex_const(ex_norm(n->x, v->facts.values[0]), value);
}
