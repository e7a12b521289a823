/* Writing safetensors: the layout of safetensors.c, through a temporary file. */
#include <string.h>
#include "frontend/hf/safetensors.h"
#include "runtime/base/writefile.h"

#define PREFIX 8

/* A growing text in the arena. */
typedef struct Text {
    Cx *cx;
    char *s;
    size_t length, capacity;
} Text;

static void put(Text *t, const char *s, size_t n) {
    t->s = arena_grow(&t->cx->arena, t->s, &t->capacity, t->length + n, 1);
    memcpy(t->s + t->length, s, n);
    t->length += n;
}

static void put_format(Text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put_format(Text *t, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const char *s = arena_vprintf(&t->cx->arena, fmt, ap);
    va_end(ap);
    put(t, s, strlen(s));
}

static void put_string(Text *t, const char *s) {
    put(t, "\"", 1);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            put_format(t, "\\%c", c);
        else if (c < 0x20)
            put_format(t, "\\u%04x", c);
        else
            put(t, s, 1);
    }
    put(t, "\"", 1);
}

static const char *type_name(Cx *cx, const StTensor *t) {
    const char *name = st_type_name(t->dtype);
    if (!name)
        tn_fail(cx, TN_E_UNSUPPORTED, "tensor '%s': safetensors has no type for %s", t->name,
                tn_dtype_name(t->dtype));
    return name;
}

/* The order of the data: by element size, widest first, otherwise as given. */
static const StTensor **data_order(Cx *cx, const StTensor *tensors, size_t count) {
    const StTensor **order = ARENA_ARRAY(&cx->arena, const StTensor *, count);
    size_t n = 0;
    for (size_t size = 8; size > 0; size /= 2)
        for (size_t i = 0; i < count; i++)
            if (tn_dtype_size(tensors[i].dtype) == size) order[n++] = &tensors[i];
    return order;
}

static Text make_header(Cx *cx, const StTensor **order, size_t count) {
    Text t = {.cx = cx};
    size_t offset = 0;
    put(&t, "{", 1);
    for (size_t i = 0; i < count; i++) {
        const StTensor *x = order[i];
        if (i) put(&t, ",", 1);
        put_string(&t, x->name);
        put_format(&t, ":{\"dtype\":\"%s\",\"shape\":[", type_name(cx, x));
        for (int d = 0; d < x->rank; d++)
            put_format(&t, "%s%lld", d ? "," : "", (long long)x->dims[d]);
        put_format(&t, "],\"data_offsets\":[%zu,%zu]}", offset, offset + x->bytes);
        offset += x->bytes;
    }
    put(&t, "}", 1);
    while (t.length % PREFIX) put(&t, " ", 1);
    return t;
}

void st_write(Cx *cx, const char *path, const StTensor *tensors, size_t count) {
    char why[256];
    WriteFile w;
    unsigned char prefix[PREFIX];
    const StTensor **order = data_order(cx, tensors, count);
    Text header = make_header(cx, order, count);
    for (int i = 0; i < PREFIX; i++)
        prefix[i] = (unsigned char)((uint64_t)header.length >> (8 * i));
    tn_enter(cx, "file", path);
    TnStatus status = writefile_begin(&w, path, why, sizeof why);
    if (!status) status = writefile_append(&w, prefix, PREFIX, why, sizeof why);
    if (!status) status = writefile_append(&w, header.s, header.length, why, sizeof why);
    for (size_t i = 0; i < count && !status; i++)
        status = writefile_append(&w, order[i]->data, order[i]->bytes, why, sizeof why);
    if (!status) status = writefile_commit(&w, why, sizeof why);
    if (status) tn_fail(cx, status, "%s", why);
    tn_leave(cx);
}
