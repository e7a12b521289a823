/* Sequences and optionals: lists of values, known while importing; nothing of them is left in the
 * graph. A sequence that a loop collected is the rows of one tensor. */
#include "frontend/onnx/flow.h"

#include <string.h>

#define MAX_ITEMS (1 << 16)

static OnnxList *new_list(OnnxNode *n, int64_t count) {
    if (count > MAX_ITEMS)
        tn_fail(n->cx, TN_E_LIMIT, "a sequence of %lld tensors, at most %d", (long long)count,
                MAX_ITEMS);
    OnnxList *list = ARENA_NEW(&n->cx->arena, OnnxList);
    list->count = (int)count;
    list->items = ARENA_ARRAY(&n->cx->arena, OnnxResult, (size_t)count + 1);
    return list;
}

static const OnnxList *sequence(OnnxNode *n, int i) {
    if (i >= n->input_count || !n->lists[i] || n->lists[i]->optional)
        tn_fail(n->cx, TN_E_MODEL, "input %d is no sequence", i);
    return n->lists[i];
}

/* A sequence whose elements are known one by one. */
static const OnnxList *known_sequence(OnnxNode *n, int i) {
    const OnnxList *list = sequence(n, i);
    if (list->stacked)
        tn_fail(n->cx, TN_E_UNSUPPORTED,
                "input %d is a sequence whose length only a run knows, which is unsupported", i);
    return list;
}

static Value *tensor(OnnxNode *n, int i) {
    if (!n->inputs[i]) tn_fail(n->cx, TN_E_MODEL, "input %d is no tensor", i);
    return n->inputs[i];
}

/* Input i as a position in a list of `count`. */
static int position(OnnxNode *n, int i, int count) {
    int64_t at;
    const Type *t = &tensor(n, i)->type;
    if (t->dtype != TN_I64 && t->dtype != TN_I32)
        tn_fail(n->cx, TN_E_MODEL, "the position is of type %s", tn_dtype_name(t->dtype));
    if (!flow_known_int(n, n->inputs[i], &at))
        tn_fail(n->cx, TN_E_UNSUPPORTED,
                "a position in a sequence that depends on data is unsupported");
    if (at < -count || at >= count)
        tn_fail(n->cx, TN_E_MODEL, "position %lld of a sequence of %d", (long long)at, count);
    return (int)(at < 0 ? at + count : at);
}

void import_sequence_construct(OnnxNode *n) {
    OnnxList *list = n->list_outputs[0] = new_list(n, n->input_count);
    for (int i = 0; i < n->input_count; i++) list->items[i].value = tensor(n, i);
}

void import_sequence_empty(OnnxNode *n) {
    if (onnx_has(n, "dtype")) onnx_need_dtype(n->cx, onnx_int(n, "dtype"));
    n->list_outputs[0] = new_list(n, 0);
}

void import_sequence_insert(OnnxNode *n) {
    const OnnxList *from = known_sequence(n, 0);
    Value *x = tensor(n, 1);
    OnnxList *list = n->list_outputs[0] = new_list(n, (int64_t)from->count + 1);
    /* behind the last is a position too; from the end, the last is -1 */
    int64_t given;
    int at = from->count;
    if (onnx_given(n, 2) && !(flow_known_int(n, n->inputs[2], &given) && given == from->count))
        at = position(n, 2, from->count);
    memcpy(list->items, from->items, (size_t)at * sizeof *list->items);
    list->items[at].value = x;
    memcpy(list->items + at + 1, from->items + at,
           (size_t)(from->count - at) * sizeof *list->items);
}

void import_sequence_erase(OnnxNode *n) {
    const OnnxList *from = known_sequence(n, 0);
    if (!from->count) tn_fail(n->cx, TN_E_MODEL, "the sequence is empty");
    int at = onnx_given(n, 1) ? position(n, 1, from->count) : from->count - 1;
    OnnxList *list = n->list_outputs[0] = new_list(n, from->count - 1);
    memcpy(list->items, from->items, (size_t)at * sizeof *list->items);
    memcpy(list->items + at, from->items + at + 1,
           (size_t)(from->count - 1 - at) * sizeof *list->items);
}

