/* Lowering of resampling, signal and recurrent operators. */
#include "backend/lower_ops.h"

#include <string.h>

/* The number of a word of an attribute. */
typedef struct Word {
    const char *name;
    uint32_t number;
} Word;

static uint32_t number_of(const Word *words, const char *word) {
    while (strcmp(words->name, word) != 0) words++;
    return words->number;
}

/* --- resize --- */

#define X(upper, lower, number) {#lower, number},
static const Word resize_modes[] = {TN_RESIZE_MODES(X)};
static const Word resize_coordinates[] = {TN_RESIZE_COORDINATES(X)};
static const Word resize_roundings[] = {TN_RESIZE_ROUNDINGS(X)};
#undef X

/* What resize and resize_plane have in common. */
static ParamsResize resize_params(const Node *n) {
    ParamsResize p = {.cubic_a = attr_float(n, "cubic_a")};
    p.mode = number_of(resize_modes, attr_string(n, "mode"));
    p.coordinates = number_of(resize_coordinates, attr_string(n, "coordinates"));
    p.nearest = number_of(resize_roundings, attr_string(n, "nearest"));
    if (attr_bool(n, "exclude_outside")) p.flags |= TN_RESIZE_EXCLUDE_OUTSIDE;
    return p;
}

static uint32_t place_in(const IntList *order, int64_t axis) {
    uint32_t i = 0;
    while (order->v[i] != axis) i++;
    return i;
}

/* Under axes in memory order: rows of what is dense come last. */
void lower_resize(Lower *lo, Node *n) {
    View in[2] = {lower_operand(lo, n->inputs[0]), view_absent()};
    bool has_grid = n->input_count > 1 && n->inputs[1];
    if (has_grid) in[1] = lower_dense(lo, n->inputs[1]);
    View out = lower_result(lo, n->outputs[0]);
    ParamsResize p = resize_params(n);
    IntList order;
    view_order(lo, &out, &order);
    p.axis = place_in(&order, ir_axis(lo->im->module, attr_int(n, "axis"), in[0].rank));
    p.outside = attr_float(n, "outside");
    in[0] = view_permute(&in[0], &order);
    out = view_permute(&out, &order);
    if (attr_bool(n, "antialias")) p.flags |= TN_RESIZE_ANTIALIAS;
    lower_emit(lo, TN_OP_resize, has_grid ? 2 : 1, in, 1, &out, &p, sizeof p);
}

/* Lines run along the axis that comes later in memory. */
void lower_resize_plane(Lower *lo, Node *n) {
    View in[4] = {lower_operand(lo, n->inputs[0]), view_absent(), view_absent(), view_absent()};
    for (int i = 1; i < n->input_count; i++)
        if (n->inputs[i])
            in[i] = i < 3 ? lower_dense(lo, n->inputs[i]) : lower_operand(lo, n->inputs[i]);
    View out = lower_result(lo, n->outputs[0]);
    ParamsResizePlane p = {.resize = resize_params(n)};
    IntList order;
    view_order(lo, &out, &order);
    p.down = place_in(&order, ir_axis(lo->im->module, attr_int(n, "axis"), in[0].rank));
    p.resize.axis = place_in(&order, ir_axis(lo->im->module, attr_int(n, "axis2"), in[0].rank));
    if (p.down > p.resize.axis) {
        uint32_t axis = p.down;
        View grid = in[1];
        p.down = p.resize.axis;
        p.resize.axis = axis;
        in[1] = in[2];
        in[2] = grid;
    }
    in[0] = view_permute(&in[0], &order);
    if (n->input_count > 3 && n->inputs[3]) in[3] = view_permute(&in[3], &order);
    out = view_permute(&out, &order);
    lower_emit(lo, TN_OP_resize_plane, n->input_count, in, 1, &out, &p, sizeof p);
}

/* --- samples at places that are data --- */

#define X(upper, lower, number) {#lower, number},
static const Word paddings[] = {TN_PADDINGS(X)};
#undef X

void lower_grid_sample(Lower *lo, Node *n) {
    View in[2] = {lower_dense(lo, n->inputs[0]), lower_dense(lo, n->inputs[1])};
    View out = lower_result(lo, n->outputs[0]);
    ParamsGridSample p = {.mode = number_of(resize_modes, attr_string(n, "mode")),
                          .padding = number_of(paddings, attr_string(n, "padding")),
                          .align_corners = attr_bool(n, "align_corners")};
    lower_emit(lo, TN_OP_grid_sample, 2, in, 1, &out, &p, sizeof p);
}

