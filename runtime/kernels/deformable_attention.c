/* deformable_attention: y[b,q,h,:] = sum over l, p of weight[b,q,h,(l,p)] map_l[b,h,:] at
 * grid[b,q,h,l,p,:], f32; see ir/ref/deformable.c for the formula.
 *
 * value[b, t, h, d] holds the maps of all levels one after another, its rows [d] dense, as the
 * product that projects it leaves them; grid and y are dense, rows of weights too. Each place is
 * four corners; those inside the map are listed as offsets with their weights, then rows of value
 * are added up. An offset comes from an index that lies inside the map, whatever the data.
 *
 * A corner outside counts as zero times its weight: NaN if the weight is not finite. */
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/simd_math.h"
#include "runtime/params.h"

TN_FAMILY(deformable_attention);

#define BLOCK      32 /* points whose corners are listed at once */
#define TASK_STEPS 65536

typedef struct Deformable {
    const TnTensor *value, *weights;
    const float *grid;
    float *y;
    const int64_t *sizes; /* height and width of each level */
    int64_t batch, queries, heads, points, all, depth, rows;
    int softmax;
} Deformable;

static Deformable deformable_of(const TnCall *call) {
    const TnTensor *grid = &call->operands[1];
    const ParamsDeformable *p = call->params;
    Deformable s = {.value = &call->operands[0],
                    .weights = &call->operands[2],
                    .grid = grid->data,
                    .y = call->operands[3].data,
                    .sizes = call->scalars,
                    .batch = grid->dims[0],
                    .queries = grid->dims[1],
                    .heads = grid->dims[2],
                    .points = grid->dims[4],
                    .all = grid->dims[3] * grid->dims[4],
                    .depth = call->operands[0].dims[3],
                    .softmax = p->softmax != 0};
    s.rows = s.batch * s.queries;
    return s;
}

/* A task is some queries. */
void TN_FN(deformable_attention_plan)(TnCall *call) {
    Deformable s = deformable_of(call);
    int64_t steps = s.heads * (s.all * (4 * s.depth + 40) + s.depth + 20);
    call->tile[0] = steps < TASK_STEPS ? TASK_STEPS / (steps + 1) + 1 : 1;
    call->tasks = tensor_elements(&call->operands[3]) ? TN_CEIL_DIV(s.rows, call->tile[0]) : 0;
    call->work = s.rows * steps / VF_WIDTH;
    call->scratch_bytes = 0;
}

/* --- weights --- */

typedef struct Softmax {
    float most, scale; /* weight = exp(x - most) scale */
} Softmax;

static Softmax softmax_of(const float *x, int64_t n) {
    vf most = vf_set1(-INFINITY), sum = vf_zero();
    for (int64_t i = 0; i < n; i += VF_WIDTH) {
        vf v = vf_load_n(x + i, n - i < VF_WIDTH ? n - i : VF_WIDTH);
        most = vf_max(most, n - i < VF_WIDTH ? vf_select(vm_first(n - i), v, most) : v);
    }
    Softmax s = {.most = vf_max_lane(most)};
    for (int64_t i = 0; i < n; i += VF_WIDTH) {
        int64_t count = n - i < VF_WIDTH ? n - i : VF_WIDTH;
        vf e = vf_exp(vf_sub(vf_load_n(x + i, count), vf_set1(s.most)));
        sum = vf_add(sum, count < VF_WIDTH ? vf_select(vm_first(count), e, vf_zero()) : e);
    }
    s.scale = 1 / vf_sum(sum);
    return s;
}

static void softmax_weights(const Softmax *s, const float *x, int64_t n, float *w) {
    for (int64_t i = 0; i < n; i += VF_WIDTH) {
        int64_t count = n - i < VF_WIDTH ? n - i : VF_WIDTH;
        vf e = vf_exp(vf_sub(vf_load_n(x + i, count), vf_set1(s->most)));
        vf_store_n(w + i, vf_mul(e, vf_set1(s->scale)), count);
    }
}

/* --- corners --- */

typedef struct Corners {
    int64_t offset[4 * BLOCK]; /* of a row of value */
    float weight[4 * BLOCK];
    int count;
    float blank; /* what the corners outside come to: 0 or NaN */
} Corners;

/* A level's map. */
typedef struct Map {
    int64_t start, height, width, stride; /* first row of value; elements from row to row */
} Map;

/* Lower neighbour of a coordinate, far outside if it is NaN, and the part beyond it. */
static inline int64_t neighbour(float coordinate, int64_t n, float *part) {
    float size = (float)n, at = ((coordinate + 1) * size - 1) / 2;
    at = at > -4 ? at : -4;
    at = at < size + 3 ? at : size + 3;
    float low = floorf(at);
    *part = at - low;
    return (int64_t)low;
}

