/* The scanner of json_scan.h: a state machine over the
 * text, with a bit of stack for open brackets. */
#include "frontend/hf/json_scan.h"

#include <stdarg.h>
#include <string.h>
#include "runtime/base/utf8.h"

enum {
    WANT_VALUE,
    WANT_VALUE_OR_CLOSE, /* after [ */
    WANT_KEY,            /* after , in an object */
    WANT_KEY_OR_CLOSE,   /* after { */
    AFTER_VALUE
};

void json_scan_fail(JsonScan *s, const char *place, TnStatus code, const char *fmt, ...) {
    size_t line = 1, column = 1, at = (size_t)(place - s->text);
    for (size_t i = 0; i < at; i++) {
        column++;
        if (s->text[i] == '\n') {
            line++;
            column = 1;
        }
    }
    va_list ap;
    va_start(ap, fmt);
    const char *what = arena_vprintf(&s->cx->arena, fmt, ap);
    va_end(ap);
    tn_fail(s->cx, code, "line %zu, column %zu (byte %zu): %s", line, column, s->base + at, what);
}

/* Fails because something else than `wanted` stands at the present place. */
_Noreturn static void unexpected(JsonScan *s, const char *wanted) {
    const char *place = s->text + s->at;
    if (s->at == s->size)
        json_scan_fail(s, place, TN_E_FORMAT, "the text ends where %s should follow", wanted);
    size_t length = tn_utf8_length((const unsigned char *)place, s->size - s->at);
    if (length == 0 || (unsigned char)*place < 0x20)
        json_scan_fail(s, place, TN_E_FORMAT, "byte 0x%02x where %s should be",
                       (unsigned char)*place, wanted);
    json_scan_fail(s, place, TN_E_FORMAT, "'%.*s' where %s should be", (int)length, place, wanted);
}

