/* Operators of com.microsoft and those that carry a state: operands that are missing, of another
 * rank or type, and numbers of heads that divide nothing, with the text they are refused with. */
#include "tests/support/onnx_values.h"

static void refuse(const char *model, const char *op, const char *text) {
    refuse_y(model, TN_E_MODEL, op, text);
}

#define Y "\nout y"

/* --- attention --- */

#define ATTENTION "in x f32 [2,3,8]\nin w f32 [8,24]\nin b f32 [24]\ny = com.microsoft::Attention "

static void test_attention(void **state) {
    (void)state;
    refuse(ATTENTION "x w b" Y, "Attention", "attribute 'num_heads' is missing");
    refuse(ATTENTION "x w b {num_heads=0}" Y, "Attention", "0 parts of a dimension");
    refuse(ATTENTION "x w b {num_heads=-9223372036854775808}" Y, "Attention",
           "-9223372036854775808 parts of a dimension");
    refuse(ATTENTION "x w b {num_heads=3}" Y, "Attention",
           "equal parts and the dimension they make up differ, 6 and 8");
    refuse(ATTENTION "w w b {num_heads=2}" Y, "Attention", "input 0 is f32[8, 24], wanted 3 axes");
    refuse(ATTENTION "x w b {num_heads=2 qkv_hidden_sizes=[8,8]}" Y, "Attention",
           "attribute 'qkv_hidden_sizes' has 2 entries, wanted 3");
    refuse(ATTENTION "x w b {num_heads=2 qkv_hidden_sizes=[8,0,16]}" Y, "Attention",
           "attribute 'qkv_hidden_sizes' contains 0");
    refuse(ATTENTION "x w b x {num_heads=2}" Y, "Attention",
           "the mask is f32[2, 3, 8], wanted integers with 1 to 4 axes");
    refuse(ATTENTION "x w b - x {num_heads=2}" Y, "Attention",
           "input 4 is f32[2, 3, 8], wanted 5 axes");
    refuse(ATTENTION "x w w {num_heads=2}" Y, "Attention", "input 2 is f32[8, 24], wanted 1 axes");
    refuse_y(ATTENTION "x w b {num_heads=2 do_rotary=1}" Y, TN_E_UNSUPPORTED, "Attention",
             "unsupported: do_rotary");
}

#define MULTI                                                                 \
    "in x f32 [2,3,8]\nin m f32 [3,8]\nin b f32 [24]\nin s f32 [2,3,3,3,3]\n" \
    "y = com.microsoft::MultiHeadAttention "

static void test_multi_head_attention(void **state) {
    (void)state;
    const char *op = "MultiHeadAttention";
    refuse(MULTI "x x x {num_heads=0}" Y, op, "0 parts of a dimension");
    refuse(MULTI "x x {num_heads=2}" Y, op,
           "query is f32[2, 3, 8], without key or value, wanted [b, s, width] with key and value");
    refuse(MULTI "x m m b {num_heads=2}" Y, op, "heads in f32[3, 8], wanted 3 or 4 axes");
    refuse(MULTI "x x x m {num_heads=2}" Y, op, "input 3 is f32[3, 8], wanted 1 axes");
    refuse(MULTI "x x x - - s {num_heads=2}" Y, op,
           "f32[2, 2, 3, 3] and f32[2, 3, 3, 3, 3] do not broadcast, dimensions 2 and 3");
    refuse(
        "in x f32 [2,3,8]\nin s f32 [2,1,1,1,1]\ny = com.microsoft::MultiHeadAttention x x x - - "
        "s {num_heads=2}" Y,
        op, "heads have become f32[2, 2, 2, 3, 4], wanted 4 axes");
    refuse(MULTI "x x x - - - x {num_heads=2}" Y, op, "past_key and past_value must come together");
}

#define GROUPS                                                                    \
    "in q f32 [1,1,32]\nin k f32 [1,1,16]\nin p f32 [128]\nin c f32 [1,1,8,16]\n" \
    "in n i32 [1]\nconst t i32 [1] 9\ny = com.microsoft::GroupQueryAttention "

