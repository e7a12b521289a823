/* The JSON scanner and the document over it: what is refused, with which words, and exact access.
 */
#include "frontend/hf/json.h"
#include "runtime/base/limits.h"
#include "tests/support/bytes.h"
#include "tests/support/expect_fail.h"

typedef struct Text {
    const char *s;
    size_t size;
} Text;

static void parse(Cx *cx, const void *arg) {
    const Text *t = arg;
    json_parse(cx, "a.json", t->s, t->size);
}

static void refuse_n(const char *s, size_t size, TnStatus code, const char *message) {
    expect_fail(parse, &(Text){s, size}, code, message);
}

static void refuse(const char *s, const char *message) {
    refuse_n(s, strlen(s), TN_E_FORMAT, message);
}

static void accept(const char *s) {
    expect_ok(parse, &(Text){s, strlen(s)});
}

static void test_grammar(void **state) {
    (void)state;
    refuse("", "a.json: line 1, column 1 (byte 0): the text ends where a value should follow");
    refuse("{",
           "a.json: line 1, column 2 (byte 1): the text ends where a key in quotes should follow");
    refuse("{\"a\": 1,\n \"b\" 2}", "a.json: line 2, column 6 (byte 14): '2' where ':' should be");
    refuse("{\"a\": 1,}", "a.json: line 1, column 9 (byte 8): '}' where a key in quotes should be");
    refuse("[1 2]", "a.json: line 1, column 4 (byte 3): '2' where ',' or ']' should be");
    refuse("[1,]", "a.json: line 1, column 4 (byte 3): ']' where a value should be");
    refuse("{} x", "a.json: line 1, column 4 (byte 3): 'x' where the end of the text should be");
    refuse("{\"a\" 1}", "a.json: line 1, column 6 (byte 5): '1' where ':' should be");
    refuse("{\"a\"\x1a 1}", "a.json: line 1, column 5 (byte 4): byte 0x1a where ':' should be");
    refuse("{'a': 1}", "a.json: line 1, column 2 (byte 1): ''' where a key in quotes should be");
    refuse("[NaN]", "a.json: line 1, column 2 (byte 1): 'N' where a value should be");
    refuse("[tru]", "a.json: line 1, column 2 (byte 1): 't' where a value should be");
    refuse("// x\n1", "a.json: line 1, column 1 (byte 0): '/' where a value should be");
    refuse("]", "a.json: line 1, column 1 (byte 0): ']' where a value should be");
    refuse("[}", "a.json: line 1, column 2 (byte 1): '}' where a value should be");
    refuse(
        "{\"a\": \"b",
        "a.json: line 1, column 9 (byte 8): the text ends where the end of a string should follow");
    accept(" {\"a\": [], \"b\": {}, \"c\": [true, false, null]}\r\n\t");
    accept("3");
}

static void test_numbers(void **state) {
    (void)state;
    refuse("[01]", "a.json: line 1, column 2 (byte 1): a number with a leading zero");
    refuse("[-]", "a.json: line 1, column 3 (byte 2): ']' where a digit should be");
    refuse("[1.]", "a.json: line 1, column 4 (byte 3): ']' where a digit should be");
    refuse("[1e+]", "a.json: line 1, column 5 (byte 4): ']' where a digit should be");
    refuse("[+1]", "a.json: line 1, column 2 (byte 1): '+' where a value should be");
    refuse("{\"a\": [0, 1e400]}", "a.json: key 'a[1]' is a number beyond the range of double");
    refuse_n("[1000000000000000000000000000000000000000000000000000000000000]", 63, TN_E_LIMIT,
             "a.json: line 1, column 2 (byte 1): a number of 61 characters");
    accept("[0, -0, 1E5, 1e-5, 0.5, -12.25e+3, 1e-400]");
}

