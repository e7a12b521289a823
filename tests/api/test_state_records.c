/* Records of STATES that break a rule of the format: each is refused with its reason. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "runtime/tenon.h"
#include "tests/support/state_plan.h"

static void *records(unsigned char *bytes, uint32_t kind) {
    PlanSection *s = plan_sections(bytes);
    while (s->kind != kind) s++;
    return bytes + s->offset;
}

typedef struct Breach {
    uint32_t record;
    size_t offset, bytes; /* of the field of PlanState */
    uint32_t value;
    const char *text;
} Breach;

static void broken_records(void **state) {
    (void)state;
#define FIELD(name) offsetof(PlanState, name), sizeof((PlanState *)0)->name
    const Breach breaches[] = {
        {0, FIELD(name), 1u << 30, "state 0: name outside STRINGS"},
        {0, FIELD(state), 1, "state 0: first record 1"},
        {3, FIELD(state), 2, "state 3: first record 2"},
        {1, FIELD(function), 9, "state 1: function 9"},
        {2, FIELD(function), 0, "state 2 does not follow the one before it"},
        {3, FIELD(state), 0, "state 3 does not follow the one before it"},
        {0, FIELD(buffer), 0, "buffer 3 belongs to no state"},
        {0, FIELD(access), 4, "state 0: access 4"},
        {0, FIELD(axis), 4, "state 0: rank 4, axes 4 and 0"},
        {0, FIELD(batch), 2, "state 0: rank 4, axes 2 and 2"},
        {0, FIELD(rank), 0, "state 0: rank 0, axes 2 and 0"},
        {0, FIELD(dims), 1u << 30, "state 0: dims or next are no expressions"},
        {0, FIELD(next), 1u << 30, "state 0: dims or next are no expressions"},
        {0, FIELD(capacity), 0, "state 0: symbol 0 is no capacity"},
        {2, FIELD(axis), 1, "state 'kv': two functions disagree on what it is"},
        {2, FIELD(batch), TN_NO_AXIS, "state 'kv': two functions disagree on what it is"},
        {0, FIELD(access), TN_STATE_READ,
         "function 'step': instruction 0: copy: writes a state that its function only reads"},
        {1, FIELD(access), TN_STATE_WRITE,
         "function 'step': instruction 2: copy: operand 0 is read before it is written"},
    };
#undef FIELD
    for (size_t i = 0; i < sizeof breaches / sizeof *breaches; i++) {
        const Breach *b = &breaches[i];
        size_t size;
        unsigned char *bytes = state_plan(&size);
        tenon_plan *plan = NULL;
        tenon_error err;
        char wanted[200];
        memcpy(bytes + ((unsigned char *)records(bytes, TN_SECTION_STATES) - bytes) +
                   b->record * sizeof(PlanState) + b->offset,
               &b->value, b->bytes);
        plan_rehash(bytes, size);
        assert_int_equal(tenon_plan_open_memory(bytes, size, NULL, &plan, &err), TENON_E_INVALID);
        snprintf(wanted, sizeof wanted, "plan in memory: %s", b->text);
        assert_string_equal(err.text, wanted);
        free(bytes);
    }
}

/* A reader of version 1.0 that knows no states refuses them by this bit; without it they are no
 * plan. */
static void feature_is_declared(void **state) {
    (void)state;
    size_t size;
    unsigned char *bytes = state_plan(&size);
    PlanHeader *h = (PlanHeader *)bytes;
    tenon_plan *plan = NULL;
    tenon_error err;
    assert_int_equal(h->required, TN_FEATURE_STATES);
    h->required = 0;
    plan_rehash(bytes, size);
    assert_int_equal(tenon_plan_open_memory(bytes, size, NULL, &plan, &err), TENON_E_INVALID);
    h->required = TN_FEATURE_STATES | 2;
    plan_rehash(bytes, size);
    assert_int_equal(tenon_plan_open_memory(bytes, size, NULL, &plan, &err), TENON_E_VERSION);
    assert_string_equal(err.text,
                        "plan in memory: the plan needs features 0x2 that this library lacks");
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(broken_records),
                                       cmocka_unit_test(feature_is_declared)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
