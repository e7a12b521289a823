/* What the machine can do at this moment: arithmetic, reading, copying, the clock.
 *
 * The clock and the memory of a shared machine drift, so a figure means something only next to a
 * kernel's time of the same second. Each function takes one look of some milliseconds, the best of
 * a few tries; whoever wants the roof takes the best of many looks, taken between the rounds of
 * what it times:
 *
 *     RooflineProbe probe = {.pool = pool, .threads = 2, .isa = isa, .memory = m, .bytes = n};
 *     for (each round) {
 *         flops = fmax(flops, roofline_flops(&probe, ROOFLINE_F32));
 *         bytes = fmax(bytes, roofline_read(&probe, n));
 *         ... a round of the kernel ...
 *     } */
#ifndef TENON_BENCH_ROOFLINE_H
#define TENON_BENCH_ROOFLINE_H

#include <stddef.h>
#include "runtime/base/cpu.h"
#include "runtime/base/threads.h"

/* Operands of the multiplications; sums are f32, of 8-bit integers i32. */
typedef enum RooflineType { ROOFLINE_F32, ROOFLINE_BF16, ROOFLINE_I8, ROOFLINE_TYPES } RooflineType;

typedef struct RooflineProbe {
    TnPool *pool; /* NULL: the caller's thread only */
    int threads;
    TnIsa isa;
    char *memory; /* to read: larger than the caches for the bandwidth of memory */
    size_t bytes;
    size_t at; /* where the next look begins */
} RooflineProbe;

/* Multiplications and additions per second of all threads, in registers. Of bf16 and 8-bit integers
 * where the CPU multiplies them itself; elsewhere they have to be widened first, and f32's figure
 * is the bound. */
double roofline_flops(const RooflineProbe *p, RooflineType type);
/* Bytes per second that all threads read together from `span` bytes, again and again: where a
 * working set of this size lies. Spans as large as the memory are gone through once. */
double roofline_read(RooflineProbe *p, size_t span);
/* Bytes read and written per second by all threads that copy one half of `span` to the other. */
double roofline_copy(RooflineProbe *p, size_t span);
/* Instructions per second that all threads issue, as many per cycle as a core can. What falls short
 * of the most ever seen had to share its core: with another process, or with another tenant on the
 * core's other hardware thread, which takes nothing from multiplications in registers, but much
 * from kernels. */
double roofline_issue(const RooflineProbe *p);
/* Cycles per second of one busy thread, counted by additions that wait for each other, one cycle
 * each. 0 on CPUs where that is not known. */
double roofline_clock(void);

#endif
