/* Shape rules of resampling, signal and recurrent operators. */
#include "ir/shape.h"

#include <float.h>
#include <math.h>
#include <string.h>
#include "ir/infer.h"

/* --- resize --- */

static void check_length(const Node *n, const Expr *length) {
    Module *m = module_of(n);
    int64_t v;
    if (ex_const(length, &v) && v < 0) tn_fail(m->cx, TN_E_MODEL, "a length of %lld", (long long)v);
}

static void check_grid(const Node *n, int i) {
    Module *m = module_of(n);
    if (n->input_count <= i || !n->inputs[i]) return;
    infer_rank(n, i, 1, 1);
    ir_same_dim(m, infer_input(n, i)->dims[0], ex_int(m->ex, 3), "grid and 3");
}

void shape_resize(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0);
    const Expr *dims[TN_MAX_RANK], *length = attr_dim(n, "length");
    infer_rank(n, 0, 1, TN_MAX_RANK);
    if (strcmp(attr_string(n, "mode"), "nearest") != 0 && x->dtype != TN_F32 && x->dtype != TN_F64)
        tn_fail(m->cx, TN_E_MODEL, "%s is not interpolated", tn_dtype_name(x->dtype));
    if (!isfinite(attr_float(n, "cubic_a")))
        tn_fail(m->cx, TN_E_MODEL, "the cubic's parameter is %g", attr_float(n, "cubic_a"));
    check_length(n, length);
    check_grid(n, 1);
    memcpy(dims, x->dims, sizeof dims);
    dims[ir_axis(m, attr_int(n, "axis"), x->rank)] = length;
    infer_output(n, 0, x->dtype, x->rank, dims);
}

void shape_resize_plane(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0);
    const Expr *dims[TN_MAX_RANK];
    infer_rank(n, 0, 2, TN_MAX_RANK);
    int axis = ir_axis(m, attr_int(n, "axis"), x->rank);
    int axis2 = ir_axis(m, attr_int(n, "axis2"), x->rank);
    if (axis == axis2) tn_fail(m->cx, TN_E_MODEL, "axis %d is resized twice", axis);
    if (!isfinite(attr_float(n, "cubic_a")))
        tn_fail(m->cx, TN_E_MODEL, "the cubic's parameter is %g", attr_float(n, "cubic_a"));
    check_grid(n, 1);
    check_grid(n, 2);
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = attr_dim(n, "length");
    dims[axis2] = attr_dim(n, "length2");
    check_length(n, dims[axis]);
    check_length(n, dims[axis2]);
    if (n->input_count > 3 && n->inputs[3]) {
        infer_rank(n, 3, x->rank, x->rank);
        for (int i = 0; i < x->rank; i++)
            dims[i] = ir_same_dim(m, dims[i], infer_input(n, 3)->dims[i], "result and addend");
    }
    infer_output(n, 0, x->dtype, x->rank, dims);
}

/* --- samples at places that are data --- */

void shape_grid_sample(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0), *grid = infer_input(n, 1);
    infer_rank(n, 0, 3, 5);
    infer_rank(n, 1, x->rank, x->rank);
    const Expr *dims[TN_MAX_RANK] = {
        ir_same_dim(m, x->dims[0], grid->dims[0], "batches of x and grid"), x->dims[1]};
    ir_same_dim(m, grid->dims[x->rank - 1], ex_int(m->ex, x->rank - 2),
                "coordinates and spatial axes");
    for (int i = 2; i < x->rank; i++) dims[i] = grid->dims[i - 1];
    infer_output(n, 0, x->dtype, x->rank, dims);
}

#define MAX_LEVEL_SIZES 64 /* scalars of the instruction */

/* value[b, t, h, d], grid[b, q, h, l, p, 2], weights[b, q, h, l p] */
void shape_deformable_attention(Node *n) {
    Module *m = module_of(n);
    infer_rank(n, 0, 4, 4);
    infer_rank(n, 1, 6, 6);
    infer_rank(n, 2, 4, 4);
    const Expr *const *v = infer_input(n, 0)->dims, *const *g = infer_input(n, 1)->dims;
    const Expr *const *w = infer_input(n, 2)->dims, *cells = ex_int(m->ex, 0);
    const ExprList *levels = attr_exprs(n, "levels");
    if (levels->count < 2 || levels->count > MAX_LEVEL_SIZES || levels->count % 2)
        tn_fail(m->cx, TN_E_MODEL, "%d heights and widths of levels", levels->count);
    for (int i = 0; i < levels->count; i += 2)
        cells = ex_add(m->ex, cells, ex_mul(m->ex, levels->e[i], levels->e[i + 1]));
    ir_same_dim(m, v[1], cells, "length of value and levels");
    ir_same_dim(m, g[3], ex_int(m->ex, levels->count / 2), "levels of the grid");
    ir_same_dim(m, g[5], ex_int(m->ex, 2), "coordinates of a place");
    const Expr *b = ir_same_dim(m, v[0], g[0], "batches of value and grid");
    const Expr *h = ir_same_dim(m, v[2], g[2], "heads of value and grid");
    const Expr *points[] = {b, g[1], h, ex_mul(m->ex, g[3], g[4])};
    for (int i = 0; i < 4; i++) ir_same_dim(m, w[i], points[i], "weights and points");
    infer_output(n, 0, infer_input(n, 0)->dtype, 4, (const Expr *[]){b, g[1], h, v[3]});
}

