/* If: one branch where the condition is known, else an `if` node over two bodies.
 *
 * Both bodies take the same captures. Each has symbols of its own, so what one branch requires of
 * lengths does not bind the other. A length that both branches give by the same expression over
 * lengths from outside keeps it; any other one is measured. Sequences and optionals come out of
 * both branches with the same number of elements or not at all: their elements are results. */
#include "frontend/onnx/flow.h"

/* --- results as tensors --- */

/* The tensors of a result, in `list` from `at` on; `list` NULL: how many there are. */
static int flatten(OnnxResult r, Value **list, int at) {
    if (r.value) {
        if (list) list[at] = r.value;
        return at + 1;
    }
    for (int i = 0; i < r.list->count; i++) at = flatten(r.list->items[i], list, at);
    return at;
}

static bool same_form(OnnxResult a, OnnxResult b) {
    if (a.value || b.value) return a.value && b.value;
    if (a.list->stacked || b.list->stacked || a.list->optional != b.list->optional ||
        a.list->count != b.list->count)
        return false;
    for (int i = 0; i < a.list->count; i++)
        if (!same_form(a.list->items[i], b.list->items[i])) return false;
    return true;
}

/* A result of this form made of tensors from *at on. */
static OnnxResult unflatten(OnnxNode *n, OnnxResult form, Value *const *list, int *at) {
    if (form.value) return (OnnxResult){.value = list[(*at)++]};
    OnnxList *copy = ARENA_NEW(&n->cx->arena, OnnxList);
    *copy = *form.list;
    copy->items = ARENA_ARRAY(&n->cx->arena, OnnxResult, (size_t)copy->count);
    for (int i = 0; i < copy->count; i++)
        copy->items[i] = unflatten(n, form.list->items[i], list, at);
    return (OnnxResult){.list = copy};
}

/* --- an undecided condition --- */

typedef struct Branch {
    Wiring *w;
    OnnxResult *results;
    Value **tensors;
} Branch;

static void check_results(OnnxNode *n, const Branch *b, int i, const Value *x, const Value *y) {
    if (x->type.dtype != y->type.dtype)
        tn_fail(n->cx, TN_E_MODEL, "output %d is %s in one branch and %s in the other", i,
                ir_type_text(n->m, &x->type), ir_type_text(n->m, &y->type));
    if (x->type.rank != y->type.rank)
        tn_fail(
            n->cx, TN_E_UNSUPPORTED,
            "output '%s' is %s in one branch and %s in the other: different numbers of axes are "
            "unsupported, unless the condition is known",
            b->w->outputs[i]->name, ir_type_text(n->m, &x->type), ir_type_text(n->m, &y->type));
}

/* One for each axis of each tensor. */
static const Expr **result_dims(OnnxNode *n, const Frame *f, const Branch *b, int count,
                                int *total) {
    Importer *im = n->scope->im;
    *total = 0;
    for (int i = 0; i < count; i++) *total += b[0].tensors[i]->type.rank;
    const Expr **dims = ARENA_ARRAY(&n->cx->arena, const Expr *, (size_t)*total + 1);
    for (int i = 0, at = 0; i < count; i++)
        for (int k = 0; k < b[0].tensors[i]->type.rank; k++, at++) {
            dims[at] = flow_outside(im, &f[0], b[0].tensors[i]->type.dims[k]);
            if (!dims[at] || dims[at] != flow_outside(im, &f[1], b[1].tensors[i]->type.dims[k]))
                dims[at] = flow_symbol(n, "r", i, k);
        }
    return dims;
}

static void import_branch(OnnxNode *n, Frame *f, Branch *b, const char *suffix) {
    const char *origin = n->g->origin;
    b->results = ARENA_ARRAY(&n->cx->arena, OnnxResult, b->w->output_count);
    flow_try_graph(n, f, b->w, suffix, NULL, 0);
    n->g->origin = origin;
}

static void add_results(OnnxNode *n, Frame *f, Branch *b, int count) {
    b->tensors = ARENA_ARRAY(&n->cx->arena, Value *, (size_t)count + 1);
    int at = 0;
    for (size_t i = 0; i < b->w->output_count; i++) at = flatten(b->results[i], b->tensors, at);
    for (int i = 0; i < count; i++)
        ir_output(f->g, arena_printf(&n->cx->arena, "%d", i), b->tensors[i]);
}

