/* tn_fail and its context: the compiler's one way to report an error.
 *
 * A message is the context, outermost first, then the text, on one line:
 *
 *     bert.onnx: node '/encoder/MatMul' (MatMul): inner dimensions differ, 768 and 3072
 *
 * Nothing here allocates while a failure is under way, so
 * running out of memory can be reported too. */
#include "ir/fail.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "runtime/base/text.h"

#define MAX_QUOTED 400 /* bytes of a name in a message */
/* Of a context that is deeper than both together, these are shown. */
#define OUTERMOST 2
#define INNERMOST 4

struct TnDefer {
    void (*fn)(void *arg);
    void *arg;
    TnDefer *next;
};

static void put(char *message, size_t size, const char *s) {
    tn_append_escaped(message, size, s, strlen(s), MAX_QUOTED);
}

static void put_entry(Cx *cx, const TnContext *c) {
    char *message = cx->message;
    size_t size = sizeof cx->message;
    bool file = strcmp(c->kind, "file") == 0;
    if (!file) {
        put(message, size, c->kind);
        put(message, size, " '");
    }
    put(message, size, c->name ? c->name : "");
    if (!file) put(message, size, "'");
    if (c->detail) {
        put(message, size, " (");
        put(message, size, c->detail);
        put(message, size, ")");
    }
    put(message, size, ": ");
}

static void put_context(Cx *cx, int from, int to) {
    for (int i = from; i < to; i++) {
        if (i == from + OUTERMOST && to - i > INNERMOST) {
            put(cx->message, sizeof cx->message, "...: ");
            i = to - INNERMOST;
        }
        put_entry(cx, &cx->context[i]);
    }
}

/* Context and text into the message. */
static void compose(Cx *cx, const char *fmt, va_list ap) {
    char text[1536];
    int last = cx->depth < TN_CONTEXT_DEPTH ? cx->depth : TN_CONTEXT_DEPTH;
    int named = cx->try_depth + 1 < last ? cx->try_depth + 1 : last;
    cx->message[0] = 0;
    if (vsnprintf(text, sizeof text, fmt, ap) < 0) text[0] = 0;
    put_context(cx, 0, named);
    cx->reason = cx->message + strlen(cx->message);
    put_context(cx, named, last);
    tn_append_escaped(cx->message, sizeof cx->message, text, strlen(text), sizeof cx->message);
}

_Noreturn static void raise_failure(Cx *cx, TnStatus code) {
    cx->code = code;
    longjmp(*cx->on_fail, 1);
}

static void on_oom(void *user, size_t bytes) {
    if (bytes == SIZE_MAX) tn_fail(user, TN_E_MEMORY, "a size overflows");
    tn_fail(user, TN_E_MEMORY, "out of memory (%zu bytes wanted)", bytes);
}

void cx_init(Cx *cx, TnAlloc alloc) {
    *cx = (Cx){.arena = {.alloc = alloc, .on_oom = on_oom, .oom_user = cx}};
}

void cx_free(Cx *cx) {
    while (cx->defers) {
        TnDefer *d = cx->defers;
        cx->defers = d->next;
        d->fn(d->arg);
    }
    cx->problems = NULL;
    arena_free(&cx->arena);
}

void tn_fail(Cx *cx, TnStatus code, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    compose(cx, fmt, ap);
    va_end(ap);
    raise_failure(cx, code);
}

void tn_fail_with(Cx *cx, TnStatus code, const char *text) {
    snprintf(cx->message, sizeof cx->message, "%s", text);
    cx->reason = cx->message;
    raise_failure(cx, code);
}

void tn_hint(Cx *cx, const char *kind, const char *help) {
    cx->kind = kind;
    cx->help = help;
}

bool tn_try(Cx *cx, TnWork *work, void *user) {
    jmp_buf here, *outside = cx->on_fail;
    int depth = cx->depth, try_depth = cx->try_depth;
    volatile bool done = false;
    cx->on_fail = &here;
    cx->try_depth = depth;
    tn_hint(cx, NULL, NULL);
    if (setjmp(here) == 0) {
        work(user);
        done = true;
    }
    cx->on_fail = outside;
    cx->depth = depth;
    cx->try_depth = try_depth;
    if (!done && cx->code != TN_E_MODEL && cx->code != TN_E_UNSUPPORTED)
        raise_failure(cx, cx->code);
    return done;
}

static void enter(Cx *cx, const char *kind, const char *name, const char *detail) {
    if (cx->depth < TN_CONTEXT_DEPTH) cx->context[cx->depth] = (TnContext){kind, name, detail};
    cx->depth++; /* deeper entries are counted, not kept */
}

void tn_enter(Cx *cx, const char *kind, const char *name) {
    enter(cx, kind, name, NULL);
}

void tn_enter_node(Cx *cx, const char *name, const char *op) {
    enter(cx, "node", name, op);
}

void tn_leave(Cx *cx) {
    if (cx->depth > 0) cx->depth--;
}

void tn_progress(Cx *cx, const char *stage, int done, int total) {
    if (cx->progress && !cx->progress(cx->progress_user, stage, done, total))
        tn_fail(cx, TN_E_CANCELLED, "cancelled");
}

void tn_defer(Cx *cx, void (*fn)(void *arg), void *arg) {
    TnDefer *d = ARENA_NEW(&cx->arena, TnDefer);
    *d = (TnDefer){fn, arg, cx->defers};
    cx->defers = d;
}

const char *tn_printable(Cx *cx, const char *s, size_t n, size_t max) {
    size_t worst = n < max / 4 ? n * 4 : max; /* an escape is four bytes */
    char *text = arena_alloc(&cx->arena, worst + 1);
    tn_append_escaped(text, worst + 1, s, n, worst);
    return text;
}

const char *tn_quoted(Cx *cx, const char *s) {
    return tn_printable(cx, s, strlen(s), 100);
}
