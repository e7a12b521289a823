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

void lower_pool(Lower *lo, Node *n) {
    View x = lower_operand(lo, n->inputs[0]);
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
    p.spatial = (uint32_t)x.rank - 2;
    LInstr *i = lower_emit(lo, TN_OP_pool, 1, &x, 2, out, &p, sizeof p);
    set_scalars(lo, i, attr_dims(n, "begins"), attr_dims(n, "ends"));
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
