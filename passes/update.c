/* update: assignments that exporters write as scatter_nd.
 *
 * To the places of a mask, one number or one row at all of them (x[mask] = c):
 *
 *     %k: i64[1] = measure %count {symbols=[k]}
 *     %i: i64[2, k] = nonzero %mask {count=k}
 *     %t: i64[k, 2] = transpose %i {perm=[1, 0]}
 *     %u: f32[k] = expand %c {dims=[k]}
 *     %y: f32[a, b] = scatter_nd %x, %t, %u        =>   %y: f32[a, b] = where %mask, %c, %x
 *
 * or what another tensor has there (x[mask] = v[mask], where the update is gather_nd of v at the
 * same places). Any spelling of the places will do whose elements are the mask's coordinates,
 * followed by positions that run over the whole of the axes behind.
 *
 * To a block, at positions that follow from the place (x[:, 2:5] = u):
 *
 *     %y = scatter_nd %x, %grid, %u                =>   %y = concat %x[:, 0:2], %u, %x[:, 5:n]
 *
 * and so on inwards, if it is only a part of several axes.
 *
 * What counted the mask's elements is not needed any more, and goes if nothing else uses the count.
 */
#include "ir/build.h"
#include "ir/symbols.h"
#include "passes/index.h"
#include "passes/pass.h"

/* --- positions --- */

/* Positions [start, start + length) along each axis of x. */
typedef struct Block {
    const Expr *start[TN_MAX_RANK], *length[TN_MAX_RANK];
} Block;

/* Component k of the indices runs over an axis of its own, later than those before it, or is the
 * same everywhere. */
static bool component(const Node *n, int k, int *last, Block *b) {
    Module *m = n->graph->module;
    const Value *index = n->inputs[1];
    const Expr *at[TN_MAX_RANK], *dim = n->inputs[0]->type.dims[k];
    int points = index->type.rank - 1, axis;
    int64_t start;
    for (int i = 0; i < points; i++) at[i] = ex_coord(m->ex, i, index->type.dims[i]);
    at[points] = ex_int(m->ex, k);
    const Expr *e = ex_at(m->ex, index->facts.elem, at, points + 1);
    if (!index_run(m, e, &index->type, &b->start[k], &axis) || (axis >= 0 && axis <= *last))
        return false;
    if (ex_const(b->start[k], &start) && start < 0) b->start[k] = ex_add(m->ex, b->start[k], dim);
    b->length[k] = axis < 0 ? ex_int(m->ex, 1) : index->type.dims[axis];
    for (int i = *last + 1; axis >= 0 && i < axis; i++)
        if (!ex_is(index->type.dims[i], 1)) return false;
    if (axis >= 0) *last = axis;
    return ex_nonneg(m->ex, b->start[k]) &&
           ex_provably_ge(m->ex, dim, ex_add(m->ex, b->start[k], b->length[k]));
}

/* --- masks --- */

/* The tensor of coordinates that component k of the indices is read from, its row k. */
static const Value *coordinates_of(const Node *n, int k) {
    Module *m = n->graph->module;
    const Value *index = n->inputs[1];
    const Expr *at[TN_MAX_RANK], *first = ex_coord(m->ex, 0, index->type.dims[0]);
    int points = index->type.rank - 1;
    if (!index->facts.elem || points < 1) return NULL;
    for (int i = 0; i < points; i++) at[i] = ex_coord(m->ex, i, index->type.dims[i]);
    at[points] = ex_int(m->ex, k);
    const Expr *e = ex_at(m->ex, index->facts.elem, at, points + 1);
    if (e->count != 1 || e->terms[0].degree != 1 || e->terms[0].coef.num != 1 ||
        e->terms[0].coef.den != 1)
        return NULL;
    const Atom *a = e->terms[0].atoms[0];
    if (a->kind != ATOM_LOAD || !ex_is(a->args[0], k) || a->args[1] != first) return NULL;
    const Value *source = a->leaf;
    return ir_producer(source, OP_nonzero) && a->arity == 2 ? source : NULL;
}

/* The mask whose true elements' coordinates, for one of its elements after another, begin the
 * indices; what follows runs over the whole of x's axes. */
