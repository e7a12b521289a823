/* Lowering a graph: buffers, views, and the list of instructions.
 *
 * Values that the graph returns are computed straight into their output buffers where that is
 * possible (place.c). Otherwise a copy at the end puts them there. */
#include "backend/lower.h"

#include <string.h>
#include "backend/place.h"
#include "ir/problems.h"

uint32_t lower_buffer(Lower *lo, PlanBufferKind kind, uint32_t index, const Expr *elements,
                      TnDType dtype) {
    lo->buffers = arena_grow(&lo->cx->arena, lo->buffers, &lo->buffer_capacity,
                             lo->buffer_count + 1, sizeof *lo->buffers);
    lo->buffers[lo->buffer_count] = (Buffer){
        .kind = kind, .index = index, .elements = elements, .dtype = dtype, .merged = TN_NO_ID};
    return (uint32_t)lo->buffer_count++;
}

void lower_set(Lower *lo, const Value *v, View view) {
    lo->view_of[v->id] = view;
}

View lower_as_is(Lower *lo, const Value *v) {
    if (!v) return view_absent();
    if (!v->constant) return lo->view_of[v->id];
    return lower_plain_constant(lo, v->constant);
}

View lower_operand(Lower *lo, const Value *v) {
    View view = lower_as_is(lo, v), plain;
    if (view.buffer == TN_NO_ID || v->constant) return view;
    if (view_has_dims(&view, &v->type) && !view_has_ring(&view)) return view;
    view = lower_copy(lo, &view);
    view_reshape(lo, &view, v->type.rank, v->type.dims, &plain);
    lower_set(lo, v, plain); /* for later readers, too */
    return plain;
}

View lower_copy(Lower *lo, const View *v) {
    Type t = {.dtype = v->dtype, .rank = v->rank};
    for (int i = 0; i < v->rank; i++) t.dims[i] = v->dims[i];
    uint32_t buffer =
        lower_buffer(lo, TN_BUFFER_ARENA, 0, ir_elements(lo->im->module, &t), t.dtype);
    View out = view_dense(lo, buffer, &t);
    lower_emit_copy(lo, v, &out);
    return out;
}

/* A value is copied once, for all that want it dense. */
static View dense_copy(Lower *lo, const Value *v, const View *view) {
    if (v->constant) return lower_copy(lo, view);
    View *copy = &lo->dense_of[v->id];
    if (copy->rank < 0) *copy = lower_copy(lo, view);
    return *copy;
}

View lower_rows(Lower *lo, const Value *v) {
    View view = lower_operand(lo, v);
    if (view.buffer == TN_NO_ID || view_has_rows(&view)) return view;
    return dense_copy(lo, v, &view);
}

View lower_dense(Lower *lo, const Value *v) {
    View view = lower_operand(lo, v);
    if (view.buffer == TN_NO_ID || view_is_dense(lo, &view)) return view;
    return dense_copy(lo, v, &view);
}

View lower_result(Lower *lo, const Value *v) {
    View view = place_result(lo, v);
    lower_set(lo, v, view);
    return view;
}

LInstr *lower_emit(Lower *lo, TnOpcode kind, int inputs, const View *in, int outputs,
                   const View *out, const void *params, uint32_t params_bytes) {
    lo->instrs = arena_grow(&lo->cx->arena, lo->instrs, &lo->instr_capacity, lo->instr_count + 1,
                            sizeof *lo->instrs);
    LInstr *i = &lo->instrs[lo->instr_count++];
    *i = (LInstr){.kind = kind,
                  .inputs = inputs,
                  .outputs = outputs,
                  .params_bytes = params_bytes,
                  .origin = lo->origin};
    i->operand = ARENA_ARRAY(&lo->cx->arena, View, (size_t)(inputs + outputs));
    if (inputs) memcpy(i->operand, in, (size_t)inputs * sizeof *in);
    if (outputs) memcpy(i->operand + inputs, out, (size_t)outputs * sizeof *out);
    for (int k = 0; k < outputs; k++)
        if (out[k].buffer != TN_NO_ID) lo->buffers[out[k].buffer].written = lo->instr_count;
    i->params = arena_copy(&lo->cx->arena, params, params_bytes);
    return i;
}