void shape_roi_align(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0), *region = infer_input(n, 1), *batch = infer_input(n, 2);
    int64_t samples = attr_int(n, "samples");
    infer_rank(n, 0, 4, 4);
    infer_rank(n, 1, 2, 2);
    infer_rank(n, 2, 1, 1);
    if (samples < 0 || samples > 4096)
        tn_fail(m->cx, TN_E_MODEL, "%lld samples per bin, wanted 0 to 4096", (long long)samples);
    if (!(fabs(attr_float(n, "scale")) <= FLT_MAX))
        tn_fail(m->cx, TN_E_MODEL, "a scale of %g", attr_float(n, "scale"));
    ir_same_dim(m, region->dims[1], ex_int(m->ex, 4), "coordinates of a region and 4");
    const Expr *dims[] = {
        ir_same_dim(m, region->dims[0], batch->dims[0], "regions and batch indices"), x->dims[1],
        attr_dim(n, "height"), attr_dim(n, "width")};
    check_length(n, dims[2]);
    check_length(n, dims[3]);
    infer_output(n, 0, x->dtype, 4, dims);
}

/* --- recurrent networks --- */

/* Operand i, if it is there, has these dims. */
static void check_operand(const Node *n, int i, int rank, const Expr *const *dims,
                          const char *what) {
    if (i >= n->input_count || !n->inputs[i]) return;
    infer_rank(n, i, rank, rank);
    for (int k = 0; k < rank; k++)
        ir_same_dim(module_of(n), infer_input(n, i)->dims[k], dims[k], what);
}

static void check_lengths(const Node *n, const Expr *batch) {
    if (n->input_count <= 2 || !n->inputs[2]) return;
    const Type *t = infer_input(n, 2);
    infer_rank(n, 2, 1, 1);
    ir_same_dim(module_of(n), t->dims[0], batch, "lengths and batch");
}

void shape_rnn(Node *n) {
    Module *m = module_of(n);
    const char *mode = attr_string(n, "mode");
    int64_t gates = !strcmp(mode, "rnn") ? 1 : !strcmp(mode, "gru") ? 3 : 4;
    infer_rank(n, 0, 3, 3);
    infer_rank(n, 1, 2, 2);
    const Type *p = infer_input(n, 0), *r = infer_input(n, 1);
    const Expr *size = r->dims[0], *width = ex_scale(m->ex, size, gates, 1);
    const Expr *state[] = {p->dims[1], size}, *three = ex_scale(m->ex, size, 3, 1);
    check_operand(n, 1, 2, (const Expr *[]){size, width}, "recurrent weights and gates");
    ir_same_dim(m, p->dims[2], width, "gates of the input and the recurrent weights");
    check_lengths(n, p->dims[1]);
    check_operand(n, 3, 2, state, "the state and [batch, size]");
    check_operand(n, 4, 2, state, "the cell and [batch, size]");
    check_operand(n, 5, 1, &three, "peepholes and three times the size");
    check_operand(n, 6, 1, &size, "bias and size");
    if (isnan(attr_float(n, "clip"))) tn_fail(m->cx, TN_E_MODEL, "clip is nan");
    infer_make_outputs(n, gates == 4 ? 3 : 2);
    const Expr *dims[] = {p->dims[0], p->dims[1], size};
    infer_output(n, 0, TN_F32, 3, dims);
    for (int i = 1; i < n->output_count; i++) infer_output(n, i, TN_F32, 2, state);
}

/* --- transforms and determinants --- */

void shape_dft(Node *n) {
    Module *m = module_of(n);
    const Type *x = infer_input(n, 0);
    const Expr *dims[TN_MAX_RANK], *length = attr_dim(n, "length");
    bool inverse = attr_bool(n, "inverse"), onesided = attr_bool(n, "onesided");
    int64_t parts, v;
    infer_rank(n, 0, 2, TN_MAX_RANK);
    int axis = ir_axis(m, attr_int(n, "axis"), x->rank);
    if (axis == x->rank - 1 || !ex_const(x->dims[x->rank - 1], &parts) || parts < 1 || parts > 2)
        tn_fail(m->cx, TN_E_MODEL, "a transform along axis %d of %s; the last axis is 1 or 2", axis,
                ir_type_text(m, x));
    if (ex_const(length, &v) && (v < 1 || v > 1 << 28))
        tn_fail(m->cx, TN_E_MODEL, "a transform of length %lld", (long long)v);
    memcpy(dims, x->dims, sizeof dims);
    dims[axis] = length;
    if (onesided && !inverse)
        dims[axis] = ex_add(m->ex, ex_floordiv(m->ex, length, ex_int(m->ex, 2)), ex_int(m->ex, 1));
    dims[x->rank - 1] = ex_int(m->ex, onesided && inverse ? 1 : 2);
    infer_output(n, 0, x->dtype, x->rank, dims);
}

void shape_det(Node *n) {
    const Type *x = infer_input(n, 0);
    infer_rank(n, 0, 2, TN_MAX_RANK);
    ir_same_dim(module_of(n), x->dims[x->rank - 2], x->dims[x->rank - 1], "rows and columns");
    infer_output(n, 0, x->dtype, x->rank - 2, x->dims);
}