static Value *mask_of(const Node *n) {
    const Value *source = coordinates_of(n, 0);
    const Type *index = &n->inputs[1]->type, *x = &n->inputs[0]->type;
    int64_t depth;
    if (!source || !ex_const(index->dims[index->rank - 1], &depth)) return NULL;
    Value *mask = source->node->inputs[0];
    int rank = mask->type.rank, last = 0;
    if (rank > depth) return NULL;
    for (int k = 1; k < rank; k++)
        if (coordinates_of(n, k) != source) return NULL;
    for (int k = rank; k < depth; k++) {
        Block b;
        if (!component(n, k, &last, &b) || !ex_is(b.start[k], 0) || b.length[k] != x->dims[k])
            return NULL;
    }
    for (int i = last + 1; i < index->rank - 1; i++)
        if (!ex_is(index->dims[i], 1)) return NULL;
    return mask;
}

/* What every row of u is, with at most `rank` axes; NULL if rows differ or that is not known. */
static Value *same_row(Graph *g, Value *u, int rank) {
    const Facts *f = &u->facts;
    int64_t v;
    if (tn_is_float(u->type.dtype) && f->choice && f->choice->kind == PRED_TRUE)
        return ir_scalar(g, u->type.dtype, f->yes);
    if (tn_is_int(u->type.dtype) && f->elem && ex_const(f->elem, &v))
        return ir_scalar_int(g, u->type.dtype, v);
    const Node *n = ir_producer(u, OP_expand);
    if (!n) return NULL;
    Value *row = n->inputs[0];
    if (row->type.rank <= rank) return row;
    return ex_is(row->type.dims[0], 1) ? ir_squeeze(g, row, 0) : NULL;
}

/* What the update was read from, if that has x's dims and was read at the same places. */
static Value *same_places(const Node *n) {
    const Node *gather = ir_producer(n->inputs[2], OP_gather_nd);
    if (!gather || gather->inputs[1] != n->inputs[1] || attr_int(gather, "batch") != 0) return NULL;
    return ir_same_dims(&gather->inputs[0]->type, &n->inputs[0]->type) ? gather->inputs[0] : NULL;
}

static Value *masked_update(Node *n, Report *r) {
    Graph *g = n->graph;
    Value *x = n->inputs[0], *mask = mask_of(n);
    if (!mask) return NULL;
    int depth = mask->type.rank;
    const Expr *dims[TN_MAX_RANK];
    for (int i = 0; i < x->type.rank; i++) {
        dims[i] = i < depth ? mask->type.dims[i] : ex_int(g->module->ex, 1);
        if (i < depth && dims[i] != x->type.dims[i]) {
            report_miss(r, "update", n, "the mask is %s, the tensor %s",
                        ir_type_text(g->module, &mask->type), ir_type_text(g->module, &x->type));
            return NULL;
        }
    }
    Value *row = same_places(n);
    if (!row) row = same_row(g, n->inputs[2], x->type.rank - depth);
    if (!row) {
        report_miss(r, "update", n, "the mask's places get different values");
        return NULL;
    }
    return ir_where(g, ir_view(g, mask, x->type.rank, dims), row, x);
}

/* --- blocks --- */

static bool find_block(const Node *n, Block *b) {
    const Type *x = &n->inputs[0]->type, *index = &n->inputs[1]->type;
    int64_t depth;
    int last = -1;
    if (!n->inputs[1]->facts.elem || !ex_const(index->dims[index->rank - 1], &depth)) return false;
    for (int k = 0; k < x->rank; k++) {
        b->start[k] = ex_int(n->graph->module->ex, 0);
        b->length[k] = x->dims[k];
        if (k < depth && !component(n, k, &last, b)) return false;
    }
    for (int i = last + 1; i < index->rank - 1; i++)
        if (!ex_is(index->dims[i], 1)) return false;
    return true;
}

