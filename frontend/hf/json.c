/* Documents of json.h: scan, let cJSON build the tree, index the objects.
 *
 * The index is one array of members, object after object, each object's part sorted by key; where
 * an object's part begins and how long it is are kept in the node's `valueint` and `valuedouble`,
 * which cJSON uses for numbers only. Sorting instead of hashing keeps look-up fast for keys chosen
 * to collide. */
#include "frontend/hf/json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "frontend/hf/json_scan.h"
#include "runtime/base/mapfile.h"

#define MAX_VALUES   (1 << 22) /* bounds the tree: a value of 2 bytes becomes a node of 64 */
#define MAX_DIGITS   60        /* cJSON reads at most 63 characters of a number */
#define MAX_EXACT    9007199254740991.0 /* 2^53 - 1: larger integers may have been rounded */
#define MAX_PATH_LEN 400

struct JsonDoc {
    Cx *cx;
    const char *name;
    const cJSON *root;
    const cJSON **members;
    size_t count;
};

/* Refuses what cJSON would take or lose. */
static void check_text(Cx *cx, const char *text, size_t size) {
    JsonScan s;
    size_t values = 0;
    json_scan_begin(&s, cx, text, size, 0);
    for (JsonToken t = json_scan(&s); t.kind != JSON_T_END; t = json_scan(&s)) {
        if (t.kind == JSON_T_NUMBER && t.size > MAX_DIGITS)
            json_scan_fail(&s, t.text, TN_E_LIMIT, "a number of %zu characters", t.size);
        if (t.kind != JSON_T_KEY && t.kind != JSON_T_CLOSE && ++values > MAX_VALUES)
            json_scan_fail(&s, t.text, TN_E_LIMIT, "more than %d values", MAX_VALUES);
    }
}

/* The value after `v` in document order below `root`; `stack` holds the open containers. */
static const cJSON *next_node(const cJSON *v, const cJSON **stack, int *depth) {
    if (v->child) {
        stack[(*depth)++] = v;
        return v->child;
    }
    while (!v->next && *depth > 0) v = stack[--*depth];
    return *depth > 0 ? v->next : NULL;
}

