/* rnn: the recurrence of RNN, GRU and LSTM in one direction; all f32 and dense.
 *
 *     p[t, b, G h]  the input's part of the gates, biases included     y[t, b, h], last h[b, h]
 *     r[h, G h]     recurrent weights                                  last c[b, h] (LSTM)
 *
 * Gates stand in ONNX's order; f, g, h are the activations, * multiplies elements:
 *
 *     rnn   h' = f(p + h r)
 *     gru   z, u = f(p + h r);  n = g(p + (u * h) r), or g(p + u * (h r + n_bias)) if linear
 *           h' = (1 - z) * n + z * h
 *     lstm  i, o, f, c with peepholes w: i = f(p + h r + w_i * c), f likewise (or 1 - i if coupled)
 *           c' = f * c + i * g(p + h r);  o = f(p + h r + w_o * c');  h' = o * h(c')
 *
 * What the activations of gates are given is clipped to [-clip, clip] if clip > 0. Row b takes part
 * in the first length[b] steps (backwards: starting at its last one); its y is 0 elsewhere.
 *
 * A task carries ROWS rows of the batch through all steps, so that what it reads of r serves all of
 * them; products run over tiles of columns that stay in registers. */
#include <stdbool.h>
#include <string.h>
#include "runtime/kernels/family.h"
#include "runtime/kernels/map.h"
#include "runtime/kernels/simd.h"
#include "runtime/params.h"

TN_FAMILY(rnn);

#define ROWS         4
#define VECTORS      2 /* of a tile */
#define LONE_VECTORS 8 /* of a tile with one row: enough to hide the latency of additions */

enum { IN_P, IN_R, IN_LENGTHS, IN_H, IN_C, IN_PEEPHOLE, IN_BIAS };
enum { OUT_Y, OUT_H, OUT_C };
enum { LSTM_I, LSTM_O, LSTM_F, LSTM_C };
enum { ACT_F, ACT_G, ACT_H };

typedef struct Cell {
    const ParamsRnn *p;
    int64_t steps, batch, size, gates, width; /* width: gates times size */
    const float *r, *peephole, *bias;
    /* Of the task's rows: */
    int rows;
    int64_t first, length[ROWS];
    float *h, *c, *gate, *spare; /* [ROWS, size], [ROWS, size], [ROWS, width], [ROWS, size] */
} Cell;

/* NULL if left out */
static const void *data_of(const TnCall *call, int input) {
    if (input >= call->inputs || call->operands[input].dtype == TN_NONE) return NULL;
    return call->operands[input].data;
}

static float *result_of(const TnCall *call, int output) {
    const TnTensor *t = &call->operands[call->inputs + output];
    return t->dtype == TN_NONE ? NULL : t->data;
}

static Cell cell_of(const TnCall *call) {
    const TnTensor *p = &call->operands[IN_P], *r = &call->operands[IN_R];
    Cell c = {.p = call->params, .steps = p->dims[0], .batch = p->dims[1], .size = r->dims[0]};
    c.width = p->dims[2];
    c.gates = c.p->mode == TN_RNN_RNN ? 1 : c.p->mode == TN_RNN_GRU ? 3 : 4;
    c.r = r->data;
    c.peephole = data_of(call, IN_PEEPHOLE);
    c.bias = data_of(call, IN_BIAS);
    return c;
}

void TN_FN(rnn_plan)(TnCall *call) {
    Cell c = cell_of(call);
    call->tasks = c.size > 0 ? TN_CEIL_DIV(c.batch, ROWS) : 0;
    call->work = c.steps * c.batch * c.width * (c.size / 8 + 4);
    call->scratch_bytes = (size_t)(ROWS * (3 * c.size + c.width)) * sizeof(float);
}

/* --- products --- */

