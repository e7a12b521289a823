/* Shape rules of if and loop: the operands are what the bodies take, the results what they give.
 *
 * A body's types are over the symbols of its caller and measured ones of its own, which get a value
 * in each call: for a dim that changes from iteration to iteration, or whose requirements concern
 * one branch only. The dims of the results stand in the attribute `dims`, one result after another;
 * what a body computes of another length is found when it runs. */
#include "ir/shape.h"

#include "ir/infer.h"

static void check_count(const Node *n, const char *what, int count, int wanted) {
    if (count != wanted)
        tn_fail(module_of(n)->cx, TN_E_MODEL, "a body of %s has %d %s, not %d",
                ir_op_info(n->op)->name, count, what, wanted);
}

/* A scalar of the type. */
static void check_scalar(const Node *n, const Value *v, TnDType dtype, const char *what) {
    if (v && (v->type.dtype != dtype || v->type.rank != 0))
        tn_fail(module_of(n)->cx, TN_E_MODEL, "%s of %s is %s, not %s[]", what,
                ir_op_info(n->op)->name, ir_type_text(module_of(n), &v->type),
                tn_dtype_name(dtype));
}

/* v goes in where the body has `to`. The length of an axis of `to` may be one over symbols that get
 * their values in the call: it is checked then. */
static void check_passed(const Node *n, const Value *v, const Value *to) {
    Module *m = module_of(n);
    if (!v) tn_fail(m->cx, TN_E_MODEL, "an operand of %s is missing", ir_op_info(n->op)->name);
    if (v->type.dtype != to->type.dtype || v->type.rank != to->type.rank)
        tn_fail(m->cx, TN_E_MODEL, "a body of %s takes %s, not %s", ir_op_info(n->op)->name,
                ir_type_text(m, &to->type), ir_type_text(m, &v->type));
    for (int i = 0; i < to->type.rank; i++) {
        const Expr *d = ex_norm(m->ex, to->type.dims[i]);
        if (ex_mentions_measured(d)) continue;
        ir_same_dim(m, ex_norm(m->ex, v->type.dims[i]), d, "dimensions of what a body takes");
    }
}

static int dims_wanted(const Node *n) {
    int wanted = 0;
    for (int i = 0; i < n->output_count; i++) wanted += n->outputs[i]->type.rank;
    return wanted;
}

/* Types are set up to the dims, which come from the attribute. */
static void set_dims(Node *n) {
    Module *m = module_of(n);
    const ExprList *dims = attr_exprs(n, "dims");
    if (dims->count != dims_wanted(n))
        tn_fail(m->cx, TN_E_MODEL, "%d dims for results with %d axes", dims->count, dims_wanted(n));
    for (int i = 0, at = 0; i < n->output_count; i++) {
        const Type *t = &n->outputs[i]->type;
        infer_output(n, i, t->dtype, t->rank, dims->e + at);
        at += t->rank;
    }
}

void shape_if(Node *n) {
    Module *m = module_of(n);
    const Graph *body[] = {attr_graph(n, "then"), attr_graph(n, "else")};
    check_scalar(n, n->inputs[0], TN_BOOL, "the condition");
    for (int b = 0; b < 2; b++) {
        check_count(n, "inputs", body[b]->input_count, n->input_count - 1);
        for (int i = 1; i < n->input_count; i++)
            check_passed(n, n->inputs[i], body[b]->inputs[i - 1]);
    }
    check_count(n, "results", body[1]->output_count, body[0]->output_count);
    infer_make_outputs(n, body[0]->output_count);
    for (int i = 0; i < n->output_count; i++) {
        const Type *a = &body[0]->outputs[i]->type, *b = &body[1]->outputs[i]->type;
        if (a->dtype != b->dtype || a->rank != b->rank)
            tn_fail(m->cx, TN_E_MODEL, "result %d of the branches is %s and %s", i,
                    ir_type_text(m, a), ir_type_text(m, b));
        n->outputs[i]->type = *a;
    }
    set_dims(n);
}

void shape_loop(Node *n) {
    Module *m = module_of(n);
    const Graph *body = attr_graph(n, "body");
    int64_t carried = attr_int(n, "carried");
    if (n->input_count < 2 || carried < 0 || carried > n->input_count - 2)
        tn_fail(m->cx, TN_E_MODEL, "loop cannot have %d operands of which it carries %lld",
                n->input_count, (long long)carried);
    check_scalar(n, n->inputs[0], TN_I64, "the trip count");
    check_scalar(n, n->inputs[1], TN_BOOL, "the condition");
    check_count(n, "inputs", body->input_count, n->input_count);
    check_scalar(n, body->inputs[0], TN_I64, "the iteration number");
    check_scalar(n, body->inputs[1], TN_BOOL, "the condition");
    for (int i = 2; i < n->input_count; i++) check_passed(n, n->inputs[i], body->inputs[i]);
    if (body->output_count < 1 + carried)
        check_count(n, "results", body->output_count, 1 + (int)carried);
    check_scalar(n, body->outputs[0], TN_BOOL, "the condition");
    for (int i = 0; i < carried; i++) check_passed(n, body->outputs[1 + i], body->inputs[2 + i]);
    infer_make_outputs(n, body->output_count - 1);
    for (int i = 0; i < n->output_count; i++) {
        Type *t = &n->outputs[i]->type;
        *t = body->outputs[1 + i]->type;
        if (i >= carried) t->rank++;
    }
    set_dims(n);
}
