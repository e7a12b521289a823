/* A growing byte string for building files in tests, with the pieces that protobuf is made of.
 *
 *     Bytes node = {0}, graph = {0};
 *     bytes_field_text(&node, 4, "Relu");
 *     bytes_field_message(&graph, 1, &node);    // empties `node`
 *     bytes_free(&graph);
 */
#ifndef TENON_TESTS_SUPPORT_BYTES_H
#define TENON_TESTS_SUPPORT_BYTES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct Bytes {
    unsigned char *data;
    size_t size, capacity;
} Bytes;

static inline void bytes_free(Bytes *b) {
    free(b->data);
    *b = (Bytes){0};
}

static inline void bytes_put(Bytes *b, const void *data, size_t n) {
    if (b->size + n > b->capacity) {
        b->capacity = 2 * (b->size + n);
        b->data = realloc(b->data, b->capacity);
    }
    if (n) memcpy(b->data + b->size, data, n);
    b->size += n;
}

static inline void bytes_text(Bytes *b, const char *s) {
    bytes_put(b, s, strlen(s));
}

static inline void bytes_u64(Bytes *b, uint64_t value) { /* little-endian */
    for (int i = 0; i < 8; i++) bytes_put(b, &(unsigned char){(unsigned char)(value >> 8 * i)}, 1);
}

static inline void bytes_varint(Bytes *b, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        bytes_put(b, &(unsigned char){(unsigned char)(value | 0x80)}, 1);
    bytes_put(b, &(unsigned char){(unsigned char)value}, 1);
}

static inline void bytes_tag(Bytes *b, uint32_t field, unsigned type) {
    bytes_varint(b, (uint64_t)field << 3 | type);
}

static inline void bytes_field_int(Bytes *b, uint32_t field, int64_t value) {
    bytes_tag(b, field, 0);
    bytes_varint(b, (uint64_t)value);
}

static inline void bytes_field_bytes(Bytes *b, uint32_t field, const void *data, size_t n) {
    bytes_tag(b, field, 2);
    bytes_varint(b, n);
    bytes_put(b, data, n);
}

static inline void bytes_field_text(Bytes *b, uint32_t field, const char *s) {
    bytes_field_bytes(b, field, s, strlen(s));
}

static inline void bytes_field_message(Bytes *b, uint32_t field, Bytes *message) {
    bytes_field_bytes(b, field, message->data, message->size);
    bytes_free(message);
}

#endif
