/* A model file with one tensor, which is read or refused. */
#ifndef TENON_TESTS_UNIT_ONNX_TENSOR_CASE_H
#define TENON_TESTS_UNIT_ONNX_TENSOR_CASE_H

#include "frontend/onnx/tensor.h"
#include "tests/support/expect_fail.h"
#include "tests/support/onnx_bytes.h"
#include "tests/support/scratch.h"

#define FILE_NAME "m.onnx"

enum {
    FLOAT = 1,
    UINT8,
    INT8,
    UINT16,
    INT16,
    INT32,
    INT64,
    STRING,
    BOOL,
    FLOAT16,
    DOUBLE,
    UINT32,
    UINT64,
    COMPLEX64,
    BFLOAT16 = 16,
    FLOAT8E4M3FN,
    UINT4 = 21,
    INT4,
    FLOAT4E2M1,
    UINT2 = 25,
    INT2,
    FLOAT6E2M3
};
/* field numbers of TensorProto */
enum {
    FLOAT_DATA = 4,
    INT32_DATA = 5,
    STRING_DATA = 6,
    INT64_DATA = 7,
    RAW_DATA = 9,
    DOUBLE_DATA = 10,
    UINT64_DATA = 11
};

static inline Bytes head(int type, int64_t d0, int64_t d1) {
    return onnx_tensor_head("w", type, 2, (int64_t[]){d0, d1});
}

/* Writes a model with this one initializer, which it frees. */
static inline void save(Bytes *tensor) {
    Bytes graph = {0};
    bytes_field_message(&graph, 5, tensor);
    Bytes model = onnx_model(&graph);
    write_file(FILE_NAME, model.data, model.size);
    bytes_free(&model);
}

static inline void read_tensor(Cx *cx, const void *arg) {
    OnnxModel *m = onnx_open(cx, FILE_NAME);
    OnnxTensor t;
    (void)arg;
    onnx_tensor(m, m->proto->graph->initializer[0], &t);
}

static inline void refuse(Bytes tensor, TnStatus code, const char *text) {
    char message[700];
    save(&tensor);
    snprintf(message, sizeof message, "tensor 'w': %s", text);
    expect_fail(read_tensor, NULL, code, message);
}

typedef struct Expected {
    TnDType dtype;
    const void *data;
    size_t bytes;
    bool borrowed;
} Expected;

static inline void check_tensor(Cx *cx, const void *arg) {
    const Expected *e = arg;
    OnnxModel *m = onnx_open(cx, FILE_NAME);
    OnnxTensor t;
    onnx_tensor(m, m->proto->graph->initializer[0], &t);
    assert_int_equal(t.dtype, e->dtype);
    assert_int_equal(t.bytes, e->bytes);
    assert_int_equal(t.borrowed, e->borrowed);
    if (e->bytes) assert_memory_equal(t.data, e->data, e->bytes);
}

static inline void accept(Bytes tensor, TnDType dtype, const void *data, size_t bytes,
                          bool borrowed) {
    save(&tensor);
    expect_ok(check_tensor, &(Expected){dtype, data, bytes, borrowed});
}

static inline Bytes with_raw(Bytes tensor, const void *data, size_t size) {
    bytes_field_bytes(&tensor, RAW_DATA, data, size);
    return tensor;
}

/* Numbers as one packed field. */
static inline Bytes with_varints(Bytes tensor, uint32_t field, int count, const int64_t *values) {
    Bytes packed = {0};
    for (int i = 0; i < count; i++) bytes_varint(&packed, (uint64_t)values[i]);
    bytes_field_message(&tensor, field, &packed);
    return tensor;
}

static const unsigned char sixteen[16] = "abcdefghijklmnop";

#endif
