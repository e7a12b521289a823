/* Reference kernels that make, move, choose and order elements, and those that slide a window over
 * them, on cases worked out by hand. */
#include "tests/unit/ir/ref_cases.h"

static void test_sources_and_moves(void **state) {
    (void)state;
    static const Case cases[] = {
        {"", "f32[2] = splat {dtype=f32, dims=[2], value=0.5}", "{0.5, 0.5}"},
        {"", "i64[2] = splat {dtype=i64, dims=[2], integer=-7}", "{-7, -7}"},
        {"", "f32[3] = iota {dtype=f32, length=3, start=1, step=-2}", "{1, -1, -3}"},
        {"", "i32[3] = scalars {dtype=i32, values=[1, 2*3, 7//2]}", "{1, 6, 3}"},
        {"x: i8[2,3] = {1,2,3,4,5,6}", "i8[3, 2] = view %x {dims=[3, 2]}", "{1, 2, 3, 4, 5, 6}"},
        {"x: i8[2,3] = {1,2,3,4,5,6}", "i8[3, 2] = transpose %x {perm=[1, 0]}",
         "{1, 4, 2, 5, 3, 6}"},
        {"x: i8[2,1] = {1,2}", "i8[2, 2, 2] = expand %x {dims=[2, 2, 2]}",
         "{1, 1, 2, 2, 1, 1, 2, 2}"},
        {"x: i8[5] = {1,2,3,4,5}", "i8[2] = slice %x {axis=0, start=1, length=2, step=2}",
         "{2, 4}"},
        {"x: i8[5] = {1,2,3,4,5}", "i8[5] = slice %x {axis=0, start=4, length=5, step=-1}",
         "{5, 4, 3, 2, 1}"},
        {"x: i8[2,1] = {1,2}; y: i8[2,2] = {3,4,5,6}", "i8[2, 3] = concat %x, %y {axis=1}",
         "{1, 3, 4, 2, 5, 6}"},
        {"x: i8[3] = {1,2,3}; v: i8[] = {9}", "i8[6] = pad %x, %v {before=[2], after=[1]}",
         "{9, 9, 1, 2, 3, 9}"},
        {"x: i8[3] = {1,2,3}", "i8[7] = pad %x {before=[2], after=[2], mode=reflect}",
         "{3, 2, 1, 2, 3, 2, 1}"},
        {"x: i8[3] = {1,2,3}", "i8[6] = pad %x {before=[1], after=[2], mode=edge}",
         "{1, 1, 2, 3, 3, 3}"},
        {"x: i8[3] = {1,2,3}", "i8[6] = pad %x {before=[1], after=[2], mode=wrap}",
         "{3, 1, 2, 3, 1, 2}"},
        {"x: i8[2,3] = {1,2,3,4,5,6}", "i8[2, 3] = roll %x {starts=[2, 1]}", "{2, 3, 1, 5, 6, 4}"},
        {"x: i8[2,3] = {1,2,3,4,5,6}", "i8[2, 3] = roll %x {starts=[1, 3]}", "{4, 5, 6, 1, 2, 3}"},
        {"x: i8[3,2] = {1,2,3,4,5,6}; i: i64[2] = {2,-3}", "i8[2, 2] = gather %x, %i",
         "{5, 6, 1, 2}"},
        {"x: i8[2,3] = {1,2,3,4,5,6}; i: i64[] = {1}", "i8[2] = gather %x, %i {axis=1}", "{2, 5}"},
        {"x: i8[2,3] = {1,2,3,4,5,6}; i: i32[2,2] = {2,0,1,1}",
         "i8[2, 2] = gather_elements %x, %i {axis=1}", "{3, 1, 5, 5}"},
        {"x: i8[2,2] = {1,2,3,4}; i: i64[2,2] = {0,1,1,0}", "i8[2] = gather_nd %x, %i", "{2, 3}"},
        {"x: i8[2,2] = {1,2,3,4}; i: i64[2,1] = {1,0}", "i8[2] = gather_nd %x, %i {batch=1}",
         "{2, 3}"},
    };
    CHECK(cases);
}

