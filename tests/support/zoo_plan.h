/* A plan with most instructions (others: select_plan.h, flow_plan.h), for mutants: the kernels must
 * be safe for whatever the verifier and the extent rules let through. x[b, s, 8], index[b, s] and
 * mask[b, s] go in; the values that come out mean nothing. */
#ifndef TENON_TESTS_SUPPORT_ZOO_PLAN_H
#define TENON_TESTS_SUPPORT_ZOO_PLAN_H

#include "tests/support/tiny_plan.h"

typedef struct Zoo {
    PlanBuilder *b;
    uint32_t batch, seq, n[25]; /* expressions; n[i] is the constant i */
    uint32_t x, index, mask;    /* views */
} Zoo;

static inline uint32_t zoo_buffer(const Zoo *z, uint32_t view) {
    return ((const PlanView *)z->b->section[TN_SECTION_VIEWS].data)[view].buffer;
}

static inline uint32_t zoo_times(const Zoo *z, uint32_t x, uint32_t y) {
    return pb_expr(z->b, TN_EXPR_MUL, x, y);
}

/* Another view of the same buffer. */
static inline uint32_t zoo_view(const Zoo *z, uint32_t of, TnDType dtype, int rank,
                                const uint32_t *dims, const uint32_t *strides, uint32_t offset) {
    return pb_view(z->b, zoo_buffer(z, of), dtype, TN_LAYOUT_STRIDED, rank, dims, strides, offset);
}

static inline void zoo_one(const Zoo *z, TnOpcode op, int inputs, const uint32_t *in, uint32_t out,
                           const void *params, size_t bytes) {
    pb_instruction(z->b, op, inputs, in, 1, &out, params, bytes, NULL, 0, tn_instr(op)->name);
}

/* Attention over one packed projection; returns o[b, s, 2, 4]. */
static inline uint32_t zoo_attention(const Zoo *z, uint32_t scores) {
    PlanBuilder *b = z->b;
    const uint32_t *n = z->n, bt = z->batch, s = z->seq;
    uint32_t w = tiny_constant(b, "wqkv", TN_LAYOUT_PANELS16, 2, 8, 24, 7);
    uint32_t qkv = pb_arena(b, TN_F32, 3, (uint32_t[]){bt, s, n[24]}), part[3];
    uint32_t o = pb_arena(b, TN_F32, 4, (uint32_t[]){bt, s, n[2], n[4]});
    for (uint32_t i = 0; i < 3; i++)
        part[i] = zoo_view(z, qkv, TN_F32, 4, (uint32_t[]){bt, s, n[2], n[4]},
                           (uint32_t[]){zoo_times(z, s, n[24]), n[24], n[4], n[1]}, n[8 * i]);
    zoo_one(z, TN_OP_gemm, 2, (uint32_t[]){z->x, w}, qkv, &(ParamsGemm){.activation = TN_ACT_SILU},
            sizeof(ParamsGemm));
    ParamsAttention p = {.scale = 0.5f,
                         .mask_value = -1e30f,
                         .flags = TN_ATTENTION_CAUSAL,
                         .window_left = 3,
                         .window_right = -1};
    pb_instruction(b, TN_OP_attention, 6,
                   (uint32_t[]){part[0], part[1], part[2], z->mask, z->mask, scores}, 1, &o, &p,
                   sizeof p, (uint32_t[]){n[0]}, 1, "attention");
    return o;
}

/* Columns 16.. of a packed constant, as two heads that lie one after the other. */
static inline void zoo_heads(const Zoo *z) {
    PlanBuilder *b = z->b;
    const uint32_t *n = z->n, bt = z->batch, s = z->seq, head = zoo_times(z, s, n[4]);
    uint32_t w = tiny_constant(b, "wheads", TN_LAYOUT_PANELS16, 2, 8, 24, 5);
    uint32_t part = pb_view(b, zoo_buffer(z, w), TN_F32, TN_LAYOUT_PANELS16, 2,
                            (uint32_t[]){n[8], n[8]}, (uint32_t[]){n[0], n[0]}, pb_const(b, 128));
    uint32_t heads = pb_output(b, "heads", TN_F32, 4, (uint32_t[]){bt, n[2], s, n[4]});
    uint32_t rows = zoo_view(z, heads, TN_F32, 4, (uint32_t[]){bt, s, n[2], n[4]},
                             (uint32_t[]){zoo_times(z, head, n[2]), n[4], head, n[1]}, n[0]);
    zoo_one(z, TN_OP_gemm, 2, (uint32_t[]){z->x, part}, rows, &(ParamsGemm){0}, sizeof(ParamsGemm));
}

