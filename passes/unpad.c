/* unpad: rows of padding are not computed.
 *
 *     %m: bool[b, s] = cast %attention_mask           %n: i64[] = measure .. {symbols=[rows]}
 *     %x: f32[b, s, 8] = gather %words, %ids          %at: i64[rows] = rows where %m
 *     %q, %k, %v: .. = qkv %x ..                  =>  %i: i64[1, rows] = gather %ids, %at
 *     %o: f32[b, s, 2, 4] = attention .. %m           %x: f32[1, rows, 8] = gather %words, %i
 *     %y: f32[b, s, 8] = linear %o ..                 ..
 *     %c: f32[b, 1, 8] = slice %y {axis=1, ..}        %o: f32[1, rows, 2, 4] = attention .. %starts
 *                                                     %y: f32[1, rows, 8] = linear %o ..
 *                                                     %c: f32[b, 1, 8] = gather %y, %firsts
 *
 * A batch of sequences of unequal length is padded to the longest, and a mask says which keys are
 * none. What unpad_find.c finds to be of no need for the other rows is computed for those that the
 * mask allows: they lie behind one another as one batch entry of `rows` rows, a measured symbol,
 * and every operator works on them as it is. Attention is told where each sequence starts.
 *
 * Kept are the rows that the mask allows; up to the last of them if attention minds distances
 * (causal, windows, biases); and all rows of a sequence whose mask does not allow the rows that
 * are read at its end (at given positions or, unpad_pick.c, at such as the data decides), or none
 * at all: its queries see the mean of everything. */
#include <string.h>
#include "ir/build.h"
#include "passes/pass.h"
#include "passes/unpad.h"

static const Expr *number(const Unpad *u, int64_t v) {
    return ex_int(u->x, v);
}

/* --- into kept rows --- */

/* Rows of v, whose first axes have `count` of them, at these places: [.., rest] for [axes.., rest].
 */
static Value *rows_at(const Unpad *u, Value *v, int axes, const Expr *count, Value *at) {
    const Expr *dims[TN_MAX_RANK] = {count};
    int rank = v->type.rank - axes + 1;
    for (int i = 1; i < rank; i++) dims[i] = v->type.dims[i + axes - 1];
    return ir_gather(u->g, ir_view(u->g, v, rank, dims), at, 0);
}

/* Axes `entry` and `row` (they may be the same) to the front, or from there back. */
static Value *moved(Graph *g, Value *v, Place p, bool back) {
    int perm[TN_MAX_RANK], inverse[TN_MAX_RANK], count = 0;
    perm[count++] = p.entry - 1;
    if (p.row != p.entry) perm[count++] = p.row - 1;
    for (int i = 0; i < v->type.rank; i++)
        if (!is_row_axis(p, i)) perm[count++] = i;
    for (int i = 0; i < count; i++) inverse[perm[i]] = i;
    return ir_transpose(g, v, back ? inverse : perm);
}

/* Kept rows of v, which has all of them. */
static Value *kept_of(const Unpad *u, const Kept *k, Value *v, Place p) {
    bool flat = p.entry == p.row;
    Value *y = rows_at(u, moved(u->g, v, p, false), flat ? 1 : 2, ex_mul(u->x, u->batch, u->length),
                       k->at);
    return moved(u->g, flat ? y : ir_unsqueeze(u->g, y, 0), p, true);
}

static Value *give(const Unpad *u, const Kept *k, Value *v, Demand d) {
    int entry = d.place.entry - 1, row = d.place.row - 1, perm[TN_MAX_RANK];
    switch (d.kind) {
    case ROWS: return kept_of(u, k, v, d.place);
    case BY_POSITION: return ir_gather(u->g, v, unpad_by_length(u, k->at, OP_mod), row);
    case BY_ENTRY: /* the other axis has a length of 1, as that of entries is to have then */
        for (int i = 0; i < v->type.rank; i++) perm[i] = i == entry ? row : i == row ? entry : i;
        return ir_transpose(u->g, ir_gather(u->g, v, unpad_by_length(u, k->at, OP_div), entry),
                            perm);
    case ALIKE:
    case UNFIT: break;
    }
    return v;
}

/* Operand i of n, whose results have place p, for kept rows. */
static Value *packed_operand(const Unpad *u, const Kept *k, const Node *n, int i, Place p) {
    Value *v = n->inputs[i];
    if (!v) return NULL;
    if (n->op == OP_attention && i == 3) return k->mask;
    Demand d = unpad_demand(u, n, i, p);
    if (d.kind == ROWS && k->packed[v->id]) return k->packed[v->id];
    return give(u, k, v, d); /* canon sees to it that this is done once */
}

/* The dims of a result at place p, of kept rows. */
static void set_dims(const Unpad *u, const Kept *k, Node *n, const DimList *from, Place p) {
    const Expr *dims[TN_MAX_RANK];
    for (int i = 0; i < from->count; i++) dims[i] = from->e[i];
    dims[p.entry - 1] = number(u, 1);
    dims[p.row - 1] = k->rows;
    ir_set_dims(n, "dims", from->count, dims);
}

