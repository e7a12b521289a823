/* Resampling, signal and recurrent operators of ONNX: what the importer makes of them, evaluated by
 * the reference kernels, and what it refuses. Numbers are those of the ONNX specification's
 * reference implementation. */
#include "tests/support/onnx_values.h"

static void refuse_code(TnStatus code, const char *model, const char *text) {
    refuse_model(model, code, "node 'y' (", text);
}

static void refuse(const char *model, const char *text) {
    refuse_code(TN_E_MODEL, model, text);
}

/* --- Resize, Upsample --- */

#define LINE4    "const x f32 [1,1,4] 1 2 3 4\nout y\n"
#define SCALE(s) "const s f32 [3] 1 1 " s "\n"

static void test_resize(void **state) {
    (void)state;
    VALUES(LINE4 SCALE("2") "y = Resize x - s", "f32[1, 1, 8]", 1, 1, 2, 2, 3, 3, 4, 4);
    VALUES(LINE4 SCALE("2") "y = Resize x - s {mode=linear}", "f32[1, 1, 8]", 1, 1.25, 1.75, 2.25,
           2.75, 3.25, 3.75, 4);
    VALUES(LINE4 SCALE("0.6") "y = Resize x - s {mode=linear}", "f32[1, 1, 2]", 1.3333333, 3);
    VALUES(LINE4 SCALE("0.6") "y = Resize x - s {mode=linear antialias=1}", "f32[1, 1, 2]", 1.375,
           3);
    VALUES(LINE4 "const z i64 [3] 1 1 3\ny = Resize x - - z {mode=cubic "
                 "coordinate_transformation_mode=align_corners}",
           "f32[1, 1, 3]", 1, 2.5, 4);
    VALUES(LINE4 "const z i64 [1] 2\ny = Resize x - - z {axes=[-1] nearest_mode=ceil}",
           "f32[1, 1, 2]", 2, 4);
    VALUES(LINE4 "const r f32 [2] 0.5 1.5\nconst z i64 [1] 3\n"
                 "y = Resize x r - z {axes=[2] mode=linear extrapolation_value=9.0 "
                 "coordinate_transformation_mode=tf_crop_and_resize}",
           "f32[1, 1, 3]", 2.5, 4, 9);
    VALUES("const x u8 [2,2] 1 2 3 4\nconst s f32 [2] 1 1.5\ny = Resize x - s {mode=linear}\nout y",
           "u8[2, 3]", 1, 2, 2, 3, 4, 4);
    VALUES("const x f32 [2,4] 1 2 3 4 5 6 7 8\nconst z i64 [2] 3 3\n"
           "y = Resize x - - z {keep_aspect_ratio_policy=not_larger}\nout y",
           "f32[2, 3]", 1, 2, 4, 5, 6, 8);
    VALUES("opset 10\n" LINE4 SCALE("0.6") "y = Resize x s", "f32[1, 1, 2]", 1, 3);
    VALUES("opset 9\n" LINE4 SCALE("2") "y = Upsample x s", "f32[1, 1, 8]", 1, 1, 2, 2, 3, 3, 4, 4);
    VALUES("opset 7\nconst x f32 [1,3] 0 2 4\ny = Upsample x {mode=linear scales=[1.0,2.0]}\nout y",
           "f32[1, 6]", 0, 1, 2, 3, 4, 4);
}

