/* DistilBERT (Sanh et al. 2019): BERT without token types
 * and pooler, half the layers, other names. */
#include <string.h>
#include "models/blocks.h"

typedef struct Distil {
    const char *prefix;
    int64_t width, heads, layers, inner, vocabulary, positions;
    double eps;
    const char *act;
} Distil;

static Distil read_config(ModelCx *m) {
    const Config *c = m->config;
    Distil d = {
        .prefix = block_has(m, "distilbert.embeddings.word_embeddings.weight") ? "distilbert." : "",
        .width = config_int(c, "dim|hidden_size", 1, 1 << 20),
        .heads = config_int(c, "n_heads|num_attention_heads", 1, 1 << 16),
        .layers = config_int(c, "n_layers|num_hidden_layers", 0, 4096),
        .inner = config_int(c, "hidden_dim", 1, 1 << 24),
        .vocabulary = config_int(c, "vocab_size", 1, INT32_MAX),
        .positions = config_int(c, "max_position_embeddings", 1, INT32_MAX),
        .eps = 1e-12, /* fixed in the model, not in the config */
        .act = config_string_or(c, "activation", "gelu")};
    block_check_heads(m, d.width, d.heads);
    return d;
}

static EncoderLayer layer_of(const Distil *d) {
    return (EncoderLayer){.query = ".attention.q_lin",
                          .key = ".attention.k_lin",
                          .value = ".attention.v_lin",
                          .out = ".attention.out_lin",
                          .attention_norm = ".sa_layer_norm",
                          .up = ".ffn.lin1",
                          .down = ".ffn.lin2",
                          .output_norm = ".output_layer_norm",
                          .act_key = "activation",
                          .act = d->act,
                          .width = d->width,
                          .heads = d->heads,
                          .inner = d->inner,
                          .eps = d->eps};
}

static Value *encoder(ModelCx *m, const Distil *d) {
    Value *ids = block_input_ids(m);
    Value *allowed = block_key_mask(m, block_attention_mask(m));
    const char *e = block_name(m, "%sembeddings", d->prefix);
    Value *x = block_embedding(m, ids, block_name(m, "%s.word_embeddings.weight", e), d->vocabulary,
                               d->width);
    Value *p =
        block_positions(m, ids->type.dims[1], block_name(m, "%s.position_embeddings.weight", e),
                        d->positions, d->width);
    m->g->origin = e;
    x = block_layer_norm(m, ir_binary(m->g, OP_add, x, p), block_name(m, "%s.LayerNorm", e),
                         d->width, d->eps);
    EncoderLayer layer = layer_of(d);
    for (int64_t i = 0; i < d->layers; i++)
        x = block_encoder_layer(m, &layer, x, allowed,
                                block_name(m, "%stransformer.layer.%lld", d->prefix, (long long)i));
    return x;
}

static void masked_lm(ModelCx *m, const Distil *d, Value *x) {
    Value *h = block_linear(m, x, "vocab_transform", d->width, d->width);
    h = block_layer_norm(m, block_activation(m, h, "activation", d->act), "vocab_layer_norm",
                         d->width, d->eps);
    bool own = block_has(m, "vocab_projector.weight");
    const char *name = own ? "vocab_projector.weight"
                           : block_name(m, "%sembeddings.word_embeddings.weight", d->prefix);
    m->g->origin = "vocab_projector";
    Value *weight = block_weight(m, 2, (int64_t[]){d->vocabulary, d->width}, "%s", name);
    Value *y = ir_matmul(m->g, h, weight, false, true);
    Value *bias = block_weight(m, 1, (int64_t[]){d->vocabulary}, "vocab_projector.bias");
    ir_output(m->g, "logits", ir_binary(m->g, OP_add, y, bias));
}

MODEL_BUILDER(distilbert) {
    Distil d = read_config(m);
    Value *x = encoder(m, &d);
    const char *task = m->info->task;
    if (!strcmp(task, "feature-extraction")) {
        ir_output(m->g, "last_hidden_state", x);
    } else if (!strcmp(task, "fill-mask")) {
        masked_lm(m, &d, x);
    } else if (!strcmp(task, "text-classification")) {
        Value *h = block_linear(m, block_first_token(m, x), "pre_classifier", d.width, d.width);
        block_token_logits(m, ir_unary(m->g, OP_relu, h), "classifier", d.width);
    } else if (!strcmp(task, "token-classification")) {
        block_token_logits(m, x, "classifier", d.width);
    } else {
        block_question_answering(m, x, "qa_outputs", d.width);
    }
}
