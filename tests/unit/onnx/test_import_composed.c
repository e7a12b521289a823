/* ONNX operators that the importer takes apart, evaluated by the reference kernels.
 *
 * Numbers were computed by hand or by the formulas of the ONNX specification. */
#include "tests/support/onnx_values.h"

/* --- activations, reductions --- */

static void test_activations(void **state) {
    (void)state;
#define FOUR "const x f32 [4] -2 -0.5 0.5 2\n"
    VALUES(FOUR "y = Celu x {alpha=2.0}\nout y", "f32[4]", -1.26424112, -0.442398434, 0.5, 2);
    VALUES(FOUR "y = Selu x\nout y", "f32[4]", -1.52016647, -0.691758454, 0.525350511, 2.10140204);
    VALUES(FOUR "y = ThresholdedRelu x {alpha=0.5}\nout y", "f32[4]", 0, 0, 0, 2);
    VALUES("const x f32 [2] 1 3\ny = ReduceLogSum x\nout y", "f32[1]", 1.38629436);
}

static void test_extremes(void **state) {
    (void)state;
#define ROWS "const x f32 [2,3] 1 7 7 -5 -6 -5\n"
    VALUES(ROWS "y = ArgMax x {axis=1 keepdims=0}\nout y", "i64[2]", 1, 0);
    VALUES(ROWS "y = ArgMax x {axis=-1 select_last_index=1}\nout y", "i64[2, 1]", 2, 2);
    VALUES(ROWS "y = ArgMin x {axis=0}\nout y", "i64[1, 3]", 1, 1, 1);
}

static void test_group_normalization(void **state) {
    (void)state;
#define GROUPS "const x f32 [1,2,2] 1 3 5 9\n"
    VALUES(GROUPS "const s f32 [2] 1 2\nconst b f32 [2] 0 1\nopset 21\n"
                  "y = GroupNormalization x s b {num_groups=2 epsilon=0.0}\nout y",
           "f32[1, 2, 2]", -1, 1, -1, 3);
    VALUES("const x f32 [1,4,1] 1 3 5 9\nconst s f32 [2] 1 2\nconst b f32 [2] 0 1\n"
           "y = GroupNormalization x s b {num_groups=2 epsilon=0.0}\nout y",
           "f32[1, 4, 1]", -1, 1, -1, 3);
}

/* --- attention: queries of zeros look at all keys alike --- */

#define ZEROS "opset 23\nconst q f32 [1,1,2,1] 0 0\nconst k f32 [1,1,2,1] 1 2\n"
#define VALUE "const v f32 [1,1,2,1] 2 6\n"

static void test_attention_masks(void **state) {
    (void)state;
    VALUES(ZEROS VALUE "y = Attention q k v\nout y", "f32[1, 1, 2, 1]", 4, 4);
    VALUES(ZEROS VALUE "y = Attention q k v {is_causal=1}\nout y", "f32[1, 1, 2, 1]", 2, 4);
    VALUES(ZEROS VALUE "const m bool [2,2] 0 1 0 0\ny = Attention q k v m\nout y",
           "f32[1, 1, 2, 1]", 6, 0);
    VALUES(ZEROS VALUE "const m f32 [2,2] 0 0 0 0.69314718\ny = Attention q k v m\nout y",
           "f32[1, 1, 2, 1]", 4, 4.66666667);
    VALUES(ZEROS VALUE "const m bool [2,1] 1 1\ny = Attention q k v m\nout y", "f32[1, 1, 2, 1]", 2,
           2);
    VALUES(ZEROS VALUE "y = Attention q k v {left_window_size=0}\nout y", "f32[1, 1, 2, 1]", 4, 6);
    VALUES(ZEROS VALUE "y = Attention q k v {right_window_size=0}\nout y", "f32[1, 1, 2, 1]", 2, 4);
}

