/* What the reference kernels share: operands, loops over broadcast operands, failing. */
#include "ir/ref/ref.h"

#include <stdio.h>
#include <string.h>

void ref_fail(RefCall *call, TnStatus code, const char *fmt, ...) {
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    arena_free(&call->scratch);
    tn_fail(call->cx, code, "%s", text);
}

const Tensor *ref_operand(const RefCall *call, int i) {
    return i < call->n_in ? call->in[i] : NULL;
}

int64_t ref_expr(RefCall *call, const Expr *e) {
    ExprCx *x = call->node->graph->module->ex;
    int64_t v;
    if (!ex_const(e, &v) && (!call->symbols || !ex_eval(x, e, call->symbols, &v)))
        ref_fail(call, TN_E_SHAPE, "'%.100s' has no value here", ex_text(x, e));
    return v;
}

int ref_axis(const RefCall *call, const char *attr, int rank) {
    return ir_axis(call->node->graph->module, attr_int(call->node, attr), rank);
}

int64_t ref_index(RefCall *call, const Tensor *index, int64_t i, int64_t n) {
    int64_t v = ir_element_i64(index->dtype, index->data, i);
    if (v < -n || v >= n)
        ref_fail(call, TN_E_RANGE, "index %lld of an axis of length %lld", (long long)v,
                 (long long)n);
    return v < 0 ? v + n : v;
}

double *ref_doubles(RefCall *call, const Tensor *t) {
    if (!t) return NULL;
    int64_t n = tensor_count(t);
    double *d = ARENA_ARRAY(&call->scratch, double, (size_t)n);
    for (int64_t i = 0; i < n; i++) d[i] = ir_element_f64(t->dtype, t->data, i);
    return d;
}

void ref_strides(int rank, const int64_t *dims, int64_t *strides) {
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= dims[i];
    }
}

RefLoop ref_loop(int rank, const int64_t *dims) {
    RefLoop l = {.rank = rank, .total = 1};
    for (int i = 0; i < rank; i++) {
        l.dims[i] = dims[i];
        l.total *= dims[i];
    }
    return l;
}

int ref_follow_strides(RefLoop *l, const int64_t *strides, int64_t start) {
    int operand = l->operands++;
    memcpy(l->strides[operand], strides, (size_t)l->rank * sizeof *strides);
    l->at[operand] = start;
    return operand;
}

int ref_follow(RefLoop *l, int rank, const int64_t *dims) {
    int64_t dense[TN_MAX_RANK], strides[TN_MAX_RANK] = {0};
    ref_strides(rank, dims, dense);
    for (int i = 0; i < rank; i++)
        if (dims[i] != 1) strides[l->rank - rank + i] = dense[i];
    return ref_follow_strides(l, strides, 0);
}

void ref_step(RefLoop *l) {
    l->count++;
    for (int axis = l->rank - 1; axis >= 0; axis--) {
        bool carry = ++l->index[axis] == l->dims[axis];
        int64_t move = carry ? 1 - l->dims[axis] : 1;
        for (int o = 0; o < l->operands; o++) l->at[o] += move * l->strides[o][axis];
        if (!carry) return;
        l->index[axis] = 0;
    }
}

RefAxis ref_split(const Tensor *t, int axis) {
    RefAxis a = {1, t->dims[axis], 1};
    for (int i = 0; i < axis; i++) a.outer *= t->dims[i];
    for (int i = axis + 1; i < t->rank; i++) a.inner *= t->dims[i];
    return a;
}
