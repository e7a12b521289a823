/* Placing of results; place.h says what is decided and why. */
#include "backend/place.h"

#include "backend/lower_ops.h"
#include "ir/symbols.h"

#define MAX_VIEWS 8 /* in a row between a value and its reader that are looked through */

static bool fits(Lower *lo, PlaceForm form, const View *v) {
    switch (form) {
    case PLACE_ROWS: return view_has_rows(v);
    case PLACE_DENSE: return view_is_dense(lo, v);
    default: return true;
    }
}

/* --- views forth and back --- */

static bool is_relabelling(const Value *v) {
    return v->node && (v->node->op == OP_view || v->node->op == OP_transpose);
}

/* The node's result, given its operand as a view. */
static bool forth(Lower *lo, const Node *n, const View *x, View *y) {
    const Type *t = &n->outputs[0]->type;
    if (n->op == OP_view) return view_reshape(lo, x, t->rank, t->dims, y);
    *y = view_permute(x, attr_ints(n, "perm"));
    return true;
}

/* The node's operand, given its result as a view. */
static bool back(Lower *lo, const Node *n, const View *y, View *x) {
    const Type *t = &n->inputs[0]->type;
    if (n->op == OP_view) return view_reshape(lo, y, t->rank, t->dims, x);
    const IntList *perm = attr_ints(n, "perm");
    IntList inverse = {.count = perm->count};
    for (int i = 0; i < perm->count; i++) inverse.v[perm->v[i]] = i;
    *x = view_permute(y, &inverse);
    return true;
}

/* The value that an instruction computes and that `v` shows all of; NULL if there is none. */
static const Value *computed_as(const Value *v) {
    while (is_relabelling(v) || (v->node && v->node->op == OP_measure)) v = v->node->inputs[0];
    return v->node && place_row(v->node->op)->writes != PLACE_VIEW ? v : NULL;
}

/* `of` shows all of `v`: v's view, given that of `of`. */
static bool back_to(Lower *lo, const Value *of, const Value *v, View *view) {
    while (of != v) {
        View x = *view;
        if (of->node->op != OP_measure && !back(lo, of->node, view, &x)) return false;
        *view = x;
        of = of->node->inputs[0];
    }
    return true;
}

/* The other way round; `of` is at most MAX_VIEWS away. */
static bool forth_from(Lower *lo, const Value *v, const Value *of, View *view) {
    const Node *way[MAX_VIEWS];
    int n = 0;
    for (; of != v; of = of->node->inputs[0]) {
        if (n == MAX_VIEWS || of->node->op == OP_measure) return false;
        way[n++] = of->node;
    }
    while (n-- > 0) {
        View y;
        if (!forth(lo, way[n], view, &y)) return false;
        *view = y;
    }
    return true;
}

/* --- values that are parts of others --- */

/* Whether `of` has another last axis than v because of a transpose. */
static bool turns_rows(const Value *of, const Value *v) {
    for (; of != v; of = of->node->inputs[0]) {
        int last = of->type.rank - 1;
        if (of->node->op == OP_transpose && attr_ints(of->node, "perm")->v[last] != last)
            return true;
    }
    return false;
}

/* `of`, which the graph returns or leaves in a state, is to be computed there. */
static void claim_whole(Lower *lo, const Value *of, const View *whole) {
    const Value *v = computed_as(of);
    if (!v || lo->parts[v->id].of) return;
    if (turns_rows(of, v) && v->use_count + v->output_uses > 1) return;
    lo->parts[v->id] = (Part){.of = of, .whole = arena_copy(&lo->cx->arena, whole, sizeof *whole)};
}

