/* The scan of wire.h: a stack of open messages, a cursor, and the copy that grows behind it.
 *
 * A message is "tag value tag value ...". A tag is field number << 3 | wire type; wire types are 0
 * varint, 1 eight bytes, 2 length and bytes, 5 four bytes. Which message a length opens follows
 * from the descriptors. In the copy every message gets a length of five bytes, filled in when it
 * closes. */
#include "frontend/onnx/wire.h"

#include <stdarg.h>
#include <string.h>
#include "onnx.pb-c.h"
#include "runtime/base/limits.h"
#include "runtime/base/mapfile.h"
#include "runtime/base/utf8.h"

#define MAX_FIELDS  24  /* of one message in onnx.proto */
#define LENGTH_SIZE 5   /* of a varint padded to hold 32 bits */
#define MAX_DOMAINS 256 /* imported by a model or function */
#define MAX_ENTRIES 16  /* of external_data */

enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

typedef struct Frame {
    const ProtobufCMessageDescriptor *message;
    size_t end;                 /* in the file */
    size_t body;                /* in the copy; the length stands before it */
    uint32_t count[MAX_FIELDS]; /* items per field so far */
} Frame;

typedef struct Wire {
    Cx *cx;
    const unsigned char *data;
    size_t size, at;
    WireCopy *copy;
    size_t nodes, tensors; /* in the whole file */
    int depth;
    Frame stack[TN_MAX_NESTING];
} Wire;

/* Counts that differ from TN_MAX_LIST. */
typedef struct Bound {
    const ProtobufCMessageDescriptor *message;
    uint32_t field, max;
} Bound;

static const Bound bounds[] = {
    {&onnx__model_proto__descriptor, 8, MAX_DOMAINS},
    {&onnx__function_proto__descriptor, 9, MAX_DOMAINS},
    {&onnx__tensor_proto__descriptor, 13, MAX_ENTRIES},
    {&onnx__graph_proto__descriptor, 1, TN_MAX_NODES},
    {&onnx__graph_proto__descriptor, 5, TN_MAX_TENSORS},
    {&onnx__graph_proto__descriptor, 13, TN_MAX_TENSORS},
    {&onnx__function_proto__descriptor, 7, TN_MAX_NODES},
    {&onnx__function_proto__descriptor, 12, TN_MAX_TENSORS},
    {&onnx__tensor_proto__descriptor, 1, TN_MAX_FILE_RANK},
    {&onnx__sparse_tensor_proto__descriptor, 3, TN_MAX_FILE_RANK},
    {&onnx__tensor_shape_proto__descriptor, 1, TN_MAX_FILE_RANK},
    /* elements of a tensor: bounded by the file */
    {&onnx__tensor_proto__descriptor, 4, UINT32_MAX},
    {&onnx__tensor_proto__descriptor, 5, UINT32_MAX},
    {&onnx__tensor_proto__descriptor, 6, TN_MAX_TENSORS},
    {&onnx__tensor_proto__descriptor, 7, UINT32_MAX},
    {&onnx__tensor_proto__descriptor, 10, UINT32_MAX},
    {&onnx__tensor_proto__descriptor, 11, UINT32_MAX},
};

