/* fuse_band: attention of every query to the keys around it, and to some that all queries see.
 *
 * Longformer and its kin multiply overlapping chunks of 2 w queries and keys and cut the band of
 * 2 w + 1 keys around each query out of the products. In front of it come the scores of the global
 * tokens, collected per batch entry; behind it comes the same with probabilities and values:
 *
 *     %s: f32[b, s, h, g + 2 w + 1] = concat %global, %band {axis=3}
 *     %p = softmax %s
 *     ... slices, pads, views, two products and a sum
 * =>
 *     %k: f32[b, g + s, h, d] = concat %k_global, %keys
 *     %m: bool[b, g + s] = concat %mask_global, %mask
 *     %y: f32[b, s, h, d] = attention %q, %k, %v, %m {offset=g, left=w, right=w, band=1, sinks=g}
 *
 * band_find.c proves that it is the same. Masked scores are taken to be the masked value whatever
 * is masked, added or not: it is below -1e30, where float32 has no room for a score beside it. */
#include "passes/band.h"

#include "passes/pass.h"

/* The tensor as [batch, places, heads, depth], or [batch, places] with `rank` 2. */
static Value *arranged(Graph *g, const Band *a, const Laid *l, const Expr *depth, int rank) {
    ExprCx *x = g->module->ex;
    const Expr *split[TN_MAX_RANK + 1], *one = ex_int(x, 1);
    const Expr *dims[] = {a->batch, l->length, a->heads, depth};
    Role role[TN_MAX_RANK + 1];
    int count = 0, perm[4], order = 0;
    for (int i = 0; i < l->value->type.rank; i++) {
        if (l->role[i] == ROLE_NONE) continue;
        bool merged = l->role[i] == ROLE_MERGED;
        role[count] = merged ? ROLE_HEAD : l->role[i];
        split[count++] = merged ? a->heads : l->value->type.dims[i];
        if (!merged) continue;
        role[count] = ROLE_DEPTH;
        split[count++] = depth;
    }
    for (int k = 0; k < rank; k++) {
        int found = -1;
        for (int i = 0; i < count; i++)
            if (role[i] == ROLE_BATCH + (Role)k) found = i;
        if (found >= 0)
            perm[order++] = found;
        else
            dims[k] = one; /* an axis of one that the tensor does not have */
    }
    Value *v = ir_transpose(g, ir_view(g, l->value, count, split), perm);
    return ir_view(g, v, rank, dims);
}

/* `mask` as bool[batch, places], or all true. */
static Value *seen(Graph *g, const Band *a, const Expr *length, const Laid *mask) {
    const Expr *dims[] = {a->batch, length};
    if (!mask->value) return ir_splat(g, TN_BOOL, 2, dims, 1);
    return ir_expand(g, arranged(g, a, mask, NULL, 2), 2, dims);
}

/* True for keys that may be seen; NULL if all may. */
static Value *key_mask(Graph *g, const Band *a) {
    if (!a->mask.value && !a->sink_mask.value) return NULL;
    Value *parts[2] = {NULL, seen(g, a, a->length, &a->mask)};
    if (a->mask.value)
        parts[1] = ir_binary(g, OP_eq, parts[1], ir_scalar(g, parts[1]->type.dtype, 0));
    if (ex_is(a->sinks, 0)) return parts[1];
    parts[0] = seen(g, a, a->sinks, &a->sink_mask);
    if (a->sink_mask.value && !a->sink_mask_allows) parts[0] = ir_unary(g, OP_not, parts[0]);
    return ir_concat(g, 2, parts, 1);
}

static Value *with_sinks(Graph *g, const Band *a, const Laid *sinks, const Laid *keys,
                         const Expr *depth) {
    Value *parts[2] = {NULL, arranged(g, a, keys, depth, 4)};
    if (!sinks->value) return parts[1];
    parts[0] = arranged(g, a, sinks, depth, 4);
    return ir_concat(g, 2, parts, 1);
}

/* Queries that are scaled by a number: the number, and the queries before. */
static double unscaled(Band *a) {
    Node *n = a->q.value->node;
    double c;
    if (!n || n->op != OP_mul || !ir_constant_float(n->inputs[1], &c)) return 1;
    if (!ir_same_dims(&n->inputs[0]->type, &a->q.value->type)) return 1;
    a->q.value = n->inputs[0];
    return c;
}

static void rewrite_band(Graph *g, Band *a) {
    ExprCx *x = g->module->ex;
    double scale = unscaled(a);
    Value *in[] = {arranged(g, a, &a->q, a->depth, 4),
                   with_sinks(g, a, &a->sink_k, &a->k, a->depth),
                   with_sinks(g, a, &a->sink_v, &a->v, a->depth_v), key_mask(g, a)};
    Node *n = ir_node(g, OP_attention, in[3] ? 4 : 3, in);
    ir_set_float(n, "scale", scale);
    ir_set_dim(n, "offset", a->sinks);
    ir_set_dim(n, "sinks", a->sinks);
    ir_set_int(n, "left", a->width);
    ir_set_int(n, "right", a->width);
    ir_set_bool(n, "band", true);
    if (in[3]) ir_set_float(n, "mask_value", a->mask_value);
    Value *y = ir_insert(n);
    if (a->row_mask.value) {
        const Expr *one = ex_int(x, 1), *rows[] = {a->batch, a->length, one, one};
        Value *m = seen(g, a, a->length, &a->row_mask);
        y = ir_where(g, ir_view(g, m, 4, rows), ir_scalar(g, y->type.dtype, 0), y);
    }
    if (a->heads_first) y = ir_transpose(g, y, (int[]){0, 2, 1, 3});
    ir_replace(a->result, y);
}

bool pass_fuse_band(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        Band a;
        if (n->op != OP_softmax) continue;
        const char *why = band_find(n, &a);
        if (why && a.begun) report_miss(r, "band", n, "%s", why);
        if (why) continue;
        Node *last = a.result->node;
        ir_edit_begin(g, last, &last, 1);
        rewrite_band(g, &a);
        ir_edit_end(g);
        report_fired(r, "band");
        changed = true;
    }
    return changed;
}
