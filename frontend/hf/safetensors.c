/* Reading safetensors: size of the header, header, then the tensors' ranges against the data.
 *
 *     u64 n, little-endian | n bytes of JSON | data
 *     {"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__": {"format":
 * "pt"}}
 *
 * Offsets count from the end of the header. */
#include "frontend/hf/safetensors.h"

#include <stdlib.h>
#include <string.h>
#include "frontend/hf/json_scan.h"
#include "runtime/base/checked.h"
#include "runtime/base/mapfile.h"

#define PREFIX 8 /* bytes before the header */

typedef struct Entry {
    StTensor tensor;
    uint64_t begin, end;
} Entry;

struct SafeTensors {
    Cx *cx;
    const char *path;
    MapFile file;
    const unsigned char *data; /* behind the header */
    size_t data_size;
    StTensor *tensors;        /* by offset */
    const StTensor **by_name; /* sorted */
    size_t count;
};

typedef struct TypeName {
    const char *name;
    TnDType dtype; /* TN_NONE: known, unsupported */
} TypeName;

static const TypeName type_names[] = {
    {"F32", TN_F32},
    {"F16", TN_F16},
    {"BF16", TN_BF16},
    {"F64", TN_F64},
    {"I8", TN_I8},
    {"I16", TN_I16},
    {"I32", TN_I32},
    {"I64", TN_I64},
    {"U8", TN_U8},
    {"U16", TN_U16},
    {"U32", TN_U32},
    {"U64", TN_U64},
    {"BOOL", TN_BOOL},
    {"F4", TN_NONE},
    {"F6_E2M3", TN_NONE},
    {"F6_E3M2", TN_NONE},
    {"F8_E4M3", TN_F8E4M3FN},
    {"F8_E4M3FNUZ", TN_F8E4M3FNUZ},
    {"F8_E5M2", TN_F8E5M2},
    {"F8_E5M2FNUZ", TN_F8E5M2FNUZ},
    {"F8_E8M0", TN_F8E8M0},
    {"C64", TN_NONE},
};

const char *st_type_name(TnDType t) {
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++)
        if (type_names[i].dtype == t && t) return type_names[i].name;
    return NULL;
}

/* ", the file looks like ..." if it is recognisably something else. */
static const char *looks_like(const SafeTensors *st) {
    const char *kind = tn_file_kind(st->file.data, st->file.size);
    if (strcmp(kind, "unknown data") == 0 || strcmp(kind, "safetensors") == 0) return "";
    return arena_printf(&st->cx->arena, "; the file looks like: %s", kind);
}

/* Finds the header; checks its size before anything is believed. */
static size_t header_size(const SafeTensors *st) {
    uint64_t n = 0;
    if (st->file.size < PREFIX)
        tn_fail(st->cx, TN_E_FORMAT, "%zu bytes, a safetensors file has at least %d%s",
                st->file.size, PREFIX, looks_like(st));
    for (int i = PREFIX - 1; i >= 0; i--) n = n << 8 | st->file.data[i];
    if (n > st->file.size - PREFIX)
        tn_fail(st->cx, TN_E_FORMAT, "a header of %llu bytes in a file of %zu%s",
                (unsigned long long)n, st->file.size, looks_like(st));
    if (n > TN_MAX_JSON_HEADER)
        tn_fail(st->cx, TN_E_LIMIT, "a header of %llu bytes, more than the %d allowed",
                (unsigned long long)n, TN_MAX_JSON_HEADER);
    if (n == 0 || st->file.data[PREFIX] != '{')
        tn_fail(st->cx, TN_E_FORMAT, "the header is no JSON object%s", looks_like(st));
    return (size_t)n;
}

/* An integer without sign, fraction or exponent. */
static uint64_t parse_uint(JsonScan *s, JsonToken t, const char *what) {
    uint64_t value = 0;
    bool ok = t.kind == JSON_T_NUMBER;
    for (size_t i = 0; ok && i < t.size; i++)
        ok = t.text[i] >= '0' && t.text[i] <= '9' && !__builtin_mul_overflow(value, 10, &value) &&
             !__builtin_add_overflow(value, (uint64_t)(t.text[i] - '0'), &value);
    if (!ok || value > INT64_MAX) {
        const char *quote = t.kind == JSON_T_NUMBER ? "" : "'";
        json_scan_fail(s, t.text, TN_E_MODEL, "%s is %s%.*s%s, wanted an integer from 0", what,
                       quote, (int)(t.size < 40 ? t.size : 40), t.text, quote);
    }
    return value;
}

static TnDType parse_dtype(JsonScan *s) {
    JsonToken t = json_scan(s);
    if (t.kind != JSON_T_STRING) json_scan_fail(s, t.text, TN_E_MODEL, "dtype is no string");
    const char *name = json_scan_string(s, t);
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++) {
        if (strcmp(type_names[i].name, name) != 0) continue;
        if (type_names[i].dtype == TN_NONE)
            json_scan_fail(s, t.text, TN_E_UNSUPPORTED, "dtype %s is unsupported", name);
        return type_names[i].dtype;
    }
    json_scan_fail(s, t.text, TN_E_MODEL, "dtype '%s' is unknown", tn_quoted(s->cx, name));
}