_Noreturn static void fail_at(Wire *w, size_t offset, TnStatus code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
_Noreturn static void fail_at(Wire *w, size_t offset, TnStatus code, const char *fmt, ...) {
    const char *kind = tn_file_kind(w->data, w->size);
    if (strcmp(kind, "unknown data") != 0)
        tn_fail(w->cx, TN_E_FORMAT, "not an ONNX model; the file looks like: %s", kind);
    va_list ap;
    va_start(ap, fmt);
    const char *text = arena_vprintf(&w->cx->arena, fmt, ap);
    va_end(ap);
    tn_fail(w->cx, code, "%soffset %zu: %s", offset ? "" : "not an ONNX model: ", offset, text);
}

/* Appends to the copy. */
static void put(Wire *w, const void *bytes, size_t n) {
    WireCopy *c = w->copy;
    if (n > c->capacity - c->size) {
        size_t capacity = c->capacity + c->capacity / 2 + n + 4096;
        unsigned char *grown = tn_allocate(&c->alloc, capacity, 16);
        if (!grown) tn_fail(w->cx, TN_E_MEMORY, "out of memory (%zu bytes wanted)", capacity);
        if (c->size) memcpy(grown, c->data, c->size);
        tn_release(&c->alloc, c->data);
        c->data = grown;
        c->capacity = capacity;
    }
    if (n) memcpy(c->data + c->size, bytes, n);
    c->size += n;
}

static void put_varint(Wire *w, uint64_t value) {
    unsigned char bytes[10];
    size_t n = 0;
    for (; value >= 0x80; value >>= 7) bytes[n++] = (unsigned char)(value | 0x80);
    bytes[n++] = (unsigned char)value;
    put(w, bytes, n);
}

static void put_tag(Wire *w, const ProtobufCFieldDescriptor *field, int type) {
    put_varint(w, (uint64_t)field->id << 3 | (unsigned)type);
}

static uint64_t read_varint(Wire *w, size_t end) {
    size_t start = w->at;
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (w->at == end)
            fail_at(w, start, TN_E_FORMAT, "a number runs past the end of its message");
        uint64_t byte = w->data[w->at++];
        if (shift == 63 && byte > 1) break;
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
    fail_at(w, start, TN_E_FORMAT, "a number of more than 64 bits");
}

/* The wire type that values of this field have, unpacked. */
static int wire_type(const ProtobufCFieldDescriptor *field) {
    switch (field->type) {
    case PROTOBUF_C_TYPE_FLOAT: return FIXED32;
    case PROTOBUF_C_TYPE_DOUBLE: return FIXED64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE: return LENGTH;
    default: return VARINT;
    }
}

static uint32_t max_count(const ProtobufCMessageDescriptor *message, uint32_t field) {
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        if (bounds[i].message == message && bounds[i].field == field) return bounds[i].max;
    return TN_MAX_LIST;
}

/* Counts `n` more values of a field of the innermost message. */
static void count(Wire *w, const ProtobufCFieldDescriptor *field, size_t n, size_t offset) {
    Frame *f = &w->stack[w->depth - 1];
    uint32_t *so_far = &f->count[field - f->message->fields];
    bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
    if (!repeated && *so_far)
        fail_at(w, offset, TN_E_FORMAT, "a second '%s' in one %s (two files joined?)", field->name,
                f->message->short_name);
    uint32_t max = repeated ? max_count(f->message, field->id) : 1;
    if (n > max - *so_far)
        fail_at(w, offset, TN_E_LIMIT, "more than %u '%s' in one %s", max, field->name,
                f->message->short_name);
    *so_far += (uint32_t)n;
}

/* Counts a message that begins, against the bounds for the whole file. */
static void count_message(Wire *w, const ProtobufCMessageDescriptor *message, size_t offset) {
    if (message == &onnx__node_proto__descriptor && ++w->nodes > TN_MAX_NODES)
        fail_at(w, offset, TN_E_LIMIT, "more than %d nodes", TN_MAX_NODES);
    bool tensor = message == &onnx__tensor_proto__descriptor ||
                  message == &onnx__value_info_proto__descriptor;
    if (tensor && ++w->tensors > TN_MAX_TENSORS)
        fail_at(w, offset, TN_E_LIMIT, "more than %d tensors", TN_MAX_TENSORS);
}

static void open_message(Wire *w, const ProtobufCMessageDescriptor *message, size_t length,
                         size_t offset) {
    if (w->depth == TN_MAX_NESTING)
        fail_at(w, offset, TN_E_LIMIT, "messages nested more than %d deep", TN_MAX_NESTING);
    count_message(w, message, offset);
    Frame *f = &w->stack[w->depth++];
    *f = (Frame){.message = message, .end = w->at + length, .body = w->copy->size};
}

static void close_message(Wire *w) {
    const Frame *f = &w->stack[--w->depth];
    if (w->depth == 0) return;
    size_t length = w->copy->size - f->body;
    if (length > INT32_MAX)
        fail_at(w, f->end, TN_E_LIMIT, "a %s of %zu bytes", f->message->short_name, length);
    unsigned char *bytes = w->copy->data + f->body - LENGTH_SIZE;
    for (int i = 0; i < LENGTH_SIZE; i++)
        bytes[i] = (unsigned char)((length >> (7 * i) & 0x7f) | (i < LENGTH_SIZE - 1 ? 0x80 : 0));
}

static void check_int32(Wire *w, uint64_t value, size_t offset) {
    int64_t signed_value = (int64_t)value;
    if (signed_value < INT32_MIN || signed_value > (int64_t)UINT32_MAX)
        fail_at(w, offset, TN_E_FORMAT, "a number of more than 32 bits");
}

static void check_string(Wire *w, const ProtobufCFieldDescriptor *field, size_t length,
                         size_t offset) {
    const unsigned char *s = w->data + w->at;
    const char *message = w->stack[w->depth - 1].message->short_name;
    if (length > TN_MAX_NAME)
        fail_at(w, offset, TN_E_LIMIT, "'%s' of %s has %zu bytes, more than the %d allowed",
                field->name, message, length, TN_MAX_NAME);
    if (memchr(s, 0, length))
        fail_at(w, offset, TN_E_FORMAT, "'%s' of %s contains a NUL", field->name, message);
    if (tn_utf8_prefix(s, length) != length)
        fail_at(w, offset, TN_E_FORMAT, "'%s' of %s is not UTF-8", field->name, message);
}

/* Several numbers in one length-delimited value. */
static void scan_packed(Wire *w, const ProtobufCFieldDescriptor *field, size_t length,
                        size_t offset) {
    size_t end = w->at + length, n = 0, size = wire_type(field) == FIXED32 ? 4 : 8;
    if (wire_type(field) == VARINT) {
        for (size_t at = w->at; w->at < end; n++) {
            uint64_t value = read_varint(w, end);
            if (field->type == PROTOBUF_C_TYPE_INT32) check_int32(w, value, at);
            at = w->at;
        }
        w->at = end - length;
    } else {
        n = length / size;
        if (length % size)
            fail_at(w, offset, TN_E_FORMAT, "'%s' has %zu bytes, no multiple of %zu", field->name,
                    length, size);
    }
    count(w, field, n, offset);
}

static void scan_length(Wire *w, const ProtobufCFieldDescriptor *field, size_t length,
                        size_t offset) {
    const Frame *f = &w->stack[w->depth - 1];
    bool raw_data = f->message == &onnx__tensor_proto__descriptor && field->id == 9;
    if (wire_type(field) == LENGTH)
        count(w, field, 1, offset);
    else
        scan_packed(w, field, length, offset);
    put_tag(w, field, LENGTH);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        if (f->message == &onnx__graph_proto__descriptor && field->id == 15)
            fail_at(w, offset, TN_E_UNSUPPORTED, "sparse initializers are unsupported");
        put(w, (const unsigned char[LENGTH_SIZE]){0}, LENGTH_SIZE);
        open_message(w, field->descriptor, length, offset);
        return;
    }
    if (field->type == PROTOBUF_C_TYPE_STRING) check_string(w, field, length, offset);
    if (raw_data) {
        WirePlace place = {w->at, length};
        put_varint(w, sizeof place);
        put(w, &place, sizeof place);
    } else {
        put_varint(w, length);
        put(w, w->data + w->at, length);
    }
    w->at += length;
}

