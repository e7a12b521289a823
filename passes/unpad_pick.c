/* Rows of what attention gives that are picked at positions which only the data knows.
 *
 *     %y: f32[b, s, 8] = add_norm ..               %n: i64[b, s] = 0, 1, 2 .. b s - 1
 *     %p: i64[b, 2] = each entry's last token      %w: i64[b] = gather_nd %n, %p
 *     %c: f32[b, 8] = gather_nd %y, %p      =>     ..
 *                                                  %r: i64[b] = gather %place, %w
 *                                                  %c: f32[b, 8] = gather %y, %r
 *
 * Which rows an operator picks says the operator itself, of the numbers of all rows. They must be
 * known before any row is computed, because all rows are kept of an entry of which a row of padding
 * is picked; so the positions, which may not hang on computed rows, are found first. */
#include "ir/build.h"
#include "passes/unpad.h"

/* How many axes at the front of v have the rows: 2, or 1 that has all b s of them, or 0. */
static int front_axes(const Unpad *u, const Value *v) {
    Place p = u->reached[v->id];
    return is_pair(p) ? 2 : same_place(p, place_at(0, 0)) ? 1 : 0;
}

/* The elements of a row are all taken from one row: positions [b, n, 1] were expanded to them. */
static bool picks_whole_rows(const Node *n) {
    const Value *index = n->inputs[1];
    const Node *from = index->node;
    const Type *row = &n->inputs[0]->type;
    if (row->rank != 3 || index->type.dims[2] != row->dims[2] || !from || from->op != OP_expand)
        return false;
    const Type *t = &from->inputs[0]->type;
    return !t->rank || ex_is(t->dims[t->rank - 1], 1);
}

static bool picks(const Unpad *u, const Node *n) {
    int axes = front_axes(u, n->inputs[0]);
    int64_t width;
    if (!axes) return false;
    switch (n->op) {
    case OP_gather: return attr_int(n, "axis") == axes - 1;
    case OP_gather_elements: return axes == 2 && attr_int(n, "axis") == 1 && picks_whole_rows(n);
    case OP_gather_nd: {
        const Type *t = &n->inputs[1]->type;
        return ex_const(t->dims[t->rank - 1], &width) && attr_int(n, "batch") + width == axes;
    }
    default: return false;
    }
}

static void mark_operands(const Node *n, bool *needed) {
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i]) needed[n->inputs[i]->id] = true;
}

static bool is_needed(const Node *n, const bool *needed) {
    for (int i = 0; i < n->output_count; i++)
        if (needed[n->outputs[i]->id]) return true;
    return false;
}

/* Marks all values that v is made of, v too. False if rows or what is measured are among them. */
static bool mark_sources(const Unpad *u, const Value *v, bool *needed) {
    needed[v->id] = true;
    for (const Node *n = v->node; n; n = n->prev) {
        if (!is_needed(n, needed)) continue;
        if (ir_never_dead(n)) return false;
        for (int i = 0; i < n->output_count; i++) {
            const Type *t = &n->outputs[i]->type;
            if (is_somewhere(u->reached[n->outputs[i]->id])) return false;
            for (int a = 0; a < t->rank; a++)
                if (ex_mentions_measured(t->dims[a])) return false;
        }
        mark_operands(n, needed);
    }
    return true;
}

static bool *new_marks(const Unpad *u) {
    return ARENA_ARRAY(&u->g->module->cx->arena, bool, u->g->module->value_count);
}

bool unpad_is_pick(const Unpad *u, const Node *n, int i) {
    bool gathers = n->op == OP_gather || n->op == OP_gather_nd || n->op == OP_gather_elements;
    return gathers && i == 0 && picks(u, n) && mark_sources(u, n->inputs[1], new_marks(u));
}

/* Where it is measured by which nodes, it stays behind them. */
Node *unpad_sources_first(const Unpad *u, const Value *v, Node *front) {
    bool *needed = new_marks(u), free = mark_sources(u, v, needed);
    if (!v->node) return front;
    const Node *end = v->node->next;
    if (!free) return v->node->next;
    for (Node *n = front, *next; n && n != end; n = next) {
        next = n->next;
        if (!is_needed(n, needed)) continue;
        if (n == front)
            front = next;
        else
            ir_move_before(n, front);
    }
    return front;
}

Value *unpad_numbers(const Unpad *u, const Node *pick) {
    Graph *g = u->g;
    const Expr *zero = ex_int(u->x, 0), *one = ex_int(u->x, 1);
    const Expr *dims[3] = {u->batch, u->length, one};
    bool elements = pick->op == OP_gather_elements;
    Value *all = ir_iota(g, TN_I64, ex_mul(u->x, u->batch, u->length), zero, one),
          *index = elements ? ir_slice(g, pick->inputs[1], 2, zero, one, 1) : pick->inputs[1];
    if (front_axes(u, pick->inputs[0]) == 2) all = ir_view(g, all, elements ? 3 : 2, dims);
    Node *n = ir_node(g, pick->op, 2, (Value *[]){all, index});
    ir_copy_attrs(n, pick);
    Value *numbers = ir_insert(n);
    return elements ? ir_squeeze(g, numbers, 2) : numbers;
}