static void parse_shape(JsonScan *s, StTensor *t) {
    JsonToken token = json_scan(s);
    if (token.kind != JSON_T_ARRAY) json_scan_fail(s, token.text, TN_E_MODEL, "shape is no list");
    for (token = json_scan(s); token.kind != JSON_T_CLOSE; token = json_scan(s)) {
        if (t->rank == TN_MAX_RANK)
            json_scan_fail(s, token.text, TN_E_LIMIT, "more than %d axes", TN_MAX_RANK);
        t->dims[t->rank++] = (int64_t)parse_uint(s, token, "a dim");
    }
}

static void parse_offsets(JsonScan *s, Entry *e) {
    JsonToken t = json_scan(s);
    uint64_t *place[] = {&e->begin, &e->end};
    if (t.kind != JSON_T_ARRAY) json_scan_fail(s, t.text, TN_E_MODEL, "data_offsets is no list");
    for (int i = 0; i < 2; i++) *place[i] = parse_uint(s, json_scan(s), "an offset");
    t = json_scan(s);
    if (t.kind != JSON_T_CLOSE)
        json_scan_fail(s, t.text, TN_E_MODEL, "data_offsets has more than two items");
}

/* {"dtype": ..., "shape": ..., "data_offsets": ...}, each once, in any order. */
static void parse_fields(JsonScan *s, Entry *e) {
    static const char *const names[] = {"dtype", "shape", "data_offsets"};
    bool seen[3] = {false};
    JsonToken t = json_scan(s);
    if (t.kind != JSON_T_OBJECT) json_scan_fail(s, t.text, TN_E_MODEL, "the entry is no object");
    for (t = json_scan(s); t.kind != JSON_T_CLOSE; t = json_scan(s)) {
        const char *name = json_scan_string(s, t);
        int field = 0;
        while (field < 3 && strcmp(names[field], name) != 0) field++;
        if (field == 3)
            json_scan_fail(s, t.text, TN_E_MODEL, "unknown field '%s'", tn_quoted(s->cx, name));
        if (seen[field]) json_scan_fail(s, t.text, TN_E_MODEL, "field '%s' appears twice", name);
        seen[field] = true;
        if (field == 0) e->tensor.dtype = parse_dtype(s);
        if (field == 1) parse_shape(s, &e->tensor);
        if (field == 2) parse_offsets(s, e);
    }
    for (int i = 0; i < 3; i++)
        if (!seen[i]) json_scan_fail(s, t.text, TN_E_MODEL, "field '%s' is missing", names[i]);
}

static void check_metadata(JsonScan *s) {
    JsonToken t = json_scan(s);
    if (t.kind != JSON_T_OBJECT) json_scan_fail(s, t.text, TN_E_MODEL, "the entry is no object");
    for (t = json_scan(s); t.kind != JSON_T_CLOSE; t = json_scan(s)) {
        t = json_scan(s);
        if (t.kind != JSON_T_STRING)
            json_scan_fail(s, t.text, TN_E_MODEL, "values of metadata must be strings");
    }
}

/* The byte count must follow from shape and type, and the range lie within the data. */
static void place_tensor(const SafeTensors *st, Entry *e) {
    StTensor *t = &e->tensor;
    int64_t elements, bytes;
    if (!tn_product(t->dims, t->rank, &elements) ||
        !tn_mul_i64(elements, (int64_t)tn_dtype_size(t->dtype), &bytes))
        tn_fail(st->cx, TN_E_MODEL, "the size of shape %s overflows",
                weights_shape_text(st->cx, t->rank, t->dims));
    if (e->begin > e->end || e->end > st->data_size)
        tn_fail(st->cx, TN_E_MODEL, "data_offsets [%llu, %llu] lie outside the %zu bytes of data",
                (unsigned long long)e->begin, (unsigned long long)e->end, st->data_size);
    if (e->end - e->begin != (uint64_t)bytes)
        tn_fail(st->cx, TN_E_MODEL, "data_offsets span %llu bytes, shape %s of %s wants %lld",
                (unsigned long long)(e->end - e->begin),
                weights_shape_text(st->cx, t->rank, t->dims), tn_dtype_name(t->dtype),
                (long long)bytes);
    t->data = st->data + e->begin;
    t->bytes = (size_t)bytes;
}

