/* Lengths at which memory and movement of a plan are shown where nobody names any.
 *
 * First axes of inputs are 1 long, all others SAMPLE_LENGTH, as far as the symbols' ranges allow;
 * where that breaks a requirement, a symbol of it gets the length that makes both sides equal:
 * `past + new <= total` makes the total longer. */
#ifndef TENON_BACKEND_SAMPLE_H
#define TENON_BACKEND_SAMPLE_H

#include "backend/image.h"
#include "runtime/plan_expr.h"
#include "runtime/tenon.h"

#define SAMPLE_LENGTH 128

/* The tables of a plan, or of one in the making. */
typedef struct PlanTables {
    const PlanSymbol *symbols;
    const PlanExpr *exprs;
    const PlanRequirement *requirements;
    const PlanPort *ports;
    const PlanView *views;
    const uint32_t *ids;
    const PlanState *states;
    const PlanBuffer *buffers;
    const char *strings;
    uint32_t symbol_count, expr_count, requirement_count, state_count;
} PlanTables;

PlanTables sample_tables(const Image *im);
/* Per symbol: its length if it is given; TN_UNKNOWN entries are chosen, but for symbols that a run
 * has to measure. */
void sample_lengths(Arena *a, const PlanTables *t, const PlanFunction *f, uint32_t function,
                    int64_t *lengths);
/* Puts zeros of these lengths into the states that the function finds. */
tenon_status sample_bind_states(Arena *a, const PlanTables *t, uint32_t function,
                                const int64_t *values, tenon_session *session, tenon_error *err);
/* The values of all expressions at these lengths; TN_UNKNOWN where a length is, or where a value
 * cannot be computed. */
int64_t *sample_values(Arena *a, const PlanTables *t, const int64_t *lengths);

#endif
