/* Reference kernels that compute, on cases worked out by hand, special values included; graphs of
 * them with symbols, defaults and bad indices. */
#include "tests/unit/ir/ref_cases.h"

static void test_arithmetic(void **state) {
    (void)state;
    static const Case cases[] = {
        {"x: f32[2] = {1, 2}; y: f32[] = {0.5}", "f32[2] = add %x, %y", "{1.5, 2.5}"},
        {"x: f32[2,1] = {1, 2}; y: f32[2] = {10, 20}", "f32[2, 2] = mul %x, %y",
         "{10, 20, 20, 40}"},
        {"x: f32[1] = {0.1}; y: f32[1] = {0.2}", "f32[1] = add %x, %y", "{0.3}"},
        {"x: f64[1] = {0.1}; y: f64[1] = {0.2}", "f64[1] = add %x, %y", "{0.30000000000000004}"},
        {"x: f16[1] = {2048}; y: f16[1] = {1}", "f16[1] = add %x, %y", "{2048}"},
        {"x: bf16[1] = {1}; y: bf16[1] = {0.001}", "bf16[1] = add %x, %y", "{1}"},
        {"x: i32[1] = {2147483647}; y: i32[1] = {1}", "i32[1] = add %x, %y", "{-2147483648}"},
        {"x: i8[1] = {-128}", "i8[1] = neg %x", "{-128}"},
        {"x: u8[1] = {1}; y: u8[1] = {2}", "u8[1] = sub %x, %y", "{255}"},
        {"x: i64[4] = {7, -7, 7, 7}; y: i64[4] = {2, 2, -2, 0}", "i64[4] = div %x, %y",
         "{3, -3, -3, 0}"},
        {"x: i64[4] = {7, -7, 7, 7}; y: i64[4] = {3, 3, -3, 0}", "i64[4] = mod %x, %y",
         "{1, 2, -2, 0}"},
        {"x: i64[2] = {7, -7}; y: i64[2] = {3, 3}", "i64[2] = fmod %x, %y", "{1, -1}"},
        {"x: i64[1] = {-9223372036854775808}; y: i64[1] = {-1}", "i64[1] = div %x, %y",
         "{-9223372036854775808}"},
        {"x: u64[1] = {18446744073709551615}; y: u64[1] = {2}", "u64[1] = div %x, %y",
         "{9223372036854775807}"},
        {"x: f32[3] = {5.5, -5.5, 1}; y: f32[3] = {3, 3, 0}", "f32[3] = mod %x, %y",
         "{2.5, 0.5, nan}"},
        {"x: f32[2] = {2, 9}; y: f32[2] = {10, 0.5}", "f32[2] = pow %x, %y", "{1024, 3}"},
        {"x: i32[3] = {3, 2, -1}; y: i32[3] = {4, -1, -3}", "i32[3] = pow %x, %y", "{81, 0, -1}"},
        {"x: f32[3] = {1, nan, 2}; y: f32[3] = {nan, 1, 1}", "f32[3] = max %x, %y",
         "{nan, nan, 2}"},
        {"x: f32[3] = {1, nan, 2}; y: f32[3] = {nan, 1, 1}", "f32[3] = min %x, %y",
         "{nan, nan, 1}"},
        {"x: f32[1] = {1}; y: f32[1] = {0}", "f32[1] = div %x, %y", "{inf}"},
    };
    CHECK(cases);
}

