/* ONNX's recurrent networks: RNN, GRU, LSTM. The input's part of all gates of all steps is one
 * product; `rnn` runs the recurrence, once per direction.
 *
 *     p = x w' + bias;  y, h, c = rnn p, r', lengths, h0, c0, peepholes */
#include <string.h>
#include <strings.h>
#include "frontend/onnx/import.h"

/* What the directions have in common. */
typedef struct Network {
    const char *mode;
    int gates, functions, directions;
    bool backwards; /* the first direction */
    bool layout;    /* batch first */
    Value *x;       /* [t, b, i] */
    const Expr *size;
} Network;

/* --- activations --- */

typedef struct Activation {
    const char *name;
    bool has_alpha, has_beta;
    double alpha, beta; /* defaults */
} Activation;

static const Activation activations[] = {
    {"Tanh", false, false, 0, 0},        {"Sigmoid", false, false, 0, 0},
    {"Relu", false, false, 0, 0},        {"Affine", true, true, 1, 0},
    {"LeakyRelu", true, false, 0.01, 0}, {"ThresholdedRelu", true, false, 1, 0},
    {"ScaledTanh", true, true, 1, 1},    {"HardSigmoid", true, true, 0.2, 0.5},
    {"Elu", true, false, 1, 0},          {"Softsign", false, false, 0, 0},
    {"Softplus", false, false, 0, 0},
};

#define ACTIVATIONS (sizeof activations / sizeof *activations)

static const Activation *find_activation(OnnxNode *n, const char *name) {
    for (size_t i = 0; i < ACTIVATIONS; i++)
        if (!strcasecmp(activations[i].name, name)) return &activations[i];
    tn_fail(n->cx, TN_E_MODEL, "activation '%s' is unknown",
            tn_printable(n->cx, name, strlen(name), 100));
}

static Activation given_activation(OnnxNode *n, const Network *net, int i) {
    const Onnx__AttributeProto *a = onnx_attribute(n, "activations");
    int wanted = net->functions * net->directions;
    if (!a) return activations[i % net->functions == 0 && net->gates > 1 ? 1 : 0];
    if ((int64_t)a->n_strings != wanted)
        tn_fail(n->cx, TN_E_MODEL, "%zu activations, wanted %d", a->n_strings, wanted);
    const char *name =
        arena_strndup(&n->cx->arena, (const char *)a->strings[i].data, a->strings[i].len);
    return *find_activation(n, name);
}

/* Entry *used of a list, if it has one left. */
static double next_number(OnnxNode *n, const char *list, size_t *used, double otherwise) {
    const Onnx__AttributeProto *a = onnx_attribute(n, list);
    return a && *used < a->n_floats ? (double)a->floats[(*used)++] : otherwise;
}

/* Of all directions, one after another; alphas and betas go to those that take one, in order. */
static void read_activations(OnnxNode *n, const Network *net, Activation *out) {
    size_t alphas = 0, betas = 0;
    for (int i = 0; i < net->functions * net->directions; i++) {
        out[i] = given_activation(n, net, i);
        if (out[i].has_alpha)
            out[i].alpha = next_number(n, "activation_alpha", &alphas, out[i].alpha);
        if (out[i].has_beta) out[i].beta = next_number(n, "activation_beta", &betas, out[i].beta);
    }
}

/* --- operands --- */

/* Operand i as f32, checked; NULL if left out. */
static Value *operand(OnnxNode *n, int i, int rank, const Expr *const *dims, const char *what) {
    if (!onnx_given(n, i)) return NULL;
    Value *v = n->inputs[i];
    if (!tn_is_float(v->type.dtype) || v->type.rank != rank)
        tn_fail(n->cx, TN_E_MODEL, "%s is %s, wanted floats with %d axes", what,
                ir_type_text(n->m, &v->type), rank);
    for (int k = 0; k < rank; k++)
        if (dims[k]) ir_same_dim(n->m, v->type.dims[k], dims[k], what);
    return ir_cast(n->g, v, TN_F32);
}

