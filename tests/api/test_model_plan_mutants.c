/* Mutants of plans compiled from models, half of them with repaired checksums: every one is refused
 * with a message or runs safely. The sanitizers are the judge. TENON_MUTANTS sets how many per
 * plan. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "backend/tenonc.h"
#include "tests/support/plan_mutate.h"
#include "tests/support/run_plan.h"

enum { MUTANTS = 20000 };

static unsigned char *compile(const char *model, size_t *size) {
    char path[512];
    const void *bytes;
    tenonc *c = tenonc_create(NULL);
    snprintf(path, sizeof path, TENON_SOURCE_DIR "/tests/fixtures/%s", model);
    if (tenonc_add(c, path, NULL) || tenonc_compile_memory(c, &bytes, size))
        fail_msg("%s", tenonc_error(c)->text);
    unsigned char *copy = aligned_alloc(64, (*size + 63) / 64 * 64);
    memcpy(copy, bytes, *size);
    tenonc_destroy(c);
    return copy;
}

static void run_mutants(void **state) {
    const char *model = *state, *wanted = getenv("TENON_MUTANTS");
    size_t size;
    unsigned char *bytes = compile(model, &size),
                  *mutant = aligned_alloc(64, (size + 63) / 64 * 64);
    long count = wanted ? strtol(wanted, NULL, 10) : MUTANTS, opened = 0, ran = 0;
    bool opens;
    assert_true(run_plan(bytes, size, 0, &opens) == 1);
    for (long i = 0; i < count; i++) {
        mutate_seed = (uint64_t)i + 1; /* so that a mutant can be repeated alone */
        memcpy(mutant, bytes, size);
        for (uint32_t k = mutate_next(4) + 1; k > 0; k--) mutate_plan(mutant, bytes, size);
        if (i % 2) plan_rehash(mutant, size);
        int functions = run_plan(mutant, size, mutate_next(8), &opens);
        assert_true(functions >= 0);
        opened += opens;
        ran += functions;
    }
    print_message("%s: %ld of %ld mutants opened, %ld ran\n", model, opened, count, ran);
    free(mutant);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        {"bert", run_mutants, NULL, NULL, "bert-sequence-cls/model.onnx"},
        {"gpt2", run_mutants, NULL, NULL, "gpt2-lm/model_ts.onnx"},
        {"t5", run_mutants, NULL, NULL, "t5-encoder/model.onnx"}};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
