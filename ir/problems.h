/* What is wrong with a model or unsupported, collected so that one attempt finds all of it.
 *
 * Work on a node runs under tn_try; what it raises becomes a problem, and what reads its results is
 * skipped. When all the work has been tried, problems_raise ends the compilation with an error that
 * lists the problems. What several nodes have in common is one problem.
 *
 *     if (!tn_try(cx, work_on_node, n)) problems_caught(cx, &about, n->name);
 *     ...
 *     problems_raise(cx);
 */
#ifndef TENON_IR_PROBLEMS_H
#define TENON_IR_PROBLEMS_H

#include <stdint.h>
#include "ir/fail.h"

typedef struct Problem {
    TnStatus code;
    /* "operator" (unknown), "attribute", "type", "length", "input", "output", "initializer",
     * "node" (anything else of one), "instruction" (of lowering) */
    const char *kind;
    const char *domain, *op; /* of the nodes; op NULL: about no operator */
    int64_t opset;           /* of their domain; 0: not known */
    const char *reason;      /* without context */
    const char *message;     /* as tn_fail composed it for the first node */
    const char *help;        /* what the user can do, or NULL */
    const char **nodes;      /* the first of them; of inputs and the like, their names */
    int64_t count;           /* all */
    int named;               /* how many `nodes` has */
    size_t capacity;
    struct Problem *next;
} Problem;

typedef struct Problems {
    Problem *first, *last;
    int count;
    int64_t skipped; /* nodes that were not looked at: they read results of others */
} Problems;

/* Never NULL. */
const Problems *problems_of(const Cx *cx);
/* What tn_try caught, about this kind (of an operator: unless tn_hint said another), domain,
 * operator and opset. */
void problems_caught(Cx *cx, const Problem *about, const char *node);
/* A problem that nothing raised; its reason is set. */
void problems_add(Cx *cx, const Problem *about, const char *node);
void problems_skip(Cx *cx);
/* Raises an error about all problems, if there are any: TN_E_UNSUPPORTED if none is worse. */
void problems_raise(Cx *cx);

#endif
