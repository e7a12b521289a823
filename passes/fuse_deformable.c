/* fuse_deformable: samples of the maps of several levels, weighted and summed, become one operator
 * (multi-scale deformable attention).
 *
 *     %s0 = grid_sample %map0, %grid0          maps [b h, d, height, width], grids [b h, q, p, 2]
 *     %s1 = grid_sample %map1, %grid1
 *     %s  = concat %s0, %s1 {axis=3}           [b h, d, q, l p], however it is stacked
 *     %y  = reduce_sum(%s * %w) {axes=[3]}     %w: [b h, 1, q, l p]
 * =>
 *     %o  = deformable_attention %value, %grid, %weights {levels=[..]}       [b, q, h, d]
 *     %y  = view (transpose %o {perm=[0, 2, 3, 1]})
 *
 * Models cut the maps from one tensor value[b, t, h, d], the grids from grid[b, q, h, l, p, 2] and
 * transpose and fold them. Where following one element of each operand back (trace.h) ends in such
 * a tensor, that one is read; operands that come from elsewhere are put together. Weights that are
 * a softmax over all points of a query hand it to the operator. */
#include <string.h>
#include "ir/build.h"
#include "passes/origin.h"
#include "passes/pass.h"

#define MAX_LEVELS 32

/* Coordinates of one term of the sum. */
enum { BATCH, HEAD, QUERY, POINT, DEPTH, ROW, COLUMN };

typedef struct Deformable {
    Node *sum, *product, *sample[MAX_LEVELS];
    Value *samples, *weights; /* factors of the product */
    int levels;
    /* b, h, q, points of a level, d, and the coordinates in them */
    const Expr *batch, *heads, *queries, *points, *depth;
    const Expr *b, *h, *q, *p, *d, *folded; /* folded: of batch and heads in one */
} Deformable;

static const Expr *all_points(ExprCx *x, const Deformable *f) {
    return ex_scale(x, f->points, f->levels, 1);
}

/* --- finding --- */

/* The samples' concat behind views and transposes; the samples themselves if there is one level. */
static Node *joined(const Value *v) {
    Node *n = v->node;
    while (n && (n->op == OP_view || n->op == OP_transpose)) n = n->inputs[0]->node;
    if (n && n->op == OP_grid_sample) return n;
    if (!n || n->op != OP_concat) return NULL;
    Node *first = n->inputs[0]->node;
    while (first && (first->op == OP_view || first->op == OP_transpose))
        first = first->inputs[0]->node;
    return first && first->op == OP_grid_sample ? n : NULL;
}

static bool is_sum(const Node *n) {
    const IntList *axes = n->op == OP_reduce_sum ? attr_ints(n, "axes") : NULL;
    return axes && axes->count == 1 && n->inputs[0]->type.rank == 4 && axes->v[0] == 3 &&
           n->inputs[0]->node && n->inputs[0]->node->op == OP_mul;
}

static const char *check_sample(const Node *n, const Node *first) {
    const Type *t = &n->outputs[0]->type;
    if (t->rank != 4 || t->dtype != TN_F32) return "the samples are not of images of f32";
    if (strcmp(attr_string(n, "mode"), "linear") != 0 ||
        strcmp(attr_string(n, "padding"), "zeros") != 0 || attr_bool(n, "align_corners"))
        return "the samples are not bilinear, zeros outside, between edges";
    return ir_same_dims(t, &first->outputs[0]->type) ? NULL : "levels have different points";
}

/* Term l points + p of a sum is point p of sample l. */
static const char *find_levels(Module *m, Deformable *f) {
    ExprCx *x = m->ex;
    for (int l = 0; l < f->levels; l++) {
        const Expr *term = ex_add(x, ex_scale(x, f->points, l, 1), f->p);
        const Expr *at[] = {f->folded, f->d, f->q, f->p};
        Origin o = {.value = f->samples, .at = {f->folded, f->d, f->q, term}};
        while (!o.value || !o.value->node || o.value->node->op != OP_grid_sample)
            if (!origin_back(&o)) return "a term of the sum is not proven to be a sample";
        f->sample[l] = o.value->node;
        const char *why = check_sample(f->sample[l], f->sample[0]);
        if (why) return why;
        if (!origin_is(&o, 4, f->sample[l]->outputs[0]->type.dims, at))
            return "the samples are in another order";
    }
    return NULL;
}

/* Batch and heads are folded into the samples' first axis. What the maps are cut from says how; if
 * it does not, all of it are heads of one batch. */
