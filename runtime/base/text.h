/* Text from files made safe for messages: no control bytes, valid UTF-8, bounded. */
#ifndef TENON_RUNTIME_BASE_TEXT_H
#define TENON_RUNTIME_BASE_TEXT_H

#include <stddef.h>

/* Appends `n` bytes of `s` to the string in `buffer` of `size` bytes. Control bytes and invalid
 * UTF-8 become \xHH. At most `max` bytes are added; what is cut ends in "...". */
void tn_append_escaped(char *buffer, size_t size, const char *s, size_t n, size_t max);

#endif
