/* The text form: every operator and every kind of thing prints and parses back; bad text is refused
 * with its place. */
#include <float.h>
#include <math.h>
#include "ir/print.h"
#include "tests/support/expect_fail.h"
#include "tests/unit/ir/fixture.h"

/* One node of every operator but those of `more`, in the order of ops.def where their operands
 * allow. */
static const char every_operator[] =
    "module {\n"
    "  meta \"producer\" = \"a test\"\n"
    "  const %c: bool[] = {1}\n"
    "  const %i: i64[2] = {0, 1}\n"
    "  const %w: f32[4, 4] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}\n"
    "  const %index: i64[2, 1] = {0, 1}\n"
    "  const %kernel: f32[1, 1, 1] = {1}\n"
    "  const %b: f32[4] = {0, 0.1, -inf, nan}\n"
    "  const %c0: f32[2, 2] = {0, 1, 2, 3}\n"
    "  graph main(%x: f32[n, 4], %q: f32[b, s, 2, 4], %n: i64[n], %m: bool[b, s] = ones, "
    "%bias: f32[1, 2, s, s] = zeros) measured k.0, k.1 require b >= 1, n >= 1, s <= 512 {\n"
    "    %0: bool[] = not %c\n"
    "    %1: f32[n, 4] = where %c, %x, %x\n"
    "    %2: bool[n, 4] = eq %x, %x\n"
    "    %3: bool[n, 4] = lt %x, %x\n"
    "    %4: bool[n, 4] = le %x, %x\n"
    "    %5: bool[n, 4] = and %2, %3\n"
    "    %6: bool[n, 4] = or %2, %3\n"
    "    %7: bool[n, 4] = xor %2, %3\n"
    "    %8: f32[n, 4] = add %x, %x\n"
    "    %9: f32[n, 4] = sub %x, %x\n"
    "    %10: f32[n, 4] = mul %x, %x\n"
    "    %11: f32[n, 4] = div %x, %x\n"
    "    %12: f32[n, 4] = mod %x, %x\n"
    "    %13: f32[n, 4] = fmod %x, %x\n"
    "    %14: f32[n, 4] = pow %x, %x\n"
    "    %15: f32[n, 4] = min %x, %x\n"
    "    %16: f32[n, 4] = max %x, %x\n"
    "    %17: f32[n, 4] = neg %x\n"
    "    %18: f32[n, 4] = abs %x\n"
    "    %19: f32[n, 4] = sqrt %x\n"
    "    %20: f32[n, 4] = reciprocal %x\n"
    "    %21: f32[n, 4] = exp %x\n"
    "    %22: f32[n, 4] = log %x\n"
    "    %23: f32[n, 4] = erf %x\n"
    "    %24: f32[n, 4] = tanh %x\n"
    "    %25: f32[n, 4] = sigmoid %x\n"
    "    %26: f32[n, 4] = sin %x\n"
    "    %27: f32[n, 4] = cos %x\n"
    "    %28: f32[n, 4] = floor %x\n"
    "    %29: f32[n, 4] = ceil %x\n"
    "    %30: f32[n, 4] = round %x\n"
    "    %31: f32[n, 4] = sign %x\n"
    "    %32: f32[n, 4] = relu %x\n"
    "    %33: f32[n, 4] = gelu %x\n"
    "    %34: f32[n, 4] = gelu_tanh %x\n"
    "    %35: f32[n, 4] = gelu_quick %x\n"
    "    %36: f32[n, 4] = silu %x\n"
    "    %37: i64[n, 4] = cast %x {to=i64}\n"
    "    %38: f32[n, 2*n + 1] = splat {dtype=f32, dims=[n, 2*n + 1], value=0.1}\n"
    "    %39: i32[n] = iota {dtype=i32, length=n, step=2}\n"
    "    %40: i64[3] = scalars {dtype=i64, values=[n, 4*n, min(n, s)]}\n"
    "    %41: f32[4*n] = view %x {dims=[4*n]}\n"
    "    %42: f32[4, n] = transpose %x {perm=[1, 0]}\n"
    "    %43: f32[3, n, 4] = expand %x {dims=[3, n, 4]}\n"
    "    %44: f32[n, 2] = slice %x {axis=1, start=3, length=2, step=-2}\n"
    "    %45: f32[n, 6] = concat %x, %44 {axis=1}\n"
    "    %46: f32[n + 3, 4] = pad %x {before=[1, 0], after=[2, 0], mode=edge} // pad + a \\ b\n"
    "    %47: f32[n, 2] = gather %x, %i {axis=1}\n"
    "    %48: f32[2, 1] = gather_elements %w, %index\n"
    "    %49: f32[2, 4] = gather_nd %w, %index\n"
    "    %50: f32[n, 1] = reduce_sum %x {axes=[1]}\n"
    "    %51: f32[n] = reduce_mean %x {axes=[1], keep=0}\n"
    "    %52: f32[1, 1] = reduce_max %x {axes=[0, 1]}\n"
    "    %53: f32[n, 1] = reduce_min %x {axes=[1]}\n"
    "    %54: f32[n, 1] = reduce_prod %x {axes=[1]}\n"
    "    %55: f32[n, 4] = cumsum %x {axis=1, reverse=1}\n"
    "    %56: f32[n, n] = matmul %x, %x {tb=1}\n"
    "    %57: f32[n, 1, 2] = view %44 {dims=[n, 1, 2]}\n"
    "    %58: f32[n, 1, 2] = conv %57, %kernel {strides=[2], pads=[1, 0], dilations=[1]}\n"
    "    %59: f32[n, 4] = softmax %x\n"
    "    %60: f32[n, 4] = log_softmax %x {axis=0}\n"
    "    %61: f32[n, 4] = layer_norm %x, %b, %b {eps=1e-12}\n"
    "    %62: f32[n, 4] = rms_norm %x\n"
    "    %63: f32[n, 4] = linear %x, %w, _, %x {act=gelu_tanh, tb=1}\n"
    "    %64: f32[n, 1], %65: f32[n, 3] = qkv %x, %w, _ {parts=1, widths=[1, 3]}\n"
    "    %66: f32[n, 4], %67: f32[n, 4] = add_norm %x, %x, %b {rms=1}\n"
    "    %68: f32[b, s, 2, 4] = attention %q, %q, %q, %m, _, %bias {scale=0.5, causal=1, "
    "offset=s - 3, mask_value=-inf, mode=select}\n"
    "    %69: f32[n, 4] = map %x, %b {dtype=f32, body=(t2: f32 = splat 0.5; t3 = mul x0 t2; "
    "t4 = lt t3 x1; t5 = where t4 x0 x1; t6: i64 = cast t5; t7: i64 = splat -3; t8 = add t6 t7; "
    "t9: f32 = cast t8)}\n"
    "    %70: f32[2, 2] = exp %c0\n"
    "    %71: i64[3] = measure %40 {symbols=[k.0, k.1, n]}\n"
    "    %72: f32[n, 4] = tan %x\n"
    "    %73: f32[n, 4] = asin %x\n"
    "    %74: f32[n, 4] = acos %x\n"
    "    %75: f32[n, 4] = atan %x\n"
    "    %76: f32[n, 4] = sinh %x\n"
    "    %77: f32[n, 4] = cosh %x\n"
    "    %78: f32[n, 4] = asinh %x\n"
    "    %79: f32[n, 4] = acosh %x\n"
    "    %80: f32[n, 4] = atanh %x\n"
    "    %81: i64[n] = bit_and %n, %n\n"
    "    %82: i64[n] = bit_or %n, %n\n"
    "    %83: i64[n] = bit_xor %n, %n\n"
    "    %84: i64[n] = shift_left %n, %n\n"
    "    %85: i64[n] = shift_right %n, %n\n"
    "    %86: i64[n] = bit_not %n\n"
    "    %87: i32[n, 4] = bitcast %x {to=i32}\n"
    "    %88: u8[n, 4] = cast %x {to=u8}\n"
    "    %89: u8[4, n] = transpose %88 {perm=[1, 0]}\n"
    "    %90: i32[n, n] = matmul_int %88, %89\n"
    "    %91: f32[n, 4] = div %x, %b {exact=1}\n"
    "    %92: f32[n, 4] = roll %x {starts=[0, 3]}\n"
    "    return %69 as \"y\", %c as \"a \\x22quoted\\x22 name\"\n"
    "  }\n"
    "}\n";