static void test_attention_scores(void **state) {
    (void)state;
#define ONE "opset 23\nconst q f32 [1,1,1,4] 1 0 0 0\nconst k f32 [1,1,2,4] 0 0 0 0 2 0 0 0\n" VALUE
    VALUES(ONE "y = Attention q k v\nout y", "f32[1, 1, 1, 1]", 4.92423431);
    VALUES(ONE "y = Attention q k v {scale=1.0}\nout y", "f32[1, 1, 1, 1]", 5.52318831);
    VALUES(ONE "y = Attention q k v {scale=1.0 softcap=1.0}\nout y", "f32[1, 1, 1, 1]", 4.89570987);
    VALUES(ONE "y = Attention q k v {softmax_precision=11}\nout y", "f32[1, 1, 1, 1]", 4.92423431);
}

static void test_attention_heads(void **state) {
    (void)state;
    VALUES("opset 23\nconst q f32 [1,1,2] 0 0\nconst k f32 [1,2,1] 1 2\nconst v f32 [1,2,1] 2 6\n"
           "y = Attention q k v {q_num_heads=2 kv_num_heads=1}\nout y",
           "f32[1, 1, 2]", 4, 4);
    VALUES(ZEROS VALUE "const a f32 [1,1,1,1] 0\nconst b f32 [1,1,1,1] 10\n"
                       "y, kk, vv = Attention q k v - a b {is_causal=1}\nout y",
           "f32[1, 1, 2, 1]", 6, 6);
    VALUES(ZEROS VALUE "const a f32 [1,1,1,1] 0\nconst b f32 [1,1,1,1] 10\n"
                       "y, kk, vv = Attention q k v - a b\nout vv",
           "f32[1, 1, 3, 1]", 10, 2, 6);
}

static void test_rotary(void **state) {
    (void)state;
#define TABLES "opset 23\nconst c f32 [2,1] 1 0.6\nconst s f32 [2,1] 0 0.8\nconst p i64 [1,2] 0 1\n"
    VALUES(TABLES "const x f32 [1,1,2,2] 1 2 1 2\ny = RotaryEmbedding x c s p\nout y",
           "f32[1, 1, 2, 2]", 1, 2, -1, 2);
    VALUES(TABLES "const x f32 [1,2,3] 1 2 9 1 2 9\n"
                  "y = RotaryEmbedding x c s p {num_heads=1 rotary_embedding_dim=2}\nout y",
           "f32[1, 2, 3]", 1, 2, 9, -1, 2, 9);
    VALUES("opset 23\nconst c f32 [1,1,2] 0.6 1\nconst s f32 [1,1,2] 0.8 0\n"
           "const x f32 [1,1,1,4] 1 2 3 4\ny = RotaryEmbedding x c s {interleaved=1}\nout y",
           "f32[1, 1, 1, 4]", -1, 2, 3, 4);
}

/* --- Einsum --- */

static void test_einsum(void **state) {
    (void)state;
#define AB "const a f32 [2,2] 1 2 3 4\nconst b f32 [2,3] 1 0 1 0 1 1\n"
    VALUES(AB "y = Einsum a b {equation=ij,jk->ik}\nout y", "f32[2, 3]", 1, 2, 3, 3, 4, 7);
    VALUES(AB "y = Einsum a b {equation=ij,jk->ki}\nout y", "f32[3, 2]", 1, 3, 2, 4, 3, 7);
    VALUES(AB "y = Einsum a b {equation=ij,jk}\nout y", "f32[2, 3]", 1, 2, 3, 3, 4, 7);
    VALUES(AB "y = Einsum a {equation=ij->ji}\nout y", "f32[2, 2]", 1, 3, 2, 4);
    VALUES(AB "y = Einsum a {equation=ij->}\nout y", "f32[]", 10);
    VALUES(AB "y = Einsum a b {equation=ij,kl->k}\nout y", "f32[2]", 20, 20);
    VALUES(AB "y = Einsum a {equation=ii->i}\nout y", "f32[2]", 1, 4);
    VALUES(AB "y = Einsum a {equation=ii}\nout y", "f32[]", 5);
    VALUES("const x i32 [2,2,2] 1 2 3 4 5 6 7 8\ny = Einsum x {equation=iji->ji}\nout y",
           "i32[2, 2]", 1, 6, 3, 8);
    VALUES("const x i32 [2,2,2] 1 2 3 4 5 6 7 8\ny = Einsum x {equation=iii}\nout y", "i32[]", 9);
    VALUES(AB "const o f32 [1,2] 10 1\ny = Einsum a o {equation=ij,ij->ij}\nout y", "f32[2, 2]", 10,
           2, 30, 4);
    VALUES(AB "const o f32 [1,2] 10 1\ny = Einsum a o {equation=ij,ij->j}\nout y", "f32[2]", 40, 6);
    VALUES(AB "const s f32 [] 2\ny = Einsum s a {equation=,ij->j}\nout y", "f32[2]", 8, 12);
    VALUES(AB "y = Einsum a a {equation=ij,ij->ij}\nout y", "f32[2, 2]", 1, 4, 9, 16);
    VALUES(AB "y = Einsum a a a {equation=ij,jk,kl->il}\nout y", "f32[2, 2]", 37, 54, 81, 118);
    VALUES("const u f32 [2] 1 2\nconst v f32 [2] 3 4\ny = Einsum u v {equation=i,j->ji}\nout y",
           "f32[2, 2]", 3, 6, 4, 8);
    VALUES("const x f32 [2,1,2] 1 2 3 4\nconst w f32 [2,2] 1 1 0 1\n"
           "y = Einsum x w {equation=...i,ij->...j}\nout y",
           "f32[2, 1, 2]", 1, 3, 3, 7);
    VALUES("const x f32 [2,1,2] 1 2 3 4\nconst w f32 [2,2] 1 1 0 1\n"
           "y = Einsum x x {equation=b...d,b...d}\nout y",
           "f32[1]", 30);
}

