/* config.json: the accessors, and each kind of bad file and bad value with its message. */
#include "frontend/hf/config.h"
#include "tests/support/bytes.h"
#include "tests/support/expect_fail.h"
#include "tests/support/scratch.h"

#define MAX_CONFIG ((size_t)16 << 20)

static void open_config(Cx *cx, const void *folder) {
    config_open(cx, folder);
}

static void refuse_file(const char *text, TnStatus code, const char *message) {
    write_text("config.json", text);
    expect_fail(open_config, ".", code, message);
}

static void test_bad_files(void **state) {
    (void)state;
    unlink("config.json");
    expect_fail(open_config, ".", TN_E_IO, "./config.json: No such file or directory");
    expect_fail(open_config, "nowhere", TN_E_IO, "nowhere/config.json: No such file or directory");
    refuse_file(
        "", TN_E_FORMAT,
        "./config.json: line 1, column 1 (byte 0): the text ends where a value should follow");
    refuse_file("model_type: bert\n", TN_E_FORMAT,
                "./config.json: line 1, column 1 (byte 0): 'm' where a value should be");
    refuse_file("[1]", TN_E_MODEL, "./config.json: the document is a list of 1, wanted an object");
    refuse_file(
        "{\n  \"hidden_size\": 3", TN_E_FORMAT,
        "./config.json: line 2, column 19 (byte 20): the text ends where ',' or '}' should follow");
    refuse_file(
        "{}\n{}", TN_E_FORMAT,
        "./config.json: line 2, column 1 (byte 3): '{' where the end of the text should be");
    refuse_file("{\"hidden_size\": 1, \"hidden_size\": 2}", TN_E_FORMAT,
                "./config.json: key 'hidden_size' appears twice");
    refuse_file("{\"quantization_config\": {\"quant_method\": \"awq\"}}", TN_E_UNSUPPORTED,
                "./config.json: quantization_config (method 'awq') is unsupported");
    unlink("config.json");
}

static void test_not_regular(void **state) {
    (void)state;
    assert_int_equal(mkdir("config.json", 0700), 0);
    expect_fail(open_config, ".", TN_E_IO, "./config.json: a folder, not a file");
    assert_int_equal(rmdir("config.json"), 0);
    assert_int_equal(mkfifo("config.json", 0600), 0);
    expect_fail(open_config, ".", TN_E_IO, "./config.json: not a regular file");
    assert_int_equal(unlink("config.json"), 0);
    assert_int_equal(symlink("config.json", "config.json"), 0);
    expect_any_fail(open_config, ".");
    assert_int_equal(unlink("config.json"), 0);
}

static void test_size_limit(void **state) {
    (void)state;
    char *text = malloc(MAX_CONFIG + 1);
    memset(text, ' ', MAX_CONFIG + 1);
    memcpy(text, "{}", 2);
    write_file("config.json", text, MAX_CONFIG);
    expect_ok(open_config, ".");
    write_file("config.json", text, MAX_CONFIG + 1);
    expect_fail(open_config, ".", TN_E_LIMIT,
                "./config.json: 16777217 bytes, more than the 16777216 allowed");
    free(text);
    unlink("config.json");
}

static void read_size(Cx *cx, const void *arg) {
    (void)arg;
    config_int(config_open(cx, "."), "hidden_size", 1, 65536);
}

static void refuse_size(const char *value, const char *shown) {
    char text[512], message[512];
    snprintf(text, sizeof text, "{\"hidden_size\": %s}", value);
    write_text("config.json", text);
    snprintf(message, sizeof message,
             "./config.json: key 'hidden_size' is %s, wanted an integer from 1 to 65536", shown);
    expect_fail(read_size, NULL, TN_E_MODEL, message);
}

static void test_sizes(void **state) {
    (void)state;
    refuse_size("0", "0");
    refuse_size("-1", "-1");
    refuse_size("1.5", "1.5");
    refuse_size("\"768\"", "'768'");
    refuse_size("[768]", "a list of 1");
    refuse_size("{}", "an object of 0 keys");
    refuse_size("true", "true");
    refuse_size("65537", "65537");
    refuse_size("2147483648", "2147483648");
    refuse_size("4294967328", "4294967328");
    refuse_size("9007199254740993", "9007199254740992");
    refuse_size("9223372036854775808", "9.2233720368547758e+18");
    refuse_size("1e30", "1e+30");
    refuse_size("\"\\u001b[31m%s%n\"", "'\\x1b[31m%s%n'");
    write_text("config.json", "{\"hidden_size\": 1e400}");
    expect_fail(read_size, NULL, TN_E_FORMAT,
                "./config.json: key 'hidden_size' is a number beyond the range of double");
    write_text("config.json", "{\"hidden_size\": null}");
    expect_fail(read_size, NULL, TN_E_MODEL,
                "./config.json: key 'hidden_size' is null, wanted an integer");
    write_text("config.json", "{}");
    expect_fail(read_size, NULL, TN_E_MODEL,
                "./config.json: key 'hidden_size' is missing, wanted an integer");
    write_text("config.json", "{\"hidden_size\": 65536}");
    expect_ok(read_size, NULL);
}

