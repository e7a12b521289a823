/* Opening plans for the commands that run them, and compilers for those that compile. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "runtime/base/cpu.h"
#include "tools/tool.h"

double tool_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static tenon_isa wanted_isa(Tool *t) {
    const char *name = getenv("TENON_ISA");
    if (!name || !*name) return TENON_ISA_AUTO;
    TnIsa isa;
    if (tn_isa_parse(name, &isa)) return (tenon_isa)(TENON_ISA_SCALAR + (int)isa);
    tn_fail(&t->cx, TN_E_ARGUMENT,
            "TENON_ISA is '%s'; scalar, avx2, avx512, avx512_vnni or avx512_bf16 is wanted", name);
}

const char *tool_isa_name(Tool *t) {
    tenon_isa isa = wanted_isa(t);
    return tn_isa_name(isa == TENON_ISA_AUTO ? tn_cpu_isa() : (TnIsa)(isa - TENON_ISA_SCALAR));
}

static void close_run(void *run) {
    PlanRun *r = run;
    tenon_session_destroy(r->session);
    tenon_pool_destroy(r->pool);
    tenon_plan_close(r->plan);
}

static void destroy_compiler(void *c) {
    tenonc_destroy(c);
}

tenonc *tool_compiler(Tool *t, const tenonc_options *options) {
    tenonc *c = tenonc_create(options);
    if (!c) tn_fail(&t->cx, TN_E_MEMORY, "out of memory");
    tn_defer(&t->cx, destroy_compiler, c);
    return c;
}

_Noreturn void tool_fail_compile(Tool *t, const tenonc *c) {
    const tenonc_message *m = tenonc_error(c);
    tn_fail_with(&t->cx, (TnStatus)m->code, m->text);
}

/* What the machine has, in bytes; 0, no limit, if it does not say. */
static uint64_t machine_memory(void) {
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

PlanRun tool_open(Tool *t, const char *path, const char *function, int threads) {
    PlanRun *r = ARENA_NEW(&t->cx.arena, PlanRun);
    tenon_error err;
    tenon_plan_options options = {.struct_size = sizeof options, .isa = wanted_isa(t)};
    r->path = path;
    tn_defer(&t->cx, close_run, r);
    double start = tool_now_ms();
    if (tenon_plan_open(path, &options, &r->plan, &err)) tool_fail(t, path, &err);
    r->load_ms = tool_now_ms() - start;
    if (threads != 1 && tenon_pool_create(threads, &r->pool, &err)) tool_fail(t, path, &err);
    tenon_session_options session = {.struct_size = sizeof session,
                                     .function = function,
                                     .pool = r->pool,
                                     .memory_limit = machine_memory()};
    if (tenon_session_create(r->plan, &session, &r->session, &err)) tool_fail(t, path, &err);
    return *r;
}