/* Families of operators with a text of their own. */
static const char *const more[] = {
    "module {\n"
    "  const %grid: f32[3] = {2, 0, 1}\n"
    "  const %grid2: f32[2] = {0, 1}\n"
    "  graph main(%x: f32[n, 4], %image: f32[b, 3, h, w], %places: f32[b, 7, 5, 2], "
    "%regions: f32[r, 4], %batch: i64[r], %p: f32[t, b, 12], %rw: f32[3, 12], %len: i32[b], %m: "
    "f32[3, n, n]) {\n"
    "    %0: f32[n, 8] = resize %x, %grid {axis=1, length=8, mode=nearest, nearest=ceil}\n"
    "    %1: f32[b, 3, 7, 5] = grid_sample %image, %places {padding=border}\n"
    "    %2: f32[r, 3, 6, 2] = roi_align %image, %regions, %batch {height=6, width=2, max=1}\n"
    "    %3: f32[t, b, 3], %4: f32[b, 3], %5: f32[b, 3] = rnn %p, %rw, %len {mode=lstm, f=Sigmoid, "
    "h=Elu, h_alpha=0.5}\n"
    "    %6: f32[b, 7, 3, 2] = dft %places {axis=2, length=5, onesided=1}\n"
    "    %7: f32[3] = det %m\n"
    "    %8: f32[b, 3, 7, 5] = resize_plane %image {axis=2, length=7, axis2=3, length2=5}\n"
    "    %9: f32[n, 4] = rotary %x, %grid2, %grid2 {width=4, interleaved=1}\n"
    "    %10: f32[b, 3, h, w] = group_norm %image {groups=2}\n"
    "    return %0 as \"y\"\n"
    "  }\n"
    "}\n",
    "module {\n"
    "  graph main(%v: f32[b, h*w + 6, 2, 8], %g: f32[b, q, 2, 2, 4, 2], %w: f32[b, q, 2, 8]) {\n"
    "    %0: f32[b, q, 2, 8] = deformable_attention %v, %g, %w {levels=[h, w, 2, 3], softmax=1}\n"
    "    return %0 as \"y\"\n"
    "  }\n"
    "}\n",
    "module {\n"
    "  const %index: i64[1, 2] = {1, 0}\n"
    "  graph main(%x: f32[4, 2], %u: f32[1, 2], %v: f32[1], %m: bool[a], %boxes: f32[b, n, 4], "
    "%scores: f32[b, c, n], %most: i64[1], %iou: f32[1]) {\n"
    "    %0: f32[4, 2] = scatter_elements %x, %index, %u {reduction=max}\n"
    "    %1: f32[4, 2] = scatter_nd %0, %index, %v\n"
    "    %2: f32[3, 2], %3: i64[3, 2] = topk %1 {axis=0, k=3, smallest=1}\n"
    "    %4: f32[4, 2] = cumprod %x {axis=1, exclusive=1}\n"
    "    %5: i64[1, a] = nonzero %m {count=a}\n"
    "    %6: i64[4], %7: i64[4], %8: i64[4], %9: i64[1] = unique %x {axis=0, unsorted=1}\n"
    "    %10: i64[5*b*c, 3], %11: i64[1] = nms %boxes, %scores, %most, %iou {limit=5, center=1}\n"
    "    return %2 as \"values\", %3 as \"places\"\n"
    "  }\n"
    "}\n",
    "module {\n"
    "  graph main(%x: f32[b, 2, h]) {\n"
    "    %0: f32[b, 2, h], %1: i64[b, 2, h] = pool %x {dims=[h], kernel=[3], strides=[1], "
    "dilations=[1], begins=[1], ends=[1], places=rows}\n"
    "    %2: f32[b, 2, h] = pool %0 {mode=avg, dims=[h], kernel=[2], strides=[1], dilations=[1], "
    "begins=[0], ends=[1], count_pads=1}\n"
    "    return %2 as \"y\", %1 as \"places\"\n"
    "  }\n"
    "}\n",
    "module {\n"
    "  graph main(%x: f32[b, 2, h, w], %o: f32[b, 12, h, w]) {\n"
    "    %0: f32[b, 2, 2, 3, h, w] = deform_columns %x, %o {kernel=[2, 3], strides=[1, 1], "
    "dilations=[1, 1], begins=[0, 1]}\n"
    "    %1: f32[b, 2, h + 1, w] = col2im %0 {dims=[h + 1, w], strides=[1, 1], dilations=[1, 1], "
    "begins=[0, 1]}\n"
    "    return %1 as \"y\"\n"
    "  }\n"
    "}\n",
};