/* Places of a query's points lie side by side, and so do their weights. */
void lower_deformable_attention(Lower *lo, Node *n) {
    View in[3] = {lower_rows(lo, n->inputs[0]), lower_dense(lo, n->inputs[1]),
                  lower_rows(lo, n->inputs[2])};
    View out = lower_result(lo, n->outputs[0]);
    const ExprList *levels = attr_exprs(n, "levels");
    ParamsDeformable p = {.softmax = attr_bool(n, "softmax")};
    LInstr *i = lower_emit(lo, TN_OP_deformable_attention, 3, in, 1, &out, &p, sizeof p);
    i->scalars = levels->e;
    i->scalar_count = levels->count;
}

void lower_roi_align(Lower *lo, Node *n) {
    View in[3] = {lower_dense(lo, n->inputs[0]), lower_dense(lo, n->inputs[1]),
                  lower_dense(lo, n->inputs[2])};
    View out = lower_result(lo, n->outputs[0]);
    ParamsRoiAlign p = {.scale = (float)attr_float(n, "scale"),
                        .samples = (uint32_t)attr_int(n, "samples"),
                        .max = attr_bool(n, "max"),
                        .half_pixel = attr_bool(n, "half_pixel")};
    lower_emit(lo, TN_OP_roi_align, 3, in, 1, &out, &p, sizeof p);
}

/* --- recurrent networks --- */

#define X(upper, name, number) {#name, number},
static const Word rnn_modes[] = {TN_RNN_MODES(X)};
static const Word rnn_functions[] = {TN_RNN_FUNCTIONS(X)};
#undef X

void lower_rnn(Lower *lo, Node *n) {
    static const char *const names[3][3] = {
        {"f", "f_alpha", "f_beta"}, {"g", "g_alpha", "g_beta"}, {"h", "h_alpha", "h_beta"}};
    View in[7], out[3] = {view_absent(), view_absent(), view_absent()};
    for (int i = 0; i < 7; i++)
        in[i] = i < n->input_count && n->inputs[i] ? lower_dense(lo, n->inputs[i]) : view_absent();
    for (int i = 0; i < n->output_count; i++) out[i] = lower_result(lo, n->outputs[i]);
    ParamsRnn p = {.mode = number_of(rnn_modes, attr_string(n, "mode")),
                   .clip = (float)attr_float(n, "clip")};
    if (attr_bool(n, "reverse")) p.flags |= TN_RNN_REVERSE;
    if (attr_bool(n, "coupled")) p.flags |= TN_RNN_COUPLED;
    if (attr_bool(n, "linear")) p.flags |= TN_RNN_LINEAR;
    for (int i = 0; i < 3; i++) {
        p.activation[i].function = number_of(rnn_functions, attr_string(n, names[i][0]));
        p.activation[i].alpha = (float)attr_float(n, names[i][1]);
        p.activation[i].beta = (float)attr_float(n, names[i][2]);
    }
    int inputs = 7;
    while (inputs > 2 && in[inputs - 1].buffer == TN_NO_ID) inputs--;
    lower_emit(lo, TN_OP_rnn, inputs, in, 3, out, &p, sizeof p);
}

/* --- transforms and determinants --- */

void lower_dft(Lower *lo, Node *n) {
    View x = lower_dense(lo, n->inputs[0]), out = lower_result(lo, n->outputs[0]);
    ParamsDft p = {.axis = (uint32_t)ir_axis(lo->im->module, attr_int(n, "axis"), x.rank),
                   .inverse = attr_bool(n, "inverse")};
    const Expr *length = attr_dim(n, "length");
    LInstr *i = lower_emit(lo, TN_OP_dft, 1, &x, 1, &out, &p, sizeof p);
    i->scalars = arena_copy(&lo->cx->arena, &length, sizeof length);
    i->scalar_count = 1;
}

void lower_det(Lower *lo, Node *n) {
    View x = lower_dense(lo, n->inputs[0]), out = lower_result(lo, n->outputs[0]);
    lower_emit(lo, TN_OP_det, 1, &x, 1, &out, NULL, 0);
}