/* A returned value has the dense memory that the caller sees. */
static void claim_outputs(Lower *lo) {
    Graph *g = lo->g;
    uint32_t port = 0;
    lo->result_buffer = ARENA_ARRAY(&lo->cx->arena, uint32_t, (size_t)g->output_count + 1);
    for (int i = 0; i < g->output_count; i++) {
        lo->result_buffer[i] = TN_NO_ID;
        if (ir_state_of_output(g, i)) continue;
        const Value *of = g->outputs[i], *v = computed_as(of);
        const Expr *count = ir_elements(g->module, &of->type);
        uint32_t buffer = lower_buffer(lo, TN_BUFFER_OUTPUT, port++, count, of->type.dtype);
        lo->result_buffer[i] = buffer;
        /* a buffer's size must be known when it is first written */
        if (!v || (ex_mentions_measured(count) && ir_elements(g->module, &v->type) != count))
            continue;
        View whole = view_dense(lo, buffer, &of->type);
        claim_whole(lo, of, &whole);
    }
}

static bool is_measured(const Type *t) {
    for (int i = 0; i < t->rank; i++)
        if (ex_mentions_measured(t->dims[i])) return true;
    return false;
}

static void claim_states(Lower *lo) {
    for (int i = 0; i < lo->g->output_count; i++) {
        const Value *of = lo->g->outputs[i];
        const View *memory = ir_state_of_output(lo->g, i) ? lower_made(lo, of) : NULL;
        if (memory && !is_measured(&of->type)) claim_whole(lo, of, memory);
    }
}

/* Measured symbols of dims, as long as there is but one. */
typedef struct Measured {
    const ExprCx *x;
    int symbol, others; /* -1: none */
} Measured;

static void note_measured(void *user, int symbol) {
    Measured *m = user;
    if (!ex_symbol_at(m->x, symbol)->measured || symbol == m->symbol) return;
    if (m->symbol < 0)
        m->symbol = symbol;
    else
        m->others++;
}

static Measured measured_in(const Lower *lo, const Type *t) {
    Measured m = {.x = lo->x, .symbol = -1};
    for (int i = 0; i < t->rank; i++) ir_each_symbol(t->dims[i], note_measured, &m);
    return m;
}

/* A concat or pad whose operands can be written before it comes up: its size is known from the
 * beginning, or when the lengths are that the operands have, too; constants are written by it. */
static bool takes_parts(Lower *lo, const Node *n) {
    if (n->op == OP_pad && !lower_pad_has_borders(lo, n)) return false;
    if (n->op != OP_pad && n->op != OP_concat) return false;
    Measured all = measured_in(lo, &n->outputs[0]->type);
    for (int i = 0; i < n->input_count; i++) {
        const Value *v = n->inputs[i];
        if (!v || (v->constant && all.symbol >= 0)) continue;
        Measured own = measured_in(lo, &v->type);
        if (own.symbol != all.symbol || own.others) return false;
    }
    return !all.others;
}

static void claim_operands(Lower *lo, const Node *n) {
    int count = n->op == OP_pad ? 1 : n->input_count;
    const Expr *start = ex_int(lo->x, 0), *at = start;
    for (int i = 0; i < count; i++, start = at) {
        const Value *of = n->inputs[i], *v = computed_as(of);
        if (n->op == OP_concat) at = ex_add(lo->x, at, of->type.dims[attr_int(n, "axis")]);
        if (!v || lo->parts[v->id].of || ir_op_info(v->node->op)->flags & OPF_CONTROL) continue;
        lo->parts[v->id] = (Part){.of = of, .into = n, .operand = i, .start = start};
    }
}

void place_parts(Lower *lo) {
    claim_outputs(lo);
    claim_states(lo);
    IR_FOR_NODES(n, lo->g) if (takes_parts(lo, n)) claim_operands(lo, n);
}

View place_slice(Lower *lo, const Node *n, int i, const Expr *start, const View *result) {
    View v = *result;
    if (n->op == OP_concat) {
        int axis = (int)attr_int(n, "axis");
        return view_slice(lo, &v, axis, start, n->inputs[i]->type.dims[axis], 1);
    }
    PadCut cut;
    lower_pad_cut(lo, n, &v, &cut);
    return cut.inner;
}

