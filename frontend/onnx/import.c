/* An ONNX file as a graph of the IR: header and wiring are checked, then nodes are imported one
 * after another, again from the start whenever a round learns that two lengths must be equal
 * (frontend_build). A round tries all there is and ends with the problems it found. */
#include "frontend/onnx/flow.h"

#include <string.h>
#include "ir/problems.h"
#include "runtime/base/checked.h"

/* --- inputs, outputs --- */

/* The type of an input or output; the declaration of an output may leave it open. */
static const Onnx__TypeProto__Tensor *tensor_type(Importer *im, const Onnx__ValueInfoProto *v) {
    const Onnx__TypeProto *t = v->type;
    if (t && t->tensor_type) return t->tensor_type;
    if (t && (t->sequence_type || t->map_type || t->opaque_type || t->sparse_tensor_type ||
              t->optional_type))
        tn_fail(im->cx, TN_E_UNSUPPORTED,
                "only tensors are supported: sequences, optionals, maps and sparse tensors are "
                "unsupported here");
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

static Value *make_input(Importer *im, Graph *g, const Onnx__ValueInfoProto *v) {
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

typedef struct PortWork {
    Importer *im;
    Graph *g;
    Scope *scope;
    const Onnx__ValueInfoProto *declared;
    WiredValue *wired;
    OnnxResult result; /* of an input: to be set */
} PortWork;

static void import_input(void *user) {
    PortWork *p = user;
    p->result.value = make_input(p->im, p->g, p->declared);
}

/* Shapes are inferred; declared ones may be wrong and are not looked at. */
static void import_output(void *user) {
    const PortWork *p = user;
    Importer *im = p->im;
    const Onnx__ValueInfoProto *declared = p->declared;
    tn_enter(im->cx, "output", declared->name);
    const Onnx__TypeProto__Tensor *t = tensor_type(im, declared);
    Value *v = flow_result(p->scope, p->wired).value;
    if (!v)
        tn_fail(im->cx, TN_E_UNSUPPORTED,
                "only tensors are supported: a sequence or optional as an output is unsupported");
    if (t && t->has_elem_type && t->elem_type != 0 && element_type(im, t) != v->type.dtype)
        tn_fail(im->cx, TN_E_MODEL, "declared as %s, but computed as %s",
                tn_dtype_name(element_type(im, t)), tn_dtype_name(v->type.dtype));
    check_interface(im, v->type.dtype);
    ir_output(p->g, declared->name, v);
    tn_leave(im->cx);
}

/* One round. What it learns on the way holds for the nodes that follow; that way a model with a
 * symbol of its own for each of many inputs needs few rounds. */
static void build(Graph *g, void *user) {
    Importer *im = user;
    Wiring *w = im->wiring;
    Frame frame = {.g = g};
    Scope scope = {.im = im, .frame = &frame, .path = "", .prefix = ""};
    OnnxResult *in = ARENA_ARRAY(&im->cx->arena, OnnxResult, w->input_count);
    im->imported = 0;
    im->bodies = (NameMap){.arena = &im->cx->arena};
    if (im->measures_capacity)
        memset(im->measures, 0, im->measures_capacity * sizeof *im->measures);
    for (size_t i = 0; i < w->input_count; i++) {
        PortWork p = {.im = im, .g = g, .declared = w->inputs[i]->input, .wired = w->inputs[i]};
        if (w->inputs[i]->initializer) continue;
        w->inputs[i]->unknown = !tn_try(im->cx, import_input, &p);
        if (w->inputs[i]->unknown) flow_value_failed(im, "input", w->inputs[i]->name);
        in[i] = p.result;
    }
    flow_import_nodes(&scope, w, in, (int)w->input_count);
    for (size_t i = 0; i < w->output_count; i++) {
        PortWork p = {im, g, &scope, w->proto->output[i], w->outputs[i], {0}};
        if (!w->outputs[i]->unknown && !tn_try(im->cx, import_output, &p))
            flow_value_failed(im, "output", w->outputs[i]->name);
    }
    problems_raise(im->cx);
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
    if (model->opset)
        ir_set_meta(im->module, "opset", arena_printf(a, "%lld", (long long)model->opset));
}

Graph *onnx_import(Module *m, const char *path, ImportOptions *o) {
    Importer im = {.model = onnx_open(m->cx, path), .module = m, .cx = m->cx, .options = o};
    tn_enter(m->cx, "file", im.model->path);
    im.wiring = onnx_wire(im.model);
    set_metadata(&im);
    flow_note_unsupported(&im, im.wiring);
    Graph *g = frontend_build(m, o && o->function ? o->function : "main", build, &im);
    ir_remove_unused_bodies(m);
    tn_leave(m->cx);
    return g;
}
