/* Which value of a run departs first from what is expected: `tenon diff --bisect`. */
#ifndef TENON_TOOLS_BISECT_H
#define TENON_TOOLS_BISECT_H

#include "ir/ir.h"
#include "ir/names.h"
#include "tools/trace.h"

/* A value of the model under one of its names, and what it was each time it was computed: more than
 * once in the body of a loop. */
typedef struct Expected {
    const char *name, *node; /* node: that computes it, NULL in a recording */
    const Value *value;      /* NULL: of a recording */
    int order;               /* in which the model computes them */
    StTensor *tensors;
    size_t count, capacity;
} Expected;

typedef struct Expectations {
    Cx *cx;
    NameMap by_name;
    Expected **list; /* in order */
    size_t count, capacity;
} Expectations;

/* Collects every value of an evaluation: a watch of ir_eval whose user is the Expectations. */
EvalWatch bisect_watch;
/* Or all tensors of a recording. */
void bisect_record(Expectations *x, const SafeTensors *file);

/* Runs the session under trace, compares what the plan's VALUES name, and reports. True if nothing
 * departs. */
bool bisect_run(Tool *t, const PlanRun *r, const Expectations *x, Tolerance tolerance);

#endif
