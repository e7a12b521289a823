/* conv on every ISA against plain loops: 1 to 3 spatial axes, groups, strides, dilation, padding on
 * either side, extents around vector and tile edges, operands in every order of memory, weights in
 * panels of every type or in pairs, every way to end, f32, bf16 and f64. */
#include "tests/kernels/conv_case.h"

static void random_shapes(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 400; seed++) {
        uint32_t random = seed;
        Case c = {.spatial = 1 + (int)pick(&random, 3), .batch = 1 + pick(&random, 2)};
        c.groups = pick(&random, 3) == 0 ? 1 + pick(&random, 4) : 1;
        c.channels = pick(&random, 5) ? 1 + pick(&random, 5) : 14 + pick(&random, 8);
        c.outputs = pick(&random, 2) ? 1 + pick(&random, 4) : 7 + pick(&random, 12);
        if (pick(&random, 4) == 0) {
            c.groups = 1 + pick(&random, 70);
            c.channels = c.outputs = 1;
        }
        for (int i = 0; i < c.spatial; i++) {
            c.kernel[i] = 1 + pick(&random, i == c.spatial - 1 ? 7 : 4);
            c.stride[i] = 1 + pick(&random, 3);
            c.dilation[i] = 1 + pick(&random, 2);
            c.pad_begin[i] = pick(&random, 4);
            c.pad_end[i] = pick(&random, 4);
            if (pick(&random, 3) == 0)
                c.stride[i] = c.dilation[i] = 1, c.pad_begin[i] = c.pad_end[i] = 0;
            int64_t reach = (c.kernel[i] - 1) * c.dilation[i] + 1;
            c.in[i] = reach + pick(&random, i == c.spatial - 1 ? 40 : 6);
        }
        random_form(&c, &random);
        check_case(isa, &c, seed);
    }
}

static const Case known[] = {
    /* patches */
    {.spatial = 2,
     .batch = 1,
     .groups = 1,
     .channels = 3,
     .outputs = 24,
     .in = {64, 48},
     .kernel = {16, 16},
     .stride = {16, 16},
     .dilation = {1, 1},
     .bias = 1},
    /* depthwise */
    {.spatial = 2,
     .batch = 1,
     .groups = 10,
     .channels = 1,
     .outputs = 1,
     .in = {14, 14},
     .kernel = {7, 7},
     .stride = {1, 1},
     .dilation = {1, 1},
     .pad_begin = {3, 3},
     .pad_end = {3, 3},
     .bias = 1},
    /* audio */
    {.spatial = 1,
     .batch = 1,
     .groups = 1,
     .channels = 20,
     .outputs = 16,
     .in = {1000},
     .kernel = {3},
     .stride = {2},
     .dilation = {1},
     .pad_begin = {1},
     .pad_end = {1},
     .bias = 1},
    /* padding only */
    {.spatial = 1,
     .batch = 1,
     .groups = 1,
     .channels = 1,
     .outputs = 1,
     .in = {1},
     .kernel = {1},
     .stride = {1},
     .dilation = {1},
     .pad_begin = {20},
     .pad_end = {20}},
    /* deep: narrow, and of so many channels that they are split over tasks */
    {.spatial = 2,
     .batch = 2,
     .groups = 2,
     .channels = 9,
     .outputs = 150,
     .in = {7, 7},
     .kernel = {3, 3},
     .stride = {1, 1},
     .dilation = {1, 1},
     .pad_begin = {1, 1},
     .pad_end = {1, 1},
     .bias = 1},
    /* positions: a group's columns start inside a panel; the kernel is long */
    {.spatial = 1,
     .batch = 1,
     .groups = 3,
     .channels = 24,
     .outputs = 24,
     .in = {49},
     .kernel = {128},
     .stride = {1},
     .dilation = {1},
     .pad_begin = {64},
     .pad_end = {64},
     .bias = 1},
    /* column: an image one place wide; each place of x is read where it is */
    {.spatial = 2,
     .batch = 1,
     .groups = 1,
     .channels = 20,
     .outputs = 40,
     .in = {90, 1},
     .kernel = {3, 1},
     .stride = {2, 1},
     .dilation = {1, 1}},
    /* wide: all but the edges is read where it is */
    {.spatial = 2,
     .batch = 1,
     .groups = 80,
     .channels = 1,
     .outputs = 1,
     .in = {6, 41},
     .kernel = {5, 7},
     .stride = {1, 1},
     .dilation = {1, 1},
     .pad_begin = {3, 3},
     .pad_end = {3, 3},
     .bias = 1},
    /* wide, with a stride */
    {.spatial = 2,
     .batch = 1,
     .groups = 32,
     .channels = 1,
     .outputs = 1,
     .in = {9, 90},
     .kernel = {3, 4},
     .stride = {2, 2},
     .dilation = {1, 1},
     .pad_begin = {1, 1},
     .pad_end = {1, 1},
     .bias = 1},
    /* 3 x 3 from top to bottom, with lanes to spare and lines of padding only */
    {.spatial = 2,
     .batch = 2,
     .groups = 41,
     .channels = 1,
     .outputs = 1,
     .in = {23, 11},
     .kernel = {3, 3},
     .stride = {1, 1},
     .dilation = {1, 1},
     .pad_begin = {4, 1},
     .pad_end = {3, 2},
     .bias = 1},
    /* wide, of 3 x 3 */
    {.spatial = 2,
     .batch = 1,
     .groups = 16,
     .channels = 1,
     .outputs = 1,
     .in = {3, 70},
     .kernel = {3, 3},
     .stride = {1, 1},
     .dilation = {1, 1},
     .pad_begin = {2, 2},
     .pad_end = {2, 2},
     .bias = 1},
};

