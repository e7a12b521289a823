/* topk: the k largest (or smallest) elements of every line along an axis, best first, and their
 * positions. Of equal elements the one at the lower position is better; NaN counts as the largest.
 *
 * The k best so far are a heap with the worst at its root: an element that is better replaces it.
 */
#include "runtime/kernels/common/order.h"
#include "runtime/kernels/loop.h"

TN_COMMON_FAMILY(topk);

#define TASK_ELEMENTS 8192

enum { X, VALUES, PLACES };

void topk_plan_common(TnCall *call) {
    const ParamsTopk *params = call->params;
    const TnTensor *x = &call->operands[X], *y = &call->operands[VALUES];
    int64_t elements = tensor_elements(x), n = x->dims[params->axis], k = y->dims[params->axis];
    call->tile[0] = n > 0 && n < TASK_ELEMENTS ? TASK_ELEMENTS / n : 1;
    call->tasks = elements == 0 || k == 0 ? 0 : TN_CEIL_DIV(elements / n, call->tile[0]);
    call->work = elements * 2 + tensor_elements(y) * 32;
    call->scratch_bytes = (size_t)k * sizeof(Entry) + MAP_BLOCK * sizeof(uint64_t);
}

/* The k best of n elements, worst first in the sense of a heap. */
static void select_best(Entry *heap, int64_t k, const char *x, TnDType t, int64_t stride, int64_t n,
                        uint64_t invert, uint64_t *keys) {
    int64_t size = (int64_t)tn_dtype_size(t);
    for (int64_t i = 0; i < n; i += MAP_BLOCK) {
        int64_t count = n - i < MAP_BLOCK ? n - i : MAP_BLOCK;
        load_keys(keys, x + i * stride * size, t, stride, count);
        for (int64_t j = 0; j < count; j++) {
            Entry e = {keys[j] ^ invert, i + j};
            if (e.place < k) {
                heap[e.place] = e;
                if (e.place == k - 1) make_heap(heap, k);
            } else if (better(&e, &heap[0])) {
                heap[0] = e;
                sink(heap, k, 0);
            }
        }
    }
}

void topk_run_common(const TnCall *call, int64_t task, void *scratch) {
    const ParamsTopk *params = call->params;
    const TnTensor *x = &call->operands[X], *y = &call->operands[VALUES],
                   *places = &call->operands[PLACES];
    int axis = (int)params->axis;
    int64_t n = x->dims[axis], k = y->dims[axis], size = (int64_t)tn_dtype_size(x->dtype);
    int64_t sx = x->strides[axis], sy = y->strides[axis], sp = places->strides[axis];
    uint64_t invert = params->flags & TN_TOPK_SMALLEST ? UINT64_MAX : 0;
    Entry *heap = scratch;
    Loop l;
    loop_over(&l, x);
    loop_add(&l, x);
    loop_add(&l, y);
    loop_add(&l, places->data ? places : y);
    LoopLines t = loop_lines(&l, axis, task, call->tile[0]);
    for (; t.i < t.last; loop_next_line(&l, &t)) {
        const char *line = (const char *)x->data + t.at.offset[0] * size;
        select_best(heap, k, line, (TnDType)x->dtype, sx, n, invert, (uint64_t *)(heap + k));
        sort_best(heap, k);
        for (int64_t j = 0; j < k; j++) {
            memcpy((char *)y->data + (t.at.offset[1] + j * sy) * size,
                   line + heap[j].place * sx * size, (size_t)size);
            if (places->data) ((int64_t *)places->data)[t.at.offset[2] + j * sp] = heap[j].place;
        }
    }
}