void json_scan_begin(JsonScan *s, Cx *cx, const char *text, size_t size, size_t base) {
    if (!text) text = "";
    *s = (JsonScan){.cx = cx, .text = text, .size = size, .base = base, .state = WANT_VALUE};
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        json_scan_fail(s, text, TN_E_FORMAT, "a byte-order mark; wanted plain UTF-8");
    if (size >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
        json_scan_fail(s, text, TN_E_FORMAT, "UTF-16; wanted UTF-8");
}

static void skip_space(JsonScan *s) {
    while (s->at < s->size) {
        char c = s->text[s->at];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') break;
        s->at++;
    }
}

/* Four hexadecimal digits at `at`; -1 if they are not there. */
static int hex4(const JsonScan *s, size_t at) {
    if (s->size - at < 4) return -1;
    int value = 0;
    for (size_t i = at; i < at + 4; i++) {
        char c = s->text[i], lower = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            value = value * 16 + (c - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value * 16 + (lower - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* An escape, `at` on its backslash; moves past it and stores the character. */
static void scan_escape(JsonScan *s, unsigned *character) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *place = s->text + s->at;
    char name = s->size - s->at > 1 ? place[1] : 0;
    const char *found = name ? strchr(names, name) : NULL;
    if (found) {
        *character = (unsigned char)values[found - names];
        s->at += 2;
        return;
    }
    int code = name == 'u' ? hex4(s, s->at + 2) : -1;
    if (code < 0) json_scan_fail(s, place, TN_E_FORMAT, "an escape that JSON does not have");
    if (code == 0) json_scan_fail(s, place, TN_E_FORMAT, "\\u0000 in a string");
    s->at += 6;
    if (code >= 0xd800 && code <= 0xdfff) {
        bool pair = code < 0xdc00 && s->size - s->at >= 6 && memcmp(s->text + s->at, "\\u", 2) == 0;
        int low = pair ? hex4(s, s->at + 2) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            json_scan_fail(s, place, TN_E_FORMAT, "half of a surrogate pair");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        s->at += 6;
    }
    *character = (unsigned)code;
}

/* `at` is on the opening quote. */
static JsonToken scan_string(JsonScan *s, JsonTokenKind kind) {
    JsonToken t = {.kind = kind, .text = s->text + ++s->at};
    while (s->at < s->size && s->text[s->at] != '"') {
        const unsigned char *place = (const unsigned char *)s->text + s->at;
        unsigned character;
        size_t length = tn_utf8_length(place, s->size - s->at);
        if (length == 0) json_scan_fail(s, s->text + s->at, TN_E_FORMAT, "invalid UTF-8");
        if (*place < 0x20)
            json_scan_fail(s, s->text + s->at, TN_E_FORMAT, "control character 0x%02x in a string",
                           *place);
        if (*place == '\\') {
            t.escaped = true;
            scan_escape(s, &character);
        } else {
            s->at += length;
        }
    }
    if (s->at == s->size) unexpected(s, "the end of a string");
    t.size = (size_t)(s->text + s->at++ - t.text);
    return t;
}

static size_t skip_digits(JsonScan *s) {
    size_t from = s->at;
    while (s->at < s->size && s->text[s->at] >= '0' && s->text[s->at] <= '9') s->at++;
    return s->at - from;
}

static bool skip_char(JsonScan *s, char c) {
    if (s->at == s->size || s->text[s->at] != c) return false;
    s->at++;
    return true;
}

static JsonToken scan_number(JsonScan *s) {
    const char *from = s->text + s->at;
    skip_char(s, '-');
    const char *digits = s->text + s->at;
    size_t count = skip_digits(s);
    if (count == 0) unexpected(s, "a digit");
    if (count > 1 && *digits == '0')
        json_scan_fail(s, digits, TN_E_FORMAT, "a number with a leading zero");
    if (skip_char(s, '.') && skip_digits(s) == 0) unexpected(s, "a digit");
    if (skip_char(s, 'e') || skip_char(s, 'E')) {
        if (!skip_char(s, '+')) skip_char(s, '-');
        if (skip_digits(s) == 0) unexpected(s, "a digit");
    }
    return (JsonToken){JSON_T_NUMBER, from, (size_t)(s->text + s->at - from), false};
}

static JsonToken scan_word(JsonScan *s, const char *word, JsonTokenKind kind) {
    size_t length = strlen(word);
    if (s->size - s->at < length || memcmp(s->text + s->at, word, length) != 0)
        unexpected(s, "a value");
    s->at += length;
    return (JsonToken){.kind = kind, .text = s->text + s->at - length, .size = length};
}

static JsonToken open_bracket(JsonScan *s, char c) {
    if (s->depth == TN_MAX_NESTING)
        json_scan_fail(s, s->text + s->at, TN_E_LIMIT, "nested more than %d deep", TN_MAX_NESTING);
    s->open[s->depth++] = c;
    s->state = c == '{' ? WANT_KEY_OR_CLOSE : WANT_VALUE_OR_CLOSE;
    const char *place = s->text + s->at++;
    return (JsonToken){c == '{' ? JSON_T_OBJECT : JSON_T_ARRAY, place, 1, false};
}

static JsonToken close_bracket(JsonScan *s) {
    s->depth--;
    s->state = AFTER_VALUE;
    return (JsonToken){JSON_T_CLOSE, s->text + s->at++, 1, false};
}

static JsonToken scan_value(JsonScan *s) {
    char c = s->at < s->size ? s->text[s->at] : 0;
    if (c == '{' || c == '[') return open_bracket(s, c);
    s->state = AFTER_VALUE;
    switch (c) {
    case '"': return scan_string(s, JSON_T_STRING);
    case 't': return scan_word(s, "true", JSON_T_TRUE);
    case 'f': return scan_word(s, "false", JSON_T_FALSE);
    case 'n': return scan_word(s, "null", JSON_T_NULL);
    default:
        if (c != '-' && (c < '0' || c > '9')) unexpected(s, "a value");
        return scan_number(s);
    }
}

static JsonToken scan_key(JsonScan *s) {
    if (s->at == s->size || s->text[s->at] != '"') unexpected(s, "a key in quotes");
    JsonToken t = scan_string(s, JSON_T_KEY);
    skip_space(s);
    if (!skip_char(s, ':')) unexpected(s, "':'");
    s->state = WANT_VALUE;
    return t;
}

JsonToken json_scan(JsonScan *s) {
    skip_space(s);
    if (s->state == AFTER_VALUE && s->depth == 0) {
        if (s->at < s->size) unexpected(s, "the end of the text");
        return (JsonToken){.kind = JSON_T_END, .text = s->text + s->at};
    }
    char c = s->at < s->size ? s->text[s->at] : 0;
    bool object = s->depth > 0 && s->open[s->depth - 1] == '{';
    if (s->state == AFTER_VALUE) {
        if (c == (object ? '}' : ']')) return close_bracket(s);
        if (c != ',') unexpected(s, object ? "',' or '}'" : "',' or ']'");
        s->at++;
        s->state = object ? WANT_KEY : WANT_VALUE;
        skip_space(s);
    } else if ((s->state == WANT_KEY_OR_CLOSE && c == '}') ||
               (s->state == WANT_VALUE_OR_CLOSE && c == ']')) {
        return close_bracket(s);
    }
    return s->state == WANT_VALUE || s->state == WANT_VALUE_OR_CLOSE ? scan_value(s) : scan_key(s);
}

const char *json_scan_string(JsonScan *s, JsonToken t) {
    if (!t.escaped) return arena_strndup(&s->cx->arena, t.text, t.size);
    char *out = arena_alloc(&s->cx->arena, t.size + 1); /* escapes only shrink */
    size_t n = 0;
    JsonScan part = {.cx = s->cx, .text = t.text, .size = t.size};
    while (part.at < part.size) {
        unsigned character;
        if (part.text[part.at] != '\\') {
            out[n++] = part.text[part.at++];
            continue;
        }
        scan_escape(&part, &character);
        n += tn_utf8_put(out + n, character);
    }
    return out;
}