static void pack_node(const Unpad *u, Kept *k, Node *n, Place p) {
    Graph *g = u->g;
    bool attention = n->op == OP_attention;
    int count = attention ? 8 : n->input_count;
    Value **in = ARENA_ARRAY(&g->module->cx->arena, Value *, (size_t)count + 1);
    ir_origins_from(g, &n, 1);
    for (int i = 0; i < n->input_count; i++) in[i] = packed_operand(u, k, n, i, p);
    if (attention) in[7] = k->starts;
    Node *packed = ir_node(g, n->op, count, in);
    ir_copy_attrs(packed, n);
    if (n->op == OP_view || n->op == OP_expand) set_dims(u, k, packed, attr_dims(n, "dims"), p);
    if (attention) {
        ir_set_dim(packed, "longest", u->length);
        ir_set_bool(packed, "packed", true);
    }
    ir_insert(packed);
    ir_origins_from(g, NULL, 0);
    for (int i = 0; i < n->output_count; i++) {
        k->packed[n->outputs[i]->id] = packed->outputs[i];
        ir_take_sources(packed->outputs[i], n->outputs[i]);
    }
}

/* --- out of them --- */

/* What is new reads no old value of rows. */
static bool is_packed(const Unpad *u, const Node *n) {
    return n->output_count && is_somewhere(u->place[n->outputs[0]->id]);
}

static void leave_by_cut(const Unpad *u, const Kept *k, Node *slice) {
    Graph *g = u->g;
    g->cursor = slice;
    ir_origins_from(g, &slice, 1);
    Value *v = k->packed[slice->inputs[0]->id];
    Value *place = ir_view(g, k->place, 2, (const Expr *[]){u->batch, u->length});
    place = ir_slice(g, place, 1, attr_dim(slice, "start"), attr_dim(slice, "length"), 1);
    Value *y = rows_at(u, v, 2, k->rows, place);
    ir_origins_from(g, NULL, 0);
    ir_replace(slice->outputs[0], y);
    ir_remove(slice);
}

static void leave_by_pick(const Unpad *u, const Kept *k, Node *pick) {
    Graph *g = u->g;
    const Value *v = pick->inputs[0];
    int which = 0;
    while (u->picks[which] != pick) which++;
    g->cursor = pick;
    ir_origins_from(g, &pick, 1);
    Value *place = ir_gather(g, k->place, k->picked[which], 0);
    Value *y = rows_at(u, k->packed[v->id], is_pair(u->place[v->id]) ? 2 : 1, k->rows, place);
    ir_origins_from(g, NULL, 0);
    ir_replace(pick->outputs[0], y);
    ir_remove(pick);
}

/* All rows of v, something of the same entry where they are not kept. */
static Value *spread(const Unpad *u, const Kept *k, Value *v, Place p) {
    Value *y = moved(u->g, k->packed[v->id], p, false);
    return moved(u->g, rows_at(u, y, 2, k->rows, k->nearby), p, true);
}

static void leave_spread(const Unpad *u, const Kept *k, Node *n) {
    u->g->cursor = n;
    for (int i = 0; i < n->input_count; i++) {
        Value *v = n->inputs[i];
        Place p = v ? unpad_spread_place(u, n, i) : (Place){0, 0};
        if (is_somewhere(p) && k->packed[v->id]) ir_set_operand(n, i, spread(u, k, v, p));
    }
}

static Value *packed_key(const Unpad *u, const Kept *k, Node *n, int i) {
    Value *v = n->inputs[i];
    return k->packed[v->id] ? k->packed[v->id] : kept_of(u, k, v, place_at(0, 1));
}

/* Keys of other queries. */
static void leave_as_keys(const Unpad *u, const Kept *k, Node *n) {
    Graph *g = u->g;
    Value *in[8] = {NULL};
    g->cursor = n;
    for (int i = 0; i < n->input_count; i++) in[i] = n->inputs[i];
    for (int i = 1; i < 3; i++) in[i] = packed_key(u, k, n, i);
    in[3] = k->mask;
    in[7] = k->starts;
    ir_origins_from(g, &n, 1);
    Node *other = ir_node(g, OP_attention, 8, in);
    ir_copy_attrs(other, n);
    ir_set_dim(other, "longest", u->length);
    ir_insert(other);
    ir_origins_from(g, NULL, 0);
    ir_replace(n->outputs[0], other->outputs[0]);
    ir_remove(n);
}