void import_sequence_at(OnnxNode *n) {
    const OnnxList *list = sequence(n, 0);
    if (!list->stacked) {
        n->outputs[0] = list->items[position(n, 1, list->count)].value;
        return;
    }
    Value *at = ir_cast(n->g, tensor(n, 1), TN_I64);
    Value *length = ir_scalars(n->g, TN_I64, 1, &list->stacked->type.dims[0]);
    at = flow_scalar(n, at, TN_I64, "the position");
    length = ir_view(n->g, length, 0, NULL);
    Value *negative = ir_binary(n->g, OP_lt, at, ir_scalar_int(n->g, TN_I64, 0));
    at = ir_where(n->g, negative, ir_binary(n->g, OP_add, at, length), at);
    n->outputs[0] = ir_gather(n->g, list->stacked, at, 0);
}

void import_sequence_length(OnnxNode *n) {
    const OnnxList *list = sequence(n, 0);
    const Expr *count = list->stacked ? list->stacked->type.dims[0] : ex_int(n->x, list->count);
    n->outputs[0] = ir_view(n->g, ir_scalars(n->g, TN_I64, 1, &count), 0, NULL);
}

/* --- splitting and joining --- */

/* The lengths of the parts: `split` is a vector of them, a scalar that all but the last have, or
 * left out: 1 each. */
static int part_lengths(OnnxNode *n, const Expr *total, const Expr *const **lengths) {
    int64_t whole, size = 1;
    if (onnx_given(n, 1) && tensor(n, 1)->type.rank == 1) {
        int parts;
        *lengths = onnx_lengths(n, 1, "lengths of the parts", 0, &parts);
        return parts;
    }
    if (onnx_given(n, 1)) size = onnx_number(n, 1, "length of the parts");
    if (size < 1) tn_fail(n->cx, TN_E_MODEL, "parts of length %lld", (long long)size);
    if (!ex_const(total, &whole))
        tn_fail(n->cx, TN_E_UNSUPPORTED,
                "a sequence of %s tensors: a number that is not known is unsupported",
                ex_text(n->x, size == 1 ? total : ex_ceildiv(n->x, total, ex_int(n->x, size))));
    if (whole / size > MAX_ITEMS)
        tn_fail(n->cx, TN_E_LIMIT, "a sequence of %lld tensors, at most %d",
                (long long)(whole / size), MAX_ITEMS);
    int count = (int)(whole / size + (whole % size != 0));
    const Expr **e = ARENA_ARRAY(&n->cx->arena, const Expr *, (size_t)count + 1);
    for (int i = 0; i < count; i++) e[i] = ex_int(n->x, i < whole / size ? size : whole % size);
    *lengths = e;
    return count;
}

void import_split_to_sequence(OnnxNode *n) {
    Value *x = tensor(n, 0);
    int axis = ir_axis(n->m, onnx_int(n, "axis"), x->type.rank);
    bool keep = onnx_flag(n, "keepdims") || onnx_given(n, 1);
    const Expr *const *lengths, *start = ex_int(n->x, 0);
    int count = part_lengths(n, x->type.dims[axis], &lengths);
    OnnxList *list = n->list_outputs[0] = new_list(n, count);
    for (int i = 0; i < count; i++) {
        Value *part = onnx_slice(n, x, axis, start, lengths[i], 1);
        list->items[i].value = keep ? part : ir_squeeze(n->g, part, axis);
        start = ex_add(n->x, start, lengths[i]);
    }
    ir_same_dim(n->m, start, x->type.dims[axis], "the sum of the parts and the dimension");
}

/* Rows joined along `axis`: the first axis of y goes there, and with the one behind it, unless it
 * is new, becomes one. */
static Value *join_rows(OnnxNode *n, Value *y, int axis, bool new_axis) {
    const Expr *dims[TN_MAX_RANK];
    int perm[TN_MAX_RANK], from = 1, rank = y->type.rank;
    for (int i = 0; i < rank; i++) perm[i] = i == axis ? 0 : from++;
    y = ir_transpose(n->g, y, perm);
    if (new_axis) return y;
    for (int i = 0; i < rank - 1; i++) dims[i] = y->type.dims[i < axis ? i : i + 1];
    dims[axis] = ex_mul(n->x, y->type.dims[axis], y->type.dims[axis + 1]);
    return ir_view(n->g, y, rank - 1, dims);
}

