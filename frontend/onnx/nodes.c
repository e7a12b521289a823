/* Imports the nodes of a graph or function, one after another, into a frame. */
#include <string.h>
#include "frontend/onnx/flow.h"

#define MAX_IMPORTED (TN_MAX_NODES << 2) /* in one round: bodies may be built several times */

/* --- attributes of functions --- */

static const Onnx__AttributeProto *find_attribute(size_t n, Onnx__AttributeProto *const *list,
                                                  const char *name) {
    for (size_t i = 0; i < n; i++)
        if (list[i]->name && strcmp(list[i]->name, name) == 0) return list[i];
    return NULL;
}

/* What stands for an attribute that refers to one of the function: the call's, or the default; NULL
 * if there is neither. */
static Onnx__AttributeProto *referred(Scope *s, const Onnx__AttributeProto *a) {
    const Onnx__AttributeProto *given =
        find_attribute(s->call->n_attribute, s->call->attribute, a->ref_attr_name);
    if (!given)
        given = find_attribute(s->of->n_attribute_proto, s->of->attribute_proto, a->ref_attr_name);
    if (!given) return NULL;
    if (given->g)
        tn_fail(s->im->cx, TN_E_UNSUPPORTED,
                "a graph as attribute '%s' of a function is unsupported",
                tn_quoted(s->im->cx, a->ref_attr_name));
    Onnx__AttributeProto *copy = arena_copy(&s->im->cx->arena, given, sizeof *given);
    copy->name = a->name;
    return copy;
}

/* The node with attributes in place of references. */
static const Onnx__NodeProto *with_attributes(Scope *s, const WiredNode *w) {
    if (!w->has_reference || !s->call) return w->proto;
    Arena *a = &s->im->cx->arena;
    Onnx__NodeProto *p = arena_copy(a, w->proto, sizeof *w->proto);
    p->attribute = ARENA_ARRAY(a, Onnx__AttributeProto *, p->n_attribute);
    p->n_attribute = 0;
    for (size_t i = 0; i < w->proto->n_attribute; i++) {
        Onnx__AttributeProto *attribute = w->proto->attribute[i];
        if (attribute->ref_attr_name) attribute = referred(s, attribute);
        if (attribute) p->attribute[p->n_attribute++] = attribute;
    }
    return p;
}

/* --- operands and results --- */

static int count_given(WiredValue *const *values, size_t n) {
    while (n && !values[n - 1]) n--;
    return (int)n;
}

static void check_count(Cx *cx, const char *what, int count, int min, int max) {
    if (count >= min && (max < 0 || count <= max)) return;
    if (max < 0) tn_fail(cx, TN_E_MODEL, "%d %s, wanted at least %d", count, what, min);
    if (min == max) tn_fail(cx, TN_E_MODEL, "%d %s, wanted %d", count, what, min);
    tn_fail(cx, TN_E_MODEL, "%d %s, wanted %d to %d", count, what, min, max);
}

static void check_arity(const OnnxNode *n) {
    const OnnxOp *row = n->row;
    check_count(n->cx, "inputs", n->input_count, row->min_inputs, row->max_inputs);
    check_count(n->cx, "outputs", n->output_count, 1, row->max_outputs);
    int required = row->max_inputs < 0 && !row->flow ? n->input_count : row->min_inputs;
    for (int i = 0; i < required; i++)
        if (!n->inputs[i] && !n->lists[i]) tn_fail(n->cx, TN_E_MODEL, "input %d is missing", i);
    for (int i = 0; i < n->input_count && !row->flow; i++)
        if (n->lists[i])
            tn_fail(n->cx, TN_E_MODEL, "input %d is %s, not a tensor", i,
                    n->lists[i]->optional ? "an optional" : "a sequence");
}

OnnxResult flow_result(Scope *s, WiredValue *w) {
    if (w->unknown) flow_give_up(s->im);
    if (w->constant) return (OnnxResult){.value = ir_constant(s->frame->g, w->constant)};
    return flow_use_result(s->frame, (OnnxResult){w->value, w->list});
}

static OnnxNode make_node(Scope *s, WiredNode *w) {
    Importer *im = s->im;
    Arena *a = &im->cx->arena;
    OnnxNode n = {with_attributes(s, w),
                  w->row,
                  im->model,
                  s->frame->g,
                  im->module,
                  im->module->ex,
                  im->cx,
                  .input_count = count_given(w->inputs, w->proto->n_input),
                  .output_count = count_given(w->outputs, w->proto->n_output),
                  .scope = s,
                  .wired = w,
                  .prefix = s->prefix};
    size_t inputs = (size_t)n.input_count, outputs = (size_t)n.output_count;
    n.inputs = ARENA_ARRAY(a, Value *, inputs + 1);
    n.lists = ARENA_ARRAY(a, const OnnxList *, inputs + 1);
    n.outputs = ARENA_ARRAY(a, Value *, outputs + 1);
    n.list_outputs = ARENA_ARRAY(a, OnnxList *, outputs + 1);
    for (size_t i = 0; i < inputs; i++) {
        OnnxResult r = {0};
        if (w->inputs[i]) r = flow_result(s, w->inputs[i]);
        n.inputs[i] = r.value ? onnx_as_measured(&n, r.value) : NULL;
        n.lists[i] = r.list;
    }
    return n;
}

