/* nms: boxes[b, n, 4] and scores[b, c, n] -> rows (batch, class, box) of the boxes that are kept,
 * and their number.
 *
 * Per batch and class boxes are taken in the order of their scores (of equal ones the earlier box
 * first), as far as these are above score_threshold if it is given; a box is kept unless its
 * intersection with one kept before is more than iou_threshold of their union, and at most
 * max_boxes are kept. Rows behind the last one are 0. A box is two corners y1, x1, y2, x2 in any
 * order, or x, y of the centre, width and height. */
#include "runtime/kernels/common/order.h"
#include "runtime/kernels/loop.h"

TN_COMMON_FAMILY(nms);

enum { BOXES, SCORES, MAX_BOXES, IOU, SCORE };

typedef struct Box {
    float y1, x1, y2, x2; /* y1 <= y2, x1 <= x2 */
} Box;

void nms_plan_common(TnCall *call) {
    const TnTensor *scores = &call->operands[SCORES];
    call->tasks = 1;
    call->work = tensor_elements(scores) * 64;
    call->scratch_bytes = (size_t)scores->dims[2] * sizeof(Entry);
}

/* The rows, or (1) how many are used. */
static const TnTensor *result(const TnCall *call, int i) {
    return &call->operands[call->inputs + i];
}

static Box load_box(const TnTensor *boxes, int64_t batch, int64_t i, int center) {
    const float *p = (const float *)boxes->data + batch * boxes->strides[0] + i * boxes->strides[1];
    int64_t s = boxes->strides[2];
    float v[4] = {p[0], p[s], p[2 * s], p[3 * s]};
    if (center) return (Box){v[1] - v[3] / 2, v[0] - v[2] / 2, v[1] + v[3] / 2, v[0] + v[2] / 2};
    return (Box){v[0] < v[2] ? v[0] : v[2], v[1] < v[3] ? v[1] : v[3], v[0] < v[2] ? v[2] : v[0],
                 v[1] < v[3] ? v[3] : v[1]};
}

static float area(const Box *b) {
    return (b->y2 - b->y1) * (b->x2 - b->x1);
}

/* Boxes without area overlap nothing. */
static int overlaps(const Box *a, const Box *b, float threshold) {
    Box common = {a->y1 > b->y1 ? a->y1 : b->y1, a->x1 > b->x1 ? a->x1 : b->x1,
                  a->y2 < b->y2 ? a->y2 : b->y2, a->x2 < b->x2 ? a->x2 : b->x2};
    if (common.y2 <= common.y1 || common.x2 <= common.x1) return 0;
    float shared = area(&common), whole = area(a) + area(b) - shared;
    return area(a) > 0 && area(b) > 0 && whole > 0 && shared / whole > threshold;
}

/* Boxes of one batch and class in the order of their scores; returns how many. */
static int64_t candidates(const TnCall *call, int64_t batch, int64_t class, Entry *list) {
    const TnTensor *scores = &call->operands[SCORES];
    const float *threshold = call->inputs > SCORE ? call->operands[SCORE].data : NULL,
                *p = (const float *)scores->data + batch * scores->strides[0] +
                     class * scores->strides[1];
    int64_t count = 0;
    for (int64_t i = 0; i < scores->dims[2]; i++) {
        float score = p[i * scores->strides[2]];
        if (threshold && !(score > *threshold)) continue;
        list[count++] = (Entry){key_of_double((double)score), i};
    }
    make_heap(list, count);
    sort_best(list, count);
    return count;
}

/* Appends the rows of one batch and class from `count` on; returns the new number of rows. */
static int64_t keep_boxes(const TnCall *call, int64_t batch, int64_t class, int64_t count,
                          int64_t limit, Entry *list) {
    const TnTensor *boxes = &call->operands[BOXES];
    int center = (int)((const ParamsNms *)call->params)->center;
    const float *iou = call->operands[IOU].data;
    int64_t *rows = result(call, 0)->data, first = count;
    for (int64_t i = 0, n = candidates(call, batch, class, list); i < n && count - first < limit;
         i++) {
        Box box = load_box(boxes, batch, list[i].place, center);
        int keep = 1;
        for (int64_t k = first; keep && k < count; k++) {
            Box kept = load_box(boxes, batch, rows[3 * k + 2], center);
            keep = !overlaps(&box, &kept, *iou);
        }
        if (!keep) continue;
        rows[3 * count] = batch;
        rows[3 * count + 1] = class;
        rows[3 * count++ + 2] = list[i].place;
    }
    return count;
}

void nms_run_common(const TnCall *call, int64_t task, void *scratch) {
    (void)task;
    const TnTensor *scores = &call->operands[SCORES], *rows = result(call, 0);
    int64_t pairs = scores->dims[0] * scores->dims[1], count = 0;
    int64_t room = pairs ? rows->dims[0] / pairs : 0,
            wanted = *(const int64_t *)call->operands[MAX_BOXES].data;
    int64_t limit = wanted < room ? wanted : room;
    for (int64_t b = 0; b < scores->dims[0]; b++)
        for (int64_t c = 0; c < scores->dims[1]; c++)
            count = keep_boxes(call, b, c, count, limit, scratch);
    memset((int64_t *)rows->data + 3 * count, 0,
           (size_t)(rows->dims[0] - count) * 3 * sizeof(int64_t));
    *(int64_t *)result(call, 1)->data = count;
}
