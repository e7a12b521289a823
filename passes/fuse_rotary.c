/* fuse_rotary: rotary positions become one operator.
 *
 *     %1 = slice %x {axis=3, start=4, length=4}
 *     %2 = slice %x {axis=3, start=0, length=4}
 *     %3 = concat (neg %1), %2 {axis=3}               =>   %y = rotary %x, %cos, %sin {width=8}
 *     %y = add (mul %x, %cos), (mul %3, %sin)
 *
 * What is behind the rotated elements, joined again, is part of the operator (partial rotation).
 * A table whose halves are equal, cos(concat(f, f)), is computed for one half only. */
#include "ir/build.h"
#include "passes/pass.h"
#include "passes/rotary.h"

#include <string.h>

#define MAX_DEPTH 12

static int64_t columns_of(const Value *v) {
    int64_t n;
    return v->type.rank && ex_const(v->type.dims[v->type.rank - 1], &n) ? n : 1;
}

/* v with its last axis of another length, computed by the same operators from other operands. */
static Value *half_table(Graph *g, Value *v, bool interleaved, int depth);

static Value *as_view(Graph *g, const Value *v, Value *half) {
    const Expr *dims[TN_MAX_RANK];
    int r = v->type.rank;
    memcpy(dims, v->type.dims, sizeof dims);
    dims[r - 1] = half->type.dims[half->type.rank - 1];
    return ir_view(g, half, r, dims);
}

/* An elementwise operator over halves; operands of one column stay. */
static Value *half_of_elements(Graph *g, Node *n, bool interleaved, int depth) {
    Value *in[3];
    for (int i = 0; i < n->input_count; i++) {
        in[i] = n->inputs[i];
        if (columns_of(in[i]) > 1) in[i] = half_table(g, in[i], interleaved, depth - 1);
        if (!in[i]) return NULL;
    }
    Node *half = ir_node(g, n->op, n->input_count, in);
    ir_copy_attrs(half, n);
    return ir_insert(half);
}

/* [.., n, 2] as [.., 2n] with equal columns: [.., n] */
static Value *half_of_columns(Graph *g, const Value *v) {
    Node *n = v->node->inputs[0]->node;
    const Type *t = &v->type, *from = &v->node->inputs[0]->type;
    int r = t->rank;
    if (!n || from->rank != r + 1 || !ex_is(from->dims[r], 2)) return NULL;
    for (int i = 0; i < r - 1; i++)
        if (from->dims[i] != t->dims[i]) return NULL;
    bool equal = n->op == OP_expand && n->inputs[0]->type.rank == r + 1 &&
                 ex_is(n->inputs[0]->type.dims[r], 1) &&
                 n->inputs[0]->type.dims[r - 1] == from->dims[r - 1];
    equal |= n->op == OP_concat && n->input_count == 2 && attr_int(n, "axis") == r &&
             n->inputs[0] == n->inputs[1];
    if (!equal) return NULL;
    Type one = n->inputs[0]->type;
    return ir_view(g, n->inputs[0], r, one.dims);
}

static Value *half_table(Graph *g, Value *v, bool interleaved, int depth) {
    Node *n = v->node;
    int r = v->type.rank;
    if (!n || depth == 0) return NULL;
    if (ir_op_info(n->op)->flags & OPF_ELEMENTWISE)
        return half_of_elements(g, n, interleaved, depth);
    if (n->op == OP_concat && attr_int(n, "axis") == r - 1)
        return !interleaved && n->input_count == 2 && n->inputs[0] == n->inputs[1] ? n->inputs[0]
                                                                                   : NULL;
    if (n->op != OP_view) return NULL;
    if (columns_of(n->inputs[0]) == columns_of(v)) {
        Value *half = half_table(g, n->inputs[0], interleaved, depth - 1);
        return half ? as_view(g, v, half) : NULL;
    }
    return interleaved ? half_of_columns(g, v) : NULL;
}

/* At position 0 alone a table is a number, and a factor of 1 has gone. */
static bool is_number(const Value *v, double *x) {
    *x = 1;
    return !v || (columns_of(v) == 1 && ir_constant_float(v, x));
}

static Value *table(Graph *g, const Rotation *r, Value *v) {
    const Expr *width = ex_int(g->module->ex, r->width);
    double x;
    if (is_number(v, &x)) return ir_expand(g, ir_scalar(g, r->x.base->type.dtype, x), 1, &width);
    Value *half = columns_of(v) == r->width ? half_table(g, v, r->interleaved, MAX_DEPTH) : NULL;
    return half ? half : v;
}

/* The axes before the last of what is rotated are those of the result. */
static int outer_axes(const Rotation *r) {
    return r->result->type.rank - 1 - r->columns;
}

/* A row of the table belongs to each row of the result. */
static bool has_rows(const Rotation *r, const Type *table) {
    const Type *y = &r->result->type;
    int missing = outer_axes(r) + 1 - table->rank;
    for (int i = 0; missing >= 0 && i + 1 < table->rank; i++)
        if (!ex_is(table->dims[i], 1) && table->dims[i] != y->dims[i + missing]) return false;
    return missing >= 0 && table->rank > 0;
}

static const char *check(const Rotation *r) {
    TnDType t = r->x.base->type.dtype;
    if (t != TN_F32 && t != TN_F16 && t != TN_BF16) return "its type has no kernel";
    const Value *tables[2] = {r->cos, r->sin};
    for (int i = 0; i < 2; i++) {
        double x;
        if (is_number(tables[i], &x)) continue;
        int64_t columns = columns_of(tables[i]);
        if (columns != r->width && columns != r->width / 2) return "a table has other columns";
        if (!has_rows(r, &tables[i]->type)) return "a table has other rows";
        if (tables[i]->type.dtype != t) return "a table has another type";
    }
    return NULL;
}

static Value *rewrite(Graph *g, const Rotation *r, int64_t extent) {
    ExprCx *x = g->module->ex;
    int outer = outer_axes(r);
    const Expr *dims[TN_MAX_RANK];
    memcpy(dims, r->result->type.dims, sizeof dims);
    dims[outer] = ex_int(x, extent);
    Value *whole = ir_view(g, r->x.base, outer + 1, dims);
    if (r->x.length != extent)
        whole = ir_slice(g, whole, outer, ex_int(x, r->x.start), ex_int(x, r->x.length), 1);
    Value *cos = table(g, r, r->cos), *sin = table(g, r, r->sin);
    if (r->back) sin = ir_unary(g, OP_neg, sin);
    Value *in[3] = {whole, cos, sin};
    Node *n = ir_node(g, OP_rotary, 3, in);
    ir_set_int(n, "width", r->width);
    ir_set_bool(n, "interleaved", r->interleaved);
    return ir_view(g, ir_insert(n), r->result->type.rank, r->result->type.dims);
}

bool pass_fuse_rotary(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        Rotation f;
        const char *why;
        if (!rotation_find(n, &f, &why)) {
            if (why) report_miss(r, "rotary", n, "%s", why);
            continue;
        }
        why = check(&f);
        if (why) {
            report_miss(r, "rotary", n, "%s", why);
            continue;
        }
        ir_edit_begin(g, f.result->node, f.nodes, f.node_count);
        Value *y = rewrite(g, &f, rotation_extent(&f.x));
        ir_edit_end(g);
        ir_replace(f.result, y);
        report_fired(r, "rotary");
        changed = true;
    }
    return changed;
}
