/* Decoding in a steady state: a step at a length that has been seen before, be it by tokens that
 * were taken back, neither allocates nor asks the system for anything. The steps run in a child
 * that may not make system calls; malloc counts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "backend/tenonc.h"
#include "runtime/tenon.h"

#if defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#if !SANITIZED && defined(__GLIBC__)
static int allocations; /* by anybody: of the library, or of the C library on its behalf */

void *__libc_malloc(size_t size);
void *malloc(size_t size) {
    allocations++;
    return __libc_malloc(size);
}

enum { STEPS = 24, DONE = 0, ALLOCATED, NO_SECCOMP, FAILED };

static tenon_status step(tenon_session *s, int64_t past, tenon_error *err) {
    static int64_t id[1], mask[STEPS];
    tenon_tensor ids = {.dtype = TENON_I64, .rank = 2, .dims = {1, 1}, .data = id};
    tenon_tensor ones = {.dtype = TENON_I64, .rank = 2, .dims = {1, past + 1}, .data = mask};
    for (int i = 0; i < STEPS; i++) mask[i] = 1;
    id[0] = past;
    tenon_status status = tenon_session_bind(s, "input_ids", &ids, err);
    if (!status) status = tenon_session_bind(s, "attention_mask", &ones, err);
    return status ? status : tenon_session_run(s, err);
}

/* In the child: exits with what it found, by the only call that is left to it. */
static void run_confined(tenon_session *s) {
    tenon_error err;
    long found = DONE;
    for (int64_t past = 0; past < STEPS; past++)
        if (step(s, past, &err)) found = FAILED;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)) found = NO_SECCOMP;
    allocations = 0;
    if (tenon_session_truncate(s, 0, &err)) found = FAILED;
    for (int64_t past = 0; past < STEPS && found == DONE; past++)
        if (step(s, past, &err)) found = FAILED;
    if (found == DONE && allocations) found = ALLOCATED;
    syscall(SYS_exit, found);
}

static void steps_ask_for_nothing(void **state) {
    (void)state;
    const void *plan_bytes = NULL;
    size_t size = 0;
    int status = 0;
    tenon_error err;
    tenon_plan *plan;
    tenon_session *s;
    tenonc *c = tenonc_create(NULL);
    if (tenonc_set(c, "state", "auto") ||
        tenonc_add(c, TENON_SOURCE_DIR "/tests/fixtures/gpt2-decode/model.onnx", "main") ||
        tenonc_compile_memory(c, &plan_bytes, &size))
        fail_msg("%s", tenonc_error(c)->text);
    if (tenon_plan_open_memory(plan_bytes, size, NULL, &plan, &err)) fail_msg("%s", err.text);
    if (tenon_session_create(plan, NULL, &s, &err)) fail_msg("%s", err.text);
    pid_t child = fork();
    if (child == 0) run_confined(s);
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    tenon_session_destroy(s);
    tenon_plan_close(plan);
    tenonc_destroy(c);
    if (WIFSIGNALED(status)) fail_msg("a step made a system call");
    if (WEXITSTATUS(status) == NO_SECCOMP) skip();
    assert_int_equal(WEXITSTATUS(status), DONE);
}
#else
static void steps_ask_for_nothing(void **state) {
    (void)state;
    skip();
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(steps_ask_for_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
