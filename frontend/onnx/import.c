/* An ONNX file as a graph of the IR: header and wiring are checked, what is unsupported is listed,
 * then nodes are imported one after another, again from the start whenever a round learns that two
 * lengths must be equal (frontend_build). */
#include "frontend/onnx/import.h"

#include <string.h>
#include "frontend/frontend.h"
#include "frontend/onnx/wiring.h"
#include "runtime/base/checked.h"

#define MAX_QUOTED      100
#define MAX_NODES_NAMED 3 /* per unsupported operator */

typedef struct Importer {
    OnnxModel *model;
    Module *module;
    Cx *cx;
    ImportOptions *options;
    Wiring *wiring;
} Importer;

static const char *quoted(Cx *cx, const char *s) {
    return tn_printable(cx, s, strlen(s), MAX_QUOTED);
}

/* --- unsupported operators --- */

typedef struct Unsupported {
    const char *key; /* "com.microsoft.Attention" */
    const char *nodes;
    size_t count;
    struct Unsupported *next;
} Unsupported;

static const char *operator_key(Importer *im, const Onnx__NodeProto *p) {
    const char *domain = p->domain && strcmp(p->domain, "ai.onnx") != 0 ? p->domain : "";
    return arena_printf(&im->cx->arena, "%s%s%s", quoted(im->cx, domain), *domain ? "." : "",
                        quoted(im->cx, p->op_type ? p->op_type : ""));
}

static void note_unsupported(Importer *im, Unsupported **list, const WiredNode *n) {
    Arena *a = &im->cx->arena;
    const char *key = operator_key(im, n->proto), *name = quoted(im->cx, n->name);
    while (*list && strcmp((*list)->key, key) != 0) list = &(*list)->next;
    if (!*list) {
        *list = ARENA_NEW(a, Unsupported);
        (*list)->key = key;
        (*list)->nodes = "";
    }
    Unsupported *u = *list;
    if (u->count++ < MAX_NODES_NAMED)
        u->nodes = arena_printf(a, "%s%s'%s'", u->nodes, u->count > 1 ? ", " : "", name);
}

/* Each operator is one diagnostic; the error names them all. */
static void check_supported(Importer *im) {
    Unsupported *list = NULL;
    const char *all = "";
    Arena *a = &im->cx->arena;
    for (size_t i = 0; i < im->wiring->node_count; i++)
        if (!im->wiring->nodes[i]->row) note_unsupported(im, &list, im->wiring->nodes[i]);
    if (!list) return;
    for (const Unsupported *u = list; u; u = u->next) {
        const char *more = u->count > MAX_NODES_NAMED ? ", ..." : "";
        const char *text = arena_printf(a, "%s (%zu: %s%s)", u->key, u->count, u->nodes, more);
        tn_diag(im->cx, TN_ERROR, TN_E_UNSUPPORTED, "unsupported operator %s", text);
        all = arena_printf(a, "%s%s%s", all, *all ? "; " : "", text);
    }
    tn_fail(im->cx, TN_E_UNSUPPORTED, "unsupported operators of opset %lld: %s",
            (long long)im->model->opset, all);
}

/* --- constants, inputs, outputs --- */

static void read_initializers(Importer *im) {
    for (size_t i = 0; i < im->wiring->value_count; i++) {
        WiredValue *v = &im->wiring->values[i];
        if (v->initializer)
            v->constant = onnx_constant(im->model, im->module, v->initializer, v->name);
    }
}

/* The type of an input or output; the declaration of an output may leave it open. */
static const Onnx__TypeProto__Tensor *tensor_type(Importer *im, const Onnx__ValueInfoProto *v) {
    const Onnx__TypeProto *t = v->type;
    if (t && t->tensor_type) return t->tensor_type;
    if (t && (t->sequence_type || t->map_type || t->opaque_type || t->sparse_tensor_type ||
              t->optional_type))
        tn_fail(im->cx, TN_E_UNSUPPORTED, "only tensors are supported");
    return NULL;
}

