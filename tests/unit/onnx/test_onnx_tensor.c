/* Tensors of ONNX files: every place and type of elements, and each way in which they can be wrong.
 * Other files: test_onnx_external.c. */
#include "tests/unit/onnx/tensor_case.h"

static void test_raw(void **state) {
    (void)state;
    accept(with_raw(head(FLOAT, 2, 2), sixteen, 16), TN_F32, sixteen, 16, true);
    accept(with_raw(head(BFLOAT16, 2, 4), sixteen, 16), TN_BF16, sixteen, 16, true);
    accept(with_raw(head(FLOAT, 0, 5), "", 0), TN_F32, NULL, 0, false);
    accept(head(FLOAT, 0, 5), TN_F32, NULL, 0, false);
    accept(with_raw(head(BOOL, 1, 4), "\0\1\2\xff", 4), TN_BOOL, "\0\1\1\1", 4, false);
    accept(with_raw(head(BOOL, 1, 2), "\1\0", 2), TN_BOOL, "\1\0", 2, true);
    refuse(with_raw(head(FLOAT, 2, 2), sixteen, 12), TN_E_MODEL,
           "raw_data has 12 bytes, shape [2, 2] of f32 wants 16");
    refuse(with_raw(head(INT64, 1, 1), sixteen, 16), TN_E_MODEL,
           "raw_data has 16 bytes, shape [1, 1] of i64 wants 8");
    refuse(with_raw(head(FLOAT, 0, 2), sixteen, 4), TN_E_MODEL,
           "raw_data has 4 bytes, shape [0, 2] of f32 wants 0");
    refuse(head(FLOAT, 2, 2), TN_E_MODEL, "no data, shape [2, 2] of f32 wants 16 bytes");
}

static void test_fields(void **state) {
    (void)state;
    Bytes t = head(FLOAT, 2, 2);
    bytes_field_bytes(&t, FLOAT_DATA, sixteen, 16);
    accept(t, TN_F32, sixteen, 16, false);
    t = head(DOUBLE, 2, 1);
    bytes_field_bytes(&t, DOUBLE_DATA, sixteen, 16);
    accept(t, TN_F64, sixteen, 16, false);
    accept(with_varints(head(INT64, 1, 2), INT64_DATA, 2, (int64_t[]){-2, INT64_MAX}), TN_I64,
           (int64_t[]){-2, INT64_MAX}, 16, false);
    accept(with_varints(head(INT32, 1, 2), INT32_DATA, 2, (int64_t[]){-2, INT32_MAX}), TN_I32,
           (int32_t[]){-2, INT32_MAX}, 8, false);
    accept(with_varints(head(INT8, 1, 2), INT32_DATA, 2, (int64_t[]){-128, 127}), TN_I8, "\x80\x7f",
           2, false);
    accept(with_varints(head(UINT8, 1, 2), INT32_DATA, 2, (int64_t[]){0, 255}), TN_U8, "\0\xff", 2,
           false);
    accept(with_varints(head(INT16, 1, 1), INT32_DATA, 1, (int64_t[]){-2}), TN_I16, "\xfe\xff", 2,
           false);
    accept(with_varints(head(UINT16, 1, 1), INT32_DATA, 1, (int64_t[]){65535}), TN_U16, "\xff\xff",
           2, false);
    accept(with_varints(head(FLOAT16, 1, 2), INT32_DATA, 2, (int64_t[]){0x3c00, 0xbc00}), TN_F16,
           "\0\x3c\0\xbc", 4, false);
    accept(with_varints(head(BFLOAT16, 1, 1), INT32_DATA, 1, (int64_t[]){0x3f80}), TN_BF16,
           "\x80\x3f", 2, false);
    accept(with_varints(head(BOOL, 1, 3), INT32_DATA, 3, (int64_t[]){0, 1, 256}), TN_BOOL, "\0\1\1",
           3, false);
    accept(with_varints(head(UINT32, 1, 1), UINT64_DATA, 1, (int64_t[]){UINT32_MAX}), TN_U32,
           "\xff\xff\xff\xff", 4, false);
    accept(with_varints(head(UINT64, 1, 1), UINT64_DATA, 1, (int64_t[]){-1}), TN_U64,
           "\xff\xff\xff\xff\xff\xff\xff\xff", 8, false);
    t = head(INT32, 1, 2); /* not packed, and raw_data set to nothing */
    bytes_field_int(&t, INT32_DATA, 5);
    bytes_field_int(&t, INT32_DATA, 6);
    accept(with_raw(t, "", 0), TN_I32, (int32_t[]){5, 6}, 8, false);
}