static void test_strings(void **state) {
    (void)state;
    refuse("\"\\x\"", "a.json: line 1, column 2 (byte 1): an escape that JSON does not have");
    refuse("\"\\u12g4\"", "a.json: line 1, column 2 (byte 1): an escape that JSON does not have");
    refuse("\"a\\u0000\"", "a.json: line 1, column 3 (byte 2): \\u0000 in a string");
    refuse("\"\\ud800\"", "a.json: line 1, column 2 (byte 1): half of a surrogate pair");
    refuse("\"\\udc00\"", "a.json: line 1, column 2 (byte 1): half of a surrogate pair");
    refuse("\"\\ud800\\u0041\"", "a.json: line 1, column 2 (byte 1): half of a surrogate pair");
    refuse("\"\xc0\x80\"", "a.json: line 1, column 2 (byte 1): invalid UTF-8");
    refuse("\"\xed\xa0\x80\"", "a.json: line 1, column 2 (byte 1): invalid UTF-8");
    refuse("\"\t\"", "a.json: line 1, column 2 (byte 1): control character 0x09 in a string");
    refuse_n("\"a\0b\"", 5, TN_E_FORMAT,
             "a.json: line 1, column 3 (byte 2): control character 0x00 in a string");
    refuse("\xef\xbb\xbf{}",
           "a.json: line 1, column 1 (byte 0): a byte-order mark; wanted plain UTF-8");
    refuse_n("\xff\xfe{\0}\0", 6, TN_E_FORMAT,
             "a.json: line 1, column 1 (byte 0): UTF-16; wanted UTF-8");
    accept("\"\\ud83d\\ude00 \xf0\x9f\x98\x80 \\\" \\\\ \\/ \\b\\f\\n\\r\\t\"");
}

static void test_duplicates(void **state) {
    (void)state;
    refuse("{\"a\": 1, \"b\": 2, \"a\": 3}", "a.json: key 'a' appears twice");
    refuse("{\"x\": [{\"ab\": 1, \"\\u0061b\": 2}]}", "a.json: key 'x[0].ab' appears twice");
    accept("{\"a\": {\"a\": {\"a\": 1}}, \"A\": 1}");
}

static void check_depth(const char *open, const char *close, size_t depth, bool fits) {
    Bytes b = {0};
    for (size_t i = 0; i < depth; i++) bytes_text(&b, open);
    bytes_text(&b, "1");
    for (size_t i = 0; i < depth; i++) bytes_text(&b, close);
    Text t = {(const char *)b.data, b.size};
    if (fits)
        expect_ok(parse, &t);
    else
        expect_any_fail(parse, &t);
    bytes_free(&b);
}

static void test_depth(void **state) {
    (void)state;
    check_depth("[", "]", TN_MAX_NESTING, true);
    check_depth("[", "]", TN_MAX_NESTING + 1, false);
    check_depth("{\"a\":", "}", TN_MAX_NESTING, true);
    check_depth("[", "]", 200000, false);
    check_depth("{\"a\":", "}", 200000, false);
    check_depth("[", "", 200000, false);
}

static void walk(Cx *cx, const void *arg) {
    const char *text = arg;
    Json root = json_parse(cx, "a.json", text, strlen(text));
    assert_int_equal(json_count(root), 4);
    assert_int_equal(json_int(root, "n", 0, 10), 7);
    assert_int_equal(json_int_or(root, "none", 0, 10, -1), -1);
    assert_int_equal(json_int_or(root, "null", 0, 10, -2), -2);
    assert_int_equal(json_kind(json_find(root, "N")), JSON_ABSENT);
    assert_int_equal(json_kind(json_find(json_find(root, "n"), "x")), JSON_ABSENT);
    Json list = json_array(root, "list");
    assert_int_equal(json_count(list), 3);
    assert_int_equal(json_as_int(json_first(list), 0, 1), 1);
    assert_true(json_as_number(json_next(json_first(list))) == 2.5);
    assert_string_equal(json_as_string(json_next(json_next(json_first(list)))), "x\n");
    assert_null(json_key(json_first(list)));
    assert_string_equal(json_key(json_first(root)), "n");
    assert_true(json_bool_or(json_object(root, "o"), "t", false));
}

static void test_access(void **state) {
    (void)state;
    expect_ok(walk,
              "{\"n\": 7, \"list\": [1, 2.5, \"x\\n\"], \"o\": {\"t\": true}, \"null\": null}");
}

/* A hundred thousand keys: looked up one by one without a quadratic cost. */
static void many_keys(Cx *cx, const void *arg) {
    const Text *t = arg;
    Json root = json_parse(cx, "a.json", t->s, t->size);
    for (int i = 0; i < 100000; i++) {
        char key[32];
        snprintf(key, sizeof key, "key%d", i);
        assert_int_equal(json_int(root, key, 0, 1 << 20), i);
    }
}

static void test_many_keys(void **state) {
    (void)state;
    Bytes b = {0};
    for (int i = 0; i < 100000; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s\"key%d\": %d", i ? "," : "{", i, i);
        bytes_text(&b, text);
    }
    bytes_text(&b, "}");
    expect_ok(many_keys, &(Text){(const char *)b.data, b.size});
    bytes_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar),   cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_strings),   cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_depth),     cmocka_unit_test(test_access),
        cmocka_unit_test(test_many_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