static void test_group_query_attention(void **state) {
    (void)state;
    const char *op = "GroupQueryAttention";
    refuse(GROUPS "q k k p c n t {num_heads=2 kv_num_heads=1}" Y, op,
           "input 3 is f32[128], wanted 4 axes");
    refuse(GROUPS "q k k c p n t {num_heads=2 kv_num_heads=1}" Y, op,
           "input 4 is f32[128], wanted 4 axes");
    refuse(GROUPS "q k k c - n t {num_heads=2 kv_num_heads=1}" Y, op,
           "past_key and past_value must come together");
    refuse(GROUPS "q k k c c n t {num_heads=2 kv_num_heads=0}" Y, op,
           "2 heads of queries for 0 of keys");
    refuse(GROUPS "q k k c c n t {num_heads=3 kv_num_heads=2}" Y, op,
           "3 heads of queries for 2 of keys");
    refuse(GROUPS "q k k c c - t {num_heads=2 kv_num_heads=1}" Y, op,
           "input 5, seqlens_k, is missing");
    refuse(GROUPS "q k k c c n t {num_heads=2 kv_num_heads=1 do_rotary=1}" Y, op,
           "do_rotary without cos_cache and sin_cache");
    refuse(GROUPS "p k k c c n t {num_heads=2 kv_num_heads=1}" Y, op,
           "input 0 is f32[128], wanted 3 axes");
}

#define ROTARY                                                                           \
    "in x f32 [2,3,8]\nin r f32 [3,8]\nin p i64 [2,3]\nin c f32 [9,2]\nin z f32 [9,0]\n" \
    "in a i64 [2,3,1]\ny = com.microsoft::RotaryEmbedding "

static void test_rotary(void **state) {
    (void)state;
    const char *op = "RotaryEmbedding";
    refuse(ROTARY "r p c c {num_heads=2}" Y, op, "heads in f32[3, 8], wanted 3 or 4 axes");
    refuse(ROTARY "x a c c {num_heads=2}" Y, op, "the angles are f32[2, 3, 1, 2], wanted 3 axes");
    refuse(ROTARY "x p c x {num_heads=2}" Y, op, "the angles are f32[2, 3, 3, 8], wanted 3 axes");
    refuse(ROTARY "x p z z" Y, op, "division by zero in a size");
    refuse(ROTARY "x p c c {num_heads=3}" Y, op,
           "equal parts and the dimension they make up differ, 6 and 8");
}

/* --- products of packed weights --- */

#define PACKED                                                          \
    "in x f32 [2,32]\nin w u8 [4,2,8]\nin s f32 [8]\nin i i8 [4,2,8]\n" \
    "y = com.microsoft::MatMulNBits "

static void test_matmul_nbits(void **state) {
    (void)state;
    const char *op = "MatMulNBits";
    refuse(PACKED "x w s {K=0 N=4 block_size=16}" Y, op,
           "attribute 'K' is 0, wanted 1 to 2147483647");
    refuse(PACKED "x w s {K=32 N=4 block_size=0}" Y, op,
           "attribute 'block_size' is 0, wanted 16 to 1048576");
    refuse(PACKED "x w s {K=32 N=5 block_size=16}" Y, op,
           "weights are u8[4, 2, 8], wanted 80 elements");
    refuse(PACKED "x w w {K=32 N=4 block_size=16}" Y, op,
           "scales are u8[4, 2, 8], wanted 8 elements");
    refuse(PACKED "x i s {K=32 N=4 block_size=16}" Y, op, "the weights are i8, not u8");
    refuse_y(PACKED "x w s {K=32 N=4 block_size=16 bits=3}" Y, TN_E_UNSUPPORTED, op,
             "weights of 3 bits are unsupported");
}

static void test_quantised_bias(void **state) {
    (void)state;
    refuse("in a u8 [3,8]\nin b u8 [8,3]\nin s f32 []\nin c f32 [3,1]\n"
           "y = com.microsoft::MatMulIntegerToFloat a b s s - - c" Y,
           "MatMulIntegerToFloat", "the bias is f32[3, 1], not a vector");
}

