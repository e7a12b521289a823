/* Running compiler code that may raise an error.
 *
 *     expect_fail(open_it, "model.onnx", TN_E_FORMAT, "model.onnx: offset 3: wire type 6");
 *     expect_ok(open_it, "model.onnx");
 *
 * Each call has a compilation of its own, freed afterwards. */
#ifndef TENON_TESTS_SUPPORT_EXPECT_FAIL_H
#define TENON_TESTS_SUPPORT_EXPECT_FAIL_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "ir/fail.h"

typedef void TryFn(Cx *cx, const void *arg);

/* Runs fn(cx, arg); returns its error and message, or TN_OK and "". */
static inline TnStatus try_call(TryFn *fn, const void *arg, char *message, size_t size) {
    Cx cx;
    jmp_buf on_fail;
    cx_init(&cx, tn_default_alloc());
    cx.on_fail = &on_fail;
    if (setjmp(on_fail) == 0) fn(&cx, arg);
    TnStatus code = cx.code;
    snprintf(message, size, "%s", code ? cx.message : "");
    cx_free(&cx);
    return code;
}

static inline void expect_fail(TryFn *fn, const void *arg, TnStatus code, const char *text) {
    char message[4096];
    TnStatus found = try_call(fn, arg, message, sizeof message);
    assert_string_equal(message, text);
    assert_int_equal(found, code);
}

/* Only that it fails, in a message of one printable line of at most 400 characters besides the
 * context. */
static inline void expect_any_fail(TryFn *fn, const void *arg) {
    char message[4096];
    assert_int_not_equal(try_call(fn, arg, message, sizeof message), TN_OK);
    assert_true(strlen(message) < 600);
    for (const char *p = message; *p; p++) assert_true((unsigned char)*p >= 0x20);
}

static inline void expect_ok(TryFn *fn, const void *arg) {
    char message[4096];
    TnStatus found = try_call(fn, arg, message, sizeof message);
    assert_string_equal(message, "");
    assert_int_equal(found, TN_OK);
}

#endif
