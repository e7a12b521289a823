/* Recurrent networks, one direction, in ONNX's formulas and order of gates. */
#include "ir/ref/ref.h"

#include <math.h>
#include <string.h>

typedef struct Recurrence {
    const Node *node;
    int64_t batch, size, gates;
    const double *p, *r, *peephole, *bias; /* of one step and row resp. of all */
    double *h, *c;                         /* the row's state */
} Recurrence;

static double rnn_activate(const Recurrence *rec, char which, double x) {
    char alpha_name[] = "f_alpha", beta_name[] = "f_beta", name[] = "f";
    alpha_name[0] = beta_name[0] = name[0] = which;
    const char *f = attr_string(rec->node, name);
    double clip = attr_float(rec->node, "clip"), a = attr_float(rec->node, alpha_name),
           b = attr_float(rec->node, beta_name);
    if (clip > 0 && which != 'h') x = x > clip ? clip : x < -clip ? -clip : x;
    if (!strcmp(f, "Sigmoid")) return 1 / (1 + exp(-x));
    if (!strcmp(f, "Relu")) return x > 0 ? x : 0;
    if (!strcmp(f, "Affine")) return a * x + b;
    if (!strcmp(f, "LeakyRelu")) return x < 0 ? a * x : x;
    if (!strcmp(f, "ThresholdedRelu")) return x > a ? x : 0;
    if (!strcmp(f, "ScaledTanh")) return a * tanh(b * x);
    if (!strcmp(f, "HardSigmoid")) return fmin(fmax(a * x + b, 0), 1);
    if (!strcmp(f, "Elu")) return x < 0 ? a * (exp(x) - 1) : x;
    if (!strcmp(f, "Softsign")) return x / (1 + fabs(x));
    if (!strcmp(f, "Softplus")) return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    return tanh(x);
}

/* Sum over k of scale[k] h[k] r[k, gate, j]; scale NULL: 1. */
static double rnn_product(const Recurrence *rec, int64_t gate, int64_t j, const double *scale) {
    double sum = 0;
    for (int64_t k = 0; k < rec->size; k++)
        sum += (scale ? scale[k] : 1) * rec->h[k] * rec->r[(k * rec->gates + gate) * rec->size + j];
    return sum;
}

static double rnn_gate(const Recurrence *rec, int64_t gate, int64_t j) {
    return rec->p[gate * rec->size + j] + rnn_product(rec, gate, j, NULL);
}

static void gru_step(const Recurrence *rec, double *next, double *reset) {
    bool linear = attr_bool(rec->node, "linear");
    for (int64_t j = 0; j < rec->size; j++) reset[j] = rnn_activate(rec, 'f', rnn_gate(rec, 1, j));
    for (int64_t j = 0; j < rec->size; j++) {
        double z = rnn_activate(rec, 'f', rnn_gate(rec, 0, j));
        double part =
            linear ? reset[j] * (rnn_product(rec, 2, j, NULL) + (rec->bias ? rec->bias[j] : 0))
                   : rnn_product(rec, 2, j, reset);
        double n = rnn_activate(rec, 'g', rec->p[2 * rec->size + j] + part);
        next[j] = (1 - z) * n + z * rec->h[j];
    }
}

/* Gates i, o, f, c; peepholes of i, o, f. */
static void lstm_step(const Recurrence *rec, double *next) {
    for (int64_t j = 0; j < rec->size; j++) {
        const double *w = rec->peephole;
        int64_t n = rec->size;
        double old = rec->c[j];
        double i = rnn_activate(rec, 'f', rnn_gate(rec, 0, j) + (w ? w[j] * old : 0));
        double f = rnn_activate(rec, 'f', rnn_gate(rec, 2, j) + (w ? w[2 * n + j] * old : 0));
        double c = rnn_activate(rec, 'g', rnn_gate(rec, 3, j));
        if (attr_bool(rec->node, "coupled")) f = 1 - i;
        rec->c[j] = f * old + i * c;
        double o = rnn_gate(rec, 1, j) + (w ? w[n + j] * rec->c[j] : 0);
        next[j] = rnn_activate(rec, 'f', o) * rnn_activate(rec, 'h', rec->c[j]);
    }
}

static void rnn_step(const Recurrence *rec, double *next, double *spare) {
    const char *mode = attr_string(rec->node, "mode");
    if (!strcmp(mode, "gru"))
        gru_step(rec, next, spare);
    else if (!strcmp(mode, "lstm"))
        lstm_step(rec, next);
    else
        for (int64_t j = 0; j < rec->size; j++)
            next[j] = rnn_activate(rec, 'f', rnn_gate(rec, 0, j));
    memcpy(rec->h, next, (size_t)rec->size * sizeof *next);
}

void ref_rnn(RefCall *call) {
    const Tensor *p = call->in[0], *lengths = ref_operand(call, 2);
    Tensor *y = call->out;
    int64_t steps = p->dims[0], width = p->dims[2], n = call->in[1]->dims[0];
    Recurrence rec = {.node = call->node, .batch = p->dims[1], .size = n};
    double *gates = ref_doubles(call, p), *h = ref_doubles(call, ref_operand(call, 3)),
           *c = ref_doubles(call, ref_operand(call, 4));
    if (!h) h = ARENA_ARRAY(&call->scratch, double, (size_t)(rec.batch * n));
    if (!c) c = ARENA_ARRAY(&call->scratch, double, (size_t)(rec.batch * n));
    rec.gates = n ? width / n : 0;
    rec.r = ref_doubles(call, call->in[1]);
    rec.peephole = ref_doubles(call, ref_operand(call, 5));
    rec.bias = ref_doubles(call, ref_operand(call, 6));
    double *next = ARENA_ARRAY(&call->scratch, double, (size_t)n),
           *spare = ARENA_ARRAY(&call->scratch, double, (size_t)n);
    for (int64_t b = 0; b < rec.batch; b++) {
        int64_t length = lengths ? ir_element_i64(lengths->dtype, lengths->data, b) : steps;
        if (length < 0 || length > steps)
            ref_fail(call, TN_E_SHAPE, "length %lld of %lld steps", (long long)length,
                     (long long)steps);
        rec.h = h + b * n;
        rec.c = c + b * n;
        for (int64_t s = 0; s < length; s++) {
            int64_t t = attr_bool(call->node, "reverse") ? length - 1 - s : s;
            rec.p = gates + (t * rec.batch + b) * width;
            rnn_step(&rec, next, spare);
            for (int64_t j = 0; j < n; j++)
                ir_store_f64(TN_F32, y->data, (t * rec.batch + b) * n + j, next[j]);
        }
    }
    for (int64_t i = 0; i < rec.batch * n; i++) {
        ir_store_f64(TN_F32, call->out[1].data, i, h[i]);
        if (call->n_out > 2) ir_store_f64(TN_F32, call->out[2].data, i, c[i]);
    }
}
