/* Steps that slide a window over one to three spatial axes. */
#include <math.h>
#include <string.h>
#include "tests/random/random_steps.h"

enum { SPATIAL = 3 };

typedef struct Window {
    int axes;
    const Expr *image[2 + SPATIAL];
    int64_t kernel[SPATIAL], strides[SPATIAL], dilations[SPATIAL], begins[SPATIAL], ends[SPATIAL];
    int64_t lengths[SPATIAL], results[SPATIAL], taps;
} Window;

static Window random_window(Maker *k, int axes, int channels) {
    Window w = {.axes = axes, .taps = 1};
    w.image[0] = random_dim(k);
    w.image[1] = ex_int(k->x, channels);
    for (int i = 0; i < axes; i++) {
        w.kernel[i] = 1 + rng_below(&k->rng, 3);
        w.strides[i] = 1 + rng_below(&k->rng, 3);
        w.dilations[i] = random_often(k, 80) ? 1 : 2;
        w.begins[i] = rng_below(&k->rng, (int)w.kernel[i]);
        w.ends[i] = rng_below(&k->rng, (int)w.kernel[i]);
        w.lengths[i] = 5 + rng_below(&k->rng, axes == 1 ? 30 : axes == 2 ? 8 : 3);
        w.image[2 + i] = ex_int(k->x, w.lengths[i]);
        w.taps *= w.kernel[i];
        int64_t reach = (w.kernel[i] - 1) * w.dilations[i] + 1;
        w.results[i] = (w.lengths[i] + w.begins[i] + w.ends[i] - reach) / w.strides[i] + 1;
    }
    return w;
}

static void set_dims(Maker *k, Node *n, const char *attr, int count, const int64_t *v) {
    const Expr *e[SPATIAL];
    for (int i = 0; i < count; i++) e[i] = ex_int(k->x, v[i]);
    ir_set_dims(n, attr, count, e);
}

static TnDType float_type(Maker *k) {
    static const TnDType types[] = {TN_F64, TN_F16, TN_BF16};
    return random_often(k, 70) ? TN_F32 : types[rng_below(&k->rng, 3)];
}

/* Numbers for the channels of a convolution's result. */
static Value *per_channel(Maker *k, const Value *y) {
    const Expr *dims[TN_MAX_RANK] = {y->type.dims[1]};
    for (int i = 1; i < y->type.rank - 1; i++) dims[i] = ex_int(k->x, 1);
    return random_source(k, y->type.dtype, y->type.rank - 1, dims).v;
}

bool make_conv(Maker *k, OpKind op) {
    int groups = 1 << rng_below(&k->rng, 3);
    Window w = random_window(k, 1 + rng_below(&k->rng, 3), 4);
    const Expr *kernel[2 + SPATIAL] = {ex_int(k->x, groups == 4 ? 4 << rng_below(&k->rng, 2) : 8),
                                       ex_int(k->x, 4 / groups)};
    int64_t pads[2 * SPATIAL];
    for (int i = 0; i < w.axes; i++) {
        kernel[2 + i] = ex_int(k->x, w.kernel[i]);
        pads[i] = w.begins[i];
        pads[w.axes + i] = w.ends[i];
        /* any length that the kernel fits into */
        if (random_often(k, 20)) w.image[2 + i] = random_dim(k);
    }
    TnDType t = float_type(k);
    Item in = random_input(k, t, 2 + w.axes, w.image), f = random_source(k, t, 2 + w.axes, kernel);
    Value *bias = random_often(k, 50) ? random_source(k, t, 1, kernel).v : NULL;
    Node *n = ir_node(k->g, op, bias ? 3 : 2, (Value *[]){in.v, f.v, bias});
    ir_set_ints(n, "strides", w.axes, w.strides);
    ir_set_ints(n, "pads", 2 * w.axes, pads);
    ir_set_ints(n, "dilations", w.axes, w.dilations);
    ir_set_int(n, "groups", groups);
    Value *y = ir_insert(n);
    if (random_often(k, 30)) y = ir_binary(k->g, OP_mul, y, per_channel(k, y));
    if (random_often(k, 30)) y = ir_binary(k->g, OP_add, y, per_channel(k, y));
    bool residual = random_often(k, 40), first = random_often(k, 50);
    Value *r = residual ? random_input(k, t, y->type.rank, y->type.dims).v : NULL;
    if (r && first) y = ir_binary(k->g, OP_add, y, r);
    if (random_often(k, 40)) y = ir_unary(k->g, random_often(k, 50) ? OP_relu : OP_silu, y);
    if (r && !first) y = ir_binary(k->g, OP_add, y, r);
    random_add(k, y, 4.0 * 4 * (double)w.taps + 8, false);
    return true;
}

