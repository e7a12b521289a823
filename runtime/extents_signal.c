/* Extent rules of resampling, signal and recurrent instructions; see extents.c. */
#include "runtime/extents.h"

/* y and x but for some axes; grids from input 1 on, one per axis. */
static bool resized(const TnCall *c, const Why *w, const int *axes, int count) {
    const TnTensor *x = input(c, 0), *y = output(c, 0);
    int64_t steps[3] = {product(y, 0, y->rank)};
    TnTensor wanted = *x;
    for (int i = 0; i < count; i++) {
        if (axes[i] < y->rank) wanted.dims[axes[i]] = y->dims[axes[i]];
        steps[1 + i] = x->dims[axes[i]];
    }
    if (!tn_same_dims(w, y, &wanted, "y and x but for what is resized")) return false;
    for (int i = 0; i < count; i++) {
        const TnTensor *grid = input(c, 1 + i);
        if (x->dims[axes[i]] > INT32_MAX / 4 || y->dims[axes[i]] > INT32_MAX / 4)
            return tn_misfit_pair(w, "a resized axis is too long", x, y);
        if (x->dims[axes[i]] == 0 && !is_empty(y)) return tn_misfit_pair(w, "an empty axis", x, y);
        if (grid && !tn_is_vector(w, grid, 3, "grid")) return false;
    }
    return tn_loops_ok(w, steps, 1 + count);
}

bool extent_resize(const TnCall *c, char *why, size_t why_size) {
    const ParamsResize *p = c->params;
    Why w = {why, why_size};
    return resized(c, &w, (int[]){(int)p->axis}, 1);
}

bool extent_resize_plane(const TnCall *c, char *why, size_t why_size) {
    const ParamsResizePlane *p = c->params;
    Why w = {why, why_size};
    const TnTensor *addend = input(c, 3);
    if (!resized(c, &w, (int[]){(int)p->down, (int)p->resize.axis}, 2)) return false;
    return !addend || tn_same_dims(&w, addend, output(c, 0), "addend and y");
}

/* grid[b, o.., axes], y[b, c, o..] */
bool extent_grid_sample(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *x = input(c, 0), *grid = input(c, 1), *y = output(c, 0);
    int axes = x->rank - 2;
    if (grid->rank != x->rank || y->rank != x->rank)
        return tn_misfit_pair(&w, "ranks of x and grid", x, grid);
    bool fits = grid->dims[axes + 1] == axes && grid->dims[0] == x->dims[0];
    fits = fits && y->dims[0] == x->dims[0] && y->dims[1] == x->dims[1];
    for (int i = 0; i < axes; i++) fits = fits && y->dims[2 + i] == grid->dims[1 + i];
    if (!fits) return tn_misfit_pair(&w, "grid and y", grid, y);
    if (product(x, 2, x->rank) > INT32_MAX || (is_empty(x) && !is_empty(y)))
        return tn_misfit_pair(&w, "sampled planes", x, y);
    return tn_wholly_dense(&w, x, "x") && tn_wholly_dense(&w, grid, "grid") &&
           tn_wholly_dense(&w, y, "y") &&
           tn_loops_ok(&w, (int64_t[]){product(y, 0, y->rank), 64}, 2);
}

/* value[b, t, h, d], grid[b, q, h, l, p, 2], weights[b, q, h, l p], y[b, q, h, d] */
bool extent_deformable_attention(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *value = input(c, 0), *grid = input(c, 1), *weights = input(c, 2),
                   *y = output(c, 0);
    if (value->rank != 4 || grid->rank != 6)
        return tn_misfit_pair(&w, "ranks of value and grid", value, grid);
    int64_t cells = 0, b = value->dims[0], q = grid->dims[1], h = value->dims[2],
            l = c->scalar_count / 2, p = grid->dims[4], d = value->dims[3], area, points;
    for (int i = 0; i < c->scalar_count; i += 2)
        if (c->scalars[i] < 0 || c->scalars[i + 1] < 0 || c->scalars[i] > INT32_MAX / 4 ||
            c->scalars[i + 1] > INT32_MAX / 4 ||
            !tn_mul_i64(c->scalars[i], c->scalars[i + 1], &area) ||
            !tn_add_i64(cells, area, &cells))
            return tn_misfit(&w, "level of %" PRId64 " x %" PRId64, c->scalars[i],
                             c->scalars[i + 1]);
    if (!tn_mul_i64(l, p, &points)) return tn_misfit(&w, "too many points");
    return tn_has_dims(&w, value, 4, (int64_t[]){b, cells, h, d}, "value and levels") &&
           tn_has_dims(&w, grid, 6, (int64_t[]){b, q, h, l, p, 2}, "grid and value") &&
           tn_has_dims(&w, weights, 4, (int64_t[]){b, q, h, points}, "weights and grid") &&
           tn_has_dims(&w, y, 4, (int64_t[]){b, q, h, d}, "y and grid") &&
           tn_last_axis_dense(&w, value, "value") && tn_wholly_dense(&w, grid, "grid") &&
           tn_last_axis_dense(&w, weights, "weights") && tn_wholly_dense(&w, y, "y") &&
           tn_loops_ok(&w, (int64_t[]){b, q, h, points, d > 1 ? d : 1, 4}, 6);
}

