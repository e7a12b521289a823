/* Passes: one file, one function, one row of passes.def each.
 *
 * A pass takes a verified graph and leaves a verified graph; it cannot fail, prints nothing and
 * keeps no state. What it did and what it nearly did goes to the report. The pipeline is the order
 * of passes.def. */
#ifndef TENON_PASSES_PASS_H
#define TENON_PASSES_PASS_H

#include "ir/ir.h"

/* How often a fusion fired, and where it nearly did. */
typedef struct NearMiss {
    const char *rule, *node, *why;
    struct NearMiss *next;
} NearMiss;
typedef struct Fired {
    const char *rule;
    int count;
    struct Fired *next;
} Fired;
/* Sees a graph after each pass (and the canon that follows it). */
typedef void PassWatch(void *user, Graph *g, const char *pass);
typedef struct Report {
    Cx *cx;
    PassWatch *watch; /* may be NULL */
    void *watch_user;
    Fired *fired, *last_fired;
    NearMiss *misses, *last_miss;
    int miss_count;
} Report;

void report_init(Report *r, Cx *cx);
void report_fired(Report *r, const char *rule);
int report_count(const Report *r, const char *rule);
/* Says why `rule` did not fire at `n`; one entry per node and rule. */
void report_miss(Report *r, const char *rule, const Node *n, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

typedef bool PassFn(Graph *g, Report *r); /* true if anything changed */
#define PASS(name, purpose) PassFn pass_##name;
#include "passes/passes.def"
#undef PASS

typedef struct PassInfo {
    const char *name;
    PassFn *run;
    const char *purpose;
} PassInfo;
const PassInfo *pass_at(int i); /* NULL past the end; in the order they run */
const PassInfo *pass_find(const char *name);
/* Runs the pipeline on every graph of the module (pass_state if the module is to keep states), up
 * to and including pass `last` (NULL = all). */
void passes_run(Module *m, Report *r, const char *last);
/* fuse_map without chains: every elementwise operator becomes a map of its own. */
PassFn pass_map_alone;
/* Only what lowering cannot do without, so that the plan has every value of the model. */
void passes_run_unfused(Module *m, Report *r);

#endif
