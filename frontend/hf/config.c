/* config.json: the accessors of config.h over json.h. */
#include "frontend/hf/config.h"

#include <stdarg.h>
#include <string.h>
#include "runtime/base/limits.h"

struct Config {
    Cx *cx;
    const char *path;
    Json root;
};

/* The first of the alternatives in `keys` ("a|b") that is present and not null; else absent. */
static Json find(const Config *c, const char *keys) {
    Json none = {c->root.doc, NULL};
    for (const char *p = keys;;) {
        char key[64];
        size_t n = strcspn(p, "|");
        if (n < sizeof key) {
            memcpy(key, p, n);
            key[n] = 0;
            Json v = json_find(c->root, key);
            if (json_kind(v) != JSON_ABSENT && json_kind(v) != JSON_NULL) return v;
        }
        if (!p[n]) return none;
        p += n + 1;
    }
}

/* "a|b" as "a' or 'b", to stand in quotes. */
static const char *alternatives(Cx *cx, const char *keys) {
    const char *bar = strchr(keys, '|');
    if (!bar) return keys;
    return arena_printf(&cx->arena, "%.*s' or '%s", (int)(bar - keys), keys,
                        alternatives(cx, bar + 1));
}

static Json need(const Config *c, const char *keys, const char *wanted) {
    Json v = find(c, keys);
    if (v.node) return v;
    Json null = json_find(c->root, keys);
    if (null.node) json_fail_value(null, wanted);
    json_fail_missing(c->root, alternatives(c->cx, keys), wanted);
}

static Config *new_config(Cx *cx, const char *path, Json root) {
    Config *c = ARENA_NEW(&cx->arena, Config);
    *c = (Config){cx, path, root};
    return c;
}

Config *config_open(Cx *cx, const char *folder) {
    Json root = json_open(cx, arena_printf(&cx->arena, "%s/config.json", folder), TN_MAX_CONFIG);
    const char *path = arena_printf(&cx->arena, "%s/config.json", folder);
    if (json_kind(root) != JSON_OBJECT) json_fail_value(root, "an object");
    Config *c = new_config(cx, path, root);
    Json quantization = find(c, "quantization_config");
    if (quantization.node) {
        const char *method = json_string_or(quantization, "quant_method", "unknown");
        config_fail(c, TN_E_UNSUPPORTED, "quantization_config (method '%s') is unsupported",
                    tn_printable(cx, method, strlen(method), 100));
    }
    return c;
}

const char *config_architecture(const Config *c) {
    Json list = find(c, "architectures");
    if (!list.node) return NULL;
    if (json_kind(list) != JSON_ARRAY) json_fail_value(list, "a list of class names");
    Json first = json_first(list);
    return first.node ? json_as_string(first) : NULL;
}

const char *config_model_type(const Config *c) {
    return config_string_or(c, "model_type", NULL);
}

bool config_has(const Config *c, const char *keys) {
    return find(c, keys).node != NULL;
}

int64_t config_int(const Config *c, const char *keys, int64_t min, int64_t max) {
    return json_as_int(need(c, keys, "an integer"), min, max);
}

int64_t config_int_or(const Config *c, const char *keys, int64_t min, int64_t max,
                      int64_t fallback) {
    Json v = find(c, keys);
    return v.node ? json_as_int(v, min, max) : fallback;
}

double config_float(const Config *c, const char *keys) {
    return json_as_number(need(c, keys, "a number"));
}

double config_float_or(const Config *c, const char *keys, double fallback) {
    Json v = find(c, keys);
    return v.node ? json_as_number(v) : fallback;
}

bool config_bool_or(const Config *c, const char *keys, bool fallback) {
    Json v = find(c, keys);
    return v.node ? json_as_bool(v) : fallback;
}

const char *config_string(const Config *c, const char *keys) {
    return json_as_string(need(c, keys, "a string"));
}

const char *config_string_or(const Config *c, const char *keys, const char *fallback) {
    Json v = find(c, keys);
    return v.node ? json_as_string(v) : fallback;
}

size_t config_ints(const Config *c, const char *keys, int64_t min, int64_t max, int64_t *out,
                   size_t max_count) {
    Json list = find(c, keys);
    if (!list.node) return 0;
    if (json_kind(list) != JSON_ARRAY) json_fail_value(list, "a list of integers");
    if (json_count(list) > max_count)
        json_fail_value(list, arena_printf(&c->cx->arena, "at most %zu integers", max_count));
    size_t n = 0;
    for (Json v = json_first(list); v.node; v = json_next(v)) out[n++] = json_as_int(v, min, max);
    return n;
}

Config *config_sub(const Config *c, const char *keys) {
    Json v = find(c, keys);
    if (!v.node) return NULL;
    if (json_kind(v) != JSON_OBJECT) json_fail_value(v, "an object");
    return new_config(c->cx, c->path, v);
}

Json config_value(const Config *c, const char *keys) {
    return find(c, keys);
}

void config_fail(const Config *c, TnStatus code, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const char *text = arena_vprintf(&c->cx->arena, fmt, ap);
    va_end(ap);
    tn_enter(c->cx, "file", c->path);
    tn_fail(c->cx, code, "%s", text);
}
