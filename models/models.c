/* Finds the builder for a checkpoint folder and runs it: hf_import of frontend.h. */
#include "models/models.h"

#include <string.h>
#include "ir/text.h"

static const ModelInfo table[] = {
#define MODEL(architecture, model_type, task, builder) \
    {architecture, model_type, task, build_##builder},
#include "models/models.def"
#undef MODEL
};

size_t model_count(void) {
    return sizeof table / sizeof *table;
}

const ModelInfo *model_at(size_t i) {
    return &table[i];
}

static const char *known(Cx *cx, const char *model_type) {
    TextBuffer t = {.arena = &cx->arena};
    for (size_t i = 0; i < model_count(); i++) {
        const char *name = model_type ? table[i].architecture : table[i].model_type;
        bool repeated = !model_type && i && !strcmp(table[i - 1].model_type, name);
        if (repeated || (model_type && strcmp(table[i].model_type, model_type))) continue;
        text_format(&t, "%s%s", t.length ? ", " : "", name);
    }
    return text_end(&t);
}

static bool knows_type(const char *model_type) {
    for (size_t i = 0; i < model_count(); i++)
        if (!strcmp(table[i].model_type, model_type)) return true;
    return false;
}

/* By --task, else by the architecture that config.json
 * names, else the base model of its model_type. */
static const ModelInfo *find_model(Cx *cx, const Config *c, const ImportOptions *o) {
    const char *type = config_model_type(c), *architecture = config_architecture(c);
    if (!type || !knows_type(type))
        config_fail(c, TN_E_UNSUPPORTED, "model_type '%s' is unsupported; supported are %s",
                    type ? tn_printable(cx, type, strlen(type), 80) : "(none)", known(cx, NULL));
    for (size_t i = 0; i < model_count(); i++) {
        if (strcmp(table[i].model_type, type)) continue;
        if (o->task ? !strcmp(table[i].task, o->task)
                    : !architecture || !strcmp(table[i].architecture, architecture))
            return &table[i];
    }
    if (o->task)
        config_fail(c, TN_E_UNSUPPORTED, "task '%s' is unsupported for model_type '%s'", o->task,
                    type);
    config_fail(c, TN_E_UNSUPPORTED, "architecture '%s' is unsupported; supported for '%s' are %s",
                tn_printable(cx, architecture, strlen(architecture), 80), type, known(cx, type));
}

static void build(Graph *g, void *user) {
    ModelCx *m = user;
    m->g = g;
    m->info->build(m);
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

Graph *hf_import(Module *module, const char *folder, ImportOptions *o) {
    ModelCx m = {.cx = module->cx, .ex = module->ex, .folder = folder, .options = o};
    m.config = config_open(m.cx, folder);
    m.info = find_model(m.cx, m.config, o);
    m.weights = weights_open(m.cx, folder);
    ir_set_meta(module, "source", base_name(folder));
    ir_set_meta(module, "architecture", m.info->architecture);
    ir_set_meta(module, "task", m.info->task);
    Graph *g = frontend_build(module, o->function ? o->function : "main", build, &m);
    ir_sources_from_origins(g);
    return g;
}