static void test_functions(void **state) {
    (void)state;
    static const Case cases[] = {
        {"x: f32[3] = {0, 1, -inf}", "f32[3] = exp %x", "{1, 2.71828175, 0}"},
        {"x: f32[3] = {1, 0, -1}", "f32[3] = log %x", "{0, -inf, nan}"},
        {"x: f32[4] = {0.5, 1.5, -0.5, 2.5}", "f32[4] = round %x", "{0, 2, -0, 2}"},
        {"x: f32[2] = {-1.5, 1.5}", "f32[2] = floor %x", "{-2, 1}"},
        {"x: f32[2] = {-1.5, 1.5}", "f32[2] = ceil %x", "{-1, 2}"},
        {"x: f32[4] = {-2, 0, 3, nan}", "f32[4] = sign %x", "{-1, 0, 1, nan}"},
        {"x: f32[3] = {-2, 3, nan}", "f32[3] = relu %x", "{0, 3, nan}"},
        {"x: i32[2] = {-2, 3}", "i32[2] = relu %x", "{0, 3}"},
        {"x: f32[2] = {4, -1}", "f32[2] = sqrt %x", "{2, nan}"},
        {"x: f32[2] = {4, 0}", "f32[2] = reciprocal %x", "{0.25, inf}"},
        {"x: f32[3] = {0, 1, 100}", "f32[3] = sigmoid %x", "{0.5, 0.731058598, 1}"},
        {"x: f32[2] = {1, -1}", "f32[2] = gelu %x", "{0.841344774, -0.158655256}"},
        {"x: f32[2] = {1, -1}", "f32[2] = gelu_tanh %x", "{0.841192, -0.158808008}"},
        {"x: f32[1] = {1}", "f32[1] = gelu_quick %x", "{0.845795751}"},
        {"x: f32[1] = {1}", "f32[1] = silu %x", "{0.731058598}"},
        {"x: f32[1] = {1}", "f32[1] = erf %x", "{0.842700779}"},
        {"x: f32[1] = {1}", "f32[1] = tanh %x", "{0.761594176}"},
        {"x: f32[1] = {0}", "f32[1] = cos %x", "{1}"},
        {"x: f32[1] = {1}", "f32[1] = tan %x", "{1.55740774}"},
        {"x: f32[2] = {1, 2}", "f32[2] = asin %x", "{1.57079637, nan}"},
        {"x: f32[2] = {0, -2}", "f32[2] = acos %x", "{1.57079637, nan}"},
        {"x: f32[1] = {inf}", "f32[1] = atan %x", "{1.57079637}"},
        {"x: f32[1] = {1}", "f32[1] = sinh %x", "{1.17520118}"},
        {"x: f32[1] = {1}", "f32[1] = cosh %x", "{1.54308069}"},
        {"x: f32[1] = {1}", "f32[1] = asinh %x", "{0.881373584}"},
        {"x: f32[2] = {2, 0}", "f32[2] = acosh %x", "{1.31695795, nan}"},
        {"x: f32[2] = {1, 2}", "f32[2] = atanh %x", "{inf, nan}"},
        {"x: i64[2] = {-5, 5}", "i64[2] = abs %x", "{5, 5}"},
    };
    CHECK(cases);
}