/* Written whether it is inside or not, so that nothing branches, and kept if it is. */
static inline void list_corner(Corners *c, const Map *m, int64_t y, int64_t x, float weight,
                               float share) {
    int inside = (uint64_t)y < (uint64_t)m->height && (uint64_t)x < (uint64_t)m->width;
    c->offset[c->count] = (m->start + y * m->width + x) * m->stride;
    c->weight[c->count] = weight * share;
    c->blank += inside ? 0 : weight * 0.0f;
    c->count += inside;
}

static void list_points(Corners *c, const Map *m, const float *place, const float *weight,
                        int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float right, down;
        int64_t x = neighbour(place[2 * i], m->width, &right);
        int64_t y = neighbour(place[2 * i + 1], m->height, &down);
        list_corner(c, m, y, x, weight[i], (1 - down) * (1 - right));
        list_corner(c, m, y, x + 1, weight[i], (1 - down) * right);
        list_corner(c, m, y + 1, x, weight[i], down * (1 - right));
        list_corner(c, m, y + 1, x + 1, weight[i], down * right);
    }
}

/* Columns [i, i + count) of the sum, count at most VF_WIDTH, onto y if it has an earlier part. */
static inline void sum_columns(const Corners *c, const float *value, int64_t i, int64_t count,
                               int more, float *y) {
    vf sum = vf_set1(c->blank);
    for (int k = 0; k < c->count; k++)
        sum = vf_fma(vf_set1(c->weight[k]), vf_load_n(value + c->offset[k] + i, count), sum);
    vf_store_n(y + i, more ? vf_add(sum, vf_load_n(y + i, count)) : sum, count);
}

static inline void add_up(float *y, vf sum, int more) {
    vf_store(y, more ? vf_add(sum, vf_load(y)) : sum);
}

static void sum_corners(const Corners *c, const float *value, int64_t depth, int more, float *y) {
    int64_t i = 0;
    for (; i + 4 * VF_WIDTH <= depth; i += 4 * VF_WIDTH) {
        vf a = vf_set1(c->blank), b = a, d = a, e = a;
        for (int k = 0; k < c->count; k++) {
            const float *x = value + c->offset[k] + i;
            vf weight = vf_set1(c->weight[k]);
            a = vf_fma(weight, vf_load(x), a);
            b = vf_fma(weight, vf_load(x + VF_WIDTH), b);
            d = vf_fma(weight, vf_load(x + 2 * VF_WIDTH), d);
            e = vf_fma(weight, vf_load(x + 3 * VF_WIDTH), e);
        }
        add_up(y + i, a, more);
        add_up(y + i + VF_WIDTH, b, more);
        add_up(y + i + 2 * VF_WIDTH, d, more);
        add_up(y + i + 3 * VF_WIDTH, e, more);
    }
    for (; i < depth; i += VF_WIDTH)
        sum_columns(c, value, i, depth - i < VF_WIDTH ? depth - i : VF_WIDTH, more, y);
}

/* One query of one head. */
static void attend(const Deformable *s, const float *value, const float *grid, const float *weights,
                   float *y) {
    Softmax soft = {0};
    float w[BLOCK];
    const int64_t *size = s->sizes;
    Map map = {0, size[0], size[1], s->value->strides[1]};
    int64_t left = s->points; /* of the level */
    if (s->softmax) soft = softmax_of(weights, s->all);
    for (int64_t first = 0; first == 0 || first < s->all; first += BLOCK) {
        int64_t n = s->all - first < BLOCK ? s->all - first : BLOCK, run;
        const float *weight = s->softmax ? w : weights + first;
        Corners c;
        c.count = 0;
        c.blank = 0;
        if (s->softmax) softmax_weights(&soft, weights + first, n, w);
        for (int64_t i = 0; i < n; i += run, left -= run) {
            if (left == 0) {
                map.start += map.height * map.width;
                size += 2;
                map.height = size[0];
                map.width = size[1];
                left = s->points;
            }
            run = n - i < left ? n - i : left;
            list_points(&c, &map, grid + (first + i) * 2, weight + i, run);
        }
        sum_corners(&c, value, s->depth, first > 0, y);
    }
}

void TN_FN(deformable_attention_run)(const TnCall *call, int64_t task, void *scratch) {
    Deformable s = deformable_of(call);
    const int64_t *vs = s.value->strides, *ws = s.weights->strides;
    int64_t last = (task + 1) * call->tile[0];
    (void)scratch;
    if (last > s.rows) last = s.rows;
    for (int64_t row = task * call->tile[0]; row < last; row++) {
        int64_t b = row / s.queries, q = row % s.queries;
        for (int64_t h = 0; h < s.heads; h++) {
            int64_t at = row * s.heads + h;
            attend(&s, (const float *)s.value->data + b * vs[0] + h * vs[2],
                   s.grid + at * s.all * 2,
                   (const float *)s.weights->data + b * ws[0] + q * ws[1] + h * ws[2],
                   s.y + at * s.depth);
        }
    }
}
