/* Lowering of operators that slide a window over spatial axes. */
#include "backend/lower_ops.h"

#include <string.h>

/* The shape rule has seen to the range. */
static void copy_list(const IntList *from, uint32_t *to) {
    for (int i = 0; i < from->count; i++) to[i] = (uint32_t)from->v[i];
}

/* Two lists of expressions as the instruction's scalars. */
static void set_scalars(Lower *lo, LInstr *instr, const DimList *a, const DimList *b) {
    int count = a->count + b->count;
    const Expr **e = ARENA_ARRAY(&lo->cx->arena, const Expr *, (size_t)count);
    memcpy(e, a->e, (size_t)a->count * sizeof *e);
    memcpy(e + a->count, b->e, (size_t)b->count * sizeof *e);
    instr->scalars = e;
    instr->scalar_count = count;
}

/* Under dims with the channels behind the windows and an axis of 1 in their place; false: rows of
 * the last axis are as good. */
static bool channels_behind(Lower *lo, const View *v, View *out) {
    IntList order, last = view_channels_last(v->rank);
    const Expr *dims[TN_MAX_RANK];
    int rank = v->rank + 1;
    if (v->rank < 3 || v->rank > 4 || !view_order(lo, v, &order)) return false;
    if (order.v[v->rank - 1] != 1 || !ex_is(v->strides[1], 1)) return false;
    View behind = view_permute(v, &last);
    for (int i = 0; i < behind.rank; i++) dims[i + (i > 0)] = behind.dims[i];
    dims[1] = ex_int(lo->x, 1);
    return view_reshape(lo, &behind, rank, dims, out);
}

static const DimList *with_zero(Lower *lo, const DimList *list) {
    DimList *longer = ARENA_NEW(&lo->cx->arena, DimList);
    *longer = *list;
    longer->e[longer->count++] = ex_int(lo->x, 0);
    return longer;
}

/* Where channels lie innermost, they are one more axis of windows, of length 1: the kernel works
 * along the last one. Places of the largest would be counted otherwise. */
void lower_pool(Lower *lo, Node *n) {
    View x = lower_operand(lo, n->inputs[0]), turned[2];
    View out[2] = {lower_result(lo, n->outputs[0]), view_absent()};
    if (n->output_count > 1) out[1] = lower_result(lo, n->outputs[1]);
    ParamsPool p = {.p = attr_float(n, "p")};
    const char *mode = attr_string(n, "mode");
#define X(upper, lower, number) \
    if (!strcmp(mode, #lower)) p.mode = number;
    TN_POOL_MODES(X)
#undef X
    if (attr_bool(n, "count_pads")) p.flags |= TN_POOL_COUNT_PADS;
    if (!strcmp(attr_string(n, "places"), "columns")) p.flags |= TN_POOL_COLUMNS;
    copy_list(attr_ints(n, "kernel"), p.kernel);
    copy_list(attr_ints(n, "strides"), p.stride);
    copy_list(attr_ints(n, "dilations"), p.dilation);
    const DimList *begins = attr_dims(n, "begins"), *ends = attr_dims(n, "ends");
    if (n->output_count == 1 && channels_behind(lo, &x, &turned[0]) &&
        channels_behind(lo, &out[0], &turned[1])) {
        int axis = x.rank - 2;
        x = turned[0];
        out[0] = turned[1];
        p.kernel[axis] = p.stride[axis] = p.dilation[axis] = 1;
        begins = with_zero(lo, begins);
        ends = with_zero(lo, ends);
    }
    p.spatial = (uint32_t)x.rank - 2;
    LInstr *i = lower_emit(lo, TN_OP_pool, 1, &x, 2, out, &p, sizeof p);
    set_scalars(lo, i, begins, ends);
}

void lower_col2im(Lower *lo, Node *n) {
    View x = lower_dense(lo, n->inputs[0]), out = lower_result(lo, n->outputs[0]);
    ParamsCol2im p = {.spatial = (uint32_t)out.rank - 2};
    copy_list(attr_ints(n, "strides"), p.stride);
    copy_list(attr_ints(n, "dilations"), p.dilation);
    LInstr *i = lower_emit(lo, TN_OP_col2im, 1, &x, 1, &out, &p, sizeof p);
    set_scalars(lo, i, attr_dims(n, "begins"), &(DimList){0});
}

void lower_deform_columns(Lower *lo, Node *n) {
    bool masked = n->input_count > 2 && n->inputs[2];
    View in[3] = {lower_dense(lo, n->inputs[0]), lower_dense(lo, n->inputs[1]), view_absent()};
    if (masked) in[2] = lower_dense(lo, n->inputs[2]);
    View out = lower_result(lo, n->outputs[0]);
    ParamsDeform p = {.groups = (uint32_t)attr_int(n, "groups")};
    copy_list(attr_ints(n, "kernel"), p.kernel);
    copy_list(attr_ints(n, "strides"), p.stride);
    copy_list(attr_ints(n, "dilations"), p.dilation);
    copy_list(attr_ints(n, "begins"), p.pad);
    lower_emit(lo, TN_OP_deform_columns, masked ? 3 : 2, in, 1, &out, &p, sizeof p);
}