static void match_forms(OnnxNode *n, const Branch *b) {
    for (size_t i = 0; i < b[0].w->output_count; i++)
        if (!same_form(b[0].results[i], b[1].results[i]))
            tn_fail(n->cx, TN_E_UNSUPPORTED,
                    "output '%s' is a sequence or optional whose number of elements depends on the "
                    "condition, which is unsupported",
                    b[0].w->outputs[i]->name);
    for (size_t i = 0; i < b[0].w->output_count; i++) {
        int count = flatten(b[0].results[i], NULL, 0);
        Value **x = ARENA_ARRAY(&n->cx->arena, Value *, (size_t)count + 1);
        Value **y = ARENA_ARRAY(&n->cx->arena, Value *, (size_t)count + 1);
        flatten(b[0].results[i], x, 0);
        flatten(b[1].results[i], y, 0);
        for (int k = 0; k < count; k++) check_results(n, &b[0], (int)i, x[k], y[k]);
    }
}

static void insert_if(OnnxNode *n, Value *condition, const Frame *f, const Branch *b, int count) {
    const Captures *c = f->captures;
    int total, at = 0;
    Value **in = ARENA_ARRAY(&n->cx->arena, Value *, (size_t)c->count + 1);
    in[0] = condition;
    for (int i = 0; i < c->count; i++) in[1 + i] = c->outer[i];
    const Expr **dims = result_dims(n, f, b, count, &total);
    Node *node = ir_node(n->g, OP_if, 1 + c->count, in);
    ir_set_graph(node, "then", f[0].g);
    ir_set_graph(node, "else", f[1].g);
    ir_set_exprs(node, "dims", total, dims);
    ir_insert(node);
    for (int i = 0; i < n->output_count; i++) {
        OnnxResult r = unflatten(n, b[0].results[i], node->outputs, &at);
        n->outputs[i] = r.value;
        n->list_outputs[i] = r.list;
    }
}

/* --- all --- */

static void check_branch(OnnxNode *n, const Wiring *w) {
    flow_need_counts(n, w, 0, n->output_count);
    if (w->output_count != n->wired->proto->n_output)
        tn_fail(n->cx, TN_E_MODEL, "a branch has %zu outputs, the node has %zu", w->output_count,
                n->wired->proto->n_output);
}

void import_if(OnnxNode *n) {
    Branch b[] = {{.w = flow_graph(n, "then_branch")}, {.w = flow_graph(n, "else_branch")}};
    bool which;
    check_branch(n, b[0].w);
    check_branch(n, b[1].w);
    if (!n->inputs[0]) tn_fail(n->cx, TN_E_MODEL, "the condition is no tensor");
    Value *condition = flow_scalar(n, n->inputs[0], TN_BOOL, "the condition");
    if (flow_known_bool(n, condition, &which)) {
        Branch *taken = &b[which ? 0 : 1];
        import_branch(n, n->scope->frame, taken, which ? ".then" : ".else");
        flow_graph_results(n, n->scope->frame, taken->w, taken->results);
        for (int i = 0; i < n->output_count; i++) {
            n->outputs[i] = taken->results[i].value;
            n->list_outputs[i] = taken->results[i].list;
        }
        return;
    }
    Captures captures = {0};
    Frame f[] = {flow_body(n, ".then", &captures, true), flow_body(n, ".else", &captures, true)};
    import_branch(n, &f[0], &b[0], ".then");
    import_branch(n, &f[1], &b[1], ".else");
    for (int k = 0; k < 2; k++) flow_graph_results(n, &f[k], b[k].w, b[k].results);
    match_forms(n, b);
    int count = 0;
    for (size_t i = 0; i < b[0].w->output_count; i++) count = flatten(b[0].results[i], NULL, count);
    for (int k = 0; k < 2; k++) add_results(n, &f[k], &b[k], count);
    for (int k = 0; k < 2; k++) flow_bind_symbols(n->scope->im, &f[k]);
    flow_settle(f, 2, 0);
    insert_if(n, condition, f, b, count);
}
