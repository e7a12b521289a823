/* rotary, as its formula says. */
#include "ir/ref/ref.h"

/* The entry of a table for an element of a pair; `at` is where the row of the table begins. */
static double table_at(const Tensor *t, int64_t at, int64_t pair, int64_t element, int64_t width) {
    int64_t column = t->dims[t->rank - 1] == width ? element : pair;
    return ir_element_f64(t->dtype, t->data, at + column);
}

/* Follows the rows of a table of any rank: its last axis is not walked. */
static int follow_rows(RefLoop *l, const Tensor *t) {
    int64_t own[TN_MAX_RANK], strides[TN_MAX_RANK] = {0};
    int missing = l->rank + 1 - t->rank;
    ref_strides(t->rank, t->dims, own);
    for (int i = 0; i + 1 < t->rank; i++) strides[i + missing] = t->dims[i] == 1 ? 0 : own[i];
    return ref_follow_strides(l, strides, 0);
}

void ref_rotary(RefCall *call) {
    const Tensor *x = call->in[0], *cos = call->in[1], *sin = call->in[2];
    Tensor *y = call->out;
    int64_t d = x->dims[x->rank - 1], width = attr_int(call->node, "width"), half = width / 2;
    bool interleaved = attr_bool(call->node, "interleaved");
    RefLoop l = ref_loop(x->rank - 1, x->dims);
    int c = follow_rows(&l, cos), s = follow_rows(&l, sin);
    for (; ref_more(&l); ref_step(&l)) {
        int64_t row = l.count * d;
        for (int64_t i = 0; i < half; i++) {
            int64_t first = interleaved ? 2 * i : i, second = interleaved ? 2 * i + 1 : i + half;
            double a = ir_element_f64(x->dtype, x->data, row + first);
            double b = ir_element_f64(x->dtype, x->data, row + second);
            ir_store_f64(y->dtype, y->data, row + first,
                         a * table_at(cos, l.at[c], i, first, width) -
                             b * table_at(sin, l.at[s], i, first, width));
            ir_store_f64(y->dtype, y->data, row + second,
                         b * table_at(cos, l.at[c], i, second, width) +
                             a * table_at(sin, l.at[s], i, second, width));
        }
        for (int64_t i = width; i < d; i++)
            ir_store_f64(y->dtype, y->data, row + i, ir_element_f64(x->dtype, x->data, row + i));
    }
}
