/* safetensors: every kind of damage that the format allows, with its message; and writing. */
#include "frontend/hf/safetensors.h"
#include "tests/support/bytes.h"
#include "tests/support/expect_fail.h"
#include "tests/support/scratch.h"

#define FILE_NAME "a.safetensors"

static void open_file(Cx *cx, const void *path) {
    st_open(cx, path);
}

/* A file of this header and `data_size` bytes of data. */
static void make(const char *header, size_t size, size_t data_size) {
    static const unsigned char data[256];
    Bytes b = {0};
    bytes_u64(&b, size);
    bytes_put(&b, header, size);
    bytes_put(&b, data, data_size);
    write_file(FILE_NAME, b.data, b.size);
    bytes_free(&b);
}

static void refuse(const char *header, size_t data_size, TnStatus code, const char *text) {
    char message[600];
    make(header, strlen(header), data_size);
    snprintf(message, sizeof message, FILE_NAME ": %s", text);
    expect_fail(open_file, FILE_NAME, code, message);
}

static void accept(const char *header, size_t data_size) {
    make(header, strlen(header), data_size);
    expect_ok(open_file, FILE_NAME);
}

/* A header of one tensor "w". */
static const char *one(const char *dtype, const char *shape, const char *offsets) {
    static char text[1024];
    snprintf(text, sizeof text, "{\"w\":{\"dtype\":%s,\"shape\":%s,\"data_offsets\":%s}}", dtype,
             shape, offsets);
    return text;
}

static void refuse_size(const void *bytes, size_t size, TnStatus code, const char *message) {
    write_file(FILE_NAME, bytes, size);
    expect_fail(open_file, FILE_NAME, code, message);
}

static void test_header_size(void **state) {
    (void)state;
    refuse_size("", 0, TN_E_FORMAT,
                FILE_NAME
                ": 0 bytes, a safetensors file has at least 8; the file looks like: empty");
    refuse_size("\1\0\0\0\0\0\0", 7, TN_E_FORMAT,
                FILE_NAME ": 7 bytes, a safetensors file has at least 8");
    refuse_size("\0\0\0\0\0\0\0\0", 8, TN_E_FORMAT, FILE_NAME ": the header is no JSON object");
    refuse_size("\3\0\0\0\0\0\0\0{}", 10, TN_E_FORMAT,
                FILE_NAME ": a header of 3 bytes in a file of 10");
    refuse_size("\0\0\0\0\0\0\0\x80{}", 10, TN_E_FORMAT,
                FILE_NAME ": a header of 9223372036854775808 bytes in a file of 10");
    refuse_size(
        "\xf8\xff\xff\xff\xff\xff\xff\xff{}", 10, TN_E_FORMAT,
        FILE_NAME
        ": a header of 18446744073709551608 bytes in a file of 10; the file looks like: text");
    refuse_size("\1\0\0\0\0\0\0\0{}", 10, TN_E_FORMAT,
                FILE_NAME
                ": line 1, column 2 (byte 9): the text ends where a key in quotes should follow");
    refuse_size("\2\0\0\0\0\0\0\0{}", 10, TN_OK, "");
}

/* One byte beyond the limit, in a file with a hole instead of data. */
static void test_header_limit(void **state) {
    (void)state;
    write_file(FILE_NAME, "\1\xe1\xf5\5\0\0\0\0{", 9);
    assert_int_equal(truncate(FILE_NAME, 100000009), 0);
    expect_fail(open_file, FILE_NAME, TN_E_LIMIT,
                FILE_NAME ": a header of 100000001 bytes, more than the 100000000 allowed");
}

