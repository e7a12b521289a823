/* GPT-2 (Radford et al. 2019), without a cache: a pre-norm decoder with causal attention.
 *
 *     x = word[ids] + position
 *     each layer:  x = x + attention(norm(x));  x = x + W2 act(W1 norm(x))
 *     logits = norm(x) word'
 */
#include <math.h>
#include <string.h>
#include "models/blocks.h"

typedef struct Gpt2 {
    const char *prefix;
    int64_t width, heads, layers, inner, vocabulary, positions;
    double eps;
    const char *act;
    bool scale, scale_by_layer;
} Gpt2;

static Gpt2 read_config(ModelCx *m) {
    const Config *c = m->config;
    Gpt2 p = {.prefix = block_has(m, "transformer.wte.weight") ? "transformer." : "",
              .width = config_int(c, "n_embd|hidden_size", 1, 1 << 20),
              .heads = config_int(c, "n_head|num_attention_heads", 1, 1 << 16),
              .layers = config_int(c, "n_layer|num_hidden_layers", 0, 4096),
              .vocabulary = config_int(c, "vocab_size", 1, INT32_MAX),
              .positions = config_int(c, "n_positions|max_position_embeddings", 1, INT32_MAX),
              .eps = block_epsilon(m, "layer_norm_epsilon", 1e-5),
              .act = config_string_or(c, "activation_function", "gelu_new"),
              .scale = config_bool_or(c, "scale_attn_weights", true),
              .scale_by_layer = config_bool_or(c, "scale_attn_by_inverse_layer_idx", false)};
    p.inner = config_int_or(c, "n_inner", 1, 1 << 24, 4 * p.width);
    if (config_bool_or(c, "add_cross_attention", false))
        config_fail(c, TN_E_UNSUPPORTED, "add_cross_attention is unsupported");
    block_check_heads(m, p.width, p.heads);
    return p;
}

/* Key j is allowed for query i iff j <= i and attention_mask[j] != 0: [B, 1, S, S]. */
static Value *causal_mask(ModelCx *m, Value *mask) {
    Graph *g = m->g;
    Value *key = block_key_mask(m, mask);
    const Expr *s = mask->type.dims[1], *one = ex_int(m->ex, 1);
    Value *i = ir_iota(g, TN_I64, s, ex_int(m->ex, 0), one);
    Value *row = ir_view(g, i, 2, (const Expr *[]){s, one});
    return ir_binary(g, OP_and, ir_binary(g, OP_le, i, row), key);
}

static Value *layer(ModelCx *m, const Gpt2 *p, Value *x, Value *allowed, const char *l,
                    int64_t index) {
    int64_t c = p->width;
    Value *n = block_layer_norm(m, x, block_name(m, "%s.ln_1", l), c, p->eps);
    Value *qkv = block_conv1d(m, n, block_name(m, "%s.attn.c_attn", l), c, 3 * c), *part[3];
    for (int i = 0; i < 3; i++)
        part[i] = ir_slice(m->g, qkv, 2, ex_int(m->ex, i * c), ex_int(m->ex, c), 1);
    double scale = p->scale ? 1 / sqrt((double)(c / p->heads)) : 1;
    if (p->scale_by_layer) scale /= (double)(index + 1);
    m->g->origin = block_name(m, "%s.attn", l);
    Value *a = block_attention(m, part[0], part[1], part[2], p->heads, scale, allowed);
    x = ir_binary(m->g, OP_add, block_conv1d(m, a, block_name(m, "%s.attn.c_proj", l), c, c), x);
    n = block_layer_norm(m, x, block_name(m, "%s.ln_2", l), c, p->eps);
    Value *h = block_conv1d(m, n, block_name(m, "%s.mlp.c_fc", l), c, p->inner);
    h = block_conv1d(m, block_activation(m, h, "activation_function", p->act),
                     block_name(m, "%s.mlp.c_proj", l), p->inner, c);
    return ir_binary(m->g, OP_add, h, x);
}

MODEL_BUILDER(gpt2) {
    Gpt2 p = read_config(m);
    Value *ids = block_input_ids(m), *allowed = causal_mask(m, block_attention_mask(m));
    const char *words = block_name(m, "%swte.weight", p.prefix);
    Value *x = block_embedding(m, ids, words, p.vocabulary, p.width);
    Value *position = block_positions(m, ids->type.dims[1], block_name(m, "%swpe.weight", p.prefix),
                                      p.positions, p.width);
    x = ir_binary(m->g, OP_add, x, position);
    for (int64_t i = 0; i < p.layers; i++)
        x = layer(m, &p, x, allowed, block_name(m, "%sh.%lld", p.prefix, (long long)i), i);
    x = block_layer_norm(m, x, block_name(m, "%sln_f", p.prefix), p.width, p.eps);
    if (!strcmp(m->info->task, "feature-extraction")) {
        ir_output(m->g, "last_hidden_state", x);
        return;
    }
    const char *head = block_has(m, "lm_head.weight") ? "lm_head.weight" : words;
    m->g->origin = "lm_head";
    ir_output(m->g, "logits",
              ir_matmul(m->g, x, block_weight(m, 2, (int64_t[]){p.vocabulary, p.width}, "%s", head),
                        false, true));
}
