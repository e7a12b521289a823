/* A plan as JSON and for Graphviz, and what both need to know of it.
 *
 *     plan_json.c     the document
 *     plan_dot.c      the picture
 *     plan_flow.c     which instructions wrote what an operand reads; source nodes and groups
 *     plan_memory.c   the memory plan at given lengths */
#ifndef TENON_TOOLS_PLAN_JSON_H
#define TENON_TOOLS_PLAN_JSON_H

#include "ir/text.h"
#include "runtime/runtime.h"
#include "tools/tool.h"

/* `memory`: per function what plan_memory gave, or NULL. `profile`: times as a JSON array, or NULL.
 */
void plan_json(const tenon_plan *p, TextBuffer *t, const char *const *memory, const char *profile);
const char *plan_dot(Arena *a, const tenon_plan *p);

/* The memory plan of a function as a JSON object: lengths from `dims`, others 1 along first axes
 * and 128, if they may be, elsewhere. NULL for the body of control flow. */
const char *plan_memory(Tool *t, tenon_plan *p, uint32_t function, const DimSetting *dims);
/* The buffers that are live when most bytes are, at sample lengths, as a table; "" if there is
 * nothing to tell. */
const char *plan_memory_peak(Tool *t, tenon_plan *p, uint32_t function);

/* Instructions are followed in their order; `writers` are those of a buffer's present contents. */
typedef struct PlanWriter {
    uint32_t instruction, offset;
    struct PlanWriter *next;
} PlanWriter;
typedef struct PlanFlow {
    const tenon_plan *plan;
    const PlanFunction *function;
    Arena *arena;
    PlanWriter **writers; /* per buffer of the function */
} PlanFlow;
PlanFlow plan_flow(Arena *a, const tenon_plan *p, const PlanFunction *f);
/* Who wrote what the view shows; NULL for constants and inputs. */
const PlanWriter *plan_flow_writers(const PlanFlow *x, const PlanView *v);
/* Goes past an instruction (its index in the plan). */
void plan_flow_step(PlanFlow *x, uint32_t instruction);

/* An origin names source nodes, separated by " + ". */
const char **plan_origins(Arena *a, const char *origin, int *count);
/* The groups of a function's instructions in their order, found as ir_groups does (ir/group.h). */
const char **plan_groups(Arena *a, const tenon_plan *p, const PlanFunction *f);

#endif
