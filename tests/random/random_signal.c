/* Steps that resample, transform and recur. */
#include <math.h>
#include <string.h>
#include "tests/random/random_steps.h"

static const char *one_of(Maker *k, int n, const char *const *words) {
    return words[rng_below(&k->rng, n)];
}

bool make_resize(Maker *k, OpKind op) {
    static const char *const modes[] = {"linear", "nearest", "cubic"};
    static const char *const coordinates[] = {"half_pixel",
                                              "half_pixel_symmetric",
                                              "pytorch_half_pixel",
                                              "tf_half_pixel_for_nn",
                                              "asymmetric",
                                              "align_corners",
                                              "crop"};
    static const char *const nearest[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                          "ceil"};
    const char *mode = one_of(k, 3, modes);
    bool moves = !strcmp(mode, "nearest");
    Item x = moves ? random_movable(k) : random_small(k, random_float(k));
    TnDType t = x.v->type.dtype;
    int axis = random_axis(k, &x);
    if (axis < 0) return false;
    if (!moves && t != TN_F64) x = random_cast(k, x, TN_F32);
    int64_t three = 3, length;
    bool grid = random_often(k, 30);
    float *numbers = arena_alloc(&k->g->module->cx->arena, 3 * sizeof *numbers);
    bool antialias = !moves && random_often(k, 30), inside = !moves && random_often(k, 30);
    /* these by a scale that fits the length */
    numbers[0] = antialias || inside ? 0 : (float)(rng_below(&k->rng, 4) * 0.75);
    numbers[1] = (float)(rng_below(&k->rng, 3) * 0.25);
    numbers[2] = (float)(0.5 + rng_below(&k->rng, 3) * 0.375);
    Value *in[] = {x.v, grid ? ir_tensor(k->g, NULL, TN_F32, 1, &three, numbers) : NULL};
    Node *n = ir_node(k->g, op, grid ? 2 : 1, in);
    const Expr *dim = x.v->type.dims[axis];
    if (ex_const(dim, &length) && length == 0) return false;
    ir_set_int(n, "axis", axis);
    ir_set_dim(n, "length",
               random_often(k, 50) ? random_dim(k) : ex_mul(k->x, dim, ex_int(k->x, 2)));
    ir_set_string(n, "mode", mode);
    ir_set_string(n, "coordinates", one_of(k, grid ? 7 : 6, coordinates));
    ir_set_string(n, "nearest", one_of(k, 4, nearest));
    ir_set_bool(n, "exclude_outside", inside);
    ir_set_bool(n, "antialias", antialias);
    if (random_often(k, 50)) ir_set_float(n, "cubic_a", -0.5);
    random_add(k, ir_insert(n), x.bound * (moves ? 1 : 4), moves && x.exact);
    return true;
}