/* Axes in the order of the result's memory: what the kernel writes comes one after another. */
void lower_emit_copy(Lower *lo, const View *from, const View *to) {
    const ParamsCopy plain = {0};
    IntList order;
    View x = *from, y = *to;
    if (view_order(lo, to, &order)) {
        x = view_permute(from, &order);
        y = view_permute(to, &order);
    }
    lower_emit_boxes(lo, TN_OP_copy, 1, &x, 1, &y, 3, &plain, sizeof plain);
}

static void copy_outputs(Lower *lo) {
    Graph *g = lo->g;
    for (int i = 0; i < g->output_count; i++) {
        uint32_t buffer = lo->result_buffer[i];
        if (buffer == TN_NO_ID) continue;
        View from = lower_as_is(lo, g->outputs[i]);
        View whole = view_dense(lo, buffer, &g->outputs[i]->type), to;
        lo->origin = g->output_names[i];
        view_reshape(lo, &whole, from.rank, from.dims, &to);
        if (from.buffer != buffer) lower_emit_copy(lo, &from, &to);
    }
}

const char *lower_origin(Cx *cx, const Node *n) {
    if (!n->origin_count) return ir_op_info(n->op)->name;
    const char *text = n->origins[0];
    for (int i = 1; i < n->origin_count && strlen(text) < 256; i++)
        text = arena_printf(&cx->arena, "%s + %s", text, n->origins[i]);
    return text;
}

typedef struct NodeWork {
    Lower *lo;
    Node *node;
} NodeWork;

static void lower_node(void *user) {
    const NodeWork *work = user;
    Lower *lo = work->lo;
    Node *n = work->node;
    LowerFn *lower = lower_function(n->op);
    tn_enter_node(lo->cx, lo->origin, ir_op_info(n->op)->name);
    if (!lower)
        tn_fail(lo->cx, TN_E_UNSUPPORTED, "operator '%s' has no instruction: unsupported",
                ir_op_info(n->op)->name);
    lower(lo, n);
    for (int i = 0; lo->g->state_count && i < n->output_count; i++)
        lower_write_states(lo, n->outputs[i]);
    lower_note_values(lo, n);
    tn_leave(lo->cx);
}

/* A node that is refused is noted; its results get buffers, so that the others are still looked
 * at. */
static void lower_nodes(Lower *lo) {
    IR_FOR_NODES(n, lo->g) {
        NodeWork work = {lo, n};
        lo->origin = lower_origin(lo->cx, n);
        if (tn_try(lo->cx, lower_node, &work)) continue;
        problems_caught(lo->cx, &(Problem){.kind = "instruction", .op = ir_op_info(n->op)->name},
                        lo->origin);
        for (int i = 0; i < n->output_count; i++) lower_result(lo, n->outputs[i]);
    }
}

uint32_t lower_record_view(Lower *lo, const View *v, const uint32_t *buffer_ids) {
    if (v->buffer == TN_NO_ID) return TN_NO_ID;
    uint32_t b = v->buffer;
    while (lo->buffers[b].merged != TN_NO_ID) b = lo->buffers[b].merged;
    return image_view(lo->im, buffer_ids[b], v->dtype, v->layout, v->rank, v->dims, v->strides,
                      v->offset);
}

static uint32_t *record_buffers(Lower *lo) {
    uint32_t *ids = ARENA_ARRAY(&lo->cx->arena, uint32_t, lo->buffer_count + 1);
    for (size_t i = 0; i < lo->buffer_count; i++) {
        const Buffer *b = &lo->buffers[i];
        if (b->merged == TN_NO_ID)
            ids[i] = image_buffer(lo->im, b->kind, b->index, b->elements, b->dtype);
    }
    return ids;
}

/* Inputs keep the lengths they were declared with, so that a requirement between two of them is
 * checked as one, by name. */
static void declared_dims(Lower *lo, const Value *input, View *v) {
    for (int i = 0; input->declared && i < v->rank; i++)
        if (input->declared[i]) v->dims[i] = ex_declared(lo->x, input->declared[i]);
}

