/* BERT, RoBERTa, XLM-RoBERTa (and with other names DistilBERT, in distilbert.c): post-norm encoders
 * over token embeddings.
 *
 *     x = norm(word[ids] + position + token_type)
 *     each layer:  x = norm(x + attention(x));  x = norm(x + W2 act(W1 x))
 *
 * Devlin et al. 2018; RoBERTa (Liu et al. 2019) counts positions from padding_idx + 1 over the
 * tokens that are not padding. */
#include <string.h>
#include "models/blocks.h"

typedef struct Bert {
    const char *prefix; /* "bert.", "roberta." or "" */
    int64_t width, heads, layers, inner, vocabulary, positions, types;
    double eps;
    const char *act;
    bool roberta;
    int64_t padding;
} Bert;

static Bert read_config(ModelCx *m, const char *prefix) {
    const Config *c = m->config;
    Bert b = {.prefix = block_has(m, "%sembeddings.word_embeddings.weight", prefix) ? prefix : "",
              .width = config_int(c, "hidden_size", 1, 1 << 20),
              .heads = config_int(c, "num_attention_heads", 1, 1 << 16),
              .layers = config_int(c, "num_hidden_layers", 0, 4096),
              .inner = config_int(c, "intermediate_size", 1, 1 << 24),
              .vocabulary = config_int(c, "vocab_size", 1, INT32_MAX),
              .positions = config_int(c, "max_position_embeddings", 1, INT32_MAX),
              .types = config_int_or(c, "type_vocab_size", 1, INT32_MAX, 2),
              .eps = block_epsilon(m, "layer_norm_eps", 1e-12),
              .act = config_string_or(c, "hidden_act", "gelu"),
              .padding = config_int_or(c, "pad_token_id", 0, INT32_MAX, 0)};
    const char *positions = config_string_or(c, "position_embedding_type", "absolute");
    if (strcmp(positions, "absolute"))
        config_fail(c, TN_E_UNSUPPORTED, "position_embedding_type '%s' is unsupported", positions);
    if (config_bool_or(c, "is_decoder", false))
        config_fail(c, TN_E_UNSUPPORTED, "is_decoder is unsupported for this family");
    block_check_heads(m, b.width, b.heads);
    return b;
}

/* RoBERTa: cumulative count of tokens that are not padding, padding itself stays at padding_idx. */
static Value *counted_positions(ModelCx *m, const Bert *b, Value *ids) {
    Graph *g = m->g;
    g->origin = "position_ids";
    Value *pad = ir_scalar_int(g, TN_I64, b->padding);
    Value *token = ir_cast(g, ir_unary(g, OP_not, ir_binary(g, OP_eq, ids, pad)), TN_I64);
    Node *sum = ir_node(g, OP_cumsum, 1, &token);
    ir_set_int(sum, "axis", 1);
    Value *position = ir_binary(g, OP_add, ir_binary(g, OP_mul, ir_insert(sum), token), pad);
    return block_embedding(m, position,
                           block_name(m, "%sembeddings.position_embeddings.weight", b->prefix),
                           b->positions, b->width);
}

static Value *embeddings(ModelCx *m, const Bert *b, Value *ids) {
    const char *e = block_name(m, "%sembeddings", b->prefix);
    const Expr *dims[2] = {ids->type.dims[0], ids->type.dims[1]};
    Value *types = b->roberta ? ir_splat(m->g, TN_I64, 2, dims, 0) : block_token_types(m);
    Value *x = block_embedding(m, ids, block_name(m, "%s.word_embeddings.weight", e), b->vocabulary,
                               b->width);
    Value *t = block_embedding(m, types, block_name(m, "%s.token_type_embeddings.weight", e),
                               b->types, b->width);
    Value *p = b->roberta
                   ? counted_positions(m, b, ids)
                   : block_positions(m, dims[1], block_name(m, "%s.position_embeddings.weight", e),
                                     b->positions, b->width);
    m->g->origin = e;
    x = ir_binary(m->g, OP_add, ir_binary(m->g, OP_add, x, t), p);
    return block_layer_norm(m, x, block_name(m, "%s.LayerNorm", e), b->width, b->eps);
}

static EncoderLayer layer_of(const Bert *b) {
    return (EncoderLayer){.query = ".attention.self.query",
                          .key = ".attention.self.key",
                          .value = ".attention.self.value",
                          .out = ".attention.output.dense",
                          .attention_norm = ".attention.output.LayerNorm",
                          .up = ".intermediate.dense",
                          .down = ".output.dense",
                          .output_norm = ".output.LayerNorm",
                          .act_key = "hidden_act",
                          .act = b->act,
                          .width = b->width,
                          .heads = b->heads,
                          .inner = b->inner,
                          .eps = b->eps};
}

