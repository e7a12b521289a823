/* An ONNX file, opened and checked as far as one can without looking at operators.
 *
 * Invariant of an open model: the wire format is sound (wire.h), a graph is present, ir_version is
 * known, each operator-set domain is imported once, in a version of at least 1; no graph has sparse
 * initializers. Strings are UTF-8 without NUL. The tree and the mappings stay until the compilation
 * ends.
 *
 *     OnnxModel *m = onnx_open(cx, "bert.onnx");
 *     for (size_t i = 0; i < m->proto->graph->n_node; i++) import(m->proto->graph->node[i]);
 */
#ifndef TENON_FRONTEND_ONNX_MODEL_H
#define TENON_FRONTEND_ONNX_MODEL_H

#include <stdint.h>
#include "ir/ir.h"
#include "ir/names.h"
#include "onnx.pb-c.h"
#include "runtime/base/mapfile.h"

#define ONNX_MIN_IR    3
#define ONNX_MAX_IR    14
#define ONNX_MIN_OPSET 1
#define ONNX_MAX_OPSET 28

typedef struct OnnxExternal OnnxExternal; /* mapped files of external tensors; external.c */

/* An element that a graph has measured, as the expression it was, and what it is called since. */
typedef struct OnnxMeasured {
    const Graph *g;
    const Expr *element, *length;
} OnnxMeasured;

typedef struct OnnxModel {
    Cx *cx;
    const char *path;
    const char *folder; /* of `path`: external data stays inside */
    MapFile file;
    Onnx__ModelProto *proto;
    int64_t opset; /* of the default domain; 0: not imported */
    OnnxExternal *external;
    NameMap symbols; /* names of outputs -> what symbols measured there are called */
    NameMap words;   /* these */
    OnnxMeasured *measured;
    size_t measured_count, measured_capacity;
} OnnxModel;

OnnxModel *onnx_open(Cx *cx, const char *path);

/* Version of `domain` that the model imports, 0 if it does not; "" and "ai.onnx" are the same. */
int64_t onnx_opset(const OnnxModel *m, const char *domain);

#endif