static TnDType element_type(Importer *im, const Onnx__TypeProto__Tensor *t) {
    if (!t->has_elem_type || t->elem_type == 0)
        tn_fail(im->cx, TN_E_MODEL, "the element type is missing");
    return onnx_need_dtype(im->cx, t->elem_type);
}

/* A session's tensors have no packed form. */
static void check_interface(Importer *im, TnDType t) {
    if (tn_dtype_bits(t) < 8)
        tn_fail(im->cx, TN_E_UNSUPPORTED,
                "inputs and outputs of type %s are unsupported: its elements are no whole bytes",
                tn_dtype_name(t));
}

/* Declared lengths, and that their product is a possible number of elements. */
static FrontendAxis *read_axes(Importer *im, const Onnx__TensorShapeProto *shape) {
    FrontendAxis *axes = ARENA_ARRAY(&im->cx->arena, FrontendAxis, shape->n_dim);
    int64_t known = 1;
    for (size_t i = 0; i < shape->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *d = shape->dim[i];
        axes[i] = (FrontendAxis){.value = -1};
        if (d->dim_param && *d->dim_param) axes[i].symbol = d->dim_param;
        if (!d->has_dim_value) continue;
        axes[i].value = d->dim_value;
        if (d->dim_value < 0)
            tn_fail(im->cx, TN_E_MODEL, "axis %zu has length %lld", i, (long long)d->dim_value);
        if (!tn_mul_i64(known, d->dim_value ? d->dim_value : 1, &known) || known > INT64_MAX / 8)
            tn_fail(im->cx, TN_E_LIMIT, "its size overflows");
    }
    return axes;
}

static Value *import_input(Importer *im, Graph *g, const Onnx__ValueInfoProto *v) {
    tn_enter(im->cx, "input", v->name);
    const Onnx__TypeProto__Tensor *t = tensor_type(im, v);
    if (!t) tn_fail(im->cx, TN_E_MODEL, "the type is missing");
    if (!t->shape) tn_fail(im->cx, TN_E_UNSUPPORTED, "the number of axes is not declared");
    TnDType dtype = element_type(im, t);
    check_interface(im, dtype);
    if (t->shape->n_dim > TN_MAX_RANK)
        tn_fail(im->cx, TN_E_LIMIT, "%zu axes, at most %d", t->shape->n_dim, TN_MAX_RANK);
    FrontendAxis *axes = read_axes(im, t->shape);
    tn_leave(im->cx);
    return frontend_input(g, im->options, v->name, dtype, (int)t->shape->n_dim, axes,
                          INPUT_REQUIRED);
}

/* Shapes are inferred; declared ones may be wrong and are not looked at. */
static void import_output(Importer *im, Graph *g, const Onnx__ValueInfoProto *declared, Value *v) {
    tn_enter(im->cx, "output", declared->name);
    const Onnx__TypeProto__Tensor *t = tensor_type(im, declared);
    if (t && t->has_elem_type && t->elem_type != 0 && element_type(im, t) != v->type.dtype)
        tn_fail(im->cx, TN_E_MODEL, "declared as %s, but computed as %s",
                tn_dtype_name(element_type(im, t)), tn_dtype_name(v->type.dtype));
    check_interface(im, v->type.dtype);
    ir_output(g, declared->name, v);
    tn_leave(im->cx);
}

/* --- nodes --- */

static int count_given(WiredValue *const *values, size_t n) {
    while (n && !values[n - 1]) n--;
    return (int)n;
}

static void check_count(Importer *im, const char *what, int count, int min, int max) {
    if (count >= min && (max < 0 || count <= max)) return;
    if (max < 0) tn_fail(im->cx, TN_E_MODEL, "%d %s, wanted at least %d", count, what, min);
    if (min == max) tn_fail(im->cx, TN_E_MODEL, "%d %s, wanted %d", count, what, min);
    tn_fail(im->cx, TN_E_MODEL, "%d %s, wanted %d to %d", count, what, min, max);
}

static void check_arity(Importer *im, const WiredNode *w, int inputs, int outputs) {
    const OnnxOp *row = w->row;
    check_count(im, "inputs", inputs, row->min_inputs, row->max_inputs);
    check_count(im, "outputs", outputs, 1, row->max_outputs);
    int required = row->max_inputs < 0 ? inputs : row->min_inputs;
    for (int i = 0; i < required; i++)
        if (!w->inputs[i]) tn_fail(im->cx, TN_E_MODEL, "input %d is missing", i);
}

