/* A plan as text: contract, then the listing of instructions. */
#ifndef TENON_TOOLS_PLAN_TEXT_H
#define TENON_TOOLS_PLAN_TEXT_H

#include "ir/text.h"
#include "runtime/runtime.h"

void plan_text(const tenon_plan *p, TextBuffer *t);

#endif
