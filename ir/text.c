/* Growing text. Capacity doubles, so building n bytes costs O(n). */
#include "ir/text.h"

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

void text_json(TextBuffer *t, const char *s) {
    text_add(t, "\"");
    for (; *s; s++) {
        unsigned char b = (unsigned char)*s;
        if (b == '"' || b == '\\')
            text_format(t, "\\%c", b);
        else if (b < 0x20)
            text_format(t, "\\u%04x", b);
        else
            text_add_bytes(t, s, 1);
    }
    text_add(t, "\"");
}

const char *text_end(TextBuffer *t) {
    return t->s ? t->s : "";
}