/* The rows of a table in records, and products with columns 16.. of one of the other kind. */
static inline void zoo_records(const Zoo *z) {
    PlanBuilder *b = z->b;
    const uint32_t *n = z->n, bt = z->batch, s = z->seq;
    unsigned char data[2 * 17 * 64];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i * 37 + 1);
    PlanConstant c = {.dtype = TN_F32, .rank = 2, .dims = {8, 24}};
    uint32_t w[2];
    for (int i = 0; i < 2; i++) {
        c.name = pb_string(b, i ? "halves" : "bytes");
        c.layout = i ? TN_LAYOUT_RECORDS4 : TN_LAYOUT_RECORDS8;
        c.bytes = 2 * (i ? 9 : 17) * 64;
        w[i] = pb_stored(b, c, data);
    }
    uint32_t looked_up = pb_output(b, "recorded", TN_F32, 3, (uint32_t[]){bt, s, n[8]}),
             product = pb_output(b, "halved", TN_F32, 3, (uint32_t[]){bt, s, n[7]});
    uint32_t part = pb_view(b, zoo_buffer(z, w[1]), TN_F32, TN_LAYOUT_RECORDS4, 2,
                            (uint32_t[]){n[8], n[7]}, (uint32_t[]){n[0], n[0]}, pb_const(b, 144));
    zoo_one(z, TN_OP_gather, 2, (uint32_t[]){w[0], z->index}, looked_up, &(ParamsGather){0},
            sizeof(ParamsGather));
    zoo_one(z, TN_OP_gemm, 2, (uint32_t[]){z->x, part}, product, &(ParamsGemm){0},
            sizeof(ParamsGemm));
}

static inline void zoo_lookups(const Zoo *z, uint32_t y) {
    PlanBuilder *b = z->b;
    const uint32_t *n = z->n, bt = z->batch, s = z->seq, three[] = {bt, s, n[8]};
    uint32_t sums = pb_arena(b, TN_F32, 3, three), elements = pb_arena(b, TN_F32, 3, three),
             rows = pb_output(b, "rows", TN_F32, 3, three);
    uint32_t nd = pb_output(b, "nd", TN_F32, 4, (uint32_t[]){bt, s, s, n[8]});
    uint32_t total = pb_output(b, "total", TN_F32, 3, (uint32_t[]){bt, n[1], n[1]});
    uint32_t wide = zoo_view(z, z->index, TN_I64, 3, three, (uint32_t[]){s, n[1], n[0]}, n[0]);
    uint32_t column = zoo_view(z, z->index, TN_I64, 3, (uint32_t[]){bt, s, n[1]},
                               (uint32_t[]){s, n[1], n[1]}, n[0]);
    uint32_t table = tiny_constant(b, "table", TN_LAYOUT_PANELS16, 2, 8, 10, 9);
    zoo_one(z, TN_OP_cumsum, 1, &y, sums, &(ParamsCumsum){1, TN_CUMSUM_REVERSE},
            sizeof(ParamsCumsum));
    zoo_one(z, TN_OP_gather_elements, 2, (uint32_t[]){sums, wide}, elements,
            &(ParamsGather){.axis = 1}, sizeof(ParamsGather));
    zoo_one(z, TN_OP_gather_nd, 2, (uint32_t[]){elements, column}, nd, &(ParamsGather){0},
            sizeof(ParamsGather));
    zoo_one(z, TN_OP_gather, 2, (uint32_t[]){table, z->index}, rows, &(ParamsGather){0},
            sizeof(ParamsGather));
    zoo_one(z, TN_OP_reduce, 1, &elements, total, &(ParamsReduce){TN_REDUCE_MAX, 6},
            sizeof(ParamsReduce));
}