/* Moves past the number of a field whose wire type is not LENGTH; what it held is in the file from
 * `w->at`. */
static void scan_number(Wire *w, const ProtobufCFieldDescriptor *field, int type, size_t end,
                        size_t offset) {
    size_t size = type == FIXED32 ? 4 : 8;
    if (field) {
        count(w, field, 1, offset);
        put_tag(w, field, type);
    }
    if (type == VARINT) {
        uint64_t value = read_varint(w, end);
        if (field && field->type == PROTOBUF_C_TYPE_INT32) check_int32(w, value, offset);
        if (field) put_varint(w, value);
        return;
    }
    if (end - w->at < size)
        fail_at(w, offset, TN_E_FORMAT,
                "a value of %zu bytes runs past the end of its message "
                "(%zu bytes left)",
                size, end - w->at);
    if (field) put(w, w->data + w->at, size);
    w->at += size;
}

static void scan_field(Wire *w) {
    const Frame *f = &w->stack[w->depth - 1];
    size_t offset = w->at;
    uint64_t tag = read_varint(w, f->end), number = tag >> 3;
    int type = (int)(tag & 7);
    if (tag > UINT32_MAX || number == 0)
        fail_at(w, offset, TN_E_FORMAT, "field number %llu, wanted 1 to 536870911",
                (unsigned long long)number);
    if (type != VARINT && type != FIXED64 && type != LENGTH && type != FIXED32)
        fail_at(w, offset, TN_E_FORMAT, "wire type %d, wanted 0, 1, 2 or 5", type);
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(f->message, (unsigned)number);
    if (field) {
        bool packable = field->label == PROTOBUF_C_LABEL_REPEATED && type == LENGTH;
        if (type != wire_type(field) && !packable)
            fail_at(w, offset, TN_E_FORMAT, "wire type %d for '%s' of %s, wanted %d", type,
                    field->name, f->message->short_name, wire_type(field));
    }
    if (type != LENGTH) {
        scan_number(w, field, type, f->end, offset);
        return;
    }
    uint64_t length = read_varint(w, f->end);
    if (length > f->end - w->at)
        fail_at(w, offset, TN_E_FORMAT,
                "length %llu runs past the end of its message (%zu bytes left)",
                (unsigned long long)length, f->end - w->at);
    if (field)
        scan_length(w, field, (size_t)length, offset);
    else
        w->at += (size_t)length;
}

void wire_scan(Cx *cx, const unsigned char *data, size_t size, WireCopy *copy) {
    Wire *w = ARENA_NEW(&cx->arena, Wire);
    w->cx = cx;
    w->data = data;
    w->size = size;
    w->copy = copy;
    open_message(w, &onnx__model_proto__descriptor, size, 0);
    while (w->depth > 0) {
        if (w->at == w->stack[w->depth - 1].end)
            close_message(w);
        else
            scan_field(w);
    }
}

void wire_release(WireCopy *copy) {
    tn_release(&copy->alloc, copy->data);
    copy->data = NULL;
    copy->size = copy->capacity = 0;
}
