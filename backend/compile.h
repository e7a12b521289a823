/* The whole compiler as one list of calls. */
#ifndef TENON_BACKEND_COMPILE_H
#define TENON_BACKEND_COMPILE_H

#include "backend/image.h"
#include "passes/pass.h"

#define COMPILE_STRIP   1u /* no names of nodes and values in the plan */
#define COMPILE_UNFUSED 2u /* the graph as imported, but for what lowering needs */

/* Runs passes and lowering over all functions of the module. */
Image *compile_module(Module *m, Report *r, unsigned flags);

#endif
