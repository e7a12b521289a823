/* group_norm: x[b, .., c] normalised over groups of neighbouring channels and all places.
 *
 *     y = (x - mean) / sqrt(mean (x - mean)^2 + epsilon) * gamma[c] + beta[c]
 *
 * with means over x[b, .., g part .. (g + 1) part - 1], part = c / groups. f32; channels are dense,
 * other axes have any strides; gamma and beta may be absent. Vectors hold channels: a task has some
 * whole groups of one b and goes three times through its places - sums, squared deviations,
 * results. Sums of a channel are taken in float over CHUNK places and in double beyond. y may be x
 * in place. */
#include "runtime/kernels/family.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/simd.h"
#include "runtime/params.h"

TN_FAMILY(group_norm);

#define CHUNK           64
#define TASK_CHANNELS   64 /* 256 bytes of a place */
#define ELEMENTS_PER_NS 1.5

enum { X, GAMMA, BETA };

typedef struct Groups {
    Loop loop;               /* x and y over the places of one b, a place's channels left out */
    int64_t places, columns; /* all; of the innermost axis */
    int64_t part, blocks;    /* channels of a group; tasks of one b */
    int64_t first, channels; /* of this task */
    const float *x;
    float *y;
} Groups;

/* Scratch: a float and a double for every channel of a task, and two floats more. */
typedef struct Channels {
    double *total;
    float *sum, *shift, *scale;
} Channels;

static int64_t block_channels(int64_t part, int64_t channels) {
    int64_t groups = TN_CEIL_DIV(TASK_CHANNELS, part);
    return groups * part < channels ? groups * part : channels;
}

void TN_FN(group_norm_plan)(TnCall *call) {
    const TnTensor *x = &call->operands[X];
    const ParamsGroupNorm *p = call->params;
    int64_t c = x->dims[x->rank - 1], elements = tensor_elements(x);
    call->tasks = call->work = 0;
    call->scratch_bytes = 0;
    if (elements == 0) return;
    int64_t block = block_channels(c / p->groups, c);
    call->tile[0] = block;
    call->tasks = x->dims[0] * TN_CEIL_DIV(c, block);
    call->work = (int64_t)((double)elements / ELEMENTS_PER_NS) + 1;
    call->scratch_bytes = (size_t)(block + VF_WIDTH) * (sizeof(double) + 3 * sizeof(float));
}

static Groups groups_of(const TnCall *call, int64_t task) {
    const TnTensor *x = &call->operands[X], *y = &call->operands[call->inputs];
    const ParamsGroupNorm *p = call->params;
    int last = x->rank - 1;
    Groups s;
    s.part = x->dims[last] / p->groups;
    loop_over(&s.loop, x);
    loop_add(&s.loop, x);
    loop_add(&s.loop, y);
    s.loop.dims[0] = s.loop.dims[last] = 1;
    loop_collapse(&s.loop);
    s.places = loop_points(&s.loop, s.loop.rank);
    s.columns = s.loop.dims[s.loop.rank - 1];
    s.blocks = TN_CEIL_DIV(x->dims[last], call->tile[0]);
    s.first = task % s.blocks * call->tile[0];
    s.channels = x->dims[last] - s.first < call->tile[0] ? x->dims[last] - s.first : call->tile[0];
    s.x = (const float *)x->data + task / s.blocks * x->strides[0] + s.first;
    s.y = (float *)y->data + task / s.blocks * y->strides[0] + s.first;
    return s;
}

/* sum[c] += x[c], or the square of x[c] - shift[c]. */
static inline __attribute__((always_inline)) void sum_vector(float *sum, vf x, const float *shift) {
    vf v = shift ? vf_sub(x, vf_load(shift)) : x, t = vf_load(sum);
    vf_store(sum, shift ? vf_fma(v, v, t) : vf_add(t, v));
}

