/* Checking UTF-8: shortest forms only, no surrogates, nothing above U+10FFFF. */
#ifndef TENON_RUNTIME_BASE_UTF8_H
#define TENON_RUNTIME_BASE_UTF8_H

#include <stddef.h>

/* Bytes of the character at `s`, of which `n` bytes are there; 0 if they are no UTF-8. */
size_t tn_utf8_length(const unsigned char *s, size_t n);

/* Length of the longest prefix of `s` that is UTF-8: `n` if all of it is. */
size_t tn_utf8_prefix(const unsigned char *s, size_t n);

/* Writes code point `c` (no surrogate, at most U+10FFFF) and returns its 1 to 4 bytes. */
size_t tn_utf8_put(char out[4], unsigned c);

#endif
