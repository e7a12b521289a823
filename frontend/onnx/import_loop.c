/* Loop: iterations written out where that is needed or cheap, else a `loop` node.
 *
 * A carried value keeps the lengths it starts with, unless an iteration changes one: the body is
 * then built again with a symbol of its own for that axis, as often as it takes. Which axes change
 * is kept with the node, so the next round starts with what this one found. */
#include "frontend/onnx/flow.h"

#include <string.h>

#define MAX_UNROLLED       8         /* iterations of a small body */
#define MAX_UNROLLED_NODES 64        /* of a small body, times iterations */
#define MAX_FORCED_NODES   (1 << 14) /* where a sequence is carried */

/* --- the node --- */

static Value *carried_input(OnnxNode *n, FlowLoop *l, Frame *f, int i) {
    const Type *t = &l->initial[i]->type;
    const Expr *dims[TN_MAX_RANK];
    for (int k = 0; k < t->rank; k++) {
        dims[k] = t->dims[k];
        if (!l->changing[i * TN_MAX_RANK + k]) continue;
        const Expr *own = flow_symbol(n, "c", i, k);
        const Symbol *s = ex_as_symbol(n->x, own);
        if (s && s->measured)
            flow_note_measure(n->scope->im, f->g, s);
        else
            ir_same_dim(n->m, own, t->dims[k], "lengths of a value carried around a loop");
        dims[k] = own;
    }
    return ir_input(f->g, "carried", t->dtype, t->rank, dims, INPUT_REQUIRED);
}

/* Whether no axis that was taken to stay the same changes; notes those that do. */
static bool axes_settled(OnnxNode *n, FlowLoop *l, const Frame *f) {
    bool settled = true;
    for (int i = 0; i < l->carried; i++) {
        const Type *in = &f->g->inputs[2 + i]->type, *out = &l->next[i]->type;
        if (in->dtype != out->dtype)
            tn_fail(n->cx, TN_E_MODEL, "carried value %d is %s before and %s after an iteration", i,
                    ir_type_text(n->m, in), ir_type_text(n->m, out));
        if (in->rank != out->rank)
            tn_fail(n->cx, TN_E_UNSUPPORTED,
                    "carried value %d is %s before and %s after an iteration: a changing number of "
                    "axes is unsupported",
                    i, ir_type_text(n->m, in), ir_type_text(n->m, out));
        for (int k = 0; k < in->rank; k++) {
            bool *changing = &l->changing[i * TN_MAX_RANK + k];
            if (*changing || ex_norm(n->x, in->dims[k]) == ex_norm(n->x, out->dims[k])) continue;
            *changing = true;
            settled = false;
        }
    }
    return settled;
}

/* Builds the body; false if it has to be built again. */
static bool build_body(OnnxNode *n, FlowLoop *l, Frame *f) {
    const char *origin = n->g->origin;
    Value **carried = ARENA_ARRAY(&n->cx->arena, Value *, (size_t)l->carried + 1);
    Value *iteration = ir_input(f->g, "iteration", TN_I64, 0, NULL, INPUT_REQUIRED);
    Value *condition = ir_input(f->g, "condition", TN_BOOL, 0, NULL, INPUT_REQUIRED);
    for (int i = 0; i < l->carried; i++) carried[i] = carried_input(n, l, f, i);
    Value *again = l->body(l, n, f, iteration, condition, carried);
    n->g->origin = origin;
    if (!axes_settled(n, l, f)) return false;
    ir_output(f->g, "condition", again);
    for (int i = 0; i < l->carried; i++) ir_output(f->g, "carried", l->next[i]);
    for (int i = 0; i < l->scans; i++) ir_output(f->g, "scan", l->scan[i]);
    return true;
}

/* Dims of the results: of what is carried, then of what is stacked. */
static const Expr **result_dims(OnnxNode *n, const FlowLoop *l, const Frame *f, int *total) {
    const Expr *length = l->length;
    *total = 0;
    for (int i = 0; i < l->carried; i++) *total += l->next[i]->type.rank;
    for (int i = 0; i < l->scans; i++) *total += 1 + l->scan[i]->type.rank;
    const Expr **dims = ARENA_ARRAY(&n->cx->arena, const Expr *, (size_t)*total + 1);
    int at = 0;
    for (int i = 0; i < l->carried + l->scans; i++) {
        const Type *t =
            i < l->carried ? &f->g->inputs[2 + i]->type : &l->scan[i - l->carried]->type;
        if (i >= l->carried) {
            if (!length) length = flow_symbol(n, "n", 0, 0);
            dims[at++] = length;
        }
        for (int k = 0; k < t->rank; k++, at++) {
            dims[at] = ex_norm(n->x, t->dims[k]);
            if (!flow_is_visible(n->scope->im, n->scope->frame, dims[at]))
                dims[at] = flow_symbol(n, "r", i, k);
        }
    }
    return dims;
}

