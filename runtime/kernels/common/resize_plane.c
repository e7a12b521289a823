/* Tasks of resize_plane: x resampled along two axes, `across` first and then `down`, plus an
 * addend:
 *
 *     y[.., j, .., k, ..] = sum over i of u(i - source(j))
 *                           (sum over l of v(l - source(k)) x[.., i, .., l, ..]) + addend
 *
 * in any strides (resize.h has sources and weights). A line is what the inner sum gives for one i
 * and some of the k; the last few lines are kept in cache, since neighbouring j share most of
 * theirs, and x resampled along one axis never goes through memory. The result may be the addend
 * in place. */
#include "runtime/kernels/resize.h"
#include "runtime/kernels/gemm.h"
#include "runtime/kernels/loop.h"

#define LINES          4 /* taps along `down`, at most */
#define LINE_FLOATS    32768
#define LINE_POSITIONS 2048
#define RESULTS_PER_NS 2.0
#define STREAM_BYTES   (32 << 20) /* results that no cache holds until they are read */

enum { X, GRID_DOWN, GRID_ACROSS, ADDEND, Y };
enum { OF_X, OF_ADDEND, OF_Y, OPERANDS };
enum { TILE_ROWS, TILE_POSITIONS };

typedef struct Plane {
    ResizeAxis down, across;
    Loop loop;            /* over the other axes, without the rows */
    int64_t outer, inner; /* points of the loop, floats of a row */
    int64_t down_step[OPERANDS], across_step[OPERANDS];
    const float *x, *addend; /* addend: NULL if there is none */
    float *y;
    int64_t addend_stride; /* within a row */
    bool joint;            /* results of a line lie side by side, as those of the addend do */
    bool stream;           /* results go past the caches */
} Plane;

static Plane plane_of(const TnCall *call, bool with_grids) {
    const ParamsResizePlane *p = call->params;
    const TnTensor *t = call->operands, *x = &t[X], *y = &t[call->inputs];
    bool adds = call->inputs > ADDEND && t[ADDEND].data;
    const TnTensor *operands[OPERANDS] = {x, adds ? &t[ADDEND] : y, y};
    const float *grids[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++)
        if (with_grids && call->inputs > 1 + i) grids[i] = t[1 + i].data;
    int down = (int)p->down, across = (int)p->resize.axis;
    Plane s = {.x = x->data, .y = y->data, .addend = adds ? t[ADDEND].data : NULL};
    s.down = tn_resize_axis(&p->resize, TN_F32, x->dims[down], y->dims[down], grids[0]);
    s.across = tn_resize_axis(&p->resize, TN_F32, x->dims[across], y->dims[across], grids[1]);
    loop_over(&s.loop, y);
    s.loop.dims[down] = s.loop.dims[across] = 1;
    for (int i = 0; i < OPERANDS; i++) {
        loop_add(&s.loop, operands[i]);
        s.down_step[i] = operands[i]->strides[down];
        s.across_step[i] = operands[i]->strides[across];
    }
    loop_collapse(&s.loop);
    int last = s.loop.rank - 1;
    bool rows = s.loop.strides[OF_X][last] == 1 && s.loop.strides[OF_Y][last] == 1;
    s.addend_stride = rows ? s.loop.strides[OF_ADDEND][last] : 1;
    s.inner = rows ? s.loop.dims[last] : 1;
    if (rows) s.loop.dims[last] = 1;
    s.outer = loop_points(&s.loop, s.loop.rank);
    s.joint = s.across_step[OF_Y] == s.inner && s.addend_stride == 1 &&
              s.across_step[OF_ADDEND] == s.inner;
    s.stream = !adds && tensor_elements(y) > STREAM_BYTES / (int64_t)sizeof(float);
    return s;
}

static size_t line_floats(const Plane *s, int64_t positions) {
    return ((size_t)(positions * s->inner) + 15) / 16 * 16;
}

void tn_resize_plane_plan(TnCall *call) {
    int64_t results = tensor_elements(&call->operands[call->inputs]);
    call->tasks = call->work = 0;
    call->scratch_bytes = 0;
    if (results == 0) return;
    Plane s = plane_of(call, false);
    double ns = (double)results / RESULTS_PER_NS;
    int64_t all = s.outer * s.down.m, rows = TN_CEIL_DIV(all, tile_tasks(ns));
    int64_t positions = LINE_FLOATS / s.inner;
    if (positions > LINE_POSITIONS) positions = LINE_POSITIONS;
    if (positions < 1) positions = 1;
    if (positions > s.across.m) positions = s.across.m;
    call->tile[TILE_ROWS] = rows;
    call->tile[TILE_POSITIONS] = positions;
    call->tasks = TN_CEIL_DIV(all, rows);
    call->work = (int64_t)ns + 1;
    if (rows > s.down.m) rows = s.down.m;
    call->scratch_bytes = tn_resize_table(&s.across, positions) + tn_resize_table(&s.down, rows) +
                          LINES * line_floats(&s, positions) * sizeof(float);
}

