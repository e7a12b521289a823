/* relative: scores looked up by the distance of query and key become a product that has them in
 * their place already.
 *
 *     %p = matmul %q, %rel {tb=1}                    [.., s, m]: each query with every bucket
 *     %y = gather_elements %p, %bucket {axis=-1}     [.., s, t]: bucket(j - i) for query i, key j
 * =>
 *     %rows = gather %rel, %table                    [.., s + t + 1, d]: table[k] = bucket(k - s)
 *     %p2 = matmul %q, %rows {tb=1}                  [.., s, s + t + 1]
 *     %y[.., i, j] = %p2[.., i, j - i + s]
 *
 * The table is what computes the buckets, applied to all distances instead of all pairs
 * (distance.h). The last step is the relative shift of Transformer-XL: views and slices alone,
 * since element (i, j) stands at i (s + t) + j + s.
 *
 *     %1 = view %p2 {dims=[.., s + t + 1, s]}
 *     %2 = slice %1 {axis=-2, start=1}
 *     %3 = view %2 {dims=[.., s, s + t]}
 *     %y = slice %3 {axis=-1, length=t}
 *
 * For the scores of keys with relative queries, which are transposed afterwards, keys are the rows.
 */
#include "passes/distance.h"
#include "passes/pass.h"
#include "passes/turn.h"

/* The pairs (row, column), and the table's length. */
typedef struct Pairs {
    Graph *g;
    ExprCx *x;
    const Expr *rows, *columns, *length;
} Pairs;

/* Whether t has the pairs as its last axes and nothing else. */
static bool over_pairs(const Pairs *p, const Type *t) {
    int r = t->rank;
    if (r < 2 || t->dims[r - 2] != p->rows || t->dims[r - 1] != p->columns) return false;
    for (int i = 0; i < r - 2; i++)
        if (!ex_is(t->dims[i], 1)) return false;
    return true;
}

/* --- the product --- */

/* [.., rows, length] with element (i, j - i + rows) of every row i at (i, j). */
static Value *shifted(const Pairs *p, Value *v) {
    const Expr *dims[TN_MAX_RANK], *one = ex_int(p->x, 1), *last = ex_sub(p->x, p->length, one);
    int r = v->type.rank;
    for (int i = 0; i < r; i++) dims[i] = v->type.dims[i];
    dims[r - 2] = p->length;
    dims[r - 1] = p->rows;
    v = ir_slice(p->g, ir_view(p->g, v, r, dims), r - 2, one, last, 1);
    dims[r - 2] = p->rows;
    dims[r - 1] = last;
    return ir_slice(p->g, ir_view(p->g, v, r, dims), r - 1, ex_int(p->x, 0), p->columns, 1);
}

/* b [b h, m, d] as [1, h, m, d] if it is the same for every entry of the batch that is folded into
 * its first axis, else NULL. */
static Value *of_batch(const Pairs *p, const Value *b, const Expr **batch) {
    const Node *view = b->node;
    if (!view || view->op != OP_view || b->type.rank != 3) return NULL;
    const Node *expand = view->inputs[0]->node;
    if (!expand || expand->op != OP_expand || expand->outputs[0]->type.rank != 4) return NULL;
    const Type *from = &expand->inputs[0]->type, *to = &expand->outputs[0]->type;
    if (from->rank < 3 || (from->rank == 4 && !ex_is(from->dims[0], 1))) return NULL;
    for (int i = 1; i < 4; i++)
        if (from->dims[from->rank - i] != to->dims[4 - i] ||
            (i < 3 && to->dims[4 - i] != b->type.dims[3 - i]))
            return NULL;
    const Expr *dims[4] = {ex_int(p->x, 1), to->dims[1], to->dims[2], to->dims[3]};
    *batch = to->dims[0];
    return ir_view(p->g, expand->inputs[0], 4, dims);
}

/* Entries `table` of v along an axis, looked up in front of a transpose. */
static Value *looked_up(Graph *g, Value *v, Value *table, int axis) {
    const Node *n = v->node;
    if (!n || n->op != OP_transpose) return ir_gather(g, v, table, axis);
    const IntList *order = attr_ints(n, "perm");
    int perm[TN_MAX_RANK];
    for (int i = 0; i < order->count; i++) perm[i] = (int)order->v[i];
    return ir_transpose(g, looked_up(g, n->inputs[0], table, perm[axis]), perm);
}

