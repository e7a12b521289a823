/* The scan of the protobuf wire and the header of a model: what is refused, at which offset, and
 * how cheaply. */
#include <sys/resource.h>
#include "frontend/onnx/model.h"
#include "runtime/base/limits.h"
#include "tests/support/expect_fail.h"
#include "tests/support/onnx_bytes.h"
#include "tests/support/scratch.h"

#define FILE_NAME "m.onnx"

static void open_model(Cx *cx, const void *path) {
    onnx_open(cx, path);
}

static void refuse_bytes(const void *data, size_t size, TnStatus code, const char *text) {
    char message[600];
    write_file(FILE_NAME, data, size);
    snprintf(message, sizeof message, FILE_NAME ": %s", text);
    expect_fail(open_model, FILE_NAME, code, message);
}

/* Takes `model` and frees it. */
static void refuse(Bytes model, TnStatus code, const char *text) {
    refuse_bytes(model.data, model.size, code, text);
    bytes_free(&model);
}

static void accept(Bytes model) {
    write_file(FILE_NAME, model.data, model.size);
    expect_ok(open_model, FILE_NAME);
    bytes_free(&model);
}

static Bytes empty_graph_model(void) {
    Bytes graph = {0};
    return onnx_model(&graph);
}

/* A model whose graph is this text. */
static Bytes model_of(const void *graph, size_t size) {
    Bytes b = {0};
    bytes_put(&b, graph, size);
    return onnx_model(&b);
}

static void test_other_files(void **state) {
    (void)state;
    refuse_bytes("", 0, TN_E_FORMAT, "no graph in the file; it looks like: empty");
    refuse_bytes("\1", 1, TN_E_FORMAT,
                 "not an ONNX model: offset 0: field number 0, wanted 1 to 536870911");
    refuse_bytes("hello world\n", 12, TN_E_FORMAT, "not an ONNX model; the file looks like: text");
    refuse_bytes("<!DOCTYPE html><html>", 21, TN_E_FORMAT,
                 "not an ONNX model; the file looks like: HTML");
    refuse_bytes("version https://git-lfs.github.com/spec/v1\n", 43, TN_E_FORMAT,
                 "not an ONNX model; the file looks like: a Git LFS pointer");
    refuse_bytes("\x1f\x8b\x08\0\0\0\0\0", 8, TN_E_FORMAT,
                 "not an ONNX model; the file looks like: gzip");
    refuse_bytes("PK\3\4\x14\0\0\0", 8, TN_E_FORMAT,
                 "not an ONNX model; the file looks like: a zip archive (PyTorch checkpoint?)");
    expect_fail(open_model, "nowhere.onnx", TN_E_IO, "nowhere.onnx: No such file or directory");
    expect_fail(open_model, ".", TN_E_IO, ".: a folder, not a file");
    expect_fail(open_model, "/dev/zero", TN_E_IO, "/dev/zero: not a regular file");
}

static void test_cut_anywhere(void **state) {
    (void)state;
    Bytes graph = {0}, node = {0};
    bytes_field_text(&node, 1, "x");
    bytes_field_text(&node, 4, "Relu");
    bytes_field_message(&graph, 1, &node);
    bytes_field_text(&graph, 2, "main");
    Bytes model = onnx_model(&graph);
    for (size_t size = 0; size < model.size; size++) {
        write_file(FILE_NAME, model.data, size);
        expect_any_fail(open_model, FILE_NAME);
    }
    refuse_bytes(model.data, 15, TN_E_FORMAT,
                 "offset 2: length 17 runs past the end of its message (11 bytes left)");
    accept(model);
}