static void test_resize_errors(void **state) {
    (void)state;
    refuse(LINE4 "y = Resize x {mode=area}",
           "Resize): attribute 'mode' is 'area', not one of nearest, linear, cubic");
    refuse(LINE4 SCALE("2") "y = Resize x - s {nearest_mode=up}",
           "Resize): attribute 'nearest_mode' is 'up', not one of round_prefer_floor, "
           "round_prefer_ceil, floor, ceil");
    refuse(LINE4 "y = Resize x", "Resize): neither scales nor sizes are given");
    refuse(LINE4 SCALE("2") "const z i64 [3] 1 1 3\ny = Resize x - s z",
           "Resize): scales and sizes are both given");
    refuse(LINE4 SCALE("0") "y = Resize x - s", "Resize): scale 2 is 0, not a number above 0");
    refuse(LINE4 SCALE("-1") "y = Resize x - s", "Resize): scale 2 is -1, not a number above 0");
    refuse(LINE4 SCALE("nan") "y = Resize x - s", "Resize): scale 2 is nan, not a number above 0");
    refuse(LINE4 SCALE("inf") "y = Resize x - s", "Resize): scale 2 is inf, not a number above 0");
    refuse_code(TN_E_LIMIT, LINE4 SCALE("1e30") "y = Resize x - s",
                "Resize): the scale 1e+30 is out of range");
    refuse(LINE4 "const s f32 [2] 1 2\ny = Resize x - s", "Resize): 2 entries of scales, wanted 3");
    refuse(LINE4 "const s i64 [3] 1 1 2\ny = Resize x - s",
           "Resize): scales are i64[3], not a vector of floats");
    refuse(LINE4 "const z i64 [3] 1 1 -2\ny = Resize x - - z", "Resize): size 2 is -2");
    refuse(LINE4 "const z i64 [2] 1 2\ny = Resize x - - z", "Resize): 2 sizes for 3 axes");
    refuse(LINE4 "const z i64 [1] 2\ny = Resize x - - z {axes=[3]}",
           "Resize): axis 3 of a tensor of rank 3");
    refuse(LINE4 "const z i64 [2] 2 2\ny = Resize x - - z {axes=[2,-1]}",
           "Resize): axis -1 is there twice");
    refuse(LINE4 SCALE("2") "y = Resize x - s {antialias=1}",
           "Resize): mode 'nearest' has no antialiasing");
    refuse(LINE4 SCALE("2") "y = Resize x - s {antialias=2}",
           "Resize): attribute 'antialias' is 2, not 0 or 1");
    refuse(LINE4 SCALE("2") "y = Resize x - s {coordinate_transformation_mode=tf_crop_and_resize}",
           "Resize): tf_crop_and_resize without a region of interest");
    refuse(LINE4 SCALE("2") "const r f32 [3] 0 0 1\ny = Resize x r s "
                            "{coordinate_transformation_mode=tf_crop_and_resize}",
           "Resize): 3 entries of the region of interest, wanted 6");
}

/* --- sampling --- */

#define IMAGE   "const x f32 [1,1,2,2] 1 2 3 4\n"
#define CENTERS "const g f32 [1,1,2,2] 0 0 0.5 0.5\n"
#define REGION  "const r f32 [1,4] 0 0 1 1\nconst b i64 [1] 0\n"

static void test_samples(void **state) {
    (void)state;
    VALUES(IMAGE CENTERS "y = GridSample x g\nout y", "f32[1, 1, 1, 2]", 2.5, 4);
    VALUES(IMAGE CENTERS "y = GridSample x g {align_corners=1 mode=bilinear}\nout y",
           "f32[1, 1, 1, 2]", 2.5, 3.25);
    VALUES(IMAGE REGION "y = RoiAlign x r b\nout y", "f32[1, 1, 1, 1]", 1);
    VALUES("opset 10\n" IMAGE REGION "y = RoiAlign x r b {sampling_ratio=1}\nout y",
           "f32[1, 1, 1, 1]", 2.5);
    VALUES("const t f32 [1,2,3] 1 0 0 0 2 1\nconst s i64 [4] 1 1 2 2\ny = AffineGrid t s\nout y",
           "f32[1, 2, 2, 2]", -0.5, 0, 0.5, 0, -0.5, 2, 0.5, 2);
    VALUES("const t f32 [1,2,3] 1 0 0 0 2 1\nconst s i64 [4] 1 1 1 2\n"
           "y = AffineGrid t s {align_corners=1}\nout y",
           "f32[1, 1, 2, 2]", -1, 1, 1, 1);
    VALUES("const x f32 [5] 1 2 3 4 5\nconst s i64 [1] 2\ny = CenterCropPad x s\nout y", "f32[2]",
           2, 3);
    VALUES("const x f32 [1,2] 1 2\nconst s i64 [1] 5\ny = CenterCropPad x s {axes=[-1]}\nout y",
           "f32[1, 5]", 0, 1, 2, 0, 0);
}