static void see_operators(const char *text, bool *seen) {
    Module *m = ir_parse(&fx.cx, text, NULL);
    assert_string_equal(ir_print(m), text);
    assert_null(ir_verify(m->graphs));
    for (const Node *n = m->graphs->first; n; n = n->next) seen[n->op] = true;
}

static void test_every_operator(void **state) {
    (void)state;
    GUARD();
    bool seen[OP_COUNT] = {0};
    see_operators(every_operator, seen);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) see_operators(more[i], seen);
    for (int op = 0; op < OP_COUNT; op++)
        if (!seen[op] && !(ir_op_info((OpKind)op)->flags & OPF_CONTROL)) /* golden/ir/control.txt */
            fail_msg("%s is not in the text", ir_op_info((OpKind)op)->name);
}

/* prints m, parses that and prints again */
static const char *print_twice(Module *m) {
    const char *text = ir_print(m);
    const char *again = ir_print(ir_parse(&fx.cx, text, m));
    assert_string_equal(again, text);
    return text;
}

static void test_origins(void **state) {
    (void)state;
    GUARD();
    Module *m = ir_parse(&fx.cx, every_operator, NULL);
    for (const Node *n = m->graphs->first; n; n = n->next) {
        if (n->op != OP_pad) continue;
        assert_int_equal(n->origin_count, 2);
        assert_string_equal(n->origins[1], "a \\ b");
    }
}

