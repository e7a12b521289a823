/* Which rows unpad keeps, where each of them is and what becomes of it: nodes over the mask.
 *
 *     %m: bool[2, 4] = 1 1 1 0 / 0 1 0 0     with the first row of each entry read at the end
 *     keep                1 1 1 0 / 1 1 1 1   the second entry's mask does not allow its first
 *     %at: i64[rows]      0 1 2 4 5 6 7
 *     %place: i64[8]      0 1 2 3 3 4 5 6     the fourth is not kept
 *     %starts: i64[3]     0 3 7 */
#include "passes/unpad.h"

static const Expr *number(const Unpad *u, int64_t v) {
    return ex_int(u->x, v);
}

static Value *as_i64(Graph *g, Value *v) {
    return ir_cast(g, v, TN_I64);
}

static Value *flat(const Unpad *u, Value *v) {
    return ir_view(u->g, v, 1, (const Expr *[]){ex_mul(u->x, u->batch, u->length)});
}

static Value *cumsum(Graph *g, Value *v, int axis, bool exclusive, bool reverse) {
    Node *n = ir_node(g, OP_cumsum, 1, &v);
    ir_set_int(n, "axis", axis);
    ir_set_bool(n, "exclusive", exclusive);
    ir_set_bool(n, "reverse", reverse);
    return ir_insert(n);
}

static Value *is_positive(Graph *g, Value *v) {
    return ir_binary(g, OP_lt, ir_scalar_int(g, TN_I64, 0), v);
}

/* [b, 1]: whether all rows that are read are allowed, or some row at least. */
static Value *allows_reads(const Unpad *u, Value *mask) {
    Graph *g = u->g;
    int64_t axis = 1;
    Value *all = NULL;
    for (int i = 0; i < u->cut_count; i++) {
        Value *part = ir_slice(g, mask, 1, u->cuts[i].start, u->cuts[i].length, 1);
        part = ir_reduce(g, OP_reduce_min, part, 1, &axis, true);
        all = all ? ir_binary(g, OP_min, all, part) : part;
    }
    return is_positive(g, all ? all : ir_reduce(g, OP_reduce_max, mask, 1, &axis, true));
}

Value *unpad_by_length(const Unpad *u, Value *rows, OpKind op) {
    const Expr *length = ex_max(u->x, u->length, number(u, 1)); /* without any there is no row */
    return ir_binary(u->g, op, rows, ir_scalars(u->g, TN_I64, 1, &length));
}

/* [b, 1]: whether some of these rows is one of the entry's that the mask does not allow. */
static Value *picks_padding(const Unpad *u, Value *rows) {
    Graph *g = u->g;
    int64_t axis = 1;
    const Expr *one = number(u, 1), *count = ex_product(u->x, rows->type.dims, rows->type.rank);
    rows = ir_view(g, rows, 1, &count);
    Value *padding = ir_unary(g, OP_not, ir_gather(g, flat(u, u->mask), rows, 0)),
          *entry = ir_view(g, unpad_by_length(u, rows, OP_div), 2, (const Expr *[]){one, count}),
          *own = ir_iota(g, TN_I64, u->batch, number(u, 0), one);
    own = ir_view(g, own, 2, (const Expr *[]){u->batch, one});
    own = ir_binary(g, OP_and, ir_binary(g, OP_eq, own, entry),
                    ir_view(g, padding, 2, (const Expr *[]){one, count}));
    return is_positive(g, ir_reduce(g, OP_reduce_sum, as_i64(g, own), 1, &axis, true));
}

/* [b, s] */
static Value *kept_rows(const Unpad *u, const Kept *k) {
    Graph *g = u->g;
    Value *mask = as_i64(g, u->mask), *keep = u->mask;
    Value *whole = ir_unary(g, OP_not, allows_reads(u, mask));
    for (int i = 0; i < u->pick_count; i++)
        whole = ir_binary(g, OP_or, whole, picks_padding(u, k->picked[i]));
    if (u->by_position) keep = is_positive(g, cumsum(g, mask, 1, false, true));
    return ir_binary(g, OP_or, keep, whole);
}

static const Expr *new_symbol(const Unpad *u) {
    const char *name = "rows";
    for (int i = 1; ex_find_symbol(u->x, name); i++)
        name = arena_printf(&u->g->module->cx->arena, "rows.%d", i);
    return ex_measured(u->x, name, 0, INT64_MAX);
}

static Value *nonzero(Graph *g, Value *keep, const Expr *count) {
    Node *n = ir_node(g, OP_nonzero, 1, &keep);
    ir_set_dim(n, "count", count);
    return ir_view(g, ir_insert(n), 1, &count);
}

static Value *behind_zero(Graph *g, Value *v) {
    const Expr *one = ex_int(g->module->ex, 1), *none = ex_int(g->module->ex, 0);
    Node *n = ir_node(g, OP_pad, 1, &v);
    ir_set_dims(n, "before", 1, &one);
    ir_set_dims(n, "after", 1, &none);
    return ir_insert(n);
}

/* Every entry has some kept row. */
static Value *places_nearby(const Unpad *u, const Kept *k) {
    Graph *g = u->g;
    const Expr *one = number(u, 1), *before = number(u, -1);
    Value *ends = ir_slice(g, k->starts, 0, one, u->batch, 1),
          *place = ir_view(g, k->place, 2, (const Expr *[]){u->batch, u->length});
    ends = ir_binary(g, OP_add, ends, ir_scalars(g, TN_I64, 1, &before));
    return ir_binary(g, OP_min, place, ir_view(g, ends, 2, (const Expr *[]){u->batch, one}));
}

void unpad_find_rows(const Unpad *u, Kept *k) {
    Graph *g = u->g;
    int64_t first = 0, second = 1;
    for (int i = 0; i < u->pick_count; i++) k->picked[i] = unpad_numbers(u, u->picks[i]);
    Value *keep = kept_rows(u, k), *ones = as_i64(g, keep);
    Value *lengths = ir_reduce(g, OP_reduce_sum, ones, 1, &second, false);
    k->rows = new_symbol(u);
    ex_require_le(u->x, k->rows, ex_mul(u->x, u->batch, u->length), "attention");
    k->place = cumsum(g, flat(u, ones), 0, true, false);
    k->starts = behind_zero(g, cumsum(g, lengths, 0, false, false));
    if (u->spreads) k->nearby = places_nearby(u, k);
    ir_measure(g, ir_reduce(g, OP_reduce_sum, lengths, 1, &first, false), 1, &k->rows);
    k->at = nonzero(g, flat(u, keep), k->rows);
    ir_add_source(k->at, IR_KEPT_ROWS, "attention");
    k->mask = ir_view(g, ir_gather(g, flat(u, u->mask), k->at, 0), 2,
                      (const Expr *[]){number(u, 1), k->rows});
}