static void test_logic_and_casts(void **state) {
    (void)state;
    static const Case cases[] = {
        {"x: f32[3] = {1, 2, nan}; y: f32[3] = {1, 3, nan}", "bool[3] = eq %x, %y", "{1, 0, 0}"},
        {"x: f32[3] = {1, 2, nan}; y: f32[3] = {1, 3, nan}", "bool[3] = le %x, %y", "{1, 1, 0}"},
        {"x: i32[2] = {1, 2}; y: i32[2] = {1, 3}", "bool[2] = lt %x, %y", "{0, 1}"},
        {"x: u64[1] = {18446744073709551615}; y: u64[1] = {1}", "bool[1] = lt %x, %y", "{0}"},
        {"x: bool[4] = {0, 0, 1, 1}; y: bool[4] = {0, 1, 0, 1}", "bool[4] = xor %x, %y",
         "{0, 1, 1, 0}"},
        {"x: bool[4] = {0, 0, 1, 1}; y: bool[4] = {0, 1, 0, 1}", "bool[4] = and %x, %y",
         "{0, 0, 0, 1}"},
        {"x: bool[2] = {0, 1}", "bool[2] = not %x", "{1, 0}"},
        {"x: u8[2] = {12, 255}; y: u8[2] = {10, 1}", "u8[2] = bit_and %x, %y", "{8, 1}"},
        {"x: i8[2] = {12, -1}; y: i8[2] = {10, 1}", "i8[2] = bit_or %x, %y", "{14, -1}"},
        {"x: i8[2] = {12, -1}; y: i8[2] = {10, 1}", "i8[2] = bit_xor %x, %y", "{6, -2}"},
        {"x: u8[2] = {0, 5}", "u8[2] = bit_not %x", "{255, 250}"},
        {"x: u8[4] = {3, 3, 3, 3}; y: u8[4] = {1, 7, 8, 200}", "u8[4] = shift_left %x, %y",
         "{6, 128, 0, 0}"},
        {"x: i8[4] = {-7, -7, 7, -7}; y: i8[4] = {1, 9, 100, -1}", "i8[4] = shift_right %x, %y",
         "{-4, -1, 0, -1}"},
        {"x: u64[2] = {18446744073709551615, 7}; y: u64[2] = {60, 64}",
         "u64[2] = shift_right %x, %y", "{15, 0}"},
        {"x: f32[2] = {1, -0}", "u32[2] = bitcast %x {to=u32}", "{1065353216, 2147483648}"},
        {"c: bool[2] = {1, 0}; x: f32[2] = {1, 2}; y: f32[] = {-inf}", "f32[2] = where %c, %x, %y",
         "{1, -inf}"},
        {"x: f32[6] = {1.9, -1.9, nan, inf, -inf, 300}", "i8[6] = cast %x {to=i8}",
         "{1, -1, 0, 127, -128, 127}"},
        {"x: f32[3] = {-1, 1e20, 3.7}", "u64[3] = cast %x {to=u64}",
         "{0, 18446744073709551615, 3}"},
        {"x: f32[2] = {1e19, -1e19}", "i64[2] = cast %x {to=i64}",
         "{9223372036854775807, -9223372036854775808}"},
        {"x: i32[2] = {300, -1}", "u8[2] = cast %x {to=u8}", "{44, 255}"},
        {"x: f32[3] = {0, 0.5, nan}", "bool[3] = cast %x {to=bool}", "{0, 1, 1}"},
        {"x: bool[2] = {0, 1}", "f32[2] = cast %x {to=f32}", "{0, 1}"},
        {"x: i64[1] = {16777217}", "f32[1] = cast %x {to=f32}", "{16777216}"},
        {"x: f32[2] = {65520, 1.0009}", "f16[2] = cast %x {to=f16}", "{inf, 1.00098}"},
    };
    CHECK(cases);
}

static void test_reductions(void **state) {
    (void)state;
    static const Case cases[] = {
        {"x: f32[2,2] = {1,2,3,4}", "f32[2, 1] = reduce_sum %x {axes=[1]}", "{3, 7}"},
        {"x: f32[2,2] = {1,2,3,4}", "f32[] = reduce_mean %x {axes=[0, 1], keep=0}", "{2.5}"},
        {"x: f32[3] = {1,nan,3}", "f32[1] = reduce_max %x {axes=[0]}", "{nan}"},
        {"x: f32[0] = {}", "f32[1] = reduce_max %x {axes=[0]}", "{-inf}"},
        {"x: i32[2] = {-4,3}", "i32[1] = reduce_min %x {axes=[0]}", "{-4}"},
        {"x: i64[3] = {2,3,4}", "i64[1] = reduce_prod %x {axes=[0]}", "{24}"},
        {"x: f32[2,3] = {1,2,3,4,5,6}", "f32[3] = reduce_sum %x {axes=[0], keep=0}", "{5, 7, 9}"},
        {"x: i32[4] = {1,2,3,4}", "i32[4] = cumsum %x {axis=0}", "{1, 3, 6, 10}"},
        {"x: i32[4] = {1,2,3,4}", "i32[4] = cumsum %x {axis=0, exclusive=1}", "{0, 1, 3, 6}"},
        {"x: i32[4] = {1,2,3,4}", "i32[4] = cumsum %x {axis=0, reverse=1}", "{10, 9, 7, 4}"},
        {"x: i32[2,2] = {1,2,3,4}", "i32[2, 2] = cumsum %x {axis=0}", "{1, 2, 4, 6}"},
    };
    CHECK(cases);
}