/* x[direction, ..] */
static Value *of_direction(OnnxNode *n, Value *x, int direction) {
    if (!x) return NULL;
    x = onnx_slice(n, x, 0, ex_int(n->x, direction), ex_int(n->x, 1), 1);
    return ir_view(n->g, x, x->type.rank - 1, x->type.dims + 1);
}

static Value *swap_axes(OnnxNode *n, Value *x, bool swap) {
    int perm[] = {1, 0, 2};
    return x && swap ? ir_transpose(n->g, x, perm) : x;
}

/* An initial state, [directions, b, h] or with layout [b, directions, h]. */
static Value *state(OnnxNode *n, const Network *net, int i) {
    const Expr *directions = ex_int(n->x, net->directions), *batch = net->x->type.dims[1];
    const Expr *dims[] = {net->layout ? batch : directions, net->layout ? directions : batch,
                          net->size};
    return swap_axes(n, operand(n, i, 3, dims, "an initial state"), net->layout);
}

static Value *part(OnnxNode *n, Value *v, int from, int count, const Expr *size) {
    return onnx_slice(n, v, 0, ex_scale(n->x, size, from, 1), ex_scale(n->x, size, count, 1), 1);
}

/* Both biases of a direction, [2 G h], as one; a GRU that is linear before its reset gate keeps the
 * recurrent one of the third gate apart. */
static Value *join_bias(OnnxNode *n, const Network *net, Value *b, bool linear, Value **apart) {
    int g = net->gates;
    if (!b) return NULL;
    Value *recurrent = part(n, b, g, g, net->size);
    if (linear) {
        *apart = part(n, recurrent, 2, 1, net->size);
        Value *both[] = {part(n, recurrent, 0, 2, net->size),
                         ir_splat(n->g, TN_F32, 1, &net->size, 0)};
        recurrent = ir_concat(n->g, 2, both, 0);
    }
    return ir_binary(n->g, OP_add, part(n, b, 0, g, net->size), recurrent);
}

/* --- a direction --- */

typedef struct Weights {
    Value *w, *r, *b, *lengths, *h, *c, *peephole; /* of all directions */
} Weights;

static Node *run_direction(OnnxNode *n, const Network *net, const Weights *all, int direction,
                           const Activation *f) {
    static const char *const names[3][3] = {
        {"f", "f_alpha", "f_beta"}, {"g", "g_alpha", "g_beta"}, {"h", "h_alpha", "h_beta"}};
    bool linear = net->gates == 3 && onnx_int(n, "linear_before_reset") != 0;
    int swap[] = {1, 0};
    Value *apart = NULL, *w = of_direction(n, all->w, direction);
    Value *bias = join_bias(n, net, of_direction(n, all->b, direction), linear, &apart);
    Value *p = ir_matmul(n->g, net->x, w, false, true);
    if (bias) p = ir_binary(n->g, OP_add, p, bias);
    Value *in[] = {p,
                   ir_transpose(n->g, of_direction(n, all->r, direction), swap),
                   all->lengths,
                   of_direction(n, all->h, direction),
                   of_direction(n, all->c, direction),
                   of_direction(n, all->peephole, direction),
                   apart};
    int count = 7;
    while (!in[count - 1]) count--;
    Node *node = ir_node(n->g, OP_rnn, count, in);
    ir_set_string(node, "mode", net->mode);
    ir_set_bool(node, "reverse", direction == 1 || net->backwards);
    ir_set_bool(node, "linear", linear);
    ir_set_bool(node, "coupled", net->gates == 4 && onnx_int(n, "input_forget") != 0);
    if (onnx_has(n, "clip")) ir_set_float(node, "clip", onnx_float(n, "clip"));
    for (int i = 0; i < net->functions; i++) {
        ir_set_string(node, names[i][0], f[i].name);
        ir_set_float(node, names[i][1], f[i].alpha);
        ir_set_float(node, names[i][2], f[i].beta);
    }
    ir_insert(node);
    return node;
}

