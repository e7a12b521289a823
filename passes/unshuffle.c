/* unshuffle: strided slices side by side are a transposition (patch merging, space to depth).
 *
 *     %a, %b, %c, %d: f32[b, h/2, w/2, c] = every second row and column of %x: f32[b, h, w, c]
 *     %y: f32[b, h/2, w/2, 4 c] = concat %a, %b, %c, %d {axis=3}
 * =>
 *     %1: f32[b, h/2, 2, w/2, 2, c] = view %x
 *     %2: f32[b, h/2, w/2, 2, 2, c] = transpose %1      the parts' order says which 2 comes first
 *     %y                            = view %2 */
#include "ir/build.h"
#include "passes/pass.h"

#define MAX_PARTS 64

/* A tensor of which parts are every step-th element, from a start on, along some axes. */
typedef struct Strided {
    Value *x;
    int64_t start[TN_MAX_RANK], step[TN_MAX_RANK];
    const Expr *length[TN_MAX_RANK]; /* of the part */
} Strided;

static Strided strided(Value *v) {
    Strided s = {.x = v};
    for (int i = 0; i < v->type.rank; i++) {
        s.step[i] = 1;
        s.length[i] = v->type.dims[i];
    }
    for (Node *n = v->node; n && n->op == OP_slice; n = s.x->node) {
        int axis = (int)attr_int(n, "axis");
        int64_t start, step = attr_int(n, "step");
        if (step < 2 || s.step[axis] != 1 || !ex_const(attr_dim(n, "start"), &start)) break;
        s.start[axis] = start;
        s.step[axis] = step;
        s.x = n->inputs[0];
    }
    return s;
}

/* Axes with steps, the one whose start changes slowest from part to part first. */
typedef struct Shuffle {
    Strided first;
    int axis, count; /* of the concat; of axes with steps */
    int slow[TN_MAX_RANK];
    int64_t weight[TN_MAX_RANK]; /* by axis: its start changes every weight parts */
} Shuffle;

/* The axis whose start changes every `weight` parts, or -1. */
static int changes_at(const Shuffle *s, const Strided *parts, int64_t weight) {
    for (int i = 0; i < s->first.x->type.rank; i++)
        if (s->first.step[i] > 1 && !s->weight[i] && parts[weight].start[i] == 1) return i;
    return -1;
}

static const char *order(Shuffle *s, const Strided *parts, int count) {
    int64_t weight = 1;
    int fast[TN_MAX_RANK];
    while (weight < count) {
        int axis = changes_at(s, parts, weight);
        if (axis < 0) return "its parts are not in the order of their starts";
        fast[s->count++] = axis;
        s->weight[axis] = weight;
        weight *= s->first.step[axis];
    }
    for (int i = 0; i < s->count; i++) s->slow[i] = fast[s->count - 1 - i];
    if (weight != count) return "parts are missing";
    for (int i = 0; i < s->first.x->type.rank; i++) {
        if (s->first.step[i] > 1 && !s->weight[i]) return "parts are missing";
        for (int p = 0; p < count && s->weight[i]; p++)
            if (parts[p].start[i] != p / s->weight[i] % s->first.step[i])
                return "its parts are not in the order of their starts";
    }
    return NULL;
}

/* NULL if concat `n` is one; else why not, "" if it does not look like one. */
static const char *find(const Node *n, Shuffle *s) {
    ExprCx *ex = n->graph->module->ex;
    Strided parts[MAX_PARTS];
    int rank = n->outputs[0]->type.rank;
    *s = (Shuffle){.axis = (int)attr_int(n, "axis")};
    if (n->input_count < 2 || n->input_count > MAX_PARTS) return "";
    for (int p = 0; p < n->input_count; p++) {
        parts[p] = strided(n->inputs[p]);
        if (parts[p].x == n->inputs[p] || parts[p].x != parts[0].x) return "";
    }
    s->first = parts[0];
    for (int i = 0; i < rank; i++) {
        const Expr *length = parts[0].length[i], *whole = s->first.x->type.dims[i];
        for (int p = 0; p < n->input_count; p++)
            if (parts[p].step[i] != s->first.step[i]) return "its parts have different steps";
        if (s->first.step[i] > 1 && i == s->axis) return "its parts have steps along its own axis";
        if (ex_norm(ex, ex_scale(ex, length, s->first.step[i], 1)) != ex_norm(ex, whole))
            return "the axis is not known to be a multiple of the step";
    }
    const char *why = order(s, parts, n->input_count);
    return why ? why : rank + s->count > TN_MAX_RANK ? "it has too many axes" : NULL;
}

static Value *rewrite(Graph *g, const Node *n, const Shuffle *s) {
    const Type *t = &n->outputs[0]->type;
    ExprCx *ex = g->module->ex;
    const Expr *split[TN_MAX_RANK];
    int whole[TN_MAX_RANK], inner[TN_MAX_RANK], perm[TN_MAX_RANK], rank = 0, count = 0;
    for (int i = 0; i < t->rank; i++) {
        whole[i] = rank;
        split[rank++] = s->first.length[i];
        inner[i] = rank;
        if (s->first.step[i] > 1) split[rank++] = ex_int(ex, s->first.step[i]);
    }
    for (int i = 0; i < t->rank; i++) {
        for (int k = 0; i == s->axis && k < s->count; k++) perm[count++] = inner[s->slow[k]];
        perm[count++] = whole[i];
    }
    Value *y = ir_transpose(g, ir_view(g, s->first.x, rank, split), perm);
    return ir_view(g, y, t->rank, t->dims);
}

bool pass_unshuffle(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        Shuffle s;
        if (n->op != OP_concat) continue;
        const char *why = find(n, &s);
        if (why) {
            if (*why) report_miss(r, "unshuffle", n, "%s", why);
            continue;
        }
        ir_edit_begin(g, n, &n, 1);
        Value *y = rewrite(g, n, &s);
        ir_edit_end(g);
        ir_replace(n->outputs[0], y);
        ir_remove(n);
        report_fired(r, "unshuffle");
        changed = true;
    }
    return changed;
}