/* All rows of v, `number` in those of padding: the last row of a table that has one more. */
static Value *padded(const Unpad *u, const Kept *k, const Value *v, double filling) {
    Graph *g = u->g;
    Value *packed = k->packed[v->id];
    const Expr *dims[TN_MAX_RANK] = {k->rows};
    int rank = v->type.rank - 1;
    for (int i = 1; i < rank; i++) dims[i] = v->type.dims[i + 1];
    Value *table[2] = {ir_view(g, packed, rank, dims), NULL};
    dims[0] = number(u, 1);
    table[1] = ir_splat(g, v->type.dtype, rank, dims, filling);
    Value *last = ir_scalars(g, TN_I64, 1, &k->rows),
          *place = ir_view(g, k->place, 2, (const Expr *[]){u->batch, u->length});
    return ir_gather(g, ir_concat(g, 2, table, 0), ir_where(g, u->mask, place, last), 0);
}

static void leave_whole(const Unpad *u, const Kept *k, Value *v) {
    Graph *g = u->g;
    double filling = 0;
    Value *all = NULL;
    unpad_known(u, v, &filling);
    g->cursor = v->node->next;
    for (int i = v->use_count - 1; i >= 0; i--) {
        Use use = v->uses[i];
        if (is_packed(u, use.node)) continue;
        if (!all) all = padded(u, k, v, filling);
        ir_set_operand(use.node, use.index, all);
    }
    for (int i = 0; i < g->output_count; i++) {
        if (g->outputs[i] != v) continue;
        if (!all) all = padded(u, k, v, filling);
        ir_set_output(g, i, all);
    }
}

static void leave(const Unpad *u, const Kept *k, Node *n) {
    if (is_somewhere(u->spread[n->id])) {
        leave_spread(u, k, n);
        return;
    }
    for (int i = 0; i < n->input_count; i++) {
        const Value *v = n->inputs[i];
        if (!v || v->id >= u->values || !is_somewhere(u->reached[v->id])) continue;
        Exit e = unpad_exit(u, n, i);
        if (e == EXIT_KNOWN) continue;
        if (e == EXIT_CUT)
            leave_by_cut(u, k, n);
        else if (e == EXIT_PICK)
            leave_by_pick(u, k, n);
        else
            leave_as_keys(u, k, n);
        return;
    }
}

/* --- the pass --- */

static void unpad(const Unpad *u) {
    Graph *g = u->g;
    Node *front = unpad_sources_first(u, u->mask, g->first), *last = g->last;
    for (int i = 0; i < u->pick_count; i++)
        front = unpad_sources_first(u, u->picks[i]->inputs[1], front);
    Kept k = {.packed = ARENA_ARRAY(&g->module->cx->arena, Value *, u->values)};
    bool behind = false; /* kept rows are known only from the front on */
    g->cursor = front;
    unpad_find_rows(u, &k);
    for (Node *n = g->first, *next; n; n = next) {
        next = n == last ? NULL : n->next;
        behind = behind || n == front;
        g->cursor = behind ? n : front;
        if (n->id < u->nodes && is_packed(u, n)) pack_node(u, &k, n, u->place[n->outputs[0]->id]);
    }
    for (Node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (n->id < u->nodes && !is_packed(u, n)) leave(u, &k, n);
    }
    IR_FOR_NODES(n, g)
    for (int i = 0; n->id < u->nodes && i < n->output_count; i++)
        if (is_somewhere(u->place[n->outputs[i]->id])) leave_whole(u, &k, n->outputs[i]);
    g->cursor = NULL;
}

/* The mask of an attention that may be over rows of padding. */
static bool take_mask(Unpad *u, const Node *n) {
    if (n->op != OP_attention || n->input_count < 4 || n->input_count > 7 || !n->inputs[3])
        return false;
    const Type *keys = &n->inputs[1]->type, *mask = &n->inputs[3]->type;
    u->mask = n->inputs[3];
    u->batch = keys->dims[0];
    u->length = keys->dims[1];
    return !u->mask->constant && mask->dims[0] == u->batch && mask->dims[1] == u->length;
}

typedef struct Tried {
    const Value *mask;
    struct Tried *next;
} Tried;

static bool is_tried(const Tried *t, const Value *mask) {
    while (t && t->mask != mask) t = t->next;
    return t;
}

/* For one mask that has not been tried. */
static bool unpad_once(Graph *g, Tried **tried, Report *r) {
    IR_FOR_NODES(n, g) {
        Unpad u = {.g = g, .x = g->module->ex};
        if (!take_mask(&u, n) || is_tried(*tried, u.mask)) continue;
        Tried *t = ARENA_NEW(&g->module->cx->arena, Tried);
        *t = (Tried){u.mask, *tried};
        *tried = t;
        if (!unpad_find(&u, r)) continue;
        unpad(&u);
        report_fired(r, "unpad");
        return true;
    }
    return false;
}

bool pass_unpad(Graph *g, Report *r) {
    bool changed = false;
    Tried *tried = NULL;
    if (g->internal) return false;
    while (unpad_once(g, &tried, r)) {
        pass_canon(g, r); /* so that nothing reads what is left of the old rows */
        changed = true;
    }
    return changed;
}
