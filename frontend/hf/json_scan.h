/* An iterative, strict JSON scanner: one token at a time, no tree, no recursion.
 *
 * It takes RFC 8259 and nothing more: no byte-order mark, no comments, no trailing commas or bytes,
 * no NaN; strings are UTF-8 without raw control characters, lone surrogates or \u0000; nesting <=
 * TN_MAX_NESTING. What breaks a rule fails with "line 3, column 7 (byte 41): ...". Numbers are only
 * matched against the grammar: their size is for the reader to judge.
 *
 *     JsonScan s;
 *     json_scan_begin(&s, cx, text, size, 0);
 *     for (JsonToken t = json_scan(&s); t.kind != JSON_T_END; t = json_scan(&s)) ...
 *
 * Order of tokens for {"a": [1]}: OBJECT, KEY, ARRAY, NUMBER, CLOSE, CLOSE, END.
 */
#ifndef TENON_FRONTEND_HF_JSON_SCAN_H
#define TENON_FRONTEND_HF_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include "ir/fail.h"
#include "runtime/base/limits.h"

typedef enum JsonTokenKind {
    JSON_T_OBJECT, /* { */
    JSON_T_ARRAY,  /* [ */
    JSON_T_CLOSE,  /* } or ], whichever is open */
    JSON_T_KEY,
    JSON_T_STRING,
    JSON_T_NUMBER,
    JSON_T_TRUE,
    JSON_T_FALSE,
    JSON_T_NULL,
    JSON_T_END /* of the text; nothing but white space followed */
} JsonTokenKind;

typedef struct JsonToken {
    JsonTokenKind kind;
    const char *text; /* KEY, STRING: what is between the quotes; NUMBER: its digits */
    size_t size;
    bool escaped; /* the text contains escapes */
} JsonToken;

typedef struct JsonScan {
    Cx *cx;
    const char *text;
    size_t size, at;
    size_t base;               /* where `text` begins in its file */
    char open[TN_MAX_NESTING]; /* '{' or '[' per level */
    int depth;
    int state;
} JsonScan;

void json_scan_begin(JsonScan *s, Cx *cx, const char *text, size_t size, size_t base);
JsonToken json_scan(JsonScan *s);

/* The text of a KEY or STRING with escapes resolved, in the
 * arena, terminated. Without NULs inside. */
const char *json_scan_string(JsonScan *s, JsonToken t);

/* Fails with the position of `place`, a pointer into the text. */
_Noreturn void json_scan_fail(JsonScan *s, const char *place, TnStatus code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
