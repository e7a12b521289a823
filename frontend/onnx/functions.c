/* The functions of a model: found by domain, name and overload, wired when first called.
 *
 * A function may call others, but not itself, however indirectly. What all calls come to when every
 * one is written out is counted while wiring, so that doubling 40 times is refused and not tried.
 */
#include "frontend/onnx/wiring.h"

#include <string.h>

static const char *text(const char *s) {
    return s ? s : "";
}

static const char *domain_text(const char *s) {
    return s && strcmp(s, "ai.onnx") != 0 ? s : "";
}

static const char *function_key(Wirer *s, const char *domain, const char *name,
                                const char *overload) {
    return arena_printf(&s->cx->arena, "%s%s%s%s%s", domain_text(domain),
                        *domain_text(domain) ? "." : "", text(name), *text(overload) ? ":" : "",
                        text(overload));
}

void wire_find_functions(Wirer *s) {
    const Onnx__ModelProto *p = s->model->proto;
    s->functions.arena = &s->cx->arena;
    for (size_t i = 0; i < p->n_functions; i++) {
        const Onnx__FunctionProto *proto = p->functions[i];
        OnnxFunction *f = ARENA_NEW(&s->cx->arena, OnnxFunction);
        f->proto = proto;
        f->key = function_key(s, proto->domain, proto->name, proto->overload);
        if (!names_add(&s->functions, f->key, f))
            tn_fail(s->cx, TN_E_MODEL, "function '%s' is there twice", tn_quoted(s->cx, f->key));
    }
}

static void wire_body(Wirer *s, OnnxFunction *f) {
    int64_t around = s->nodes;
    const char *name = tn_quoted(s->cx, f->key);
    if (f->state == ON_PATH) tn_fail(s->cx, TN_E_MODEL, "function '%s' calls itself", name);
    f->state = ON_PATH;
    s->nodes = 0;
    tn_enter(s->cx, "function", name);
    f->wiring = wire_function(s, f);
    tn_leave(s->cx);
    f->nodes = s->nodes;
    s->nodes = around;
    f->state = DONE;
}

OnnxFunction *wire_call(Wirer *s, const Onnx__NodeProto *p) {
    if (!s->functions.count) return NULL;
    OnnxFunction *f =
        names_find(&s->functions, function_key(s, p->domain, p->op_type, p->overload));
    if (f && f->state != DONE) wire_body(s, f);
    return f;
}
