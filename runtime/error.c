/* Status names and the filling of tenon_error. Messages are
 * one line; text from files is escaped. */
#include <stdio.h>
#include <string.h>
#include "runtime/base/text.h"
#include "runtime/runtime.h"

#define VERSION_TEXT(a, b, c)  VERSION_TEXT_(a, b, c)
#define VERSION_TEXT_(a, b, c) #a "." #b "." #c

const char *tenon_version(void) {
    return VERSION_TEXT(TENON_VERSION_MAJOR, TENON_VERSION_MINOR, TENON_VERSION_PATCH);
}

const char *tenon_status_name(tenon_status code) {
    switch (code) {
    case TENON_OK: return "ok";
    case TENON_E_ARGUMENT: return "argument";
    case TENON_E_SHAPE: return "shape";
    case TENON_E_DTYPE: return "dtype";
    case TENON_E_RANGE: return "range";
    case TENON_E_BUSY: return "busy";
    case TENON_E_CANCELLED: return "cancelled";
    case TENON_E_IO: return "io";
    case TENON_E_FORMAT: return "format";
    case TENON_E_VERSION: return "version";
    case TENON_E_CORRUPT: return "corrupt";
    case TENON_E_INVALID: return "invalid";
    case TENON_E_MEMORY: return "memory";
    case TENON_E_LIMIT: return "limit";
    case TENON_E_MODEL: return "model";
    case TENON_E_UNSUPPORTED: return "unsupported";
    case TENON_E_REQUIRE: return "require";
    }
    return "unknown";
}

tenon_status tn_verror(tenon_error *err, tenon_status code, const char *fmt, va_list ap) {
    char text[2 * sizeof err->text];
    if (!err) return code;
    err->code = code;
    err->instruction = -1;
    err->node[0] = err->text[0] = 0;
    if (vsnprintf(text, sizeof text, fmt, ap) >= 0)
        tn_append_escaped(err->text, sizeof err->text, text, strlen(text), sizeof err->text);
    return code;
}

tenon_status tn_error(tenon_error *err, tenon_status code, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    tn_verror(err, code, fmt, ap);
    va_end(ap);
    return code;
}

void tn_error_prefix(tenon_error *err, const char *prefix) {
    char rest[sizeof err->text];
    if (!err) return;
    memcpy(rest, err->text, sizeof rest);
    err->text[0] = 0;
    tn_append_escaped(err->text, sizeof err->text, prefix, strlen(prefix), sizeof err->text / 2);
    tn_append_escaped(err->text, sizeof err->text, ": ", 2, 2);
    tn_append_escaped(err->text, sizeof err->text, rest, strlen(rest), sizeof err->text);
}

void tn_error_at(tenon_error *err, int32_t instruction, const char *node) {
    if (!err) return;
    err->instruction = instruction;
    err->node[0] = 0;
    tn_append_escaped(err->node, sizeof err->node, node, strlen(node), sizeof err->node);
}