void flow_loop(OnnxNode *n, FlowLoop *l, Value **results) {
    Arena *a = &n->cx->arena;
    Captures captures;
    Frame f;
    do {
        captures = (Captures){0};
        f = flow_body(n, ".body", &captures, false);
    } while (!build_body(n, l, &f));
    flow_settle(&f, 1, 2 + l->carried);
    int count = 2 + l->carried + captures.count, total;
    Value **in = ARENA_ARRAY(a, Value *, (size_t)count);
    in[0] = l->trips;
    in[1] = l->condition;
    for (int i = 0; i < l->carried; i++) in[2 + i] = l->initial[i];
    for (int i = 0; i < captures.count; i++) in[2 + l->carried + i] = captures.outer[i];
    const Expr **dims = result_dims(n, l, &f, &total);
    Node *node = ir_node(n->g, OP_loop, count, in);
    ir_set_graph(node, "body", f.g);
    ir_set_int(node, "carried", l->carried);
    ir_set_exprs(node, "dims", total, dims);
    ir_insert(node);
    for (int i = 0; i < node->output_count; i++) results[i] = node->outputs[i];
}

bool *flow_changing(OnnxNode *n, int carried) {
    if (!n->wired->changing)
        n->wired->changing = ARENA_ARRAY(&n->cx->arena, bool, (size_t)carried *TN_MAX_RANK + 1);
    return n->wired->changing;
}

/* --- ONNX's Loop --- */

typedef struct OnnxLoop {
    Wiring *w;
    bool always;      /* the condition stays true */
    bool trips_known; /* without data */
    int64_t trips;
    int carried, scans;  /* of the node */
    OnnxResult *initial; /* carried */
    int *collected;      /* per carried value: the scan that collects it, or -1 (see below) */
    bool *plain;         /* per carried value: a tensor */
} OnnxLoop;

/* Follows a condition through the body to where it comes from: true if that is the body's own
 * condition or the constant true. */
static bool stays_true(OnnxNode *n, const OnnxLoop *o) {
    const WiredValue *v = o->w->outputs[0];
    while (v->producer && v->producer->row && v->producer->proto->n_input == 1 &&
           v->producer->inputs[0] &&
           (!strcmp(v->producer->row->name, "Identity") || !strcmp(v->producer->row->name, "Cast")))
        v = v->producer->inputs[0];
    if (v == o->w->inputs[1]) return true;
    const Onnx__TensorProto *t = v->initializer;
    if (v->producer && v->producer->row && !strcmp(v->producer->row->name, "Constant") &&
        v->producer->proto->n_attribute == 1)
        t = v->producer->proto->attribute[0]->t;
    if (!t) return false;
    OnnxTensor read;
    onnx_tensor(n->model, t, &read);
    return read.dtype == TN_BOOL && read.bytes == 1 && *(const unsigned char *)read.data != 0;
}

/* The number as the body's graph declares it: a scalar, or a vector of one element. */
static OnnxResult as_declared(Frame *f, const WiredValue *v, Value *scalar) {
    const Onnx__TypeProto *t = v->input ? v->input->type : NULL;
    bool vector = t && t->tensor_type && t->tensor_type->shape && t->tensor_type->shape->n_dim == 1;
    const Expr *one = ex_int(f->g->module->ex, 1);
    return (OnnxResult){.value = vector ? ir_view(f->g, scalar, 1, &one) : scalar};
}

static Value *condition_of(OnnxNode *n, Frame *f, OnnxResult r) {
    OnnxNode inner = *n;
    inner.g = f->g;
    return flow_scalar(&inner, flow_tensor(n, r, "the condition that the body computes"), TN_BOOL,
                       "the condition that the body computes");
}

/* One iteration of the graph; `results` has its outputs. */
static void iterate(OnnxNode *n, OnnxLoop *o, Frame *f, const char *suffix, Value *iteration,
                    Value *condition, const OnnxResult *carried, OnnxResult *results) {
    OnnxResult *in = ARENA_ARRAY(&n->cx->arena, OnnxResult, (size_t)o->carried + 2);
    in[0] = as_declared(f, o->w->inputs[0], iteration);
    in[1] = as_declared(f, o->w->inputs[1], condition);
    for (int i = 0; i < o->carried; i++) in[2 + i] = carried[i];
    flow_import_graph(n, f, o->w, suffix, in, o->carried + 2, results);
}

/* --- a sequence that grows by one tensor in each iteration --- */

