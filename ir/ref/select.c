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

/* --- selections --- */

void ref_nonzero(RefCall *call) {
    const Tensor *x = call->in[0];
    Tensor *y = call->out;
    int64_t count = 0, room = y->dims[1];
    for (RefLoop l = ref_loop(x->rank, x->dims); ref_more(&l); ref_step(&l)) {
        if (!ir_element_i64(TN_BOOL, x->data, l.count)) continue;
        for (int a = 0; a < x->rank && count < room; a++)
            ir_store_i64(TN_I64, y->data, a * room + count, l.index[a]);
        count++;
    }
    if (count != room)
        ref_fail(call, TN_E_SHAPE, "%lld true elements, not %lld", (long long)count,
                 (long long)room);
}

/* Below, at or above 0: how item i compares with item j. */
static int compare_items(const Tensor *x, RefAxis a, int64_t i, int64_t j) {
    for (int64_t o = 0; o < a.outer; o++)
        for (int64_t b = 0; b < a.inner; b++) {
            Scalar p = scalar_load(x->dtype, x->data, (o * a.length + i) * a.inner + b);
            Scalar q = scalar_load(x->dtype, x->data, (o * a.length + j) * a.inner + b);
            if (less_number(x->dtype, p, q)) return -1;
            if (less_number(x->dtype, q, p)) return 1;
        }
    return 0;
}

/* A group's number is how many groups come before it; its first item stands for it. */
void ref_unique(RefCall *call) {
    const Tensor *x = call->in[0];
    int64_t *place = call->out[0].data, *inverse = call->out[1].data, *size = call->out[2].data;
    bool unsorted = attr_bool(call->node, "unsorted");
    RefAxis a = ref_split(x, ref_axis(call, "axis", x->rank));
    int64_t groups = 0;
    int64_t *first = ARENA_ARRAY(&call->scratch, int64_t, (size_t)a.length);
    for (int64_t i = 0; i < a.length; i++) {
        first[i] = 0;
        while (compare_items(x, a, first[i], i) != 0) first[i]++;
    }
    for (int64_t i = 0; i < a.length; i++) {
        int64_t number = 0;
        for (int64_t j = 0; j < a.length; j++) {
            bool before = unsorted ? j < first[i] : compare_items(x, a, j, i) < 0;
            number += first[j] == j && before;
        }
        if (first[i] == i) {
            place[number] = i;
            groups++;
        }
        inverse[i] = number;
        size[number]++;
    }
    *(int64_t *)call->out[3].data = groups;
}

/* --- nms --- */

/* y1, x1, y2, x2 with y1 <= y2 and x1 <= x2 */
static void load_box(const RefCall *call, int64_t at, float *box) {
    const float *p = (const float *)call->in[0]->data + at * 4;
    if (attr_bool(call->node, "center")) {
        float corners[] = {p[1] - p[3] / 2, p[0] - p[2] / 2, p[1] + p[3] / 2, p[0] + p[2] / 2};
        memcpy(box, corners, sizeof corners);
        return;
    }
    for (int i = 0; i < 2; i++) {
        box[i] = fminf(p[i], p[i + 2]);
        box[i + 2] = fmaxf(p[i], p[i + 2]);
    }
}

static float area(const float *b) {
    return (b[2] - b[0]) * (b[3] - b[1]);
}

static bool overlaps(const float *a, const float *b, float threshold) {
    float common[] = {fmaxf(a[0], b[0]), fmaxf(a[1], b[1]), fminf(a[2], b[2]), fminf(a[3], b[3])};
    if (common[2] <= common[0] || common[3] <= common[1]) return false;
    float shared = area(common), whole = area(a) + area(b) - shared;
    return area(a) > 0 && area(b) > 0 && whole > 0 && shared / whole > threshold;
}

/* The box with the best score that is not out; -1 if there is none. Boxes below the threshold are
 * out from the start. */
static int64_t best_box(const float *scores, const bool *out, int64_t n) {
    int64_t best = -1;
    for (int64_t i = 0; i < n; i++)
        if (!out[i] && (best < 0 || scores[i] > scores[best])) best = i;
    return best;
}

void ref_nms(RefCall *call) {
    const Tensor *scores = call->in[1], *minimum = ref_operand(call, 4);
    int64_t classes = scores->dims[1], n = scores->dims[2], pairs = scores->dims[0] * classes;
    int64_t *rows = call->out[0].data, count = 0, wanted = *(const int64_t *)call->in[2]->data;
    int64_t limit = pairs ? call->out[0].dims[0] / pairs : 0;
    bool *out = ARENA_ARRAY(&call->scratch, bool, (size_t)n);
    for (int64_t p = 0; p < pairs; p++) {
        const float *s = (const float *)scores->data + p * n;
        for (int64_t i = 0; i < n; i++) out[i] = minimum && !(s[i] > *(const float *)minimum->data);
        int64_t best, kept = 0;
        while (kept < limit && kept < wanted && (best = best_box(s, out, n)) >= 0) {
            float box[4], other[4];
            int64_t row[] = {p / classes, p % classes, best};
            memcpy(rows + 3 * count++, row, sizeof row);
            kept++;
            out[best] = true;
            load_box(call, p / classes * n + best, box);
            for (int64_t i = 0; i < n; i++) {
                load_box(call, p / classes * n + i, other);
                out[i] = out[i] || overlaps(box, other, *(const float *)call->in[3]->data);
            }
        }
    }
    *(int64_t *)call->out[1].data = count;
}
