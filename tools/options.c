/* Options of commands, errors and output: see tool.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/base/writefile.h"
#include "tools/tool.h"

_Noreturn void tool_exit(Tool *t, int status) {
    t->cx.code = TN_OK;
    t->next = status;
    longjmp(*t->cx.on_fail, 1);
}

_Noreturn void tool_usage(Tool *t, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "tenon %s: ", t->command);
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n%s", t->usage);
    va_end(ap);
    tool_exit(t, EXIT_USAGE);
}

bool tool_next(Tool *t, const char **name, const char **value) {
    if (t->next >= t->argc) return false;
    char *a = t->argv[t->next++];
    *name = *value = NULL;
    if (!strcmp(a, "--help") || !strcmp(a, "-h")) {
        tool_print(t, t->usage);
        tool_exit(t, EXIT_DONE);
    }
    if (a[0] != '-' || !a[1]) {
        *value = a;
        return true;
    }
    const char *equal = a[1] == '-' ? strchr(a, '=') : NULL;
    *name = equal ? arena_strndup(&t->cx.arena, a, (size_t)(equal - a)) : a;
    if (equal) *value = equal + 1;
    return true;
}

const char *tool_value(Tool *t, const char *name, const char *value) {
    if (value) return value;
    if (t->next >= t->argc) tool_usage(t, "option '%s' needs a value", name);
    return t->argv[t->next++];
}

int64_t tool_int(Tool *t, const char *name, const char *text, int64_t min, int64_t max) {
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno || v < min || v > max)
        tool_usage(t, "option '%s': '%s' is no whole number from %lld to %lld", name, text,
                   (long long)min, (long long)max);
    return v;
}

double tool_number(Tool *t, const char *name, const char *text) {
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !(v >= 0))
        tool_usage(t, "option '%s': '%s' is no number >= 0", name, text);
    return v;
}

int tool_status(tenon_status s) {
    if (s == TENON_OK) return EXIT_DONE;
    return s == TENON_E_UNSUPPORTED ? EXIT_UNSUPPORTED : EXIT_FAULT;
}

_Noreturn void tool_fail(Tool *t, const char *file, const tenon_error *err) {
    bool named = strstr(err->text, file) != NULL;
    tn_fail(&t->cx, (TnStatus)err->code, "%s%s%s", named ? "" : file, named ? "" : ": ", err->text);
}

void tool_print(Tool *t, const char *text) {
    if (fputs(text, stdout) == EOF)
        tn_fail(&t->cx, TN_E_IO, "standard output: %s", strerror(errno));
}

void tool_printf(Tool *t, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vprintf(fmt, ap);
    va_end(ap);
    if (n < 0) tn_fail(&t->cx, TN_E_IO, "standard output: %s", strerror(errno));
}

void tool_write(Tool *t, const char *path, const char *text) {
    char why[160];
    WriteFile w;
    if (!path || !strcmp(path, "-")) {
        tool_print(t, text);
        return;
    }
    TnStatus s = writefile_begin(&w, path, why, sizeof why);
    if (!s) s = writefile_append(&w, text, strlen(text), why, sizeof why);
    if (!s) s = writefile_commit(&w, why, sizeof why);
    if (s) tn_fail(&t->cx, s, "'%s' cannot be written: %s", path, why);
}