static void test_products(void **state) {
    (void)state;
    static const Case cases[] = {
        {"a: f32[2,2] = {1,2,3,4}; b: f32[2,2] = {5,6,7,8}", "f32[2, 2] = matmul %a, %b",
         "{19, 22, 43, 50}"},
        {"a: f32[2,2] = {1,2,3,4}; b: f32[2,2] = {5,6,7,8}", "f32[2, 2] = matmul %a, %b {tb=1}",
         "{17, 23, 39, 53}"},
        {"a: f32[2,2] = {1,2,3,4}; b: f32[2,2] = {5,6,7,8}", "f32[2, 2] = matmul %a, %b {ta=1}",
         "{26, 30, 38, 44}"},
        {"a: i32[2,1,1] = {2,3}; b: i32[1,2] = {5,7}", "i32[2, 1, 2] = matmul %a, %b",
         "{10, 14, 15, 21}"},
        {"a: f32[2,0] = {}; b: f32[0,1] = {}", "f32[2, 1] = matmul %a, %b", "{0, 0}"},
        {"a: u8[2,1,2] = {255,1,2,3}; b: i8[2,1] = {-128,2}", "i32[2, 1, 1] = matmul_int %a, %b",
         "{-32638, -250}"},
        {"a: u8[1,2] = {255,1}; b: i8[2,2] = {1,2,3,4}; z: u8[] = {1}; w: i8[2] = {1,-1}",
         "i32[1, 2] = matmul_int %a, %b, %z, %w", "{0, 762}"},
        {"x: f32[1,1,4] = {1,2,3,4}; w: f32[1,1,2] = {1,10}; b: f32[1] = {0.5}",
         "f32[1, 1, 3] = conv %x, %w, %b {strides=[2], pads=[1, 1], dilations=[1]}",
         "{10.5, 32.5, 4.5}"},
        {"x: f32[1,2,2] = {1,2,3,4}; w: f32[2,1,1] = {10,100}",
         "f32[1, 2, 2] = conv %x, %w {strides=[1], pads=[0, 0], dilations=[1], groups=2}",
         "{10, 20, 300, 400}"},
        {"x: f32[1,2] = {1,-2}; w: f32[2,2] = {1,2,3,4}; b: f32[2] = {0,10}; r: f32[1,2] = {1,1}",
         "f32[1, 2] = linear %x, %w, %b, %r {act=relu}", "{1, 5}"},
        {"x: f32[1,2] = {1,-2}; w: f32[2,2] = {1,2,3,4}; b: f32[2] = {0,10}; r: f32[1,2] = {1,1}",
         "f32[1, 2] = linear %x, %w, %b, %r {act=relu, residual_first=1}", "{0, 5}"},
        {"x: f32[1,2] = {1,2}; w: f32[1,2] = {1,10}", "f32[1, 1] = linear %x, %w {tb=1}", "{21}"},
        {"x: f32[1,1,2] = {1,2}; w: f32[1,1,1] = {-1}; b: f32[1] = {0.5}; r: f32[1,1,2] = {5,1}",
         "f32[1, 1, 2] = conv %x, %w, %b, %r {strides=[1], pads=[0, 0], dilations=[1], act=relu}",
         "{5, 1}"},
        {"x: f32[1,1,2] = {1,2}; w: f32[1,1,1] = {-1}; b: f32[1] = {0.5}; r: f32[1,1,2] = {5,1}",
         "f32[1, 1, 2] = conv %x, %w, %b, %r {strides=[1], pads=[0, 0], dilations=[1], act=relu, "
         "residual_first=1}",
         "{4.5, 0}"},
        {"x: f32[1,1] = {2}; w: f32[1,3] = {1,2,3}; b: f32[3] = {0,0,1}",
         "f32[1, 2], f32[1, 1] = qkv %x, %w, %b {parts=1, widths=[2, 1]}", "{2, 4} {7}"},
        {"x: f32[1,1] = {2}; w: f32[1,1] = {1}; v: f32[1,2] = {3,4}; b: f32[2] = {1,1}",
         "f32[1, 1], f32[1, 2] = qkv %x, %w, %v, _, %b {parts=2, widths=[1, 2]}", "{2} {7, 9}"},
    };
    CHECK(cases);
}

