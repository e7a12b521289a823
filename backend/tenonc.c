/* The compiler's API, and the only place where tn_fail comes to rest.
 *
 * Every entry that may raise runs inside `guarded`: setjmp, then the work; an error leaves its code
 * and text in the object and closes it for further use. */
#include "backend/tenonc.h"

#include <setjmp.h>
#include <string.h>
#include <sys/stat.h>
#include "backend/compile.h"
#include "backend/dump.h"
#include "backend/plan_write.h"
#include "backend/report.h"
#include "backend/settings.h"
#include "frontend/frontend.h"
#include "ir/problems.h"

typedef struct Source {
    const char *path;
    struct Source *next;
} Source;

struct tenonc {
    TnAlloc alloc;
    Cx cx;
    jmp_buf jump;
    Module *module;
    Settings settings;
    Report report;
    Image *image;
    Source *sources; /* the models, last first */
    tenonc_message message;
    int32_t (*progress)(void *user, const char *stage, int32_t done, int32_t total);
    void *progress_user;
};

static bool on_progress(void *user, const char *stage, int done, int total) {
    tenonc *c = user;
    return !c->progress || c->progress(c->progress_user, stage, done, total) == 0;
}

tenonc *tenonc_create(const tenonc_options *options) {
    TnAlloc alloc = tn_default_alloc();
    if (options && options->allocator)
        alloc = (TnAlloc){options->allocator->allocate, options->allocator->release,
                          options->allocator->user};
    tenonc *c = tn_allocate(&alloc, sizeof *c, 64);
    if (!c) return NULL;
    memset(c, 0, sizeof *c);
    c->alloc = alloc;
    cx_init(&c->cx, alloc);
    c->cx.progress = on_progress;
    c->cx.progress_user = c;
    if (options) {
        c->progress = options->progress;
        c->progress_user = options->progress_user;
    }
    return c;
}

void tenonc_destroy(tenonc *c) {
    if (!c) return;
    cx_free(&c->cx);
    TnAlloc alloc = c->alloc;
    tn_release(&alloc, c);
}

const tenonc_message *tenonc_error(const tenonc *c) {
    return &c->message;
}

static tenon_status finish(tenonc *c) {
    c->message = (tenonc_message){(tenon_status)c->cx.code, c->cx.message};
    return c->message.code;
}

bool tenonc_problem_at(const tenonc *c, int32_t i, tenonc_problem *problem) {
    const Problem *p = problems_of(&c->cx)->first;
    /* What is not of the model ends the search, and comes last. */
    bool own = !p || (c->message.code != TENON_E_MODEL && c->message.code != TENON_E_UNSUPPORTED);
    for (; p && i > 0; i--) p = p->next;
    if (!p && i == 0 && own && c->message.code) {
        *problem = (tenonc_problem){.code = c->message.code,
                                    .kind = "model",
                                    .domain = "",
                                    .reason = c->message.text,
                                    .count = 1};
        return true;
    }
    if (!p) return false;
    *problem = (tenonc_problem){.code = (tenon_status)p->code,
                                .kind = p->kind,
                                .domain = p->domain ? p->domain : "",
                                .op = p->op,
                                .opset = p->opset,
                                .reason = p->reason,
                                .help = p->help,
                                .nodes = p->nodes,
                                .named = p->named,
                                .count = p->count};
    return true;
}

int64_t tenonc_skipped(const tenonc *c) {
    return problems_of(&c->cx)->skipped;
}

typedef void Work(tenonc *c, const void *argument);

static tenon_status guarded(tenonc *c, Work *work, const void *argument) {
    if (c->message.code) return c->message.code;
    c->cx.on_fail = &c->jump;
    if (setjmp(c->jump)) return finish(c);
    if (!c->module) {
        c->module = ir_module_new(&c->cx);
        report_init(&c->report, &c->cx);
    }
    work(c, argument);
    return TENON_OK;
}

/* --- models --- */

typedef struct Setting {
    const char *key, *value;
} Setting;

static void set(tenonc *c, const void *argument) {
    const Setting *s = argument;
    settings_set(&c->settings, c->module, s->key, s->value);
}

tenon_status tenonc_set(tenonc *c, const char *key, const char *value) {
    return guarded(c, set, &(Setting){key, value});
}

typedef struct Model {
    const char *path, *function;
} Model;

static void add(tenonc *c, const void *argument) {
    const Model *m = argument;
    c->settings.import.function = m->function ? m->function : "main";
    for (Graph *g = c->module->graphs; g; g = g->next)
        if (!strcmp(g->name, c->settings.import.function))
            tn_fail(&c->cx, TN_E_ARGUMENT, "two functions are named '%s'", g->name);
    Source *source = ARENA_NEW(&c->cx.arena, Source);
    *source = (Source){arena_strdup(&c->cx.arena, m->path), c->sources};
    c->sources = source;
    tn_progress(&c->cx, "reading", 0, 1);
    frontend_import(c->module, m->path, &c->settings.import);
    tn_progress(&c->cx, "reading", 1, 1);
}

tenon_status tenonc_add(tenonc *c, const char *model, const char *function) {
    return guarded(c, add, &(Model){model, function});
}

static void check_used_options(tenonc *c) {
    for (DimOption *d = c->settings.import.dims; d; d = d->next)
        if (!d->used)
            tn_fail(&c->cx, TN_E_ARGUMENT, "the model has no dim '%s'; its inputs are %s", d->name,
                    report_inputs(c->module));
}

typedef struct Dump {
    const char *format, *after, *text;
} Dump;