/* where(mask, x, float(iota) * 2), with an input read under a stride of 0 */
static inline void zoo_map(const Zoo *z) {
    PlanBuilder *b = z->b;
    const uint32_t *n = z->n, bt = z->batch, s = z->seq;
    const TnMapStep steps[] = {
        {.op = TN_MAP_CAST, .dtype = TN_F32, .arg_dtype = TN_I64, .args = {2}},
        {.op = TN_MAP_CONST, .dtype = TN_F32, .value = 2},
        {.op = TN_MAP_MUL, .dtype = TN_F32, .arg_dtype = TN_F32, .args = {3, 4}},
        {.op = TN_MAP_WHERE, .dtype = TN_F32, .arg_dtype = TN_F32, .args = {0, 1, 5}}};
    uint32_t range = pb_arena(b, TN_I64, 1, &s),
             numbers = pb_output(b, "numbers", TN_I64, 1, &n[2]);
    uint32_t mask = zoo_view(z, z->mask, TN_BOOL, 3, (uint32_t[]){bt, s, n[8]},
                             (uint32_t[]){s, n[1], n[0]}, n[0]);
    uint32_t along = zoo_view(z, range, TN_I64, 3, (uint32_t[]){bt, s, n[8]},
                              (uint32_t[]){n[0], n[1], n[0]}, n[0]);
    uint32_t out = pb_output(b, "mapped", TN_F32, 3, (uint32_t[]){bt, s, n[8]});
    pb_instruction(b, TN_OP_iota, 0, NULL, 1, &range, NULL, 0, (uint32_t[]){n[3], n[2]}, 2, "iota");
    pb_instruction(b, TN_OP_scalars, 0, NULL, 1, &numbers, NULL, 0, (uint32_t[]){bt, s}, 2,
                   "scalars");
    pb_map(b, 3, (uint32_t[]){mask, z->x, along}, out, steps, 4, "map");
}