static void known_layers(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        for (uint32_t seed = 0; seed < 12; seed++) {
            uint32_t random = seed;
            Case c = known[i];
            random_form(&c, &random);
            check_case(isa, &c, seed);
        }
}

/* Few places of many channels: the panels are dealt out in more parts than there are groups of
 * them, where a tile takes four panels. */
static void empty_parts(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 2; seed++) {
        uint32_t random = seed;
        Case c = {.spatial = 2,
                  .batch = 1,
                  .groups = 1,
                  .channels = 60,
                  .outputs = 128,
                  .in = {8, 14},
                  .kernel = {5, 5},
                  .stride = {1, 1},
                  .dilation = {1, 1},
                  .pad_begin = {2, 2},
                  .pad_end = {2, 2}};
        random_form(&c, &random);
        c.wide = false;
        c.panels = TN_BF16;
        c.pairs = true;
        c.x = CHANNELS_LAST;
        check_case(isa, &c, seed);
    }
}

/* Depthwise, of neighbouring places that are read where they are: runs of results inside, at either
 * edge or at both, padding wider than the kernel. */
static void neighbours(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 120; seed++) {
        uint32_t random = seed;
        int64_t width = 3 + 2 * pick(&random, 3);
        Case c = {.spatial = 2,
                  .batch = 1 + pick(&random, 2),
                  .groups = 16 * (1 + pick(&random, 5)),
                  .channels = 1,
                  .outputs = 1,
                  .kernel = {pick(&random, 3) ? width : 1 + pick(&random, 4), width},
                  .stride = {1 + (pick(&random, 4) == 0), 1},
                  .dilation = {1, 1}};
        random_form(&c, &random);
        for (int i = 0; i < 2; i++) {
            c.pad_begin[i] = pick(&random, pick(&random, 3) ? (uint32_t)width : 12);
            c.pad_end[i] = pick(&random, pick(&random, 3) ? (uint32_t)width : 12);
            c.in[i] = c.kernel[i] + pick(&random, pick(&random, 3) ? 12 : 40);
        }
        c.wide = false;
        c.panels = TN_NONE;
        c.pairs = false;
        c.x_type = TN_NONE;
        c.x = CHANNELS_LAST;
        if (pick(&random, 3)) c.y = CHANNELS_LAST;
        check_case(isa, &c, seed);
    }
}