static Value *encoder(ModelCx *m, const Bert *b) {
    Value *ids = block_input_ids(m);
    Value *allowed = block_key_mask(m, block_attention_mask(m));
    Value *x = embeddings(m, b, ids);
    EncoderLayer layer = layer_of(b);
    for (int64_t i = 0; i < b->layers; i++)
        x = block_encoder_layer(m, &layer, x, allowed,
                                block_name(m, "%sencoder.layer.%lld", b->prefix, (long long)i));
    return x;
}

/* act(W x[:, 0]) */
static Value *pooled(ModelCx *m, const Bert *b, Value *x) {
    Value *y = block_linear(m, block_first_token(m, x), block_name(m, "%spooler.dense", b->prefix),
                            b->width, b->width);
    return ir_unary(m->g, OP_tanh, y);
}

/* Output projection tied to the word embeddings unless the checkpoint has one of its own; so is its
 * bias to `bias`, which what is not tied leaves unused. */
static void vocabulary_logits(ModelCx *m, const Bert *b, Value *x, const char *decoder,
                              const char *bias) {
    const char *name = block_name(m, "%s.weight", decoder),
               *own = block_name(m, "%s.bias", decoder);
    if (!block_has(m, "%s", name))
        name = block_name(m, "%sembeddings.word_embeddings.weight", b->prefix);
    m->g->origin = decoder;
    Value *weight = block_weight(m, 2, (int64_t[]){b->vocabulary, b->width}, "%s", name);
    Value *y = ir_matmul(m->g, x, weight, false, true);
    Value *added =
        block_weight(m, 1, (int64_t[]){b->vocabulary}, "%s", block_has(m, "%s", own) ? own : bias);
    ir_output(m->g, "logits", ir_binary(m->g, OP_add, y, added));
}

static void base_outputs(ModelCx *m, const Bert *b, Value *x) {
    ir_output(m->g, "last_hidden_state", x);
    if (block_has(m, "%spooler.dense.weight", b->prefix))
        ir_output(m->g, "pooler_output", pooled(m, b, x));
}

MODEL_BUILDER(bert) {
    Bert b = read_config(m, "bert.");
    Value *x = encoder(m, &b);
    const char *task = m->info->task;
    if (!strcmp(task, "feature-extraction")) {
        base_outputs(m, &b, x);
    } else if (!strcmp(task, "fill-mask")) {
        Value *h = block_linear(m, x, "cls.predictions.transform.dense", b.width, b.width);
        h = block_layer_norm(m, block_activation(m, h, "hidden_act", b.act),
                             "cls.predictions.transform.LayerNorm", b.width, b.eps);
        vocabulary_logits(m, &b, h, "cls.predictions.decoder", "cls.predictions.bias");
    } else if (!strcmp(task, "text-classification")) {
        block_token_logits(m, pooled(m, &b, x), "classifier", b.width);
    } else if (!strcmp(task, "token-classification")) {
        block_token_logits(m, x, "classifier", b.width);
    } else {
        block_question_answering(m, x, "qa_outputs", b.width);
    }
}

MODEL_BUILDER(roberta) {
    Bert b = read_config(m, "roberta.");
    b.roberta = true;
    b.padding = config_int_or(m->config, "pad_token_id", 0, INT32_MAX, 1);
    Value *x = encoder(m, &b);
    const char *task = m->info->task;
    if (!strcmp(task, "feature-extraction")) {
        base_outputs(m, &b, x);
    } else if (!strcmp(task, "fill-mask")) {
        Value *h = ir_unary(m->g, OP_gelu, block_linear(m, x, "lm_head.dense", b.width, b.width));
        h = block_layer_norm(m, h, "lm_head.layer_norm", b.width, b.eps);
        vocabulary_logits(m, &b, h, "lm_head.decoder", "lm_head.bias");
    } else if (!strcmp(task, "text-classification")) {
        Value *h = block_linear(m, block_first_token(m, x), "classifier.dense", b.width, b.width);
        block_token_logits(m, ir_unary(m->g, OP_tanh, h), "classifier.out_proj", b.width);
    } else if (!strcmp(task, "token-classification")) {
        block_token_logits(m, x, "classifier", b.width);
    } else {
        block_question_answering(m, x, "qa_outputs", b.width);
    }
}
