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
/* As a JSON string: in double quotes; quote, backslash and control bytes escaped. */
void text_json(TextBuffer *t, const char *s);
const char *text_end(TextBuffer *t); /* the text; "" if nothing was added */

#endif
