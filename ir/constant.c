/* Constants of a module, and their values in a graph.
 *
 * A constant is one tensor of the module; each graph that uses it has one Value for it, found by
 * the constant's id. */
#include "ir/ir.h"

#include <string.h>
#include <xxhash.h>
#include "ir/infer.h"
#include "runtime/base/checked.h"

Constant *ir_constant_new(Module *m, const char *name, TnDType dtype, int rank, const int64_t *dims,
                          const void *data) {
    if (rank > TN_MAX_RANK)
        tn_fail(m->cx, TN_E_LIMIT, "a constant with %d axes, at most %d", rank, TN_MAX_RANK);
    int64_t count, bytes;
    if (!tn_product(dims, rank, &count) ||
        !tn_mul_i64(count, (int64_t)tn_dtype_size(dtype), &bytes))
        tn_fail(m->cx, TN_E_MODEL, "a constant whose dimensions are negative or overflow");
    Constant *c = ARENA_NEW(&m->cx->arena, Constant);
    c->id = m->constant_count++;
    c->name = name ? arena_strdup(&m->cx->arena, name) : NULL;
    c->dtype = dtype;
    c->rank = rank;
    if (rank) memcpy(c->dims, dims, (size_t)rank * sizeof *dims);
    c->data = data;
    c->bytes = (size_t)bytes;
    if (m->last_constant)
        m->last_constant->next = c;
    else
        m->constants = c;
    m->last_constant = c;
    return c;
}

Value *ir_constant(Graph *g, Constant *c) {
    Module *m = g->module;
    g->constant_values = arena_grow(&m->cx->arena, g->constant_values, &g->constant_capacity,
                                    (size_t)c->id + 1, sizeof *g->constant_values);
    Value **slot = &g->constant_values[c->id];
    if (*slot) return *slot;
    const Expr *dims[TN_MAX_RANK];
    for (int i = 0; i < c->rank; i++) dims[i] = ex_int(m->ex, c->dims[i]);
    Value *v = ir_new_value(g, c->name);
    v->constant = c;
    infer_set_type(m, v, c->dtype, c->rank, dims);
    facts_of_source(v);
    *slot = v;
    return v;
}

Value *ir_constant_bf16(Graph *g, Constant *c) {
    Module *m = g->module;
    if (c->narrow) c = c->narrow;
    if (c->dtype == TN_BF16) return ir_constant(g, c);
    if (!c->rounded) {
        int64_t n = (int64_t)(c->bytes / tn_dtype_size(c->dtype));
        void *data = arena_array(&m->cx->arena, (size_t)n, tn_dtype_size(TN_BF16));
        ir_round_bf16(c->dtype, c->data, n, data);
        c->rounded = ir_constant_new(m, c->name, TN_BF16, c->rank, c->dims, data);
    }
    return ir_constant(g, c->rounded);
}

Value *ir_constant_f32(Graph *g, Constant *c) {
    Module *m = g->module;
    if (!c->widened) {
        size_t n = c->bytes / tn_dtype_size(c->dtype);
        float *data = arena_array(&m->cx->arena, n, sizeof *data);
        for (size_t i = 0; i < n; i++)
            data[i] = (float)ir_element_f64(c->dtype, c->data, (int64_t)i);
        c->widened = ir_constant_new(m, c->name, TN_F32, c->rank, c->dims, data);
        c->widened->narrow = tn_dtype_size(c->dtype) == 2 ? c : NULL;
    }
    return ir_constant(g, c->widened);
}

Value *ir_tensor(Graph *g, const char *name, TnDType dtype, int rank, const int64_t *dims,
                 const void *data) {
    Constant *c = ir_constant_new(g->module, name, dtype, rank, dims, data);
    c->data = arena_copy(&g->module->cx->arena, data, c->bytes);
    return ir_constant(g, c);
}

Value *ir_scalar(Graph *g, TnDType dtype, double v) {
    char data[8];
    ir_store_f64(dtype, data, 0, v);
    return ir_tensor(g, NULL, dtype, 0, NULL, data);
}

Value *ir_scalar_int(Graph *g, TnDType dtype, int64_t v) {
    char data[8];
    ir_store_i64(dtype, data, 0, v);
    return ir_tensor(g, NULL, dtype, 0, NULL, data);
}

uint64_t ir_constant_hash(Constant *c) {
    if (c->hash) return c->hash;
    int64_t head[2 + TN_MAX_RANK] = {c->dtype, c->rank};
    if (c->rank) memcpy(head + 2, c->dims, (size_t)c->rank * sizeof c->dims[0]);
    size_t head_bytes = (size_t)(2 + c->rank) * sizeof head[0];
    uint64_t seed = XXH3_64bits(head, head_bytes);
    uint64_t h = XXH3_64bits_withSeed(c->data, c->bytes, seed);
    c->hash = h ? h : 1; /* 0 says "not computed" */
    return c->hash;
}

static bool is_written_down(const Value *v) {
    return v->constant || (v->node && v->node->op == OP_splat);
}

bool ir_constant_int(const Value *v, int64_t *x) {
    if (!is_written_down(v)) return false;
    if (v->facts.pred) {
        *x = v->facts.pred->kind == PRED_TRUE;
        return *x || v->facts.pred->kind == PRED_FALSE;
    }
    return !tn_is_float(v->type.dtype) && v->facts.elem && ex_const(v->facts.elem, x);
}

bool ir_constant_float(const Value *v, double *x) {
    int64_t i;
    if (ir_constant_int(v, &i)) {
        *x = (double)i;
        return true;
    }
    if (!is_written_down(v) || !v->facts.choice || v->facts.choice->kind != PRED_TRUE) return false;
    *x = v->facts.yes;
    return true;
}

bool ir_constant_repeats(const Constant *c, int axis) {
    size_t block = tn_dtype_size(c->dtype); /* of one index along the axis */
    for (int i = axis + 1; i < c->rank; i++) block *= (size_t)c->dims[i];
    size_t run = block * (size_t)c->dims[axis];
    const unsigned char *data = c->data;
    if (c->dims[axis] < 2 || !c->bytes) return false;
    for (size_t at = 0; at < c->bytes; at += run) /* each block is the one before it */
        if (memcmp(data + at, data + at + block, run - block)) return false;
    return true;
}
