/* UTF-8: well-formed sequences at their borders, and what is not one. */
#include "runtime/base/utf8.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static size_t length_of(const char *s) {
    return tn_utf8_length((const unsigned char *)s, strlen(s));
}

static void test_length(void **state) {
    (void)state;
    static const char *const good[] = {"\x7f",         "\xc2\x80",         "\xdf\xbf",
                                       "\xe0\xa0\x80", "\xed\x9f\xbf",     "\xee\x80\x80",
                                       "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"",
                                      "\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2\x7f",
                                      "\xe0\x9f\x80",
                                      "\xe0\xa0",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xe1\x80\xc0",
                                      "\xf0\x8f\x80\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xf1\x80\x80",
                                      "\xff"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(length_of(good[i]), strlen(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(length_of(bad[i]), 0);
}

static void test_prefix(void **state) {
    (void)state;
    const unsigned char *text = (const unsigned char *)"a\xc3\xa9\0b\xff";
    assert_int_equal(tn_utf8_prefix(text, 6), 5);
    assert_int_equal(tn_utf8_prefix(text, 5), 5);
    assert_int_equal(tn_utf8_prefix(text, 2), 1);
}

static void test_every_code_point(void **state) {
    (void)state;
    for (unsigned c = 0; c <= 0x10ffff; c++) {
        if (c == 0xd800) c = 0xe000; /* surrogates */
        char s[4];
        size_t n = tn_utf8_put(s, c);
        assert_int_equal(n, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
        assert_int_equal(tn_utf8_length((unsigned char *)s, n), n);
        unsigned back = n == 1 ? (unsigned char)s[0] : (unsigned char)s[0] & (0x7fu >> n);
        for (size_t i = 1; i < n; i++) back = back << 6 | ((unsigned char)s[i] & 0x3f);
        assert_int_equal(back, c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_every_code_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
