/* narrow: rows that nobody reads are not computed.
 *
 *     %1: f32[b, s, 8] = linear %x, %w           %1: f32[b, 1, 4] = slice %x {axis=1, length=1}
 *     %2: f32[b, s, 8] = add %1, %r         =>   %2: f32[b, 1, 8] = linear %1, %w
 *     %y: f32[b, 1, 8] = slice %2 {axis=1}       %3: f32[b, 1, 8] = slice %r {axis=1, length=1}
 *                                                %y: f32[b, 1, 8] = add %2, %3
 *
 * A model that reads one token of its last layer, a classifier, needs that layer's queries, output
 * projection and feed-forward network for that token only. So a slice that takes a small part of a
 * value that nothing else reads goes up through what computes row by row, as long as there is a
 * product to be spared, and through attention along its queries. */
#include "ir/build.h"
#include "passes/pass.h"

#define MAX_DEPTH 8
#define MAX_ROWS  8

typedef struct Cut {
    const Expr *start, *length;
    int64_t step;
} Cut;

static bool by_row(const Node *n) {
    switch (n->op) {
    case OP_linear:
    case OP_layer_norm:
    case OP_rms_norm:
    case OP_rotary: return true;
    case OP_softmax:
    case OP_log_softmax: return attr_int(n, "axis") == -1;
    default: return ir_op_info(n->op)->flags & OPF_ELEMENTWISE;
    }
}

/* The axis of the operand that an axis of the result is, or -1. */
static int moved_axis(const Node *n, int axis) {
    const Type *x = &n->inputs[0]->type, *y = &n->outputs[0]->type;
    if (n->op == OP_transpose) return (int)attr_ints(n, "perm")->v[axis];
    if (n->op != OP_view || axis >= x->rank) return -1;
    for (int i = 0; i <= axis; i++)
        if (x->dims[i] != y->dims[i]) return -1;
    return axis;
}

static bool is_same_cut(const Node *n, int axis, const Cut *c) {
    return n->op == OP_slice && attr_int(n, "axis") == axis && attr_dim(n, "start") == c->start &&
           attr_dim(n, "length") == c->length && attr_int(n, "step") == c->step;
}

/* Nothing but the reader, which is about to go, reads more of v than the part. */
static bool read_in_part(const Value *v, int axis, const Cut *c, const Node *reader) {
    for (int i = 0; i < v->use_count; i++)
        if (v->uses[i].node != reader && !is_same_cut(v->uses[i].node, axis, c)) return false;
    return !ir_is_output(v);
}

/* Whether a slice along the axis can go above what computes v. */
static bool passes(const Value *v, int axis, const Cut *c, const Node *reader) {
    const Node *n = v->node;
    if (!n || !read_in_part(v, axis, c, reader)) return false;
    if (n->op == OP_view || n->op == OP_transpose) return moved_axis(n, axis) >= 0;
    if (n->op == OP_attention) return axis == 1 && c->step == 1;
    if (!by_row(n)) return false;
    return ir_op_info(n->op)->flags & OPF_ELEMENTWISE || axis < v->type.rank - 1;
}

/* The axis of operand i that the axis of the result runs along; -1: it is the same for all of it.
 */
static int operand_axis(const Node *n, int i, int axis) {
    const Type *x = &n->inputs[i]->type;
    int a = axis - (n->outputs[0]->type.rank - x->rank);
    switch (n->op) {
    case OP_view:
    case OP_transpose: return moved_axis(n, axis);
    case OP_attention: /* queries, their mask, biases */
        a = i == 0 || i == 4 ? 1 : i >= 5 ? 2 : -1;
        break;
    case OP_linear:
        if (i == 1 || i == 2) return -1;
        break;
    case OP_layer_norm:
    case OP_rms_norm:
        if (i > 0) return -1;
        break;
    default: break;
    }
    return a < 0 || ex_is(x->dims[a], 1) ? -1 : a;
}

