/* Text made safe for messages. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "runtime/base/text.h"

static void expect(const char *s, size_t n, size_t max, const char *wanted) {
    char buffer[40] = "<";
    tn_append_escaped(buffer, sizeof buffer, s, n, max);
    assert_string_equal(buffer + 1, wanted);
}

static void escapes(void **state) {
    (void)state;
    expect("plain 'text'", 12, 30, "plain 'text'");
    expect("a\nb\x1b[0m\x7f", 8, 30, "a\\x0ab\\x1b[0m\\x7f");
    expect("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82", 14, 30,
           "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82");
    expect("\xc2\x85\xc3", 3, 30, "\\xc2\\x85\\xc3"); /* C1 control, cut character */
    expect("\xc0\xaf\xed\xa0\x80", 5, 30, "\\xc0\\xaf\\xed\\xa0\\x80"); /* overlong, surrogate */
    expect("a\0b", 3, 30, "a\\x00b");
}

static void cuts(void **state) {
    (void)state;
    expect("abcdefghij", 10, 10, "abcdefghij");
    expect("abcdefghijk", 11, 10, "abcdefg...");
    expect("abcdefg\n", 8, 10, "abcdefg...");
    expect("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", 9, 8, "\xe2\x82\xac...");
    char small[6] = "abcd";
    tn_append_escaped(small, sizeof small, "xyz", 3, 100);
    assert_string_equal(small, "abcd.");
    tn_append_escaped(small, sizeof small, "xyz", 3, 100);
    assert_string_equal(small, "abcd.");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(escapes), cmocka_unit_test(cuts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
