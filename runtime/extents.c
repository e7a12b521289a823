/* Extent rules: do the real dims of an instruction's operands fit together? One rule per name in
 * instrs.def, run at prepare, before the kernel's plan function sees the operands.
 *
 * What holds already: ranks <= 8, dims >= 0, element types and layouts, no view leaves its buffer,
 * strides >= 0. A product of an operand's dims, empty axes counted as 1, is at most
 * TN_MAX_ELEMENTS. Rules add which dims are equal, which operands must be dense in their last axis,
 * and that the innermost steps of an instruction are at most TN_MAX_LOOPS, so that kernels may
 * multiply dims without care. An absent operand has element type TN_NONE.
 *
 * Broadcast operands either have dims equal to the result's under strides of 0, or, where a rule
 * says `broadcast`, extents of 1 and missing leading axes. */
#include "runtime/extents.h"

#include "runtime/pack.h"

bool extent_same(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    return tn_same_dims(&w, input(c, 0), output(c, 0), "x and y");
}

bool extent_norm(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *x = input(c, 0), *residual = input(c, 1), *gamma = input(c, 2),
                   *beta = input(c, 3);
    const TnTensor *y = output(c, 0), *s = output(c, 1);
    if (x->rank < 1) return tn_misfit(&w, "x has no axis");
    int64_t n = x->dims[x->rank - 1];
    if (!tn_same_dims(&w, x, y, "x and y") || !tn_last_axis_dense(&w, x, "x") ||
        !tn_last_axis_dense(&w, y, "y"))
        return false;
    if (residual) {
        if (!tn_broadcasts(&w, residual, x, "residual and x") ||
            !tn_last_axis_dense(&w, residual, "residual"))
            return false;
        if (residual->rank < 1 || residual->dims[residual->rank - 1] != n)
            return tn_misfit_pair(&w, "last axes of residual and x", residual, x);
    }
    if (gamma && !tn_is_vector(&w, gamma, n, "gamma")) return false;
    if (beta && !tn_is_vector(&w, beta, n, "beta")) return false;
    return !s || (tn_same_dims(&w, x, s, "x and s") && tn_last_axis_dense(&w, s, "s"));
}

bool extent_group_norm(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsGroupNorm *p = c->params;
    const TnTensor *x = input(c, 0), *gamma = input(c, 1), *beta = input(c, 2);
    if (x->rank < 2) return tn_misfit(&w, "x has no channels");
    int64_t n = x->dims[x->rank - 1];
    if (!tn_same_dims(&w, x, output(c, 0), "x and y") || !tn_last_axis_dense(&w, x, "x") ||
        !tn_last_axis_dense(&w, output(c, 0), "y"))
        return false;
    if (n % (int64_t)p->groups)
        return tn_misfit(&w, "%u groups of %" PRId64 " channels", p->groups, n);
    if (gamma && !tn_is_vector(&w, gamma, n, "gamma")) return false;
    return !beta || tn_is_vector(&w, beta, n, "beta");
}

/* A table has a row per row of x, or one for all along an axis. */
static bool is_rotary_table(const Why *w, const TnTensor *t, const TnTensor *x, int64_t width,
                            const char *name) {
    int last = x->rank - 1;
    bool fits = t->rank == x->rank && (t->dims[last] == width || t->dims[last] == width / 2);
    for (int i = 0; fits && i < last; i++) fits = t->dims[i] == 1 || t->dims[i] == x->dims[i];
    return (fits && tn_last_axis_dense(w, t, name)) || tn_misfit_pair(w, name, t, x);
}

bool extent_rotary(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsRotary *p = c->params;
    const TnTensor *x = input(c, 0), *cos = input(c, 1), *sin = input(c, 2), *y = output(c, 0);
    if (x->rank < 1) return tn_misfit(&w, "x has no axis");
    int64_t width = p->width;
    if (x->dims[x->rank - 1] < width)
        return tn_misfit(&w, "%" PRId64 " of %" PRId64 " elements rotated", width,
                         x->dims[x->rank - 1]);
    return tn_same_dims(&w, x, y, "x and y") && tn_last_axis_dense(&w, x, "x") &&
           tn_last_axis_dense(&w, y, "y") && is_rotary_table(&w, cos, x, width, "cos and x") &&
           is_rotary_table(&w, sin, x, width, "sin and x");
}

bool extent_map(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    for (int i = 0; i < c->inputs; i++)
        if (!tn_broadcasts(&w, input(c, i), output(c, 0), "an input and the result")) return false;
    return true;
}

bool extent_reduce(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsReduce *p = c->params;
    const TnTensor *x = input(c, 0), *y = output(c, 0);
    TnTensor wanted = *x;
    for (int i = 0; i < x->rank; i++)
        if (p->axes >> i & 1) wanted.dims[i] = 1;
    return tn_same_dims(&w, y, &wanted, "y and x with reduced axes of 1");
}

