/* The module's graphs as functions of the plan, and the requirements that each of them checks. */
#ifndef TENON_BACKEND_CONTRACT_H
#define TENON_BACKEND_CONTRACT_H

#include "backend/image.h"

/* A graph of the module as a function of the plan. */
typedef struct Function {
    Graph *g;
    bool *known; /* by symbol: has a value when the function runs, sooner or later */
    bool *fresh; /* and no caller knows it */
} Function;

/* Callers come before what they run; sets im->functions_of. */
const Function *contract_functions(Image *im, int *count);
/* The requirements that concern function number `function`, and the bounds they are. */
void contract_record(Image *im, const Function *f, uint32_t function);

#endif