static Value *product(const Pairs *p, const Node *old, Value *table) {
    Graph *g = p->g;
    Value *a = old->inputs[0], *b = old->inputs[1];
    const Expr *batch = NULL;
    Value *once = of_batch(p, b, &batch);
    if (once) {
        const Expr *dims[4] = {batch, once->type.dims[1], a->type.dims[1], a->type.dims[2]};
        a = ir_view(g, a, 4, dims);
        b = once;
    }
    int r = b->type.rank, swap[TN_MAX_RANK];
    for (int i = 0; i < r; i++) swap[i] = i < r - 2 ? i : 2 * r - 3 - i;
    if (!attr_bool(old, "tb")) b = turned(g, b, swap);
    return ir_matmul(g, a, looked_up(g, b, table, r - 2), false, true);
}

static Pairs pairs_of(Graph *g, const Expr *rows, const Expr *columns) {
    ExprCx *x = g->module->ex;
    return (Pairs){g, x, rows, columns, distance_entries(x, rows, columns)};
}

/* The indices for all distances, as operand 1 of a gather; NULL if they are not proven, or not the
 * same for all matrices of pairs. */
static Value *distances(const Pairs *p, Value *index) {
    int rank = index->type.rank;
    Value *line = distance_line(p->g, index, rank - 2, rank - 1);
    if (!line) return NULL;
    for (int i = 0; i + 1 < line->type.rank; i++)
        if (!ex_is(line->type.dims[i], 1)) return NULL;
    if (line->type.rank) line = ir_view(p->g, line, 1, line->type.dims + line->type.rank - 1);
    return ir_cast(p->g, ir_expand(p->g, line, 1, &p->length), index->type.dtype);
}

static const char unproven[] = "the index is not proven to follow from the distance";

static const char *rewrite_scores(Graph *g, Node *n) {
    const Node *old = n->inputs[0]->node;
    const Type *t = &n->outputs[0]->type, *from = &n->inputs[0]->type;
    int r = t->rank;
    Pairs p = pairs_of(g, t->dims[r - 2], t->dims[r - 1]);
    for (int i = 0; i < r - 1; i++)
        if (t->dims[i] != from->dims[i]) return "it does not look into every row";
    if (attr_bool(old, "ta")) return "the product's rows are transposed";
    Value *table = distances(&p, n->inputs[1]);
    if (!table) return unproven;
    Value *y = shifted(&p, product(&p, old, table));
    ir_replace(n->outputs[0], ir_view(g, y, r, t->dims));
    return NULL;
}

/* Embeddings of every pair, %pairs[i, j] = %rel[bucket(i, j)]:
 *
 *     %y = matmul %q, %pairs {tb=1}       [s, r, t]: rows of query i with the embeddings of (i, j)
 * =>
 *     [r, s, s + t + 1] as above, shifted, and its axes exchanged */
static const char *rewrite_pairs(Graph *g, Node *n) {
    const Node *look = n->inputs[1]->node;
    const Type *t = &n->outputs[0]->type;
    static const int exchanged[3] = {1, 0, 2};
    Pairs p = pairs_of(g, t->dims[0], t->dims[2]);
    if (!over_pairs(&p, &look->inputs[1]->type)) return "the index is not one of pairs";
    Value *table = distances(&p, look->inputs[1]);
    if (!table) return unproven;
    Value *rows = ir_gather(g, look->inputs[0], table, 0);
    Value *y = ir_matmul(g, turned(g, n->inputs[0], exchanged), rows, false, true);
    ir_replace(n->outputs[0], ir_transpose(g, shifted(&p, y), exchanged));
    return NULL;
}

/* gather_elements from a product, along its last axis */
static bool is_scores(const Node *n) {
    const Node *from = n->op == OP_gather_elements ? n->inputs[0]->node : NULL;
    int rank = n->outputs[0]->type.rank;
    return from && from->op == OP_matmul && rank >= 2 && attr_int(n, "axis") == rank - 1;
}

/* product with rows gathered for every pair */
static bool is_pairs(const Node *n) {
    if (n->op != OP_matmul || attr_bool(n, "ta") || !attr_bool(n, "tb")) return false;
    const Node *look = n->inputs[1]->node;
    return look && look->op == OP_gather && attr_int(look, "axis") == 0 &&
           n->outputs[0]->type.rank == 3 && n->inputs[0]->type.rank == 3 &&
           look->inputs[0]->type.rank == 2 && look->inputs[1]->type.rank == 2 &&
           ir_single_use(n->inputs[1]);
}

bool pass_relative(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        bool scores = is_scores(n);
        if (!scores && !is_pairs(n)) continue;
        ir_edit_begin(g, n, &n, 1);
        const char *why = scores ? rewrite_scores(g, n) : rewrite_pairs(g, n);
        ir_edit_end(g);
        if (why)
            report_miss(r, "relative", n, "%s", why);
        else
            report_fired(r, "relative");
        changed = true; /* what is refused leaves nodes that nothing reads */
    }
    return changed;
}