static void test_scatters(void **state) {
    (void)state;
    const Case cases[] = {
        /* the last update wins; negative indices count from the end */
        {"x: i8[2,3] = {1,2,3,4,5,6}; i: i64[2,2] = {0,0,-1,1}; u: i8[2,2] = {7,8,9,10}",
         "i8[2, 3] = scatter_elements %x, %i, %u {axis=1}", "{8, 2, 3, 4, 10, 9}"},
        {"x: i8[3] = {1,2,3}; i: i32[3] = {1,1,1}; u: i8[3] = {7,100,50}",
         "i8[3] = scatter_elements %x, %i, %u {reduction=add}", "{1, -97, 3}"},
        {"x: f16[2] = {1,2048}; i: i64[2] = {1,1}; u: f16[2] = {1,1}",
         "f16[2] = scatter_elements %x, %i, %u {reduction=add}", "{1, 2048}"},
        {"x: f32[2] = {1,nan}; i: i64[2] = {0,1}; u: f32[2] = {nan,1}",
         "f32[2] = scatter_elements %x, %i, %u {reduction=min}", "{nan, nan}"},
        {"x: bool[2] = {1,0}; i: i64[2] = {0,1}; u: bool[2] = {1,1}",
         "bool[2] = scatter_elements %x, %i, %u {reduction=add}", "{1, 1}"},
        {"x: i8[2,2] = {1,2,3,4}; i: i64[1,1] = {-1}; u: i8[1,2] = {7,8}",
         "i8[2, 2] = scatter_nd %x, %i, %u", "{1, 2, 7, 8}"},
        {"x: i8[2,2] = {1,2,3,4}; i: i64[2,2] = {1,0,1,0}; u: i8[2] = {7,8}",
         "i8[2, 2] = scatter_nd %x, %i, %u {reduction=mul}", "{1, 2, -88, 4}"},
        {"x: u64[2] = {1,18446744073709551615}; i: i64[2,1] = {0,1}; u: u64[2] = {2,3}",
         "u64[2] = scatter_nd %x, %i, %u {reduction=max}", "{2, 18446744073709551615}"},
        {"x: i8[2] = {1,2}; i: i64[1] = {0}; u: i8[] = {7}", "i8[2] = scatter_nd %x, %i, %u",
         "{7, 2}"},
    };
    CHECK(cases);
}

static void test_topk(void **state) {
    (void)state;
    const Case cases[] = {
        {"x: f32[5] = {1,3,nan,3,-inf}", "f32[3], i64[3] = topk %x {axis=0, k=3}",
         "{nan, 3, 3} {2, 1, 3}"},
        {"x: f32[5] = {1,3,nan,3,-inf}", "f32[5], i64[5] = topk %x {axis=0, k=5, smallest=1}",
         "{-inf, 1, 3, 3, nan} {4, 0, 1, 3, 2}"},
        {"x: f32[2] = {-0.0,0}", "f32[2], i64[2] = topk %x {axis=0, k=2}", "{-0, 0} {0, 1}"},
        {"x: i8[2,2] = {1,2,4,3}", "i8[1, 2], i64[1, 2] = topk %x {axis=0, k=1}", "{4, 3} {1, 1}"},
        {"x: u8[2] = {255,1}", "u8[0], i64[0] = topk %x {axis=0, k=0}", "{} {}"},
    };
    CHECK(cases);
}

