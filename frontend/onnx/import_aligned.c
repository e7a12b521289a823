/* Operators of two operands as they were before opset 7: broadcasting is asked for, and `axis` says
 * where the second operand's axes lie among those of the first.
 *
 *     Add a: [2, 3, 4, 5], b: [3, 4] {broadcast=1 axis=1}    b is seen as [3, 4, 1]
 *
 * Without `axis` they are the last ones. The result has the dims of the first operand. */
#include <string.h>
#include "frontend/onnx/import.h"

static void check_place(OnnxNode *n, int axis) {
    const Type *a = &n->inputs[0]->type, *b = &n->inputs[1]->type;
    if (axis + b->rank > a->rank)
        tn_fail(n->cx, TN_E_MODEL, "%s does not fit into %s from axis %d on", ir_type_text(n->m, b),
                ir_type_text(n->m, a), axis);
}

/* The second operand so that it broadcasts to the first by today's rule. */
static Value *aligned(OnnxNode *n) {
    Value *a = n->inputs[0], *b = n->inputs[1];
    const Expr *dims[TN_MAX_RANK];
    int rank = b->type.rank;
    if (!onnx_flag(n, "broadcast")) {
        onnx_need_same_dims(n, a, b);
        return b;
    }
    if (!onnx_has(n, "axis") || rank == 0) return b;
    int axis = onnx_axis(n, 0);
    check_place(n, axis);
    for (int i = 0; i < a->type.rank - axis; i++)
        dims[i] = i < rank ? b->type.dims[i] : ex_int(n->x, 1);
    return ir_view(n->g, b, a->type.rank - axis, dims);
}

static void combine(OnnxNode *n, bool swapped) {
    Value *a = n->inputs[0], *b = aligned(n);
    n->outputs[0] = swapped ? ir_binary(n->g, n->row->op, b, a) : ir_binary(n->g, n->row->op, a, b);
    onnx_need_same_dims(n, a, n->outputs[0]);
}

void import_binary_aligned(OnnxNode *n) {
    combine(n, false);
}

void import_swapped_aligned(OnnxNode *n) {
    combine(n, true);
}

/* Before opset 6 `to` is a name. */
void import_cast_named(OnnxNode *n) {
    const char *to = onnx_string(n, "to");
    int32_t number = onnx_dtype_number(to);
    if (!number)
        tn_fail(n->cx, TN_E_MODEL, "attribute 'to' is '%s', no element type",
                tn_printable(n->cx, to, strlen(to), 100));
    n->outputs[0] = ir_cast(n->g, n->inputs[0], onnx_need_dtype(n->cx, number));
}