/* Resampling, recurrent and signal instructions over x[b, s, 8]. */
static inline void zoo_signals(const Zoo *z) {
    PlanBuilder *b = z->b;
    const uint32_t *n = z->n, bt = z->batch, s = z->seq;
    uint32_t longer = pb_output(b, "resized", TN_F32, 3, (uint32_t[]){bt, s, n[13]});
    zoo_one(z, TN_OP_resize, 1, &z->x, longer,
            &(ParamsResize){.axis = 2, .mode = TN_RESIZE_CUBIC, .flags = 3, .cubic_a = -0.75},
            sizeof(ParamsResize));
    uint32_t image = zoo_view(z, z->x, TN_F32, 4, (uint32_t[]){bt, s, n[2], n[4]},
                              (uint32_t[]){zoo_times(z, s, n[8]), n[8], n[4], n[1]}, n[0]),
             places = zoo_view(z, z->x, TN_F32, 4, (uint32_t[]){bt, s, n[4], n[2]},
                               (uint32_t[]){zoo_times(z, s, n[8]), n[8], n[2], n[1]}, n[0]);
    uint32_t plane = pb_output(b, "plane", TN_F32, 4, (uint32_t[]){bt, s, n[3], n[8]}),
             normed = pb_output(b, "group_normed", TN_F32, 3, (uint32_t[]){bt, s, n[8]});
    zoo_one(z, TN_OP_resize_plane, 1, &image, plane,
            &(ParamsResizePlane){.resize = {.axis = 3, .mode = TN_RESIZE_LINEAR}, .down = 2},
            sizeof(ParamsResizePlane));
    zoo_one(z, TN_OP_group_norm, 1, &z->x, normed,
            &(ParamsGroupNorm){.epsilon = 1e-5f, .groups = 2}, sizeof(ParamsGroupNorm));
    uint32_t sampled = pb_output(b, "sampled", TN_F32, 4, (uint32_t[]){bt, s, s, n[4]});
    zoo_one(z, TN_OP_grid_sample, 2, (uint32_t[]){image, places}, sampled,
            &(ParamsGridSample){.mode = TN_RESIZE_LINEAR, .padding = TN_PADDING_REFLECTION},
            sizeof(ParamsGridSample));
    uint32_t value = zoo_view(z, z->x, TN_F32, 4, (uint32_t[]){bt, s, n[2], n[4]},
                              (uint32_t[]){zoo_times(z, s, n[8]), n[8], n[4], n[1]}, n[0]),
             points =
                 zoo_view(z, z->x, TN_F32, 6, (uint32_t[]){bt, s, n[2], n[1], n[2], n[2]},
                          (uint32_t[]){zoo_times(z, s, n[8]), n[8], n[4], n[4], n[2], n[1]}, n[0]),
             weights = zoo_view(z, z->x, TN_F32, 4, (uint32_t[]){bt, s, n[2], n[2]},
                                (uint32_t[]){zoo_times(z, s, n[8]), n[8], n[4], n[1]}, n[0]);
    uint32_t attended = pb_output(b, "attended", TN_F32, 4, (uint32_t[]){bt, s, n[2], n[4]});
    pb_instruction(b, TN_OP_deformable_attention, 3, (uint32_t[]){value, points, weights}, 1,
                   &attended, &(ParamsDeformable){.softmax = 1}, sizeof(ParamsDeformable),
                   (uint32_t[]){s, n[1]}, 2, "deformable_attention");
    uint32_t regions = tiny_constant(b, "regions", TN_LAYOUT_STRIDED, 2, 3, 4, 11);
    uint32_t first = zoo_view(z, z->index, TN_I64, 1, &n[3], &n[1], n[0]);
    uint32_t pooled = pb_output(b, "pooled", TN_F32, 4, (uint32_t[]){n[3], s, n[2], n[3]});
    zoo_one(z, TN_OP_roi_align, 3, (uint32_t[]){image, regions, first}, pooled,
            &(ParamsRoiAlign){.scale = 1.5f, .half_pixel = 1}, sizeof(ParamsRoiAlign));
    uint32_t r = tiny_constant(b, "recurrent", TN_LAYOUT_STRIDED, 2, 2, 8, 12);
    uint32_t state[3] = {pb_output(b, "states", TN_F32, 3, (uint32_t[]){bt, s, n[2]}),
                         pb_output(b, "last", TN_F32, 2, (uint32_t[]){s, n[2]}),
                         pb_output(b, "cell", TN_F32, 2, (uint32_t[]){s, n[2]})};
    pb_instruction(b, TN_OP_rnn, 2, (uint32_t[]){z->x, r}, 3, state,
                   &(ParamsRnn){.mode = TN_RNN_LSTM, .flags = TN_RNN_REVERSE}, sizeof(ParamsRnn),
                   NULL, 0, "rnn");
    uint32_t pairs = zoo_view(z, z->x, TN_F32, 4, (uint32_t[]){bt, s, n[4], n[2]},
                              (uint32_t[]){zoo_times(z, s, n[8]), n[8], n[2], n[1]}, n[0]);
    uint32_t spectrum = pb_output(b, "spectrum", TN_F32, 4, (uint32_t[]){bt, s, n[5], n[2]});
    pb_instruction(b, TN_OP_dft, 1, &pairs, 1, &spectrum, &(ParamsDft){.axis = 2},
                   sizeof(ParamsDft), (uint32_t[]){n[5]}, 1, "dft");
    uint32_t square = zoo_view(z, z->x, TN_F32, 4, (uint32_t[]){bt, s, n[2], n[2]},
                               (uint32_t[]){zoo_times(z, s, n[8]), n[8], n[2], n[1]}, n[0]);
    uint32_t dense = pb_arena(b, TN_F32, 4, (uint32_t[]){bt, s, n[2], n[2]}),
             determinants = pb_output(b, "determinants", TN_F32, 2, (uint32_t[]){bt, s});
    zoo_one(z, TN_OP_copy, 1, &square, dense, NULL, 0);
    zoo_one(z, TN_OP_det, 1, &dense, determinants, NULL, 0);
}

/* x[b, s, 8] as rows of 4: three of 4 rotated by what x itself begins with. */
static inline void zoo_rotary(const Zoo *z) {
    const uint32_t *n = z->n, bt = z->batch, s = z->seq, rows = zoo_times(z, s, n[8]);
    uint32_t x = zoo_view(z, z->x, TN_F32, 4, (uint32_t[]){bt, s, n[2], n[4]},
                          (uint32_t[]){rows, n[8], n[4], n[1]}, n[0]),
             cos = zoo_view(z, z->x, TN_F32, 4, (uint32_t[]){n[1], s, n[1], n[1]},
                            (uint32_t[]){n[0], n[8], n[0], n[1]}, n[0]),
             sin = zoo_view(z, z->x, TN_F32, 4, (uint32_t[]){bt, n[1], n[2], n[2]},
                            (uint32_t[]){rows, n[0], n[4], n[1]}, n[1]);
    uint32_t y = pb_output(z->b, "rotated", TN_F32, 4, (uint32_t[]){bt, s, n[2], n[4]});
    zoo_one(z, TN_OP_rotary, 3, (uint32_t[]){x, cos, sin}, y, &(ParamsRotary){.width = 2},
            sizeof(ParamsRotary));
}

