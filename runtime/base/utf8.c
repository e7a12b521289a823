/* UTF-8 by the table of well-formed sequences in the Unicode standard (table 3-7): the first byte
 * gives the length and the range of the second; all others are 80 to BF. */
#include "runtime/base/utf8.h"

size_t tn_utf8_length(const unsigned char *s, size_t n) {
    if (n == 0) return 0;
    unsigned first = s[0], low = 0x80, high = 0xbf;
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (n < length) return 0;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
    if (s[1] < low || s[1] > high) return 0;
    for (size_t i = 2; i < length; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    return length;
}

size_t tn_utf8_prefix(const unsigned char *s, size_t n) {
    size_t at = 0;
    while (at < n) {
        size_t length = tn_utf8_length(s + at, n - at);
        if (!length) break;
        at += length;
    }
    return at;
}

size_t tn_utf8_put(char out[4], unsigned c) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[length] | c);
    return length;
}
