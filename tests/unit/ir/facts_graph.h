/* Random nodes over integer, boolean and float tensors: what make_any returns reads values that
 * were kept before.
 *
 *     keep(input("x", TN_I64, "a, b"));
 *     Value *v = make_any(); // NULL: no luck with the operands
 */
#ifndef TENON_TESTS_UNIT_IR_FACTS_GRAPH_H
#define TENON_TESTS_UNIT_IR_FACTS_GRAPH_H

#include "tests/unit/ir/fixture.h"

static uint64_t seed;

static inline int below(int n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (int)((seed >> 33) % (uint64_t)n);
}

static Value *pool[256];
static int pool_count;

static inline void keep(Value *v) {
    if (pool_count < 256) pool[pool_count++] = v;
}

static inline Value *any(void) {
    return pool[below(pool_count)];
}

/* A value of this type, or NULL. */
static inline Value *any_of(TnDType t) {
    for (int tries = 0; tries < 20; tries++) {
        Value *v = any();
        if (v->type.dtype == t) return v;
    }
    return NULL;
}

static inline bool fits(const Value *a, const Value *b) {
    for (int i = 1; i <= a->type.rank && i <= b->type.rank; i++) {
        const Expr *d = a->type.dims[a->type.rank - i], *e = b->type.dims[b->type.rank - i];
        if (d != e && !ex_is(d, 1) && !ex_is(e, 1)) return false;
    }
    return true;
}

/* Something of v's type that broadcasts with it. */
static inline Value *partner(const Value *v) {
    for (int tries = 0; tries < 30; tries++) {
        Value *w = any();
        if (w->type.dtype == v->type.dtype && fits(v, w)) return w;
    }
    return NULL;
}

static inline Value *make_binary(void) {
    static const OpKind numbers[] = {OP_add, OP_sub, OP_mul, OP_div, OP_mod, OP_min,
                                     OP_max, OP_eq,  OP_lt,  OP_le,  OP_add, OP_sub};
    static const OpKind logic[] = {OP_and, OP_or, OP_xor, OP_eq};
    Value *a = any(), *b = partner(a);
    if (!b) return NULL;
    OpKind op = a->type.dtype == TN_BOOL ? logic[below(4)] : numbers[below(12)];
    return ir_binary(fx.g, op, a, b);
}

static inline Value *make_unary(void) {
    static const TnDType types[] = {TN_I64, TN_F32, TN_BOOL, TN_I32, TN_U8, TN_I64};
    Value *a = any();
    if (below(2)) return ir_cast(fx.g, a, types[below(6)]);
    if (a->type.dtype == TN_BOOL) return ir_unary(fx.g, OP_not, a);
    if (tn_is_float(a->type.dtype)) return ir_unary(fx.g, below(2) ? OP_floor : OP_ceil, a);
    return ir_unary(fx.g, below(2) ? OP_neg : OP_abs, a);
}

static inline Value *make_where(void) {
    Value *a = any(), *b = partner(a), *c = any_of(TN_BOOL);
    return b && c && fits(a, c) && fits(b, c) ? ir_where(fx.g, c, a, b) : NULL;
}

static inline Value *make_view(void) {
    Value *v = any();
    int rank = v->type.rank;
    if (below(3) == 0 && rank < 4) return ir_unsqueeze(fx.g, v, below(rank + 1));
    if (rank < 1) return NULL;
    if (v->node && v->node->op == OP_view && below(2))
        return ir_view(fx.g, v, v->node->inputs[0]->type.rank, v->node->inputs[0]->type.dims);
    const Expr *flat = ir_elements(fx.m, &v->type);
    if (rank < 3 || below(2)) return ir_view(fx.g, v, 1, &flat);
    const Expr *dims[] = {ex_mul(fx.x, v->type.dims[0], v->type.dims[1]),
                          ex_exact_div(fx.x, flat, ex_mul(fx.x, v->type.dims[0], v->type.dims[1]))};
    return dims[1] ? ir_view(fx.g, v, 2, dims) : NULL;
}

static inline Value *make_transpose(void) {
    Value *v = any();
    int perm[TN_MAX_RANK];
    for (int i = 0; i < v->type.rank; i++) perm[i] = i;
    for (int i = v->type.rank - 1; i > 0; i--) {
        int j = below(i + 1), p = perm[i];
        perm[i] = perm[j];
        perm[j] = p;
    }
    return ir_transpose(fx.g, v, perm);
}

static inline Value *make_expand(void) {
    static const char *const lengths[] = {"a", "b", "2", "3"};
    Value *v = any();
    const Expr *dims[TN_MAX_RANK];
    int more = v->type.rank < 3 && below(3) == 0, rank = v->type.rank + more;
    for (int i = 0; i < rank; i++) {
        const Expr *d = i < more ? num(1) : v->type.dims[i - more];
        dims[i] = ex_is(d, 1) && below(2) ? dim(lengths[below(4)]) : d;
    }
    return ir_expand(fx.g, v, rank, dims);
}

static inline Value *make_slice(void) {
    Value *v = any();
    if (v->type.rank < 1) return NULL;
    int axis = below(v->type.rank);
    const Expr *d = v->type.dims[axis], *one = num(1);
    if (!ex_provably_ge(fx.x, d, one)) return NULL;
    if (below(3) == 0) return ir_slice(fx.g, v, axis, ex_sub(fx.x, d, one), d, -1);
    if (below(2)) return ir_slice(fx.g, v, axis, num(0), ex_ceildiv(fx.x, d, num(2)), 2);
    return ir_slice(fx.g, v, axis, one, ex_sub(fx.x, d, one), 1);
}