/* --- the order of a result that is free --- */

/* Whether all readers take a view that is split. */
static bool read_split(const Value *v) {
    for (int i = 0; i < v->use_count; i++)
        if (!store_is_rowwise(v->uses[i].node)) return false;
    return !ir_is_output(v);
}

/* A memory order of v in which every reader finds what it takes; false: `laid` is as good. */
static bool wish(Lower *lo, const Value *v, const View *laid, int depth, View *wished) {
    for (int i = 0; i < v->use_count && depth < MAX_VIEWS; i++) {
        const Node *n = v->uses[i].node;
        View y, z;
        if (n->op == OP_view || n->op == OP_transpose) {
            if (!forth(lo, n, laid, &y)) {
                if (read_split(n->outputs[0])) continue;
                *wished = view_dense(lo, TN_NO_ID, &v->type);
                return true;
            }
            if (wish(lo, n->outputs[0], &y, depth + 1, &z) && back(lo, n, &z, wished)) return true;
        } else if (!fits(lo, place_row(n->op)->reads, laid)) {
            *wished = view_dense(lo, TN_NO_ID, &v->type);
            return true;
        }
    }
    return false;
}

/* Of elementwise operators, whether operand x is not broadcast. */
static bool is_whole(const Node *n, const Value *x, const Value *v) {
    if (x->type.rank != v->type.rank) return false;
    if (!(ir_op_info(n->op)->flags & OPF_ELEMENTWISE) && n->op != OP_map) return true;
    for (int i = 0; i < v->type.rank; i++)
        if (x->type.dims[i] != v->type.dims[i]) return false;
    return true;
}

/* The order of the first of the largest operands that lies in one. */
static IntList order_of_operand(Lower *lo, const Node *n, const Value *v) {
    IntList order;
    for (int i = 0; i < n->input_count; i++) {
        const Value *x = n->inputs[i];
        if (!x || x->constant || !is_whole(n, x, v)) continue;
        const View *view = &lo->view_of[x->id]; /* all zeros if not lowered yet */
        if (view_has_dims(view, &x->type) && view_order(lo, view, &order)) return order;
    }
    return view_row_major(v->type.rank);
}

/* Where v would lie by its row; `order` NULL: no other order is known. */
static View by_row(Lower *lo, const Value *v, const IntList *order) {
    const PlaceRow *row = place_row(v->node->op);
    IntList own = view_row_major(v->type.rank);
    if (order)
        own = *order;
    else if (row->order == PLACE_OPERAND)
        own = order_of_operand(lo, v->node, v);
    else if (row->order == PLACE_CHANNELS_LAST)
        own = view_channels_last(v->type.rank);
    View view = view_in_order(lo, TN_NO_ID, &v->type, &own), wished;
    if (!fits(lo, row->writes, &view)) view = view_dense(lo, TN_NO_ID, &v->type);
    if (wish(lo, v, &view, 0, &wished) && fits(lo, row->writes, &wished)) view = wished;
    return view;
}

View place_own(Lower *lo, const Value *v) {
    return by_row(lo, v, NULL);
}

static View place_in_order(Lower *lo, const Value *v, const IntList *order);

/* A pad that is shifted: its result lies as the shift wants it. */
static bool in_store(Lower *lo, const Node *n, View *view) {
    PadCut cut;
    return n->op == OP_pad && lower_pad_has_borders(lo, n) &&
           store_for_reader(lo, n->outputs[0], view) && view_has_dims(view, &n->outputs[0]->type) &&
           lower_pad_cut(lo, n, view, &cut);
}

static View joined_in_order(Lower *lo, const Node *n, const IntList *order) {
    const Value *result = n->outputs[0];
    if (!lo->placed[result->id]) {
        const View *state = lower_appended(lo, result);
        View view;
        if (state)
            view = *state;
        else if (!in_store(lo, n, &view))
            view = place_in_order(lo, result, order);
        const char *origin = lo->origin; /* of the part that is being lowered */
        lo->origin = lower_origin(lo->cx, n);
        lower_set(lo, result, view);
        if (n->op == OP_pad && lower_pad_has_borders(lo, n)) lower_pad_borders(lo, n, &view);
        lo->placed[result->id] = true;
        lo->origin = origin;
    }
    return lo->view_of[result->id];
}