static void test_norms(void **state) {
    (void)state;
    static const Case cases[] = {
        {"x: f32[2,2] = {0,0,1000,1000}", "f32[2, 2] = softmax %x", "{0.5, 0.5, 0.5, 0.5}"},
        {"x: f32[2,1] = {0,-inf}", "f32[2, 1] = softmax %x {axis=0}", "{1, 0}"},
        {"x: f32[2] = {-inf,-inf}", "f32[2] = softmax %x", "{nan, nan}"},
        {"x: f32[2] = {0,0}", "f32[2] = log_softmax %x", "{-0.693147182, -0.693147182}"},
        {"x: f32[2] = {1,3}; g: f32[2] = {1,2}; b: f32[2] = {0,10}",
         "f32[2] = layer_norm %x, %g, %b {eps=0}", "{-1, 12}"},
        {"x: f32[2] = {5,5}", "f32[2] = layer_norm %x", "{0, 0}"},
        {"x: f32[2] = {3,4}; g: f32[2] = {1,2}", "f32[2] = rms_norm %x, %g {eps=0}",
         "{0.848528147, 2.2627418}"},
        {"x: f32[2] = {1,2}; r: f32[2] = {0,1}; g: f32[2] = {1,1}; b: f32[2] = {0,0}",
         "f32[2], f32[2] = add_norm %x, %r, %g, %b {eps=0}", "{-1, 1} {1, 3}"},
        {"x: f32[2] = {3,2}; r: f32[2] = {0,2}", "f32[2], f32[2] = add_norm %x, %r {eps=0, rms=1}",
         "{0.848528147, 1.1313709} {3, 4}"},
    };
    CHECK(cases);
}

static void test_rotary(void **state) {
    (void)state;
    static const Case cases[] = {
        /* a quarter turn of the first pair; what is behind the width stays */
        {"x: f32[1,5] = {1,2,3,4,5}; c: f32[1,2] = {0,1}; s: f32[1,2] = {1,0}",
         "f32[1, 5] = rotary %x, %c, %s {width=4}", "{-3, 2, 1, 4, 5}"},
        {"x: f32[1,5] = {1,2,3,4,5}; c: f32[2] = {0,1}; s: f32[2] = {1,0}",
         "f32[1, 5] = rotary %x, %c, %s {width=4, interleaved=1}", "{-2, 1, 3, 4, 5}"},
        /* a column per element */
        {"x: f32[4] = {1,2,3,4}; c: f32[4] = {1,2,3,4}; s: f32[2] = {0,0}",
         "f32[4] = rotary %x, %c, %s {width=4}", "{1, 4, 9, 16}"},
        /* a row per position, for both heads */
        {"x: f32[2,2,2] = {1,2,3,4,5,6,7,8}; c: f32[2,1] = {1,0}; s: f32[2,1] = {0,1}",
         "f32[2, 2, 2] = rotary %x, %c, %s {width=2}", "{1, 2, -4, 3, 5, 6, -8, 7}"},
        {"x: f16[2] = {1,2}; c: f16[1] = {0}; s: f16[1] = {1}",
         "f16[2] = rotary %x, %c, %s {width=2}", "{-2, 1}"},
    };
    CHECK(cases);
}

/* With q = 0 all scores are equal, so the result is the mean of the values that are seen. */
#define QKV3 "q: f32[1,3,1,1] = {0,0,0}; k: f32[1,3,1,1] = {1,1,1}; v: f32[1,3,1,1] = {1,2,6}"

