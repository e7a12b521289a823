/* Shape rules: what they share, elementwise operators, reductions and values out of nothing.
 *
 * Before a rule runs, element types have been held against the row (dtypes.c). A rule checks ranks
 * and attributes, and sets the types of the node's outputs. A dim that must equal another either
 * does, or is required to (type.c), or the model is wrong. */
#include "ir/shape.h"

#include <string.h>
#include "ir/infer.h"

/* --- shared --- */

void infer_make_outputs(Node *n, int count) {
    n->outputs = ARENA_ARRAY(&module_of(n)->cx->arena, Value *, (size_t)count);
    n->output_count = count;
    for (int i = 0; i < count; i++) {
        n->outputs[i] = ir_new_value(n->graph, NULL);
        n->outputs[i]->node = n;
        n->outputs[i]->index = i;
    }
}

void infer_types(Node *n) {
    int count = ir_op_info(n->op)->outputs;
    if (count >= 0) infer_make_outputs(n, count);
    infer_check_types(n);
    ir_shape_rule(n->op)(n);
}

void infer_set_type(Module *m, Value *v, TnDType t, int rank, const Expr *const *dims) {
    if (rank > TN_MAX_RANK)
        tn_fail(m->cx, TN_E_LIMIT, "a tensor with %d axes, at most %d", rank, TN_MAX_RANK);
    v->type.dtype = t;
    v->type.rank = rank;
    for (int i = 0; i < rank; i++) v->type.dims[i] = ex_norm(m->ex, dims[i]);
}

void infer_output(Node *n, int i, TnDType t, int rank, const Expr *const *dims) {
    infer_set_type(module_of(n), n->outputs[i], t, rank, dims);
}

const Type *infer_input(const Node *n, int i) {
    return &n->inputs[i]->type;
}

void infer_rank(const Node *n, int i, int min, int max) {
    int rank = infer_input(n, i)->rank;
    if (rank >= min && rank <= max) return;
    Cx *cx = module_of(n)->cx;
    const char *text = ir_type_text(module_of(n), infer_input(n, i));
    if (min == max) tn_fail(cx, TN_E_MODEL, "operand %d is %s, not of rank %d", i, text, min);
    tn_fail(cx, TN_E_MODEL, "operand %d is %s, of rank below %d", i, text, min);
}

/* --- elementwise --- */

/* Broadcast of the operands' dims (those that are there). */
static Type broadcast_all(const Node *n, TnDType dtype) {
    Type t = {.dtype = dtype};
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i]) ir_broadcast(module_of(n), &t, infer_input(n, i), &t);
    return t;
}

static void output_broadcast(Node *n, TnDType dtype) {
    Type t = broadcast_all(n, dtype);
    infer_output(n, 0, dtype, t.rank, t.dims);
}

void shape_broadcast(Node *n) {
    output_broadcast(n, infer_input(n, 0)->dtype);
}

void shape_compare(Node *n) {
    output_broadcast(n, TN_BOOL);
}

void shape_where(Node *n) {
    output_broadcast(n, infer_input(n, 1)->dtype);
}

void shape_same(Node *n) {
    const Type *x = infer_input(n, 0);
    if (n->op == OP_softmax || n->op == OP_log_softmax || n->op == OP_cumsum || n->op == OP_cumprod)
        ir_axis(module_of(n), attr_int(n, "axis"), x->rank);
    infer_output(n, 0, x->dtype, x->rank, x->dims);
}

void shape_cast(Node *n) {
    const Type *x = infer_input(n, 0);
    infer_output(n, 0, attr_dtype(n, "to"), x->rank, x->dims);
}

void shape_bitcast(Node *n) {
    const Type *x = infer_input(n, 0);
    TnDType to = attr_dtype(n, "to");
    if (tn_dtype_bits(x->dtype) != tn_dtype_bits(to))
        tn_fail(module_of(n)->cx, TN_E_MODEL, "the bits of %s as %s, a type of another width",
                tn_dtype_name(x->dtype), tn_dtype_name(to));
    if (to == TN_BOOL) tn_fail(module_of(n)->cx, TN_E_MODEL, "bits as bool");
    if (tn_dtype_bits(to) < 8)
        tn_fail(module_of(n)->cx, TN_E_UNSUPPORTED, "the bits of %s as %s are unsupported",
                tn_dtype_name(x->dtype), tn_dtype_name(to));
    infer_output(n, 0, to, x->rank, x->dims);
}