static inline Value *make_concat(void) {
    Value *a = any(), *b = any();
    if (a->type.dtype != b->type.dtype || a->type.rank != b->type.rank || a->type.rank < 1)
        return NULL;
    int axis = below(a->type.rank);
    for (int i = 0; i < a->type.rank; i++)
        if (i != axis && a->type.dims[i] != b->type.dims[i]) return NULL;
    return ir_concat(fx.g, 2, (Value *[]){a, b}, axis);
}

static inline Value *make_pad(void) {
    Value *v = any();
    const Expr *before[TN_MAX_RANK], *after[TN_MAX_RANK];
    for (int i = 0; i < v->type.rank; i++) {
        before[i] = num(below(2));
        after[i] = num(below(2));
    }
    Node *n = ir_node(fx.g, OP_pad, 1, &v);
    ir_set_dims(n, "before", v->type.rank, before);
    ir_set_dims(n, "after", v->type.rank, after);
    return ir_insert(n);
}

/* Indices that stay in range: something reduced modulo the length, or a range. */
static inline Value *make_gather(void) {
    Value *v = any(), *index;
    if (v->type.rank < 1) return NULL;
    int axis = below(v->type.rank);
    const Expr *d = v->type.dims[axis];
    if (!ex_provably_ge(fx.x, d, num(1))) return NULL;
    if (below(2)) {
        index = any_of(TN_I64);
        if (!index || index->type.rank > 2 || v->type.rank + index->type.rank > 4) return NULL;
        Value *length = ir_view(fx.g, ir_scalars(fx.g, TN_I64, 1, &d), 0, NULL);
        index = ir_binary(fx.g, OP_mod, index, length);
    } else {
        index = ir_iota(fx.g, TN_I64, d, below(2) ? num(0) : ex_sub(fx.x, d, num(1)), num(0));
    }
    return ir_gather(fx.g, v, index, axis);
}

/* mask[b, j] by its flat index, as TorchScript writes it. */
static inline Value *make_flat_gather(void) {
    Value *v = any();
    if (v->type.rank != 2) return NULL;
    const Expr *flat = ir_elements(fx.m, &v->type), *zero = num(0), *one = num(1);
    Value *rows = ir_iota(fx.g, TN_I64, v->type.dims[0], zero, v->type.dims[1]);
    Value *columns = ir_iota(fx.g, TN_I64, v->type.dims[1], zero, one);
    Value *index = ir_binary(fx.g, OP_add, ir_unsqueeze(fx.g, rows, 1), columns);
    return ir_gather(fx.g, ir_view(fx.g, v, 1, &flat), index, 0);
}

static inline Value *make_gather_nd(void) {
    Value *v = any();
    if (v->type.rank != 2) return NULL;
    const Expr *dims[] = {v->type.dims[0], v->type.dims[1], num(1)};
    Value *i = ir_iota(fx.g, TN_I64, dims[0], num(0), num(1));
    Value *j = ir_iota(fx.g, TN_I64, dims[1], num(0), num(1));
    i = ir_expand(fx.g, ir_view(fx.g, i, 3, (const Expr *[]){dims[0], num(1), num(1)}), 3, dims);
    j = ir_expand(fx.g, ir_view(fx.g, j, 3, (const Expr *[]){num(1), dims[1], num(1)}), 3, dims);
    Value *index = ir_concat(fx.g, 2, (Value *[]){i, j}, 2);
    return ir_insert(ir_node(fx.g, OP_gather_nd, 2, (Value *[]){v, index}));
}

static inline Value *make_reduce(void) {
    static const OpKind ops[] = {OP_reduce_sum, OP_reduce_max, OP_reduce_min, OP_reduce_prod};
    Value *v = any_of(TN_I64);
    if (!v || v->type.rank < 1) return NULL;
    int64_t axis = below(v->type.rank);
    return ir_reduce(fx.g, ops[below(4)], v, 1, &axis, below(2));
}

static inline Value *make_source(void) {
    static const TnDType types[] = {TN_I64, TN_F32, TN_BOOL};
    static const char *const lengths[] = {"a", "b", "1", "3"};
    const Expr *d = dim(lengths[below(4)]);
    int64_t table[6];
    for (int i = 0; i < 6; i++) table[i] = below(7) - 3;
    switch (below(4)) {
    case 0: return ir_splat(fx.g, types[below(3)], 1, &d, below(3));
    case 1: return ir_iota(fx.g, TN_I64, d, num(below(3) - 1), num(below(3) - 1));
    case 2: return ir_scalars(fx.g, TN_I64, 2, (const Expr *[]){d, dim("a - b")});
    default: return ir_tensor(fx.g, NULL, TN_I64, 2, (int64_t[]){2, 3}, table);
    }
}

static inline Value *make_any(void) {
    static Value *(*const makers[])(void) = {
        make_binary,      make_binary,    make_unary,  make_where,  make_view, make_view,
        make_transpose,   make_expand,    make_slice,  make_concat, make_pad,  make_gather,
        make_flat_gather, make_gather_nd, make_reduce, make_source,
    };
    return makers[below((int)(sizeof makers / sizeof *makers))]();
}

#endif
