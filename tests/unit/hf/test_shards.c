/* Checkpoint folders: one file, shards, none, and what an index may not say. */
#include "frontend/hf/safetensors.h"
#include "tests/support/bytes.h"
#include "tests/support/expect_fail.h"
#include "tests/support/scratch.h"

#define INDEX "model.safetensors.index.json"

static void open_weights(Cx *cx, const void *folder) {
    weights_open(cx, folder);
}

/* A file with tensors named by the letters of `names`, each u8[1]. */
static void write_shard(const char *path, const char *names) {
    Bytes header = {0}, file = {0};
    size_t n = strlen(names);
    for (size_t i = 0; i < n; i++) {
        char text[128];
        snprintf(text, sizeof text,
                 "%s\"%c\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%zu,%zu]}",
                 i ? "," : "{", names[i], i, i + 1);
        bytes_text(&header, text);
    }
    bytes_text(&header, n ? "}" : "{}");
    bytes_u64(&file, header.size);
    bytes_put(&file, header.data, header.size);
    bytes_text(&file, names);
    write_file(path, file.data, file.size);
    bytes_free(&header);
    bytes_free(&file);
}

static void refuse_index(const char *text, TnStatus code, const char *message) {
    write_text(INDEX, text);
    expect_fail(open_weights, ".", code, message);
}

static int setup(void **state) {
    (void)state;
    scratch_empty();
    return 0;
}

static void read_two(Cx *cx, const void *folder) {
    const Weights *w = weights_open(cx, folder);
    assert_int_equal(weights_count(w), 3);
    assert_string_equal(weights_at(w, 0)->name, "b");
    assert_string_equal(weights_at(w, 2)->name, "c");
    assert_memory_equal(weights_find(w, "a")->data, "a", 1);
    assert_null(weights_find(w, "d"));
    assert_ptr_equal(weights_need(w, "a", 1, (int64_t[]){1}), weights_find(w, "a"));
    assert_ptr_equal(weights_need(w, "a", 1, (int64_t[]){-1}), weights_find(w, "a"));
}

static void test_shards(void **state) {
    (void)state;
    write_shard("1.safetensors", "ba");
    write_shard("2.safetensors", "c");
    write_text(INDEX, "{\"metadata\":{\"total_size\":3},\"weight_map\":{\"a\":\"1.safetensors\","
                      "\"b\":\"1.safetensors\",\"c\":\"2.safetensors\"}}");
    expect_ok(read_two, ".");
}

static void test_no_weights(void **state) {
    (void)state;
    expect_fail(open_weights, ".", TN_E_IO,
                ".: no weights: neither 'model.safetensors' nor '" INDEX "'");
    write_text("pytorch_model.bin", "PK");
    expect_fail(open_weights, ".", TN_E_FORMAT,
                ".: only 'pytorch_model.bin' here, a pickle, which can run code and is never read; "
                "convert it with "
                "transformers: from_pretrained(dir).save_pretrained(out)");
    assert_int_equal(symlink("model.safetensors", "model.safetensors"), 0);
    expect_any_fail(open_weights, ".");
    assert_int_equal(unlink("model.safetensors"), 0);
    assert_int_equal(mkfifo("model.safetensors", 0600), 0);
    expect_fail(open_weights, ".", TN_E_IO, "./model.safetensors: not a regular file");
}

static void need_missing(Cx *cx, const void *name) {
    weights_need(weights_open(cx, "."), name, 2, (int64_t[]){3, 4});
}

static void test_missing_tensor(void **state) {
    (void)state;
    const char *header = "{\"bert.w\":{\"dtype\":\"U8\",\"shape\":[4,3],\"data_offsets\":[0,12]}}";
    Bytes b = {0};
    bytes_u64(&b, strlen(header));
    bytes_text(&b, header);
    bytes_text(&b, "012345678901");
    write_file("model.safetensors", b.data, b.size);
    bytes_free(&b);
    expect_fail(need_missing, "bert.w", TN_E_MODEL,
                ".: tensor 'bert.w' has shape [4, 3], wanted [3, 4]");
    expect_fail(need_missing, "w", TN_E_MODEL,
                ".: tensor 'w' of shape [3, 4] is missing; there is 'bert.w'");
    expect_fail(need_missing, "x.bert.w", TN_E_MODEL,
                ".: tensor 'x.bert.w' of shape [3, 4] is missing; there is 'bert.w'");
    expect_fail(need_missing, "v", TN_E_MODEL, ".: tensor 'v' of shape [3, 4] is missing");
}