static void find_batch(Module *m, const Value *map, Deformable *f) {
    const Expr *folded = map->type.dims[0];
    while (map->node &&
           (map->node->op == OP_view || map->node->op == OP_transpose || map->node->op == OP_slice))
        map = map->node->inputs[0];
    f->batch = map->type.rank ? map->type.dims[0] : ex_int(m->ex, 1);
    f->heads = ex_is(f->batch, 0) ? NULL : ex_exact_div(m->ex, folded, f->batch);
    if (f->heads) return;
    f->batch = ex_int(m->ex, 1);
    f->heads = folded;
}

static const char *find_deformable(Node *sum, Deformable *f) {
    Module *m = sum->graph->module;
    ExprCx *x = m->ex;
    Node *product = sum->inputs[0]->node;
    int samples = joined(product->inputs[0]) ? 0 : 1;
    *f = (Deformable){.sum = sum,
                      .product = product,
                      .samples = product->inputs[samples],
                      .weights = product->inputs[1 - samples]};
    Node *n = joined(f->samples);
    f->levels = n->op == OP_concat ? n->input_count : 1;
    const Type *t = &product->outputs[0]->type, *w = &f->weights->type;
    if (f->levels > MAX_LEVELS) return "too many levels";
    if (!ir_same_dims(t, &f->samples->type)) return "the samples are broadcast";
    if (w->rank != 4 || !ex_is(w->dims[1], 1)) return "the weights differ between channels";
    Node *first = n;
    while (first->op != OP_grid_sample) first = first->inputs[0]->node;
    find_batch(m, first->inputs[0], f);
    f->depth = t->dims[1];
    f->queries = t->dims[2];
    f->points = ex_exact_div(x, t->dims[3], ex_int(x, f->levels));
    if (!f->points) return "levels have different points";
    f->b = ex_coord(x, BATCH, f->batch);
    f->h = ex_coord(x, HEAD, f->heads);
    f->q = ex_coord(x, QUERY, f->queries);
    f->p = ex_coord(x, POINT, f->points);
    f->d = ex_coord(x, DEPTH, f->depth);
    f->folded = ex_add(x, ex_mul(x, f->b, f->heads), f->h);
    return find_levels(m, f);
}

/* --- operands --- */

/* A tensor of some dims that all parts of an operand come from: element `from` is that at `at`. */
typedef struct Source {
    int rank;
    const Expr *dims[6];
    int count;
    Origin from[MAX_LEVELS];
    const Expr *at[MAX_LEVELS][6];
} Source;

static bool holds(const Source *s, const Value *v, int i) {
    Origin o = s->from[i];
    while (o.value != v)
        if (!origin_back(&o)) return false;
    return origin_is(&o, s->rank, s->dims, s->at[i]);
}

/* The value furthest back; NULL if there is none. */
static Value *common_source(Graph *g, const Source *s) {
    Value *found = NULL;
    Origin o = s->from[0];
    do {
        int i = 0;
        while (i < s->count && holds(s, o.value, i)) i++;
        if (i == s->count) found = o.value;
    } while (origin_back(&o) && o.value);
    return found ? ir_view(g, found, s->rank, s->dims) : NULL;
}

static Value *value_operand(Graph *g, const Deformable *f) {
    ExprCx *x = g->module->ex;
    Source s = {.rank = 4, .dims = {f->batch, ex_int(x, 0), f->heads, f->depth}};
    Value *part[MAX_LEVELS];
    for (s.count = 0; s.count < f->levels; s.count++) {
        Value *map = f->sample[s.count]->inputs[0];
        const Expr *height = map->type.dims[2], *width = map->type.dims[3];
        const Expr *row = ex_coord(x, ROW, height), *column = ex_coord(x, COLUMN, width);
        const Expr *cell = ex_add(x, ex_mul(x, row, width), column);
        s.from[s.count] = (Origin){.value = map, .at = {f->folded, f->d, row, column}};
        const Expr *at[] = {f->b, ex_add(x, s.dims[1], cell), f->h, f->d};
        memcpy(s.at[s.count], at, sizeof at);
        s.dims[1] = ex_add(x, s.dims[1], ex_mul(x, height, width));
    }
    Value *v = common_source(g, &s);
    for (int l = 0; l < f->levels && !v; l++) {
        Value *map = f->sample[l]->inputs[0];
        const Expr *cells = ex_mul(x, map->type.dims[2], map->type.dims[3]);
        const Expr *dims[] = {f->batch, f->heads, f->depth, cells};
        part[l] = ir_transpose(g, ir_view(g, map, 4, dims), (int[]){0, 3, 1, 2});
    }
    return v ? v : ir_concat(g, f->levels, part, 1);
}

