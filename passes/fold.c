/* Values known at compile time: constants computed by the reference kernels, and elements known
 * from facts.
 *
 * A node over constants is evaluated if its result is small, against the weights or altogether, or
 * no larger than what goes in, and not too much work. A tensor whose elements are known without
 * data (facts) becomes a constant, `scalars`, `splat` or `iota`. */
#include "passes/canon.h"

#include "runtime/base/checked.h"

#define SMALL_BYTES    (64 << 10)
#define GROWN_PART     64         /* of the weights: a result that is larger than its operands */
#define SMALL_COUNT    4096       /* elements of a splat, iota or expansion that is a constant */
#define MAX_WORK       (64 << 20) /* steps or elements computed at compile time, per node */
#define FOLDED_TIMES   16         /* the weights, beside TN_MAX_FOLD: all results together */
#define STEPS_PER_BYTE 16         /* computed or bytes read: time counts with the results */
#define MAX_PRODUCT    (1 << 30)  /* of a matrix product: multiply-adds, which are cheaper */

/* elements x factor, at most MAX_PRODUCT */
static int64_t times(int64_t elements, int64_t factor) {
    return elements > 0 && factor > MAX_PRODUCT / elements ? MAX_PRODUCT : elements * factor;
}

static bool is_product(const Node *n) {
    return n->op == OP_matmul || n->op == OP_linear;
}

static int64_t work(const Node *n, int64_t elements) {
    if (n->op == OP_pool) {
        const IntList *kernel = attr_ints(n, "kernel");
        for (int i = 0; i < kernel->count; i++) elements = times(elements, kernel->v[i]);
        return elements;
    }
    if (is_product(n)) {
        const Type *a = &n->inputs[0]->type;
        bool transposed = n->op == OP_matmul && attr_bool(n, "ta");
        int64_t k;
        return ex_const(a->dims[a->rank - (transposed ? 2 : 1)], &k) ? times(elements, k)
                                                                     : elements;
    }
    if (n->op != OP_conv) return elements;
    const Type *w = &n->inputs[1]->type;
    int64_t d;
    for (int i = 1; i < w->rank; i++)
        if (ex_const(w->dims[i], &d)) elements = times(elements, d > 0 ? d : 1);
    return elements;
}

/* Whether a result may become a constant, and if so counts it. One that is larger than what it is
 * computed from makes the plan grow: masks of shifted windows, positions' sines, biases by distance
 * that layers of their own compute. They may, being little beside the weights. All that is computed
 * here is bounded as well, and the time it takes, since a file may have any number of nodes over
 * one large constant. */
static bool may_take(Module *m, int64_t bytes, int64_t in, int64_t steps) {
    if (!m->weights)
        for (const Constant *c = m->constants; c; c = c->next) m->weights += (int64_t)c->bytes;
    if (bytes > SMALL_BYTES && bytes > in && bytes > m->weights / GROWN_PART) return false;
    bytes += (in + steps) / STEPS_PER_BYTE;
    if (bytes > FOLDED_TIMES * m->weights + TN_MAX_FOLD - m->grown) return false;
    m->grown += bytes;
    return true;
}

static bool worth_folding(const Node *n, int64_t elements, int64_t bytes) {
    int64_t in = 0;
    if (ir_is_attention(n)) return false;
    if (!n->input_count) return (n->op == OP_splat || n->op == OP_iota) && elements <= SMALL_COUNT;
    for (int i = 0; i < n->input_count; i++) {
        if (!n->inputs[i]) continue;
        if (!n->inputs[i]->constant) return false;
        in += (int64_t)n->inputs[i]->constant->bytes;
    }
    if (ir_awaits_linear(n) || ir_awaits_integers(n)) return false;
    if (bytes > TN_MAX_FOLD || (n->op == OP_expand && elements > SMALL_COUNT)) return false;
    int64_t steps = (ir_op_info(n->op)->flags & OPF_MOVE) ? 0 : work(n, elements);
    if (steps >= (is_product(n) ? MAX_PRODUCT : MAX_WORK)) return false;
    return may_take(n->graph->module, bytes, in, steps);
}