static void refuse_name(const char *name, const char *shown) {
    char text[512], message[512];
    snprintf(text, sizeof text, "{\"weight_map\":{\"a\":\"%s\"}}", name);
    snprintf(message, sizeof message,
             "./" INDEX
             ": key 'weight_map.a' is '%s', wanted the name of a file in the same folder",
             shown);
    refuse_index(text, TN_E_MODEL, message);
}

static void test_names(void **state) {
    (void)state;
    refuse_name("", "");
    refuse_name(".", ".");
    refuse_name("..", "..");
    refuse_name("../x.safetensors", "../x.safetensors");
    refuse_name("/etc/passwd", "/etc/passwd");
    refuse_name("sub/x.safetensors", "sub/x.safetensors");
    refuse_name("a\\\\b", "a\\b");
    refuse_name("file:///x", "file:///x");
    refuse_index("{\"weight_map\":{\"a\":\"x\\u0000\"}}", TN_E_FORMAT,
                 "./" INDEX ": line 1, column 22 (byte 21): \\u0000 in a string");
}

static void test_index(void **state) {
    (void)state;
    refuse_index("{\"weight_map\":[1]}", TN_E_MODEL,
                 "./" INDEX ": key 'weight_map' is a list of 1, wanted an object");
    refuse_index("{}", TN_E_MODEL, "./" INDEX ": key 'weight_map' is missing, wanted an object");
    refuse_index("{\"weight_map\":{}}", TN_E_MODEL,
                 "./" INDEX
                 ": key 'weight_map' is an object of 0 keys, wanted at least one tensor");
    refuse_index("{\"weight_map\":{\"a\":1}}", TN_E_MODEL,
                 "./" INDEX ": key 'weight_map.a' is 1, wanted a string");
    refuse_index("{\"weight_map\":{\"a\":", TN_E_FORMAT,
                 "./" INDEX
                 ": line 1, column 20 (byte 19): the text ends where a value should follow");
    refuse_index("{\"weight_map\":{\"a\":\"1.safetensors\"}}", TN_E_IO,
                 "./1.safetensors: No such file or directory");
    write_shard("1.safetensors", "b");
    refuse_index("{\"weight_map\":{\"a\":\"1.safetensors\"}}", TN_E_MODEL,
                 "./" INDEX ": tensor 'a' is not in '1.safetensors'");
    write_shard("1.safetensors", "ab");
    write_shard("2.safetensors", "b");
    refuse_index("{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}", TN_E_MODEL,
                 ".: tensor 'b' is in two shards");
}

/* An index of `count` files; the first 65 exist, each with one tensor. */
static void check_shard_count(int count, bool fits) {
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-*";
    Bytes b = {0};
    bytes_text(&b, "{\"weight_map\":{");
    for (int i = 0; i < count; i++) {
        char text[64], path[32], name[16];
        snprintf(path, sizeof path, "s%d", i);
        snprintf(name, sizeof name, i < 65 ? "%c" : "%d", i < 65 ? letters[i] : i);
        if (i < 65) write_shard(path, name);
        snprintf(text, sizeof text, "%s\"%s\":\"%s\"", i ? "," : "", name, path);
        bytes_text(&b, text);
    }
    bytes_text(&b, "}}");
    write_file(INDEX, b.data, b.size);
    if (fits)
        expect_ok(open_weights, ".");
    else
        expect_any_fail(open_weights, ".");
    bytes_free(&b);
}

static void test_shard_limit(void **state) {
    (void)state;
    check_shard_count(64, true);
    check_shard_count(65, false);
    check_shard_count(100000, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_shards, setup),
        cmocka_unit_test_setup(test_no_weights, setup),
        cmocka_unit_test_setup(test_missing_tensor, setup),
        cmocka_unit_test_setup(test_names, setup),
        cmocka_unit_test_setup(test_index, setup),
        cmocka_unit_test_setup(test_shard_limit, setup),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