/* `old`, which is the block along the axes before `axis`, with `new` in its place. */
static Value *around_block(Graph *g, const Block *b, int axis, Value *old, Value *new) {
    ExprCx *x = g->module->ex;
    while (axis < old->type.rank && b->length[axis] == old->type.dims[axis]) axis++;
    if (axis == old->type.rank) return new;
    Value *parts[3];
    int count = 0;
    const Expr *dim = old->type.dims[axis], *end = ex_add(x, b->start[axis], b->length[axis]);
    if (!ex_is(b->start[axis], 0))
        parts[count++] = ir_slice(g, old, axis, ex_int(x, 0), b->start[axis], 1);
    Value *inner = ir_slice(g, old, axis, b->start[axis], b->length[axis], 1);
    parts[count++] = around_block(g, b, axis + 1, inner, new);
    if (end != dim) parts[count++] = ir_slice(g, old, axis, end, ex_sub(x, dim, end), 1);
    return ir_concat(g, count, parts, axis);
}

static Value *block_update(Node *n) {
    Block b;
    if (!find_block(n, &b)) return NULL;
    Value *old = n->inputs[0];
    Value *new = ir_view(n->graph, n->inputs[2], old->type.rank, b.length);
    return around_block(n->graph, &b, 0, old, new);
}

/* --- counts that nobody uses --- */

typedef struct Search {
    int symbol;
    bool found;
} Search;

static void compare_symbol(void *user, int symbol) {
    Search *s = user;
    s->found = s->found || symbol == s->symbol;
}

static void search_dims(Search *s, const Expr *const *e, int count) {
    for (int i = 0; i < count; i++) ir_each_symbol(e[i], compare_symbol, s);
}

static bool mentions(const Node *n, int symbol) {
    Search s = {symbol, false};
    for (int i = 0; i < n->output_count; i++)
        search_dims(&s, n->outputs[i]->type.dims, n->outputs[i]->type.rank);
    for (int i = 0; i < ir_attr_count(n->op); i++) {
        const Attr *a = &n->attrs[i];
        char kind = ir_attr_info(n->op, i)->kind;
        if (kind == 'd') search_dims(&s, &a->d, 1);
        if (kind == 'D') search_dims(&s, a->D->e, a->D->count);
        if (kind == 'E') search_dims(&s, a->E->e, a->E->count);
    }
    return s.found;
}

static bool only_measured(const Node *measure, int symbol) {
    for (const Graph *g = measure->graph->module->graphs; g; g = g->next)
        for (const Node *n = g->first; n; n = n->next)
            if (n != measure && mentions(n, symbol)) return false;
    return true;
}

/* A sum of booleans: whatever it is, it is a length. */
static bool is_count(const Value *v) {
    while (v->node && v->node->op == OP_view) v = v->node->inputs[0];
    const Node *sum = ir_producer(v, OP_reduce_sum);
    const Node *cast = sum ? ir_producer(sum->inputs[0], OP_cast) : NULL;
    return cast && cast->inputs[0]->type.dtype == TN_BOOL;
}

/* A measured symbol with no other bound than that of a length. */
static bool is_unused_count(const Node *n) {
    const ExprList *list = attr_exprs(n, "symbols");
    const Symbol *s = list->count == 1 ? ex_as_symbol(n->graph->module->ex, list->e[0]) : NULL;
    return s && s->measured && s->min == 0 && s->max == INT64_MAX && is_count(n->inputs[0]) &&
           only_measured(n, (int)s->atom->number);
}

static void remove_unused(Graph *g) {
    for (Node *n = g->last, *prev; n; n = prev) {
        prev = n->prev;
        bool stays = ir_never_dead(n) && !(n->op == OP_measure && is_unused_count(n));
        if (!stays && !ir_is_used(n)) ir_remove(n);
    }
}

bool pass_update(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        if (n->op != OP_scatter_nd || attr_string(n, "reduction")[0] != 'n') continue;
        ir_edit_begin(g, n, &n, 1);
        Value *v = masked_update(n, r);
        if (!v) v = block_update(n);
        ir_edit_end(g);
        if (!v) continue;
        ir_replace(n->outputs[0], v);
        ir_remove(n);
        report_fired(r, "update");
        changed = true;
    }
    if (changed) remove_unused(g);
    return changed;
}