/* What a carried sequence is while the body is imported: empty, and only to be inserted into. */
static OnnxResult empty_sequence(OnnxNode *n) {
    return (OnnxResult){.list = ARENA_NEW(&n->cx->arena, OnnxList)};
}

/* The carried sequence is empty before the loop, and the body only appends to it. */
static bool is_collected(const OnnxLoop *o, int i) {
    const OnnxResult *r = &o->initial[i];
    const WiredNode *last = o->w->outputs[1 + i]->producer;
    if (!r->list || r->list->optional || r->list->count || r->list->stacked) return false;
    if (!last || !last->row || strcmp(last->row->name, "SequenceInsert") != 0) return false;
    if (last->proto->n_input > 2 && last->inputs[2]) return false;
    const WiredValue *from = last->inputs[0];
    while (from->producer && from->producer->row && !strcmp(from->producer->row->name, "Identity"))
        from = from->producer->inputs[0];
    return from == o->w->inputs[2 + i];
}

/* --- one iteration in a frame --- */

static Value *loop_body(FlowLoop *l, OnnxNode *n, Frame *f, Value *iteration, Value *condition,
                        Value **carried) {
    OnnxLoop *o = l->user;
    Arena *a = &n->cx->arena;
    OnnxResult *in = ARENA_ARRAY(a, OnnxResult, (size_t)o->carried + 1);
    OnnxResult *results = ARENA_ARRAY(a, OnnxResult, o->w->output_count);
    int at = 0;
    for (int i = 0; i < o->carried; i++)
        in[i] = o->plain[i] ? (OnnxResult){.value = carried[at++]} : empty_sequence(n);
    iterate(n, o, f, ".body", iteration, condition, in, results);
    at = 0;
    int scan = o->scans;
    for (int i = 0; i < o->carried; i++) {
        if (o->plain[i]) {
            l->next[at++] = flow_tensor(n, results[1 + i], "a value carried around the loop");
        } else {
            const OnnxList *list = results[1 + i].list;
            if (!list || list->count != 1)
                tn_fail(n->cx, TN_E_UNSUPPORTED,
                        "a sequence carried around a loop is unsupported, "
                        "unless it grows by one tensor each time");
            l->scan[scan++] = flow_tensor(n, list->items[0], "what the loop inserts");
        }
    }
    for (int i = 0; i < o->scans; i++)
        l->scan[i] = flow_tensor(n, results[1 + o->carried + i], "what the loop stacks");
    return condition_of(n, f, results[0]);
}

static void insert_loop(OnnxNode *n, OnnxLoop *o, Value *trips, Value *condition) {
    Arena *a = &n->cx->arena;
    FlowLoop l = {.trips = trips, .condition = condition, .body = loop_body, .user = o};
    int collected = 0;
    l.initial = ARENA_ARRAY(a, Value *, (size_t)o->carried + 1);
    l.next = ARENA_ARRAY(a, Value *, (size_t)o->carried + 1);
    for (int i = 0; i < o->carried; i++) {
        if (o->plain[i])
            l.initial[l.carried++] = o->initial[i].value;
        else if (is_collected(o, i))
            collected++;
        else
            tn_fail(
                n->cx, TN_E_UNSUPPORTED,
                "a sequence or optional carried around a loop whose number of iterations is not "
                "known is unsupported, unless it starts empty and grows by one tensor each time");
    }
    l.scans = o->scans + collected;
    l.scan = ARENA_ARRAY(a, Value *, (size_t)l.scans + 1);
    l.changing = flow_changing(n, o->carried);
    if (o->always && trips && trips->facts.values &&
        !ex_mentions(trips->facts.values[0], ATOM_LOAD))
        l.length = ex_max(n->x, trips->facts.values[0], ex_int(n->x, 0));
    Value **results = ARENA_ARRAY(a, Value *, (size_t)(l.carried + l.scans) + 1);
    flow_loop(n, &l, results);
    int at = 0, scan = l.carried + o->scans;
    for (int i = 0; i < n->output_count; i++) {
        if (i >= o->carried) {
            n->outputs[i] = results[l.carried + i - o->carried];
        } else if (o->plain[i]) {
            n->outputs[i] = results[at++];
        } else {
            OnnxList *list = ARENA_NEW(a, OnnxList);
            list->stacked = results[scan++];
            n->list_outputs[i] = list;
        }
    }
}

/* --- iterations written out --- */

