/* Mutated plans with right checksums: every one is refused with a message or runs safely. The
 * sanitizers are the judge.
 *
 * Mutants: every byte set to several values, then random fields of all program sections set to
 * small, large and special values, up to four at a time. Each mutant that opens runs with tiny
 * inputs under a small memory limit. A mutant may compute for long only if its dims are large; dims
 * of inputs stay small and the arena is bounded, so the rest is what constants give. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "runtime/tenon.h"
#include "tests/support/flow_plan.h"
#include "tests/support/plan_mutate.h"
#include "tests/support/run_plan.h"
#include "tests/support/select_plan.h"
#include "tests/support/state_plan.h"
#include "tests/support/zoo_plan.h"

enum { RANDOM_MUTANTS = 40000 };

static long opened, ran;

static void try_plan(unsigned char *bytes, size_t size) {
    bool opens;
    plan_rehash(bytes, size);
    int functions = run_plan(bytes, size, mutate_next(8), &opens);
    assert_true(functions >= 0);
    opened += opens;
    ran += functions;
}

typedef unsigned char *MakePlan(size_t *size);

static unsigned char *make_tiny(size_t *size) {
    return tiny_plan(4, 3, size);
}

static MakePlan *const plans[] = {make_tiny,     zoo_plan,     select_plan,
                                  flow_measured, flow_control, state_plan};
enum { PLANS = sizeof plans / sizeof *plans };

/* The plans themselves run, so that mutants of them come near to running. */
static void originals(void **state) {
    (void)state;
    for (size_t p = 0; p < PLANS; p++) {
        size_t size;
        unsigned char *bytes = plans[p](&size);
        long before = ran;
        try_plan(bytes, size);
        assert_true(ran > before);
        free(bytes);
    }
}

/* No instruction goes without mutants. */
static void every_instruction(void **state) {
    (void)state;
    bool found[TN_OP_COUNT] = {false};
    for (size_t p = 0; p < PLANS; p++) {
        size_t size;
        unsigned char *bytes = plans[p](&size);
        const PlanHeader *h = (const PlanHeader *)bytes;
        for (const PlanSection *s = plan_sections(bytes), *end = s + h->section_count; s < end; s++)
            if (s->kind == TN_SECTION_INSTRUCTIONS)
                for (uint64_t i = 0; i < s->count; i++)
                    found[((const PlanInstruction *)(bytes + s->offset))[i].opcode] = true;
        free(bytes);
    }
    for (int op = 0; op < TN_OP_COUNT; op++)
        if (tn_instr(op) && !found[op]) fail_msg("no plan has %s", tn_instr(op)->name);
}

static void every_byte(void **state) {
    (void)state;
    static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff};
    for (size_t p = 0; p < PLANS; p++) {
        size_t size;
        unsigned char *bytes = plans[p](&size), *mutant = aligned_alloc(64, (size + 64) / 64 * 64);
        for (size_t i = 0; i < size; i++)
            for (size_t v = 0; v < sizeof values; v++) {
                memcpy(mutant, bytes, size);
                mutant[i] = values[v];
                try_plan(mutant, size);
            }
        free(mutant);
        free(bytes);
    }
}

static void random_fields(void **state) {
    (void)state;
    for (size_t p = 0; p < PLANS; p++) {
        size_t size;
        unsigned char *bytes = plans[p](&size), *mutant = aligned_alloc(64, (size + 64) / 64 * 64);
        opened = ran = 0;
        for (int i = 0; i < RANDOM_MUTANTS; i++) {
            mutate_seed = (uint64_t)i + 1; /* so that a mutant can be repeated alone */
            memcpy(mutant, bytes, size);
            for (uint32_t k = mutate_next(4) + 1; k > 0; k--) mutate_plan(mutant, bytes, size);
            try_plan(mutant, size);
        }
        print_message("%ld mutants opened, %ld functions ran\n", opened, ran);
        assert_true(opened > RANDOM_MUTANTS / 20 && ran > RANDOM_MUTANTS / 20);
        free(mutant);
        free(bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(originals), cmocka_unit_test(every_instruction),
        cmocka_unit_test(every_byte), cmocka_unit_test(random_fields)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
