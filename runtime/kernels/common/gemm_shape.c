/* A product's operands and the way it is done: what a plan and every task of gemm.c work out. */
#include "runtime/kernels/gemm_shape.h"

#include <stddef.h>
#include <string.h>

enum {
    SMALL_M = 64,
    NEAR_BYTES = 64 << 10 /* of B, which wait for memory no longer than for a panel */
};

static void longest_axis_last(Loop *l) {
    int last = l->rank - 1, longest = last;
    for (int i = 0; i < last; i++)
        if (l->dims[i] > l->dims[longest]) longest = i;
    int64_t dim = l->dims[longest];
    l->dims[longest] = l->dims[last];
    l->dims[last] = dim;
    for (int o = 0; o < l->operands; o++) {
        int64_t stride = l->strides[o][longest];
        l->strides[o][longest] = l->strides[o][last];
        l->strides[o][last] = stride;
    }
}

bool tn_gemm_is_stream(const Gemm *g) {
    int64_t most = g->isa->tiles->stream_rows;
    if (g->records) return g->rows.rank == 1 && g->m <= g->records->most && !g->bf16[A];
    return g->rows.rank == 1 && g->m <= (g->in_pairs && most ? BF16_STREAM_ROWS : most);
}

bool tn_gemm_is_prepared(const Gemm *g) {
    return g->records && tn_gemm_is_stream(g);
}

Gemm tn_gemm_of(const TnCall *call) {
    const ParamsGemm *params = call->params;
    const TnTensor *a = &call->operands[A], *b = &call->operands[1],
                   *c = &call->operands[call->inputs];
    const TnTensor *bias = call->inputs > 2 ? &call->operands[2] : NULL;
    const TnTensor *residual = call->inputs > 3 ? &call->operands[3] : NULL;
    const bool heads = c->rank > a->rank;
    Gemm g;
    memset(&g, 0, offsetof(Gemm, rows));
    g.isa = &tn_isa_kernels[call->isa];
    g.n = b->dims[1];
    g.k = b->dims[0];
    g.b = b->data;
    g.b_dtype = (TnDType)b->dtype;
    g.layout = (TnLayout)b->layout;
    g.in_pairs = g.layout == TN_LAYOUT_PAIRS16;
    g.depth = g.in_pairs ? tn_pairs_rows(g.k) : g.k;
    g.panel_bytes = tn_packed_elements(g.layout, g.k, TN_PANEL) * (int64_t)tn_dtype_size(g.b_dtype);
    if (tn_is_records(g.layout)) g.records = g.isa->records;
    g.bias = bias ? bias->data : NULL;
    g.head = heads ? c->dims[c->rank - 1] : g.n;
    g.head_stride = heads ? c->strides[c->rank - 2] : 0;
    g.base[A] = a->data;
    g.base[C] = c->data;
    g.base[RESIDUAL] = residual ? residual->data : NULL;
    if (!g.base[RESIDUAL]) residual = c;
    g.bf16[A] = a->dtype == TN_BF16;
    g.bf16[C] = c->dtype == TN_BF16;
    g.bf16[RESIDUAL] = residual->dtype == TN_BF16;
    const int leading = a->rank - 1;
    loop_init(&g.rows, c, leading);
    loop_add_axes(&g.rows, a, leading);
    loop_add_axes(&g.rows, c, leading);
    loop_add_axes(&g.rows, residual, residual == c ? leading : residual->rank - 1);
    loop_collapse(&g.rows);
    longest_axis_last(&g.rows);
    g.m = loop_points(&g.rows, g.rows.rank);
    for (int i = 0; i < MATRICES; i++) g.row[i] = g.rows.strides[i][g.rows.rank - 1];
    g.pairs = g.in_pairs && g.isa->pairs && !tn_gemm_is_stream(&g);
    g.begun = !tn_gemm_is_stream(&g) || (!g.records && g.b_dtype == TN_F32);
    g.end = (TileEnd){.residual = g.base[RESIDUAL],
                      .residual_row = g.row[RESIDUAL],
                      .c_row = g.row[C],
                      .activation = (TnActivation)params->activation,
                      .residual_first = params->flags & TN_RESIDUAL_FIRST,
                      .residual_bf16 = g.bf16[RESIDUAL],
                      .c_bf16 = g.bf16[C]};
    g.bare = !g.end.residual && g.end.activation == TN_ACT_NONE && (g.pairs || !g.bf16[C]) &&
             (g.begun || !g.bias);
    g.ends = !tn_gemm_is_stream(&g) && tile_ends(&g.end, g.pairs);
    g.copied = g.bf16[A] != g.pairs || g.k != g.depth || tn_gemm_is_prepared(&g);
    return g;
}

const Streams *tn_gemm_streams(const Gemm *g) {
    return g->records              ? &g->records->stream
           : g->in_pairs           ? &g->isa->bf16->stream
           : g->b_dtype == TN_F16  ? &g->isa->bf16->f16
           : g->b_dtype == TN_BF16 ? &g->isa->bf16->bf16
                                   : &g->isa->tiles->stream;
}

/* Streams that are read at once: as many as any kernel takes of the most rows. */
static int panels_at_once(const Gemm *g) {
    const Streams *streams = tn_gemm_streams(g);
    for (int64_t rows = g->m < STREAM_MAX_ROWS ? g->m : STREAM_MAX_ROWS; rows > 0; rows--)
        for (int panels = TILE_MAX_PANELS; panels > 0; panels--)
            if ((*streams)[panels][rows]) return panels;
    return 1;
}

/* Not a multiple of 2 KiB, at which rows share few sets of L1. */
int64_t tn_gemm_copied_row(const Gemm *g) {
    int64_t size = float_size(g->pairs);
    if (tn_gemm_is_prepared(g)) return g->records->row(g->k);
    return g->depth + (g->depth * size % 2048 ? 0 : TN_PANEL * 4 / size);
}

/* Few rows pass over a group sooner than the next one comes from memory, all the more the first,
 * which nobody fetches ahead: theirs is a panel. Of pairs, which take half the time, as few as are
 * one tile. */
TileShape tn_gemm_tiles(const Gemm *g) {
    if (tn_gemm_is_stream(g)) return (TileShape){STREAM_MAX_ROWS, panels_at_once(g)};
    TileShape shape =
        g->pairs ? g->isa->pairs->shape
                 : tile_shape(g->isa->tiles, g->copied ? tn_gemm_copied_row(g) : g->row[A]);
    const bool few = g->m <= (g->pairs ? shape.rows : SMALL_M);
    if (few && g->panel_bytes * TN_CEIL_DIV(g->n, TN_PANEL) > NEAR_BYTES) shape.panels = 1;
    return shape;
}

bool tn_gemm_is_widened(const Gemm *g) {
    return (g->records || g->b_dtype != TN_F32) && !g->pairs && !tn_gemm_is_stream(g);
}
