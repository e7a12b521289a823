/* relative_bias: biases of attention that the distance of query and key determines become one line
 * per head, which is read at j - i + s for query i and key j.
 *
 *     %d = sub %keys, %queries             i64[s, t]          i64[s + t + 1]
 *     .. bucket(%d)                        i64[s, t]          i64[s + t + 1]
 *     %w = gather %embedding, ..           f32[s, t, 8]   =>  f32[s + t + 1, 8]
 *     %b = view (transpose %w)             f32[1, 8, s, t]    f32[1, 8, 1, s + t + 1]
 *     %y = attention %q, %k, %v, _, _, %b
 *
 * T5 looks its biases up by buckets of the distance, ALiBi multiplies it by a slope; in every layer
 * what is read stays in cache, instead of as many numbers as there are scores coming from memory.
 * This pass follows those that take parts of the queries or pack them, which need the pairs. */
#include "passes/attention.h"
#include "passes/distance.h"
#include "passes/pass.h"

static bool rewrite_bias(Graph *g, Node *n, int i) {
    Value *bias = n->inputs[i];
    const Expr *dims[4] = {NULL, NULL, ex_int(g->module->ex, 1), NULL};
    ir_edit_begin(g, n, &n, 1);
    Value *line = distance_line(g, bias, 2, 3);
    if (line) {
        for (int k = 0; k < 3; k++) {
            int from = k - 3 + line->type.rank;
            dims[k < 2 ? k : 3] = from < 0 ? dims[2] : line->type.dims[from];
        }
        ir_set_operand(n, i, ir_view(g, line, 4, dims));
    }
    ir_edit_end(g);
    return line;
}

bool pass_relative_bias(Graph *g, Report *r) {
    bool changed = false;
    IR_FOR_NODES(n, g) {
        for (int i = 5; n->op == OP_attention && i < 7 && i < n->input_count; i++) {
            const Value *bias = n->inputs[i];
            if (!bias || attention_reads_product(bias)) continue;
            if (ex_is(bias->type.dims[2], 1) || ex_is(bias->type.dims[3], 1)) continue;
            bool computed = !bias->constant; /* of a constant there is nothing to say */
            changed = true;                  /* what is refused leaves nodes that nothing reads */
            if (rewrite_bias(g, n, i))
                report_fired(r, "relative_bias");
            else if (computed)
                report_miss(r, "relative_bias", n,
                            "bias %d is not proven to follow from the distance", i - 4);
        }
    }
    return changed;
}