/* out[row, j..] += h[row, :] r[:, j..] for one tile; its rows and vectors are constants. */
static inline __attribute__((always_inline)) void multiply_tile(float *out, int64_t out_step,
                                                                const float *h, const Cell *c,
                                                                int64_t column, int rows,
                                                                int vectors, int64_t lanes) {
    vf sum[ROWS][LONE_VECTORS];
    const float *r = c->r + column;
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++)
            sum[i][v] = vf_load_n(out + i * out_step + v * VF_WIDTH, lanes);
    for (int64_t k = 0; k < c->size; k++, r += c->width) {
        vf w[LONE_VECTORS];
        for (int v = 0; v < vectors; v++) w[v] = vf_load_n(r + v * VF_WIDTH, lanes);
        for (int i = 0; i < rows; i++) {
            vf x = vf_set1(h[i * c->size + k]);
            for (int v = 0; v < vectors; v++) sum[i][v] = vf_fma(x, w[v], sum[i][v]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++)
            vf_store_n(out + i * out_step + v * VF_WIDTH, sum[i][v], lanes);
}

/* out += h r for the columns [from, to) of r. Of several rows, those beyond the task's are zeros.
 */
static void multiply(const Cell *c, float *out, int64_t out_step, const float *h, int64_t from,
                     int64_t to) {
    int64_t j = from;
    if (c->rows == 1)
        for (; j + LONE_VECTORS * VF_WIDTH <= to; j += LONE_VECTORS * VF_WIDTH)
            multiply_tile(out + j - from, out_step, h, c, j, 1, LONE_VECTORS, VF_WIDTH);
    for (; j + VECTORS * VF_WIDTH <= to; j += VECTORS * VF_WIDTH)
        multiply_tile(out + j - from, out_step, h, c, j, ROWS, VECTORS, VF_WIDTH);
    for (; j < to; j += VF_WIDTH)
        multiply_tile(out + j - from, out_step, h, c, j, ROWS, 1,
                      to - j < VF_WIDTH ? to - j : VF_WIDTH);
}

/* --- activations --- */

static float rare_activation(const TnRnnActivation *a, float x) {
    switch ((TnRnnFunction)a->function) {
    case TN_RNN_AFFINE: return a->alpha * x + a->beta;
    case TN_RNN_LEAKY_RELU: return x < 0 ? a->alpha * x : x;
    case TN_RNN_THRESHOLDED_RELU: return x > a->alpha ? x : 0;
    case TN_RNN_SCALED_TANH: return a->alpha * tanhf(a->beta * x);
    case TN_RNN_HARD_SIGMOID: return fminf(fmaxf(a->alpha * x + a->beta, 0), 1);
    case TN_RNN_ELU: return x < 0 ? a->alpha * expm1f(x) : x;
    case TN_RNN_SOFTSIGN: return x / (1 + fabsf(x));
    case TN_RNN_SOFTPLUS: return fmaxf(x, 0) + log1pf(expf(-fabsf(x)));
    default: return x;
    }
}

static void activate(const Cell *c, int which, float *y, const float *x, int64_t n) {
    const TnRnnActivation *a = &c->p->activation[which];
    float clip = which == ACT_H ? 0 : c->p->clip;
    const void *in[] = {y, NULL, NULL};
    for (int64_t i = 0; i < n; i++)
        y[i] = !(clip > 0) || !(fabsf(x[i]) > clip) ? x[i] : copysignf(clip, x[i]);
    switch ((TnRnnFunction)a->function) {
    case TN_RNN_RELU: TN_FN(map_float_op)(TN_MAP_RELU)(y, in, n); return;
    case TN_RNN_TANH: TN_FN(map_float_op)(TN_MAP_TANH)(y, in, n); return;
    case TN_RNN_SIGMOID: TN_FN(map_float_op)(TN_MAP_SIGMOID)(y, in, n); return;
    default: break;
    }
    for (int64_t i = 0; i < n; i++) y[i] = rare_activation(a, y[i]);
}

/* --- one step of one row: gates hold p + h r, the row's state becomes the next --- */

static void step_rnn(const Cell *c, int row) {
    activate(c, ACT_F, c->h + row * c->size, c->gate + row * c->width, c->size);
}

/* The third gate is complete. */
static void step_gru(const Cell *c, int row) {
    float *z = c->gate + row * c->width, *n = z + 2 * c->size, *h = c->h + row * c->size;
    activate(c, ACT_G, n, n, c->size);
    for (int64_t i = 0; i < c->size; i++) h[i] = (1 - z[i]) * n[i] + z[i] * h[i];
}

/* Peepholes stand in the order of the gates. */
static void peep(const Cell *c, int which, float *gate, const float *state) {
    for (int64_t i = 0; c->peephole && i < c->size; i++)
        gate[i] += c->peephole[which * c->size + i] * state[i];
}

static void step_lstm(const Cell *c, int row) {
    int64_t n = c->size;
    float *gate = c->gate + row * c->width, *h = c->h + row * n, *state = c->c + row * n;
    float *in = gate + LSTM_I * n, *out = gate + LSTM_O * n, *forget = gate + LSTM_F * n,
          *cell = gate + LSTM_C * n;
    peep(c, LSTM_I, in, state);
    peep(c, LSTM_F, forget, state);
    activate(c, ACT_F, in, in, n);
    activate(c, ACT_F, forget, forget, n);
    activate(c, ACT_G, cell, cell, n);
    for (int64_t i = 0; c->p->flags & TN_RNN_COUPLED && i < n; i++) forget[i] = 1 - in[i];
    for (int64_t i = 0; i < n; i++) state[i] = forget[i] * state[i] + in[i] * cell[i];
    peep(c, LSTM_O, out, state);
    activate(c, ACT_F, out, out, n);
    activate(c, ACT_H, h, state, n);
    for (int64_t i = 0; i < n; i++) h[i] *= out[i];
}

/* Both gates of a GRU, then what the third one gets from the state. */
static void finish_gru(const Cell *c) {
    int64_t n = c->size;
    for (int row = 0; row < c->rows; row++)
        activate(c, ACT_F, c->gate + row * c->width, c->gate + row * c->width, 2 * n);
    for (int row = 0; row < ROWS; row++)
        for (int64_t i = 0; i < n; i++) {
            float reset = row < c->rows ? c->gate[row * c->width + n + i] : 0;
            if (c->p->flags & TN_RNN_LINEAR)
                c->spare[row * n + i] = c->bias ? c->bias[i] : 0;
            else
                c->spare[row * n + i] = reset * c->h[row * n + i];
        }
    if (!(c->p->flags & TN_RNN_LINEAR)) {
        multiply(c, c->gate + 2 * n, c->width, c->spare, 2 * n, 3 * n);
        return;
    }
    multiply(c, c->spare, n, c->h, 2 * n, 3 * n);
    for (int row = 0; row < c->rows; row++)
        for (int64_t i = 0; i < n; i++) {
            float *gate = c->gate + row * c->width;
            gate[2 * n + i] += gate[n + i] * c->spare[row * n + i];
        }
}

/* --- the loop --- */

/* Reads the lengths; false if one is out of range. */
static bool read_lengths(const TnCall *call, Cell *c) {
    const TnTensor *t = &call->operands[IN_LENGTHS];
    const void *data = data_of(call, IN_LENGTHS);
    for (int row = 0; row < c->rows; row++) {
        int64_t b = c->first + row;
        c->length[row] = !data                ? c->steps
                         : t->dtype == TN_I32 ? ((const int32_t *)data)[b]
                                              : ((const int64_t *)data)[b];
        if (c->length[row] >= 0 && c->length[row] <= c->steps) continue;
        tn_fault(call, c->length[row], c->steps + 1);
        return false;
    }
    return true;
}

static void run_step(const TnCall *call, const Cell *c, int64_t step) {
    const float *p = call->operands[IN_P].data;
    float *y = result_of(call, OUT_Y);
    int64_t n = c->size, at[ROWS];
    memset(c->gate, 0, (size_t)(ROWS * c->width) * sizeof(float));
    for (int row = 0; row < c->rows; row++) {
        bool runs = step < c->length[row];
        int64_t t = runs && c->p->flags & TN_RNN_REVERSE ? c->length[row] - 1 - step : step;
        at[row] = t * c->batch + c->first + row;
        memcpy(c->gate + row * c->width, p + at[row] * c->width, (size_t)c->width * sizeof(float));
    }
    multiply(c, c->gate, c->width, c->h, 0, c->p->mode == TN_RNN_GRU ? 2 * n : c->width);
    if (c->p->mode == TN_RNN_GRU) finish_gru(c);
    for (int row = 0; row < c->rows; row++) {
        if (step >= c->length[row]) {
            memset(y + at[row] * n, 0, (size_t)n * sizeof(float));
            continue;
        }
        switch ((TnRnnMode)c->p->mode) {
        case TN_RNN_GRU: step_gru(c, row); break;
        case TN_RNN_LSTM: step_lstm(c, row); break;
        default: step_rnn(c, row); break;
        }
        memcpy(y + at[row] * n, c->h + row * n, (size_t)n * sizeof(float));
    }
}

static void load_state(const TnCall *call, const Cell *c, int input, float *state) {
    const float *from = data_of(call, input);
    memset(state, 0, (size_t)(ROWS * c->size) * sizeof(float));
    if (from) memcpy(state, from + c->first * c->size, (size_t)(c->rows * c->size) * sizeof(float));
}

static void store_state(const TnCall *call, const Cell *c, int output, const float *state) {
    float *to = result_of(call, output);
    if (to) memcpy(to + c->first * c->size, state, (size_t)(c->rows * c->size) * sizeof(float));
}

void TN_FN(rnn_run)(const TnCall *call, int64_t task, void *scratch) {
    Cell c = cell_of(call);
    c.first = task * ROWS;
    c.rows = c.batch - c.first < ROWS ? (int)(c.batch - c.first) : ROWS;
    c.h = scratch;
    c.c = c.h + ROWS * c.size;
    c.spare = c.c + ROWS * c.size;
    c.gate = c.spare + ROWS * c.size;
    if (!read_lengths(call, &c)) return;
    load_state(call, &c, IN_H, c.h);
    load_state(call, &c, IN_C, c.c);
    for (int64_t step = 0; step < c.steps; step++) run_step(call, &c, step);
    store_state(call, &c, OUT_H, c.h);
    store_state(call, &c, OUT_C, c.c);
}
