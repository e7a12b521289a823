/* Reference kernels: what the operators mean, as plain loops.
 *
 * One function ref_<name> per row of ops.def. They share nothing with the fast kernels, accumulate
 * in double (integers in 64 bits) and round to the element type once per operator. Results are
 * allocated and zeroed, and operands have the dims the node's types say, before a kernel runs; only
 * kernels that read indices from data can fail, by ref_fail. */
#ifndef TENON_IR_REF_REF_H
#define TENON_IR_REF_REF_H

#include "ir/ir.h"

typedef struct RefCall {
    const Node *node;
    const Tensor *const *in; /* NULL: operand left out */
    int n_in;
    Tensor *out;
    int n_out;
    const int64_t *symbols;
    Cx *cx;
    Arena scratch; /* freed when the kernel returns or fails */
} RefCall;

#define OP(name, ...) void ref_##name(RefCall *call);
#define CONTROL(...)
#include "ir/ops.def"
#undef OP

_Noreturn void ref_fail(RefCall *call, TnStatus code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
const Tensor *ref_operand(const RefCall *call, int i); /* NULL if left out or beyond the last */
int64_t ref_expr(RefCall *call, const Expr *e);        /* its value under the call's symbols */
int ref_axis(const RefCall *call, const char *attr, int rank);
/* Element i of an index tensor, for an axis of length n; negative ones count from its end. */
int64_t ref_index(RefCall *call, const Tensor *index, int64_t i, int64_t n);
double *ref_doubles(RefCall *call, const Tensor *t); /* all elements, in scratch; NULL for NULL */

/* --- scalars: f of float types, i of all others --- */
typedef union Scalar {
    double f;
    int64_t i;
} Scalar;
Scalar scalar_load(TnDType t, const void *data, int64_t i);
void scalar_store(TnDType t, void *data, int64_t i, Scalar v); /* rounds or wraps */
Scalar scalar_round(TnDType t, Scalar v);                      /* as if stored and loaded */
Scalar scalar_convert(TnDType from, TnDType to, Scalar v);
/* An elementwise operator (not cast) on operands of type t; `where` takes its condition as args[0].
 * The result is not rounded yet. */
Scalar scalar_apply(OpKind op, TnDType t, const Scalar *args);

/* --- loops --- */
#define REF_OPERANDS 17 /* a map has at most 16, and its result */

/* Walks the coordinates of `dims` in row-major order and keeps the element offset of each operand
 * there.
 *
 *     RefLoop l = ref_loop(y->rank, y->dims);
 *     int a = ref_follow(&l, x->rank, x->dims);
 *     for (; ref_more(&l); ref_step(&l)) ... l.at[a] ... l.index[axis] ... l.count ... */
typedef struct RefLoop {
    int rank;
    int64_t dims[TN_MAX_RANK], index[TN_MAX_RANK];
    int64_t count, total; /* of coordinates visited, and of all */
    int operands;
    int64_t strides[REF_OPERANDS][TN_MAX_RANK], at[REF_OPERANDS];
} RefLoop;
RefLoop ref_loop(int rank, const int64_t *dims);
/* A dense operand whose dims broadcast to the loop's, aligned at the last axis. */
int ref_follow(RefLoop *l, int rank, const int64_t *dims);
/* An operand with a stride per axis of the loop. */
int ref_follow_strides(RefLoop *l, const int64_t *strides, int64_t start);
static inline bool ref_more(const RefLoop *l) {
    return l->count < l->total;
}
void ref_step(RefLoop *l);
void ref_strides(int rank, const int64_t *dims, int64_t *strides); /* of a dense tensor */

/* dims as outer x length x inner around an axis */
typedef struct RefAxis {
    int64_t outer, length, inner;
} RefAxis;
RefAxis ref_split(const Tensor *t, int axis);

#endif