static void test_other_files(void **state) {
    (void)state;
    refuse_size(
        "PK\3\4..........", 14, TN_E_FORMAT,
        FILE_NAME
        ": a header of 3327647949844073296 bytes in a file of 14; the file looks like: a zip "
        "archive (PyTorch checkpoint?)");
    refuse_size(
        "version https://git-lfs.github.com/spec/v1\n", 43, TN_E_FORMAT,
        FILE_NAME
        ": a header of 2336927755350992246 bytes in a file of 43; the file looks like: a Git "
        "LFS pointer");
    refuse_size("GGUF\3\0\0\0\0\0\0\0", 12, TN_E_FORMAT,
                FILE_NAME
                ": a header of 14064895815 bytes in a file of 12; the file looks like: GGUF");
    refuse_size("\x80\2}q\0.\0\0\0\0", 10, TN_E_FORMAT,
                FILE_NAME
                ": a header of 50579438895744 bytes in a file of 10; the file looks like: a pickle "
                "(PyTorch checkpoint?)");
    assert_int_equal(unlink(FILE_NAME), 0);
    assert_int_equal(mkdir(FILE_NAME, 0700), 0);
    expect_fail(open_file, FILE_NAME, TN_E_IO, FILE_NAME ": a folder, not a file");
    assert_int_equal(rmdir(FILE_NAME), 0);
    assert_int_equal(mkfifo(FILE_NAME, 0600), 0);
    expect_fail(open_file, FILE_NAME, TN_E_IO, FILE_NAME ": not a regular file");
    assert_int_equal(unlink(FILE_NAME), 0);
    expect_fail(open_file, "/dev/zero", TN_E_IO, "/dev/zero: not a regular file");
}

static void test_header_text(void **state) {
    (void)state;
    refuse("[]", 0, TN_E_FORMAT, "the header is no JSON object");
    refuse("\xef\xbb\xbf{}", 0, TN_E_FORMAT, "the header is no JSON object");
    refuse("{\"w\"", 0, TN_E_FORMAT,
           "line 1, column 5 (byte 12): the text ends where ':' should follow");
    refuse("{'w':1}", 0, TN_E_FORMAT,
           "line 1, column 2 (byte 9): ''' where a key in quotes should be");
    refuse("{\"__metadata__\":{},}", 0, TN_E_FORMAT,
           "line 1, column 20 (byte 27): '}' where a key in quotes should be");
    refuse("{} x", 0, TN_E_FORMAT,
           "line 1, column 4 (byte 11): 'x' where the end of the text should be");
    refuse("{\"\xff\":1}", 0, TN_E_FORMAT, "line 1, column 3 (byte 10): invalid UTF-8");
    refuse("{\"a\\ud800\":1}", 0, TN_E_FORMAT,
           "line 1, column 4 (byte 11): half of a surrogate pair");
    refuse("{\"a\\u0000b\":1}", 0, TN_E_FORMAT, "line 1, column 4 (byte 11): \\u0000 in a string");
    make("{\"a\0\":1}", 8, 0);
    expect_fail(open_file, FILE_NAME, TN_E_FORMAT,
                FILE_NAME ": line 1, column 4 (byte 11): control character 0x00 in a string");
    refuse("{\"w\":[]}", 0, TN_E_MODEL,
           "tensor 'w': line 1, column 6 (byte 13): the entry is no object");
}

static void test_duplicates(void **state) {
    (void)state;
    refuse("{\"ab\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
           "\"\\u0061b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
           2, TN_E_MODEL, "tensor 'ab' appears twice");
    refuse("{\"ab\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
           "\"ab\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
           1, TN_E_MODEL, "tensor 'ab' appears twice");
    refuse("{\"w\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
           TN_E_MODEL, "tensor 'w': line 1, column 21 (byte 28): field 'dtype' appears twice");
    refuse("{\"__metadata__\":{},\"__metadata__\":{}}", 0, TN_E_MODEL,
           "tensor '__metadata__': line 1, column 21 (byte 28): the entry appears twice");
    refuse("{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"strides\":[1],\"data_offsets\":[0,1]}}", 1,
           TN_E_MODEL, "tensor 'w': line 1, column 33 (byte 40): unknown field 'strides'");
    refuse("{\"w\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, TN_E_MODEL,
           "tensor 'w': line 1, column 31 (byte 38): field 'data_offsets' is missing");
}

