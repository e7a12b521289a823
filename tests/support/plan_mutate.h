/* Random changes to the bytes of a plan: fields of all sections set to small, large and special
 * values. The same seed gives the same mutant. */
#ifndef TENON_TESTS_SUPPORT_PLAN_MUTATE_H
#define TENON_TESTS_SUPPORT_PLAN_MUTATE_H

#include "tests/support/plan_builder.h"

static uint64_t mutate_seed = 1;

static inline uint32_t mutate_next(uint32_t bound) {
    mutate_seed = mutate_seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((mutate_seed >> 33) % bound);
}

static inline uint64_t mutate_value(void) {
    static const uint64_t values[] = {0,          1,
                                      2,          3,
                                      7,          8,
                                      9,          15,
                                      16,         63,
                                      64,         65,
                                      255,        256,
                                      0x7fff,     0xffff,
                                      0x7fffffff, 0x80000000,
                                      0xffffffff, (uint64_t)1 << 40,
                                      INT64_MAX,  (uint64_t)INT64_MAX + 1,
                                      UINT64_MAX, UINT64_MAX - 63};
    return mutate_next(2) ? values[mutate_next(sizeof values / sizeof *values)] : mutate_next(64);
}

/* Changes a field; where fields are is looked up in the unchanged plan. */
static inline void mutate_plan(unsigned char *bytes, unsigned char *original, size_t size) {
    const PlanHeader *h = (const PlanHeader *)original;
    size_t width = (size_t)1 << mutate_next(4), at;
    uint64_t value = mutate_value();
    if (mutate_next(20) == 0) {
        at = mutate_next((uint32_t)(sizeof *h + h->section_count * sizeof(PlanSection)));
    } else {
        const PlanSection *s = plan_sections(original) + mutate_next(h->section_count);
        at = s->offset +
             mutate_next((uint32_t)(s->bytes < size - s->offset ? s->bytes : size - s->offset));
    }
    at -= at % width;
    if (at + width > size) return;
    if (mutate_next(4) == 0) {
        bytes[at] ^= (unsigned char)(1u << mutate_next(8));
    } else if (mutate_next(3) == 0) { /* near the present value */
        uint64_t old = 0;
        memcpy(&old, bytes + at, width);
        value = old + mutate_next(5) - 2;
    }
    memcpy(bytes + at, &value, width);
}

#endif