static void test_attention(void **state) {
    (void)state;
    static const Case cases[] = {
        {QKV3, "f32[1, 3, 1, 1] = attention %q, %k, %v", "{3, 3, 3}"},
        {QKV3, "f32[1, 3, 1, 1] = attention %q, %k, %v {causal=1}", "{1, 1.5, 3}"},
        {QKV3, "f32[1, 3, 1, 1] = attention %q, %k, %v {causal=1, offset=1}", "{1.5, 3, 3}"},
        {QKV3, "f32[1, 3, 1, 1] = attention %q, %k, %v {left=0, right=1}", "{1.5, 4, 6}"},
        {QKV3 "; m: bool[1,3] = {1,0,1}", "f32[1, 3, 1, 1] = attention %q, %k, %v, %m",
         "{3.5, 3.5, 3.5}"},
        /* nothing to see: the mean over all keys, or the plain softmax if the value is small */
        {QKV3 "; m: bool[1,3] = {0,0,0}", "f32[1, 3, 1, 1] = attention %q, %k, %v, %m {causal=1}",
         "{3, 3, 3}"},
        {QKV3 "; m: bool[1,3] = {1,0,1}", "f32[1, 3, 1, 1] = attention %q, %k, %v, _, %m",
         "{3, 3, 3}"},
        {QKV3 "; m: bool[1,3] = {0,0,0}",
         "f32[1, 3, 1, 1] = attention %q, %k, %v, %m {mask_value=-inf}", "{nan, nan, nan}"},
        {QKV3 "; b: f32[1,1,1,3] = {0,-inf,0}", "f32[1, 3, 1, 1] = attention %q, %k, %v, _, _, %b",
         "{3.5, 3.5, 3.5}"},
        /* scale q k = ln 2 against 0 */
        {"q: f32[1,1,1,2] = {1,0}; k: f32[1,2,1,2] = {1,5,0,7}; v: f32[1,2,1,1] = {3,9}",
         "f32[1, 1, 1, 1] = attention %q, %k, %v {scale=0.69314718055994529}", "{5}"},
        /* two query heads on one key head */
        {"q: f32[1,1,2,1] = {0,0}; k: f32[1,2,1,1] = {1,1}; v: f32[1,2,1,1] = {2,4}",
         "f32[1, 1, 2, 1] = attention %q, %k, %v", "{3, 3}"},
        /* softcap 1 of a score of 100 is 1, of -100 is -1 */
        {"q: f32[1,1,1,1] = {100}; k: f32[1,2,1,1] = {1,-1}; v: f32[1,2,1,1] = {1,0}",
         "f32[1, 1, 1, 1] = attention %q, %k, %v {softcap=1}", "{0.880797088}"},
        {QKV3 "; m: bool[1,3] = {1,0,1}",
         "f32[1, 3, 1, 1] = attention %q, %k, %v, %m {mode=select, mask_value=0}", "{3, 3, 3}"},
        /* a band: what is outside does not count even if all inside is masked */
        {QKV3 "; m: bool[1,3] = {0,0,1}",
         "f32[1, 3, 1, 1] = attention %q, %k, %v, %m {left=0, right=1, band=1}", "{1.5, 6, 6}"},
        {QKV3, "f32[1, 3, 1, 1] = attention %q, %k, %v {left=0, right=0, band=1, sinks=1}",
         "{1, 1.5, 3.5}"},
        {QKV3, "f32[1, 3, 1, 1] = attention %q, %k, %v {left=0, right=0, offset=3, band=1}",
         "{nan, nan, nan}"},
        /* packed: entries of no key, of one and of two */
        {QKV3 "; s: i64[4] = {0,0,1,3}",
         "f32[1, 3, 1, 1] = attention %q, %k, %v, _, _, _, _, %s {longest=2, packed=1}",
         "{1, 4, 4}"},
        {QKV3 "; s: i64[3] = {0,1,3}; m: bool[1,3] = {1,0,1}",
         "f32[1, 3, 1, 1] = attention %q, %k, %v, %m, %m, _, _, %s {longest=2, packed=1}",
         "{1, 4, 6}"},
        {QKV3 "; s: i64[3] = {0,1,3}; b: f32[2,1,2,2] = {0,0,0,0,0,-inf,-inf,0}",
         "f32[1, 3, 1, 1] = attention %q, %k, %v, _, _, %b, _, %s {longest=2, packed=1}",
         "{1, 2, 6}"},
        {"q: f32[2,1,1,1] = {0,0}; k: f32[1,3,1,1] = {1,1,1}; v: f32[1,3,1,1] = {1,2,6}; s: i64[3] "
         "= {0,1,3}",
         "f32[2, 1, 1, 1] = attention %q, %k, %v, _, _, _, _, %s {longest=3}", "{1, 4}"},
    };
    CHECK(cases);
}

