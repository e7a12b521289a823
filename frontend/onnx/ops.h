/* The ONNX operators that can be imported: the rows of ops.def as a table.
 *
 * An operator that changed its meaning has a row per meaning; their opset ranges do not overlap. A
 * model uses the row whose range contains the opset that it imports.
 *
 *     for (size_t i = 0; i < onnx_op_count(); i++) list(onnx_op_at(i)->name, onnx_op_at(i)->since);
 */
#ifndef TENON_FRONTEND_ONNX_OPS_H
#define TENON_FRONTEND_ONNX_OPS_H

#include <stddef.h>
#include <stdint.h>
#include "ir/ir.h"

typedef struct OnnxNode OnnxNode; /* import.h */

typedef struct OnnxOp {
    const char *domain; /* "": ONNX's own */
    const char *name;
    int since, until;           /* opsets; until 0: up to the newest */
    int min_inputs, max_inputs; /* max < 0: any number */
    int max_outputs;            /* < 0: any number */
    const char *attributes;     /* "axis:i=-1 keepdims:i=1", see attr.c */
    void (*import)(OnnxNode *n);
    OpKind op; /* for the functions that import several operators */
    bool flow; /* operands may be sequences and optionals; attributes, graphs */
} OnnxOp;

size_t onnx_op_count(void);
const OnnxOp *onnx_op_at(size_t i);

/* The row of an operator of this domain at this opset; NULL if there is none. */
const OnnxOp *onnx_op_find(const char *domain, const char *name, int64_t opset);

#endif
