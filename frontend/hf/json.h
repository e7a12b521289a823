/* Strict JSON over cJSON.
 *
 * Text is scanned first (json_scan.h: grammar, nesting, UTF-8, trailing bytes) and only then given
 * to cJSON; the tree is then indexed. Invariant: a document that parsed has no duplicate keys, no
 * non-finite numbers, no NUL in strings and at most TN_MAX_NESTING levels; look-up is exact in case
 * and takes constant time. Integers are exact or refused: a value beyond 2^53 - 1 never passes
 * json_as_int.
 *
 *     Json root = json_parse(cx, "config.json", text, size);
 *     int64_t layers = json_int(root, "num_hidden_layers", 1, 1000);
 *     for (Json v = json_first(root); json_kind(v) != JSON_ABSENT; v = json_next(v))
 * use(json_key(v));
 *
 * The document lives as long as the compilation.
 */
#ifndef TENON_FRONTEND_HF_JSON_H
#define TENON_FRONTEND_HF_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ir/fail.h"

struct cJSON;
typedef struct JsonDoc JsonDoc;

typedef enum JsonKind {
    JSON_ABSENT,
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
} JsonKind;

/* A value within a document; passed by value. */
typedef struct Json {
    const JsonDoc *doc;
    const struct cJSON *node;
} Json;

/* `name` is the file's name in messages; it is kept, not copied. */
Json json_parse(Cx *cx, const char *name, const char *text, size_t size);

/* Reads a regular file of at most `max` bytes; the path is kept, too. */
Json json_open(Cx *cx, const char *path, size_t max);

JsonKind json_kind(Json v);

/* The value under `key` of an object; JSON_ABSENT if there is none or `object` is no object. */
Json json_find(Json object, const char *key);

/* Children of an array or object, in file order; JSON_ABSENT ends the list. */
size_t json_count(Json v);
Json json_first(Json v);
Json json_next(Json v);
const char *json_key(Json v); /* NULL for array items and the root */

/* The value itself; fails with its path, what was found and what was wanted. */
int64_t json_as_int(Json v, int64_t min, int64_t max);
double json_as_number(Json v);
bool json_as_bool(Json v);
const char *json_as_string(Json v);

/* The value under `key`, which must be there and be of this kind. */
Json json_object(Json o, const char *key);
Json json_array(Json o, const char *key);
int64_t json_int(Json o, const char *key, int64_t min, int64_t max);
const char *json_string(Json o, const char *key);

/* The same; absent or null gives the fallback. */
int64_t json_int_or(Json o, const char *key, int64_t min, int64_t max, int64_t fallback);
bool json_bool_or(Json o, const char *key, bool fallback);
const char *json_string_or(Json o, const char *key, const char *fallback);

/* Fails with "key 'a.b' is VALUE, wanted ..." under the document's name. */
_Noreturn void json_fail_value(Json v, const char *wanted);
/* Fails with "key 'a.b' is missing, wanted ...". */
_Noreturn void json_fail_missing(Json object, const char *key, const char *wanted);

#endif