static void test_metadata(void **state) {
    (void)state;
    accept("{\"__metadata__\":{\"format\":\"pt\"}}", 0);
    refuse(
        "{\"__metadata__\":{\"format\":1}}", 0, TN_E_MODEL,
        "tensor '__metadata__': line 1, column 27 (byte 34): values of metadata must be strings");
    refuse("{\"__metadata__\":\"pt\"}", 0, TN_E_MODEL,
           "tensor '__metadata__': line 1, column 18 (byte 25): the entry is no object");
}

static void test_dtype(void **state) {
    (void)state;
    static const char *const good[] = {"\"U8\"", "\"I8\"", "\"BOOL\""};
    for (size_t i = 0; i < 3; i++) accept(one(good[i], "[2]", "[0,2]"), 2);
    accept(one("\"BF16\"", "[]", "[0,2]"), 2);
    accept(one("\"F64\"", "[1,1,1,1,1,1,1,1]", "[0,8]"), 8);
    refuse(one("\"F31\"", "[1]", "[0,4]"), 4, TN_E_MODEL,
           "tensor 'w': line 1, column 16 (byte 23): dtype 'F31' is unknown");
    refuse(one("\"f32\"", "[1]", "[0,4]"), 4, TN_E_MODEL,
           "tensor 'w': line 1, column 16 (byte 23): dtype 'f32' is unknown");
    refuse(one("32", "[1]", "[0,4]"), 4, TN_E_MODEL,
           "tensor 'w': line 1, column 15 (byte 22): dtype is no string");
    refuse(one("\"F6_E3M2\"", "[1]", "[0,1]"), 1, TN_E_UNSUPPORTED,
           "tensor 'w': line 1, column 16 (byte 23): dtype F6_E3M2 is unsupported");
    refuse(one("\"F16\"", "[2]", "[0,8]"), 8, TN_E_MODEL,
           "tensor 'w': data_offsets span 8 bytes, shape [2] of f16 wants 4");
}

