/* What a trace event is about, beyond what tenon.h tells: the call behind it, and the values of the
 * source model that are now there. Agreement of tensors.
 *
 * Everything here may be called in a trace callback: nothing allocates or raises. */
#ifndef TENON_TOOLS_TRACE_H
#define TENON_TOOLS_TRACE_H

#include "runtime/runtime.h"
#include "tools/tool.h"

/* The call that the event being traced is about. */
const TnCall *trace_call(const tenon_session *root);

/* Records of VALUES of one instruction; *count may be 0. */
const PlanValue *trace_values(const tenon_plan *p, int32_t instruction, uint32_t *count);
/* The tensor that a record's view is now, in the event's session; false if it cannot be told or
 * does not lie within its buffer. `scratch`: as many numbers as the plan has expressions. */
bool trace_look(const tenon_session *root, const PlanValue *v, int64_t *scratch, TnTensor *out);

/* How well a tensor agrees with what is wanted. Element i may differ by
 * atol + rtol * max(|wanted i|, the largest |wanted| below 1e30), so that mask values hide nothing.
 * With `rms`, for what was computed in fewer bits, the root mean square of all differences may be
 * this part of that of what is wanted, the same numbers left out. */
typedef struct Tolerance {
    double rtol, atol; /* < 0: by the element type: see tolerance_for */
    double rms;        /* 0: elements are compared one by one */
} Tolerance;
/* rms: an output of a plan in fewer bits than f32, by its precision; 0: of one in f32 */
double tolerance_of_precision(const char *precision);
Tolerance tolerance_for(Tolerance given, TnDType dtype);

typedef struct Agreement {
    bool comparable; /* same number of elements; else nothing below is set */
    bool same_type;  /* element type and dims */
    bool ok;
    int64_t wrong, count;             /* elements that differ by more than allowed, all elements */
    int64_t worst;                    /* row-major index, by difference / allowed */
    double error, allowed, got, want; /* there */
    double largest;                   /* difference anywhere */
    double rms, cosine;               /* difference by the size wanted; angle to what is wanted */
} Agreement;
Agreement agree(const TnTensor *got, const StTensor *want, Tolerance t);
/* A file's or an evaluation's dense tensor as one with strides. */
TnTensor trace_dense(const StTensor *t);

#endif