static void test_selections(void **state) {
    (void)state;
    const Case cases[] = {
        {"x: bool[2,3] = {1,0,0,0,1,1}", "i64[2, 3] = nonzero %x {count=3}", "{0, 1, 1, 0, 1, 2}"},
        {"x: bool[] = {1}", "i64[0, 1] = nonzero %x {count=1}", "{}"},
        /* results are as long as the axis, zeros behind the last group */
        {"x: i8[6] = {2,1,1,3,4,3}", "i64[6], i64[6], i64[6], i64[1] = unique %x {axis=0}",
         "{1, 0, 3, 4, 0, 0} {1, 0, 0, 2, 3, 2} {2, 1, 2, 1, 0, 0} {4}"},
        {"x: i8[6] = {2,1,1,3,4,3}",
         "i64[6], i64[6], i64[6], i64[1] = unique %x {axis=0, unsorted=1}",
         "{0, 1, 3, 4, 0, 0} {0, 1, 1, 2, 3, 2} {1, 2, 2, 1, 0, 0} {4}"},
        {"x: f32[2,3] = {nan,1,nan,-0.0,0,0}",
         "i64[3], i64[3], i64[3], i64[1] = unique %x {axis=1}",
         "{1, 0, 0} {1, 0, 1} {1, 2, 0} {2}"},
        {"x: i8[0] = {}", "i64[0], i64[0], i64[0], i64[1] = unique %x {axis=0}", "{} {} {} {0}"},
        {"b: f32[1,3,4] = {0,0,1,1, 1,1.1,0,0.1, 0,10,1,11}; s: f32[1,1,3] = {0.5,0.9,0.7}; "
         "m: i64[1] = {9}; o: f32[1] = {0.5}",
         "i64[3, 3], i64[1] = nms %b, %s, %m, %o {limit=3}", "{0, 0, 1, 0, 0, 2, 0, 0, 0} {2}"},
        {"b: f32[1,2,4] = {0,0,2,2, 0,0,2,2}; s: f32[1,2,2] = {0.5,0.5,0.2,0.7}; "
         "m: i64[1] = {1}; o: f32[1] = {0.5}; t: f32[1] = {0.5}",
         "i64[4, 3], i64[1] = nms %b, %s, %m, %o, %t {limit=2, center=1}",
         "{0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0} {1}"},
    };
    CHECK(cases);
}

#define WINDOW(n, k, s, d, b, e)                                                        \
    "dims=[" #n "], kernel=[" #k "], strides=[" #s "], dilations=[" #d "], begins=[" #b \
    "], ends=[" #e "]}"

static void test_pool(void **state) {
    (void)state;
    const Case cases[] = {
        {"x: f32[1,1,4] = {1,3,nan,3}", "f32[1, 1, 4] = pool %x {" WINDOW(4, 2, 1, 1, 1, 0),
         "{1, 3, nan, nan}"},
        {"x: f32[1,2,3] = {1,3,3,5,4,5}",
         "f32[1, 2, 2], i64[1, 2, 2] = pool %x {places=rows, " WINDOW(2, 2, 1, 1, 0, 0),
         "{3, 3, 5, 5} {1, 1, 3, 5}"},
        {"x: i8[1,1,2] = {-3,-4}", "i8[1, 1, 3] = pool %x {" WINDOW(3, 1, 1, 1, 1, 0),
         "{-128, -3, -4}"},
        {"x: f32[1,1,3] = {3,6,9}", "f32[1, 1, 2] = pool %x {mode=avg, " WINDOW(2, 3, 2, 1, 1, 1),
         "{4.5, 7.5}"},
        {"x: f32[1,1,3] = {3,6,9}",
         "f32[1, 1, 2] = pool %x {mode=avg, count_pads=1, " WINDOW(2, 3, 3, 1, 1, 0), "{3, 9}"},
        {"x: f32[1,1,3] = {3,1,-4}", "f32[1, 1, 1] = pool %x {mode=lp, " WINDOW(1, 2, 1, 2, 0, 0),
         "{5}"},
        {"x: f32[1,1,3] = {3,1,-4}",
         "f32[1, 1, 1] = pool %x {mode=lp, p=1.0, " WINDOW(1, 3, 1, 1, 0, 0), "{8}"},
        {"x: f32[1,1,2,2] = {1,2,3,4}",
         "f32[1, 1, 1, 2], i64[1, 1, 1, 2] = pool %x {dims=[1, 2], kernel=[2, 1], strides=[1, 1], "
         "dilations=[1, 1], begins=[0, 0], ends=[0, 0], places=columns}",
         "{3, 4} {1, 3}"},
    };
    CHECK(cases);
}

