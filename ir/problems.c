/* Problems in a list, equal ones found through a map. */
#include "ir/problems.h"

#include <stdio.h>
#include <string.h>
#include "ir/names.h"
#include "ir/text.h"

#define MAX_PROBLEMS 1000 /* more are not looked for */
#define MAX_NAMED    100  /* nodes of one problem */
#define MAX_LISTED   3    /* nodes of an operator in a message */

typedef struct Collection {
    Problems list;
    NameMap index; /* by kind, operator and reason */
} Collection;

static Collection *collection_of(Cx *cx) {
    if (!cx->problems) {
        Collection *c = ARENA_NEW(&cx->arena, Collection);
        c->index.arena = &cx->arena;
        cx->problems = &c->list;
    }
    return (Collection *)cx->problems; /* its first member */
}

const Problems *problems_of(const Cx *cx) {
    static const Problems none;
    return cx->problems ? cx->problems : &none;
}

static const char *text(const char *s) {
    return s ? s : "";
}

static void append(Collection *c, Problem *p) {
    if (c->list.last)
        c->list.last->next = p;
    else
        c->list.first = p;
    c->list.last = p;
    c->list.count++;
}

void problems_add(Cx *cx, const Problem *about, const char *node) {
    Arena *a = &cx->arena;
    Collection *c = collection_of(cx);
    const char *key = arena_printf(a, "%s %s.%s %lld %s", about->kind, text(about->domain),
                                   text(about->op), (long long)about->opset, about->reason);
    Problem *p = names_find(&c->index, key);
    if (!p) {
        p = arena_copy(a, about, sizeof *about);
        names_add(&c->index, key, p);
        append(c, p);
    }
    p->count++;
    if (p->named < MAX_NAMED) {
        p->nodes = arena_grow(a, p->nodes, &p->capacity, (size_t)p->named + 1, sizeof *p->nodes);
        p->nodes[p->named++] = node;
    }
    if (c->list.count >= MAX_PROBLEMS) problems_raise(cx);
}

void problems_caught(Cx *cx, const Problem *about, const char *node) {
    Problem p = *about;
    char *message = arena_strdup(&cx->arena, cx->message);
    p.code = cx->code;
    p.message = message;
    p.reason = message + (cx->reason - cx->message);
    if (cx->kind && p.op) p.kind = cx->kind;
    if (cx->help) p.help = cx->help;
    problems_add(cx, &p, node);
}

void problems_skip(Cx *cx) {
    collection_of(cx)->list.skipped++;
}

/* --- the error --- */

/* "unsupported operator Blur of opset 20 (4: 'a', 'c', 'd', ...)" */
static void put_operator(Cx *cx, TextBuffer *t, const Problem *p) {
    text_format(t, "unsupported operator %s%s%s", tn_quoted(cx, p->domain), *p->domain ? "." : "",
                tn_quoted(cx, p->op));
    if (p->opset) text_format(t, " of opset %lld", (long long)p->opset);
    text_format(t, " (%lld: ", (long long)p->count);
    for (int i = 0; i < p->named && i < MAX_LISTED; i++)
        text_format(t, "%s'%s'", i ? ", " : "", tn_quoted(cx, p->nodes[i]));
    text_add(t, p->count > MAX_LISTED ? ", ...)" : ")");
}

/* One line about a problem, without the context that all have in common. */
static void put_problem(Cx *cx, TextBuffer *t, const Problem *p, const char *common) {
    if (!p->message) {
        put_operator(cx, t, p);
        return;
    }
    size_t n = strlen(common);
    text_add(t, strncmp(p->message, common, n) == 0 ? p->message + n : p->message);
    if (p->count > 1) text_format(t, " (and %lld more like it)", (long long)p->count - 1);
}

/* "bert.onnx: " */
static const char *common_context(Cx *cx) {
    TextBuffer t = {.arena = &cx->arena};
    int depth = cx->depth < TN_CONTEXT_DEPTH ? cx->depth : TN_CONTEXT_DEPTH;
    for (int i = 0; i < depth && strcmp(cx->context[i].kind, "file") == 0; i++)
        text_format(&t, "%s: ", tn_quoted(cx, text(cx->context[i].name)));
    return text_end(&t);
}

/* Lines as long as there is room for one that counts the rest. */
static void put_all(Cx *cx, TextBuffer *t, const Problems *all, const char *common) {
    size_t room = sizeof cx->message - 100;
    int left = all->count;
    text_format(t, "%d problems", all->count);
    if (all->skipped)
        text_format(t, "; %lld node%s not looked at", (long long)all->skipped,
                    all->skipped == 1 ? "" : "s");
    for (const Problem *p = all->first; p; p = p->next, left--) {
        TextBuffer line = {.arena = &cx->arena};
        text_add(&line, "\n  ");
        put_problem(cx, &line, p, common);
        if (t->length + line.length > room) break;
        text_add(t, text_end(&line));
    }
    if (left) text_format(t, "\n  and %d more: `tenon check` lists them all", left);
}

void problems_raise(Cx *cx) {
    const Problems *all = problems_of(cx);
    TnStatus code = TN_E_UNSUPPORTED;
    const char *common = common_context(cx);
    TextBuffer t = {.arena = &cx->arena};
    if (!all->first) return;
    for (const Problem *p = all->first; p; p = p->next)
        if (p->code != TN_E_UNSUPPORTED && code == TN_E_UNSUPPORTED) code = p->code;
    if (all->count > 1) {
        text_add(&t, common);
        put_all(cx, &t, all, common);
    } else if (all->first->count == 1 && all->first->message) {
        text_add(&t, all->first->message);
    } else {
        text_add(&t, common);
        put_problem(cx, &t, all->first, common);
    }
    tn_fail_with(cx, code, text_end(&t));
}