static int by_key(const void *a, const void *b) {
    return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

static void append_path(char *path, size_t *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void append_path(char *path, size_t *at, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(path + *at, MAX_PATH_LEN - *at, fmt, ap);
    va_end(ap);
    if (n > 0) *at = *at + (size_t)n < MAX_PATH_LEN ? *at + (size_t)n : MAX_PATH_LEN - 1;
}

/* "text_config.layers[2]"; found by search, since only errors ask for it. "" for the root. */
static const char *path_of(const JsonDoc *doc, const cJSON *node) {
    const cJSON *stack[TN_MAX_NESTING + 1];
    int depth = 0;
    for (const cJSON *v = doc->root; v != node;) v = next_node(v, stack, &depth);
    char *path = arena_alloc(&doc->cx->arena, MAX_PATH_LEN);
    size_t at = 0;
    stack[depth] = node;
    for (int i = 1; i <= depth; i++) {
        const cJSON *v = stack[i];
        if (v->string) {
            append_path(path, &at, "%s%s", i > 1 ? "." : "", tn_quoted(doc->cx, v->string));
        } else {
            size_t index = 0;
            for (const cJSON *item = stack[i - 1]->child; item != v; item = item->next) index++;
            append_path(path, &at, "[%zu]", index);
        }
    }
    return path;
}

_Noreturn static void fail_duplicate(const JsonDoc *doc, const cJSON *node) {
    tn_fail(doc->cx, TN_E_FORMAT, "key '%s' appears twice", path_of(doc, node));
}

/* Collects the members of `object` and sorts them; fails on a key that appears twice. */
static void index_object(JsonDoc *doc, cJSON *object, size_t *capacity) {
    size_t from = doc->count;
    for (const cJSON *v = object->child; v; v = v->next) {
        doc->members = arena_grow(&doc->cx->arena, doc->members, capacity, doc->count + 1,
                                  sizeof *doc->members);
        doc->members[doc->count++] = v;
    }
    size_t n = doc->count - from;
    object->valueint = (int)from;
    object->valuedouble = (double)n;
    if (n > 1) qsort(doc->members + from, n, sizeof *doc->members, by_key);
    for (size_t i = from + 1; i < doc->count; i++)
        if (by_key(&doc->members[i - 1], &doc->members[i]) == 0)
            fail_duplicate(doc, doc->members[i]);
}

static void index_tree(JsonDoc *doc, cJSON *root) {
    const cJSON *stack[TN_MAX_NESTING + 1];
    size_t capacity = 0;
    int depth = 0;
    for (const cJSON *v = root; v; v = next_node(v, stack, &depth)) {
        if (cJSON_IsObject(v)) index_object(doc, (cJSON *)(uintptr_t)v, &capacity);
        if (cJSON_IsNumber(v) && !isfinite(v->valuedouble))
            tn_fail(doc->cx, TN_E_FORMAT, "key '%s' is a number beyond the range of double",
                    path_of(doc, v));
    }
}

static void delete_tree(void *root) {
    cJSON_Delete(root);
}

Json json_parse(Cx *cx, const char *name, const char *text, size_t size) {
    tn_enter(cx, "file", name);
    check_text(cx, text, size);
    JsonDoc *doc = ARENA_NEW(&cx->arena, JsonDoc);
    cJSON *root = cJSON_ParseWithLength(text, size); /* takes whatever the scanner takes */
    if (!root) tn_fail(cx, TN_E_MEMORY, "out of memory");
    *doc = (JsonDoc){.cx = cx, .name = name, .root = root};
    tn_defer(cx, delete_tree, root);
    index_tree(doc, root);
    tn_leave(cx);
    return (Json){doc, root};
}

static void close_file(void *file) {
    mapfile_close(file);
}

Json json_open(Cx *cx, const char *path, size_t max) {
    char why[256];
    MapFile *f = ARENA_NEW(&cx->arena, MapFile);
    tn_enter(cx, "file", path);
    TnStatus status = mapfile_open(f, path, why, sizeof why);
    if (status) tn_fail(cx, status, "%s", why);
    tn_defer(cx, close_file, f);
    if (f->size > max)
        tn_fail(cx, TN_E_LIMIT, "%zu bytes, more than the %zu allowed", f->size, max);
    tn_leave(cx);
    return json_parse(cx, path, (const char *)f->data, f->size);
}

JsonKind json_kind(Json v) {
    if (!v.node) return JSON_ABSENT;
    if (cJSON_IsNull(v.node)) return JSON_NULL;
    if (cJSON_IsBool(v.node)) return JSON_BOOL;
    if (cJSON_IsNumber(v.node)) return JSON_NUMBER;
    if (cJSON_IsString(v.node)) return JSON_STRING;
    return cJSON_IsArray(v.node) ? JSON_ARRAY : JSON_OBJECT;
}

Json json_find(Json object, const char *key) {
    Json none = {object.doc, NULL};
    if (json_kind(object) != JSON_OBJECT || !object.node->child) return none;
    const cJSON *const *members = object.doc->members + object.node->valueint;
    size_t low = 0, high = json_count(object);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(members[middle]->string, key);
        if (order == 0) return (Json){object.doc, members[middle]};
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return none;
}

size_t json_count(Json v) {
    size_t n = 0;
    if (json_kind(v) == JSON_OBJECT) return (size_t)v.node->valuedouble;
    for (Json item = json_first(v); item.node; item = json_next(item)) n++;
    return n;
}

Json json_first(Json v) {
    return (Json){v.doc, v.node ? v.node->child : NULL};
}

Json json_next(Json v) {
    return (Json){v.doc, v.node ? v.node->next : NULL};
}

const char *json_key(Json v) {
    return v.node ? v.node->string : NULL;
}

static const char *value_text(Json v) {
    Arena *arena = &v.doc->cx->arena;
    switch (json_kind(v)) {
    case JSON_ABSENT: return "missing";
    case JSON_NULL: return "null";
    case JSON_BOOL: return cJSON_IsTrue(v.node) ? "true" : "false";
    case JSON_NUMBER: {
        char *text = arena_printf(arena, "%.15g", v.node->valuedouble);
        bool exact = strtod(text, NULL) == v.node->valuedouble;
        return exact ? text : arena_printf(arena, "%.17g", v.node->valuedouble);
    }
    case JSON_STRING: return arena_printf(arena, "'%s'", tn_quoted(v.doc->cx, v.node->valuestring));
    case JSON_ARRAY: return arena_printf(arena, "a list of %zu", json_count(v));
    case JSON_OBJECT: return arena_printf(arena, "an object of %zu keys", json_count(v));
    }
    return "";
}

_Noreturn static void fail_at(Json v, const char *wanted, const char *range) {
    Cx *cx = v.doc->cx;
    const char *path = path_of(v.doc, v.node);
    tn_enter(cx, "file", v.doc->name);
    if (!*path)
        tn_fail(cx, TN_E_MODEL, "the document is %s, wanted %s%s", value_text(v), wanted, range);
    tn_fail(cx, TN_E_MODEL, "key '%s' is %s, wanted %s%s", path, value_text(v), wanted, range);
}

void json_fail_value(Json v, const char *wanted) {
    fail_at(v, wanted, "");
}

void json_fail_missing(Json object, const char *key, const char *wanted) {
    Cx *cx = object.doc->cx;
    const char *path = path_of(object.doc, object.node);
    tn_enter(cx, "file", object.doc->name);
    tn_fail(cx, TN_E_MODEL, "key '%s%s%s' is missing, wanted %s", path, *path ? "." : "",
            tn_quoted(cx, key), wanted);
}

_Noreturn static void fail_range(Json v, int64_t min, int64_t max) {
    fail_at(v, "an integer",
            arena_printf(&v.doc->cx->arena, " from %lld to %lld", (long long)min, (long long)max));
}

int64_t json_as_int(Json v, int64_t min, int64_t max) {
    if (json_kind(v) != JSON_NUMBER) fail_range(v, min, max);
    double d = v.node->valuedouble;
    if (d != floor(d) || fabs(d) > MAX_EXACT) fail_range(v, min, max);
    if ((int64_t)d < min || (int64_t)d > max) fail_range(v, min, max);
    return (int64_t)d;
}

double json_as_number(Json v) {
    if (json_kind(v) != JSON_NUMBER) json_fail_value(v, "a number");
    return v.node->valuedouble;
}

bool json_as_bool(Json v) {
    if (json_kind(v) != JSON_BOOL) json_fail_value(v, "true or false");
    return cJSON_IsTrue(v.node);
}

const char *json_as_string(Json v) {
    if (json_kind(v) != JSON_STRING) json_fail_value(v, "a string");
    return v.node->valuestring;
}

static Json need(Json o, const char *key, const char *wanted) {
    Json v = json_find(o, key);
    if (!v.node) json_fail_missing(o, key, wanted);
    return v;
}

static bool given(Json v) {
    return json_kind(v) != JSON_ABSENT && json_kind(v) != JSON_NULL;
}

Json json_object(Json o, const char *key) {
    Json v = need(o, key, "an object");
    if (json_kind(v) != JSON_OBJECT) json_fail_value(v, "an object");
    return v;
}

Json json_array(Json o, const char *key) {
    Json v = need(o, key, "a list");
    if (json_kind(v) != JSON_ARRAY) json_fail_value(v, "a list");
    return v;
}

int64_t json_int(Json o, const char *key, int64_t min, int64_t max) {
    return json_as_int(need(o, key, "an integer"), min, max);
}

const char *json_string(Json o, const char *key) {
    return json_as_string(need(o, key, "a string"));
}

int64_t json_int_or(Json o, const char *key, int64_t min, int64_t max, int64_t fallback) {
    Json v = json_find(o, key);
    return given(v) ? json_as_int(v, min, max) : fallback;
}

bool json_bool_or(Json o, const char *key, bool fallback) {
    Json v = json_find(o, key);
    return given(v) ? json_as_bool(v) : fallback;
}

const char *json_string_or(Json o, const char *key, const char *fallback) {
    Json v = json_find(o, key);
    return given(v) ? json_as_string(v) : fallback;
}
