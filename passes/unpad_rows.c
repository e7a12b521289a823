/* Operators that work row by row, as unpad needs them: how each reads its operands.
 *
 *     %y: f32[b, s, 8] = linear %x, %w, %bias, %r    rows of %x and %r where those of %y are,
 *                                                    all of %w and %bias for each of them
 *     %y: f32[b, s, 8] = add %x, %t                  of %t: f32[s, 8] the row at the same position
 *     %y: f32[b, 8, s] = softmax %x                  not by row: the rows' axis is summed over */
#include "passes/unpad.h"

static const Place nowhere = {0, 0};
static const Demand unfit = {.kind = UNFIT}, alike = {.kind = ALIKE};

bool unpad_lies_at(const Unpad *u, const Type *t, Place p) {
    int entry = p.entry - 1, row = p.row - 1;
    if (!is_somewhere(p) || entry < 0 || entry >= t->rank || row >= t->rank) return false;
    if (entry == row) return t->dims[row] == ex_mul(u->x, u->batch, u->length);
    return t->dims[entry] == u->batch && t->dims[row] == u->length;
}

/* An operand of the result's axes, of which the last is not the rows' if the operator is over it.
 */
static Demand of_rows(const Unpad *u, const Value *v, Place p, bool over_last) {
    bool last = over_last && is_row_axis(p, v->type.rank - 1);
    return unpad_lies_at(u, &v->type, p) && !last ? (Demand){ROWS, p} : unfit;
}

/* An operand that broadcasts to a result of `rank` axes. */
static Demand broadcast(const Unpad *u, const Value *v, Place p, int rank) {
    const Type *t = &v->type;
    int entry = p.entry - 1 + t->rank - rank, row = p.row - 1 + t->rank - rank;
    Place here = place_at(entry, row);
    if (entry >= 0 && row >= 0 && unpad_lies_at(u, t, here)) return (Demand){ROWS, here};
    bool has_entry = entry >= 0 && !ex_is(t->dims[entry], 1),
         has_row = row >= 0 && !ex_is(t->dims[row], 1);
    if (!has_entry && !has_row) return alike;
    if (p.entry == p.row || (has_entry && (has_row || row < 0))) return unfit;
    return (Demand){has_row ? BY_POSITION : BY_ENTRY, here};
}

/* The axis of x that axis `axis` of y is, of which y is a view: as long, and with as many elements
 * before it; -1: none. */
static int viewed_axis(ExprCx *ex, const Type *x, const Type *y, int axis, const Expr *length) {
    const Expr *before = ex_product(ex, y->dims, axis);
    for (int i = 0; i < x->rank; i++)
        if (x->dims[i] == length && ex_product(ex, x->dims, i) == before) return i;
    return -1;
}

static Demand of_view(const Unpad *u, const Type *x, const Type *y, Place p) {
    int entry = p.entry - 1, row = p.row - 1;
    int first = viewed_axis(u->x, x, y, entry, u->batch), second = first + 1;
    bool together = entry == row || row == entry + 1; /* b s elements in a row */
    if (entry != row) second = viewed_axis(u->x, x, y, row, u->length);
    Place from = first >= 0 && second >= 0 ? place_at(first, second) : nowhere;
    if (together && !unpad_lies_at(u, x, from)) {
        int all = viewed_axis(u->x, x, y, entry, ex_mul(u->x, u->batch, u->length));
        from = place_at(all, all);
    }
    return unpad_lies_at(u, x, from) ? (Demand){ROWS, from} : unfit;
}

static Demand of_transpose(const Unpad *u, const Node *n, Place p) {
    const IntList *perm = attr_ints(n, "perm");
    return of_rows(u, n->inputs[0], place_at((int)perm->v[p.entry - 1], (int)perm->v[p.row - 1]),
                   false);
}