bool make_pool(Maker *k, OpKind op) {
    static const char *const modes[] = {"max", "avg", "lp"}, *const places[] = {"none", "rows",
                                                                                "columns"};
    static const TnDType types[] = {TN_I32, TN_I8, TN_U8, TN_I16};
    int mode = rng_below(&k->rng, 3), place = mode == 0 ? rng_below(&k->rng, 3) : 0;
    Window w = random_window(k, 1 + rng_below(&k->rng, 3), 3);
    w.image[1] = random_dim(k);
    TnDType t = mode == 0 && random_often(k, 30) ? types[rng_below(&k->rng, 4)] : float_type(k);
    Item x = random_input(k, t, 2 + w.axes, w.image);
    Node *n = ir_node(k->g, op, 1, &x.v);
    ir_set_string(n, "mode", modes[mode]);
    ir_set_string(n, "places", places[place]);
    ir_set_ints(n, "kernel", w.axes, w.kernel);
    ir_set_ints(n, "strides", w.axes, w.strides);
    for (int i = 0; i < w.axes; i++) w.dilations[i] = 1; /* every window has an element */
    for (int i = 0; i < w.axes; i++)
        w.results[i] = (w.lengths[i] + w.begins[i] + w.ends[i] - w.kernel[i]) / w.strides[i] + 1;
    ir_set_ints(n, "dilations", w.axes, w.dilations);
    set_dims(k, n, "dims", w.axes, w.results);
    set_dims(k, n, "begins", w.axes, w.begins);
    set_dims(k, n, "ends", w.axes, w.ends);
    ir_set_bool(n, "count_pads", random_often(k, 50));
    if (mode == 2) ir_set_float(n, "p", 1 + rng_below(&k->rng, 3));
    Value *y = ir_insert(n);
    random_add(k, y, mode == 2 ? 2.0 * (double)w.taps : 2, mode == 0);
    if (place) random_add(k, y->node->outputs[1], 1e4, true);
    return true;
}

bool make_col2im(Maker *k, OpKind op) {
    Window w = random_window(k, 1 + rng_below(&k->rng, 2), 3);
    const Expr *dims[2 + 2 * SPATIAL] = {w.image[0], random_dim(k)};
    for (int i = 0; i < w.axes; i++) {
        dims[2 + i] = ex_int(k->x, w.kernel[i]);
        dims[2 + w.axes + i] = ex_int(k->x, w.results[i]);
    }
    Item x = random_input(k, float_type(k), 2 + 2 * w.axes, dims);
    Node *n = ir_node(k->g, op, 1, &x.v);
    ir_set_ints(n, "strides", w.axes, w.strides);
    ir_set_ints(n, "dilations", w.axes, w.dilations);
    set_dims(k, n, "dims", w.axes, w.lengths);
    set_dims(k, n, "begins", w.axes, w.begins);
    random_add(k, ir_insert(n), 2.0 * (double)w.taps, false);
    return true;
}

bool make_deform(Maker *k, OpKind op) {
    Window w = random_window(k, 2, 4);
    int64_t groups = 1 << rng_below(&k->rng, 2);
    const Expr *offsets[] = {w.image[0], ex_int(k->x, 2 * groups * w.taps),
                             ex_int(k->x, w.results[0]), ex_int(k->x, w.results[1])};
    const Expr *masks[] = {w.image[0], ex_int(k->x, groups * w.taps), offsets[2], offsets[3]};
    TnDType t = float_type(k);
    Value *in[] = {random_input(k, t, 4, w.image).v, random_input(k, t, 4, offsets).v, NULL};
    if (random_often(k, 50)) in[2] = random_input(k, t, 4, masks).v;
    Node *n = ir_node(k->g, op, in[2] ? 3 : 2, in);
    ir_set_ints(n, "kernel", 2, w.kernel);
    ir_set_ints(n, "strides", 2, w.strides);
    ir_set_ints(n, "dilations", 2, w.dilations);
    ir_set_ints(n, "begins", 2, w.begins);
    ir_set_int(n, "groups", groups);
    random_add(k, ir_insert(n), 4, false);
    return true;
}