static void keep_outputs(Scope *s, const WiredNode *w, const OnnxNode *n) {
    for (int i = 0; i < n->output_count; i++) {
        WiredValue *to = w->outputs[i];
        Value *v = n->outputs[i];
        if (!to) continue;
        if (!v && !n->list_outputs[i] && to->used)
            tn_fail(n->cx, TN_E_UNSUPPORTED, "output %d, '%s', is unsupported", i,
                    tn_quoted(n->cx, to->name));
        to->value = v;
        to->list = n->list_outputs[i];
        if (!v || !v->node) continue;
        const char *name = arena_printf(&n->cx->arena, "%s%s", s->path, to->name);
        if (!v->name) v->name = name;
        ir_add_source(v, name, s->frame->g->origin);
    }
}

/* --- nodes --- */

typedef struct NodeWork {
    Scope *scope;
    WiredNode *node;
    const char *name;
    int64_t opset;
} NodeWork;

static void import_node(void *user) {
    const NodeWork *work = user;
    Scope *s = work->scope;
    Importer *im = s->im;
    WiredNode *w = work->node;
    tn_enter_node(im->cx, work->name, flow_operator_key(im, w));
    if (++im->imported > MAX_IMPORTED)
        tn_fail(im->cx, TN_E_LIMIT, "more than %d nodes with those of bodies and functions",
                MAX_IMPORTED);
    if (w->function) {
        flow_call(s, w);
    } else if (!w->row) {
        flow_refuse_operator(im, w, work->opset);
    } else {
        OnnxNode n = make_node(s, w);
        Constant *fresh = NULL;
        n.opset = work->opset;
        n.constant = w->has_reference || !w->outputs[0] ? &fresh : &w->outputs[0]->constant;
        check_arity(&n);
        onnx_check_attributes(&n);
        s->frame->g->origin = work->name;
        w->row->import(&n);
        keep_outputs(s, w, &n);
    }
    tn_leave(im->cx);
}

/* A node that fails leaves its results unknown, and the others are still looked at. */
static void try_node(Scope *s, WiredNode *w, int64_t opset) {
    Importer *im = s->im;
    const char *name = w->name, *origin = s->frame->g->origin;
    int depth = im->depth;
    if (*s->path) name = arena_printf(&im->cx->arena, "%s%s", s->path, name);
    NodeWork work = {s, w, name, opset};
    if (!tn_try(im->cx, import_node, &work)) flow_node_failed(im, w, name, opset);
    im->depth = depth;
    s->frame->g->origin = origin;
    flow_note_symbols(im, s->frame);
}

typedef struct InitializerWork {
    Importer *im;
    WiredValue *v;
} InitializerWork;

static void make_constant(void *user) {
    const InitializerWork *work = user;
    WiredValue *v = work->v;
    v->constant = onnx_constant(work->im->model, work->im->module, v->initializer, v->name);
}

static void try_initializer(Importer *im, WiredValue *v) {
    InitializerWork work = {im, v};
    if (v->unknown || tn_try(im->cx, make_constant, &work)) return;
    v->unknown = true;
    flow_value_failed(im, "initializer", v->name);
}

/* Forgets what an earlier import of the graph left, and sets its inputs. */
static void start(Scope *s, Wiring *w, const OnnxResult *in, int count) {
    for (size_t i = 0; i < w->value_count; i++) {
        WiredValue *v = &w->values[i];
        v->value = NULL;
        v->list = NULL;
        if (v->producer) v->unknown = false;
        if (v->initializer && !v->constant) try_initializer(s->im, v);
    }
    for (int i = 0; i < count; i++) {
        w->inputs[i]->value = in[i].value;
        w->inputs[i]->list = in[i].list;
    }
}

void flow_import_nodes(Scope *s, Wiring *w, const OnnxResult *in, int count) {
    if (++s->im->depth > TN_MAX_NESTING)
        tn_fail(s->im->cx, TN_E_LIMIT, "graphs and functions nested more than %d deep",
                TN_MAX_NESTING);
    start(s, w, in, count);
    for (size_t i = 0; i < w->node_count; i++) try_node(s, w->nodes[i], w->opset);
    s->im->depth--;
}

/* --- graphs and functions --- */