/* A step may read operands and earlier steps; the last one makes the result. */
static void check_body(const Node *n, const MapBody *body, TnDType dtype) {
    Cx *cx = module_of(n)->cx;
    if (body->count < 1) tn_fail(cx, TN_E_MODEL, "the program of a map is empty");
    for (int s = 0; s < body->count; s++) {
        const MapStep *step = &body->steps[s];
        const OpInfo *info = ir_op_info(step->op);
        if (step->op != OP_splat && !(info->flags & OPF_ELEMENTWISE))
            tn_fail(cx, TN_E_MODEL, "%s cannot be a step of a map", info->name);
        for (int k = 0; k < info->max_inputs; k++)
            if (step->args[k] < 0 || step->args[k] >= n->input_count + s)
                tn_fail(cx, TN_E_MODEL, "step %d of a map reads register %d", s, step->args[k]);
    }
    if (body->steps[body->count - 1].dtype != dtype)
        tn_fail(cx, TN_E_MODEL, "the program of a map computes %s, not %s",
                tn_dtype_name(body->steps[body->count - 1].dtype), tn_dtype_name(dtype));
}

void shape_map(Node *n) {
    TnDType dtype = attr_dtype(n, "dtype");
    for (int i = 0; i < n->input_count; i++)
        if (!n->inputs[i]) tn_fail(module_of(n)->cx, TN_E_MODEL, "operand %d of map is missing", i);
    check_body(n, attr_body(n, "body"), dtype);
    output_broadcast(n, dtype);
}

/* --- values out of nothing --- */

static void require_length(const Node *n, const Expr *length, const char *what) {
    infer_require_le(module_of(n), ex_int(module_of(n)->ex, 0), length, what);
}

void shape_splat(Node *n) {
    const DimList *dims = attr_dims(n, "dims");
    for (int i = 0; i < dims->count; i++) require_length(n, dims->e[i], "negative dimension");
    infer_output(n, 0, attr_dtype(n, "dtype"), dims->count, dims->e);
}

void shape_iota(Node *n) {
    const Expr *length = attr_dim(n, "length");
    TnDType dtype = attr_dtype(n, "dtype");
    if (dtype == TN_BOOL) tn_fail(module_of(n)->cx, TN_E_MODEL, "a range of type bool");
    require_length(n, length, "negative length");
    infer_output(n, 0, dtype, 1, &length);
}

void shape_scalars(Node *n) {
    const Expr *length = ex_int(module_of(n)->ex, attr_exprs(n, "values")->count);
    infer_output(n, 0, attr_dtype(n, "dtype"), 1, &length);
}

/* One expression over lengths per element. */
void shape_measure(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0);
    int count = attr_exprs(n, "symbols")->count;
    bool fits =
        x->rank <= 1 && (x->rank ? ex_is(x->dims[0], count) : count == 1) && count <= TN_MAX_FACTS;
    if (!fits)
        tn_fail(m->cx, TN_E_MODEL, "%d symbols to measure in %s, a vector of at most %d in i64",
                count, ir_type_text(m, x), TN_MAX_FACTS);
    infer_output(n, 0, x->dtype, x->rank, x->dims);
}

/* --- reductions --- */

void shape_reduce(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0);
    const IntList *axes = attr_ints(n, "axes");
    bool keep = attr_bool(n, "keep"), reduced[TN_MAX_RANK] = {false};
    for (int i = 0; i < axes->count; i++) {
        int axis = ir_axis(m, axes->v[i], x->rank);
        if (reduced[axis]) tn_fail(m->cx, TN_E_MODEL, "axis %d is reduced twice", axis);
        reduced[axis] = true;
    }
    const Expr *dims[TN_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < x->rank; i++) {
        if (!reduced[i])
            dims[rank++] = x->dims[i];
        else if (keep)
            dims[rank++] = ex_int(m->ex, 1);
    }
    infer_output(n, 0, x->dtype, rank, dims);
}