bool make_grid(Maker *k, OpKind op) {
    static const char *const modes[] = {"linear", "nearest", "cubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    int axes = 1 + rng_below(&k->rng, 3);
    const Expr *image[5] = {random_dim(k), random_dim(k)}, *grid[5] = {image[0]};
    for (int i = 0; i < axes; i++) {
        image[2 + i] = ex_int(k->x, 1 + rng_below(&k->rng, 6));
        grid[1 + i] = random_dim(k);
    }
    grid[1 + axes] = ex_int(k->x, axes);
    Item x = random_input(k, random_often(k, 80) ? TN_F32 : TN_F64, 2 + axes, image);
    Item at = random_input(k, TN_F32, 2 + axes, grid);
    Node *n = ir_node(k->g, op, 2, (Value *[]){x.v, at.v});
    const char *mode = one_of(k, 3, modes);
    ir_set_string(n, "mode", mode);
    ir_set_string(n, "padding", one_of(k, 3, paddings));
    ir_set_bool(n, "align_corners", random_often(k, 50));
    random_add(k, ir_insert(n), 10, false);
    return true;
}

bool make_regions(Maker *k, OpKind op) {
    const Expr *count = random_dim(k), *four = ex_int(k->x, 4);
    const Expr *image[] = {ex_int(k->x, 3), random_dim(k), random_dim(k), random_dim(k)};
    const Expr *regions[] = {count, four};
    Value *in[] = {random_input(k, TN_F32, 4, image).v, random_source(k, TN_F32, 2, regions).v,
                   random_source(k, TN_I64, 1, &count).v};
    Node *n = ir_node(k->g, op, 3, in);
    ir_set_dim(n, "height", ex_int(k->x, 1 + rng_below(&k->rng, 3)));
    ir_set_dim(n, "width", random_dim(k));
    ir_set_float(n, "scale", random_often(k, 50) ? 1 : 2.5);
    ir_set_int(n, "samples", rng_below(&k->rng, 3));
    ir_set_bool(n, "max", random_often(k, 40));
    ir_set_bool(n, "half_pixel", random_often(k, 50));
    random_add(k, ir_insert(n), 4, false);
    return true;
}

/* Everything after the weights is there or not. */
bool make_rnn(Maker *k, OpKind op) {
    static const char *const modes[] = {"rnn", "gru", "lstm"};
    static const char *const inner[] = {"Sigmoid", "Sigmoid", "HardSigmoid", "Tanh"};
    static const char *const outer[] = {"Tanh", "Tanh", "Softsign", "Sigmoid"};
    int mode = rng_below(&k->rng, 3), gates = mode == 0 ? 1 : mode == 1 ? 3 : 4;
    int64_t size = 1 + rng_below(&k->rng, 9);
    ExprCx *x = k->x;
    const Expr *h = ex_int(x, size), *wide = ex_int(x, gates * size), *three = ex_int(x, 3 * size);
    const Expr *b = random_dim(k), *p[] = {random_dim(k), b, wide}, *r[] = {h, wide},
               *state[] = {b, h};
    /* small weights: large ones make sequences that diverge from any rounding */
    Value *w = random_source(k, TN_F32, 2, r).v, *small = ir_scalar(k->g, TN_F32, 0.125);
    Value *in[7] = {random_input(k, TN_F32, 3, p).v, ir_binary(k->g, OP_mul, w, small)};
    if (random_often(k, 40))
        in[2] = random_input(k, random_often(k, 50) ? TN_I32 : TN_I64, 1, &b).v;
    if (random_often(k, 50)) in[3] = random_input(k, TN_F32, 2, state).v;
    if (mode == 2 && random_often(k, 50)) in[4] = random_input(k, TN_F32, 2, state).v;
    if (mode == 2 && random_often(k, 30)) in[5] = random_source(k, TN_F32, 1, &three).v;
    if (mode == 1 && random_often(k, 50)) in[6] = random_source(k, TN_F32, 1, &h).v;
    Node *n = ir_node(k->g, op, 7, in);
    ir_set_string(n, "mode", modes[mode]);
    ir_set_bool(n, "reverse", random_often(k, 50));
    if (random_often(k, 30)) ir_set_float(n, "clip", 0.75);
    ir_set_bool(n, "coupled", mode == 2 && random_often(k, 30));
    ir_set_bool(n, "linear", mode == 1 && random_often(k, 50));
    const char *f = one_of(k, 4, mode == 0 ? outer : inner);
    ir_set_string(n, "f", f);
    if (!strcmp(f, "HardSigmoid")) {
        ir_set_float(n, "f_alpha", 0.25);
        ir_set_float(n, "f_beta", 0.5);
    }
    ir_set_string(n, "g", one_of(k, 4, outer));
    ir_set_string(n, "h", one_of(k, 4, outer));
    Value *y = ir_insert(n);
    for (int i = 0; i < y->node->output_count; i++)
        random_add(k, y->node->outputs[i], i == 2 ? 10 : 2, false);
    return true;
}

bool make_dft(Maker *k, OpKind op) {
    bool onesided = random_often(k, 40), inverse = random_often(k, 50);
    int64_t length = 1 + rng_below(&k->rng, 20);
    int parts = onesided ? 1 + inverse : 1 + rng_below(&k->rng, 2);
    const Expr *dims[] = {random_dim(k), random_dim(k), ex_int(k->x, parts)};
    int axis = rng_below(&k->rng, 2);
    Item x = random_input(k, random_often(k, 80) ? TN_F32 : TN_F64, 3, dims);
    Node *n = ir_node(k->g, op, 1, &x.v);
    ir_set_int(n, "axis", axis);
    ir_set_dim(n, "length", ex_int(k->x, length));
    ir_set_bool(n, "inverse", inverse);
    ir_set_bool(n, "onesided", onesided);
    random_add(k, ir_insert(n), inverse ? 4 : 80, false);
    return true;
}

bool make_det(Maker *k, OpKind op) {
    const Expr *size = ex_int(k->x, 1 + rng_below(&k->rng, 3)),
               *dims[] = {random_dim(k), size, size};
    Item x = random_input(k, random_often(k, 80) ? TN_F32 : TN_F64, 3, dims);
    random_add(k, ir_unary(k->g, op, x.v), 48, false);
    return true;
}