static Entry *parse_header(SafeTensors *st, size_t size) {
    JsonScan s;
    Entry *entries = NULL;
    size_t capacity = 0;
    bool metadata = false;
    json_scan_begin(&s, st->cx, (const char *)st->file.data + PREFIX, size, PREFIX);
    json_scan(&s); /* the brace that header_size saw */
    for (JsonToken t = json_scan(&s); t.kind != JSON_T_CLOSE; t = json_scan(&s)) {
        const char *name = json_scan_string(&s, t);
        if (t.size > TN_MAX_NAME)
            json_scan_fail(&s, t.text, TN_E_LIMIT, "a name of %zu bytes", t.size);
        if (st->count == TN_MAX_TENSORS)
            json_scan_fail(&s, t.text, TN_E_LIMIT, "more than %d tensors", TN_MAX_TENSORS);
        tn_enter(st->cx, "tensor", name);
        if (strcmp(name, "__metadata__") == 0) {
            if (metadata) json_scan_fail(&s, t.text, TN_E_MODEL, "the entry appears twice");
            metadata = true;
            check_metadata(&s);
        } else {
            entries =
                arena_grow(&st->cx->arena, entries, &capacity, st->count + 1, sizeof *entries);
            Entry *e = &entries[st->count++];
            *e = (Entry){.tensor.name = name};
            parse_fields(&s, e);
            place_tensor(st, e);
        }
        tn_leave(st->cx);
    }
    json_scan(&s); /* fails on anything but the end */
    return entries;
}

static int by_offset(const void *a, const void *b) {
    const Entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return strcmp(x->tensor.name, y->tensor.name);
}

_Noreturn static void fail_twice(const SafeTensors *st, const char *name) {
    tn_fail(st->cx, TN_E_MODEL, "tensor '%s' appears twice", tn_quoted(st->cx, name));
}

/* Sorted by offset, each tensor must begin where the one before ended, and the last end with the
 * file. */
static void check_cover(const SafeTensors *st, Entry *entries) {
    uint64_t end = 0;
    if (st->count) qsort(entries, st->count, sizeof *entries, by_offset);
    for (size_t i = 0; i < st->count; i++) {
        const Entry *e = &entries[i];
        if (e->begin != end) {
            if (i && !strcmp(e[-1].tensor.name, e->tensor.name)) fail_twice(st, e->tensor.name);
            tn_enter(st->cx, "tensor", e->tensor.name);
            tn_fail(st->cx, TN_E_MODEL,
                    "begins at data byte %llu, %s the tensor before ends at %llu",
                    (unsigned long long)e->begin,
                    e->begin < end ? "overlapping:" : "leaving a hole:", (unsigned long long)end);
        }
        end = e->end;
    }
    if (end != st->data_size)
        tn_fail(st->cx, TN_E_MODEL, "%llu bytes after the last tensor",
                (unsigned long long)(st->data_size - end));
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(const StTensor *const *)a)->name, (*(const StTensor *const *)b)->name);
}

static void index_names(SafeTensors *st) {
    st->by_name = ARENA_ARRAY(&st->cx->arena, const StTensor *, st->count);
    for (size_t i = 0; i < st->count; i++) st->by_name[i] = &st->tensors[i];
    if (st->count) qsort(st->by_name, st->count, sizeof *st->by_name, by_name);
    for (size_t i = 1; i < st->count; i++)
        if (strcmp(st->by_name[i - 1]->name, st->by_name[i]->name) == 0)
            fail_twice(st, st->by_name[i]->name);
}

/* Any byte but 0 means true: where one is not 0 or 1, a copy takes the tensor's place. */
static void normalise_bool(Cx *cx, StTensor *t) {
    const unsigned char *from = t->data;
    size_t i = 0;
    while (i < t->bytes && from[i] <= 1) i++;
    if (i == t->bytes) return;
    unsigned char *copy = arena_alloc(&cx->arena, t->bytes);
    for (i = 0; i < t->bytes; i++) copy[i] = from[i] != 0;
    t->data = copy;
}

static void close_file(void *file) {
    mapfile_close(file);
}

SafeTensors *st_open(Cx *cx, const char *path) {
    char why[256];
    SafeTensors *st = ARENA_NEW(&cx->arena, SafeTensors);
    st->cx = cx;
    st->path = arena_strdup(&cx->arena, path);
    tn_enter(cx, "file", st->path);
    TnStatus status = mapfile_open(&st->file, path, why, sizeof why);
    if (status) tn_fail(cx, status, "%s", why);
    tn_defer(cx, close_file, &st->file);
    size_t header = header_size(st);
    st->data = st->file.data + PREFIX + header;
    st->data_size = st->file.size - PREFIX - header;
    Entry *entries = parse_header(st, header);
    check_cover(st, entries);
    st->tensors = ARENA_ARRAY(&cx->arena, StTensor, st->count);
    for (size_t i = 0; i < st->count; i++) {
        st->tensors[i] = entries[i].tensor;
        if (st->tensors[i].dtype == TN_BOOL) normalise_bool(cx, &st->tensors[i]);
    }
    index_names(st);
    tn_leave(cx);
    return st;
}

const StTensor *st_find(const SafeTensors *st, const char *name) {
    StTensor key = {.name = name};
    const StTensor *wanted = &key;
    if (!st->count) return NULL;
    const StTensor *const *found =
        bsearch(&wanted, st->by_name, st->count, sizeof *st->by_name, by_name);
    return found ? *found : NULL;
}

size_t st_count(const SafeTensors *st) {
    return st->count;
}

const StTensor *st_at(const SafeTensors *st, size_t i) {
    return &st->tensors[i];
}
