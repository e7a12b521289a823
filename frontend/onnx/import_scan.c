/* Scan: a loop over the slices of its inputs along an axis.
 *
 *     states, scans = body(states, x[.., i, ..], ..)      for every i along the scanned axes
 *
 * It becomes a `loop` that gathers its slices by the iteration number; what it stacks along another
 * axis, or from the end, is turned afterwards. Opset 8 scans every element of a batch by itself: a
 * loop around the loop. */
#include "frontend/onnx/flow.h"

typedef struct Scan {
    Wiring *w;
    int states, scanned, stacked;
    Value **state, **x;
    int axis[TN_MAX_OPERANDS];     /* of the scanned inputs */
    bool reverse[TN_MAX_OPERANDS]; /* likewise */
    const Expr *length;
} Scan;

static Value *int_scalar(Graph *g, const Expr *e) {
    return ir_view(g, ir_scalars(g, TN_I64, 1, &e), 0, NULL);
}

/* The slice of scanned input k for this iteration. */
static Value *slice(OnnxNode *n, const Scan *s, Frame *f, int k, Value *iteration) {
    Value *x = flow_use(f, s->x[k]), *at = iteration;
    if (s->reverse[k]) {
        const Expr *last = ex_sub(n->x, s->length, ex_int(n->x, 1));
        at = ir_binary(f->g, OP_sub, int_scalar(f->g, last), iteration);
    }
    return ir_gather(f->g, x, at, s->axis[k]);
}

static Value *scan_body(FlowLoop *l, OnnxNode *n, Frame *f, Value *iteration, Value *condition,
                        Value **carried) {
    const Scan *s = l->user;
    Arena *a = &n->cx->arena;
    OnnxResult *in = ARENA_ARRAY(a, OnnxResult, s->w->input_count + 1);
    OnnxResult *results = ARENA_ARRAY(a, OnnxResult, s->w->output_count + 1);
    for (int i = 0; i < s->states; i++) in[i].value = carried[i];
    for (int k = 0; k < s->scanned; k++) in[s->states + k].value = slice(n, s, f, k, iteration);
    flow_import_graph(n, f, s->w, ".body", in, s->states + s->scanned, results);
    for (int i = 0; i < s->states; i++) l->next[i] = flow_tensor(n, results[i], "a state");
    for (int i = 0; i < s->stacked; i++)
        l->scan[i] = flow_tensor(n, results[s->states + i], "what is stacked");
    return condition;
}

/* The loop in n->g; results: the states, then what is stacked. */
static Value **insert_scan(OnnxNode *n, Scan *s, bool *changing) {
    Arena *a = &n->cx->arena;
    FlowLoop l = {.carried = s->states,
                  .scans = s->stacked,
                  .length = s->length,
                  .initial = s->state,
                  .changing = changing,
                  .body = scan_body,
                  .user = s};
    l.trips = int_scalar(n->g, s->length);
    l.next = ARENA_ARRAY(a, Value *, (size_t)s->states + 1);
    l.scan = ARENA_ARRAY(a, Value *, (size_t)s->stacked + 1);
    Value **results = ARENA_ARRAY(a, Value *, (size_t)(s->states + s->stacked) + 1);
    flow_loop(n, &l, results);
    return results;
}

/* --- operands --- */

static void read_counts(OnnxNode *n, Scan *s, int first) {
    int64_t scanned = onnx_int(n, "num_scan_inputs");
    if (scanned < 1 || scanned > n->input_count - first || scanned > TN_MAX_OPERANDS)
        tn_fail(n->cx, TN_E_MODEL, "num_scan_inputs is %lld of %d inputs", (long long)scanned,
                n->input_count - first);
    s->scanned = (int)scanned;
    s->states = n->input_count - first - s->scanned;
    for (int i = first; i < n->input_count; i++)
        if (!n->inputs[i]) tn_fail(n->cx, TN_E_MODEL, "input %d is missing", i);
    flow_need_counts(n, s->w, s->states + s->scanned, s->states);
    s->stacked = (int)s->w->output_count - s->states;
    if (n->output_count > s->states + s->stacked)
        tn_fail(n->cx, TN_E_MODEL, "%d outputs, the body has %d", n->output_count,
                s->states + s->stacked);
    if (s->stacked > TN_MAX_OPERANDS)
        tn_fail(n->cx, TN_E_LIMIT, "%d stacked outputs, at most %d", s->stacked, TN_MAX_OPERANDS);
    s->state = n->inputs + first;
    s->x = n->inputs + first + s->states;
}

/* Entry i of a list of axes or directions of `count` entries; 0 if it is left out. */
static int64_t entry(OnnxNode *n, const char *name, int count, int i) {
    OnnxInts list = onnx_ints(n, name);
    if (!list.given || !list.count) return 0;
    if (list.count != count)
        tn_fail(n->cx, TN_E_MODEL, "%s has %d entries, wanted %d", name, list.count, count);
    return list.v[i];
}

