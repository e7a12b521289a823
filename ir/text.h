/* Text that grows in an arena: what printers write into. */
#ifndef TENON_IR_TEXT_H
#define TENON_IR_TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include "runtime/base/arena.h"

typedef struct TextBuffer {
    Arena *arena;
    char *s; /* terminated once something was added */
    size_t length, capacity;
} TextBuffer;

void text_add(TextBuffer *t, const char *s);
void text_add_bytes(TextBuffer *t, const char *s, size_t n);
void text_format(TextBuffer *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* In double quotes; quote, backslash, control bytes and what is not ASCII escaped as \xNN. */
void text_quoted(TextBuffer *t, const char *s);
/* As a JSON string: in double quotes; quote, backslash and control bytes escaped, bytes that are no
 * UTF-8 replaced by U+FFFD. */
void text_json(TextBuffer *t, const char *s);
/* Bytes of the UTF-8 sequence that terminated text begins with; 0 if it is none: cut short,
 * overlong, a surrogate or beyond U+10FFFF. */
size_t text_utf8(const unsigned char *s);
/* Before an item of a JSON array: a comma, unless it is the first. */
void text_item(TextBuffer *t);
/* Before a value of a JSON object: a comma, unless it is the first, then the key. */
void text_key(TextBuffer *t, const char *key);
/* `"key": "value"`, `"key": 7` as the next member of a JSON object; integers that doubles can't
 * hold are strings. */
void text_member(TextBuffer *t, const char *key, const char *value);
void text_member_int(TextBuffer *t, const char *key, long long value);
void text_json_int(TextBuffer *t, long long value);
const char *text_end(TextBuffer *t); /* the text; "" if nothing was added */

#endif
