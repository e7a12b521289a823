/* Offsets in one arena for buffers with known lifetimes.
 *
 * Two buffers that are live at the same step never overlap. Needs nothing of plans or sessions, so
 * that the compiler can judge an instruction order by the same code that lays out the arena at
 * prepare.
 *
 *     TnMemItem items[] = {{.size = 256, .first = 0, .last = 1}, {.size = 64, .first = 1, .last =
 * 2}}; void *scratch = malloc(tn_memplan_scratch(2)); tn_memplan(items, 2, scratch, &total, &live);
 * // items[i].offset is set, total is 320 */
#ifndef TENON_RUNTIME_MEMPLAN_H
#define TENON_RUNTIME_MEMPLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TN_MEM_ALIGN 64

typedef struct TnMemItem {
    uint64_t size;
    uint32_t first, last; /* steps at which it is live, inclusive; first <= last */
    uint64_t offset;      /* set by tn_memplan: a multiple of TN_MEM_ALIGN */
} TnMemItem;

/* Bytes of scratch memory, aligned to 8, that tn_memplan needs for n items; 0 if that overflows. */
size_t tn_memplan_scratch(size_t n);

/* Sets the offsets, the bytes of the arena and the largest sum of (rounded) sizes live at one step.
 * Deterministic. Returns false if sizes overflow. */
bool tn_memplan(TnMemItem *items, size_t n, void *scratch, uint64_t *total, uint64_t *live);

#endif