static void test_qlinear_where(void **state) {
    (void)state;
    refuse("in c i64 [4]\nin a u8 [4]\nin s f32 []\nin z u8 []\n"
           "y = com.microsoft::QLinearWhere c a s z a s z s z" Y,
           "QLinearWhere", "operand 0 has type i64, not bool");
}

/* The result has the type of the scales. */
static void test_qattention_type(void **state) {
    (void)state;
    expect_fail(import_model,
                "in x u8 [2,3,8]\nin w u8 [8,24]\nin b f16 [24]\nin s f16 []\n"
                "y = com.microsoft::QAttention x w b s s {num_heads=2}\nout y f32",
                TN_E_MODEL, "m.onnx: output 'y': declared as f32, but computed as f16");
}

/* --- operators with a state --- */

#define LINEAR                                                              \
    "opset 27\nin x f32 [2,1,32]\nin s f32 [2,4,8,8]\nin f f32 [2,4,8,7]\n" \
    "y = LinearAttention "

static void test_linear_attention(void **state) {
    (void)state;
    const char *op = "LinearAttention";
#define HEADS " {q_num_heads=4 kv_num_heads=4 update_rule="
    refuse(LINEAR "x x x x" HEADS "linear}" Y, op,
           "f32[2, 1, 32] and f32[2, 4, 8, 8] do not have the same dims");
    refuse(LINEAR "x x x f" HEADS "linear}" Y, op, "dims differ, 7 and 8");
    refuse(LINEAR "s x x" HEADS "linear}" Y, op, "input 0 is f32[2, 4, 8, 8], wanted 3 axes");
    refuse(LINEAR "x x x s - s" HEADS "delta}" Y, op, "input 5 is f32[2, 4, 8, 8], wanted 3 axes");
    refuse(LINEAR "x x x s" HEADS "gated}" Y, op, "update_rule 'gated' needs input 4, decay");
    refuse(LINEAR "x x x {q_num_heads=4 kv_num_heads=0 update_rule=linear}" Y, op,
           "4 heads of queries for 0 of keys");
    refuse(LINEAR "x x x {q_num_heads=5 kv_num_heads=5 update_rule=linear}" Y, op,
           "equal parts and the dimension they make up differ, 30 and 32");
}

/* --- positions --- */

static void test_index_types(void **state) {
    (void)state;
    refuse("in x f32 [4]\nin i u8 [2]\ny = Gather x i" Y, "Gather",
           "operand 1 has type u8, not i32 or i64");
    refuse("in x f32 [4]\nin i i8 [2]\ny = GatherElements x i" Y, "GatherElements",
           "operand 1 has type i8, not i32 or i64");
    refuse("in x f32 [4]\nin i u8 [2,1]\ny = GatherND x i" Y, "GatherND",
           "operand 1 has type u8, not i32 or i64");
    refuse("in x f32 [4]\nin i u8 [2]\nin u f32 [2]\ny = ScatterElements x i u" Y,
           "ScatterElements", "operand 1 has type u8, not i32 or i64");
    refuse("in x f32 [4]\nin i i8 [2,1]\nin u f32 [2]\ny = ScatterND x i u" Y, "ScatterND",
           "operand 1 has type i8, not i32 or i64");
    refuse("in x f32 [2,4]\nin t u8 [2]\ny = NegativeLogLikelihoodLoss x t" Y,
           "NegativeLogLikelihoodLoss", "operand 1 has type u8, not i32 or i64");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_multi_head_attention),
        cmocka_unit_test(test_group_query_attention),
        cmocka_unit_test(test_rotary),
        cmocka_unit_test(test_matmul_nbits),
        cmocka_unit_test(test_qlinear_where),
        cmocka_unit_test(test_quantised_bias),
        cmocka_unit_test(test_qattention_type),
        cmocka_unit_test(test_linear_attention),
        cmocka_unit_test(test_index_types),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