/* Tiles of neighbouring channels in whole panels, which add a residual and take ReLU in registers;
 * and those beside them that end inside a panel. */
static void whole_panels(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 120; seed++) {
        uint32_t random = seed;
        Case c = {.spatial = 2,
                  .batch = 1,
                  .groups = 1 + pick(&random, 2),
                  .channels = 1 + pick(&random, 20),
                  .outputs = 16 * (1 + pick(&random, 6)) + (pick(&random, 3) ? 0 : 5),
                  .dilation = {1, 1}};
        for (int i = 0; i < 2; i++) {
            c.kernel[i] = 1 + pick(&random, 3);
            c.stride[i] = 1 + pick(&random, 2);
            c.pad_begin[i] = c.pad_end[i] = pick(&random, 2);
            c.in[i] = c.kernel[i] + pick(&random, 26);
        }
        random_form(&c, &random);
        c.wide = false;
        c.x = c.y = CHANNELS_LAST;
        c.act = pick(&random, 2) ? TN_ACT_RELU : TN_ACT_NONE;
        check_case(isa, &c, seed);
    }
}

/* Products of an x that is read where it is though there is padding: parts of results with the same
 * taps, some with none, along either axis; at strides and dilations, of groups, in bands of rows.
 */
static void padded(void **state) {
    (void)state;
    FOR_EACH_ISA(isa)
    for (uint32_t seed = 0; seed < 120; seed++) {
        uint32_t random = seed;
        Case c = {.spatial = 1 + (pick(&random, 4) > 0),
                  .batch = 1 + pick(&random, 2),
                  .groups = 1 + (pick(&random, 4) == 0),
                  .channels = 16 + pick(&random, 5),
                  .outputs = 8 + pick(&random, 60)};
        for (int i = 0; i < c.spatial; i++) {
            c.kernel[i] = 1 + pick(&random, 4);
            c.stride[i] = 1 + pick(&random, 2);
            c.dilation[i] = 1 + pick(&random, 3);
            c.pad_begin[i] = pick(&random, pick(&random, 3) ? 3 : 9);
            c.pad_end[i] = pick(&random, pick(&random, 3) ? 3 : 9);
            c.in[i] = (c.kernel[i] - 1) * c.dilation[i] + 1 + pick(&random, 34);
        }
        random_form(&c, &random);
        c.wide = false;
        c.x = CHANNELS_LAST;
        if (pick(&random, 4)) c.y = CHANNELS_LAST;
        check_case(isa, &c, seed);
    }
}

/* No channels: the sums are empty. */
static void no_channels(void **state) {
    (void)state;
    static const Case c = {.spatial = 1,
                           .batch = 1,
                           .groups = 1,
                           .channels = 0,
                           .outputs = 20,
                           .in = {7},
                           .kernel = {3},
                           .stride = {1},
                           .dilation = {1},
                           .bias = 1};
    Case panels = c, pairs = c;
    panels.panels = TN_F32;
    pairs.panels = TN_BF16;
    pairs.pairs = true;
    pairs.kernel[0] = 8;
    pairs.pad_begin[0] = pairs.pad_end[0] = 2;
    pairs.x = CHANNELS_LAST;
    FOR_EACH_ISA(isa) {
        check_case(isa, &c, 1);
        check_case(isa, &panels, 1);
        check_case(isa, &pairs, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_shapes), cmocka_unit_test(known_layers),
        cmocka_unit_test(empty_parts),   cmocka_unit_test(neighbours),
        cmocka_unit_test(whole_panels),  cmocka_unit_test(padded),
        cmocka_unit_test(no_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
