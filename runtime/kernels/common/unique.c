/* unique: groups of equal items along an axis; an item is all that lies at one place of it.
 *
 *     places[g]   the first item of group g            inverse[i]  the group of item i
 *     counts[g]   how many items group g has           count[0]    the number of groups
 *
 * Groups are in the order of their items' values (compared element by element in row-major order,
 * NaN last) or, unsorted, of their first items. The first three are as long as the axis; entries
 * behind the last group are 0. Results serve as the work space: places holds the order of the
 * items, counts the other side of a merge. */
#include "runtime/kernels/common/order.h"
#include "runtime/kernels/loop.h"

TN_COMMON_FAMILY(unique);

enum { X, PLACES, INVERSE, COUNTS, COUNT };

typedef struct Items {
    Loop loop; /* over the elements of an item */
    const char *data;
    int64_t stride; /* in bytes, from item to item */
    int64_t elements;
    TnDType dtype;
} Items;

void unique_plan_common(TnCall *call) {
    call->tasks = 1;
    call->work = tensor_elements(&call->operands[X]) * 200;
    call->scratch_bytes = 0;
}

static Items items_of(const TnTensor *x, int axis) {
    Items s;
    s.data = x->data;
    s.dtype = (TnDType)x->dtype;
    loop_over(&s.loop, x);
    loop_add(&s.loop, x);
    s.loop.dims[axis] = 1;
    loop_collapse(&s.loop);
    s.elements = loop_points(&s.loop, s.loop.rank);
    s.stride = x->strides[axis] * (int64_t)tn_dtype_size(s.dtype);
    return s;
}

/* Below, at or above 0: how item a compares with item b. */
static int compare(const Items *s, int64_t a, int64_t b) {
    int64_t size = (int64_t)tn_dtype_size(s->dtype);
    LoopAt at;
    loop_start(&s->loop, s->loop.rank, &at);
    for (int64_t i = 0; i < s->elements; i++, loop_next(&s->loop, s->loop.rank, &at)) {
        uint64_t x, y;
        load_keys(&x, s->data + a * s->stride + at.offset[0] * size, s->dtype, 1, 1);
        load_keys(&y, s->data + b * s->stride + at.offset[0] * size, s->dtype, 1, 1);
        if (x != y) return x < y ? -1 : 1;
    }
    return 0;
}

/* Sorts list[0, n); equal items keep their order. Merges runs of 1, 2, 4, ... into the other list
 * and back. */
static void sort_items(const Items *s, int64_t *list, int64_t *other, int64_t n) {
    int64_t *from = list, *to = other;
    for (int64_t i = 0; i < n; i++) list[i] = i;
    for (int64_t run = 1; run < n; run *= 2) {
        for (int64_t begin = 0; begin < n; begin += 2 * run) {
            int64_t middle = begin + run < n ? begin + run : n;
            int64_t end = middle + run < n ? middle + run : n, a = begin, b = middle;
            for (int64_t i = begin; i < end; i++) {
                int first = b == end || (a < middle && compare(s, from[a], from[b]) <= 0);
                to[i] = first ? from[a++] : from[b++];
            }
        }
        int64_t *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != list) memcpy(list, from, (size_t)n * sizeof *list);
}

/* Every item's group is its first item, whose count is that of the group. */
static void group_by_first(const Items *s, const int64_t *order, int64_t *inverse, int64_t *counts,
                           int64_t n) {
    memset(counts, 0, (size_t)n * sizeof *counts);
    for (int64_t i = 0, first = 0; i < n; i++) {
        if (i == 0 || compare(s, order[i - 1], order[i]) != 0) first = order[i];
        inverse[order[i]] = first;
        counts[first]++;
    }
}

/* Groups get numbers in the order of their first items. What is written lies at or before what is
 * read: a group's number is at most its first item. */
static int64_t number_by_first(int64_t *places, int64_t *inverse, int64_t *counts, int64_t n) {
    int64_t groups = 0;
    for (int64_t i = 0; i < n; i++) {
        if (inverse[i] != i) {
            inverse[i] = inverse[inverse[i]];
            continue;
        }
        inverse[i] = groups;
        places[groups] = i;
        counts[groups++] = counts[i];
    }
    return groups;
}

/* The same in the order of values; the order of the items becomes their places. */
static int64_t number_by_value(const Items *s, int64_t *order, int64_t *inverse, int64_t *counts,
                               int64_t n) {
    int64_t groups = 0;
    for (int64_t i = 0, previous = 0; i < n; i++) {
        int64_t item = order[i];
        if (i == 0 || compare(s, previous, item) != 0) {
            order[groups] = item;
            counts[groups++] = 0;
        }
        inverse[item] = groups - 1;
        counts[groups - 1]++;
        previous = item;
    }
    return groups;
}

void unique_run_common(const TnCall *call, int64_t task, void *scratch) {
    (void)task, (void)scratch;
    const ParamsUnique *params = call->params;
    const TnTensor *x = &call->operands[X];
    int64_t *places = call->operands[PLACES].data, *inverse = call->operands[INVERSE].data,
            *counts = call->operands[COUNTS].data, n = x->dims[params->axis], groups = 0;
    Items s = items_of(x, (int)params->axis);
    if (n > 0) {
        sort_items(&s, places, counts, n);
        if (params->unsorted) {
            group_by_first(&s, places, inverse, counts, n);
            groups = number_by_first(places, inverse, counts, n);
        } else {
            groups = number_by_value(&s, places, inverse, counts, n);
        }
        memset(places + groups, 0, (size_t)(n - groups) * sizeof *places);
        memset(counts + groups, 0, (size_t)(n - groups) * sizeof *counts);
    }
    *(int64_t *)call->operands[COUNT].data = groups;
}
