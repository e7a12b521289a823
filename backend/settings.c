/* What tenonc_set takes; backend/tenonc.h says what each setting means. */
#include "backend/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backend/compile.h"

static int64_t number(Cx *cx, const char *text, const char **end, const char *what) {
    char *stop;
    errno = 0;
    long long v = strtoll(text, &stop, 10);
    if (stop == text || errno || v < 0)
        tn_fail(cx, TN_E_ARGUMENT, "dim '%s': a length from 0 to 2^63 - 1 is wanted", what);
    *end = stop;
    return v;
}

static DimOption *add_dim(Settings *s, Cx *cx, const char *name, size_t length) {
    DimOption *d = ARENA_NEW(&cx->arena, DimOption);
    d->name = arena_strndup(&cx->arena, name, length);
    if (s->last_dim)
        s->last_dim->next = d;
    else
        s->import.dims = d;
    s->last_dim = d;
    return d;
}

/* NAME=N, NAME=MIN..MAX */
static void set_dim(Settings *s, Cx *cx, const char *text) {
    const char *equal = strchr(text, '='), *end;
    if (!equal || equal == text)
        tn_fail(cx, TN_E_ARGUMENT, "dim '%s': NAME=N or NAME=MIN..MAX is wanted", text);
    int64_t min = number(cx, equal + 1, &end, text), max = min;
    if (!strncmp(end, "..", 2)) max = number(cx, end + 2, &end, text);
    if (*end || max < min)
        tn_fail(cx, TN_E_ARGUMENT, "dim '%s': NAME=N or NAME=MIN..MAX is wanted", text);
    DimOption *d = add_dim(s, cx, text, (size_t)(equal - text));
    d->min = min;
    d->max = max;
}

static void rename_dim(Settings *s, Cx *cx, const char *text) {
    const char *equal = strchr(text, '=');
    if (!equal || equal == text || !equal[1])
        tn_fail(cx, TN_E_ARGUMENT, "rename-dim '%s': OLD=NEW is wanted", text);
    DimOption *d = add_dim(s, cx, text, (size_t)(equal - text));
    d->rename = arena_strdup(&cx->arena, equal + 1);
}

static void require_fusion(Settings *s, Cx *cx, const char *text) {
    const char *equal = strchr(text, '=');
    char *end = NULL;
    long n = equal ? strtol(equal + 1, &end, 10) : 0;
    if (!equal || equal == text || *end || end == equal + 1 || n < 0 || n > INT32_MAX)
        tn_fail(cx, TN_E_ARGUMENT, "require-fusion '%s': KIND=N is wanted", text);
    Require *r = ARENA_NEW(&cx->arena, Require);
    *r = (Require){arena_strndup(&cx->arena, text, (size_t)(equal - text)), (int)n, s->require};
    s->require = r;
}

static void set_precision(Module *m, const char *value) {
    m->bf16 = !strcmp(value, "bf16");
    m->weight_bits = !strcmp(value, "int8") ? 8 : !strcmp(value, "int4") ? 4 : 0;
    if (!m->bf16 && !m->weight_bits && strcmp(value, "f32"))
        tn_fail(m->cx, TN_E_UNSUPPORTED,
                "precision '%s' is unsupported; f32, bf16, int8 and int4 are supported", value);
}

/* Whether it is the second of two words, the first being the default. */
static bool is_second(Cx *cx, const char *key, const char *value, const char *first,
                      const char *second) {
    bool yes = !strcmp(value, second);
    if (!yes && strcmp(value, first))
        tn_fail(cx, TN_E_ARGUMENT, "%s '%s': %s or %s is wanted", key, value, first, second);
    return yes;
}

static void set_flag(Settings *s, Cx *cx, unsigned flag, const char *key, const char *value) {
    s->flags = is_second(cx, key, value, "0", "1") ? s->flags | flag : s->flags & ~flag;
}

void settings_set(Settings *s, Module *m, const char *key, const char *value) {
    Cx *cx = m->cx;
    if (!value) tn_fail(cx, TN_E_ARGUMENT, "option '%s' needs a value", key);
    if (!strcmp(key, "dim"))
        set_dim(s, cx, value);
    else if (!strcmp(key, "rename-dim"))
        rename_dim(s, cx, value);
    else if (!strcmp(key, "task"))
        s->import.task = arena_strdup(&cx->arena, value);
    else if (!strcmp(key, "precision"))
        set_precision(m, value);
    else if (!strcmp(key, "require-fusion"))
        require_fusion(s, cx, value);
    else if (!strcmp(key, "state"))
        m->keep_states = is_second(cx, key, value, "off", "auto");
    else if (!strcmp(key, "padding"))
        m->skip_padding = is_second(cx, key, value, "keep", "skip");
    else if (!strcmp(key, "conv"))
        m->fast_conv = is_second(cx, key, value, "accurate", "fast");
    else if (!strcmp(key, "strip"))
        set_flag(s, cx, COMPILE_STRIP, key, value);
    else if (!strcmp(key, "unfused"))
        set_flag(s, cx, COMPILE_UNFUSED, key, value);
    else
        tn_fail(cx, TN_E_ARGUMENT, "unknown option '%s'", key);
}