static void test_sample_errors(void **state) {
    (void)state;
    refuse(IMAGE CENTERS "y = GridSample x g {mode=area}\nout y",
           "GridSample): attribute 'mode' is 'area', not one of linear, bilinear, nearest, cubic, "
           "bicubic");
    refuse(IMAGE CENTERS "y = GridSample x g {padding_mode=wrap}\nout y",
           "GridSample): attribute 'padding_mode' is 'wrap', not one of zeros, border, reflection");
    refuse(IMAGE "const g f32 [1,1,2,3] 0 0 0 0 0 0\ny = GridSample x g\nout y",
           "GridSample): coordinates and spatial axes differ, 3 and 2");
    refuse(IMAGE "const g i64 [1,1,1,2] 0 0\ny = GridSample x g\nout y",
           "GridSample): the grid is i64[1, 1, 1, 2], not of floats");
    refuse(IMAGE REGION "y = RoiAlign x r b {output_height=0}\nout y",
           "RoiAlign): attribute 'output_height' is 0");
    refuse(IMAGE REGION "y = RoiAlign x r b {sampling_ratio=-1}\nout y",
           "RoiAlign): -1 samples per bin, wanted 0 to 4096");
    refuse(IMAGE "const r f32 [2,4] 0 0 1 1 0 0 1 1\nconst b i64 [1] 0\ny = RoiAlign x r b\nout y",
           "RoiAlign): regions and batch indices differ, 2 and 1");
    refuse("const t f32 [1,3,3] 1 0 0 0 1 0 0 0 1\nconst s i64 [4] 1 1 2 2\ny = AffineGrid t s\n"
           "out y",
           "AffineGrid): theta is f32[1, 3, 3], wanted floats [batch, 2, 3]");
    refuse("const t f32 [1,2,3] 1 0 0 0 1 0\nconst s i64 [2] 1 1\ny = AffineGrid t s\nout y",
           "AffineGrid): size has 2 entries, wanted 4 or 5");
    refuse("const x f32 [2] 1 2\nconst s i64 [2] 1 1\ny = CenterCropPad x s\nout y",
           "CenterCropPad): 2 lengths for 1 axes");
    refuse("const x f32 [2] 1 2\nconst s i64 [1] -1\ny = CenterCropPad x s\nout y",
           "CenterCropPad): length 0 is -1");
}

/* --- recurrent networks --- */

/* Two steps, one row, size 1: h = x w + h r */
#define NET   "const x f32 [2,1,1] 1 2\nconst w f32 [1,1,1] 3\nconst r f32 [1,1,1] 10\n"
#define GATES "const x f32 [2,1,1] 1 2\nconst w f32 [1,4,1] 1 1 1 1\nconst r f32 [1,4,1] 0 0 0 0\n"
#define THREE                                                                       \
    "const x f32 [1,1,1] 1\nconst w f32 [1,3,1] 0 1 2\nconst r f32 [1,3,1] 0 0 3\n" \
    "const h f32 [1,1,1] 4\nconst b f32 [1,6] 0 0 0 0 0 5\n"

static void test_recurrent(void **state) {
    (void)state;
    VALUES(NET "y = RNN x w r {activations=[Relu]}\nout y", "f32[2, 1, 1, 1]", 3, 36);
    VALUES(NET "y = RNN x w r {activations=[relu] direction=reverse}\nout y", "f32[2, 1, 1, 1]", 63,
           6);
    VALUES(NET "const l i32 [1] 1\n- y = RNN x w r - l {activations=[Affine] "
               "activation_alpha=[2.0] activation_beta=[1.0]}\nout y",
           "f32[1, 1, 1]", 7);
    VALUES(GATES "y = LSTM x w r\nout y", "f32[2, 1, 1, 1]", 0.369604, 0.767664);
    VALUES(GATES "y = LSTM x w r {input_forget=1 activations=[Relu,Relu,Relu] clip=1.0}\nout y",
           "f32[2, 1, 1, 1]", 1, 1);
    VALUES(THREE "y = GRU x w r b - h {activations=[Relu,Relu]}\nout y", "f32[1, 1, 1, 1]", 19);
    VALUES(THREE "y = GRU x w r b - h {activations=[Relu,Relu] linear_before_reset=1}\nout y",
           "f32[1, 1, 1, 1]", 19);
}

static void test_recurrent_errors(void **state) {
    (void)state;
    refuse(NET "y = RNN x w r {hidden_size=2}\nout y",
           "RNN): hidden_size and the recurrent weights differ, 2 and 1");
    refuse(NET "y = RNN x w r {direction=sideways}\nout y",
           "RNN): attribute 'direction' is 'sideways', not one of forward, reverse, bidirectional");
    refuse(NET "y = RNN x w r {direction=bidirectional}\nout y",
           "RNN): the weights differ, 1 and 2");
    refuse(NET "y = RNN x w r {activations=[Swish]}\nout y", "RNN): activation 'Swish' is unknown");
    refuse(NET "y = RNN x w r {activations=[Tanh,Tanh]}\nout y", "RNN): 2 activations, wanted 1");
    refuse(NET "y = RNN x w r {clip=-1.0}\nout y", "RNN): attribute 'clip' is -1");
    refuse(NET "y = LSTM x w r\nout y", "LSTM): the weights differ, 1 and 4");
    refuse(NET "const l i32 [2] 1 1\ny = RNN x w r - l\nout y",
           "RNN): lengths and batch differ, 2 and 1");
    refuse(NET "const l f32 [1] 1\ny = RNN x w r - l\nout y",
           "RNN): operand 2 has type f32, not i32 or i64");
    refuse(NET "const b f32 [1,3] 1 1 1\ny = RNN x w r b\nout y", "RNN): the bias differ, 3 and 2");
    refuse("const x i32 [1,1,1] 1\nconst w f32 [1,1,1] 3\ny = RNN x w w\nout y",
           "RNN): the input is i32[1, 1, 1], wanted floats with 3 axes");
}

