/* Tensors of an ONNX file: initializers and tensor attributes, wherever their elements are stored.
 *
 * Invariant of a tensor read: rank <= TN_MAX_RANK, no dim is negative, and `bytes` is exactly the
 * product of `dims` times the element size. Elements are little-endian. Bool elements are 0 or 1;
 * those of 2 and 4 bits have a byte each.
 *
 *     OnnxTensor w;
 *     onnx_tensor(m, graph->initializer[i], &w);
 */
#ifndef TENON_FRONTEND_ONNX_TENSOR_H
#define TENON_FRONTEND_ONNX_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "frontend/onnx/model.h"
#include "runtime/base/dtype.h"
#include "runtime/base/limits.h"

typedef struct OnnxTensor {
    TnDType dtype;
    int rank;
    int64_t dims[TN_MAX_RANK];
    const void *
        data; /* may be unaligned for its type: copy or load bytewise; not NULL unless bytes == 0 */
    size_t bytes;
    bool borrowed; /* points into a mapped file; else a copy in the arena. Both last as long as the
                      compilation */
} OnnxTensor;

/* Fails, naming the tensor, if it is malformed, or of an element type that Tenon does not have. */
void onnx_tensor(OnnxModel *m, const Onnx__TensorProto *t, OnnxTensor *out);

/* external.c: `bytes` bytes of another file, which are the elements of `out`. */
const unsigned char *onnx_external(OnnxModel *m, const Onnx__TensorProto *t, const OnnxTensor *out,
                                   size_t bytes);
/* "[2, 3] of f32", for messages. */
const char *onnx_shape_text(Cx *cx, const OnnxTensor *out);

/* ONNX's number of an element type (TensorProto.data_type, elem_type) as Tenon's; TN_NONE for those
 * it does not have. */
TnDType onnx_dtype(int32_t data_type);

/* "FLOAT", "INT4"; "element type 99" for numbers that ONNX does not define, made in the arena. */
const char *onnx_dtype_name(Cx *cx, int32_t data_type);
/* Raises that Tenon does not have the type, or that there is none. */
_Noreturn void onnx_refuse_dtype(Cx *cx, int32_t data_type);

/* The number that has this name; 0 if there is none. */
int32_t onnx_dtype_number(const char *name);

#endif