static void test_shape(void **state) {
    (void)state;
    refuse(one("\"F32\"", "[-1]", "[0,4]"), 4, TN_E_MODEL,
           "tensor 'w': line 1, column 30 (byte 37): a dim is -1, wanted an integer from 0");
    refuse(one("\"F32\"", "[1.5]", "[0,4]"), 4, TN_E_MODEL,
           "tensor 'w': line 1, column 30 (byte 37): a dim is 1.5, wanted an integer from 0");
    refuse(one("\"F32\"", "[1e1]", "[0,40]"), 40, TN_E_MODEL,
           "tensor 'w': line 1, column 30 (byte 37): a dim is 1e1, wanted an integer from 0");
    refuse(one("\"F32\"", "[\"1\"]", "[0,4]"), 4, TN_E_MODEL,
           "tensor 'w': line 1, column 31 (byte 38): a dim is '1', wanted an integer from 0");
    refuse(one("\"F32\"", "\"1\"", "[0,4]"), 4, TN_E_MODEL,
           "tensor 'w': line 1, column 30 (byte 37): shape is no list");
    refuse(one("\"F32\"", "[18446744073709551616]", "[0,4]"), 4, TN_E_MODEL,
           "tensor 'w': line 1, column 30 (byte 37): a dim is 18446744073709551616, wanted an "
           "integer from 0");
    refuse(one("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0, TN_E_MODEL,
           "tensor 'w': the size of shape [4294967296, 4294967296] overflows");
    refuse(one("\"F32\"", "[4611686018427387905]", "[0,4]"), 4, TN_E_MODEL,
           "tensor 'w': the size of shape [4611686018427387905] overflows");
    refuse(one("\"U8\"", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), 1, TN_E_LIMIT,
           "tensor 'w': line 1, column 45 (byte 52): more than 8 axes");
}

static void test_offsets(void **state) {
    (void)state;
    refuse(one("\"U8\"", "[1]", "[1,0]"), 1, TN_E_MODEL,
           "tensor 'w': data_offsets [1, 0] lie outside the 1 bytes of data");
    refuse(one("\"U8\"", "[1]", "[-1,0]"), 1, TN_E_MODEL,
           "tensor 'w': line 1, column 48 (byte 55): an offset is -1, wanted an integer from 0");
    refuse(one("\"U8\"", "[2]", "[0,2]"), 1, TN_E_MODEL,
           "tensor 'w': data_offsets [0, 2] lie outside the 1 bytes of data");
    refuse(one("\"U8\"", "[1]", "[9007199254740993,9007199254740994]"), 1, TN_E_MODEL,
           "tensor 'w': data_offsets [9007199254740993, 9007199254740994] lie outside the 1 bytes "
           "of data");
    refuse(one("\"U8\"", "[1]", "[0]"), 1, TN_E_MODEL,
           "tensor 'w': line 1, column 49 (byte 56): an offset is ']', wanted an integer from 0");
    refuse(one("\"U8\"", "[1]", "[0,1,2]"), 1, TN_E_MODEL,
           "tensor 'w': line 1, column 52 (byte 59): data_offsets has more than two items");
    refuse(one("\"U8\"", "[1]", "[1,2]"), 2, TN_E_MODEL,
           "tensor 'w': begins at data byte 1, leaving a hole: the tensor before ends at 0");
    refuse(one("\"U8\"", "[1]", "[0,1]"), 3, TN_E_MODEL, "2 bytes after the last tensor");
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
           "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
           3, TN_E_MODEL,
           "tensor 'b': begins at data byte 1, overlapping: the tensor before ends at 2");
    refuse("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
           "\"b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[1,1]}}",
           2, TN_E_MODEL,
           "tensor 'b': begins at data byte 1, overlapping: the tensor before ends at 2");
}

static void read_odd(Cx *cx, const void *path) {
    const SafeTensors *st = st_open(cx, path);
    assert_int_equal(st_count(st), 3);
    assert_string_equal(st_at(st, 0)->name, "b");
    assert_string_equal(st_at(st, 2)->name, "a");
    assert_int_equal(st_at(st, 1)->bytes, 0);
    const StTensor *a = st_find(st, "a");
    assert_int_equal(a->dtype, TN_I16);
    assert_int_equal(a->rank, 1);
    assert_memory_equal(a->data, "\3\0", 2);
    assert_memory_equal(st_find(st, "b")->data, "\1\0\1", 3); /* bools 7, 0, 1 */
    assert_null(st_find(st, "c"));
}

/* Data that starts unaligned, entries in another order than the data, fields in any order, blanks
 * around. */
static void test_odd_but_good(void **state) {
    (void)state;
    const char *header = "{ \"a\":{\"shape\":[1],\"data_offsets\":[3,5],\"dtype\":\"I16\"}, "
                         "\"e\":{\"dtype\":\"F32\",\"shape\":[0, 7],\"data_offsets\":[3,3]},"
                         "\"b\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[0,3]} }   ";
    Bytes b = {0};
    bytes_u64(&b, strlen(header));
    bytes_text(&b, header);
    bytes_put(&b, "\7\0\1\3\0", 5);
    write_file(FILE_NAME, b.data, b.size);
    expect_ok(read_odd, FILE_NAME);
    for (size_t size = 0; size < b.size; size++) { /* cut anywhere */
        write_file(FILE_NAME, b.data, size);
        expect_any_fail(open_file, FILE_NAME);
    }
    bytes_free(&b);
}

