/* ONNX files from parts, for tests: the field numbers of frontend/onnx/onnx.proto by hand. */
#ifndef TENON_TESTS_SUPPORT_ONNX_BYTES_H
#define TENON_TESTS_SUPPORT_ONNX_BYTES_H

#include "tests/support/bytes.h"

/* opset_import of a model */
static inline void onnx_put_opset(Bytes *model, const char *domain, int64_t version) {
    Bytes opset = {0};
    bytes_field_text(&opset, 1, domain);
    bytes_field_int(&opset, 2, version);
    bytes_field_message(model, 8, &opset);
}

/* A model of IR version 8 and opset 17 around `graph`, which it empties. */
static inline Bytes onnx_model(Bytes *graph) {
    Bytes model = {0};
    bytes_field_int(&model, 1, 8);
    bytes_field_message(&model, 7, graph);
    onnx_put_opset(&model, "", 17);
    return model;
}

/* The start of a TensorProto: name, type, dims. */
static inline Bytes onnx_tensor_head(const char *name, int type, int rank, const int64_t *dims) {
    Bytes t = {0};
    for (int i = 0; i < rank; i++) bytes_field_int(&t, 1, dims[i]);
    bytes_field_int(&t, 2, type);
    bytes_field_text(&t, 8, name);
    return t;
}

/* An entry of external_data */
static inline void onnx_put_external(Bytes *tensor, const char *key, const char *value) {
    Bytes entry = {0};
    bytes_field_text(&entry, 1, key);
    bytes_field_text(&entry, 2, value);
    bytes_field_message(tensor, 13, &entry);
}

#endif
