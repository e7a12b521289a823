/* The report of a compilation as text and as JSON. */
#ifndef TENON_BACKEND_REPORT_H
#define TENON_BACKEND_REPORT_H

#include "backend/image.h"
#include "passes/pass.h"
#include "runtime/tenon.h"

/* Keeps the finished plan for the memory figures: it stays open until the context ends. */
void report_plan(Image *im, tenon_plan *plan);
const char *report_text(const Report *r, Image *im);
const char *report_json(const Report *r, Image *im);
/* "input_ids[batch, sequence], attention_mask[batch, sequence]" */
const char *report_inputs(Module *m);

#endif