static void test_map(void **state) {
    (void)state;
    static const Case cases[] = {
        {"x: f32[2] = {1,2}; y: f32[] = {3}",
         "f32[2] = map %x, %y {dtype=f32, body=(t2 = mul x0 x1; t3: f32 = splat 0.5; t4 = add t2 "
         "t3)}",
         "{3.5, 6.5}"},
        {"x: f32[2] = {1,2}; i: i64[2] = {1,5}",
         "f32[2] = map %x, %i {dtype=f32, body=(t2: i64 = splat 2; t3 = lt x1 t2; t4: f32 = cast "
         "x1; t5 = where t3 x0 t4)}",
         "{1, 5}"},
        /* registers are rounded to their type */
        {"x: f32[1] = {16777216}",
         "f32[1] = map %x {dtype=f32, body=(t1: f32 = splat 1; t2 = add x0 t1; t3 = sub t2 x0)}",
         "{0}"},
    };
    CHECK(cases);
}

/* --- graphs: symbols, defaults, the contract --- */

static const char *const two_inputs =
    "module {\n"
    "  graph main(%x: f32[n, m + 1], %y: f32[n] = ones) require n <= 3, m >= 1 {\n"
    "    %0: f32[n, 1] = view %y {dims=[n, 1]}\n"
    "    %1: f32[n, m + 1] = add %x, %0\n"
    "    return %1 as \"z\"\n"
    "  }\n"
    "}\n";

typedef struct Seen {
    int count;
    int64_t last;
} Seen;

static void watch(void *user, const Value *v, const Tensor *t) {
    Seen *s = user;
    assert_int_equal(v->type.dtype, t->dtype);
    s->count++;
    s->last = tensor_count(t);
}

/* NULL if it ran, else the message. */
static const char *eval_with(Cx *cx, int64_t n, int64_t m, float *z) {
    static float data[64];
    jmp_buf failed;
    cx_init(cx, tn_default_alloc());
    cx->on_fail = &failed;
    if (setjmp(failed)) return cx->message;
    Graph *g = ir_parse(cx, two_inputs, NULL)->graphs;
    Tensor x = {.dtype = TN_F32, .rank = 2, .dims = {n, m}, .data = data};
    Tensor y;
    Seen seen = {0};
    x.bytes = (size_t)(n * m) * 4;
    ir_eval(g, (const Tensor *[]){&x, NULL}, &y, &cx->arena, watch, &seen);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.last, n * m);
    *z = ((float *)y.data)[n * m - 1];
    return NULL;
}

static void test_graph(void **state) {
    (void)state;
    Cx cx;
    float z = 0;
    assert_null(eval_with(&cx, 3, 5, &z));
    assert_true(z == 1);
    cx_free(&cx);
    assert_string_equal(eval_with(&cx, 4, 5, &z), "n is 4, but must be at most 3");
    cx_free(&cx);
    assert_string_equal(eval_with(&cx, 2, 1, &z), "m is 0, but must be at least 1");
    cx_free(&cx);
}

/* Only data tells that the index is bad. */
static void test_bad_index(void **state) {
    (void)state;
    static const char *const text = "module {\n"
                                    "  graph main(%x: f32[3], %i: i64[n]) {\n"
                                    "    %0: f32[n] = gather %x, %i // /embed/Gather\n"
                                    "    return %0 as \"y\"\n"
                                    "  }\n"
                                    "}\n";
    Cx cx;
    jmp_buf failed;
    cx_init(&cx, tn_default_alloc());
    cx.on_fail = &failed;
    float data[3] = {1, 2, 3};
    int64_t index[2] = {-3, 3};
    Tensor x = {.dtype = TN_F32, .rank = 1, .dims = {3}, .data = data, .bytes = sizeof data};
    Tensor i = {.dtype = TN_I64, .rank = 1, .dims = {2}, .data = index, .bytes = sizeof index}, y;
    if (setjmp(failed) == 0) {
        ir_eval(ir_parse(&cx, text, NULL)->graphs, (const Tensor *[]){&x, &i}, &y, &cx.arena, NULL,
                NULL);
        fail();
    }
    assert_int_equal(cx.code, TN_E_RANGE);
    assert_string_equal(cx.message,
                        "node '/embed/Gather' (gather): index 3 of an axis of length 3");
    cx_free(&cx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_logic_and_casts),
        cmocka_unit_test(test_reductions),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_norms),
        cmocka_unit_test(test_rotary),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_graph),
        cmocka_unit_test(test_bad_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
