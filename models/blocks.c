/* Shared blocks of model builders: see blocks.h. */
#include "models/blocks.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

const char *block_name(ModelCx *m, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const char *s = arena_vprintf(&m->cx->arena, fmt, ap);
    va_end(ap);
    return s;
}

bool block_has(ModelCx *m, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const char *s = arena_vprintf(&m->cx->arena, fmt, ap);
    va_end(ap);
    return weights_find(m->weights, s) != NULL;
}

/* Half-precision checkpoints are computed in f32. */
static Value *as_f32(ModelCx *m, const WeightView *w) {
    if (w->dtype != TN_F32 && w->dtype != TN_F16 && w->dtype != TN_BF16 && w->dtype != TN_F64)
        tn_fail(m->cx, TN_E_UNSUPPORTED,
                "%s: tensor '%s' has element type %s; f32, f16, bf16 and f64 are supported",
                m->folder, w->name, tn_dtype_name(w->dtype));
    Constant *c = ir_constant_new(m->g->module, w->name, w->dtype, w->rank, w->dims, w->data);
    return w->dtype == TN_F32 ? ir_constant(m->g, c) : ir_constant_f32(m->g, c);
}

Value *block_weight(ModelCx *m, int rank, const int64_t *dims, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const char *name = arena_vprintf(&m->cx->arena, fmt, ap);
    va_end(ap);
    const WeightView *w = weights_need(m->weights, name, rank, dims);
    for (ModelWeight *r = m->read; r; r = r->next)
        if (r->view == w) return ir_constant(m->g, r->constant);
    ModelWeight *r = ARENA_NEW(&m->cx->arena, ModelWeight);
    Value *v = as_f32(m, w);
    *r = (ModelWeight){w, v->constant, m->read};
    m->read = r;
    return v;
}

static Value *add_bias(ModelCx *m, Value *y, const char *name, int64_t out) {
    if (!block_has(m, "%s.bias", name)) return y;
    return ir_binary(m->g, OP_add, y, block_weight(m, 1, (int64_t[]){out}, "%s.bias", name));
}

Value *block_linear(ModelCx *m, Value *x, const char *name, int64_t in, int64_t out) {
    m->g->origin = name;
    Value *w = block_weight(m, 2, (int64_t[]){out, in}, "%s.weight", name);
    return add_bias(m, ir_matmul(m->g, x, w, false, true), name, out);
}

Value *block_conv1d(ModelCx *m, Value *x, const char *name, int64_t in, int64_t out) {
    m->g->origin = name;
    Value *w = block_weight(m, 2, (int64_t[]){in, out}, "%s.weight", name);
    return add_bias(m, ir_matmul(m->g, x, w, false, false), name, out);
}

Value *block_layer_norm(ModelCx *m, Value *x, const char *name, int64_t width, double eps) {
    m->g->origin = name;
    bool old = !block_has(m, "%s.weight", name) && block_has(m, "%s.gamma", name);
    Value *gamma = block_weight(m, 1, (int64_t[]){width}, "%s.%s", name, old ? "gamma" : "weight");
    Value *beta = block_weight(m, 1, (int64_t[]){width}, "%s.%s", name, old ? "beta" : "bias");
    return ir_layer_norm(m->g, x, gamma, beta, eps);
}

Value *block_activation(ModelCx *m, Value *x, const char *key, const char *name) {
    static const struct {
        const char *name;
        OpKind op;
    } known[] = {{"gelu", OP_gelu},
                 {"gelu_python", OP_gelu},
                 {"gelu_new", OP_gelu_tanh},
                 {"gelu_pytorch_tanh", OP_gelu_tanh},
                 {"gelu_fast", OP_gelu_tanh},
                 {"gelu_accurate", OP_gelu_tanh},
                 {"quick_gelu", OP_gelu_quick},
                 {"relu", OP_relu},
                 {"silu", OP_silu},
                 {"swish", OP_silu},
                 {"tanh", OP_tanh},
                 {"sigmoid", OP_sigmoid}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, name)) return ir_unary(m->g, known[i].op, x);
    config_fail(m->config, TN_E_UNSUPPORTED, "%s is '%s', an activation that is unsupported", key,
                tn_printable(m->cx, name, strlen(name), 80));
}

Value *block_embedding(ModelCx *m, Value *ids, const char *name, int64_t rows, int64_t width) {
    m->g->origin = name;
    return ir_gather(m->g, block_weight(m, 2, (int64_t[]){rows, width}, "%s", name), ids, 0);
}

Value *block_positions(ModelCx *m, const Expr *length, const char *name, int64_t rows,
                       int64_t width) {
    m->g->origin = name;
    Value *table = block_weight(m, 2, (int64_t[]){rows, width}, "%s", name);
    return ir_slice(m->g, table, 0, ex_int(m->ex, 0), length, 1);
}

double block_epsilon(ModelCx *m, const char *key, double fallback) {
    double eps = config_float_or(m->config, key, fallback);
    if (!(eps >= 0 && eps <= 1))
        config_fail(m->config, TN_E_MODEL, "key '%s' is %g, wanted a number from 0 to 1", key, eps);
    return eps;
}

void block_check_heads(ModelCx *m, int64_t width, int64_t heads) {
    if (width % heads)
        config_fail(m->config, TN_E_MODEL, "%lld heads do not divide the width %lld",
                    (long long)heads, (long long)width);
}