static void test_large(void **state) {
    (void)state;
    Bytes b = {0};
    for (int i = 0; i < 100000; i++) {
        char text[128];
        snprintf(text, sizeof text,
                 "%s\"t%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}", i ? "," : "{",
                 i);
        bytes_text(&b, text);
    }
    bytes_text(&b, "}");
    make((const char *)b.data, b.size, 0);
    expect_ok(open_file, FILE_NAME);
    b.size = 0;
    for (int i = 0; i < 100000; i++) bytes_text(&b, "{\"a\":");
    make((const char *)b.data, b.size, 0);
    expect_any_fail(open_file, FILE_NAME);
    b.size = 0;
    bytes_text(&b, "{\"");
    for (int i = 0; i < 4 << 20; i++) bytes_text(&b, "n");
    bytes_text(&b, "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}");
    make((const char *)b.data, b.size, 0);
    expect_fail(open_file, FILE_NAME, TN_E_LIMIT,
                FILE_NAME ": line 1, column 3 (byte 10): a name of 4194304 bytes");
    bytes_free(&b);
}

static void write_and_read(Cx *cx, const void *path) {
    static const float x[] = {1, 2, 3};
    static const int64_t ids[] = {4, 5};
    const StTensor tensors[] = {
        {.name = "mask \"\\\n\xc3\xa9",
         .dtype = TN_BOOL,
         .rank = 1,
         .dims = {1},
         .data = "\1",
         .bytes = 1},
        {.name = "x", .dtype = TN_F32, .rank = 2, .dims = {3, 1}, .data = x, .bytes = sizeof x},
        {.name = "ids", .dtype = TN_I64, .rank = 1, .dims = {2}, .data = ids, .bytes = sizeof ids},
        {.name = "none", .dtype = TN_F16, .rank = 1, .dims = {0}},
    };
    st_write(cx, path, tensors, 4);
    const SafeTensors *st = st_open(cx, path);
    assert_int_equal(st_count(st), 4);
    for (size_t i = 0; i < 4; i++) {
        const StTensor *t = st_find(st, tensors[i].name);
        assert_non_null(t);
        assert_int_equal(t->dtype, tensors[i].dtype);
        assert_int_equal(t->rank, tensors[i].rank);
        assert_memory_equal(t->dims, tensors[i].dims, sizeof t->dims);
        assert_int_equal(t->bytes, tensors[i].bytes);
        if (t->bytes) assert_memory_equal(t->data, tensors[i].data, t->bytes);
        assert_int_equal((uintptr_t)t->data % tn_dtype_size(t->dtype), 0);
    }
}

static void test_write(void **state) {
    (void)state;
    expect_ok(write_and_read, "out.safetensors");
    expect_ok(write_and_read, "out.safetensors"); /* over an old file */
    expect_fail(write_and_read, "nowhere/out.safetensors", TN_E_IO,
                "nowhere/out.safetensors: No such file or directory");
    expect_fail(write_and_read, ".", TN_E_IO, ".: a folder, not a file");
    expect_fail(write_and_read, "/dev/null", TN_E_IO, "/dev/null: not a regular file");
    assert_int_equal(mkdir("folder", 0700), 0);
    expect_fail(write_and_read, "folder", TN_E_IO, "folder: a folder, not a file");
    expect_fail(write_and_read, "folder/", TN_E_IO, "folder/: a folder, not a file");
    unlink("out.safetensors");
    unlink(FILE_NAME);
    assert_int_equal(rmdir("folder"), 0);
    DIR *left = opendir(".");
    for (struct dirent *e; (e = readdir(left));) assert_int_equal(e->d_name[0], '.');
    closedir(left);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_size), cmocka_unit_test(test_header_limit),
        cmocka_unit_test(test_other_files), cmocka_unit_test(test_header_text),
        cmocka_unit_test(test_duplicates),  cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_dtype),       cmocka_unit_test(test_shape),
        cmocka_unit_test(test_offsets),     cmocka_unit_test(test_odd_but_good),
        cmocka_unit_test(test_large),       cmocka_unit_test(test_write),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