static void test_bad_fields(void **state) {
    (void)state;
    refuse(with_varints(head(INT64, 1, 3), INT64_DATA, 2, (int64_t[]){1, 2}), TN_E_MODEL,
           "int64_data has 2 elements, shape [1, 3] of i64 wants 3");
    refuse(with_varints(head(FLOAT, 1, 2), INT64_DATA, 2, (int64_t[]){1, 2}), TN_E_MODEL,
           "elements of f32 in int64_data, wanted in float_data");
    refuse(with_varints(head(UINT8, 1, 2), INT32_DATA, 2, (int64_t[]){1, 300}), TN_E_MODEL,
           "int32_data[1] is 300, beyond the range of u8");
    refuse(with_varints(head(FLOAT16, 1, 1), INT32_DATA, 1, (int64_t[]){-1}), TN_E_MODEL,
           "int32_data[0] is -1, beyond the range of f16");
    refuse(with_varints(head(UINT32, 1, 1), UINT64_DATA, 1, (int64_t[]){1LL << 32}), TN_E_MODEL,
           "uint64_data[0] is 4294967296, beyond the range of u32");
    refuse(with_raw(with_varints(head(INT32, 1, 1), INT32_DATA, 1, (int64_t[]){1}), "1234", 4),
           TN_E_MODEL, "elements both in raw_data and in int32_data");
    refuse(with_varints(with_varints(head(INT32, 1, 1), INT32_DATA, 1, (int64_t[]){1}), INT64_DATA,
                        1, (int64_t[]){1}),
           TN_E_MODEL, "elements both in int32_data and in int64_data");
}

/* Two elements of 4 bits or four of 2 in a byte, the first in its lowest bits. */
static void test_packed(void **state) {
    (void)state;
    accept(with_raw(head(UINT4, 1, 3), "\x21\xf3", 2), TN_U4, "\x01\x02\x03", 3, false);
    accept(with_raw(head(INT4, 1, 3), "\x8f\x07", 2), TN_I4, "\xff\xf8\x07", 3, false);
    accept(with_raw(head(INT2, 1, 5), "\xe4\x01", 2), TN_I2, "\x00\x01\xfe\xff\x01", 5, false);
    accept(with_raw(head(UINT2, 1, 4), "\xe4", 1), TN_U2, "\x00\x01\x02\x03", 4, false);
    accept(with_raw(head(FLOAT4E2M1, 1, 2), "\x9f", 1), TN_F4E2M1, "\x0f\x09", 2, false);
    accept(with_varints(head(INT4, 1, 3), INT32_DATA, 2, (int64_t[]){-1, 7}), TN_I4, "\xff\xff\x07",
           3, false);
    accept(with_varints(head(FLOAT8E4M3FN, 1, 2), INT32_DATA, 2, (int64_t[]){0x38, 0xff}),
           TN_F8E4M3FN, "\x38\xff", 2, false);
    refuse(with_raw(head(UINT4, 1, 3), "\x21\xf3\x01", 3), TN_E_MODEL,
           "raw_data has 3 bytes, shape [1, 3] of u4 wants 2");
    refuse(with_varints(head(UINT4, 1, 3), INT32_DATA, 3, (int64_t[]){1, 2, 3}), TN_E_MODEL,
           "int32_data has 3 numbers, shape [1, 3] of u4 wants 2");
    refuse(with_varints(head(UINT4, 1, 2), INT32_DATA, 1, (int64_t[]){256}), TN_E_MODEL,
           "int32_data[0] is 256, not a byte of packed u4");
}

static void test_types(void **state) {
    (void)state;
    refuse(head(0, 1, 1), TN_E_MODEL, "the element type is missing");
    refuse(head(99, 1, 1), TN_E_MODEL, "element type 99 is unsupported");
    refuse(head(-1, 1, 1), TN_E_MODEL, "element type -1 is unsupported");
    refuse(head(STRING, 1, 1), TN_E_UNSUPPORTED, "STRING is unsupported");
    refuse(head(COMPLEX64, 1, 1), TN_E_UNSUPPORTED, "COMPLEX64 is unsupported");
    refuse(head(FLOAT6E2M3, 1, 3), TN_E_UNSUPPORTED, "FLOAT6E2M3 is unsupported");
    Bytes t = head(FLOAT, 1, 1), segment = {0};
    bytes_field_message(&t, 3, &segment);
    refuse(t, TN_E_UNSUPPORTED, "tensors in segments are unsupported");
}