Wiring *flow_graph(OnnxNode *n, const char *attribute) {
    const Onnx__NodeProto *p = n->wired->proto;
    for (size_t i = 0; i < p->n_attribute; i++)
        if (n->wired->graphs[i] && strcmp(p->attribute[i]->name, attribute) == 0)
            return n->wired->graphs[i];
    tn_fail(n->cx, TN_E_MODEL, "attribute '%s' has no graph", attribute);
}

void flow_need_counts(OnnxNode *n, const Wiring *w, int inputs, int min_outputs) {
    if (w->input_count != (size_t)inputs)
        tn_fail(n->cx, TN_E_MODEL, "its graph has %zu inputs, wanted %d", w->input_count, inputs);
    if (w->output_count < (size_t)min_outputs)
        tn_fail(n->cx, TN_E_MODEL, "its graph has %zu outputs, wanted at least %d", w->output_count,
                min_outputs);
    for (size_t i = 0; i < w->input_count; i++)
        if (w->inputs[i]->initializer)
            tn_fail(n->cx, TN_E_MODEL, "input '%s' of its graph is an initializer too",
                    tn_quoted(n->cx, w->inputs[i]->name));
}

void flow_try_graph(OnnxNode *n, Frame *f, Wiring *w, const char *suffix, const OnnxResult *in,
                    int count) {
    Scope s = *n->scope;
    s.frame = f;
    s.prefix = arena_printf(&n->cx->arena, "%s%s.", onnx_symbol_base(n), suffix);
    flow_import_nodes(&s, w, in, count);
}

void flow_graph_results(OnnxNode *n, Frame *f, Wiring *w, OnnxResult *results) {
    Scope s = *n->scope;
    s.frame = f;
    for (size_t i = 0; i < w->output_count; i++) {
        results[i] = flow_result(&s, w->outputs[i]);
        if (!results[i].value && !results[i].list)
            tn_fail(n->cx, TN_E_MODEL, "output '%s' of its graph is left out",
                    tn_quoted(n->cx, w->outputs[i]->name));
    }
}

void flow_import_graph(OnnxNode *n, Frame *f, Wiring *w, const char *suffix, const OnnxResult *in,
                       int count, OnnxResult *results) {
    flow_try_graph(n, f, w, suffix, in, count);
    flow_graph_results(n, f, w, results);
}

void flow_inline(OnnxNode *n, Wiring *w, const char *suffix, const OnnxResult *in, int count,
                 OnnxResult *results) {
    flow_import_graph(n, n->scope->frame, w, suffix, in, count, results);
}

static void check_call(Scope *s, const WiredNode *w, const Onnx__NodeProto *call) {
    const Onnx__FunctionProto *of = w->function->proto;
    Cx *cx = s->im->cx;
    if (call->n_input > of->n_input)
        tn_fail(cx, TN_E_MODEL, "%zu inputs, wanted at most %zu", call->n_input, of->n_input);
    if (call->n_output > of->n_output)
        tn_fail(cx, TN_E_MODEL, "%zu outputs, wanted at most %zu", call->n_output, of->n_output);
    for (size_t i = 0; i < call->n_attribute; i++) {
        const char *name = call->attribute[i]->name ? call->attribute[i]->name : "";
        bool known = find_attribute(of->n_attribute_proto, of->attribute_proto, name) != NULL;
        for (size_t k = 0; k < of->n_attribute; k++) known |= !strcmp(of->attribute[k], name);
        if (!known) tn_fail(cx, TN_E_MODEL, "unknown attribute '%s'", tn_quoted(cx, name));
    }
}

/* The function's nodes, here, with the operands of the call. */
void flow_call(Scope *s, const WiredNode *w) {
    Arena *a = &s->im->cx->arena;
    const OnnxFunction *f = w->function;
    const Onnx__NodeProto *call = with_attributes(s, w);
    const char *once = w->proto->n_output ? w->proto->output[0] : "";
    check_call(s, w, call);
    Scope inner = *s;
    inner.call = call;
    inner.of = f->proto;
    inner.path = arena_printf(a, "%s%s/", s->path, w->name);
    inner.prefix = arena_printf(a, "%s%s.", s->prefix, once);
    OnnxResult *in = ARENA_ARRAY(a, OnnxResult, call->n_input + 1);
    for (size_t i = 0; i < call->n_input; i++)
        if (w->inputs[i]) in[i] = flow_result(s, w->inputs[i]);
    flow_import_nodes(&inner, f->wiring, in, (int)call->n_input);
    for (size_t i = 0; i < call->n_output; i++) {
        if (!w->outputs[i]) continue;
        if (f->wiring->outputs[i]->unknown) {
            w->outputs[i]->unknown = true;
            continue;
        }
        OnnxResult r = flow_result(&inner, f->wiring->outputs[i]);
        if (!r.value && !r.list && w->outputs[i]->used)
            tn_fail(s->im->cx, TN_E_MODEL, "output %zu is left out by the function", i);
        w->outputs[i]->value = r.value;
        w->outputs[i]->list = r.list;
    }
}