/* Integers of few bits as floats: a scale makes weights of them. */
static bool is_from_few_bits(const Node *n) {
    const TnDType t = n->op == OP_cast ? n->inputs[0]->type.dtype : TN_NONE;
    return (t == TN_I8 || t == TN_U8 || t == TN_I4 || t == TN_U4) && n->outputs[0]->type.rank > 1 &&
           tn_is_float(n->outputs[0]->type.dtype);
}

/* The same bytes, as many as they may be, under other dims. */
static Value *seen_under(const Node *n, int rank, const int64_t *dims) {
    const Constant *c = n->inputs[0]->constant;
    return ir_constant(n->graph, ir_constant_new(n->graph->module, n->outputs[0]->name, c->dtype,
                                                 rank, dims, c->data));
}

/* Weights that the file has in 16 bits and casts: as many more bytes are no growth, since they are
 * read narrow where that will do (widen). */
static Value *fold_cast_weights(Node *n) {
    Constant *c = n->inputs[0]->constant;
    const int64_t bytes = 2 * (int64_t)c->bytes;
    return may_take(n->graph->module, bytes, bytes, bytes / 4) ? ir_constant_f32(n->graph, c)
                                                               : NULL;
}

static Value *fold_constants(Node *n) {
    Graph *g = n->graph;
    int64_t dims[TN_MAX_RANK], elements;
    const Type *t = &n->outputs[0]->type;
    if (n->output_count != 1 || (ir_op_info(n->op)->flags & OPF_CONTROL) ||
        !ir_static_dims(t, dims))
        return NULL;
    if (!ir_attrs_known(n)) return NULL;
    if (ir_casts_weights(n)) return fold_cast_weights(n);
    if (n->op == OP_view && n->inputs[0]->constant) return seen_under(n, t->rank, dims);
    if (!tn_product(dims, t->rank, &elements) || elements > TN_MAX_FOLD) return NULL;
    if (!worth_folding(n, elements, elements * (int64_t)tn_dtype_size(t->dtype))) return NULL;
    Arena *a = &g->module->cx->arena;
    Tensor *in = ARENA_ARRAY(a, Tensor, (size_t)n->input_count), out = {0};
    const Tensor **inputs = ARENA_ARRAY(a, const Tensor *, (size_t)n->input_count);
    for (int i = 0; i < n->input_count; i++) {
        const Constant *c = n->inputs[i] ? n->inputs[i]->constant : NULL;
        inputs[i] = c ? &in[i] : NULL;
        if (!c) continue;
        in[i] = (Tensor){
            .dtype = c->dtype, .rank = c->rank, .data = (void *)c->data, .bytes = c->bytes};
        for (int k = 0; k < c->rank; k++) in[i].dims[k] = c->dims[k];
    }
    ir_eval_node(n, inputs, &out, NULL, a);
    g->module->scaled |= is_from_few_bits(n);
    const char *name = n->outputs[0]->name;
    return ir_constant(g,
                       ir_constant_new(g->module, name, out.dtype, out.rank, out.dims, out.data));
}

/* All elements as numbers. */
static bool number_of(const Expr *e, double *x) {
    if (e->count == 0) {
        *x = 0;
        return true;
    }
    if (e->count != 1 || e->terms[0].degree) return false;
    *x = (double)e->terms[0].coef.num / (double)e->terms[0].coef.den;
    return true;
}

static Value *constant_of_values(Graph *g, const Value *v) {
    int64_t dims[TN_MAX_RANK];
    if (!ir_static_dims(&v->type, dims)) return NULL;
    unsigned char *data = arena_array(&g->module->cx->arena, (size_t)v->facts.count + 1, 8);
    for (int i = 0; i < v->facts.count; i++) {
        double x;
        int64_t k;
        if (ex_const(v->facts.values[i], &k) && !tn_is_float(v->type.dtype))
            ir_store_i64(v->type.dtype, data, i, k);
        else if (tn_is_float(v->type.dtype) && number_of(v->facts.values[i], &x))
            ir_store_f64(v->type.dtype, data, i, x);
        else
            return NULL;
    }
    return ir_constant(
        g, ir_constant_new(g->module, v->name, v->type.dtype, v->type.rank, dims, data));
}

