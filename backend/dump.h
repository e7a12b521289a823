/* Modules after passes, for tenonc_dump. */
#ifndef TENON_BACKEND_DUMP_H
#define TENON_BACKEND_DUMP_H

#include "passes/pass.h"

/* Runs the passes up to `after` and prints; format and after as tenonc_dump takes them. */
const char *dump_module(Module *m, Report *r, const char *format, const char *after);

#endif
