/* Elements that lie in another file of the model's folder: external_data names it, with an offset
 * and a length in bytes. Each file is mapped once, the first time that a tensor asks for it.
 *
 *     {location: "model.onnx.data", offset: "4096", length: "1024"} */
#include <string.h>
#include "frontend/onnx/tensor.h"
#include "runtime/base/checked.h"

#define MAX_EXTERNAL 4096 /* files of external data in one model */

struct OnnxExternal {
    const char *location;
    MapFile file;
    size_t index;
    OnnxExternal *next;
};

/* The value of an entry of external_data; NULL if there is none. */
static const char *entry(Cx *cx, const Onnx__TensorProto *t, const char *key) {
    const char *value = NULL;
    for (size_t i = 0; i < t->n_external_data; i++) {
        const Onnx__StringStringEntryProto *e = t->external_data[i];
        if (!e->key || strcmp(e->key, key) != 0) continue;
        if (value) tn_fail(cx, TN_E_MODEL, "external_data has two entries '%s'", key);
        value = e->value ? e->value : "";
    }
    return value;
}

/* A decimal number; `fallback` if the entry is missing. */
static uint64_t entry_number(Cx *cx, const Onnx__TensorProto *t, const char *key,
                             uint64_t fallback) {
    const char *text = entry(cx, t, key);
    uint64_t value = 0;
    if (!text) return fallback;
    bool ok = *text != 0;
    for (const char *p = text; ok && *p; p++)
        ok = *p >= '0' && *p <= '9' && !__builtin_mul_overflow(value, 10, &value) &&
             !__builtin_add_overflow(value, (uint64_t)(*p - '0'), &value);
    if (!ok)
        tn_fail(cx, TN_E_MODEL, "%s of external data is '%s', wanted a number of bytes", key,
                tn_quoted(cx, text));
    return value;
}

static void close_external(void *arg) {
    mapfile_close(&((OnnxExternal *)arg)->file);
}

/* The file at `location`, mapped the first time that a tensor asks for it. */
static const MapFile *open_external(OnnxModel *m, const char *location) {
    char why[256];
    for (OnnxExternal *e = m->external; e; e = e->next)
        if (strcmp(e->location, location) == 0) return &e->file;
    size_t index = m->external ? m->external->index + 1 : 0;
    if (index == MAX_EXTERNAL)
        tn_fail(m->cx, TN_E_LIMIT, "external data in more than %d files", MAX_EXTERNAL);
    OnnxExternal *e = ARENA_NEW(&m->cx->arena, OnnxExternal);
    *e = (OnnxExternal){.location = location, .index = index, .next = m->external};
    TnStatus status = mapfile_open_in(&e->file, m->folder, location, why, sizeof why);
    if (status) tn_fail(m->cx, status, "external data '%s': %s", tn_quoted(m->cx, location), why);
    tn_defer(m->cx, close_external, e);
    m->external = e;
    return &e->file;
}

const unsigned char *onnx_external(OnnxModel *m, const Onnx__TensorProto *t, const OnnxTensor *out,
                                   size_t bytes) {
    Cx *cx = m->cx;
    const char *location = entry(cx, t, "location");
    if (!location) tn_fail(cx, TN_E_MODEL, "external data without a location");
    uint64_t offset = entry_number(cx, t, "offset", 0);
    uint64_t length = entry_number(cx, t, "length", bytes);
    if (length != bytes)
        tn_fail(cx, TN_E_MODEL, "length of external data is %llu, shape %s wants %zu bytes",
                (unsigned long long)length, onnx_shape_text(cx, out), bytes);
    const MapFile *file = open_external(m, location);
    if (!tn_range_ok(offset, length, file->size))
        tn_fail(cx, TN_E_MODEL,
                "external data '%s': offset %llu and length %llu in a file of %zu bytes",
                tn_quoted(cx, location), (unsigned long long)offset, (unsigned long long)length,
                file->size);
    return file->data + offset;
}