bool extent_roi_align(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *x = input(c, 0), *region = input(c, 1), *batch = input(c, 2), *y = output(c, 0);
    if (x->rank != 4 || y->rank != 4 || y->dims[1] != x->dims[1])
        return tn_misfit_pair(&w, "channels of x and y", x, y);
    if (batch->dtype != TN_I64) return tn_misfit(&w, "batch indices must be i64");
    if (is_empty(x) && !is_empty(y)) return tn_misfit_pair(&w, "an empty image", x, y);
    if (!tn_has_dims(&w, region, 2, (int64_t[]){y->dims[0], 4}, "regions and [r, 4]") ||
        !tn_is_vector(&w, batch, y->dims[0], "batch"))
        return false;
    return tn_wholly_dense(&w, x, "x") && tn_wholly_dense(&w, region, "regions") &&
           tn_wholly_dense(&w, y, "y") &&
           tn_loops_ok(&w, (int64_t[]){product(y, 0, 4), x->dims[2], x->dims[3]}, 3);
}

static bool optional_matrix(const Why *w, const TnTensor *t, int64_t rows, int64_t columns,
                            const char *name) {
    return !t ||
           (tn_has_dims(w, t, 2, (int64_t[]){rows, columns}, name) && tn_wholly_dense(w, t, name));
}

bool extent_rnn(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsRnn *p = c->params;
    const TnTensor *gates = input(c, 0), *r = input(c, 1), *lengths = input(c, 2),
                   *y = output(c, 0);
    int64_t count = p->mode == TN_RNN_RNN ? 1 : p->mode == TN_RNN_GRU ? 3 : 4;
    if (gates->rank != 3 || r->rank != 2) return tn_misfit_pair(&w, "ranks of p and r", gates, r);
    int64_t steps = gates->dims[0], batch = gates->dims[1], size = r->dims[0];
    if (r->dims[1] != gates->dims[2] || r->dims[1] % count || r->dims[1] / count != size)
        return tn_misfit_pair(&w, "gates of p and r", gates, r);
    if (!tn_has_dims(&w, y, 3, (int64_t[]){steps, batch, size}, "y and [t, b, h]")) return false;
    if (lengths && !tn_is_vector(&w, lengths, batch, "lengths")) return false;
    if (!optional_matrix(&w, input(c, 3), batch, size, "h") ||
        !optional_matrix(&w, input(c, 4), batch, size, "c") ||
        !optional_matrix(&w, output(c, 1), batch, size, "the last h") ||
        !optional_matrix(&w, output(c, 2), batch, size, "the last c"))
        return false;
    if (input(c, 5) && !tn_is_vector(&w, input(c, 5), 3 * size, "peepholes")) return false;
    if (input(c, 6) && !tn_is_vector(&w, input(c, 6), size, "bias")) return false;
    return tn_wholly_dense(&w, gates, "p") && tn_wholly_dense(&w, r, "r") &&
           tn_wholly_dense(&w, y, "y") &&
           tn_loops_ok(&w, (int64_t[]){steps, batch, size, r->dims[1]}, 4);
}

bool extent_dft(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsDft *p = c->params;
    TnTensor x = *input(c, 0), y = *output(c, 0);
    int64_t n = c->scalars[0], parts = y.rank ? y.dims[y.rank - 1] : 0;
    if (x.dtype != TN_F32 && x.dtype != TN_F64) return tn_misfit(&w, "x must be f32 or f64");
    if (x.rank != y.rank || parts < 1 || parts > 2 || x.dims[x.rank - 1] < 1 ||
        x.dims[x.rank - 1] > 2)
        return tn_misfit_pair(&w, "real and imaginary parts of x and y", &x, &y);
    if (n < 1 || n > (1 << 28)) return tn_misfit(&w, "a transform of length %" PRId64, n);
    if (y.dims[p->axis] > n) return tn_misfit_pair(&w, "bins of y", &x, &y);
    if (!tn_wholly_dense(&w, &x, "x") || !tn_wholly_dense(&w, &y, "y")) return false;
    x.dims[p->axis] = y.dims[p->axis];
    x.dims[x.rank - 1] = parts;
    return tn_same_dims(&w, &y, &x, "y and x but for the transformed axis") &&
           tn_loops_ok(&w, (int64_t[]){product(&y, 0, y.rank), n, 64}, 3);
}

bool extent_det(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *x = input(c, 0), *y = output(c, 0);
    if (x->dtype != TN_F32 && x->dtype != TN_F64) return tn_misfit(&w, "x must be f32 or f64");
    if (x->rank < 2 || x->dims[x->rank - 1] != x->dims[x->rank - 2])
        return tn_misfit_pair(&w, "matrices", x, y);
    return tn_has_dims(&w, y, x->rank - 2, x->dims, "y and the matrices of x") &&
           tn_wholly_dense(&w, x, "x") && tn_wholly_dense(&w, y, "y") &&
           tn_loops_ok(&w, (int64_t[]){product(x, 0, x->rank), x->dims[x->rank - 1]}, 2);
}