static void test_names(void **state) {
    (void)state;
    GUARD();
    const Expr *dims[] = {ex_int(fx.x, 1)};
    int64_t one = 1;
    float v = 0.1f;
    Value *x = ir_input(fx.g, "onnx::x 1", TN_F32, 1, dims, INPUT_REQUIRED);
    Value *w = ir_tensor(fx.g, "w", TN_F32, 1, &one, &v);
    Value *same = ir_tensor(fx.g, "w", TN_F32, 1, &one, &v);
    Value *input_name = ir_tensor(fx.g, "onnx::x 1", TN_F32, 1, &one, &v);
    Value *digits = ir_tensor(fx.g, "0", TN_F32, 1, &one, &v);
    Value *unnamed = ir_tensor(fx.g, NULL, TN_F32, 1, &one, &v);
    Value *values[] = {x, w, same, input_name, digits, unnamed};
    ir_tensor(fx.g, "unused", TN_F32, 1, &one, &v);
    fx.g->origin = "line\none";
    ir_output(fx.g, "y", ir_concat(fx.g, 6, values, 0));
    assert_string_equal(print_twice(fx.m),
                        "module {\n"
                        "  const %w: f32[1] = {0.1}\n"
                        "  const %w.1: f32[1] = {0.1}\n"
                        "  const %\"onnx::x 1.1\": f32[1] = {0.1}\n"
                        "  const %\"0\": f32[1] = {0.1}\n"
                        "  const %c0: f32[1] = {0.1}\n"
                        "  graph main(%\"onnx::x 1\": f32[1]) {\n"
                        "    %0: f32[6] = concat %\"onnx::x 1\", %w, %w.1, %\"onnx::x 1.1\", "
                        "%\"0\", %c0 {axis=0} // line\\x0aone\n"
                        "    return %0 as \"y\"\n"
                        "  }\n"
                        "}\n");
}