/* [B, S, C] -> [B, H, S, C / H] */
static Value *split_heads(ModelCx *m, Value *x, int64_t heads) {
    const Type *t = &x->type;
    const Expr *h = ex_int(m->ex, heads);
    const Expr *dims[4] = {t->dims[0], t->dims[1], h, ex_floordiv(m->ex, t->dims[2], h)};
    return ir_transpose(m->g, ir_view(m->g, x, 4, dims), (int[]){0, 2, 1, 3});
}

Value *block_attention(ModelCx *m, Value *q, Value *k, Value *v, int64_t heads, double scale,
                       Value *allowed) {
    Graph *g = m->g;
    Type t = q->type;
    t.dims[2] = v->type.dims[2];
    Value *scores = ir_matmul(g, split_heads(m, q, heads), split_heads(m, k, heads), false, true);
    if (scale != 1) scores = ir_binary(g, OP_mul, scores, ir_scalar(g, TN_F32, scale));
    if (allowed) {
        Value *lowest = ir_scalar(g, TN_F32, -3.4028234663852886e38),
              *zero = ir_scalar(g, TN_F32, 0);
        scores = ir_binary(g, OP_add, scores, ir_where(g, allowed, zero, lowest));
    }
    Value *y = ir_matmul(g, ir_softmax(g, scores, -1), split_heads(m, v, heads), false, false);
    return ir_view(g, ir_transpose(g, y, (int[]){0, 2, 1, 3}), 3, t.dims);
}

/* norm(x) before (pre-norm) or after (post-norm) a sublayer; else x as it is. */
static Value *norm_at(ModelCx *m, const EncoderLayer *e, bool before, Value *x, const char *prefix,
                      const char *name) {
    if (before != e->pre_norm) return x;
    return block_layer_norm(m, x, block_name(m, "%s%s", prefix, name), e->width, e->eps);
}

Value *block_encoder_layer(ModelCx *m, const EncoderLayer *e, Value *x, Value *allowed,
                           const char *prefix) {
    int64_t c = e->width;
    Value *n = norm_at(m, e, true, x, prefix, e->attention_norm);
    Value *q = block_linear(m, n, block_name(m, "%s%s", prefix, e->query), c, c);
    Value *k = block_linear(m, n, block_name(m, "%s%s", prefix, e->key), c, c);
    Value *v = block_linear(m, n, block_name(m, "%s%s", prefix, e->value), c, c);
    m->g->origin = block_name(m, "%s.attention", prefix);
    Value *a = block_attention(m, q, k, v, e->heads, 1 / sqrt((double)(c / e->heads)), allowed);
    a = block_linear(m, a, block_name(m, "%s%s", prefix, e->out), c, c);
    x = norm_at(m, e, false, ir_binary(m->g, OP_add, a, x), prefix, e->attention_norm);
    n = norm_at(m, e, true, x, prefix, e->output_norm);
    Value *h = block_linear(m, n, block_name(m, "%s%s", prefix, e->up), c, e->inner);
    h = block_activation(m, h, e->act_key, e->act);
    h = block_linear(m, h, block_name(m, "%s%s", prefix, e->down), e->inner, c);
    return norm_at(m, e, false, ir_binary(m->g, OP_add, h, x), prefix, e->output_norm);
}

static Value *sequence_input(ModelCx *m, const char *name, InputDefault fill) {
    static const FrontendAxis axes[2] = {{-1, "batch"}, {-1, "sequence"}};
    return frontend_input(m->g, m->options, name, TN_I64, 2, axes, fill);
}

Value *block_input_ids(ModelCx *m) {
    return sequence_input(m, "input_ids", INPUT_REQUIRED);
}
Value *block_attention_mask(ModelCx *m) {
    return sequence_input(m, "attention_mask", INPUT_ONES);
}
Value *block_token_types(ModelCx *m) {
    return sequence_input(m, "token_type_ids", INPUT_ZEROS);
}

Value *block_key_mask(ModelCx *m, Value *mask) {
    m->g->origin = "attention_mask";
    const Expr *one = ex_int(m->ex, 1),
               *dims[4] = {mask->type.dims[0], one, one, mask->type.dims[1]};
    return ir_view(m->g, ir_cast(m->g, mask, TN_BOOL), 4, dims);
}

Value *block_first_token(ModelCx *m, Value *x) {
    Value *first = ir_slice(m->g, x, 1, ex_int(m->ex, 0), ex_int(m->ex, 1), 1);
    return ir_view(m->g, first, 2, (const Expr *[]){x->type.dims[0], x->type.dims[2]});
}

int64_t block_labels(ModelCx *m, const char *name) {
    return weights_need(m->weights, block_name(m, "%s.weight", name), 2, (int64_t[]){-1, -1})
        ->dims[0];
}

void block_token_logits(ModelCx *m, Value *x, const char *name, int64_t width) {
    ir_output(m->g, "logits", block_linear(m, x, name, width, block_labels(m, name)));
}

void block_question_answering(ModelCx *m, Value *x, const char *name, int64_t width) {
    Value *y = block_linear(m, x, name, width, 2);
    for (int i = 0; i < 2; i++) {
        Value *column = ir_slice(m->g, y, 2, ex_int(m->ex, i), ex_int(m->ex, 1), 1);
        ir_output(m->g, i ? "end_logits" : "start_logits", ir_view(m->g, column, 2, y->type.dims));
    }
}