static void read_alternatives(Cx *cx, const void *arg) {
    (void)arg;
    config_int(config_open(cx, "."), "n_embd|hidden_size|d_model", 1, 10);
}

static void read_nested(Cx *cx, const void *arg) {
    (void)arg;
    config_int(config_sub(config_open(cx, "."), "text_config"), "layers", 1, 10);
}

static void test_messages_name_the_key(void **state) {
    (void)state;
    write_text("config.json", "{\"text_config\": {\"layers\": -1}}");
    expect_fail(
        read_alternatives, NULL, TN_E_MODEL,
        "./config.json: key 'n_embd' or 'hidden_size' or 'd_model' is missing, wanted an integer");
    expect_fail(read_nested, NULL, TN_E_MODEL,
                "./config.json: key 'text_config.layers' is -1, wanted an integer from 1 to 10");
    write_text("config.json", "{\"d_model\": 11}");
    expect_fail(read_alternatives, NULL, TN_E_MODEL,
                "./config.json: key 'd_model' is 11, wanted an integer from 1 to 10");
}

static void read_all(Cx *cx, const void *arg) {
    (void)arg;
    Config *c = config_open(cx, ".");
    assert_string_equal(config_architecture(c), "GPT2LMHeadModel");
    assert_string_equal(config_model_type(c), "gpt2");
    assert_int_equal(config_int(c, "hidden_size|n_embd", 1, 100), 32);
    assert_int_equal(config_int_or(c, "n_inner", 1, 100, 128), 128);
    assert_true(config_float(c, "eps") == 1e-5);
    assert_true(config_float_or(c, "absent", 0.5) == 0.5);
    assert_true(config_bool_or(c, "tie", false));
    assert_false(config_bool_or(c, "absent", false));
    assert_string_equal(config_string(c, "act"), "gelu_new");
    assert_string_equal(config_string_or(c, "n_inner", "x"), "x");
    assert_true(config_has(c, "act"));
    assert_false(config_has(c, "n_inner"));
    int64_t sizes[4] = {0};
    assert_int_equal(config_ints(c, "sizes", 0, 10, sizes, 4), 3);
    assert_int_equal(sizes[2], 3);
    assert_int_equal(config_ints(c, "absent", 0, 10, sizes, 4), 0);
    assert_null(config_sub(c, "absent"));
    assert_string_equal(json_as_string(json_find(config_value(c, "id2label"), "1")), "good");
}

static void test_access(void **state) {
    (void)state;
    write_text(
        "config.json",
        "{\"architectures\": [\"GPT2LMHeadModel\"], \"model_type\": \"gpt2\", \"n_embd\": 32,"
        "\"n_inner\": null, \"eps\": 1e-05, \"tie\": true, \"act\": \"gelu_new\","
        "\"sizes\": [1, 2, 3], \"id2label\": {\"0\": \"bad\", \"1\": \"good\"},"
        "\"auto_map\": {\"AutoModel\": \"../evil.py--Model\"}}");
    expect_ok(read_all, NULL);
}

static void test_large(void **state) {
    (void)state;
    Bytes b = {0};
    for (int i = 0; i < 200000; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s\"k%d\": {\"v\": 1}", i ? "," : "{", i);
        bytes_text(&b, text);
    }
    bytes_text(&b, "}");
    write_file("config.json", b.data, b.size);
    expect_ok(open_config, ".");
    b.size = 0;
    for (int i = 0; i < 200000; i++) bytes_text(&b, "{\"a\":");
    write_file("config.json", b.data, b.size);
    expect_fail(open_config, ".", TN_E_LIMIT,
                "./config.json: line 1, column 321 (byte 320): nested more than 64 deep");
    bytes_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_not_regular),
        cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_messages_name_the_key),
        cmocka_unit_test(test_access),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