/* Every element type at its ends, and what six digits do not tell. */
static void test_elements(void **state) {
    (void)state;
    GUARD();
    static const double floats[] = {0.1,   1.0 / 3,  FLT_MAX, DBL_MIN,  1e-40, -0.0,
                                    1e300, INFINITY, NAN,     16777217, 65504, 5e-324};
    for (int type = TN_F32; type <= TN_F64; type++) {
        unsigned char data[16 * 8] = {0};
        int64_t n = 12;
        for (int64_t i = 0; i < n; i++) ir_store_f64((TnDType)type, data, i, floats[i]);
        ir_output(fx.g, tn_dtype_name((TnDType)type),
                  ir_tensor(fx.g, NULL, (TnDType)type, 1, &n, data));
    }
    for (int type = TN_I8; type <= TN_BOOL; type++) {
        unsigned char data[4 * 8];
        int64_t n = 3,
                top = type == TN_U64 ? -1 : INT64_MAX >> (64 - 8 * tn_dtype_size((TnDType)type));
        for (int64_t i = 0; i < n; i++)
            ir_store_i64((TnDType)type, data, i, i == 0 ? 1 : i == 1 ? top : -top - 1);
        ir_output(fx.g, tn_dtype_name((TnDType)type),
                  ir_tensor(fx.g, NULL, (TnDType)type, 1, &n, data));
    }
    const char *text = print_twice(fx.m);
    Module *again = ir_parse(&fx.cx, text, NULL);
    Constant *b = again->constants;
    for (Constant *a = fx.m->constants; a; a = a->next, b = b->next)
        assert_int_equal(ir_constant_hash(a), ir_constant_hash(b));
}

static void test_hashes(void **state) {
    (void)state;
    GUARD();
    float data[20] = {1, 2, 3};
    int64_t n = 20;
    Value *w = ir_tensor(fx.g, "w", TN_F32, 1, &n, data);
    ir_output(fx.g, "y", w);
    const char *text = ir_print(fx.m);
    Module *blank = ir_parse(&fx.cx, text, NULL), *full = ir_parse(&fx.cx, text, fx.m);
    assert_true(ir_element_f64(TN_F32, blank->constants->data, 1) == 0);
    assert_true(ir_element_f64(TN_F32, full->constants->data, 1) == 2);
    assert_string_equal(ir_print(blank), text);
    assert_string_equal(ir_print(full), text);
}

/* s6 is replaced by batch, the quotient keeps its form, and what restricts one symbol is a range.
 */
static void test_require(void **state) {
    (void)state;
    GUARD();
    const Expr *batch = ex_symbol(fx.x, "batch"), *seq = ex_symbol(fx.x, "seq");
    const Expr *s6 = ex_symbol(fx.x, "s6"), *k = ex_symbol(fx.x, "k");
    const Expr *quotient = ex_floordiv(fx.x, ex_mul(fx.x, s6, seq), k);
    ex_note_use(fx.x, "batch");
    assert_true(ex_require_eq(fx.x, quotient, ex_symbol(fx.x, "t"), "Reshape"));
    assert_true(ex_require_eq(fx.x, s6, batch, "Add"));
    assert_true(ex_require_le(fx.x, seq, ex_int(fx.x, 512), "Slice"));
    assert_true(ex_require_le(fx.x, ex_add(fx.x, seq, k), ex_symbol(fx.x, "total"), "Gather"));
    ex_set_range(fx.x, "batch", 1, INT64_MAX);
    const char *names[] = {"batch", "seq", "k", "t", "total"};
    const Expr *dims[5];
    for (int i = 0; i < 5; i++) dims[i] = ex_symbol(fx.x, names[i]);
    ir_output(fx.g, "y", ir_input(fx.g, "x", TN_F32, 5, dims, INPUT_REQUIRED));
    const char *text = print_twice(fx.m);
    assert_non_null(
        strstr(text, "require batch >= 1, seq <= 512, (batch*seq)//k == t, k + seq <= total {"));
}