static void record_ports(Lower *lo, PlanFunction *f, const uint32_t *buffer_ids) {
    Graph *g = lo->g;
    Image *im = lo->im;
    f->first_input = (uint32_t)im->ports.count;
    for (int i = 0; i < g->input_count; i++) {
        if (ir_state_of_input(g, i)) continue;
        View v = view_dense(lo, (uint32_t)i, &g->inputs[i]->type);
        declared_dims(lo, g->inputs[i], &v);
        PlanPort p = {.name = image_string(im, g->inputs[i]->name),
                      .view = lower_record_view(lo, &v, buffer_ids),
                      .fill = (uint32_t)g->defaults[i]};
        *(PlanPort *)table_add(im, &im->ports) = p;
    }
    f->first_output = (uint32_t)im->ports.count;
    f->input_count = f->first_output - f->first_input;
    for (int i = 0; i < g->output_count; i++) {
        if (lo->result_buffer[i] == TN_NO_ID) continue;
        View v = view_dense(lo, lo->result_buffer[i], &g->outputs[i]->type);
        PlanPort p = {.name = image_string(im, g->output_names[i]),
                      .view = lower_record_view(lo, &v, buffer_ids)};
        *(PlanPort *)table_add(im, &im->ports) = p;
    }
    f->output_count = (uint32_t)im->ports.count - f->first_output;
}

static void record_instrs(Lower *lo, PlanFunction *f, const uint32_t *buffer_ids) {
    f->first_instruction = (uint32_t)lo->im->instructions.count;
    f->instruction_count = (uint32_t)lo->instr_count;
    for (size_t i = 0; i < lo->instr_count; i++) {
        const LInstr *l = &lo->instrs[i];
        Instr in = {.kind = l->kind,
                    .inputs = l->inputs,
                    .outputs = l->outputs,
                    .scalars = l->scalars,
                    .scalar_count = l->scalar_count,
                    .params = l->params,
                    .params_bytes = l->params_bytes,
                    .origin = l->origin};
        uint32_t *views =
            ARENA_ARRAY(&lo->cx->arena, uint32_t, (size_t)(l->inputs + l->outputs) + 1);
        for (int k = 0; k < l->inputs + l->outputs; k++)
            views[k] = lower_record_view(lo, &l->operand[k], buffer_ids);
        in.operand = views;
        image_instr(lo->im, &in);
    }
}

/* From here on ids of values count within their graph: a model of many bodies has little in each.
 */
static size_t number_values(Graph *g) {
    uint32_t count = 0;
    for (int i = 0; i < g->input_count; i++) g->inputs[i]->id = count++;
    for (Node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->output_count; i++) n->outputs[i]->id = count++;
    return count;
}

/* Input i of the graph has buffer i. */
static void place_inputs(Lower *lo) {
    Graph *g = lo->g;
    uint32_t port = 0;
    for (int i = 0; i < g->input_count; i++) {
        const Value *v = g->inputs[i];
        bool state = ir_state_of_input(g, i) != NULL;
        uint32_t b = lower_buffer(lo, state ? TN_BUFFER_STATE : TN_BUFFER_INPUT, state ? 0 : port++,
                                  ir_elements(g->module, &v->type), v->type.dtype);
        lower_set(lo, v, view_dense(lo, b, &v->type));
    }
}

void lower_graph(Image *im, Graph *g, ConstantLayout *layouts) {
    Lower lo = {.im = im, .g = g, .cx = im->cx, .x = im->ex, .layouts = layouts};
    size_t values = number_values(g) + 1;
    lo.view_of = ARENA_ARRAY(&im->cx->arena, View, values);
    lo.dense_of = ARENA_ARRAY(&im->cx->arena, View, values);
    for (size_t i = 0; i < values; i++) lo.dense_of[i].rank = -1;
    lo.parts = ARENA_ARRAY(&im->cx->arena, Part, values);
    lo.placed = ARENA_ARRAY(&im->cx->arena, bool, values);
    place_inputs(&lo);
    lower_states(&lo);
    place_parts(&lo);
    lower_nodes(&lo);
    if (problems_of(im->cx)->first) return; /* to be raised when all graphs have been tried */
    copy_outputs(&lo);
    order_in_place(&lo);
    order_streams(&lo);
    PlanFunction f;
    memset(&f, 0, sizeof f);
    f.name = image_string(im, g->name);
    f.flags = g->internal ? TN_FUNCTION_INTERNAL : 0;
    f.first_buffer = (uint32_t)im->buffers.count;
    uint32_t *ids = record_buffers(&lo);
    f.buffer_count = (uint32_t)im->buffers.count - f.first_buffer;
    lower_record_states(&lo, (uint32_t)im->functions.count, ids);
    record_ports(&lo, &f, ids);
    record_instrs(&lo, &f, ids);
    lower_record_values(&lo, &f, ids);
    *(PlanFunction *)table_add(im, &im->functions) = f;
}
