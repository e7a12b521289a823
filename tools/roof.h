/* What the machine could do while a plan was profiled: the bounds that its instructions are held
 * against. */
#ifndef TENON_TOOLS_ROOF_H
#define TENON_TOOLS_ROOF_H

#include "bench/roofline/roofline.h"
#include "tools/tool.h"

typedef struct Roof {
    RooflineProbe probe;
    double flops[ROOFLINE_TYPES], bytes; /* per second, best seen */
} Roof;

/* For the threads and the instruction set that the session runs on. Memory that cannot be had
 * leaves `bytes` 0, and bounds nothing. */
void roof_open(Tool *t, Roof *roof, const PlanRun *r);
/* Looks at the machine, some 10 ms: before the runs and after them. */
void roof_look(Roof *roof);
/* The least nanoseconds that so much arithmetic and so many bytes of memory take. */
double roof_bound(const Roof *roof, RooflineType type, double flops, double bytes);

#endif
