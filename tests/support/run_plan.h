/* Opens bytes as a plan and runs its functions on small inputs, whatever the bytes are: for mutants
 * and fuzzing. The sanitizers judge; here it is only asked that failures have a message. */
#ifndef TENON_TESTS_SUPPORT_RUN_PLAN_H
#define TENON_TESTS_SUPPORT_RUN_PLAN_H

#include "runtime/runtime.h"
#include "tests/support/plan_builder.h"

enum { RUN_MEMORY_LIMIT = 1 << 20, RUN_INPUT_BYTES = 1 << 14 };

/* Plans may ask for work without bound (long loops over few elements); a test has to end. */
static inline bool run_is_short(const tenon_session *s) {
    double ns = 0;
    for (uint32_t i = 0; i < s->function->instruction_count; i++) ns += (double)s->calls[i].work;
    return ns < 3e8;
}

/* Binds inputs of 2 along every symbolic axis; `choose` says which optional ones are left out. */
static inline void run_bind(tenon_session *s, const char *function, unsigned choose) {
    static _Alignas(64) unsigned char data[RUN_INPUT_BYTES];
    tenon_port port;
    for (int i = 0;
         tenon_plan_port(s->plan, function, i, &port, NULL) == TENON_OK && !port.is_output; i++) {
        tenon_tensor t = {.dtype = port.dtype, .rank = port.rank, .data = data};
        int64_t elements = 1;
        for (int axis = 0; axis < port.rank && elements <= RUN_INPUT_BYTES; axis++) {
            t.dims[axis] = port.dims[axis] >= 0 ? port.dims[axis] : 2;
            elements = t.dims[axis] > RUN_INPUT_BYTES ? t.dims[axis] : elements * t.dims[axis];
        }
        bool left_out = port.is_optional && (choose >> i % 32 & 1);
        if (!left_out && elements <= RUN_INPUT_BYTES / 8)
            tenon_session_bind(s, port.name, &t, NULL);
    }
}

/* Whether a call that ended with `status` told why. */
static inline bool run_told(tenon_status status, const tenon_error *err) {
    return status == TENON_OK || (err->code == status && err->text[0]);
}

/* Another run on top of what the first left, then of one of its sequences twice. */
static inline tenon_status run_states(tenon_session *s, tenon_error *err) {
    tenon_status status = tenon_session_run(s, err);
    if (!status) status = tenon_session_truncate(s, 1, err);
    if (!status) status = tenon_session_reorder(s, (int64_t[]){1, 1}, 2, err);
    return status ? status : tenon_session_run(s, err);
}

/* What came of it: functions that ran, or -1 if a failure had no message. */
static inline int run_plan(unsigned char *bytes, size_t size, unsigned choose, bool *opened) {
    tenon_plan *plan = NULL;
    tenon_error err;
    int ran = 0;
    tenon_status status = tenon_plan_open_memory(bytes, size, NULL, &plan, &err);
    *opened = status == TENON_OK;
    if (status) return run_told(status, &err) ? 0 : -1;
    for (uint32_t i = 0; i < plan->functions_count && i < 4 && ran >= 0; i++) {
        const char *function = plan_string(plan, plan->functions[i].name);
        tenon_session_options o = {
            .struct_size = sizeof o, .function = function, .memory_limit = RUN_MEMORY_LIMIT};
        tenon_session *s = NULL;
        if (tenon_session_create(plan, &o, &s, &err)) continue;
        run_bind(s, function, choose);
        status = tenon_session_prepare(s, &err);
        if (!status && run_is_short(s)) {
            s->calls_allowed = 3000; /* a plan may also loop for long */
            status = tenon_session_run(s, &err);
            if (!status) ran++;
            if (!status && plan->states_count) status = run_states(s, &err);
        }
        if (!run_told(status, &err)) ran = -1;
        tenon_session_destroy(s);
    }
    tenon_plan_close(plan);
    return ran;
}

#endif
