/* deform_columns: what a deformable convolution multiplies with its weights: x at the places of
 * every window's taps, each moved by an offset of its own; all dense, f32 or f64.
 *
 *     y[b, c, k, p] = mask[b, (g, k), p] x[b, c, p stride + k dilation - pad + offset[b, (g, k),
 * p]]
 *
 * between elements bilinear, 0 outside x; channel c belongs to group g of the offsets. A task is a
 * tap of one group: its places are found once, as four elements with weights, for all channels of
 * the group, a block of places at a time. Places are computed in double. */
#include <math.h>
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/params.h"

TN_COMMON_FAMILY(deform_columns);

#define BLOCK 512

enum { X, OFFSET, MASK };

/* A block of places: which elements of a plane, and what they weigh. */
typedef struct Places {
    int64_t at[4][BLOCK];
    double weight[4][BLOCK];
} Places;

typedef struct Deform {
    const ParamsDeform *p;
    const TnTensor *x, *offset, *mask, *y;
    int64_t rows, columns, area; /* of the windows */
    int64_t taps, channels;      /* channels of a group */
    int narrow;                  /* f32 */
} Deform;

static Deform deform_of(const TnCall *call) {
    Deform s = {.p = call->params, .x = &call->operands[X], .offset = &call->operands[OFFSET]};
    if (call->inputs > MASK && call->operands[MASK].data) s.mask = &call->operands[MASK];
    s.y = &call->operands[call->inputs];
    s.rows = s.y->dims[4];
    s.columns = s.y->dims[5];
    s.area = s.rows * s.columns;
    s.taps = (int64_t)s.p->kernel[0] * s.p->kernel[1];
    s.channels = s.x->dims[1] / s.p->groups;
    s.narrow = s.x->dtype == TN_F32;
    return s;
}

void deform_columns_plan_common(TnCall *call) {
    Deform s = deform_of(call);
    int64_t results = tensor_elements(s.y);
    call->tasks = results ? s.x->dims[0] * s.p->groups * s.taps : 0;
    call->work = results * 2;
    call->scratch_bytes = sizeof(Places);
}

static double number(const Deform *s, const TnTensor *t, int64_t i) {
    return s->narrow ? (double)((const float *)t->data)[i] : ((const double *)t->data)[i];
}

/* Entry i of the block: the place (row, column) of x, times `mask`. */
static void set_place(const Deform *s, Places *places, int64_t i, double row, double column,
                      double mask) {
    int64_t height = s->x->dims[2], width = s->x->dims[3];
    int near = row > -1 && column > -1 && row < (double)height && column < (double)width;
    double r = floor(row), c = floor(column), down = row - r, right = column - c;
    for (int k = 0; k < 4; k++) {
        int below = k >> 1, beside = k & 1;
        int64_t h = near ? (int64_t)r + below : -1, w = near ? (int64_t)c + beside : -1;
        int inside = h >= 0 && h < height && w >= 0 && w < width;
        places->at[k][i] = inside ? h * width + w : 0;
        places->weight[k][i] =
            inside ? (below ? down : 1 - down) * (beside ? right : 1 - right) * mask : 0;
    }
}

/* The block of n windows from number `first` on, for the tap with this number among all groups'. */
static void find_places(const Deform *s, Places *places, int64_t b, int64_t tap, int64_t first,
                        int64_t n) {
    const ParamsDeform *p = s->p;
    int64_t all = s->taps * p->groups, k = tap % s->taps;
    int64_t kh = k / p->kernel[1], kw = k % p->kernel[1];
    int64_t offset = (b * all + tap) * 2 * s->area + first;
    int64_t mask = (b * all + tap) * s->area + first;
    int64_t row = first / s->columns, column = first % s->columns;
    for (int64_t i = 0; i < n; i++) {
        double h = (double)(row * p->stride[0] + kh * p->dilation[0] - p->pad[0]);
        double w = (double)(column * p->stride[1] + kw * p->dilation[1] - p->pad[1]);
        set_place(s, places, i, h + number(s, s->offset, offset + i),
                  w + number(s, s->offset, offset + s->area + i),
                  s->mask ? number(s, s->mask, mask + i) : 1);
        if (++column < s->columns) continue;
        column = 0;
        row++;
    }
}

#define SAMPLE(type)                                                                       \
    static void sample_##type(const Places *p, void *y, const void *plane, int64_t n) {    \
        type *to = y;                                                                      \
        const type *x = plane;                                                             \
        for (int64_t i = 0; i < n; i++) {                                                  \
            double sum = 0;                                                                \
            for (int k = 0; k < 4; k++)                                                    \
                if (p->weight[k][i] != 0) sum += p->weight[k][i] * (double)x[p->at[k][i]]; \
            to[i] = (type)sum;                                                             \
        }                                                                                  \
    }

SAMPLE(float)
SAMPLE(double)

void deform_columns_run_common(const TnCall *call, int64_t task, void *scratch) {
    Deform s = deform_of(call);
    Places *places = scratch;
    int64_t all = s.taps * s.p->groups, b = task / all, tap = task % all;
    int64_t group = tap / s.taps, k = tap % s.taps, size = s.narrow ? 4 : 8;
    int64_t plane = s.x->dims[2] * s.x->dims[3];
    for (int64_t first = 0; first < s.area; first += BLOCK) {
        int64_t n = s.area - first < BLOCK ? s.area - first : BLOCK;
        find_places(&s, places, b, tap, first, n);
        for (int64_t c = 0; c < s.channels; c++) {
            int64_t channel = b * s.x->dims[1] + group * s.channels + c;
            char *y = (char *)s.y->data + ((channel * s.taps + k) * s.area + first) * size;
            const char *x = (const char *)s.x->data + channel * plane * size;
            (s.narrow ? sample_float : sample_double)(places, y, x, n);
        }
    }
}
