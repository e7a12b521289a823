/* A walk over the protobuf wire of an ONNX file, before protobuf-c sees it.
 *
 * protobuf-c recurses by nesting depth, allocates by what counts claim and takes any bytes for
 * strings. So this scan comes first. What it lets through: fields of the right wire type, lengths
 * inside their message, nesting <= TN_MAX_NESTING, counts within limits.h, strings that are UTF-8
 * without NUL and <= TN_MAX_NAME bytes, singular fields at most once. It walks with a stack of its
 * own, directed by the descriptors generated from onnx.proto.
 *
 * The same walk writes a compact copy of the message for protobuf-c: fields that onnx.proto does
 * not list are left out, and each TensorProto.raw_data holds a WirePlace instead of its bytes, so
 * weights are never copied.
 */
#ifndef TENON_FRONTEND_ONNX_WIRE_H
#define TENON_FRONTEND_ONNX_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include "ir/fail.h"

/* Where the bytes of a raw_data field are in the file. */
typedef struct WirePlace {
    uint64_t offset, length;
} WirePlace;

typedef struct WireCopy {
    TnAlloc alloc;
    unsigned char *data;
    size_t size, capacity;
} WireCopy;

/* Scans a ModelProto; fails with the file offset of what is wrong. `copy` is set up by the caller
 * (alloc only) and released with wire_release, also after a failure. */
void wire_scan(Cx *cx, const unsigned char *data, size_t size, WireCopy *copy);
void wire_release(WireCopy *copy);

#endif
