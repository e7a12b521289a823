/* Peak arithmetic and read bandwidth in the process and on the pool that run the plan. */
#include "tools/roof.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "runtime/runtime.h"

enum { LOOKS = 3 };
static const size_t LEAST_BYTES = 64u << 20, MOST_BYTES = 512u << 20;

/* Twice the last cache: what is read again is no longer there. */
static size_t memory_bytes(void) {
#ifdef _SC_LEVEL3_CACHE_SIZE
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
#else
    long cache = 0;
#endif
    size_t bytes = cache > 0 ? 2 * (size_t)cache : 0;
    if (bytes < LEAST_BYTES) return LEAST_BYTES;
    return bytes < MOST_BYTES ? bytes : MOST_BYTES;
}

void roof_open(Tool *t, Roof *roof, const PlanRun *r) {
    TnPool *pool = r->session->pool;
    size_t bytes = memory_bytes();
    *roof = (Roof){.probe = {.pool = pool,
                             .threads = tn_pool_threads(pool),
                             .isa = r->plan->isa,
                             .memory = aligned_alloc(4096, bytes),
                             .bytes = bytes}};
    if (!roof->probe.memory) return;
    memset(roof->probe.memory, 1, bytes); /* or all of it would be one page of zeros */
    tn_defer(&t->cx, free, roof->probe.memory);
}

void roof_look(Roof *roof) {
    for (int i = 0; i < LOOKS; i++) {
        for (int type = 0; type < ROOFLINE_TYPES; type++)
            roof->flops[type] =
                fmax(roof->flops[type], roofline_flops(&roof->probe, (RooflineType)type));
        if (roof->probe.memory)
            roof->bytes = fmax(roof->bytes, roofline_read(&roof->probe, roof->probe.bytes));
    }
}

double roof_bound(const Roof *roof, RooflineType type, double flops, double bytes) {
    double compute = flops / roof->flops[type], move = roof->bytes > 0 ? bytes / roof->bytes : 0;
    return 1e9 * fmax(compute, move);
}