/* A reduction of other axes than those of rows. */
static Demand of_reduction(const Unpad *u, const Node *n, Place p) {
    const IntList *axes = attr_ints(n, "axes");
    int entry = p.entry - 1, row = p.row - 1;
    for (int i = 0; i < axes->count && !attr_bool(n, "keep"); i++) { /* rising */
        entry += axes->v[i] <= entry;
        row += axes->v[i] <= row;
    }
    for (int i = 0; i < axes->count; i++)
        if (is_row_axis(place_at(entry, row), (int)axes->v[i])) return unfit;
    return of_rows(u, n->inputs[0], place_at(entry, row), false);
}

static bool pads_rows(const Node *n, Place p) {
    const DimList *before = attr_dims(n, "before"), *after = attr_dims(n, "after");
    for (int i = 0; i < before->count; i++)
        if (is_row_axis(p, i) && !(ex_is(before->e[i], 0) && ex_is(after->e[i], 0))) return true;
    return false;
}

static Demand demand_of_attention(const Unpad *u, const Node *n, int i, Place p) {
    if (n->input_count < 4 || n->inputs[3] != u->mask || !is_pair(p)) return unfit;
    if (i < 3) return of_rows(u, n->inputs[i], p, false);
    return i == 4 ? broadcast(u, n->inputs[4], p, 2) : alike;
}

Demand unpad_demand(const Unpad *u, const Node *n, int i, Place p) {
    const Value *v = n->inputs[i];
    int rank = n->outputs[0]->type.rank;
    if (!v) return alike;
    switch (n->op) {
    case OP_linear:
    case OP_add_norm:
    case OP_rotary: {
        bool residual = i == (n->op == OP_linear ? 3 : 1) || (n->op == OP_rotary && i == 2);
        if (residual) return broadcast(u, v, p, rank);
        return i == 0 ? of_rows(u, v, p, true) : alike;
    }
    case OP_qkv:
    case OP_layer_norm:
    case OP_rms_norm: return i == 0 ? of_rows(u, v, p, true) : alike;
    case OP_matmul: /* by a matrix for all rows */
        if (attr_bool(n, "ta") || n->inputs[1]->type.rank != 2) return unfit;
        return i == 0 ? of_rows(u, v, p, true) : alike;
    case OP_softmax:
    case OP_log_softmax: return attr_int(n, "axis") == -1 ? of_rows(u, v, p, true) : unfit;
    case OP_attention: return demand_of_attention(u, n, i, p);
    case OP_gather: /* a table at positions that the rows hold */
        if (attr_int(n, "axis") != 0) return unfit;
        return i == 1 ? of_rows(u, v, p, false) : alike;
    case OP_view: return of_view(u, &v->type, &n->outputs[0]->type, p);
    case OP_transpose: return of_transpose(u, n, p);
    case OP_slice:
    case OP_concat:
        return is_row_axis(p, (int)attr_int(n, "axis")) ? unfit : of_rows(u, v, p, false);
    case OP_pad:
        if (i == 1) return alike;
        return pads_rows(n, p) ? unfit : of_rows(u, v, p, false);
    case OP_reduce_sum:
    case OP_reduce_mean:
    case OP_reduce_max:
    case OP_reduce_min: return of_reduction(u, n, p);
    case OP_expand: return broadcast(u, v, p, rank);
    default: break;
    }
    return ir_op_info(n->op)->flags & OPF_ELEMENTWISE ? broadcast(u, v, p, rank) : unfit;
}

bool unpad_works_by_row(const Unpad *u, const Node *n, Place p) {
    if (!n->input_count || !unpad_lies_at(u, &n->outputs[0]->type, p)) return false;
    for (int i = 0; i < n->input_count; i++) {
        const Value *v = n->inputs[i];
        Demand d = unpad_demand(u, n, i, p);
        if (d.kind == UNFIT) return false;
        if (!v || !is_somewhere(u->reached[v->id])) continue;
        if (d.kind != ROWS || !same_place(d.place, u->reached[v->id])) return false;
    }
    return true;
}

Place unpad_result_place(const Unpad *u, const Node *n) {
    int rank = n->output_count ? n->outputs[0]->type.rank : 0;
    for (int entry = 0; entry < rank; entry++)
        for (int row = 0; row < rank; row++)
            if (unpad_works_by_row(u, n, place_at(entry, row))) return place_at(entry, row);
    return nowhere;
}
