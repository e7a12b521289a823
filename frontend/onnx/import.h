/* One ONNX node under import, and what import functions ask about it.
 *
 * An import function reads operands and attributes, builds IR nodes in n->g and stores the results
 * in n->outputs. The caller has checked the number of inputs and outputs and the attributes' names
 * and types against the operator's row. Whatever else is wrong raises.
 *
 *     void import_softmax(OnnxNode *n) {
 *         n->outputs[0] = ir_softmax(n->g, n->inputs[0], onnx_axis(n, 0));
 *     }
 */
#ifndef TENON_FRONTEND_ONNX_IMPORT_H
#define TENON_FRONTEND_ONNX_IMPORT_H

#include "frontend/onnx/model.h"
#include "frontend/onnx/ops.h"
#include "frontend/onnx/tensor.h"
#include "ir/build.h"

typedef struct Scope Scope;
typedef struct OnnxList OnnxList; /* flow.h */

struct OnnxNode {
    const Onnx__NodeProto *proto;
    const OnnxOp *row;
    OnnxModel *model;
    Graph *g;
    Module *m;
    ExprCx *x;
    Cx *cx;
    int input_count;
    Value **inputs; /* NULL: left out */
    int output_count;
    Value **outputs;     /* to be set; one that nobody uses may stay NULL */
    Constant **constant; /* of output 0, where one made in an earlier round is kept */
    int64_t opset;       /* of the default domain, where the node is */
    const char *prefix;  /* of the names of its outputs, to tell calls and iterations apart */
    /* Operators of control flow, sequences and optionals (FLOW rows) look further (flow.h). */
    Scope *scope;
    struct WiredNode *wired;
    const OnnxList **lists; /* of inputs, where they are no tensors */
    OnnxList **list_outputs;
};

/* A tensor, or a list of tensors. */
typedef struct OnnxResult {
    Value *value;
    OnnxList *list;
} OnnxResult;

#define OP(name, since, until, min_in, max_in, max_out, attributes, function, op) \
    void import_##function(OnnxNode *n);
#include "frontend/onnx/ops.def"
#undef OP

/* --- attributes (attr.c): the value, or the default of the row --- */
typedef struct OnnxInts {
    bool given;
    int count;
    const int64_t *v;
} OnnxInts;

void onnx_check_attributes(const OnnxNode *n);
bool onnx_has(const OnnxNode *n, const char *name);
int64_t onnx_int(const OnnxNode *n, const char *name);
bool onnx_flag(const OnnxNode *n, const char *name); /* an integer that must be 0 or 1 */
double onnx_float(const OnnxNode *n, const char *name);
const char *onnx_string(const OnnxNode *n, const char *name);
OnnxInts onnx_ints(const OnnxNode *n, const char *name);
const Onnx__AttributeProto *onnx_attribute(const OnnxNode *n, const char *name);
/* Which of `words` (up to NULL) the string is. */
int onnx_word(const OnnxNode *n, const char *name, const char *const *words);
/* The attribute `axis` as an axis of operand i; of a tensor of this rank. */
int onnx_axis(const OnnxNode *n, int i);
int onnx_axis_of_rank(const OnnxNode *n, int rank);

/* An element type by ONNX's number; raises if Tenon does not have it. */
TnDType onnx_need_dtype(Cx *cx, int64_t number);
/* What helps against operators in training mode. */
#define ONNX_EVAL_HELP "export the model for inference: model.eval(), training=TrainingMode.EVAL"

/* --- operands (operand.c) --- */
bool onnx_given(const OnnxNode *n, int i); /* operand i is there */
/* Raises if it is there, as unsupported; `name` for the message. */
void onnx_refuse_input(const OnnxNode *n, int i, const char *name);
/* For operators whose first inputs may be left out, but not later ones. */
void onnx_need_input(const OnnxNode *n, int i, const char *name);
void onnx_need_rank(const OnnxNode *n, int i, int rank);
/* Elements of an integer operand that are known as expressions over lengths. `what` begins the
 * message if they are not: "target shape depends on data: ...". */