bool extent_copy(const TnCall *c, char *why, size_t why_size) {
    return extent_same(c, why, why_size);
}

bool extent_any(const TnCall *c, char *why, size_t why_size) {
    (void)c, (void)why, (void)why_size;
    return true;
}

static bool is_dense(const TnTensor *t) {
    int64_t stride = 1;
    for (int i = t->rank - 1; i >= 0; i--) {
        if (t->dims[i] > 1 && t->strides[i] != stride) return is_empty(t);
        stride *= t->dims[i];
    }
    return true;
}

/* Operands are handed to other functions as they are; those that decide have one element, or one
 * per scalar. */
bool extent_control(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    for (int i = 0; i < c->inputs + c->outputs; i++)
        if (c->operands[i].dtype != TN_NONE && !is_dense(&c->operands[i]))
            return tn_misfit(&w, "operand %d is not dense", i);
    int64_t wanted = c->opcode == TN_OP_measure ? c->scalar_count : 1;
    for (int i = 0; i < (c->opcode == TN_OP_loop ? 2 : 1); i++) {
        const TnTensor *t = input(c, i);
        if (t && (is_empty(t) ? 0 : product(t, 0, t->rank)) != wanted)
            return tn_misfit(&w, "operand %d does not have %" PRId64 " elements", i, wanted);
    }
    return true;
}

bool extent_gather(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsGather *p = c->params;
    TnTensor x = *input(c, 0);
    const TnTensor *index = input(c, 1), *y = output(c, 0);
    if (x.layout != TN_LAYOUT_STRIDED) { /* the table's rows are the columns of the panels */
        if (p->axis != 0 || p->batch_dims != 0)
            return tn_misfit(&w, "panels are looked up by row only");
        int64_t k = x.dims[0];
        x.dims[0] = x.dims[1];
        x.dims[1] = k;
    }
    int axis = (int)p->axis, batch = (int)p->batch_dims, n = 0;
    int64_t dims[2 * TN_MAX_RANK];
    for (int i = 0; i < batch; i++)
        if (x.dims[i] != index->dims[i])
            return tn_misfit_pair(&w, "batch axes of x and index", &x, index);
    for (int i = 0; i < axis; i++) dims[n++] = x.dims[i];
    for (int i = batch; i < index->rank; i++) dims[n++] = index->dims[i];
    for (int i = axis + 1; i < x.rank; i++) dims[n++] = x.dims[i];
    if (n != y->rank) return tn_misfit(&w, "y has rank %d, x and index give %d", y->rank, n);
    return tn_has_dims(&w, y, n, dims, "y and what x and index give");
}

bool extent_gather_elements(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsGather *p = c->params;
    const TnTensor *x = input(c, 0), *index = input(c, 1);
    for (int i = 0; i < x->rank; i++)
        if (i != (int)p->axis && index->dims[i] > x->dims[i])
            return tn_misfit_pair(&w, "index and x", index, x);
    return tn_same_dims(&w, index, output(c, 0), "index and y");
}

bool extent_gather_nd(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const ParamsGather *p = c->params;
    const TnTensor *x = input(c, 0), *index = input(c, 1), *y = output(c, 0);
    int batch = (int)p->batch_dims, last = index->rank - 1, n = 0;
    int64_t dims[2 * TN_MAX_RANK], axes = index->dims[last];
    if (axes < 1 || axes > x->rank - batch)
        return tn_misfit_pair(&w, "last axis of index and axes of x", index, x);
    for (int i = 0; i < batch; i++)
        if (x->dims[i] != index->dims[i])
            return tn_misfit_pair(&w, "batch axes of x and index", x, index);
    for (int i = 0; i < last; i++) dims[n++] = index->dims[i];
    for (int i = batch + (int)axes; i < x->rank; i++) dims[n++] = x->dims[i];
    if (n != y->rank) return tn_misfit(&w, "y has rank %d, x and index give %d", y->rank, n);
    return tn_has_dims(&w, y, n, dims, "y and what x and index give");
}

bool extent_iota(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *y = output(c, 0);
    int64_t last;
    if (y->rank != 1) return tn_misfit(&w, "y must have rank 1");
    if (y->dims[0] == 0) return true;
    if (!tn_mul_i64(c->scalars[1], y->dims[0] - 1, &last) ||
        !tn_add_i64(c->scalars[0], last, &last))
        return tn_misfit(&w, "the last value overflows");
    return true;
}

bool extent_scalars(const TnCall *c, char *why, size_t why_size) {
    Why w = {why, why_size};
    const TnTensor *y = output(c, 0);
    if (y->rank > 1) return tn_misfit(&w, "y must have rank 0 or 1");
    if ((y->rank ? y->dims[0] : 1) != c->scalar_count)
        return tn_misfit(&w, "%" PRId32 " scalars for %" PRId64 " elements", c->scalar_count,
                         y->rank ? y->dims[0] : 1);
    return true;
}