/* Weights as they are, by places, transformed. */
static inline void zoo_convolutions(const Zoo *z) {
    PlanBuilder *b = z->b;
    const uint32_t *n = z->n, bt = z->batch, s = z->seq, step = zoo_times(z, s, n[8]);
    uint32_t kernel = tiny_constant(b, "kernel", TN_LAYOUT_STRIDED, 2, 4, 24, 10);
    uint32_t w = zoo_view(z, kernel, TN_F32, 3, (uint32_t[]){n[4], n[8], n[3]},
                          (uint32_t[]){n[24], n[3], n[1]}, n[0]);
    uint32_t places = tiny_constant(b, "places", TN_LAYOUT_PANELS16, 2, 8, 12, 11);
    uint32_t tiles = tiny_constant(b, "tiles", TN_LAYOUT_PANELS16, 2, 16, 384, 12);
    uint32_t large_tiles = tiny_constant(b, "large_tiles", TN_LAYOUT_PANELS16, 2, 16, 576, 13);
    uint32_t channels = zoo_view(z, z->x, TN_F32, 3, (uint32_t[]){bt, n[8], s},
                                 (uint32_t[]){step, n[1], n[8]}, n[0]);
    uint32_t image = zoo_view(z, z->x, TN_F32, 4, (uint32_t[]){bt, n[16], s, n[8]},
                              (uint32_t[]){step, n[0], n[8], n[1]}, n[0]);
    uint32_t row[] = {bt, n[4], s}, square[] = {bt, n[4], s, n[8]};
    ParamsConv p = {.spatial = 1,
                    .groups = 1,
                    .kernel = {3, 3, 1},
                    .stride = {1, 1, 1},
                    .dilation = {1, 1, 1},
                    .pad_begin = {1, 1},
                    .pad_end = {1, 1}};
    zoo_one(z, TN_OP_conv, 2, (uint32_t[]){channels, w}, pb_output(b, "convolved", TN_F32, 3, row),
            &p, sizeof p);
    p.flags = TN_CONV_PLACES;
    zoo_one(z, TN_OP_conv, 2, (uint32_t[]){channels, places},
            pb_output(b, "by_places", TN_F32, 3, row), &p, sizeof p);
    p.spatial = 2;
    p.flags = TN_CONV_WINOGRAD2;
    zoo_one(z, TN_OP_conv, 2, (uint32_t[]){image, tiles},
            pb_output(b, "by_tiles", TN_F32, 4, square), &p, sizeof p);
    p.flags = TN_CONV_WINOGRAD4;
    zoo_one(z, TN_OP_conv, 2, (uint32_t[]){image, large_tiles},
            pb_output(b, "by_large_tiles", TN_F32, 4, square), &p, sizeof p);
}

/* Windows over x[b, s, 8], the channels being s. */
static inline void zoo_windows(const Zoo *z) {
    PlanBuilder *b = z->b;
    const uint32_t *n = z->n, bt = z->batch, s = z->seq;
    uint32_t largest[2] = {pb_output(b, "largest", TN_F32, 3, (uint32_t[]){bt, s, n[5]}),
                           pb_output(b, "places", TN_I64, 3, (uint32_t[]){bt, s, n[5]})};
    ParamsPool pool = {.spatial = 1, .kernel = {3}, .stride = {2}, .dilation = {2}, .p = 2};
    pb_instruction(b, TN_OP_pool, 1, &z->x, 2, largest, &pool, sizeof pool,
                   (uint32_t[]){n[1], n[2]}, 2, "pool");
    uint32_t columns = zoo_view(z, z->x, TN_F32, 4, (uint32_t[]){bt, s, n[2], n[4]},
                                (uint32_t[]){zoo_times(z, s, n[8]), n[8], n[4], n[1]}, n[0]);
    uint32_t line = pb_output(b, "line", TN_F32, 3, (uint32_t[]){bt, s, n[7]});
    ParamsCol2im col2im = {.spatial = 1, .stride = {2}, .dilation = {3}};
    pb_instruction(b, TN_OP_col2im, 1, &columns, 1, &line, &col2im, sizeof col2im, &n[1], 1,
                   "col2im");
    uint32_t offsets = pb_arena(b, TN_F32, 4, (uint32_t[]){bt, n[4], n[3], n[5]});
    zoo_one(z, TN_OP_fill, 0, NULL, offsets, &(ParamsFill){.value = 0.25}, sizeof(ParamsFill));
    uint32_t deformed =
        pb_output(b, "deformed", TN_F32, 6, (uint32_t[]){bt, s, n[2], n[1], n[3], n[5]});
    ParamsDeform deform = {
        .groups = 1, .kernel = {2, 1}, .stride = {1, 1}, .dilation = {1, 1}, .pad = {1, 0}};
    zoo_one(z, TN_OP_deform_columns, 2, (uint32_t[]){columns, offsets}, deformed, &deform,
            sizeof deform);
}

