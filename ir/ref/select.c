/* Operators that write at positions from data, order and select. */
#include "ir/ref/ref.h"

#include <math.h>
#include <string.h>

/* --- scatters --- */

static OpKind reduction(const RefCall *call) {
    static const struct {
        const char *name;
        OpKind op;
    } known[] = {{"add", OP_add}, {"mul", OP_mul}, {"min", OP_min}, {"max", OP_max}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(attr_string(call->node, "reduction"), known[i].name) == 0) return known[i].op;
    return OP_COUNT;
}

static void update(Tensor *y, int64_t to, const Tensor *u, int64_t from, OpKind op) {
    Scalar pair[2] = {scalar_load(y->dtype, y->data, to), scalar_load(u->dtype, u->data, from)};
    scalar_store(y->dtype, y->data, to,
                 op == OP_COUNT ? pair[1] : scalar_apply(op, y->dtype, pair));
}

void ref_scatter_elements(RefCall *call) {
    const Tensor *x = call->in[0], *index = call->in[1], *u = call->in[2];
    Tensor *y = call->out;
    OpKind op = reduction(call);
    int axis = ref_axis(call, "axis", x->rank);
    int64_t strides[TN_MAX_RANK];
    memcpy(y->data, x->data, x->bytes);
    ref_strides(x->rank, x->dims, strides);
    int64_t stride = strides[axis];
    strides[axis] = 0;
    RefLoop l = ref_loop(index->rank, index->dims);
    int rest = ref_follow_strides(&l, strides, 0);
    for (; ref_more(&l); ref_step(&l)) {
        int64_t to = l.at[rest] + ref_index(call, index, l.count, x->dims[axis]) * stride;
        update(y, to, u, l.count, op);
    }
}

void ref_scatter_nd(RefCall *call) {
    const Tensor *x = call->in[0], *index = call->in[1], *u = call->in[2];
    Tensor *y = call->out;
    OpKind op = reduction(call);
    int depth = (int)index->dims[index->rank - 1];
    int64_t inner = 1, strides[TN_MAX_RANK];
    memcpy(y->data, x->data, x->bytes);
    ref_strides(x->rank, x->dims, strides);
    for (int i = depth; i < x->rank; i++) inner *= x->dims[i];
    for (int64_t r = 0, rows = tensor_count(index) / depth; r < rows; r++) {
        int64_t at = 0;
        for (int i = 0; i < depth; i++)
            at += ref_index(call, index, r * depth + i, x->dims[i]) * strides[i];
        for (int64_t b = 0; b < inner; b++) update(y, at + b, u, r * inner + b, op);
    }
}

/* --- orders --- */

static bool less_number(TnDType t, Scalar a, Scalar b) {
    if (tn_is_float(t)) return isnan(b.f) ? !isnan(a.f) : a.f < b.f;
    return t == TN_U64 ? (uint64_t)a.i < (uint64_t)b.i : a.i < b.i;
}

/* Selects one after another: the best that is not taken yet. */
void ref_topk(RefCall *call) {
    const Tensor *x = call->in[0];
    int axis = ref_axis(call, "axis", x->rank);
    bool smallest = attr_bool(call->node, "smallest");
    RefAxis a = ref_split(x, axis);
    int64_t k = call->out->dims[axis];
    bool *taken = ARENA_ARRAY(&call->scratch, bool, (size_t)a.length);
    for (int64_t line = 0; line < a.outer * a.inner; line++) {
        int64_t o = line / a.inner, b = line % a.inner;
        memset(taken, 0, (size_t)a.length);
        for (int64_t j = 0; j < k; j++) {
            int64_t best = -1;
            Scalar top = {0};
            for (int64_t i = 0; i < a.length; i++) {
                Scalar v = scalar_load(x->dtype, x->data, (o * a.length + i) * a.inner + b);
                bool better = best < 0 || (smallest ? less_number(x->dtype, v, top)
                                                    : less_number(x->dtype, top, v));
                if (taken[i] || !better) continue;
                best = i;
                top = v;
            }
            taken[best] = true;
            scalar_store(x->dtype, call->out[0].data, (o * k + j) * a.inner + b, top);
            ir_store_i64(TN_I64, call->out[1].data, (o * k + j) * a.inner + b, best);
        }
    }
}
