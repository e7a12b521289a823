/* A plan of the instructions that write at positions from data, order and select, and of products
 * of bytes, for mutants: x[n, 4], index[n], mask[n, 4] and bytes[n, 4] go in; the values that come
 * out mean nothing. */
#ifndef TENON_TESTS_SUPPORT_SELECT_PLAN_H
#define TENON_TESTS_SUPPORT_SELECT_PLAN_H

#include "tests/support/plan_builder.h"

typedef struct SelectPlan {
    PlanBuilder *b;
    uint32_t n, number[5]; /* expressions; number[i] is the constant i */
    uint32_t x;
} SelectPlan;

static inline void select_one(const SelectPlan *s, TnOpcode op, int inputs, const uint32_t *in,
                              int outputs, const uint32_t *out, const void *params, size_t bytes) {
    pb_instruction(s->b, op, inputs, in, outputs, out, params, bytes, NULL, 0, tn_instr(op)->name);
}

/* Another view of the same buffer. */
static inline uint32_t select_view(const SelectPlan *s, uint32_t of, TnDType dtype, int rank,
                                   const uint32_t *dims, const uint32_t *strides) {
    uint32_t buffer = ((const PlanView *)s->b->section[TN_SECTION_VIEWS].data)[of].buffer;
    return pb_view(s->b, buffer, dtype, TN_LAYOUT_STRIDED, rank, dims, strides, s->number[0]);
}

/* One element that the plan sets itself. */
static inline uint32_t select_filled(const SelectPlan *s, TnDType dtype, const ParamsFill *value) {
    uint32_t v = pb_arena(s->b, dtype, 1, &s->number[1]);
    select_one(s, TN_OP_fill, 0, NULL, 1, &v, value, sizeof *value);
    return v;
}

static inline void select_scatters(const SelectPlan *s, uint32_t index) {
    const uint32_t *k = s->number, dims[] = {s->n, k[4]};
    uint32_t wide = select_view(s, index, TN_I64, 2, dims, (uint32_t[]){k[1], k[0]}),
             column = select_view(s, index, TN_I64, 2, (uint32_t[]){s->n, k[1]},
                                  (uint32_t[]){k[1], k[1]});
    uint32_t elements = pb_output(s->b, "elements", TN_F32, 2, dims),
             rows = pb_output(s->b, "rows", TN_F32, 2, dims);
    select_one(s, TN_OP_scatter_elements, 3, (uint32_t[]){s->x, wide, s->x}, 1, &elements,
               &(ParamsScatter){.reduction = TN_SCATTER_ADD}, sizeof(ParamsScatter));
    select_one(s, TN_OP_scatter_nd, 3, (uint32_t[]){s->x, column, s->x}, 1, &rows,
               &(ParamsScatter){.reduction = TN_SCATTER_MAX}, sizeof(ParamsScatter));
}

static inline void select_orders(const SelectPlan *s, uint32_t mask) {
    PlanBuilder *b = s->b;
    const uint32_t *k = s->number, two[] = {s->n, k[2]};
    uint32_t best[2] = {pb_output(b, "best", TN_F32, 2, two), pb_output(b, "at", TN_I64, 2, two)};
    select_one(s, TN_OP_topk, 1, &s->x, 2, best, &(ParamsTopk){.axis = 1}, sizeof(ParamsTopk));
    uint32_t set = pb_output(b, "set", TN_I64, 2, (uint32_t[]){k[2], s->n});
    select_one(s, TN_OP_nonzero, 1, &mask, 1, &set, NULL, 0);
    uint32_t groups[4] = {
        pb_output(b, "first", TN_I64, 1, &s->n), pb_output(b, "group", TN_I64, 1, &s->n),
        pb_output(b, "size", TN_I64, 1, &s->n), pb_output(b, "groups", TN_I64, 1, &k[1])};
    select_one(s, TN_OP_unique, 1, &s->x, 4, groups, &(ParamsUnique){.unsorted = 1},
               sizeof(ParamsUnique));
}

/* Boxes x[n, 4], the scores of two classes its first columns. */
static inline void select_boxes(const SelectPlan *s) {
    const uint32_t *k = s->number;
    uint32_t rows = pb_expr(s->b, TN_EXPR_MUL, s->n, k[4]);
    uint32_t boxes = select_view(s, s->x, TN_F32, 3, (uint32_t[]){k[1], s->n, k[4]},
                                 (uint32_t[]){rows, k[4], k[1]}),
             scores = select_view(s, s->x, TN_F32, 3, (uint32_t[]){k[1], k[2], s->n},
                                  (uint32_t[]){rows, k[1], k[4]});
    uint32_t in[] = {boxes, scores, select_filled(s, TN_I64, &(ParamsFill){.integer = 2}),
                     select_filled(s, TN_F32, &(ParamsFill){.value = 0.5})};
    uint32_t out[2] = {pb_output(s->b, "kept", TN_I64, 2, (uint32_t[]){s->n, k[3]}),
                       pb_output(s->b, "count", TN_I64, 1, &k[1])};
    select_one(s, TN_OP_nms, 4, in, 2, out, &(ParamsNms){.center = 1}, sizeof(ParamsNms));
}

static inline unsigned char *select_plan(size_t *size) {
    PlanBuilder builder = {0}, *b = &builder;
    pb_begin(b, "main");
    SelectPlan s = {.b = b, .n = pb_symbol(b, "n", 0, 1000)};
    for (uint32_t i = 0; i < 5; i++) s.number[i] = pb_const(b, i);
    const uint32_t *k = s.number, dims[] = {s.n, k[4]};
    s.x = pb_input(b, "x", TN_F32, 2, dims, TN_DEFAULT_NONE);
    uint32_t index = pb_input(b, "index", TN_I64, 1, &s.n, TN_DEFAULT_NONE),
             mask = pb_input(b, "mask", TN_BOOL, 2, dims, TN_DEFAULT_ONES),
             bytes = pb_input(b, "bytes", TN_I8, 2, dims, TN_DEFAULT_NONE);
    select_scatters(&s, index);
    select_orders(&s, mask);
    select_boxes(&s);
    uint32_t swapped =
        select_view(&s, bytes, TN_I8, 2, (uint32_t[]){k[4], s.n}, (uint32_t[]){k[1], k[4]});
    uint32_t product = pb_output(b, "product", TN_I32, 2, (uint32_t[]){s.n, s.n});
    select_one(&s, TN_OP_matmul_int, 2, (uint32_t[]){bytes, swapped}, 1, &product, NULL, 0);
    const int8_t quads[8 * TN_PANEL] = {1, 2, 3, 4}; /* 4 x 3 */
    PlanConstant weight = {.name = pb_string(b, "quads"),
                           .dtype = TN_I8,
                           .layout = TN_LAYOUT_QUADS16,
                           .rank = 2,
                           .dims = {4, 3},
                           .bytes = sizeof quads};
    product = pb_output(b, "packed", TN_I32, 2, (uint32_t[]){s.n, k[3]});
    select_one(&s, TN_OP_matmul_int, 2, (uint32_t[]){bytes, pb_stored(b, weight, quads)}, 1,
               &product, NULL, 0);
    pb_end(b);
    return pb_finish(b, size);
}

#endif
