/* before_resize: a pointwise convolution of enlarged images is taken before they are enlarged.
 *
 *     %1 = resize %a {axis=3, length=4 w}                 a: [b, c, h, w], m channels of y
 *     %2 = resize %1 {axis=2, length=4 h}
 *     %3 = concat %2, %p {axis=1}                         p: [b, d, 4 h, 4 w]
 *     %y = conv %3, %w, %b                                w: [m, c + d, 1, 1]
 * =>
 *     %1 = conv %a, %w[:, :c]                             16 times fewer places
 *     %2 = resize (resize %1 {axis=3}) {axis=2}
 *     %3 = conv %p, %w[:, c:], %b
 *     %y = add %2, %3
 *
 * The one mixes channels, the other places, both linearly, so their order is free; and a product of
 * channels side by side is the sum of the products of each. What is added to a channel stays when
 * it is enlarged, since the weights of every result add up to one. It pays if the product gets
 * smaller by a quarter and no more channels are enlarged than before. */
#include "ir/build.h"
#include "passes/pass.h"

#include <string.h>

enum { X, W, BIAS };
#define LEAST_GROWTH 2.0
#define WORTH        0.75 /* of the multiplications may be left */

/* Channels [first, first + channels) of what the convolution reads. */
typedef struct Part {
    Value *large, *small; /* the same if not enlarged */
    int64_t first, channels;
    double growth; /* places of large per place of small */
} Part;

typedef struct Found {
    Node *conv, *concat; /* concat: NULL if one image is enlarged */
    Part *parts;
    int count;
    int64_t channels, outputs;
} Found;

/* How many times as long, at least and about; 0: not known to grow. */
static double growth(ExprCx *x, const Expr *from, const Expr *to) {
    int64_t n, m;
    if (ex_const(from, &n) && ex_const(to, &m)) return n > 0 && m >= n ? (double)m / (double)n : 0;
    const Expr *two = ex_int(x, 2);
    if (ex_provably_ge(x, ex_add(x, to, two), ex_mul(x, two, from)))
        return 2; /* both are rounded */
    return ex_provably_ge(x, to, from) ? 1 : 0;
}

static Part part_of(const Graph *g, Value *v, int64_t first, int64_t channels) {
    Part p = {.large = v, .small = v, .first = first, .channels = channels, .growth = 1};
    for (;;) {
        const Node *n = p.small->node;
        if (!n || n->op != OP_resize || !ir_single_use(p.small)) return p;
        int axis = ir_axis(g->module, attr_int(n, "axis"), v->type.rank);
        if (axis < 2 || !strcmp(attr_string(n, "coordinates"), "crop")) return p;
        double along =
            growth(g->module->ex, n->inputs[0]->type.dims[axis], p.small->type.dims[axis]);
        if (along == 0) return p;
        p.small = n->inputs[0];
        p.growth *= along;
    }
}

static bool is_enlarged(const Part *p) {
    return p->growth >= LEAST_GROWTH;
}

static bool is_pointwise(const Node *n) {
    const Constant *w = n->inputs[W]->constant;
    if (!w || w->dtype != TN_F32 || attr_int(n, "groups") != 1) return false;
    const IntList *strides = attr_ints(n, "strides"), *pads = attr_ints(n, "pads");
    for (int i = 0; i < w->rank - 2; i++)
        if (w->dims[2 + i] != 1 || strides->v[i] != 1 || pads->v[i] || pads->v[w->rank - 2 + i])
            return false;
    return n->input_count <= BIAS + 1 && !strcmp(attr_string(n, "act"), "none");
}

/* The parts of a concat of known numbers of channels, else the image itself. */
static bool find_parts(Graph *g, Found *f) {
    Value *x = f->conv->inputs[X];
    Node *concat = x->node;
    int64_t first = 0, channels;
    if (!concat || concat->op != OP_concat ||
        ir_axis(g->module, attr_int(concat, "axis"), x->type.rank) != 1) {
        f->parts = ARENA_NEW(&g->module->cx->arena, Part);
        f->parts[0] = part_of(g, x, 0, f->channels);
        f->count = 1;
        return true;
    }
    f->concat = concat;
    f->parts = arena_array(&g->module->cx->arena, (size_t)concat->input_count, sizeof(Part));
    for (; f->count < concat->input_count; f->count++, first += channels) {
        Value *v = concat->inputs[f->count];
        if (!ex_const(v->type.dims[1], &channels)) return false;
        f->parts[f->count] = part_of(g, v, first, channels);
    }
    return true;
}