/* A requirement found late changes what was inferred before: the text is read again. */
static void test_rounds(void **state) {
    (void)state;
    GUARD();
    static const char text[] = "module {\n"
                               "  graph main(%x: f32[n], %y: f32[m], %z: f32[m]) {\n"
                               "    %0: f32[m] = neg %z\n"
                               "    %1: f32[m] = add %x, %y\n"
                               "    return %0 as \"a\", %1 as \"b\"\n"
                               "  }\n"
                               "}\n";
    static const char settled[] = "module {\n"
                                  "  graph main(%x: f32[m], %y: f32[m], %z: f32[m]) {\n"
                                  "    %0: f32[m] = neg %z\n"
                                  "    %1: f32[m] = add %x, %y\n"
                                  "    return %0 as \"a\", %1 as \"b\"\n"
                                  "  }\n"
                                  "}\n";
    assert_string_equal(ir_print(ir_parse(&fx.cx, text, NULL)), settled);
}

/* --- refusals --- */

static void parse_text(Cx *cx, const void *text) {
    ir_parse(cx, text, NULL);
}

#define GRAPH(body) "module { graph main(%x: f32[n]) {\n" body "\nreturn %0 as \"y\" } }"

static void test_refusals(void **state) {
    (void)state;
    GUARD();
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "line 1, column 1: 'module' expected, found the end of the text"},
        {"module {", "line 1, column 9: '}' expected, found the end of the text"},
        {"module { } x", "line 1, column 12: text after the module"},
        {"module { meta 3 }", "line 1, column 15: quoted key expected, found '3'"},
        {"module { meta \"a", "line 1, column 15: the string has no end"},
        {"module { meta \"\\n\" = \"\" }", "line 1, column 16: unknown escape; only \\xNN is one"},
        {"module { const %a: f32[n] = {} }",
         "line 1, column 16: the dimensions of a constant are numbers"},
        {"module { const %a: f32[2] = {1} }", "line 1, column 29: 1 elements, not 2"},
        {"module { const %a: i8[1] = {128} }", "line 1, column 29: not a number of type i8"},
        {"module { const %a: i64[1] = {9223372036854775808} }",
         "line 1, column 30: integer beyond 64 bits"},
        {"module { const %a: f33[1] = {1} }", "line 1, column 20: unknown element type 'f33'"},
        {"module { const %a: f32[1] = #xyz }", "line 1, column 29: not a hash"},
        {"module { const %a: f32[1] = {1} const %a: f32[1] = {1} }",
         "line 1, column 39: %a is defined twice"},
        {"module { const %a: f64[8388609] = #1 }",
         "line 1, column 35: more than 67108864 bytes of constants without values"},
        {"module { graph g() { return } graph g() { return } }",
         "line 1, column 37: there are two graphs of this name"},
        {"module { graph g(%x: f32[], %x: f32[]) { return } }",
         "line 1, column 29: %x is defined twice"},
        {"module { graph g(%x: f32[n +]) { return } }",
         "line 1, column 26: size 'n +]) { return } }': expected a name, a number or '(' at ']) { "
         "return } }'"},
        {"module { graph g(%x: f32[a,a,a,a,a,a,a,a,a]) { return } }",
         "line 1, column 22: 9 axes, at most 8"},
        {"module { graph g(%x: f32[n]) require n <= -1 { return } }",
         "line 1, column 38: no value of n is left"},
        {"module { graph g(%x: f32[n]) require n { return } }",
         "line 1, column 40: '<=', '>=' or '==' expected"},
        {"module { graph g(%x: f32[n]) require 2*n + 1 <= n { return } }",
         "line 1, column 38: this cannot hold"},
        {"module { graph g(%x: f32[n]) require n <= k { return } }",
         "line 1, column 38: no input has the symbol k, nor is it measured"},
        {GRAPH("%0: f32[k] = expand %x {dims=[k]}"),
         "line 2, column 1: no input has the symbol k, nor is it measured"},
        {GRAPH("%0: f32[n] = foo %x"), "line 2, column 14: unknown operator 'foo'"},
        {GRAPH("%0: f32[n] = neg %y"), "line 2, column 18: %y is not defined yet"},
        {GRAPH("%0: f32[n] = neg %0"), "line 2, column 18: %0 is not defined yet"},
        {GRAPH("%0: f32[2*n] = neg %x"), "line 2, column 1: the type is f32[n], not f32[2*n]"},
        {GRAPH("%0: f16[n] = neg %x"), "line 2, column 1: the type is f32[n], not f16[n]"},
        {GRAPH("%0: f32[n] = neg %x, %x"), "line 2, column 1: neg cannot have 2 operands"},
        {GRAPH("%0: f32[n] = add %x, _"), "line 2, column 1: operand 1 of add is missing"},
        {GRAPH("%0: f32[n], %1: f32[n] = neg %x"), "line 2, column 1: neg has 1 results, not 2"},
        {GRAPH("%0: f32[n] = neg %x {to=f32}"), "line 2, column 22: neg has no attribute 'to'"},
        {GRAPH("%0: f32[n] = cumsum %x {axis=0, axis=0}"),
         "line 2, column 33: the attribute is there twice"},
        {GRAPH("%0: f32[n] = cumsum %x"),
         "line 2, column 1: attribute 'axis' of cumsum is missing"},
        {GRAPH("%0: f32[n] = cumsum %x {axis=x}"), "line 2, column 30: integer expected"},
        {GRAPH("%0: f32[n] = pad %x {before=[0], after=[0], mode=none}"),
         "line 2, column 50: attribute 'mode' cannot be 'none'; it is one of "
         "constant|reflect|edge|wrap"},
        {GRAPH("%0: f32[n] = map %x {dtype=f32, body=(t1 = and x0 x0)}"),
         "line 2, column 39: operands are not bool"},
        {GRAPH("%0: f32[n] = map %x {dtype=f32, body=(t1 = add x0 t1)}"),
         "line 2, column 51: no register 't1' here"},
        {GRAPH("%0: f32[n] = map %x {dtype=f32, body=(t1 = reduce_sum x0)}"),
         "line 2, column 39: reduce_sum cannot be a step of a map"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_fail(parse_text, cases[i].text, TN_E_MODEL, cases[i].message);
}

/* --- verification --- */

static void test_verify(void **state) {
    (void)state;
    GUARD();
    Module *m = ir_parse(&fx.cx, every_operator, NULL);
    Graph *g = m->graphs;
    Node *first = g->first, *last = g->last;
    Value *x = g->inputs[0];

    x->use_count--;
    assert_non_null(strstr(ir_verify(g), "the use list of an operand lacks this use"));
    x->use_count++;
    x->output_uses++;
    assert_non_null(strstr(ir_verify(g), "('x') is used"));
    x->output_uses--;

    ir_move_before(g->outputs[0]->node, first);
    assert_null(ir_verify(g)); /* its operands are inputs */
    Node *user = last->prev;
    while (user->op != OP_concat) user = user->prev;
    ir_move_before(user, first);
    assert_non_null(strstr(ir_verify(g), "not computed before it is used: %1: f32[n, 6] = concat"));
    ir_move_before(user, last);
    assert_null(ir_verify(g));

    user->outputs[0]->type.dims[0] = ex_int(m->ex, 7);
    assert_non_null(strstr(ir_verify(g), "result 0 is inferred to be f32[n, 6]: "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_operator, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_origins, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_names, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_elements, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_hashes, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_require, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_rounds, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_refusals, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_verify, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
