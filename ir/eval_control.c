/* Reference evaluation of if and loop.
 *
 * The dims that the node states for its results are compared with those that came out; a symbol
 * that nothing determined before is learnt from them. The results of a loop's iterations that are
 * stacked have equal dims; if there was none, lengths that nobody knows are 0. */
#include "ir/eval.h"

#include <string.h>

static void call_body(Evaluation *e, Graph *body, const Tensor *const *in, Tensor *out) {
    Evaluation inner = {.arena = e->arena, .watch = e->watch, .user = e->user};
    eval_graph(&inner, body, &e->symbols, in, out);
}

static void measure_results(Evaluation *e, const Node *n, const Tensor *out) {
    Module *m = e->g->module;
    const ExprList *dims = attr_exprs(n, "dims");
    int at = 0;
    for (int i = 0; i < n->output_count; i++)
        for (int k = 0; k < out[i].rank; k++, at++)
            ir_bind_measured(&e->symbols, ex_norm(m->ex, dims->e[at]), out[i].dims[k],
                             arena_printf(e->arena, "axis %d of result %d", k, i));
}

static bool is_true(const Tensor *t) {
    return !t || *(const unsigned char *)t->data != 0;
}

/* --- loop --- */

typedef struct LoopState {
    Evaluation *e;
    const Node *n;
    Graph *body;
    int carried, scans;
    const Tensor **in; /* of the body */
    Tensor *out;       /* of the body */
    Tensor *now;       /* the condition and what is carried */
    Tensor *stacked;   /* per scan: all so far */
} LoopState;

static Tensor scalar(Arena *a, TnDType dtype, int64_t v) {
    Tensor t = {.dtype = dtype, .bytes = tn_dtype_size(dtype)};
    t.data = arena_alloc(a, t.bytes);
    ir_store_i64(dtype, t.data, 0, v);
    return t;
}

/* Appends the scan's result of one iteration to those before it. */
static void stack(LoopState *l, Tensor *all, const Tensor *t, int64_t iteration) {
    Cx *cx = l->e->g->module->cx;
    if (!all->dtype) {
        *all = (Tensor){.dtype = t->dtype, .rank = t->rank + 1};
        memcpy(all->dims + 1, t->dims, (size_t)t->rank * sizeof *t->dims);
    }
    for (int k = 0; k < t->rank; k++)
        if (all->dims[k + 1] != t->dims[k])
            tn_fail(cx, TN_E_SHAPE, "axis %d of what iteration %lld stacks is %lld, not %lld", k,
                    (long long)iteration, (long long)t->dims[k], (long long)all->dims[k + 1]);
    char *data = arena_alloc(l->e->arena, all->bytes + t->bytes);
    if (all->bytes) memcpy(data, all->data, all->bytes);
    if (t->bytes) memcpy(data + all->bytes, t->data, t->bytes);
    all->data = data;
    all->bytes += t->bytes;
    all->dims[0]++;
}

static void run_iteration(LoopState *l, int64_t i) {
    Tensor number = scalar(l->e->arena, TN_I64, i);
    l->in[0] = &number;
    for (int k = 0; k <= l->carried; k++) l->in[1 + k] = &l->now[k];
    call_body(l->e, l->body, l->in, l->out);
    memcpy(l->now, l->out, (size_t)(1 + l->carried) * sizeof *l->now);
    for (int k = 0; k < l->scans; k++) stack(l, &l->stacked[k], &l->out[1 + l->carried + k], i);
}

/* Of a loop that did not run: what is known of the dims, else 0. */
static void empty_scan(LoopState *l, Tensor *all, const Value *v) {
    Module *m = l->e->g->module;
    *all = (Tensor){.dtype = v->type.dtype, .rank = v->type.rank};
    for (int k = 1; k < all->rank; k++) {
        const Symbol *s = ex_as_symbol(m->ex, v->type.dims[k]);
        if (!s || l->e->symbols.known[s->atom->number])
            ex_eval(m->ex, v->type.dims[k], l->e->symbols.value, &all->dims[k]);
    }
    all->data = arena_alloc(l->e->arena, 0);
}

static void eval_loop(Evaluation *e, const Node *n, const Tensor *const *in, Tensor *out) {
    Arena *a = e->arena;
    LoopState l = {.e = e, .n = n, .body = attr_graph(n, "body")};
    l.carried = (int)attr_int(n, "carried");
    l.scans = n->output_count - l.carried;
    l.in = ARENA_ARRAY(a, const Tensor *, (size_t)l.body->input_count);
    l.out = ARENA_ARRAY(a, Tensor, (size_t)l.body->output_count);
    l.now = ARENA_ARRAY(a, Tensor, (size_t)l.carried + 1);
    l.stacked = ARENA_ARRAY(a, Tensor, (size_t)l.scans);
    l.now[0] = scalar(a, TN_BOOL, is_true(in[1]));
    for (int k = 0; k < l.carried; k++) l.now[1 + k] = *in[2 + k];
    for (int k = 2 + l.carried; k < n->input_count; k++) l.in[k] = in[k];
    int64_t trips = in[0] ? ir_element_i64(TN_I64, in[0]->data, 0) : INT64_MAX;
    for (int64_t i = 0; i < trips && is_true(&l.now[0]); i++) run_iteration(&l, i);
    for (int k = 0; k < l.carried; k++) out[k] = l.now[1 + k];
    for (int k = 0; k < l.scans; k++) {
        if (!l.stacked[k].dtype) empty_scan(&l, &l.stacked[k], n->outputs[l.carried + k]);
        out[l.carried + k] = l.stacked[k];
    }
}

void eval_control(Evaluation *e, const Node *n, const Tensor *const *in, Tensor *out) {
    const char *op = ir_op_info(n->op)->name;
    tn_enter_node(e->g->module->cx, n->origin_count ? n->origins[0] : op, op);
    if (n->op == OP_if)
        call_body(e, attr_graph(n, is_true(in[0]) ? "then" : "else"), in + 1, out);
    else
        eval_loop(e, n, in, out);
    measure_results(e, n, out);
    tn_leave(e->g->module->cx);
}