View place_joined(Lower *lo, const Node *n) {
    return joined_in_order(lo, n, NULL);
}

/* What a result may lie as in its place. */
typedef enum PlaceSplit {
    WHOLE,         /* under its own dims */
    IN_ROWS,       /* leading axes may be others with the same elements in the same order */
    ROWS_OR_HEADS, /* so may the last one: two for one */
} PlaceSplit;

static bool has_rows(const View *view, const Type *t) {
    return view->rank && view_has_rows(view) && view->dims[view->rank - 1] == t->dims[t->rank - 1];
}

static bool has_heads(Lower *lo, const View *view, const Type *t) {
    int last = view->rank - 1;
    return last > 0 && view_has_rows(view) && !view_has_ring(view) &&
           ex_mul(lo->x, view->dims[last - 1], view->dims[last]) == t->dims[t->rank - 1];
}

/* The same as back_to where views may leave what they show split. */
static bool back_split(Lower *lo, const Value *of, const Value *v, View *view) {
    for (View x; of != v; *view = x, of = of->node->inputs[0]) {
        x = *view;
        if (of->node->op == OP_measure) return false;
        if (of->node->op != OP_view && !view_has_dims(view, &of->type)) return false;
        if (!back(lo, of->node, view, &x)) x = *view;
    }
    return true;
}

/* Whether all that read v find what they take if it lies as `view`, which is split. */
static bool read_as(Lower *lo, const Value *v, const View *view) {
    View y;
    bool rows = has_rows(view, &v->type);
    for (int i = 0; i < v->use_count; i++) {
        const Node *n = v->uses[i].node;
        if (!(rows && store_is_rowwise(n)) && !(n->op == OP_view && forth(lo, n, view, &y)))
            return false;
    }
    return !ir_is_output(v);
}

/* The first part of a concat that comes up decides its order. */
static bool in_part(Lower *lo, const Value *v, const View *laid, PlaceSplit split, View *view) {
    const Part *part = &lo->parts[v->id];
    if (!part->of) return false;
    if (part->into) {
        View of = *laid, all;
        IntList order;
        bool known = forth_from(lo, v, part->of, &of) && view_order(lo, &of, &order);
        all = joined_in_order(lo, part->into, known ? &order : NULL);
        *view = place_slice(lo, part->into, part->operand, part->start, &all);
    } else {
        *view = *part->whole;
    }
    View slice = *view;
    if (back_to(lo, part->of, v, view)) return fits(lo, place_row(v->node->op)->writes, view);
    *view = slice;
    return split && v->type.rank && back_split(lo, part->of, v, view) &&
           (has_rows(view, &v->type) ||
            (split == ROWS_OR_HEADS && has_heads(lo, view, &v->type))) &&
           read_as(lo, v, view);
}

bool place_rows(Lower *lo, const Value *v, View *view) {
    View laid = by_row(lo, v, NULL);
    return in_part(lo, v, &laid, IN_ROWS, view);
}

bool place_columns(Lower *lo, const Value *v, View *view) {
    View laid = by_row(lo, v, NULL);
    return in_part(lo, v, &laid, ROWS_OR_HEADS, view);
}

static View place_in_order(Lower *lo, const Value *v, const IntList *order) {
    View view = by_row(lo, v, order), place;
    if (in_part(lo, v, &view, WHOLE, &place)) return place;
    view.buffer =
        lower_buffer(lo, TN_BUFFER_ARENA, 0, ir_elements(lo->im->module, &v->type), v->type.dtype);
    return view;
}

View place_result(Lower *lo, const Value *v) {
    return place_in_order(lo, v, NULL);
}