static Value *grid_operand(Graph *g, const Deformable *f) {
    ExprCx *x = g->module->ex;
    const Expr *one = ex_int(x, 1), *two = ex_int(x, 2), *axis = ex_coord(x, ROW, two);
    Source s = {.rank = 6, .count = f->levels};
    const Expr *dims[] = {f->batch, f->queries, f->heads, ex_int(x, f->levels), f->points, two};
    Value *part[MAX_LEVELS];
    memcpy(s.dims, dims, sizeof dims);
    for (int l = 0; l < f->levels; l++) {
        s.from[l] = (Origin){.value = f->sample[l]->inputs[1], .at = {f->folded, f->q, f->p, axis}};
        const Expr *at[] = {f->b, f->q, f->h, ex_int(x, l), f->p, axis};
        memcpy(s.at[l], at, sizeof at);
    }
    Value *v = common_source(g, &s);
    for (int l = 0; l < f->levels && !v; l++) {
        const Expr *split[] = {f->batch, f->heads, f->queries, one, f->points, two};
        part[l] = ir_transpose(g, ir_view(g, f->sample[l]->inputs[1], 6, split),
                               (int[]){0, 2, 1, 3, 4, 5});
    }
    return v ? v : ir_concat(g, f->levels, part, 3);
}

static Value *weights_operand(Graph *g, const Deformable *f, bool *softmax) {
    ExprCx *x = g->module->ex;
    const Expr *all = all_points(x, f), *point = ex_coord(x, POINT, all);
    const Expr *sum[] = {ex_mul(x, f->batch, f->heads), ex_int(x, 1), f->queries, all};
    Value *w = ir_expand(g, f->weights, 4, sum);
    Source s = {.rank = 4,
                .dims = {f->batch, f->queries, f->heads, all},
                .count = 1,
                .from = {{.value = w, .at = {f->folded, ex_int(x, 0), f->q, point}}},
                .at = {{f->b, f->q, f->h, point}}};
    Value *v = common_source(g, &s);
    if (!v) {
        const Expr *split[] = {f->batch, f->heads, f->queries, all};
        return ir_transpose(g, ir_view(g, w, 4, split), (int[]){0, 2, 1, 3});
    }
    const Node *n = v->node;
    while (n && n->op == OP_view) n = n->inputs[0]->node;
    if (!n || n->op != OP_softmax || ir_is_output(n->outputs[0])) return v;
    const Type *t = &n->outputs[0]->type;
    int64_t axis = attr_int(n, "axis");
    *softmax = (axis == -1 || axis == t->rank - 1) && t->dims[t->rank - 1] == all;
    return *softmax ? ir_view(g, n->inputs[0], 4, s.dims) : v;
}

/* --- the operator --- */

static void rewrite_deformable(Graph *g, const Deformable *f) {
    const Expr *levels[2 * MAX_LEVELS];
    bool softmax = false;
    for (int l = 0; l < f->levels; l++)
        memcpy(levels + 2 * l, f->sample[l]->inputs[0]->type.dims + 2, 2 * sizeof *levels);
    Value *in[] = {value_operand(g, f), grid_operand(g, f), weights_operand(g, f, &softmax)};
    Node *n = ir_node(g, OP_deformable_attention, 3, in);
    ir_set_exprs(n, "levels", 2 * f->levels, levels);
    ir_set_bool(n, "softmax", softmax);
    Value *y = ir_transpose(g, ir_insert(n), (int[]){0, 2, 3, 1}), *old = f->sum->outputs[0];
    ir_replace(old, ir_view(g, y, old->type.rank, old->type.dims));
}

bool pass_fuse_deformable(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        Deformable f;
        if (!is_sum(n)) continue;
        const Node *product = n->inputs[0]->node;
        if (!joined(product->inputs[0]) && !joined(product->inputs[1])) continue;
        const char *why = find_deformable(n, &f);
        if (why) {
            report_miss(r, "deformable_attention", n, "%s", why);
            continue;
        }
        Node *nodes[MAX_LEVELS + 2] = {f.product, f.sum};
        memcpy(nodes + 2, f.sample, (size_t)f.levels * sizeof *nodes);
        ir_edit_begin(g, n, nodes, f.levels + 2);
        rewrite_deformable(g, &f);
        ir_edit_end(g);
        report_fired(r, "deformable_attention");
        changed = true;
    }
    return changed;
}
