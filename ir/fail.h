/* Errors of the compiler half: tn_fail does not return.
 *
 * `setjmp` stands at each entry of libtenonc's API (backend/tenonc.c), in tn_try and in tests,
 * nowhere else.
 * All memory hangs off arenas and foreign objects (mappings, protobuf trees) are registered with
 * tn_defer, so import, shape and lowering code carries no error plumbing. Never call tn_fail from a
 * worker thread or out of another library's callback.
 *
 *     tn_enter(cx, "node", node_name);
 *     if (axis >= rank) tn_fail(cx, TN_E_MODEL, "axis %d of a tensor of rank %d", axis, rank);
 *     tn_leave(cx);
 *
 * A message is one line: the context, outermost first, then the text; at most 400 characters per
 * quoted piece; control bytes are escaped. A list of problems has one indented line for each.
 */
#ifndef TENON_IR_FAIL_H
#define TENON_IR_FAIL_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include "runtime/base/arena.h"
#include "runtime/base/status.h"

#define TN_CONTEXT_DEPTH 128 /* a message shows the outermost and the innermost few */

typedef struct TnDefer TnDefer;

typedef struct TnContext {
    const char *kind; /* "file", "node", "pass", "tensor", "key" */
    const char *name;
    const char *detail; /* operator of a node, or NULL */
} TnContext;

typedef struct Cx {
    Arena arena;      /* lives as long as the compilation */
    jmp_buf *on_fail; /* where tn_fail goes */
    TnStatus code;    /* set by tn_fail */
    char message[4096];
    const char *reason;      /* of a failure that tn_try caught: `message` behind its context */
    const char *kind, *help; /* what tn_hint said of it, or NULL */
    TnContext context[TN_CONTEXT_DEPTH];
    int depth, try_depth; /* try_depth: where the work of tn_try began */
    TnDefer *defers;
    struct Problems *problems; /* problems.h */
    /* May be NULL; false ends the compilation. */
    bool (*progress)(void *user, const char *stage, int done, int total);
    void *progress_user;
} Cx;

void cx_init(Cx *cx, TnAlloc alloc); /* `on_fail` is still to be set */
void cx_free(Cx *cx); /* runs what tn_defer registered, last first, then frees the arena */

_Noreturn void tn_fail(Cx *cx, TnStatus code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void tn_enter(Cx *cx, const char *kind, const char *name);
void tn_enter_node(Cx *cx, const char *name, const char *op);
void tn_leave(Cx *cx);

/* What the failure raised next is about, and what the user can do: kind and help of a Problem. */
void tn_hint(Cx *cx, const char *kind, const char *help);
/* Raises this text as it is. */
_Noreturn void tn_fail_with(Cx *cx, TnStatus code, const char *text);

/* Runs work(user), which begins by entering the context that it is about. False if the model is
 * found at fault (TN_E_MODEL, TN_E_UNSUPPORTED): code, message, reason, kind and help say how, and
 * the context is as before. Every other failure goes on. Whoever goes on after false must not read
 * what the work was going to make, and must raise in the end (problems_raise). */
typedef void TnWork(void *user);
bool tn_try(Cx *cx, TnWork *work, void *user);

/* Says that `done` of `total` steps of this stage are done. TN_E_CANCELLED if nobody wants more. */
void tn_progress(Cx *cx, const char *stage, int done, int total);

/* Runs fn(arg) when the compilation ends, however it ends. */
void tn_defer(Cx *cx, void (*fn)(void *arg), void *arg);

/* `s` with control bytes and invalid UTF-8 escaped, cut to `max` bytes: safe in a message. */
const char *tn_printable(Cx *cx, const char *s, size_t n, size_t max);
/* The same of a name or word of a file, cut to 100 bytes. */
const char *tn_quoted(Cx *cx, const char *s);

#endif