static void test_lengths(void **state) {
    (void)state;
    refuse_bytes("\x08\x08\x3a\x01", 4, TN_E_FORMAT,
                 "offset 2: length 1 runs past the end of its message (0 bytes left)");
    refuse_bytes("\x3a\x80\x80\x80\x80\x08", 6, TN_E_FORMAT,
                 "not an ONNX model: offset 0: length 2147483648 runs past the end of its message "
                 "(0 bytes left)");
    refuse_bytes("\x3a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11, TN_E_FORMAT,
                 "not an ONNX model: offset 0: length 9223372036854775808 runs past the end of its "
                 "message (0 bytes left)");
    refuse_bytes("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, TN_E_FORMAT,
                 "not an ONNX model: offset 0: length 18446744073709551615 runs past the end of "
                 "its message (0 bytes left)");
    refuse(model_of("\x0a\x05\x0a", 3), TN_E_FORMAT,
           "offset 4: length 5 runs past the end of its message (1 bytes left)");
    refuse(model_of("\x0a\x05\x7a\x03\x01\x01", 6),
           TN_E_FORMAT, /* a node that ends behind its graph */
           "offset 4: length 5 runs past the end of its message (4 bytes left)");
}

static void test_encoding(void **state) {
    (void)state;
    refuse_bytes("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, TN_E_FORMAT,
                 "offset 1: a number of more than 64 bits");
    refuse_bytes("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, TN_E_FORMAT,
                 "offset 1: a number of more than 64 bits");
    refuse_bytes("\x08\xff", 2, TN_E_FORMAT, "offset 1: a number runs past the end of its message");
    refuse_bytes("\x00\x01", 2, TN_E_FORMAT,
                 "not an ONNX model: offset 0: field number 0, wanted 1 to 536870911");
    refuse_bytes("\x88\x80\x80\x80\x80\x01\x00", 7, TN_E_FORMAT,
                 "not an ONNX model: offset 0: field number 4294967297, wanted 1 to 536870911");
    refuse_bytes("\x08\x08\x0b\x0c", 4, TN_E_FORMAT, "offset 2: wire type 3, wanted 0, 1, 2 or 5");
    refuse_bytes("\x08\x08\x0c", 3, TN_E_FORMAT, "offset 2: wire type 4, wanted 0, 1, 2 or 5");
    refuse_bytes("\x08\x08\x0e", 3, TN_E_FORMAT, "offset 2: wire type 6, wanted 0, 1, 2 or 5");
    refuse_bytes("\x08\x08\x0f", 3, TN_E_FORMAT, "offset 2: wire type 7, wanted 0, 1, 2 or 5");
    refuse_bytes("\x08\x08\x3d\1\2\3", 6, TN_E_FORMAT,
                 "offset 2: wire type 5 for 'graph' of ModelProto, wanted 2");
    refuse_bytes("\x08\x08\x38\1", 4, TN_E_FORMAT,
                 "offset 2: wire type 0 for 'graph' of ModelProto, wanted 2");
    refuse_bytes(
        "\x0a\1\1", 3, TN_E_FORMAT,
        "not an ONNX model: offset 0: wire type 2 for 'ir_version' of ModelProto, wanted 0");
    refuse_bytes("\x08\x08\xa1\x06\1\2", 6, TN_E_FORMAT,
                 "offset 2: a value of 8 bytes runs past the end of its message (2 bytes left)");
}

static void test_unknown_fields(void **state) {
    (void)state;
    Bytes model = empty_graph_model();
    bytes_field_int(&model, 100, 7);
    bytes_field_text(&model, 6, "a doc string\xff");
    bytes_tag(&model, 101, 5);
    bytes_text(&model, "1234");
    bytes_tag(&model, 102, 1);
    bytes_text(&model, "12345678");
    for (int i = 0; i < 200000; i++) bytes_field_int(&model, 200, i);
    accept(model);
}

static void test_joined(void **state) {
    (void)state;
    Bytes model = empty_graph_model();
    size_t size = model.size;
    char text[100];
    bytes_put(&model, "\x08\x08\x3a\0", 4);
    snprintf(text, sizeof text,
             "offset %zu: a second 'ir_version' in one ModelProto (two files joined?)", size);
    refuse(model, TN_E_FORMAT, text);
    model = empty_graph_model();
    bytes_put(&model, "\x3a\0", 2);
    snprintf(text, sizeof text,
             "offset %zu: a second 'graph' in one ModelProto (two files joined?)", size);
    refuse(model, TN_E_FORMAT, text);
    model = empty_graph_model();
    bytes_put(&model, "\0\0\0\0", 4);
    snprintf(text, sizeof text, "offset %zu: field number 0, wanted 1 to 536870911", size);
    refuse(model, TN_E_FORMAT, text);
}