static void dump(tenonc *c, const void *argument) {
    Dump *d = (Dump *)argument;
    check_used_options(c);
    d->text = dump_module(c->module, &c->report, d->format, d->after);
}

tenon_status tenonc_dump(tenonc *c, const char *format, const char *after, const char **text) {
    Dump d = {.format = format, .after = after};
    tenon_status status = guarded(c, dump, &d);
    *text = d.text;
    return status;
}

/* --- compiling --- */

static void check_required(tenonc *c) {
    for (const Require *r = c->settings.require; r; r = r->next) {
        int n = report_count(&c->report, r->kind);
        if (n == r->count) continue;
        const char *miss = "";
        for (const NearMiss *m = c->report.misses; m && !*miss; m = m->next)
            if (!strcmp(m->rule, r->kind))
                miss = arena_printf(&c->cx.arena, "; first near miss at '%s': %s", m->node, m->why);
        tn_fail(&c->cx, TN_E_REQUIRE, "fusion '%s' fired %d times, %d wanted%s", r->kind, n,
                r->count, miss);
    }
}

static void build_image(tenonc *c) {
    if (!c->module->graphs) tn_fail(&c->cx, TN_E_ARGUMENT, "no model was added");
    check_used_options(c);
    tn_progress(&c->cx, "compiling", 0, 1);
    bool one = c->sources && !c->sources->next;
    if (one) tn_enter(&c->cx, "file", c->sources->path);
    c->image = compile_module(c->module, &c->report, c->settings.flags);
    if (one) tn_leave(&c->cx);
    tn_progress(&c->cx, "compiling", 1, 1);
    check_required(c);
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static const char *folder_of(tenonc *c, const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? arena_strndup(&c->cx.arena, path, (size_t)(slash - path) + 1) : ".";
}

/* The plan must never replace the model it is made from, nor a file beside it that may be part of
 * it. */
static void check_target(tenonc *c, const char *source, const char *path) {
    struct stat model, target, folder, home;
    if (stat(path, &target) || stat(source, &model)) return;
    if (same_file(&model, &target))
        tn_fail(&c->cx, TN_E_ARGUMENT, "'%s' is the model itself", path);
    if (!S_ISREG(target.st_mode) || target.st_size == 0 || plan_is_file(path)) return;
    if (stat(folder_of(c, path), &home)) return;
    if (stat(S_ISDIR(model.st_mode) ? source : folder_of(c, source), &folder)) return;
    if (same_file(&folder, &home))
        tn_fail(&c->cx, TN_E_ARGUMENT, "'%s' is there, beside the model, and is no plan", path);
}

static void close_plan(void *plan) {
    tenon_plan_close(plan);
}

static void check_plan(tenonc *c, tenon_status status, tenon_plan *plan, const tenon_error *err) {
    if (status == TENON_E_MEMORY || status == TENON_E_IO)
        tn_fail(&c->cx, (TnStatus)status, "%s", err->text);
    if (status)
        tn_fail(&c->cx, TN_E_INVALID,
                "the plan just written does not verify, which is a bug of Tenon: %s", err->text);
    tn_defer(&c->cx, close_plan, plan);
    report_plan(c->image, plan);
}

static tenon_plan_options plan_options(tenonc *c, tenon_allocator *allocator) {
    *allocator = (tenon_allocator){c->alloc.allocate, c->alloc.release, c->alloc.user};
    return (tenon_plan_options){.struct_size = sizeof(tenon_plan_options), .allocator = allocator};
}

static void check_file(void *user, const char *path) {
    tenonc *c = user;
    tenon_allocator allocator;
    tenon_plan_options options = plan_options(c, &allocator);
    tenon_plan *plan = NULL;
    tenon_error err;
    tenon_status status = tenon_plan_open(path, &options, &plan, &err);
    check_plan(c, status, plan, &err);
}

static void compile_file(tenonc *c, const void *path) {
    for (const Source *m = c->sources; m; m = m->next) check_target(c, m->path, path);
    build_image(c);
    plan_write_file(c->image, path, check_file, c);
}

tenon_status tenonc_compile(tenonc *c, const char *plan_path) {
    return guarded(c, compile_file, plan_path);
}

typedef struct Bytes {
    const void *bytes;
    size_t size;
} Bytes;

static void compile_memory(tenonc *c, const void *argument) {
    Bytes *b = (Bytes *)argument;
    tenon_allocator allocator;
    tenon_plan_options options = plan_options(c, &allocator);
    tenon_plan *plan = NULL;
    tenon_error err;
    build_image(c);
    b->bytes = plan_write_memory(c->image, &b->size);
    tenon_status status = tenon_plan_open_memory(b->bytes, b->size, &options, &plan, &err);
    check_plan(c, status, plan, &err);
}

tenon_status tenonc_compile_memory(tenonc *c, const void **bytes, size_t *size) {
    Bytes b = {0};
    tenon_status status = guarded(c, compile_memory, &b);
    *bytes = b.bytes;
    *size = b.size;
    return status;
}

typedef struct ReportText {
    bool json;
    const char *text;
} ReportText;

static void make_report(tenonc *c, const void *argument) {
    ReportText *r = (ReportText *)argument;
    if (!c->image) tn_fail(&c->cx, TN_E_ARGUMENT, "nothing was compiled");
    r->text = r->json ? report_json(&c->report, c->image) : report_text(&c->report, c->image);
}

tenon_status tenonc_report(tenonc *c, int32_t json, const char **text) {
    ReportText r = {.json = json != 0};
    tenon_status status = guarded(c, make_report, &r);
    *text = r.text;
    return status;
}