static bool symbols_only(const Expr *e) {
    return ex_is_integral(e) && !ex_mentions(e, ATOM_LOAD) && !ex_mentions(e, ATOM_COORD) &&
           !ex_mentions(e, ATOM_WHERE) && !ex_mentions(e, ATOM_BIT) &&
           !ex_mentions(e, ATOM_TRUNC) && !ex_mentions(e, ATOM_ABS);
}

/* Few elements, each known in symbols. */
static Value *write_values(Node *n) {
    const Value *v = n->outputs[0];
    if (!v->facts.values) return NULL;
    Value *c = constant_of_values(n->graph, v);
    if (c) return c;
    if (!tn_is_int(v->type.dtype) || n->op == OP_scalars) return NULL;
    if (n->op == OP_view && n->inputs[0]->node && n->inputs[0]->node->op == OP_scalars) return NULL;
    for (int i = 0; i < v->facts.count; i++)
        if (!symbols_only(v->facts.values[i])) return NULL;
    Value *s = ir_scalars(n->graph, v->type.dtype, v->facts.count, v->facts.values);
    return ir_view(n->graph, s, v->type.rank, v->type.dims);
}

/* Every element the same number. */
static Value *write_splat(Node *n) {
    Graph *g = n->graph;
    const Value *v = n->outputs[0];
    const Facts *f = &v->facts;
    int64_t k;
    if (n->op == OP_splat) return NULL;
    if (f->choice && f->choice->kind == PRED_TRUE)
        return ir_splat(g, v->type.dtype, v->type.rank, v->type.dims, f->yes);
    if (f->choice && f->choice->kind == PRED_FALSE)
        return ir_splat(g, v->type.dtype, v->type.rank, v->type.dims, f->no);
    if (f->pred && (f->pred->kind == PRED_TRUE || f->pred->kind == PRED_FALSE))
        k = f->pred->kind == PRED_TRUE;
    else if (tn_is_float(v->type.dtype) || !f->elem || !ex_const(f->elem, &k))
        return NULL;
    Node *s = ir_node(g, OP_splat, 0, NULL);
    ir_set_dtype(s, "dtype", v->type.dtype);
    ir_set_dims(s, "dims", v->type.rank, v->type.dims);
    ir_set_int(s, "integer", k);
    return ir_insert(s);
}

/* start + step * i0; few elements are written one by one */
static Value *write_iota(Node *n) {
    const Value *v = n->outputs[0];
    if (n->op == OP_iota || v->facts.values || v->type.rank != 1 || !v->facts.elem ||
        !tn_is_int(v->type.dtype))
        return NULL;
    ExprCx *x = n->graph->module->ex;
    const Expr *zero = ex_int(x, 0), *one = ex_int(x, 1);
    const Expr *start = ex_at(x, v->facts.elem, &zero, 1);
    const Expr *step = ex_sub(x, ex_at(x, v->facts.elem, &one, 1), start);
    if (!symbols_only(start) || !symbols_only(step)) return NULL;
    const Expr *i = ex_coord(x, 0, v->type.dims[0]);
    if (ex_add(x, start, ex_mul(x, step, i)) != v->facts.elem) return NULL;
    return ir_iota(n->graph, v->type.dtype, v->type.dims[0], start, step);
}

Value *canon_fold(Node *n) {
    if (ir_op_info(n->op)->flags & OPF_CHECKS) return NULL;
    Value *v = fold_constants(n);
    if (!v) v = write_values(n);
    if (!v) v = write_splat(n);
    if (!v) v = write_iota(n);
    return v;
}