/* The same over n places that are `step` apart. */
static void sum_places(float *sum, const float *x, const float *shift, int64_t step, int64_t n,
                       int64_t channels) {
    for (int64_t i = 0; i < n; i++, x += step) {
        int64_t c = 0;
        if (shift)
            for (; c + VF_WIDTH <= channels; c += VF_WIDTH)
                sum_vector(sum + c, vf_load(x + c), shift + c);
        else
            for (; c + VF_WIDTH <= channels; c += VF_WIDTH)
                sum_vector(sum + c, vf_load(x + c), NULL);
        if (c < channels)
            sum_vector(sum + c, vf_load_n(x + c, channels - c), shift ? shift + c : NULL);
    }
}

/* Sums of all places into total. */
static void sum_all(const Groups *s, const Channels *t, const float *shift) {
    LoopAt at;
    int rows = s->loop.rank - 1;
    int64_t step = s->loop.strides[0][rows];
    memset(t->total, 0, (size_t)s->channels * sizeof *t->total);
    loop_start(&s->loop, rows, &at);
    for (int64_t row = 0; row < s->places; row += s->columns, loop_next(&s->loop, rows, &at))
        for (int64_t done = 0; done < s->columns; done += CHUNK) {
            int64_t n = s->columns - done < CHUNK ? s->columns - done : CHUNK;
            memset(t->sum, 0, (size_t)(s->channels + VF_WIDTH) * sizeof *t->sum);
            sum_places(t->sum, s->x + at.offset[0] + done * step, shift, step, n, s->channels);
            for (int64_t c = 0; c < s->channels; c++) t->total[c] += (double)t->sum[c];
        }
}

/* The mean of each group's totals, by group. */
static double group_mean(const Groups *s, const Channels *t, int64_t first) {
    double sum = 0;
    for (int64_t c = 0; c < s->part; c++) sum += t->total[first + c];
    return sum / ((double)s->part * (double)s->places);
}

static void write_all(const Groups *s, const Channels *t, const float *beta) {
    LoopAt at;
    int rows = s->loop.rank;
    loop_start(&s->loop, rows, &at);
    for (int64_t i = 0; i < s->places; i++, loop_next(&s->loop, rows, &at)) {
        const float *x = s->x + at.offset[0];
        float *y = s->y + at.offset[1];
        int64_t c = 0, whole = s->channels / VF_WIDTH * VF_WIDTH;
        for (; c < whole; c += VF_WIDTH) {
            vf v = vf_sub(vf_load(x + c), vf_load(t->shift + c));
            v = vf_fma(v, vf_load(t->scale + c), beta ? vf_load(beta + c) : vf_zero());
            vf_store(y + c, v);
        }
        for (; c < s->channels; c++)
            y[c] = (x[c] - t->shift[c]) * t->scale[c] + (beta ? beta[c] : 0);
    }
}

static const float *vector(const TnCall *call, int i, int64_t first) {
    const float *v = i < call->inputs ? call->operands[i].data : NULL;
    return v ? v + first : NULL;
}

void TN_FN(group_norm_run)(const TnCall *call, int64_t task, void *scratch) {
    const ParamsGroupNorm *p = call->params;
    Groups s = groups_of(call, task);
    int64_t room = call->tile[0] + VF_WIDTH;
    Channels t = {.total = scratch, .sum = (float *)((double *)scratch + room)};
    t.shift = t.sum + room;
    t.scale = t.shift + room;
    memset(t.shift, 0, 2 * (size_t)room * sizeof *t.shift); /* lanes beyond the channels, too */
    sum_all(&s, &t, NULL);
    for (int64_t g = 0; g < s.channels; g += s.part) {
        float mean = (float)group_mean(&s, &t, g);
        for (int64_t c = 0; c < s.part; c++) t.shift[g + c] = mean;
    }
    sum_all(&s, &t, t.shift);
    const float *gamma = vector(call, GAMMA, s.first);
    for (int64_t g = 0; g < s.channels; g += s.part) {
        double scale = 1 / sqrt(group_mean(&s, &t, g) + (double)p->epsilon);
        for (int64_t c = g; c < g + s.part; c++)
            t.scale[c] = (float)(gamma ? scale * (double)gamma[c] : scale);
    }
    write_all(&s, &t, vector(call, BETA, s.first));
}
