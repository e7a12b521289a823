/* Text for messages, in a fixed buffer; nothing is allocated. */
#include "runtime/base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "runtime/base/utf8.h"

/* Bytes of the printable UTF-8 character at `s`; 0 if its first byte must be escaped. */
static size_t printable_length(const unsigned char *s, size_t n) {
    bool control = s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && n > 1 && s[1] < 0xa0);
    return control ? 0 : tn_utf8_length(s, n);
}

void tn_append_escaped(char *buffer, size_t size, const char *s, size_t n, size_t max) {
    static const char dots[] = "...";
    size_t at = strlen(buffer), end = max < size - 1 - at ? at + max : size - 1;
    size_t mark = at; /* where the dots go if the rest does not fit */
    for (size_t i = 0; i < n;) {
        char escape[8];
        const char *piece = s + i;
        size_t length = printable_length((const unsigned char *)piece, n - i), bytes = length;
        if (!length) {
            bytes = (size_t)snprintf(escape, sizeof escape, "\\x%02x", (unsigned char)s[i]);
            piece = escape;
            length = 1;
        }
        if (at + sizeof dots - 1 <= end) mark = at;
        if (at + bytes > end) {
            size_t room = end - mark < sizeof dots - 1 ? end - mark : sizeof dots - 1;
            memcpy(buffer + mark, dots, room);
            at = mark + room;
            break;
        }
        memcpy(buffer + at, piece, bytes);
        at += bytes;
        i += length;
    }
    buffer[at] = 0;
}

void tn_errno_text(int code, char *buffer, size_t size) {
    if (strerror_r(code, buffer, size) != 0) snprintf(buffer, size, "error %d", code);
}