static void test_dims(void **state) {
    (void)state;
    refuse(head(FLOAT, 2, -1), TN_E_MODEL, "dim 1 is -1");
    refuse(head(FLOAT, INT64_MIN, 1), TN_E_MODEL, "dim 0 is -9223372036854775808");
    refuse(head(FLOAT, 1LL << 32, 1LL << 32), TN_E_MODEL,
           "the size of shape [4294967296, 4294967296] of f32 overflows");
    refuse(with_raw(head(FLOAT, (1LL << 62) + 4, 1), sixteen, 16), TN_E_MODEL,
           "the size of shape [4611686018427387908, 1] of f32 overflows");
    refuse(head(FLOAT, 1LL << 42, 1), TN_E_MODEL,
           "no data, shape [4398046511104, 1] of f32 wants 17592186044416 bytes");
    refuse(onnx_tensor_head("w", FLOAT, 9, (int64_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1}), TN_E_LIMIT,
           "9 axes, more than the 8 allowed");
    accept(with_raw(onnx_tensor_head("w", UINT8, 0, NULL), "x", 1), TN_U8, "x", 1, true);
    accept(with_raw(onnx_tensor_head("w", UINT8, 8, (int64_t[]){1, 1, 1, 1, 1, 1, 1, 1}), "x", 1),
           TN_U8, "x", 1, true);
}

/* A name with an escape sequence is shown escaped and cut. */
static void test_names_in_messages(void **state) {
    (void)state;
    Bytes t = onnx_tensor_head("\x1b[31m%s%n", FLOAT, 1, (int64_t[]){1});
    save(&t);
    expect_fail(read_tensor, NULL, TN_E_MODEL,
                "tensor '\\x1b[31m%s%n': no data, shape [1] of f32 wants 4 bytes");
    char *name = calloc(1, 60001);
    memset(name, 'n', 60000);
    t = onnx_tensor_head(name, FLOAT, 1, (int64_t[]){1});
    save(&t);
    expect_any_fail(read_tensor, NULL);
    free(name);
}

/* Big raw data is not copied: opening and reading takes far less memory than the tensor. */
static void read_big(Cx *cx, const void *arg) {
    OnnxModel *m = onnx_open(cx, FILE_NAME);
    OnnxTensor t;
    onnx_tensor(m, m->proto->graph->initializer[0], &t);
    assert_true(t.borrowed);
    assert_int_equal(t.bytes, *(const size_t *)arg);
    assert_true(cx->arena.total < 256 << 10);
    assert_memory_equal(t.data, "start", 5);
    assert_memory_equal((const char *)t.data + t.bytes - 3, "end", 3);
}

static void test_big(void **state) {
    (void)state;
    size_t size = 64 << 20;
    char *data = calloc(1, size);
    memcpy(data, "start", 5);
    memcpy(data + size - 3, "end", 3);
    Bytes t = with_raw(head(UINT8, (int64_t)size, 1), data, size);
    save(&t);
    free(data);
    expect_ok(read_big, &size);
}

/* An allocator whose `left`-th call and all after it fail. */
static void *allocate_some(void *left, size_t bytes, size_t alignment) {
    TnAlloc real = tn_default_alloc();
    if (*(int *)left == 0) return NULL;
    --*(int *)left;
    return real.allocate(real.user, bytes, alignment);
}

static void release_some(void *left, void *memory) {
    (void)left;
    free(memory);
}

static void test_out_of_memory(void **state) {
    (void)state;
    Bytes t = with_varints(head(INT8, 1, 2), INT32_DATA, 2, (int64_t[]){1, 2});
    save(&t);
    int failures = 0;
    for (TnStatus code = TN_E_MEMORY; code == TN_E_MEMORY; failures++) {
        int left = failures;
        Cx cx;
        jmp_buf on_fail;
        cx_init(&cx, (TnAlloc){allocate_some, release_some, &left});
        cx.on_fail = &on_fail;
        if (setjmp(on_fail) == 0) read_tensor(&cx, NULL);
        code = cx.code;
        cx_free(&cx);
        assert_true(code == TN_OK || code == TN_E_MEMORY);
    }
    assert_in_range(failures, 3, 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_bad_fields),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_packed),
        cmocka_unit_test(test_dims),
        cmocka_unit_test(test_names_in_messages),
        cmocka_unit_test(test_big),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