static void test_places(void **state) {
    (void)state;
    const Case cases[] = {
        /* a map of 1 x 2 and one of 1 x 1: between both cells, the second cell, half outside */
        {"v: f32[1,3,1,2] = {1,10,3,30,5,50}; g: f32[1,2,1,2,1,2] = {0,0,0,0,0.5,0,0,1}; "
         "w: f32[1,2,1,2] = {1,2,4,1}",
         "f32[1, 2, 1, 2] = deformable_attention %v, %g, %w {levels=[1, 2, 1, 1]}",
         "{12, 120, 14.5, 145}"},
        {"v: f32[1,3,1,1] = {1,3,5}; g: f32[1,1,1,2,1,2] = {0,0,0,0}; "
         "w: f32[1,1,1,2] = {0,1.0986123}",
         "f32[1, 1, 1, 1] = deformable_attention %v, %g, %w {levels=[1, 2, 1, 1], softmax=1}",
         "{4.25}"},
    };
    CHECK(cases);
}

static void test_columns(void **state) {
    (void)state;
    const Case cases[] = {
        /* two taps, three windows: 1 2 3 and 10 20 30 one further, the first before the image */
        {"x: f32[1,1,2,3] = {1,2,3,10,20,30}",
         "f32[1, 1, 3] = col2im %x {dims=[3], strides=[1], dilations=[1], begins=[1]}",
         "{12, 23, 30}"},
        {"x: f64[1,1,2,2] = {1,2,3,4}",
         "f64[1, 1, 6] = col2im %x {dims=[6], strides=[2], dilations=[3], begins=[0]}",
         "{1, 0, 2, 3, 0, 4}"},
        /* rows moved down by a half, columns by minus one */
        {"x: f32[1,1,2,2] = {1,2,3,4}; o: f32[1,2,2,2] = {0.5,0.5,0.5,0.5,-1,-1,-1,-1}",
         "f32[1, 1, 1, 1, 2, 2] = deform_columns %x, %o {kernel=[1, 1], strides=[1, 1], "
         "dilations=[1, 1], begins=[0, 0]}",
         "{0, 2, 0, 1.5}"},
        {"x: f32[1,2,1,1] = {8,4}; o: f32[1,4,1,1] = {0,0,0.25,0}; m: f32[1,2,1,1] = {3,0.5}",
         "f32[1, 2, 1, 1, 1, 1] = deform_columns %x, %o, %m {kernel=[1, 1], strides=[1, 1], "
         "dilations=[1, 1], begins=[0, 0], groups=2}",
         "{24, 1.5}"},
    };
    CHECK(cases);
}

static void test_resize(void **state) {
    (void)state;
    static const Case cases[] = {
        {"x: f32[2] = {1, 3}", "f32[4] = resize %x {axis=0, length=4}", "{1, 1.5, 2.5, 3}"},
        {"x: f32[2,2] = {1, 3, 5, 7}",
         "f32[3, 2] = resize %x {axis=0, length=3, "
         "coordinates=align_corners}",
         "{1, 3, 3, 5, 5, 7}"},
        {"x: i8[3] = {1, 2, 3}", "i8[2] = resize %x {axis=0, length=2, mode=nearest}", "{1, 3}"},
        {"x: i8[3] = {1, 2, 3}; g: f32[3] = {2, 0, 1}",
         "i8[6] = resize %x, %g {axis=0, length=6, mode=nearest, coordinates=asymmetric, "
         "nearest=ceil}",
         "{1, 2, 2, 3, 3, 3}"},
        {"x: f32[3] = {1, 2, 3}; g: f32[3] = {0, 0.5, 1.5}",
         "f32[3] = resize %x, %g {axis=0, length=3, coordinates=crop, outside=-1}", "{2, 3, -1}"},
        {"x: f32[4] = {1, 2, 3, 4}", "f32[1] = resize %x {axis=0, length=1, antialias=1}", "{2.5}"},
        {"x: f64[2] = {1, 2}",
         "f64[2] = resize %x {axis=0, length=2, mode=cubic, coordinates=tf_half_pixel_for_nn}",
         "{1.5, 2.09375}"},
        {"x: f32[2] = {nan, 2}", "f32[0] = resize %x {axis=0, length=0}", "{}"},
    };
    CHECK(cases);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources_and_moves),
        cmocka_unit_test(test_scatters),
        cmocka_unit_test(test_topk),
        cmocka_unit_test(test_selections),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_resize),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
