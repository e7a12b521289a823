/* patch: a convolution whose windows do not overlap is a product of patches.
 *
 *     %y: f32[b, o, gh, gw] = conv %x, %w, %bias {strides=[p, q] ..}        w: [o, c, p, q]
 * =>
 *     %1: f32[b, c, gh, p, gw, q] = view %x
 *     %2: f32[b, gh, gw, c, p, q] = transpose %1                      the patches, one row each
 *     %3: f32[b, gh, gw, o]       = matmul %2 as [b, gh, gw, c p q], %w as [o, c p q] {tb=1}
 *     %y                          = transpose (%3 + %bias)
 *
 * Rows and columns that no window reaches are cut off first. The last transpose meets the one of
 * the model, which wants patches as a sequence. */
#include "ir/build.h"
#include "passes/pass.h"

#define MAX_SPATIAL 3

static const char *check(const Node *n, int64_t *window) {
    const Constant *w = n->inputs[1]->constant;
    if (!w || w->dtype != TN_F32) return "its weight is no f32 constant";
    int spatial = w->rank - 2;
    if (spatial < 1 || spatial > MAX_SPATIAL || 2 * spatial + 2 > TN_MAX_RANK)
        return "it has too many axes";
    if (attr_int(n, "groups") != 1) return "it has groups";
    const IntList *strides = attr_ints(n, "strides"), *pads = attr_ints(n, "pads"),
                  *dilations = attr_ints(n, "dilations");
    for (int i = 0; i < spatial; i++) {
        window[i] = w->dims[2 + i];
        if (strides->v[i] != window[i]) return "its windows overlap or leave gaps";
        if (dilations->v[i] != 1 && window[i] > 1) return "it is dilated";
        if (pads->v[i] || pads->v[spatial + i]) return "it is padded";
    }
    return NULL;
}

/* x[b, c, h, w] as [b, gh, gw, c * p * q]. */
static Value *patches(Graph *g, Value *x, const Type *y, int spatial, const int64_t *window) {
    ExprCx *ex = g->module->ex;
    const Expr *split[TN_MAX_RANK] = {x->type.dims[0], x->type.dims[1]},
               *rows[TN_MAX_RANK] = {x->type.dims[0]};
    const Expr *width = x->type.dims[1];
    int perm[TN_MAX_RANK] = {0};
    perm[1 + spatial] = 1;
    for (int i = 0; i < spatial; i++) {
        const Expr *p = ex_int(ex, window[i]), *count = y->dims[2 + i];
        x = ir_slice(g, x, 2 + i, ex_int(ex, 0), ex_mul(ex, count, p), 1);
        split[2 + 2 * i] = rows[1 + i] = count;
        split[3 + 2 * i] = p;
        width = ex_mul(ex, width, p);
        perm[1 + i] = 2 + 2 * i;
        perm[2 + spatial + i] = 3 + 2 * i;
    }
    rows[1 + spatial] = width;
    Value *v = ir_transpose(g, ir_view(g, x, 2 + 2 * spatial, split), perm);
    return ir_view(g, v, 2 + spatial, rows);
}

static Value *rewrite(Graph *g, Node *n, const int64_t *window) {
    Value *w = n->inputs[1];
    int spatial = w->type.rank - 2;
    Value *x = patches(g, n->inputs[0], &n->outputs[0]->type, spatial, window);
    const Expr *matrix[2] = {w->type.dims[0], x->type.dims[x->type.rank - 1]};
    Value *y = ir_matmul(g, x, ir_view(g, w, 2, matrix), false, true);
    if (n->input_count > 2 && n->inputs[2]) y = ir_binary(g, OP_add, y, n->inputs[2]);
    int perm[TN_MAX_RANK] = {0, 1 + spatial};
    for (int i = 0; i < spatial; i++) perm[2 + i] = 1 + i;
    return ir_transpose(g, y, perm);
}

bool pass_patch(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        int64_t window[MAX_SPATIAL];
        if (n->op != OP_conv) continue;
        const char *why = check(n, window);
        if (why) {
            report_miss(r, "patch", n, "%s", why);
            continue;
        }
        g->cursor = n;
        ir_origins_from(g, &n, 1);
        Value *y = rewrite(g, n, window);
        ir_origins_from(g, NULL, 0);
        g->cursor = NULL;
        ir_replace(n->outputs[0], y);
        ir_remove(n);
        report_fired(r, "patch");
        changed = true;
    }
    return changed;
}
