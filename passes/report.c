/* The fusion report: counts per rule, and near misses with node and failing condition. */
#include "passes/pass.h"

#include <string.h>

#define MAX_MISSES 1000

void report_init(Report *r, Cx *cx) {
    *r = (Report){.cx = cx};
}

static Fired *find(const Report *r, const char *rule) {
    for (Fired *f = r->fired; f; f = f->next)
        if (!strcmp(f->rule, rule)) return f;
    return NULL;
}

void report_fired(Report *r, const char *rule) {
    Fired *f = find(r, rule);
    if (!f) {
        f = ARENA_NEW(&r->cx->arena, Fired);
        f->rule = rule;
        if (r->last_fired)
            r->last_fired->next = f;
        else
            r->fired = f;
        r->last_fired = f;
    }
    f->count++;
}

int report_count(const Report *r, const char *rule) {
    Fired *f = find(r, rule);
    return f ? f->count : 0;
}

void report_miss(Report *r, const char *rule, const Node *n, const char *fmt, ...) {
    if (r->miss_count == MAX_MISSES) return;
    const char *node = n->origin_count ? n->origins[0] : ir_op_info(n->op)->name;
    for (NearMiss *m = r->misses; m; m = m->next)
        if (m->rule == rule && !strcmp(m->node, node)) return;
    r->miss_count++;
    NearMiss *m = ARENA_NEW(&r->cx->arena, NearMiss);
    m->rule = rule;
    m->node = node;
    va_list ap;
    va_start(ap, fmt);
    m->why = arena_vprintf(&r->cx->arena, fmt, ap);
    va_end(ap);
    if (r->last_miss)
        r->last_miss->next = m;
    else
        r->misses = m;
    r->last_miss = m;
}