/* --- signals --- */

static void test_signals(void **state) {
    (void)state;
    VALUES("const x f32 [1,4,1] 1 2 3 4\ny = DFT x\nout y", "f32[1, 4, 2]", 10, 0, -2, 2, -2, 0, -2,
           -2);
    VALUES("const x f32 [1,4,1] 1 2 3 4\nconst n i64 [] 3\nconst a i64 [] 1\n"
           "y = DFT x n a {onesided=1}\nout y",
           "f32[1, 2, 2]", 6, 0, -1.5, 0.8660254);
    VALUES("const x f32 [3,2] 10 0 -2 2 -2 0\ny = DFT x {inverse=1 onesided=1}\nout y", "f32[4, 1]",
           1, 2, 3, 4);
    VALUES("opset 17\nconst x f32 [1,2,2] 3 1 -1 1\ny = DFT x {inverse=1}\nout y", "f32[1, 2, 2]",
           1, 1, 2, 0);
    VALUES("const x f32 [1,5,1] 1 2 3 4 5\nconst s i64 [] 2\nconst w f32 [3] 1 1 0\n"
           "y = STFT x s w\nout y",
           "f32[1, 2, 2, 2]", 3, 0, 0, -1.7320508, 7, 0, 1, -3.4641016);
    VALUES("const n i64 [] 4\ny = HannWindow n\nout y", "f32[4]", 0, 0.5, 1, 0.5);
    VALUES("const n i32 [] 3\ny = HannWindow n {periodic=0 output_datatype=11}\nout y", "f64[3]", 0,
           1, 0);
    VALUES("const n i64 [] 2\ny = HammingWindow n\nout y", "f32[2]", 0.0869565, 1);
    VALUES("const n i64 [] 2\ny = BlackmanWindow n\nout y", "f32[2]", 0, 1);
    VALUES("const b i64 [] 1\nconst d i64 [] 4\nconst r i64 [] 16\nconst l f32 [] 0\n"
           "const h f32 [] 8\ny = MelWeightMatrix b d r l h\nout y",
           "f32[3, 1]", 1, 0, 0);
    VALUES("const x f32 [2,2] 1 2 3 4\ny = Det x\nout y", "f32[]", -2);
}

#define SIGNAL "const x f32 [1,4,2] 1 2 3 4 5 6 7 8\n"

static void test_signal_errors(void **state) {
    (void)state;
    refuse(SIGNAL "y = DFT x {onesided=1}\nout y",
           "DFT): a onesided transform is of real numbers, but the signal is f32[1, 4, 2]");
    refuse(SIGNAL "const a i64 [] -1\ny = DFT x - a\nout y",
           "DFT): axis -1 is that of real and imaginary parts");
    refuse(SIGNAL "const n i64 [] 0\ny = DFT x n\nout y", "DFT): a transform of length 0");
    refuse(SIGNAL "const n i64 [] 1099511627776\ny = DFT x n\nout y",
           "DFT): a transform of length 1099511627776");
    refuse("const x f32 [1,4,3] 1 1 1 1 1 1 1 1 1 1 1 1\ny = DFT x\nout y",
           "DFT): a transform along axis 1 of f32[1, 4, 3]; the last axis is 1 or 2");
    refuse(SIGNAL "const s i64 [] 0\nconst w f32 [2] 1 1\ny = STFT x s w\nout y",
           "STFT): a frame_step of 0");
    refuse(SIGNAL "const s i64 [] 1\ny = STFT x s\nout y",
           "STFT): neither window nor frame_length is given");
    refuse(SIGNAL "const s i64 [] 1\nconst w f32 [5] 1 1 1 1 1\ny = STFT x s w\nout y",
           "STFT): frames of length 5 in f32[1, 4, 2]");
    refuse("const n i64 [] -1\ny = HannWindow n\nout y", "HannWindow): size 0 is -1");
    refuse("const b i64 [] 0\nconst d i64 [] 4\nconst l f32 [] 0\ny = MelWeightMatrix b d d l l\n"
           "out y",
           "MelWeightMatrix): 0 bands of a transform of length 4 at 4 samples");
    refuse("const x f32 [1,2] 1 2\ny = Det x\nout y", "Det): rows and columns differ, 1 and 2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize),    cmocka_unit_test(test_resize_errors),
        cmocka_unit_test(test_samples),   cmocka_unit_test(test_sample_errors),
        cmocka_unit_test(test_recurrent), cmocka_unit_test(test_recurrent_errors),
        cmocka_unit_test(test_signals),   cmocka_unit_test(test_signal_errors),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