static bool direction(OnnxNode *n, const char *name, int count, int i) {
    int64_t v = entry(n, name, count, i);
    if (v != 0 && v != 1)
        tn_fail(n->cx, TN_E_MODEL, "%s has the entry %lld, not 0 or 1", name, (long long)v);
    return v == 1;
}

/* --- results --- */

/* Rows in the opposite order. */
static Value *reversed(OnnxNode *n, Value *y) {
    const Expr *length = y->type.dims[0];
    return ir_slice(n->g, y, 0, ex_sub(n->x, length, ex_int(n->x, 1)), length, -1);
}

/* Axis 0 moved to `axis`. */
static Value *first_axis_to(OnnxNode *n, Value *y, int axis) {
    int perm[TN_MAX_RANK], from = 1;
    for (int i = 0; i < y->type.rank; i++) perm[i] = i == axis ? 0 : from++;
    return ir_transpose(n->g, y, perm);
}

void import_scan(OnnxNode *n) {
    Scan s = {.w = flow_graph(n, "body")};
    read_counts(n, &s, 0);
    for (int k = 0; k < s.scanned; k++) {
        s.axis[k] = ir_axis(n->m, entry(n, "scan_input_axes", s.scanned, k), s.x[k]->type.rank);
        s.reverse[k] = direction(n, "scan_input_directions", s.scanned, k);
        const Expr *length = s.x[k]->type.dims[s.axis[k]];
        s.length =
            s.length ? ir_same_dim(n->m, s.length, length, "lengths of scanned axes") : length;
    }
    Value **results = insert_scan(n, &s, flow_changing(n, s.states));
    for (int i = 0; i < n->output_count; i++) {
        Value *y = results[i];
        int k = i - s.states;
        if (k >= 0 && direction(n, "scan_output_directions", s.stacked, k)) y = reversed(n, y);
        if (k >= 0)
            y = first_axis_to(
                n, y, ir_axis(n->m, entry(n, "scan_output_axes", s.stacked, k), y->type.rank));
        n->outputs[i] = y;
    }
}

/* --- opset 8 --- */

/* One element of the batch: nothing is carried, states and stacks are stacked in turn. */
static Value *batch_body(FlowLoop *l, OnnxNode *n, Frame *f, Value *iteration, Value *condition,
                         Value **carried) {
    const Scan *all = l->user;
    Arena *a = &n->cx->arena;
    Scan s = *all;
    Scope scope = *n->scope;
    OnnxNode inner = *n;
    (void)carried;
    scope.frame = f;
    inner.g = f->g;
    inner.scope = &scope;
    s.state = ARENA_ARRAY(a, Value *, (size_t)s.states + 1);
    s.x = ARENA_ARRAY(a, Value *, (size_t)s.scanned + 1);
    for (int i = 0; i < s.states; i++)
        s.state[i] = ir_gather(f->g, flow_use(f, all->state[i]), iteration, 0);
    for (int i = 0; i < s.scanned; i++)
        s.x[i] = ir_gather(f->g, flow_use(f, all->x[i]), iteration, 0);
    Value **results = insert_scan(&inner, &s, flow_changing(n, s.states));
    flow_note_symbols(n->scope->im, f);
    for (int i = 0; i < s.states + s.stacked; i++) l->scan[i] = results[i];
    return condition;
}

void import_scan_batch(OnnxNode *n) {
    Scan s = {.w = flow_graph(n, "body")};
    if (n->inputs[0])
        tn_fail(n->cx, TN_E_UNSUPPORTED, "lengths of sequences in a Scan are unsupported");
    read_counts(n, &s, 1);
    const Expr *batch = NULL;
    for (int i = 0; i < s.states + s.scanned; i++) {
        const Type *t = &n->inputs[1 + i]->type;
        if (t->rank < (i < s.states ? 1 : 2))
            tn_fail(n->cx, TN_E_MODEL, "input %d is %s, without an axis to scan", 1 + i,
                    ir_type_text(n->m, t));
        batch = batch ? ir_same_dim(n->m, batch, t->dims[0], "batch sizes") : t->dims[0];
        if (i < s.states) continue;
        int k = i - s.states;
        s.reverse[k] = direction(n, "directions", s.scanned, k);
        s.length = s.length ? ir_same_dim(n->m, s.length, t->dims[1], "lengths of scanned axes")
                            : t->dims[1];
    }
    FlowLoop l = {.scans = s.states + s.stacked, .length = batch, .body = batch_body, .user = &s};
    l.trips = int_scalar(n->g, batch);
    l.scan = ARENA_ARRAY(&n->cx->arena, Value *, (size_t)l.scans + 1);
    Value **results = ARENA_ARRAY(&n->cx->arena, Value *, (size_t)l.scans + 1);
    flow_loop(n, &l, results);
    for (int i = 0; i < n->output_count; i++) n->outputs[i] = results[i];
}
