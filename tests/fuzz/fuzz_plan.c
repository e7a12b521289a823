/* Any bytes as a plan, with checksums made right first: open it, run what opens. A byte from the
 * middle chooses which optional inputs are left out. Seeds: the plans of tests/support. */
#include "tests/fuzz/fuzz.h"
#include "tests/support/run_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bool opened;
    unsigned char *bytes =
        aligned_alloc(TN_PLAN_ALIGN, size / TN_PLAN_ALIGN * TN_PLAN_ALIGN + TN_PLAN_ALIGN);
    fuzz_check(bytes != NULL);
    memcpy(bytes, data, size);
    plan_rehash(bytes, size);
    fuzz_check(run_plan(bytes, size, size ? data[size / 2] : 0, &opened) >= 0);
    free(bytes);
    return 0;
}
