/* Elements of ONNX tensors in other files: offsets and lengths, and which files may be read. */
#include "tests/unit/onnx/tensor_case.h"

static Bytes external(int type, int64_t d0, const char *location, const char *offset,
                      const char *length) {
    Bytes t = head(type, d0, 1);
    if (location) onnx_put_external(&t, "location", location);
    if (offset) onnx_put_external(&t, "offset", offset);
    if (length) onnx_put_external(&t, "length", length);
    bytes_field_int(&t, 14, 1);
    return t;
}

static void test_external(void **state) {
    (void)state;
    write_file("w.bin", sixteen, 16);
    assert_int_equal(mkdir("sub", 0700), 0);
    write_file("sub/w.bin", sixteen, 16);
    accept(external(FLOAT, 4, "w.bin", NULL, NULL), TN_F32, sixteen, 16, true);
    accept(external(FLOAT, 3, "sub/w.bin", "4", "12"), TN_F32, sixteen + 4, 12, true);
    accept(external(FLOAT, 0, "w.bin", "16", "0"), TN_F32, NULL, 0, false);
    refuse(external(FLOAT, 4, "w.bin", "1", NULL), TN_E_MODEL,
           "external data 'w.bin': offset 1 and length 16 in a file of 16 bytes");
    refuse(external(FLOAT, 1, "w.bin", "9223372036854775807", NULL), TN_E_MODEL,
           "external data 'w.bin': offset 9223372036854775807 and length 4 in a file of 16 bytes");
    refuse(external(FLOAT, 1, "w.bin", "18446744073709551615", NULL), TN_E_MODEL,
           "external data 'w.bin': offset 18446744073709551615 and length 4 in a file of 16 bytes");
    refuse(external(FLOAT, 1, "w.bin", "18446744073709551616", NULL), TN_E_MODEL,
           "offset of external data is '18446744073709551616', wanted a number of bytes");
    refuse(external(FLOAT, 1, "w.bin", "-1", NULL), TN_E_MODEL,
           "offset of external data is '-1', wanted a number of bytes");
    refuse(external(FLOAT, 1, "w.bin", "12abc", NULL), TN_E_MODEL,
           "offset of external data is '12abc', wanted a number of bytes");
    refuse(external(FLOAT, 1, "w.bin", "", NULL), TN_E_MODEL,
           "offset of external data is '', wanted a number of bytes");
    refuse(external(FLOAT, 1, "w.bin", "0", "8"), TN_E_MODEL,
           "length of external data is 8, shape [1, 1] of f32 wants 4 bytes");
    refuse(external(FLOAT, 1, NULL, "0", "4"), TN_E_MODEL, "external data without a location");
    Bytes t = external(FLOAT, 1, "w.bin", "0", "4");
    onnx_put_external(&t, "offset", "4");
    refuse(t, TN_E_MODEL, "external_data has two entries 'offset'");
    refuse(with_raw(external(FLOAT, 1, "w.bin", "0", "4"), "1234", 4), TN_E_MODEL,
           "elements both in the model and in external data");
    t = with_raw(head(FLOAT, 1, 1), "1234", 4);
    onnx_put_external(&t, "location", "w.bin");
    refuse(t, TN_E_MODEL, "external_data of a tensor whose data_location is not external");
    t = with_raw(head(FLOAT, 1, 1), "1234", 4);
    bytes_field_int(&t, 14, 2);
    refuse(t, TN_E_MODEL, "data_location is 2, wanted 0 or 1");
}

static void refuse_location(const char *location, const char *why) {
    char text[600];
    snprintf(text, sizeof text, "external data '%s': %s", location, why);
    refuse(external(FLOAT, 1, location, NULL, NULL), TN_E_IO, text);
}

static void test_locations(void **state) {
    (void)state;
    refuse_location("../w.bin", "'..' leads out of the folder");
    refuse_location("sub/../../w.bin", "'..' leads out of the folder");
    refuse_location("/etc/passwd", "an absolute path; names must be relative to the folder");
    refuse_location("file:///etc/passwd", "a URL, not a file name");
    refuse_location("sub\\w.bin", "a backslash in the file name");
    refuse_location("", "an empty file name");
    refuse_location("sub", "a folder, not a file");
    refuse_location("none.bin", "No such file or directory");
    assert_int_equal(mkfifo("fifo", 0600), 0);
    refuse_location("fifo", "not a regular file");
    assert_int_equal(symlink("w.bin", "link"), 0);
    refuse_location("link", "a symbolic link");
    assert_int_equal(symlink("sub", "linked"), 0);
    save(&(Bytes){0});
    Bytes t = external(FLOAT, 1, "linked/w.bin", NULL, NULL);
    save(&t);
    expect_any_fail(read_tensor, NULL);
    assert_int_equal(symlink("loop", "loop"), 0);
    refuse_location("loop", "a symbolic link");
    Bytes entry = {0}, nul = head(FLOAT, 1, 1);
    bytes_field_text(&entry, 1, "location");
    bytes_field_bytes(&entry, 2, "w.bin\0x", 7);
    bytes_field_message(&nul, 13, &entry);
    save(&nul);
    expect_fail(read_tensor, NULL, TN_E_FORMAT,
                FILE_NAME ": offset 27: 'value' of StringStringEntryProto contains a NUL");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_external),
        cmocka_unit_test(test_locations),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