int onnx_values(const OnnxNode *n, int i, const char *what, const Expr *const **values);
const Expr *onnx_value(const OnnxNode *n, int i, const char *what); /* there is exactly one */
OnnxInts onnx_numbers(const OnnxNode *n, int i, const char *what);  /* none if left out */
int64_t onnx_number(const OnnxNode *n, int i, const char *what);
const Expr *const *onnx_exprs(const OnnxNode *n, OnnxInts list); /* the same as expressions */
/* `axes`, an attribute or operand 1. */
OnnxInts onnx_axes(const OnnxNode *n);
/* Axes of a tensor of this rank as flags; raises if one comes twice. */
void onnx_mark_axes(const OnnxNode *n, OnnxInts axes, int rank, bool *marked);

/* --- operands that only a run knows (measure.c) --- */
/* Operand i is left out, or all its elements are known as expressions over lengths. */
bool onnx_known(const OnnxNode *n, int i);
/* The number of elements of operand i, a vector or a scalar; raises if it is no number. */
int onnx_count(const OnnxNode *n, int i, const char *what);
/* Operand i, integers, as i64[count]. */
Value *onnx_vector(const OnnxNode *n, int i, const char *what);
/* "y": what names of symbols that the node measures begin with; "call_y" in a function. */
const char *onnx_symbol_base(OnnxNode *n);
/* The elements of x, an i64 vector of constant length or a scalar, as expressions: those that are
 * known as they are, the others as symbols that are measured here (docs/ir.md), named after output
 * 0: y.first, y.(first+1), ... A node that measures twice uses other numbers. All elements are
 * required to be in [min, max], 0 <= min; where min == max this is a check only. */
const Expr *const *onnx_measure(OnnxNode *n, const char *what, Value *x, int first, int64_t min,
                                int64_t max);
/* v, or what its elements are called if all of them have been measured. */
Value *onnx_as_measured(const OnnxNode *n, Value *v);
/* The elements of operand i, none negative: known or measured. */
const Expr *const *onnx_lengths(OnnxNode *n, int i, const char *what, int first, int *count);
const Expr *onnx_length(OnnxNode *n, int i, const char *what, int first); /* there is exactly one */
/* None of them is a negative number; "size 2 is -1". */
void onnx_check_lengths(const OnnxNode *n, const char *what, int count, const Expr *const *e);
/* Every element of x has this value, 0 or more: a check at run time. */
void onnx_demand(OnnxNode *n, const char *what, Value *x, int first, int64_t value);

/* --- pieces of several operators --- */
/* Raises unless operand i, where given, has the element type of operand 0. */
void onnx_need_same_dtype(const OnnxNode *n, int i);
/* Raises unless the dims are equal, or can be required to be. */
void onnx_need_same_dims(const OnnxNode *n, const Value *a, const Value *b);
/* The tensor as a constant of the module; borrows its elements. */
Constant *onnx_constant(OnnxModel *model, Module *m, const Onnx__TensorProto *t, const char *name);
/* x within the range of `to`, if that is a float of 8 bits: what a saturating cast rounds. */
Value *onnx_saturate(Graph *g, Value *x, TnDType to);
/* x op c for a scalar c of x's type */
Value *onnx_with_scalar(OnnxNode *n, OpKind op, Value *x, double c);
/* The length of one of so many equal parts of a dim; raises if they are not a whole number. */
const Expr *onnx_part(OnnxNode *n, const Expr *dim, int64_t parts);
/* A value of dims [product of the first `axis`, product of the others]. */
Value *onnx_as_matrix(OnnxNode *n, Value *x, int axis);
/* A vector with one entry per channel, seen as [channels, 1, ...] so that it broadcasts along
 * axis 1 of operand 0. */
Value *onnx_per_channel(OnnxNode *n, Value *v);
/* x as far as [start, start + length) along the axis: x itself if that is all of it. */
Value *onnx_slice(OnnxNode *n, Value *x, int axis, const Expr *start, const Expr *length,
                  int64_t step);

#endif
