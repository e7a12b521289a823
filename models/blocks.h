/* What model families share: weights, projections, norms, attention, position tables, inputs.
 *
 * Shapes in comments: B batch, S queries, T keys, H heads, C width. Weight names are given as
 * printf patterns. */
#ifndef TENON_MODELS_BLOCKS_H
#define TENON_MODELS_BLOCKS_H

#include "ir/build.h"
#include "models/models.h"

/* A weight of exactly these dims (-1 = any), as f32;
 * origins of later nodes are its module's path. */
Value *block_weight(ModelCx *m, int rank, const int64_t *dims, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
bool block_has(ModelCx *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* x[.., in] W' + b with W = "NAME.weight"[out, in] and b =
 * "NAME.bias"[out], which may be absent. */
Value *block_linear(ModelCx *m, Value *x, const char *name, int64_t in, int64_t out);
/* The same with W[in, out] (GPT-2's Conv1D). */
Value *block_conv1d(ModelCx *m, Value *x, const char *name, int64_t in, int64_t out);
/* Norm over the last axis with "NAME.weight" and "NAME.bias" (old checkpoints: gamma and beta). */
Value *block_layer_norm(ModelCx *m, Value *x, const char *name, int64_t width, double eps);
/* hidden_act by its name in transformers; the key is for the message. */
Value *block_activation(ModelCx *m, Value *x, const char *key, const char *name);
/* Row lookup in "NAME"[rows, width] for ids[B, S]; rows checked at run time. */
Value *block_embedding(ModelCx *m, Value *ids, const char *name, int64_t rows, int64_t width);
/* The first S rows of a position table [rows, width]; requires S <= rows. */
Value *block_positions(ModelCx *m, const Expr *length, const char *name, int64_t rows,
                       int64_t width);

/* softmax(q k' scale + mask) v for q[B, S, C], k, v[B, T, C]; `allowed` (bool, broadcast to [B, H,
 * S, T], may be NULL) says what a query may see; a score that it may not see gets the lowest float
 * added, as transformers does. */
Value *block_attention(ModelCx *m, Value *q, Value *k, Value *v, int64_t heads, double scale,
                       Value *allowed);

/* One encoder layer: where its weights are, behind the layer's own prefix, and its sizes.
 *
 *     post-norm:  x = norm(x + attention(x));  x = norm(x + down act(up x))
 *     pre-norm:   x = x + attention(norm(x));  x = x + down act(up norm(x)) */
typedef struct EncoderLayer {
    const char *query, *key, *value, *out, *attention_norm; /* ".attention.self.query", ... */
    const char *up, *down, *output_norm;
    const char *act_key, *act; /* the activation, and the config's key for it */
    int64_t width, heads, inner;
    double eps;
    bool pre_norm;
} EncoderLayer;
/* x[B, S, C] through the layer whose weights start with `prefix`; `allowed` as for attention. */
Value *block_encoder_layer(ModelCx *m, const EncoderLayer *e, Value *x, Value *allowed,
                           const char *prefix);

/* Inputs input_ids[batch, sequence] and attention_mask (ones if left out). */
Value *block_input_ids(ModelCx *m);
Value *block_attention_mask(ModelCx *m);
Value *block_token_types(ModelCx *m);
/* attention_mask != 0 as [B, 1, 1, T] */
Value *block_key_mask(ModelCx *m, Value *mask);

/* x[B, S, C] -> x[:, 0, :] as [B, C] */
Value *block_first_token(ModelCx *m, Value *x);
/* Heads on hidden states: outputs of the graph. */
void block_token_logits(ModelCx *m, Value *x, const char *name,
                        int64_t width); /* logits[B, S, labels] */
void block_question_answering(ModelCx *m, Value *x, const char *name,
                              int64_t width);       /* start_logits, end_logits */
int64_t block_labels(ModelCx *m, const char *name); /* rows of "NAME.weight" */
const char *block_name(ModelCx *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The epsilon of norms under a key of the config. */
double block_epsilon(ModelCx *m, const char *key, double fallback);
/* Raises unless `heads` divides `width`. */
void block_check_heads(ModelCx *m, int64_t width, int64_t heads);

#endif