/* --- the whole node --- */

static void read_network(OnnxNode *n, Network *net) {
    static const char *const directions[] = {"forward", "reverse", "bidirectional", NULL};
    int direction = onnx_word(n, "direction", directions);
    const Type *r = &n->inputs[2]->type;
    net->directions = direction == 2 ? 2 : 1;
    net->backwards = direction == 1;
    net->layout = onnx_flag(n, "layout");
    const Expr *any[3] = {NULL};
    net->x = swap_axes(n, operand(n, 0, 3, any, "the input"), net->layout);
    if (r->rank != 3)
        tn_fail(n->cx, TN_E_MODEL, "the recurrent weights are %s, wanted 3 axes",
                ir_type_text(n->m, r));
    net->size = r->dims[2];
    if (onnx_has(n, "hidden_size"))
        ir_same_dim(n->m, ex_int(n->x, onnx_int(n, "hidden_size")), net->size,
                    "hidden_size and the recurrent weights");
    if (onnx_has(n, "clip") && !(onnx_float(n, "clip") >= 0))
        tn_fail(n->cx, TN_E_MODEL, "attribute 'clip' is %g", onnx_float(n, "clip"));
}

static Weights read_weights(OnnxNode *n, const Network *net) {
    ExprCx *x = n->x;
    const Expr *d = ex_int(x, net->directions), *width = ex_scale(x, net->size, net->gates, 1);
    const Expr *w[] = {d, width, net->x->type.dims[2]}, *r[] = {d, width, net->size};
    const Expr *b[] = {d, ex_scale(x, width, 2, 1)}, *p[] = {d, ex_scale(x, net->size, 3, 1)};
    Weights all = {.w = operand(n, 1, 3, w, "the weights"),
                   .r = operand(n, 2, 3, r, "the recurrent weights"),
                   .b = operand(n, 3, 2, b, "the bias"),
                   .h = state(n, net, 5)};
    if (onnx_given(n, 4)) all.lengths = n->inputs[4];
    if (net->gates == 4) {
        all.c = state(n, net, 6);
        all.peephole = operand(n, 7, 2, p, "the peepholes");
    }
    return all;
}

/* Results of all directions beside each other along `axis`. */
static Value *join(OnnxNode *n, Node *const *nodes, const Network *net, int output, int axis) {
    Value *parts[2];
    for (int i = 0; i < net->directions; i++)
        parts[i] = ir_unsqueeze(n->g, nodes[i]->outputs[output], axis);
    Value *v = net->directions == 1 ? parts[0] : ir_concat(n->g, net->directions, parts, axis);
    return ir_cast(n->g, v, n->inputs[0]->type.dtype);
}

static void import_network(OnnxNode *n, Network net) {
    Activation f[6];
    Node *nodes[2];
    int batch_first[] = {2, 0, 1, 3};
    read_network(n, &net);
    read_activations(n, &net, f);
    Weights all = read_weights(n, &net);
    for (int i = 0; i < net.directions; i++)
        nodes[i] = run_direction(n, &net, &all, i, f + i * net.functions);
    Value *y = join(n, nodes, &net, 0, 1);
    n->outputs[0] = net.layout ? ir_transpose(n->g, y, batch_first) : y;
    for (int i = 1; i < n->output_count; i++)
        n->outputs[i] = swap_axes(n, join(n, nodes, &net, i, 0), net.layout);
}

void import_rnn(OnnxNode *n) {
    import_network(n, (Network){.mode = "rnn", .gates = 1, .functions = 1});
}

void import_gru(OnnxNode *n) {
    import_network(n, (Network){.mode = "gru", .gates = 3, .functions = 2});
}

void import_lstm(OnnxNode *n) {
    import_network(n, (Network){.mode = "lstm", .gates = 4, .functions = 3});
}
