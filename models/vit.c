/* ViT (Dosovitskiy et al. 2020): a pre-norm encoder over patches of a picture and a class token.
 *
 *     x = [class; conv(pixels) as a sequence] + position
 *     each layer:  x = x + attention(norm(x));  x = x + W2 act(W1 norm(x)) */
#include <string.h>
#include "models/blocks.h"

typedef struct Vit {
    const char *prefix;
    int64_t width, heads, layers, inner, channels, image[2], patch[2];
    double eps;
    const char *act;
} Vit;

/* A size that is one number or [height, width]. */
static void read_size(ModelCx *m, const char *key, int64_t *out) {
    if (json_kind(config_value(m->config, key)) != JSON_ARRAY) {
        out[0] = out[1] = config_int(m->config, key, 1, 1 << 20);
    } else if (config_ints(m->config, key, 1, 1 << 20, out, 2) != 2) {
        config_fail(m->config, TN_E_MODEL, "%s: a number or [height, width] is wanted", key);
    }
}

static Vit read_config(ModelCx *m) {
    const Config *c = m->config;
    Vit v = {.prefix = block_has(m, "vit.embeddings.cls_token") ? "vit." : "",
             .width = config_int(c, "hidden_size", 1, 1 << 20),
             .heads = config_int(c, "num_attention_heads", 1, 1 << 16),
             .layers = config_int(c, "num_hidden_layers", 0, 4096),
             .inner = config_int(c, "intermediate_size", 1, 1 << 24),
             .channels = config_int_or(c, "num_channels", 1, 1 << 16, 3),
             .eps = block_epsilon(m, "layer_norm_eps", 1e-12),
             .act = config_string_or(c, "hidden_act", "gelu")};
    read_size(m, "image_size", v.image);
    read_size(m, "patch_size", v.patch);
    for (int i = 0; i < 2; i++)
        if (v.image[i] < v.patch[i])
            config_fail(c, TN_E_MODEL, "patch_size %lld is larger than image_size %lld",
                        (long long)v.patch[i], (long long)v.image[i]);
    block_check_heads(m, v.width, v.heads);
    return v;
}

/* [B, channels, h, w] -> [B, patches, C] */
static Value *patches(ModelCx *m, const Vit *v, Value *pixels) {
    Graph *g = m->g;
    const char *name = block_name(m, "%sembeddings.patch_embeddings.projection", v->prefix);
    g->origin = name;
    Value *in[3] = {pixels,
                    block_weight(m, 4, (int64_t[]){v->width, v->channels, v->patch[0], v->patch[1]},
                                 "%s.weight", name),
                    block_weight(m, 1, (int64_t[]){v->width}, "%s.bias", name)};
    Node *conv = ir_node(g, OP_conv, 3, in);
    ir_set_ints(conv, "strides", 2, v->patch);
    ir_set_ints(conv, "pads", 4, (int64_t[]){0, 0, 0, 0});
    ir_set_ints(conv, "dilations", 2, (int64_t[]){1, 1});
    Value *y = ir_insert(conv);
    const Expr *flat[3] = {y->type.dims[0], y->type.dims[1],
                           ex_mul(m->ex, y->type.dims[2], y->type.dims[3])};
    return ir_transpose(g, ir_view(g, y, 3, flat), (int[]){0, 2, 1});
}

static Value *embeddings(ModelCx *m, const Vit *v) {
    Graph *g = m->g;
    FrontendAxis axes[4] = {
        {-1, "batch"}, {v->channels, NULL}, {v->image[0], NULL}, {v->image[1], NULL}};
    Value *pixels = frontend_input(g, m->options, "pixel_values", TN_F32, 4, axes, INPUT_REQUIRED);
    Value *x = patches(m, v, pixels);
    const char *e = block_name(m, "%sembeddings", v->prefix);
    g->origin = e;
    const Expr *dims[3] = {x->type.dims[0], ex_int(m->ex, 1), x->type.dims[2]};
    Value *cls =
        ir_expand(g, block_weight(m, 3, (int64_t[]){1, 1, v->width}, "%s.cls_token", e), 3, dims);
    x = ir_concat(g, 2, (Value *[]){cls, x}, 1);
    int64_t count = (v->image[0] / v->patch[0]) * (v->image[1] / v->patch[1]) + 1;
    int64_t table[] = {1, count, v->width};
    return ir_binary(g, OP_add, x, block_weight(m, 3, table, "%s.position_embeddings", e));
}

static EncoderLayer layer_of(const Vit *v) {
    return (EncoderLayer){.query = ".attention.attention.query",
                          .key = ".attention.attention.key",
                          .value = ".attention.attention.value",
                          .out = ".attention.output.dense",
                          .attention_norm = ".layernorm_before",
                          .up = ".intermediate.dense",
                          .down = ".output.dense",
                          .output_norm = ".layernorm_after",
                          .act_key = "hidden_act",
                          .act = v->act,
                          .width = v->width,
                          .heads = v->heads,
                          .inner = v->inner,
                          .eps = v->eps,
                          .pre_norm = true};
}

MODEL_BUILDER(vit) {
    Vit v = read_config(m);
    Value *x = embeddings(m, &v);
    EncoderLayer layer = layer_of(&v);
    for (int64_t i = 0; i < v.layers; i++)
        x = block_encoder_layer(m, &layer, x, NULL,
                                block_name(m, "%sencoder.layer.%lld", v.prefix, (long long)i));
    x = block_layer_norm(m, x, block_name(m, "%slayernorm", v.prefix), v.width, v.eps);
    if (!strcmp(m->info->task, "image-classification")) {
        block_token_logits(m, block_first_token(m, x), "classifier", v.width);
        return;
    }
    ir_output(m->g, "last_hidden_state", x);
    if (!block_has(m, "%spooler.dense.weight", v.prefix)) return;
    int64_t out = config_int_or(m->config, "pooler_output_size", 1, 1 << 20, v.width);
    Value *p = block_linear(m, block_first_token(m, x), block_name(m, "%spooler.dense", v.prefix),
                            v.width, out);
    const char *activation = config_string_or(m->config, "pooler_act", "tanh");
    ir_output(m->g, "pooler_output", block_activation(m, p, "pooler_act", activation));
}