static Value *value_of(Graph *g, WiredValue *w) {
    if (!w->value && w->constant) w->value = ir_constant(g, w->constant);
    return w->value;
}

static OnnxNode make_node(Importer *im, Graph *g, const WiredNode *w) {
    OnnxNode n = {w->proto,
                  w->row,
                  im->model,
                  g,
                  im->module,
                  im->module->ex,
                  im->cx,
                  .input_count = count_given(w->inputs, w->proto->n_input),
                  .output_count = count_given(w->outputs, w->proto->n_output)};
    check_arity(im, w, n.input_count, n.output_count);
    n.inputs = ARENA_ARRAY(&im->cx->arena, Value *, (size_t)n.input_count);
    n.outputs = ARENA_ARRAY(&im->cx->arena, Value *, (size_t)n.output_count);
    for (int i = 0; i < n.input_count; i++)
        if (w->inputs[i]) n.inputs[i] = value_of(g, w->inputs[i]);
    if (w->outputs[0]) n.constant = &w->outputs[0]->constant;
    return n;
}

static void keep_outputs(Importer *im, const WiredNode *w, const OnnxNode *n) {
    for (int i = 0; i < n->output_count; i++) {
        WiredValue *to = w->outputs[i];
        Value *v = n->outputs[i];
        if (!to) continue;
        if (!v && to->used)
            tn_fail(im->cx, TN_E_UNSUPPORTED, "output %d, '%s', is unsupported", i,
                    quoted(im->cx, to->name));
        to->value = v;
        if (v && !v->name && v->node) v->name = to->name;
    }
}

static void import_node(Importer *im, Graph *g, const WiredNode *w) {
    tn_enter_node(im->cx, w->name, w->row->name);
    OnnxNode n = make_node(im, g, w);
    onnx_check_attributes(&n);
    g->origin = w->name;
    w->row->import(&n);
    keep_outputs(im, w, &n);
    tn_leave(im->cx);
}

/* One round. What it learns on the way holds for the nodes that follow; that way a model with a
 * symbol of its own for each of many inputs needs few rounds. */
static void build(Graph *g, void *user) {
    Importer *im = user;
    const Wiring *w = im->wiring;
    for (size_t i = 0; i < w->value_count; i++) w->values[i].value = NULL;
    for (size_t i = 0; i < w->value_count; i++)
        if (w->values[i].input && !w->values[i].initializer)
            w->values[i].value = import_input(im, g, w->values[i].input);
    for (size_t i = 0; i < w->node_count; i++) import_node(im, g, w->nodes[i]);
    g->origin = NULL;
    for (size_t i = 0; i < im->model->proto->graph->n_output; i++)
        import_output(im, g, im->model->proto->graph->output[i], value_of(g, w->outputs[i]));
}

/* --- the file --- */

static void set_metadata(Importer *im) {
    const OnnxModel *model = im->model;
    const char *slash = strrchr(model->path, '/');
    const char *name = model->proto->producer_name, *version = model->proto->producer_version;
    Arena *a = &im->cx->arena;
    ir_set_meta(im->module, "source", slash ? slash + 1 : model->path);
    if (name && *name)
        ir_set_meta(im->module, "producer",
                    arena_printf(a, "%s%s%s", name, version && *version ? " " : "",
                                 version ? version : ""));
    ir_set_meta(im->module, "opset", arena_printf(a, "%lld", (long long)model->opset));
}

Graph *onnx_import(Module *m, const char *path, ImportOptions *o) {
    Importer im = {onnx_open(m->cx, path), m, m->cx, o, NULL};
    tn_enter(m->cx, "file", im.model->path);
    im.wiring = onnx_wire(im.model);
    check_supported(&im);
    read_initializers(&im);
    set_metadata(&im);
    Graph *g = frontend_build(m, o && o->function ? o->function : "main", build, &im);
    tn_leave(m->cx);
    return g;
}
