/* What an import does about problems: operators that Tenon does not have are noted before anything
 * is imported, in the graph, in the functions it calls and in bodies of loops (branches of an `If`
 * are looked at when it is known that they are needed); a node that fails is noted, and what
 * depends on it skipped. */
#include "ir/problems.h"

#include <string.h>
#include "frontend/onnx/flow.h"

static const char *domain_of(const WiredNode *n) {
    const char *domain = n->proto->domain;
    return domain && strcmp(domain, "ai.onnx") != 0 ? domain : "";
}

static const char *type_of(const WiredNode *n) {
    return n->proto->op_type ? n->proto->op_type : "";
}

const char *flow_operator_key(Importer *im, const WiredNode *n) {
    if (n->row) return n->row->name;
    if (n->function) return n->function->key;
    return arena_printf(&im->cx->arena, "%s%s%s", tn_quoted(im->cx, domain_of(n)),
                        *domain_of(n) ? "." : "", tn_quoted(im->cx, type_of(n)));
}

static Problem about_node(Importer *im, const WiredNode *n, int64_t opset) {
    const char *domain = domain_of(n);
    return (Problem){.kind = "node",
                     .domain = domain,
                     .op = type_of(n),
                     .opset = *domain ? onnx_opset(im->model, domain) : opset};
}

/* --- operators that Tenon does not have --- */

/* What helps: another opset that has the operator, or one of the same name in another domain. */
static const char *operator_help(Importer *im, const Problem *p) {
    Arena *a = &im->cx->arena;
    const char *elsewhere = NULL;
    for (size_t i = 0; i < onnx_op_count(); i++) {
        const OnnxOp *op = onnx_op_at(i);
        if (strcmp(op->name, p->op) != 0) continue;
        const char *opsets = op->until ? arena_printf(a, "%d to %d", op->since, op->until)
                                       : arena_printf(a, "%d or later", op->since);
        if (strcmp(op->domain, p->domain) == 0)
            return arena_printf(a, "export with opset %s, which has it", opsets);
        elsewhere = *op->domain ? op->domain : "ONNX itself";
    }
    if (elsewhere)
        return arena_printf(a, "the operator of this name of %s is supported", elsewhere);
    if (*p->domain)
        return "export it as operators of ONNX, or with a function of the model that says what it "
               "computes; `tenon ops --onnx` lists what is supported";
    return "export it as other operators; `tenon ops --onnx` lists what is supported";
}

static void note_operator(Importer *im, WiredNode *n, int64_t opset) {
    Problem p = about_node(im, n, opset);
    p.kind = "operator";
    p.code = TN_E_UNSUPPORTED;
    p.reason = "unsupported operator";
    p.help = operator_help(im, &p);
    n->reported = true;
    problems_add(im->cx, &p, n->name);
}

/* Functions are looked at once. */
static void find_unsupported(Importer *im, NameMap *seen, const Wiring *w) {
    for (size_t i = 0; i < w->node_count; i++) {
        WiredNode *n = w->nodes[i];
        if (!n->row && !n->function) note_operator(im, n, w->opset);
        if (n->function && names_add(seen, n->function->key, n->function))
            find_unsupported(im, seen, n->function->wiring);
        if (n->row && strcmp(n->row->name, "If") == 0) continue;
        for (size_t k = 0; k < n->proto->n_attribute; k++)
            if (n->graphs[k]) find_unsupported(im, seen, n->graphs[k]);
    }
}

void flow_note_unsupported(Importer *im, const Wiring *w) {
    NameMap seen = {.arena = &im->cx->arena};
    find_unsupported(im, &seen, w);
}

void flow_refuse_operator(Importer *im, WiredNode *n, int64_t opset) {
    if (!n->reported) note_operator(im, n, opset);
    tn_fail(im->cx, TN_E_UNSUPPORTED, "unsupported operator");
}

/* --- failures --- */

void flow_give_up(Importer *im) {
    im->gave_up = true;
    tn_fail(im->cx, TN_E_UNSUPPORTED, "depends on what is unsupported");
}

void flow_node_failed(Importer *im, WiredNode *n, const char *name, int64_t opset) {
    im->module->origin = NULL;
    for (size_t i = 0; i < n->proto->n_output; i++)
        if (n->outputs[i]) n->outputs[i]->unknown = true;
    if (im->gave_up) {
        if (!n->skipped && !n->reported) problems_skip(im->cx);
        n->skipped = true;
    } else if (!n->reported) {
        Problem p = about_node(im, n, opset);
        problems_caught(im->cx, &p, name);
        n->reported = true;
    }
    im->gave_up = false;
}

void flow_value_failed(Importer *im, const char *kind, const char *name) {
    problems_caught(im->cx, &(Problem){.kind = kind}, name);
}