static Value *stack(OnnxNode *n, int count, Value *const *items) {
    Value **rows = ARENA_ARRAY(&n->cx->arena, Value *, (size_t)count);
    Type t = items[0]->type;
    for (int i = 0; i < count; i++) {
        if (items[i]->type.dtype != t.dtype || items[i]->type.rank != t.rank)
            tn_fail(n->cx, TN_E_MODEL, "iterations stack %s and %s", ir_type_text(n->m, &t),
                    ir_type_text(n->m, &items[i]->type));
        rows[i] = ir_unsqueeze(n->g, items[i], 0);
    }
    return count == 1 ? rows[0] : ir_concat(n->g, count, rows, 0);
}

static void unroll(OnnxNode *n, OnnxLoop *o) {
    Arena *a = &n->cx->arena;
    int trips = (int)o->trips;
    OnnxResult *carried = o->initial;
    OnnxResult *results = ARENA_ARRAY(a, OnnxResult, o->w->output_count);
    Value **scans = ARENA_ARRAY(a, Value *, (size_t)(o->scans * trips) + 1);
    for (int t = 0; t < trips; t++) {
        iterate(n, o, n->scope->frame, arena_printf(a, ".%d", t), ir_scalar_int(n->g, TN_I64, t),
                ir_scalar_int(n->g, TN_BOOL, 1), carried, results);
        carried = ARENA_ARRAY(a, OnnxResult, (size_t)o->carried + 1);
        for (int i = 0; i < o->carried; i++) carried[i] = results[1 + i];
        for (int i = 0; i < o->scans; i++)
            scans[i * trips + t] =
                flow_tensor(n, results[1 + o->carried + i], "what the loop stacks");
    }
    for (int i = 0; i < n->output_count; i++) {
        if (i >= o->carried) {
            n->outputs[i] = stack(n, trips, scans + (i - o->carried) * trips);
        } else {
            n->outputs[i] = carried[i].value;
            n->list_outputs[i] = carried[i].list;
        }
    }
}

static bool worth_unrolling(const OnnxLoop *o, bool all_plain) {
    if (!o->always || !o->trips_known || o->trips < 1) return false;
    int64_t nodes = (int64_t)o->w->node_count;
    if (!all_plain) return o->trips <= MAX_FORCED_NODES && nodes * o->trips <= MAX_FORCED_NODES;
    return o->trips == 1 || (o->trips <= MAX_UNROLLED && nodes * o->trips <= MAX_UNROLLED_NODES);
}

/* --- all --- */

static void read_operands(OnnxNode *n, OnnxLoop *o) {
    int given = n->input_count;
    if ((size_t)given < n->wired->proto->n_input) given = (int)n->wired->proto->n_input;
    o->carried = given > 2 ? given - 2 : 0;
    flow_need_counts(n, o->w, o->carried + 2, 1 + o->carried);
    o->scans = (int)o->w->output_count - 1 - o->carried;
    if (n->output_count > o->carried + o->scans)
        tn_fail(n->cx, TN_E_MODEL, "%d outputs, the body has %d", n->output_count,
                o->carried + o->scans);
    o->initial = ARENA_ARRAY(&n->cx->arena, OnnxResult, (size_t)o->carried + 1);
    o->plain = ARENA_ARRAY(&n->cx->arena, bool, (size_t)o->carried + 1);
    for (int i = 0; i < o->carried; i++) {
        if (2 + i < n->input_count)
            o->initial[i] = (OnnxResult){n->inputs[2 + i], (OnnxList *)n->lists[2 + i]};
        o->plain[i] = o->initial[i].value != NULL;
        if (!o->initial[i].value && !o->initial[i].list)
            tn_fail(n->cx, TN_E_MODEL, "input %d is missing", 2 + i);
    }
}

void import_loop(OnnxNode *n) {
    OnnxLoop o = {.w = flow_graph(n, "body")};
    bool known, all_plain = true;
    read_operands(n, &o);
    Value *trips = onnx_given(n, 0) ? flow_scalar(n, n->inputs[0], TN_I64, "the trip count") : NULL;
    Value *condition =
        onnx_given(n, 1) ? flow_scalar(n, n->inputs[1], TN_BOOL, "the condition") : NULL;
    for (int i = 0; i < 2 && i < n->input_count; i++)
        if (n->lists[i]) tn_fail(n->cx, TN_E_MODEL, "input %d is no tensor", i);
    for (int i = 0; i < o.carried; i++) all_plain = all_plain && o.plain[i];
    if (condition && flow_known_bool(n, condition, &known)) {
        if (!known)
            o.trips_known = true;
        else
            condition = NULL;
    }
    o.always = !condition && stays_true(n, &o);
    if (!o.trips_known) o.trips_known = trips && flow_known_int(n, trips, &o.trips);
    if (worth_unrolling(&o, all_plain))
        unroll(n, &o);
    else
        insert_loop(n, &o, trips, condition);
}
