/* Native builders: checkpoints become graphs of core operators, the same an import gives, so the
 * same passes fuse both.
 *
 * A builder reads sizes from the config and weights by name, and writes the forward pass; blocks.h
 * has what families share. */
#ifndef TENON_MODELS_MODELS_H
#define TENON_MODELS_MODELS_H

#include "frontend/frontend.h"
#include "frontend/hf/config.h"
#include "frontend/weights.h"

typedef struct ModelInfo ModelInfo;

/* A weight that is a constant of the module already: read in an earlier round, or tied. */
typedef struct ModelWeight {
    const WeightView *view;
    Constant *constant;
    struct ModelWeight *next;
} ModelWeight;

/* What a builder works with. */
typedef struct ModelCx {
    Graph *g;
    Cx *cx;
    ExprCx *ex;
    const Config *config;
    const Weights *weights;
    const char *folder;
    ImportOptions *options;
    const ModelInfo *info;
    ModelWeight *read;
} ModelCx;

typedef void ModelBuilder(ModelCx *m);
struct ModelInfo {
    const char *architecture, *model_type, *task;
    ModelBuilder *build;
};

size_t model_count(void);
const ModelInfo *model_at(size_t i);

#define MODEL_BUILDER(name) void build_##name(ModelCx *m)
MODEL_BUILDER(bert);
MODEL_BUILDER(roberta);
MODEL_BUILDER(distilbert);
MODEL_BUILDER(vit);
MODEL_BUILDER(gpt2);

#endif