/* NULL: found; "": has nothing to do with it. */
static const char *find(Graph *g, Node *n, Found *f) {
    if (n->op != OP_conv || !is_pointwise(n)) return "";
    *f = (Found){.conv = n};
    f->channels = n->inputs[W]->constant->dims[1];
    f->outputs = n->inputs[W]->constant->dims[0];
    if (!find_parts(g, f)) return "";
    double left = 0, most = 0;
    for (int i = 0; i < f->count; i++) {
        const Part *p = &f->parts[i];
        left += (double)p->channels / (is_enlarged(p) ? p->growth : 1);
        if (is_enlarged(p) && (double)p->channels > most) most = (double)p->channels;
    }
    if (most == 0) return "";
    if (f->concat && !ir_single_use(f->concat->outputs[0])) return "the images are read elsewhere";
    if (left > WORTH * (double)f->channels) return "most of its channels are not enlarged";
    if ((double)f->outputs > most) return "it makes more channels than there were";
    return NULL;
}

/* The columns of the weight that belong to some channels, behind those that `to` has already. */
static void take_columns(const Found *f, const Part *p, float *to, int64_t row) {
    const float *w = f->conv->inputs[W]->constant->data;
    for (int64_t o = 0; o < f->outputs; o++)
        memcpy(to + o * row, w + o * f->channels + p->first, (size_t)p->channels * sizeof *w);
}

static Value *convolve(const Found *f, Value *x, float *weight, int64_t channels, bool bias) {
    Graph *g = f->conv->graph;
    const Constant *w = f->conv->inputs[W]->constant;
    int64_t dims[TN_MAX_RANK];
    for (int i = 0; i < w->rank; i++) dims[i] = w->dims[i];
    dims[1] = channels;
    Value *part =
        ir_constant(g, ir_constant_new(g->module, w->name, TN_F32, w->rank, dims, weight));
    Value *in[3] = {x, part, bias ? f->conv->inputs[BIAS] : NULL};
    Node *n = ir_node(g, OP_conv, bias ? 3 : 2, in);
    ir_copy_attrs(n, f->conv);
    return ir_insert(n);
}

/* y enlarged as `small` was to `large`, by nodes that come from those. */
static Value *enlarge(const Found *f, Value *y, const Value *small, const Value *large) {
    Graph *g = f->conv->graph;
    const Node *old = large->node;
    if (large == small) return y;
    Value *in[2] = {enlarge(f, y, small, old->inputs[0]),
                    old->input_count > 1 ? old->inputs[1] : NULL};
    Node *n = ir_node(g, OP_resize, old->input_count, in);
    ir_copy_attrs(n, old);
    ir_origins_from(g, (Node *[]){large->node}, 1);
    y = ir_insert(n);
    ir_origins_from(g, (Node *[]){f->conv}, 1);
    return y;
}

static float *new_weight(const Found *f, int64_t channels) {
    return arena_array(&f->conv->graph->module->cx->arena, (size_t)(f->outputs * channels),
                       sizeof(float));
}

/* One convolution of what is not enlarged, side by side as before; NULL if nothing is. */
static Value *convolve_rest(const Found *f, bool bias) {
    Graph *g = f->conv->graph;
    int64_t channels = 0, done = 0;
    int count = 0;
    Value **x = arena_array(&g->module->cx->arena, (size_t)f->count, sizeof(Value *));
    for (int i = 0; i < f->count; i++)
        channels += is_enlarged(&f->parts[i]) ? 0 : f->parts[i].channels;
    if (channels == 0) return NULL;
    float *w = new_weight(f, channels);
    for (int i = 0; i < f->count; i++) {
        const Part *p = &f->parts[i];
        if (is_enlarged(p)) continue;
        take_columns(f, p, w + done, channels);
        x[count++] = p->large;
        done += p->channels;
    }
    return convolve(f, count > 1 ? ir_concat(g, count, x, 1) : x[0], w, channels, bias);
}

static Value *rewrite(const Found *f) {
    Graph *g = f->conv->graph;
    bool bias = f->conv->input_count > BIAS && f->conv->inputs[BIAS];
    Value *sum = NULL, *rest = NULL;
    bool has_rest = false;
    for (int i = 0; i < f->count; i++) has_rest |= !is_enlarged(&f->parts[i]);
    for (int i = 0; i < f->count; i++) {
        const Part *p = &f->parts[i];
        if (!is_enlarged(p)) continue;
        float *w = new_weight(f, p->channels);
        take_columns(f, p, w, p->channels);
        Value *y = convolve(f, p->small, w, p->channels, bias && !sum && !has_rest);
        y = enlarge(f, y, p->small, p->large);
        sum = sum ? ir_binary(g, OP_add, sum, y) : y;
    }
    if (has_rest) rest = convolve_rest(f, bias);
    return rest ? ir_binary(g, OP_add, sum, rest) : sum;
}

bool pass_before_resize(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        Found f;
        const char *why = find(g, n, &f);
        if (why) {
            if (*why) report_miss(r, "before_resize", n, "%s", why);
            continue;
        }
        ir_edit_begin(g, n, &n, 1);
        Value *y = rewrite(&f);
        ir_edit_end(g);
        ir_replace(n->outputs[0], y);
        ir_remove(n);
        report_fired(r, "before_resize");
        changed = true;
    }
    return changed;
}