static Bytes node_named(const char *name, size_t size) {
    Bytes node = {0}, graph = {0};
    bytes_field_bytes(&node, 3, name, size);
    bytes_field_message(&graph, 1, &node);
    return onnx_model(&graph);
}

static void test_strings(void **state) {
    (void)state;
    char *name = malloc(TN_MAX_NAME + 1);
    memset(name, 'n', TN_MAX_NAME + 1);
    accept(node_named(name, TN_MAX_NAME));
    refuse(node_named(name, TN_MAX_NAME + 1), TN_E_LIMIT,
           "offset 10: 'name' of NodeProto has 65537 bytes, more than the 65536 allowed");
    refuse(node_named("a\0b", 3), TN_E_FORMAT, "offset 6: 'name' of NodeProto contains a NUL");
    refuse(node_named("a\xff", 2), TN_E_FORMAT, "offset 6: 'name' of NodeProto is not UTF-8");
    accept(node_named("%s%n\x1b[31m", 9));
    free(name);
}

/* `depth` subgraphs inside each other: graph, node, attribute each. */
static Bytes nested_graphs(size_t depth) {
    static const unsigned char tags[] = {0x32, 0x2a,
                                         0x0a}; /* attribute.g, node.attribute, graph.node */
    unsigned char *reversed = malloc(depth * 3 * 11);
    size_t n = 0;
    for (size_t i = 0; i < depth * 3; i++) {
        Bytes length = {0};
        bytes_varint(&length, n);
        for (size_t k = length.size; k > 0; k--) reversed[n++] = length.data[k - 1];
        reversed[n++] = tags[i % 3];
        bytes_free(&length);
    }
    Bytes graph = {0};
    for (size_t i = n; i > 0; i--) bytes_put(&graph, &reversed[i - 1], 1);
    free(reversed);
    return onnx_model(&graph);
}

static void test_nesting(void **state) {
    (void)state;
    accept(nested_graphs(20)); /* with model and graph 62 messages */
    write_file(FILE_NAME, "", 0);
    refuse(nested_graphs(21), TN_E_LIMIT, "offset 128: messages nested more than 64 deep");
    refuse(nested_graphs(200000), TN_E_LIMIT, "offset 317: messages nested more than 64 deep");
}

static size_t peak_kib(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (size_t)usage.ru_maxrss;
}

static void test_counts(void **state) {
    (void)state;
    Bytes graph = {0};
    for (int i = 0; i < 4 << 20; i++) bytes_put(&graph, "\x0a\0", 2);
    Bytes model = onnx_model(&graph);
    write_file(FILE_NAME, model.data, model.size);
    bytes_free(&model);
    size_t before = peak_kib();
    expect_fail(open_model, FILE_NAME, TN_E_LIMIT,
                FILE_NAME ": offset 2097159: more than 1048576 'node' in one GraphProto");
    assert_true(peak_kib() - before < (64 + 4 * 8) << 10);
    for (int i = 0; i < 1 << 20; i++) bytes_put(&graph, "\x0a\0", 2);
    model = onnx_model(&graph); /* within the count, beyond the memory */
    write_file(FILE_NAME, model.data, model.size);
    bytes_free(&model);
    before = peak_kib();
    expect_fail(open_model, FILE_NAME, TN_E_MEMORY,
                FILE_NAME ": reading the file takes more than 64 MiB of memory");
    assert_true(peak_kib() - before < (64 + 4 * 8) << 10);
}

/* One node with one attribute whose field 8, ints, holds `count` numbers. */
static Bytes attribute_of(size_t count) {
    Bytes ints = {0}, attribute = {0}, node = {0}, graph = {0};
    for (size_t i = 0; i < count; i++) bytes_put(&ints, "\7", 1);
    bytes_field_message(&attribute, 8, &ints);
    bytes_field_message(&node, 5, &attribute);
    bytes_field_message(&graph, 1, &node);
    return onnx_model(&graph);
}

