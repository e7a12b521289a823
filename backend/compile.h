/* The whole compiler as one list of calls. */
#ifndef TENON_BACKEND_COMPILE_H
#define TENON_BACKEND_COMPILE_H

#include "backend/image.h"
#include "passes/pass.h"

/* Runs passes and lowering over all functions of the module. */
Image *compile_module(Module *m, Report *r, bool strip);

#endif
