/* The table of steps: which operators random graphs have, how often, and why not the others. */
#include "tests/random/random_steps.h"

enum { MAX_STEPS = 24, MAX_OUTPUTS = 16 };

typedef struct Row {
    OpKind op;
    Step *make;
    int weight;
    const char *why_not; /* where make is NULL */
} Row;

static const Row rows[] = {
    {OP_add, make_sum, 4, NULL},
    {OP_sub, make_sum, 2, NULL},
    {OP_min, make_sum, 1, NULL},
    {OP_max, make_sum, 1, NULL},
    {OP_mul, make_product, 4, NULL},
    {OP_div, make_quotient, 2, NULL},
    {OP_mod, make_remainder, 1, NULL},
    {OP_fmod, make_remainder, 1, NULL},
    {OP_pow, make_power, 1, NULL},
    {OP_neg, make_exact_unary, 1, NULL},
    {OP_abs, make_exact_unary, 1, NULL},
    {OP_relu, make_exact_unary, 1, NULL},
    {OP_sqrt, make_of_positive, 1, NULL},
    {OP_reciprocal, make_of_positive, 1, NULL},
    {OP_log, make_of_positive, 1, NULL},
    {OP_exp, make_exp, 1, NULL},
    {OP_erf, make_smooth, 1, NULL},
    {OP_tanh, make_smooth, 1, NULL},
    {OP_sigmoid, make_smooth, 1, NULL},
    {OP_sin, make_smooth, 1, NULL},
    {OP_cos, make_smooth, 1, NULL},
    {OP_atan, make_smooth, 1, NULL},
    {OP_asinh, make_smooth, 1, NULL},
    {OP_sinh, make_exp, 1, NULL},
    {OP_cosh, make_exp, 1, NULL},
    {OP_tan, make_inside, 1, NULL},
    {OP_asin, make_inside, 1, NULL},
    {OP_acos, make_inside, 1, NULL},
    {OP_atanh, make_inside, 1, NULL},
    {OP_acosh, make_acosh, 1, NULL},
    {OP_gelu, make_smooth, 1, NULL},
    {OP_gelu_tanh, make_smooth, 1, NULL},
    {OP_gelu_quick, make_smooth, 1, NULL},
    {OP_silu, make_smooth, 1, NULL},
    {OP_floor, make_jump, 1, NULL},
    {OP_ceil, make_jump, 1, NULL},
    {OP_round, make_jump, 1, NULL},
    {OP_sign, make_jump, 1, NULL},
    {OP_eq, make_comparison, 1, NULL},
    {OP_lt, make_comparison, 1, NULL},
    {OP_le, make_comparison, 1, NULL},
    {OP_and, make_logic, 1, NULL},
    {OP_or, make_logic, 1, NULL},
    {OP_xor, make_logic, 1, NULL},
    {OP_not, make_logic, 1, NULL},
    {OP_where, make_where, 2, NULL},
    {OP_cast, make_cast, 2, NULL},
    {OP_cast, make_narrow, 2, NULL},
    {OP_cast, make_quantized, 1, NULL},
    {OP_bitcast, make_bitcast, 1, NULL},
    {OP_bit_and, make_bits, 1, NULL},
    {OP_bit_or, make_bits, 1, NULL},
    {OP_bit_xor, make_bits, 1, NULL},
    {OP_bit_not, make_bit_not, 1, NULL},
    {OP_shift_left, make_shift, 1, NULL},
    {OP_shift_right, make_shift, 1, NULL},
    {OP_splat, make_splat, 1, NULL},
    {OP_iota, make_iota, 1, NULL},
    {OP_scalars, make_scalars, 1, NULL},
    {OP_view, make_view, 3, NULL},
    {OP_transpose, make_transpose, 3, NULL},
    {OP_expand, make_expand, 2, NULL},
    {OP_slice, make_slice, 2, NULL},
    {OP_concat, make_concat, 2, NULL},
    {OP_pad, make_pad, 1, NULL},
    {OP_roll, make_roll, 1, NULL},
    {OP_gather, make_gather, 2, NULL},
    {OP_gather_elements, make_gather, 1, NULL},
    {OP_gather_nd, make_gather_nd, 1, NULL},
    {OP_scatter_elements, make_scatter_elements, 2, NULL},
    {OP_scatter_nd, make_scatter_nd, 2, NULL},
    {OP_scatter_nd, make_assignment, 2, NULL},
    {OP_topk, make_topk, 1, NULL},
    {OP_nonzero, make_nonzero, 1, NULL},
    {OP_unique, make_unique, 1, NULL},
    {OP_nms, make_nms, 1, NULL},
    {OP_measure, make_measure, 1, NULL},
    {OP_reduce_sum, make_reduction, 1, NULL},
    {OP_reduce_mean, make_reduction, 1, NULL},
    {OP_reduce_max, make_reduction, 1, NULL},
    {OP_reduce_min, make_reduction, 1, NULL},
    {OP_reduce_prod, make_reduction, 1, NULL},
    {OP_cumsum, make_cumsum, 1, NULL},
    {OP_cumprod, make_cumsum, 1, NULL},
    {OP_matmul, make_matmul, 5, NULL},
    {OP_matmul_int, make_matmul_int, 1, NULL},
    {OP_conv, make_conv, 2, NULL},
    {OP_pool, make_pool, 1, NULL},
    {OP_col2im, make_col2im, 1, NULL},
    {OP_deform_columns, make_deform, 1, NULL},
    {OP_resize, make_resize, 2, NULL},
    {OP_grid_sample, make_grid, 1, NULL},
    {OP_roi_align, make_regions, 1, NULL},
    {OP_rnn, make_rnn, 1, NULL},
    {OP_dft, make_dft, 1, NULL},
    {OP_det, make_det, 1, NULL},
    {OP_if, make_if, 3, NULL},
    {OP_loop, make_loop, 3, NULL},
    {OP_softmax, make_softmax, 2, NULL},
    {OP_log_softmax, make_softmax, 1, NULL},
    {OP_layer_norm, make_norm, 2, NULL},
    {OP_rms_norm, make_norm, 2, NULL},
    {OP_attention, make_attention, 2, NULL},
    {OP_attention, make_masked, 3, NULL},
    {OP_attention, make_sequences, 3, NULL},
    {OP_deformable_attention, make_deformable, 2, NULL},
    {OP_qkv, make_qkv, 3, NULL},
    {OP_rotary, make_rotary, 3, NULL},
    {OP_slice, make_rows, 2, NULL},
    {OP_add_norm, make_residual, 3, NULL},
    {OP_gelu, make_gelu, 2, NULL},
    {OP_linear, make_shared, 2, NULL},
    {OP_map, make_hazard, 3, NULL},
    {OP_add_norm, make_windows, 3, NULL},
    {OP_map, make_layout, 4, NULL},
};
enum { ROWS = sizeof rows / sizeof *rows };