static inline unsigned char *zoo_plan(size_t *size) {
    PlanBuilder builder = {0}, *b = &builder;
    pb_begin(b, "main");
    Zoo z = {.b = b, .batch = pb_symbol(b, "b", 0, 1000), .seq = pb_symbol(b, "s", 0, 1000)};
    for (uint32_t i = 0; i < 25; i++) z.n[i] = pb_const(b, i);
    const uint32_t *n = z.n, bt = z.batch, s = z.seq;
    z.x = pb_input(b, "x", TN_F32, 3, (uint32_t[]){bt, s, n[8]}, TN_DEFAULT_NONE);
    z.index = pb_input(b, "index", TN_I64, 2, (uint32_t[]){bt, s}, TN_DEFAULT_NONE);
    z.mask = pb_input(b, "mask", TN_BOOL, 2, (uint32_t[]){bt, s}, TN_DEFAULT_ONES);
    uint32_t scores = pb_arena(b, TN_F32, 4, (uint32_t[]){bt, n[2], s, s});
    zoo_one(&z, TN_OP_fill, 0, NULL, scores, &(ParamsFill){.value = 0.25}, sizeof(ParamsFill));
    uint32_t o = zoo_attention(&z, scores);
    zoo_heads(&z);
    zoo_records(&z);
    zoo_one(&z, TN_OP_softmax, 1, &scores, scores, &(ParamsSoftmax){.axis = 3},
            sizeof(ParamsSoftmax));
    uint32_t heads = zoo_view(&z, o, TN_F32, 4, (uint32_t[]){bt, n[2], s, n[4]},
                              (uint32_t[]){zoo_times(&z, s, n[8]), n[4], n[8], n[1]}, n[0]);
    uint32_t product = pb_arena(b, TN_F32, 4, (uint32_t[]){bt, n[2], s, n[4]}),
             merged = pb_arena(b, TN_F32, 4, (uint32_t[]){bt, s, n[2], n[4]});
    zoo_one(&z, TN_OP_matmul, 2, (uint32_t[]){scores, heads}, product, &(ParamsMatmul){.alpha = 1},
            sizeof(ParamsMatmul));
    uint32_t swapped =
        zoo_view(&z, product, TN_F32, 4, (uint32_t[]){bt, s, n[2], n[4]},
                 (uint32_t[]){zoo_times(&z, s, n[8]), n[4], zoo_times(&z, s, n[4]), n[1]}, n[0]);
    zoo_one(&z, TN_OP_copy, 1, &swapped, merged, NULL, 0);
    uint32_t rows = zoo_view(&z, merged, TN_F32, 3, (uint32_t[]){bt, s, n[8]},
                             (uint32_t[]){zoo_times(&z, s, n[8]), n[8], n[1]}, n[0]);
    uint32_t y = pb_output(b, "y", TN_F32, 3, (uint32_t[]){bt, s, n[8]}),
             sum = pb_output(b, "sum", TN_F32, 3, (uint32_t[]){bt, s, n[8]});
    uint32_t gamma = tiny_constant(b, "gamma", TN_LAYOUT_STRIDED, 1, 8, 0, 8);
    pb_instruction(b, TN_OP_norm, 4, (uint32_t[]){rows, z.x, gamma, gamma}, 2, (uint32_t[]){y, sum},
                   &(ParamsNorm){.epsilon = 1e-5f}, sizeof(ParamsNorm), NULL, 0, "norm");
    zoo_lookups(&z, y);
    zoo_convolutions(&z);
    zoo_map(&z);
    zoo_signals(&z);
    zoo_windows(&z);
    zoo_rotary(&z);
    pb_end(b);
    return pb_finish(b, size);
}

#endif
