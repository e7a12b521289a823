/* The loops behind roofline_flops, one per instruction set and type. */
#ifndef TENON_BENCH_PEAK_H
#define TENON_BENCH_PEAK_H

#include "bench/roofline/roofline.h"

typedef double PeakFn(void); /* runs some 0.1 ms; returns its operations */

PeakFn *peak_fn(TnIsa isa, RooflineType type);

#endif
