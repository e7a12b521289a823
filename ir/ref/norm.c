/* softmax and norms. Everything of a row is computed in double and rounded once. */
#include "ir/ref/ref.h"

#include <math.h>

/* A row is n elements `stride` apart. An empty row has no largest element and no result. */
static void softmax_row(const Tensor *x, Tensor *y, int64_t at, int64_t n, int64_t stride,
                        bool log_of) {
    double largest = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = ir_element_f64(x->dtype, x->data, at + i * stride);
        if (v > largest || isnan(v)) largest = v;
    }
    for (int64_t i = 0; i < n; i++)
        sum += exp(ir_element_f64(x->dtype, x->data, at + i * stride) - largest);
    for (int64_t i = 0; i < n; i++) {
        double v = ir_element_f64(x->dtype, x->data, at + i * stride) - largest;
        ir_store_f64(y->dtype, y->data, at + i * stride, log_of ? v - log(sum) : exp(v) / sum);
    }
}

static void softmax(RefCall *call, bool log_of) {
    const Tensor *x = call->in[0];
    if (tensor_count(x) == 0) return;
    RefAxis a = ref_split(x, ref_axis(call, "axis", x->rank));
    for (int64_t o = 0; o < a.outer; o++)
        for (int64_t b = 0; b < a.inner; b++)
            softmax_row(x, call->out, o * a.length * a.inner + b, a.length, a.inner, log_of);
}

void ref_softmax(RefCall *call) {
    softmax(call, false);
}

void ref_log_softmax(RefCall *call) {
    softmax(call, true);
}

/* y = (x - mean) / sqrt(var + eps) * gamma + beta over the last axis; with `rms`, mean is 0 and var
 * the mean square. */
static void normalize(RefCall *call, const Tensor *x, const Tensor *gamma, const Tensor *beta,
                      bool rms, Tensor *y) {
    double eps = attr_float(call->node, "eps");
    RefAxis a = ref_split(x, x->rank - 1);
    double *v = ref_doubles(call, x), *g = ref_doubles(call, gamma), *b = ref_doubles(call, beta);
    for (int64_t o = 0; o < a.outer; o++, v += a.length) {
        double mean = 0, var = 0;
        for (int64_t i = 0; i < a.length && !rms; i++) mean += v[i] / (double)a.length;
        for (int64_t i = 0; i < a.length; i++)
            var += (v[i] - mean) * (v[i] - mean) / (double)a.length;
        double scale = 1 / sqrt(var + eps);
        for (int64_t i = 0; i < a.length; i++)
            ir_store_f64(y->dtype, y->data, o * a.length + i,
                         (v[i] - mean) * scale * (g ? g[i] : 1) + (b ? b[i] : 0));
    }
}

void ref_layer_norm(RefCall *call) {
    normalize(call, call->in[0], ref_operand(call, 1), ref_operand(call, 2), false, call->out);
}

void ref_rms_norm(RefCall *call) {
    normalize(call, call->in[0], ref_operand(call, 1), NULL, true, call->out);
}

/* x[b, places, c]: each group of channels over all places */
void ref_group_norm(RefCall *call) {
    const Tensor *x = call->in[0];
    Tensor *y = call->out;
    int64_t c = x->dims[x->rank - 1], groups = attr_int(call->node, "groups");
    if (tensor_count(x) == 0) return;
    if (c % groups) ref_fail(call, TN_E_SHAPE, "groups are no whole channels");
    int64_t part = c / groups, batch = x->dims[0], places = tensor_count(x) / batch / c;
    double *v = ref_doubles(call, x), *g = ref_doubles(call, ref_operand(call, 1)),
           *b = ref_doubles(call, ref_operand(call, 2)), n = (double)(part * places);
    for (int64_t i = 0; i < batch * groups; i++) {
        int64_t first = i / groups * places * c + i % groups * part;
        double mean = 0, var = 0;
        for (int64_t k = 0; k < part * places; k++) mean += v[first + k / part * c + k % part] / n;
        for (int64_t k = 0; k < part * places; k++)
            var += pow(v[first + k / part * c + k % part] - mean, 2) / n;
        double scale = 1 / sqrt(var + attr_float(call->node, "eps"));
        for (int64_t k = 0; k < part * places; k++) {
            int64_t at = first + k / part * c + k % part;
            ir_store_f64(y->dtype, y->data, at,
                         (v[at] - mean) * scale * (g ? g[at % c] : 1) + (b ? b[at % c] : 0));
        }
    }
}

/* outputs: y, s */
void ref_add_norm(RefCall *call) {
    const Tensor *x = call->in[0], *residual = call->in[1];
    Tensor *y = &call->out[0], *s = &call->out[1];
    RefLoop l = ref_loop(s->rank, s->dims);
    ref_follow(&l, x->rank, x->dims);
    ref_follow(&l, residual->rank, residual->dims);
    for (; ref_more(&l); ref_step(&l))
        ir_store_f64(s->dtype, s->data, l.count,
                     ir_element_f64(x->dtype, x->data, l.at[0]) +
                         ir_element_f64(residual->dtype, residual->data, l.at[1]));
    normalize(call, s, ref_operand(call, 2), ref_operand(call, 3), attr_bool(call->node, "rms"), y);
}
