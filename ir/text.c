/* Growing text. Capacity doubles, so building n bytes costs O(n). */
#include "ir/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void text_add_bytes(TextBuffer *t, const char *s, size_t n) {
    if (t->length + n + 1 > t->capacity)
        t->s = arena_grow(t->arena, t->s, &t->capacity, t->length + n + 1, 1);
    memcpy(t->s + t->length, s, n);
    t->length += n;
    t->s[t->length] = 0;
}

void text_add(TextBuffer *t, const char *s) {
    text_add_bytes(t, s, strlen(s));
}

void text_format(TextBuffer *t, const char *fmt, ...) {
    char small[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n < 0) return;
    if ((size_t)n < sizeof small) {
        text_add_bytes(t, small, (size_t)n);
        return;
    }
    va_start(ap, fmt);
    text_add(t, arena_vprintf(t->arena, fmt, ap));
    va_end(ap);
}

void text_quoted(TextBuffer *t, const char *s) {
    text_add(t, "\"");
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
            text_format(t, "\\x%02x", c);
        else
            text_add_bytes(t, s, 1);
    }
    text_add(t, "\"");
}

size_t text_utf8(const unsigned char *s) {
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (n < 2) return n;
    uint32_t code = s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | (s[i] & 0x3fu);
    }
    bool surrogate = code >= 0xd800 && code < 0xe000;
    return code < smallest[n] || surrogate || code > 0x10ffff ? 0 : n;
}

void text_json(TextBuffer *t, const char *s) {
    text_add(t, "\"");
    while (*s) {
        unsigned char b = (unsigned char)*s;
        size_t n = text_utf8((const unsigned char *)s);
        if (b == '"' || b == '\\')
            text_format(t, "\\%c", b);
        else if (b < 0x20 || b == 0x7f)
            text_format(t, "\\u%04x", b);
        else if (n)
            text_add_bytes(t, s, n);
        else
            text_add(t, "\\ufffd");
        s += n ? n : 1;
    }
    text_add(t, "\"");
}

void text_item(TextBuffer *t) {
    char last = t->length ? t->s[t->length - 1] : '[';
    if (last != '[' && last != '{') text_add(t, ",");
}

void text_key(TextBuffer *t, const char *key) {
    text_item(t);
    text_json(t, key);
    text_add(t, ":");
}

void text_json_int(TextBuffer *t, long long value) {
    const long long exact = 1LL << 53;
    text_format(t, value > exact || value < -exact ? "\"%lld\"" : "%lld", value);
}

void text_member(TextBuffer *t, const char *key, const char *value) {
    text_key(t, key);
    text_json(t, value);
}

void text_member_int(TextBuffer *t, const char *key, long long value) {
    text_key(t, key);
    text_json_int(t, value);
}

const char *text_end(TextBuffer *t) {
    return t->s ? t->s : "";
}