bool random_covers(OpKind op, const char **why_not) {
    *why_not = ir_op_info(op)->flags & OPF_FUSED ? "made by passes" : NULL;
    for (int i = 0; i < ROWS; i++) {
        if (rows[i].op != op) continue;
        *why_not = rows[i].why_not;
        return rows[i].make != NULL;
    }
    return false;
}

static const Row *random_row(Maker *k) {
    int total = 0, at;
    for (int i = 0; i < ROWS; i++) total += rows[i].weight;
    at = rng_below(&k->rng, total);
    for (int i = 0; i < ROWS; i++)
        if ((at -= rows[i].weight) < 0) return &rows[i];
    return &rows[0];
}

/* The last values that nothing reads. */
static void add_outputs(Maker *k) {
    for (int i = k->count - 1; i >= 0 && k->g->output_count < MAX_OUTPUTS; i--) {
        Value *v = k->pool[i].v;
        if (!v->node || v->use_count || ir_is_output(v)) continue;
        ir_output(k->g, arena_printf(&k->g->module->cx->arena, "y%d", k->g->output_count), v);
    }
    if (!k->g->output_count) ir_output(k->g, "y0", k->pool[k->count - 1].v);
}

void random_steps(Maker *k, int most) {
    for (int i = 1 + rng_below(&k->rng, most); i > 0; i--) {
        const Row *row = random_row(k);
        if (row->make) row->make(k, row->op);
    }
}

void random_graph(Graph *g, uint64_t seed) {
    Maker k = {.rng = {seed * 0x9e3779b97f4a7c15u + 1}, .g = g, .x = g->module->ex};
    for (int i = 0; i < 4; i++) rng_next(&k.rng);
    if (random_often(&k, 20)) k.numbers = 111 * (1 + rng_below(&k.rng, 5)) + rng_below(&k.rng, 5);
    const Expr *lengths[RANDOM_SYMBOLS]; /* of an input, so that every symbol has a value */
    for (int i = 0; i < RANDOM_SYMBOLS; i++) lengths[i] = ex_symbol(k.x, random_symbols[i]);
    if (!k.numbers) random_input(&k, TN_F32, RANDOM_SYMBOLS, lengths);
    random_steps(&k, random_often(&k, 30) ? 4 : MAX_STEPS);
    add_outputs(&k);
}
