/* Text for messages: what comes from files without control bytes, valid UTF-8 and bounded. */
#ifndef TENON_RUNTIME_BASE_TEXT_H
#define TENON_RUNTIME_BASE_TEXT_H

#include <stddef.h>

/* Appends `n` bytes of `s` to the string in `buffer` of `size` bytes. Control bytes and invalid
 * UTF-8 become \xHH. At most `max` bytes are added; what is cut ends in "...". */
void tn_append_escaped(char *buffer, size_t size, const char *s, size_t n, size_t max);

/* What an errno means, as one line without a period, in `buffer` of `size` bytes. */
void tn_errno_text(int code, char *buffer, size_t size);

#endif
