/* Attention whose scores have terms of their own: it is computed for all rows.
 *
 *     %q: f32[b, s, 2, 4] = linear ..              %q: f32[1, rows, 2, 4] = linear ..
 *     %p: f32[b, 2, s, 2 s] = matmul %q, %far      %a: f32[b, s, 2, 4] = gather %q, %place
 *     %t: f32[b, 2, s, s] = .. %p              =>  %p: f32[b, 2, s, 2 s] = matmul %a, %far
 *     %o: f32[b, s, 2, 4] = attention %q, .. %t    ..
 *                                                  %o: f32[b, s, 2, 4] = attention %a, .. %t
 *
 * Terms that are products of the queries or keys with a table (DeBERTa's, by distance) have two
 * axes of rows, which kept rows lack. So queries, keys and values are spread over all rows again,
 * those of padding being whatever row comes next: the mask keeps them from the others as it did,
 * and a term of a query and a key is made of the row of one of them, which is proved by following
 * it back to the product. Everything else is still computed for kept rows only. */
#include "passes/attention.h"
#include "passes/origin.h"
#include "passes/unpad.h"

bool unpad_has_scores(const Node *attention) {
    for (int i = 5; i < 7 && i < attention->input_count; i++)
        if (attention->inputs[i] && attention_bias(attention->inputs[i]) == BIAS_SCORES)
            return true;
    return false;
}

/* Only this operand of this attention is made of the product. */
static bool read_only_by(const Value *product, const Value *bias) {
    for (const Value *v = bias; v != product; v = v->node->inputs[0])
        if (!ir_single_use(v)) return false;
    return ir_single_use(product);
}

/* Row `row` is that of the query or the key at these places of scores, and will be there. */
static bool is_own_row(Unpad *u, const Type *scores, const Expr *const *at, const Expr *row) {
    const Expr *start = ex_sub(u->x, row, at[2]), *length = scores->dims[2];
    int64_t n;
    if (row == at[3] || (length == u->length && row == at[2])) return true;
    return ex_const(start, &n) && n >= 0 && ex_const(length, &n) && unpad_add_cut(u, start, length);
}

/* Where the rows of the product are whose element each element of the bias is. */
static Place rows_of_scores(Unpad *u, const Node *attention, Value *bias, Node **product) {
    const Type *q = &attention->inputs[0]->type, *k = &attention->inputs[1]->type;
    Type scores = {.dtype = bias->type.dtype,
                   .rank = 4,
                   .dims = {q->dims[0], q->dims[2], q->dims[1], k->dims[1]}};
    const Expr *at[TN_MAX_RANK];
    for (int i = 0; i < scores.rank; i++) at[i] = ex_coord(u->x, i, scores.dims[i]);
    Origin o = origin_of_operand(bias, &scores, at);
    Node *m = *product = o.value ? o.value->node : NULL;
    if (!m || m->op != OP_matmul || attr_bool(m, "ta") || !read_only_by(o.value, bias))
        return (Place){0, 0};
    int rank = o.value->type.rank, row = rank - 2;
    for (int entry = 0; entry < row; entry++) {
        Place p = place_at(entry, row);
        if (o.at[entry] == at[0] && m->inputs[0]->type.rank == rank &&
            unpad_lies_at(u, &m->inputs[0]->type, p) && is_own_row(u, &scores, at, o.at[row]))
            return p;
    }
    return (Place){0, 0};
}

void unpad_spread(Unpad *u, const Node *attention) {
    u->spread[attention->id] = place_at(0, 1);
    u->spreads = true;
    for (int i = 5; i < 7 && i < attention->input_count; i++) {
        Value *bias = attention->inputs[i];
        Node *product;
        if (!bias || attention_bias(bias) != BIAS_SCORES) continue;
        Place p = rows_of_scores(u, attention, bias, &product);
        if (is_somewhere(p)) u->spread[product->id] = p;
    }
}

Place unpad_spread_place(const Unpad *u, const Node *n, int i) {
    Place p = n->id < u->nodes ? u->spread[n->id] : (Place){0, 0};
    bool rows = is_somewhere(p) && i < (n->op == OP_attention ? 3 : 1) &&
                unpad_lies_at(u, &n->inputs[i]->type, p);
    return rows ? p : (Place){0, 0};
}