static void test_lists(void **state) {
    (void)state;
    accept(attribute_of(TN_MAX_LIST));
    refuse(attribute_of(TN_MAX_LIST + 1), TN_E_LIMIT,
           "offset 14: more than 65536 'ints' in one AttributeProto");
    refuse(attribute_of(1 << 20), TN_E_LIMIT,
           "offset 14: more than 65536 'ints' in one AttributeProto");
    Bytes tensor = {0}, graph = {0};
    for (int i = 0; i < 17; i++) bytes_field_int(&tensor, 1, 1);
    bytes_field_message(&graph, 5, &tensor);
    refuse(onnx_model(&graph), TN_E_LIMIT, "offset 38: more than 16 'dims' in one TensorProto");
    refuse(model_of("\x2a\x05\x22\x03\1\2\3", 7), TN_E_FORMAT,
           "offset 6: 'float_data' has 3 bytes, no multiple of 4");
    refuse(model_of("\x7a\0", 2), TN_E_UNSUPPORTED,
           "offset 4: sparse initializers are unsupported");
    refuse(model_of("\x2a\x07\x10\x81\x80\x80\x80\x80\x01", 9), TN_E_FORMAT,
           "offset 6: a number of more than 32 bits");
}

/* A model with an empty graph, this ir_version (-1 for none) and opset (-1 for none). */
static Bytes header(int64_t ir_version, int64_t opset) {
    Bytes model = {0};
    if (ir_version != -1) bytes_field_int(&model, 1, ir_version);
    bytes_put(&model, "\x3a\0", 2);
    if (opset != -1) onnx_put_opset(&model, "", opset);
    return model;
}

static void test_header(void **state) {
    (void)state;
    refuse(header(-1, 17), TN_E_MODEL, "ir_version is missing, wanted 3 to 14");
    refuse(header(0, 17), TN_E_MODEL, "ir_version is 0, wanted 3 to 14");
    refuse(header(-5, 17), TN_E_MODEL, "ir_version is -5, wanted 3 to 14");
    refuse(header(2, 17), TN_E_UNSUPPORTED, "ir_version 2 is unsupported, wanted 3 to 14");
    refuse(header(15, 17), TN_E_UNSUPPORTED, "ir_version 15 is unsupported, wanted 3 to 14");
    refuse(header(8, -1), TN_E_MODEL, "no opset of the default domain, wanted 1 to 28");
    Bytes other = header(8, -1);
    onnx_put_opset(&other, "ai.onnx.ml", 3);
    accept(other);
    refuse(header(8, 0), TN_E_MODEL, "opset 0 of domain '', wanted 1 or more");
    refuse(header(8, -3), TN_E_MODEL, "opset -3 of domain '', wanted 1 or more");
    accept(header(3, 1));
    accept(header(14, 28));
    Bytes model = header(8, 17);
    onnx_put_opset(&model, "ai.onnx", 18);
    refuse(model, TN_E_MODEL, "opset of domain '' is imported twice, 17 and 18");
    model = header(8, 17);
    for (int i = 0; i < 256; i++) onnx_put_opset(&model, "", 17);
    expect_any_fail(open_model, FILE_NAME);
    bytes_free(&model);
    refuse_bytes("\x08\x08", 2, TN_E_FORMAT, "no graph in the file");
}

static void read_opsets(Cx *cx, const void *path) {
    const OnnxModel *m = onnx_open(cx, path);
    assert_int_equal(m->opset, 17);
    assert_int_equal(onnx_opset(m, "ai.onnx"), 17);
    assert_int_equal(onnx_opset(m, "com.microsoft"), 1);
    assert_int_equal(onnx_opset(m, "other"), 0);
    assert_string_equal(m->folder, ".");
}

static void test_opsets(void **state) {
    (void)state;
    Bytes model = header(8, 17);
    onnx_put_opset(&model, "com.microsoft", 1);
    write_file(FILE_NAME, model.data, model.size);
    bytes_free(&model);
    expect_ok(read_opsets, FILE_NAME);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_files),    cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_lengths),        cmocka_unit_test(test_encoding),
        cmocka_unit_test(test_unknown_fields), cmocka_unit_test(test_joined),
        cmocka_unit_test(test_strings),        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_counts),         cmocka_unit_test(test_lists),
        cmocka_unit_test(test_header),         cmocka_unit_test(test_opsets),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