void import_concat_from_sequence(OnnxNode *n) {
    const OnnxList *list = sequence(n, 0);
    bool new_axis = onnx_flag(n, "new_axis");
    if (list->stacked) {
        int rank = list->stacked->type.rank - (new_axis ? 0 : 1);
        n->outputs[0] = join_rows(n, list->stacked, onnx_axis_of_rank(n, rank), new_axis);
        return;
    }
    if (!list->count) tn_fail(n->cx, TN_E_MODEL, "the sequence is empty");
    Value **parts = ARENA_ARRAY(&n->cx->arena, Value *, (size_t)list->count);
    int axis = onnx_axis_of_rank(n, list->items[0].value->type.rank + (new_axis ? 1 : 0));
    for (int i = 0; i < list->count; i++) {
        parts[i] = list->items[i].value;
        if (new_axis) parts[i] = ir_unsqueeze(n->g, parts[i], axis);
    }
    n->outputs[0] = list->count == 1 ? parts[0] : ir_concat(n->g, list->count, parts, axis);
}

/* --- a graph for every element --- */

/* Inputs that are tensors go to every call as they are. */
void import_sequence_map(OnnxNode *n) {
    Wiring *w = flow_graph(n, "body");
    const OnnxList *first = known_sequence(n, 0);
    flow_need_counts(n, w, n->input_count, n->output_count);
    OnnxResult *in = ARENA_ARRAY(&n->cx->arena, OnnxResult, (size_t)n->input_count);
    OnnxResult *results = ARENA_ARRAY(&n->cx->arena, OnnxResult, w->output_count);
    for (int i = 0; i < n->output_count; i++) n->list_outputs[i] = new_list(n, first->count);
    for (int k = 0; k < first->count; k++) {
        for (int i = 0; i < n->input_count; i++) {
            in[i] = (OnnxResult){.value = n->inputs[i]};
            if (in[i].value) continue;
            const OnnxList *list = known_sequence(n, i);
            if (list->count != first->count)
                tn_fail(n->cx, TN_E_MODEL, "sequences of %d and %d elements", first->count,
                        list->count);
            in[i] = list->items[k];
        }
        flow_inline(n, w, arena_printf(&n->cx->arena, ".%d", k), in, n->input_count, results);
        for (int i = 0; i < n->output_count; i++) n->list_outputs[i]->items[k] = results[i];
    }
}

/* --- optionals --- */

void import_optional(OnnxNode *n) {
    bool given = n->input_count > 0 && (n->inputs[0] || n->lists[0]);
    if (!given && !onnx_has(n, "type"))
        tn_fail(n->cx, TN_E_MODEL, "neither an element nor its type is given");
    OnnxList *list = n->list_outputs[0] = new_list(n, given);
    list->optional = true;
    if (given) list->items[0] = (OnnxResult){n->inputs[0], (OnnxList *)n->lists[0]};
}

void import_optional_has_element(OnnxNode *n) {
    const OnnxList *list = n->input_count ? n->lists[0] : NULL;
    bool has = n->input_count && (n->inputs[0] || (list && (!list->optional || list->count)));
    n->outputs[0] = ir_scalar_int(n->g, TN_BOOL, has);
}

/* Of a tensor or sequence: itself. */
void import_optional_get_element(OnnxNode *n) {
    OnnxResult r = {n->input_count ? n->inputs[0] : NULL, NULL};
    if (n->input_count) r.list = (OnnxList *)n->lists[0];
    if (r.list && r.list->optional) {
        if (!r.list->count) tn_fail(n->cx, TN_E_MODEL, "the optional has no element");
        r = r.list->items[0];
    }
    if (!r.value && !r.list) tn_fail(n->cx, TN_E_MODEL, "input 0 is missing");
    n->outputs[0] = r.value;
    n->list_outputs[0] = r.list;
}