static void test_refused(void **state) {
    (void)state;
    refuse_y(AB "y = Einsum b {equation=ii->i}\nout y", TN_E_MODEL, "Einsum",
             "axes of one label differ, 2 and 3");
    refuse_y(AB "y = Einsum a {equation=ijk->i}\nout y", TN_E_MODEL, "Einsum",
             "term 0 has 3 labels, the operand is f32[2, 2]");
    refuse_y(AB "y = Einsum a b {equation=ij->i}\nout y", TN_E_MODEL, "Einsum",
             "the equation does not have 2 terms");
    refuse_y(AB "y = Einsum a {equation=ij->k}\nout y", TN_E_MODEL, "Einsum",
             "label 0 of the result is in no term");
    refuse_y(AB "y = Einsum a {equation=i1->i}\nout y", TN_E_MODEL, "Einsum",
             "the equation 'i1->i' is malformed");
    refuse_y(AB "y = Einsum b a {equation=ij,jk->ik}\nout y", TN_E_MODEL, "Einsum",
             "summed dimensions differ, 3 and 2");
    refuse_y("opset 23\nconst q f32 [1,2,4] 0 0 0 0 0 0 0 0\ny = Attention q q q\nout y",
             TN_E_MODEL, "Attention", "attribute 'q_num_heads' is missing");
    refuse_y("opset 23\nconst q f32 [1,1,4] 0 0 0 0\n"
             "y = Attention q q q {q_num_heads=0 kv_num_heads=1}\nout y",
             TN_E_MODEL, "Attention", "0 parts of a dimension");
    refuse_y("opset 23\nconst q f32 [1,1,4] 0 0 0 0\n"
             "y = Attention q q q {q_num_heads=3 kv_num_heads=1}\nout y",
             TN_E_MODEL, "Attention", "equal parts and the dimension they make up differ, 3 and 4");
    refuse_y("opset 23\nconst q f32 [1,3,1,1] 0 0 0\nconst k f32 [1,2,1,1] 0 0\n"
             "y = Attention q k k\nout y",
             TN_E_MODEL, "Attention", "3 heads of queries for 2 heads of keys");
    refuse_y("const x f32 [1,4,1] 1 3 5 9\nconst s f32 [2] 1 2\n"
             "y = GroupNormalization x s s {num_groups=0}\nout y",
             TN_E_MODEL, "GroupNormalization", "0 parts of a dimension");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_group_normalization),
        cmocka_unit_test(test_attention_masks),
        cmocka_unit_test(test_attention_scores),
        cmocka_unit_test(test_attention_heads),
        cmocka_unit_test(test_rotary),
        cmocka_unit_test(test_einsum),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