/* A product is on the way that the slice can go above. */
static bool spares_work(const Value *v, int axis, const Cut *c, const Node *reader, int depth) {
    const Node *n = v->node;
    if (depth == 0 || !passes(v, axis, c, reader)) return false;
    if (n->op == OP_linear || n->op == OP_attention) return true;
    for (int i = 0; i < n->input_count; i++) {
        int a = n->inputs[i] ? operand_axis(n, i, axis) : -1;
        if (a >= 0 && spares_work(n->inputs[i], a, c, n, depth - 1)) return true;
    }
    return false;
}

/* The part of v, behind what computes v; one for all that want it. */
static Value *cut_value(Graph *g, Value *v, int axis, const Cut *c) {
    Node *cursor = g->cursor;
    g->cursor = v->node ? v->node->next : g->first;
    Value *part = NULL;
    for (int i = 0; i < v->use_count && !part; i++) {
        Node *n = v->uses[i].node;
        if (!is_same_cut(n, axis, c)) continue;
        if (n != g->cursor) ir_move_before(n, g->cursor);
        part = n->outputs[0];
    }
    if (!part) part = ir_slice(g, v, axis, c->start, c->length, c->step);
    g->cursor = cursor;
    return part;
}

/* Queries keep their places among the keys. */
static void shift_queries(Node *n, const Cut *c) {
    bool placed = attr_bool(n, "causal") || attr_int(n, "left") >= 0 || attr_int(n, "right") >= 0;
    if (placed)
        ir_set_dim(n, "offset", ex_add(n->graph->module->ex, attr_dim(n, "offset"), c->start));
}

static void narrow(Node *slice, int axis, const Cut *c) {
    Graph *g = slice->graph;
    Node *n = slice->inputs[0]->node;
    Value **in = ARENA_ARRAY(&g->module->cx->arena, Value *, (size_t)n->input_count + 1);
    for (int i = 0; i < n->input_count; i++) {
        int a = n->inputs[i] ? operand_axis(n, i, axis) : -1;
        in[i] = a >= 0 ? cut_value(g, n->inputs[i], a, c) : n->inputs[i];
    }
    ir_edit_begin(g, n, &n, 1);
    Node *part = ir_node(g, n->op, n->input_count, in);
    ir_copy_attrs(part, n);
    if (n->op == OP_view)
        ir_set_dims(part, "dims", slice->outputs[0]->type.rank, slice->outputs[0]->type.dims);
    if (n->op == OP_attention) shift_queries(part, c);
    ir_insert(part);
    ir_edit_end(g);
    ir_replace(slice->outputs[0], part->outputs[0]);
    ir_remove(slice);
    ir_remove(n);
}

/* Few rows, whatever the number of all: the same for a length that is a number and one that is a
 * symbol. */
static bool is_small(const Node *slice, const Cut *c) {
    int64_t dim, length;
    bool known = ex_const(slice->inputs[0]->type.dims[attr_int(slice, "axis")], &dim);
    return ex_const(c->length, &length) && length <= MAX_ROWS && !(known && length >= dim);
}

/* From the last node to the first: what a slice goes above is before it, and so are the slices that
 * it becomes. */
bool pass_narrow(Graph *g, Report *r) {
    bool changed = false;
    for (Node *n = g->last, *prev; n; n = prev) {
        prev = n->prev;
        if (n->op != OP_slice) continue;
        int axis = (int)attr_int(n, "axis");
        Cut c = {attr_dim(n, "start"), attr_dim(n, "length"), attr_int(n, "step")};
        Value *v = n->inputs[0];
        if (!ir_single_use(v) || !is_small(n, &c) || !spares_work(v, axis, &c, n, MAX_DEPTH))
            continue;
        bool product = v->node->op == OP_linear || v->node->op == OP_attention;
        narrow(n, axis, &c);
        if (product) report_fired(r, "narrow");
        changed = true;
        prev = g->last;
    }
    return changed;
}
