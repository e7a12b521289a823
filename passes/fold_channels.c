/* fold_channels: factors and terms per channel after a convolution or a product with constants go
 * into its constants.
 *
 *     %1 = conv %x, %w, %b            w: [o, c, k..], b: [o]
 *     %2 = mul %1, %f                 f: [o, 1, 1]
 *     %3 = add %2, %g           =>    %3 = conv %x, %w1, %b1       w1 = w f,  b1 = b f + g
 *
 * So a batch norm, and any other affine map of channels, costs nothing. The weight of a product is
 * taken only if nobody else reads it: it is not stored twice. */
#include "ir/build.h"
#include "passes/pass.h"

#include <string.h>

enum { X, W, BIAS };

/* An operator that is affine in its weights and bias, and the constant behind it. */
typedef struct Affine {
    Node *node, *user; /* user: mul or add */
    Value *constant;
} Affine;

static int channel_axis(const Node *n) {
    return n->op == OP_conv ? 1 : n->outputs[0]->type.rank - 1;
}

static int64_t channels_of(const Node *n) {
    const Constant *w = n->inputs[W]->constant;
    return n->op == OP_linear && !attr_bool(n, "tb") ? w->dims[1] : w->dims[0];
}

static const Constant *bias_of(const Node *n) {
    return n->input_count > BIAS && n->inputs[BIAS] ? n->inputs[BIAS]->constant : NULL;
}

static bool is_wide(const Value *v) {
    return v->type.dtype == TN_F32 || v->type.dtype == TN_F64;
}

/* The constant has an element for each channel, or one for all. */
static bool is_per_channel(const Constant *c, const Node *n, int rank) {
    int axis = channel_axis(n) - (rank - c->rank);
    for (int i = 0; i < c->rank; i++)
        if (c->dims[i] != 1 && (i != axis || c->dims[i] != channels_of(n))) return false;
    return c->rank <= rank;
}

static const char *find(const Node *user, Affine *a) {
    for (int i = 0; i < 2; i++) {
        Node *n = user->inputs[i]->node;
        if (n && (n->op == OP_conv || n->op == OP_linear) && user->inputs[1 - i]->constant)
            *a = (Affine){n, (Node *)user, user->inputs[1 - i]};
    }
    if (!a->node) return "no convolution or product before it meets a constant";
    const Node *n = a->node;
    const Constant *bias = bias_of(n);
    if (!ir_single_use(n->outputs[0])) return "what comes before is read elsewhere";
    if (n->input_count > BIAS + 1 || strcmp(attr_string(n, "act"), "none"))
        return "what comes before has ended already";
    if (!n->inputs[W]->constant || !is_wide(n->inputs[W]) || !is_wide(n->outputs[0]))
        return "the weight is no constant of f32 or f64";
    if (n->input_count > BIAS && n->inputs[BIAS] && !bias) return "the bias is computed";
    if (!is_per_channel(a->constant->constant, n, n->outputs[0]->type.rank))
        return "the constant is not one number per channel";
    if (user->op == OP_mul && n->op == OP_linear && n->inputs[W]->use_count != 1)
        return "the weight has other readers";
    return NULL;
}

static int64_t count_of(const Constant *c) {
    return (int64_t)(c->bytes / tn_dtype_size(c->dtype));
}

/* Element for channel o; of a constant with one for all, that. */
static double at(const Constant *c, int64_t o) {
    int64_t count = count_of(c);
    return ir_element_f64(c->dtype, c->data, count == 1 ? 0 : o);
}

static Value *scaled_weight(const Affine *a) {
    const Node *n = a->node;
    const Constant *w = n->inputs[W]->constant;
    Graph *g = n->graph;
    int64_t count = count_of(w), channels = channels_of(n);
    bool inner = n->op == OP_linear && !attr_bool(n, "tb");
    int64_t run = inner ? 1 : channels ? count / channels : 1; /* elements of one channel in turn */
    void *data = arena_array(&g->module->cx->arena, (size_t)count, tn_dtype_size(w->dtype));
    for (int64_t i = 0; i < count; i++)
        ir_store_f64(w->dtype, data, i,
                     ir_element_f64(w->dtype, w->data, i) *
                         at(a->constant->constant, i / run % channels));
    return ir_constant(g, ir_constant_new(g->module, w->name, w->dtype, w->rank, w->dims, data));
}

static Value *changed_bias(const Affine *a) {
    const Node *n = a->node;
    const Constant *bias = bias_of(n), *c = a->constant->constant;
    Graph *g = n->graph;
    int64_t channels = channels_of(n);
    TnDType t = n->outputs[0]->type.dtype;
    if (!bias && a->user->op == OP_mul) return NULL;
    void *data = arena_array(&g->module->cx->arena, (size_t)channels, tn_dtype_size(t));
    for (int64_t o = 0; o < channels; o++) {
        double b = bias ? at(bias, o) : 0, v = at(c, o);
        ir_store_f64(t, data, o, a->user->op == OP_mul ? b * v : b + v);
    }
    return ir_constant(g,
                       ir_constant_new(g->module, (bias ? bias : c)->name, t, 1, &channels, data));
}

static Value *rewrite(const Affine *a) {
    const Node *n = a->node;
    Value *in[3] = {n->inputs[X], n->inputs[W], changed_bias(a)};
    if (a->user->op == OP_mul) in[W] = scaled_weight(a);
    Node *folded = ir_node(n->graph, n->op, in[BIAS] ? 3 : 2, in);
    ir_copy_attrs(folded, n);
    return ir_insert(folded);
}

bool pass_fold_channels(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(user, g) {
        Affine a = {0};
        if (user->op != OP_mul && user->op != OP_add) continue;
        const char *why = find(user, &a);
        if (why) {
            if (a.node) report_miss(r, "fold_channels", user, "%s", why);
            continue;
        }
        Node *both[2] = {a.node, user};
        ir_edit_begin(g, user, both, 2);
        Value *y = rewrite(&a);
        ir_edit_end(g);
        ir_replace(user->outputs[0], y);
        ir_remove(user);
        ir_remove(a.node);
        report_fired(r, "fold_channels");
        changed = true;
    }
    return changed;
}
