/* deformable_attention: attention over places instead of keys (Zhu et al. 2020, Deformable DETR).
 *
 *     y[b,q,h,:] = sum over l, p of weights[b,q,h,(l,p)] map_l[b,h,:] at grid[b,q,h,l,p,:]
 *
 * map_l is heights[l] rows of widths[l] entries of value[b, .., h, :], behind those of the levels
 * before. The place is bilinear between the centers of four entries, 0 outside:
 *
 *     column = ((x + 1) width - 1) / 2        row = ((y + 1) height - 1) / 2 */
#include "ir/ref/ref.h"

#include <math.h>

typedef struct Deformable {
    const Node *node;
    const Tensor *value, *grid;
    const double *values, *places, *weights;
    int64_t queries, heads, levels, points, depth;
} Deformable;

/* Lower neighbour of a coordinate, far outside if it is NaN, and the part beyond it. */
static int64_t neighbour(double coordinate, int64_t n, double *part) {
    double at = ((coordinate + 1) * (double)n - 1) / 2;
    at = at > -4 ? fmin(at, (double)n + 3) : -4;
    *part = at - floor(at);
    return (int64_t)floor(at);
}

/* Adds weight times the map's entries around a place to y[depth]. */
static void add_point(const Deformable *s, const double *map, int64_t height, int64_t width,
                      const double *place, double weight, double *y) {
    double down, right;
    int64_t row = neighbour(place[1], height, &down), column = neighbour(place[0], width, &right);
    for (int k = 0; k < 4; k++) {
        int64_t r = row + k / 2, c = column + k % 2;
        double share = (k / 2 ? down : 1 - down) * (k % 2 ? right : 1 - right);
        bool inside = r >= 0 && r < height && c >= 0 && c < width;
        for (int64_t i = 0; i < s->depth; i++)
            y[i] += weight * (inside ? share * map[(r * width + c) * s->heads * s->depth + i] : 0);
    }
}

static void normalize(double *w, int64_t n) {
    double largest = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++)
        if (w[i] > largest || isnan(w[i])) largest = w[i];
    for (int64_t i = 0; i < n; i++) sum += w[i] = exp(w[i] - largest);
    for (int64_t i = 0; i < n; i++) w[i] /= sum;
}

void ref_deformable_attention(RefCall *call) {
    const Tensor *value = call->in[0], *grid = call->in[1];
    const ExprList *sizes = attr_exprs(call->node, "levels");
    Deformable s = {.values = ref_doubles(call, value),
                    .places = ref_doubles(call, grid),
                    .queries = grid->dims[1],
                    .heads = value->dims[2],
                    .levels = grid->dims[3],
                    .points = grid->dims[4],
                    .depth = value->dims[3]};
    double *weights = ref_doubles(call, call->in[2]);
    double *y = ARENA_ARRAY(&call->scratch, double, (size_t)s.depth);
    int64_t all = s.levels * s.points, rows = value->dims[0] * s.queries * s.heads;
    for (int64_t row = 0; row < rows; row++) {
        int64_t b = row / s.heads / s.queries, h = row % s.heads, start = 0;
        if (attr_bool(call->node, "softmax")) normalize(weights + row * all, all);
        for (int64_t i = 0; i < s.depth; i++) y[i] = 0;
        for (int64_t l = 0; l < s.levels; l++) {
            int64_t height = ref_expr(call, sizes->e[2 * l]);
            int64_t width = ref_expr(call, sizes->e[2 * l + 1]);
            int64_t first = (b * value->dims[1] + start) * s.heads + h;
            for (int64_t p = l * s.points; p < (l + 1) * s.points; p++)
                add_point(&s, s.values + first * s.depth, height, width,
                          s.places + (row * all + p) * 2, weights[row * all + p], y);
            start += height * width;
        }
        for (int64_t i = 0; i < s.depth; i++)
            ir_store_f64(call->out->dtype, call->out->data, row * s.depth + i, y[i]);
    }
}