/* Scratch of a task. */
typedef struct Lines {
    Taps down, across;
    float *line[LINES];
    int64_t held[LINES]; /* row of x in each, or -1 */
    const ResizeLoops *loops;
} Lines;

/* Result row i of the table, whose positions begin at these offsets. */
static void make_row(const Plane *s, Lines *l, int64_t i, const int64_t *offset) {
    const float *line[LINES];
    float weight[LINES];
    int64_t taps = l->down.taps, n = l->across.n;
    for (int64_t t = 0; t < taps; t++) {
        int64_t row = l->down.index[t * l->down.pitch + i], slot = row % LINES;
        if (l->held[slot] != row)
            l->loops->interpolate(&l->across, l->line[slot], s->inner,
                                  s->x + offset[OF_X] + row * s->down_step[OF_X],
                                  s->across_step[OF_X], s->inner);
        l->held[slot] = row;
        line[t] = l->line[slot];
        weight[t] = ((const float *)l->down.weight)[t * l->down.pitch + i];
    }
    int64_t run = s->joint ? n * s->inner : s->inner;
    for (int64_t done = 0; done < n * s->inner; done += run) {
        int64_t k = done / s->inner;
        LineSum sum = {.lines = taps,
                       .line = line,
                       .weight = weight,
                       .y = s->y + offset[OF_Y] + k * s->across_step[OF_Y],
                       .n = run,
                       .stream = s->stream};
        const float *addend =
            s->addend ? s->addend + offset[OF_ADDEND] + k * s->across_step[OF_ADDEND] : NULL;
        if (s->addend_stride == 1) sum.addend = addend;
        l->loops->add(&sum);
        for (int64_t c = 0; addend && s->addend_stride != 1 && c < run; c++)
            sum.y[c] += addend[c * s->addend_stride];
        for (int64_t t = 0; t < taps; t++) line[t] += run;
    }
}

/* Result rows [first, last) of one point of the loop, positions from `from` on. */
static void make_rows(const Plane *s, Lines *l, const LoopAt *at, int64_t first, int64_t last,
                      int64_t from, void *table) {
    l->down = tn_resize_list(&s->down, first, last - first, table);
    for (int i = 0; i < LINES; i++) l->held[i] = -1;
    for (int64_t j = first; j < last; j++) {
        int64_t offset[OPERANDS];
        for (int o = OF_X + 1; o < OPERANDS; o++)
            offset[o] = at->offset[o] + j * s->down_step[o] + from * s->across_step[o];
        offset[OF_X] = at->offset[OF_X];
        make_row(s, l, j - first, offset);
    }
}

void tn_resize_plane_run(const TnCall *call, int64_t task, void *scratch,
                         const ResizeLoops *loops) {
    Plane s = plane_of(call, true);
    Lines l = {.loops = loops};
    int64_t m = s.down.m, rows = call->tile[TILE_ROWS], positions = call->tile[TILE_POSITIONS];
    int64_t begin = task * rows, end = begin + rows;
    if (end > s.outer * m) end = s.outer * m;
    char *across = scratch, *down = across + tn_resize_table(&s.across, positions);
    float *lines = (float *)(down + tn_resize_table(&s.down, rows < m ? rows : m));
    for (int i = 0; i < LINES; i++) l.line[i] = lines + (size_t)i * line_floats(&s, positions);
    for (int64_t from = 0; from < s.across.m; from += positions) {
        int64_t n = s.across.m - from < positions ? s.across.m - from : positions;
        l.across = tn_resize_list(&s.across, from, n, across);
        LoopAt at;
        loop_seek(&s.loop, s.loop.rank, begin / m, &at);
        for (int64_t row = begin, last; row < end; row = last) {
            last = row / m * m + m < end ? row / m * m + m : end;
            make_rows(&s, &l, &at, row % m, row % m + (last - row), from, down);
            loop_next(&s.loop, s.loop.rank, &at);
        }
    }
}
