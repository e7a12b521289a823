/* conv: layers of models, channels last, weights as the compiler stores them. */
#include <stdio.h>
#include <string.h>
#include "bench/kernels/bench.h"

typedef struct Layer {
    const char *name;
    int64_t channels, outputs, groups, height, width, kernel[2];
    uint32_t stride[2], pad[2];
    double target[2];
} Layer;

#define DIRECT \
    { 0.93, 0.90 }
static const Layer layers[] = {
    {"stem 7x7 s2 3>64 224x224", 3, 64, 1, 224, 224, {7, 7}, {2, 2}, {3, 3}, {0}},
    {"stem 7x7 s2 3>64 480x640", 3, 64, 1, 480, 640, {7, 7}, {2, 2}, {3, 3}, {0}},
    {"stem 7x7 s4 3>32 512x512", 3, 32, 1, 512, 512, {7, 7}, {4, 4}, {3, 3}, {0}},
    {"3x3 64 120x160", 64, 64, 1, 120, 160, {3, 3}, {1, 1}, {1, 1}, DIRECT},
    {"3x3 64 56x56", 64, 64, 1, 56, 56, {3, 3}, {1, 1}, {1, 1}, DIRECT},
    {"3x3 128 28x28", 128, 128, 1, 28, 28, {3, 3}, {1, 1}, {1, 1}, DIRECT},
    {"3x3 128 60x80", 128, 128, 1, 60, 80, {3, 3}, {1, 1}, {1, 1}, DIRECT},
    {"3x3 256 14x14", 256, 256, 1, 14, 14, {3, 3}, {1, 1}, {1, 1}, DIRECT},
    {"3x3 256 30x40", 256, 256, 1, 30, 40, {3, 3}, {1, 1}, {1, 1}, DIRECT},
    {"3x3 512 7x7", 512, 512, 1, 7, 7, {3, 3}, {1, 1}, {1, 1}, {0}},
    {"3x3 512 15x20", 512, 512, 1, 15, 20, {3, 3}, {1, 1}, {1, 1}, DIRECT},
    {"3x3 s2 128 60x80", 128, 128, 1, 60, 80, {3, 3}, {2, 2}, {1, 1}, {0}},
    {"3x3 s2 128 120x160", 128, 128, 1, 120, 160, {3, 3}, {2, 2}, {1, 1}, {0}},
    {"1x1 64>256 120x160", 64, 256, 1, 120, 160, {1, 1}, {1, 1}, {0, 0}, {0}},
    {"1x1 256>64 120x160", 256, 64, 1, 120, 160, {1, 1}, {1, 1}, {0, 0}, {0}},
    {"1x1 128>512 60x80", 128, 512, 1, 60, 80, {1, 1}, {1, 1}, {0, 0}, {0}},
    {"1x1 256>1024 30x40", 256, 1024, 1, 30, 40, {1, 1}, {1, 1}, {0, 0}, {0}},
    {"1x1 1024>256 30x40", 1024, 256, 1, 30, 40, {1, 1}, {1, 1}, {0, 0}, {0}},
    {"1x1 s2 256>512 56x56", 256, 512, 1, 56, 56, {1, 1}, {2, 2}, {0, 0}, {0}},
    {"patch 4x4 s4 3>96 224x224", 3, 96, 1, 224, 224, {4, 4}, {4, 4}, {0, 0}, {0}},
    {"patch 16x16 s16 3>768 224x224", 3, 768, 1, 224, 224, {16, 16}, {16, 16}, {0, 0}, {0}},
    {"patch 2x2 s2 96>192 56x56", 96, 192, 1, 56, 56, {2, 2}, {2, 2}, {0, 0}, {0}},
    {"patch 8x8 s8 32 128x128", 32, 32, 1, 128, 128, {8, 8}, {8, 8}, {0, 0}, {0}},
    {"depthwise 7x7 96 56x56", 96, 96, 96, 56, 56, {7, 7}, {1, 1}, {3, 3}, {0.85, 0.80}},
    {"depthwise 7x7 192 28x28", 192, 192, 192, 28, 28, {7, 7}, {1, 1}, {3, 3}, {0}},
    {"depthwise 7x7 384 14x14", 384, 384, 384, 14, 14, {7, 7}, {1, 1}, {3, 3}, {0}},
    {"depthwise 7x7 768 7x7", 768, 768, 768, 7, 7, {7, 7}, {1, 1}, {3, 3}, {0}},
    {"depthwise 7x7 512 14x14", 512, 512, 512, 14, 14, {7, 7}, {1, 1}, {3, 3}, {0}},
    {"depthwise 3x3 128 128x128", 128, 128, 128, 128, 128, {3, 3}, {1, 1}, {1, 1}, {0}},
    {"depthwise 3x3 1024 16x16", 1024, 1024, 1024, 16, 16, {3, 3}, {1, 1}, {1, 1}, {0}},
    {"1-D k10 s5 1>512 16000", 1, 512, 1, 1, 16000, {1, 10}, {1, 5}, {0, 0}, {0}},
    {"1-D k3 s2 512 3199", 512, 512, 1, 1, 3199, {1, 3}, {1, 2}, {0, 0}, {0}},
    {"1-D k128 groups 16 768 49", 768, 768, 16, 1, 49, {1, 128}, {1, 1}, {0, 64}, {0}},
    {"1-D k3 80>384 3000", 80, 384, 1, 1, 3000, {1, 3}, {1, 1}, {0, 1}, {0}},
    {"3x3 64>1 128x128", 64, 1, 1, 128, 128, {3, 3}, {1, 1}, {1, 1}, {0}},
};

/* By Winograd's filtering; what is counted are the operations that the plain sum has. */
#define FILTERED \
    { 1.6, 1.5 }
static const Layer filtered[] = {
    {"F2 3x3 64 56x56", 64, 64, 1, 56, 56, {3, 3}, {1, 1}, {1, 1}, FILTERED},
    {"F2 3x3 64 120x160", 64, 64, 1, 120, 160, {3, 3}, {1, 1}, {1, 1}, FILTERED},
    {"F2 3x3 128 28x28", 128, 128, 1, 28, 28, {3, 3}, {1, 1}, {1, 1}, FILTERED},
    {"F2 3x3 128 60x80", 128, 128, 1, 60, 80, {3, 3}, {1, 1}, {1, 1}, FILTERED},
    {"F2 3x3 256 14x14", 256, 256, 1, 14, 14, {3, 3}, {1, 1}, {1, 1}, FILTERED},
    {"F2 3x3 256 30x40", 256, 256, 1, 30, 40, {3, 3}, {1, 1}, {1, 1}, FILTERED},
    {"F2 3x3 512 7x7", 512, 512, 1, 7, 7, {3, 3}, {1, 1}, {1, 1}, {0}},
    {"F2 3x3 512 15x20", 512, 512, 1, 15, 20, {3, 3}, {1, 1}, {1, 1}, FILTERED},
    {"F2 3x3 s2 128 120x160", 128, 128, 1, 120, 160, {3, 3}, {2, 2}, {1, 1}, {0}},
    {"F2 3x3 s2 128 56x56", 128, 128, 1, 56, 56, {3, 3}, {2, 2}, {1, 1}, {0}},
    {"F2 3x3 s2 256 60x80", 256, 256, 1, 60, 80, {3, 3}, {2, 2}, {1, 1}, {0}},
    {"F2 3x3 s2 512 30x40", 512, 512, 1, 30, 40, {3, 3}, {2, 2}, {1, 1}, {0}},
};
static const Layer larger[] = {
    {"F4 3x3 64 56x56", 64, 64, 1, 56, 56, {3, 3}, {1, 1}, {1, 1}, {0}},
    {"F4 3x3 64 120x160", 64, 64, 1, 120, 160, {3, 3}, {1, 1}, {1, 1}, {0}},
    {"F4 3x3 128 60x80", 128, 128, 1, 60, 80, {3, 3}, {1, 1}, {1, 1}, {0}},
    {"F4 3x3 256 14x14", 256, 256, 1, 14, 14, {3, 3}, {1, 1}, {1, 1}, {0}},
    {"F4 3x3 256 30x40", 256, 256, 1, 30, 40, {3, 3}, {1, 1}, {1, 1}, {0}},
    {"F4 3x3 512 15x20", 512, 512, 1, 15, 20, {3, 3}, {1, 1}, {1, 1}, {0}},
};

static int64_t extent(const Layer *l, int axis, int64_t in) {
    return (in + 2 * l->pad[axis] - l->kernel[axis]) / l->stride[axis] + 1;
}

static TnTensor panels(float *data, int64_t k, int64_t n) {
    TnTensor w = bench_dense(data, TN_F32, 2, (int64_t[]){k, n});
    w.layout = TN_LAYOUT_PANELS16;
    return w;
}

/* As the compiler does. */
static bool by_places(const Layer *l) {
    return l->groups == 1 && l->stride[0] == 1 && l->stride[1] == 1 &&
           tn_conv_by_places(l->kernel[0] * l->kernel[1], l->channels, l->outputs);
}

/* In panels as a product's, or by taps where groups have few outputs. */
static TnTensor weights_of(const Layer *l, float *data, int64_t per_group) {
    int64_t taps = l->kernel[0] * l->kernel[1];
    if (by_places(l)) return panels(data, per_group, taps * l->outputs);
    if (tn_conv_is_product(l->groups, l->outputs / l->groups))
        return panels(data, taps * per_group, l->outputs);
    int64_t dims[] = {l->outputs, per_group, l->kernel[0], l->kernel[1]};
    int64_t strides[] = {1, l->outputs, l->kernel[1] * per_group * l->outputs,
                         per_group * l->outputs};
    TnTensor w = bench_dense(data, TN_F32, 4, dims);
    memcpy(w.strides, strides, sizeof strides);
    return w;
}

/* form: TN_CONV_WINOGRAD2, .. or 0. */
static void layer(Bench *b, const Layer *l, uint32_t form) {
    int64_t per_group = l->channels / l->groups;
    int64_t h = extent(l, 0, l->height), w = extent(l, 1, l->width);
    double taps = (double)(per_group * l->kernel[0] * l->kernel[1]);
    ParamsConv params = {.spatial = 2, .groups = (uint32_t)l->groups};
    params.flags = form ? form : by_places(l) ? TN_CONV_PLACES : 0;
    for (int i = 0; i < 2; i++) {
        params.kernel[i] = (uint32_t)l->kernel[i];
        params.stride[i] = l->stride[i];
        params.dilation[i] = 1;
        params.pad_begin[i] = params.pad_end[i] = l->pad[i];
    }
    const int elements = tn_conv_elements(&params);
    Case c = {.opcode = TN_OP_conv,
              .params = &params,
              .inputs = 4,
              .outputs = 1,
              .flops = 2 * taps * (double)(l->outputs * h * w)};
    snprintf(c.name, sizeof c.name, "conv %s", l->name);
    c.operands[0] = bench_image(b->activations, l->channels, l->height, l->width);
    c.operands[1] = elements
                        ? panels(b->weights, per_group, tn_winograd_columns(elements, l->outputs))
                        : weights_of(l, b->weights, per_group);
    c.operands[2] = bench_dense(b->more, TN_F32, 1, &l->outputs);
    c.operands[3] = bench_absent();
    c.operands[4] = bench_image(b->result, l->outputs, h, w);
    c.bytes =
        bench_bytes(&c.operands[0]) + 4 * taps * (double)l->outputs + bench_bytes(&c.operands[4]);
    c.span = (size_t)c.bytes;
    if (b->isa >= TN_ISA_AVX512) memcpy(c.target, l->target, sizeof c.target);
    bench_case(b, &c);
}

void bench_conv(Bench *b) {
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) layer(b, &layers[i], 0);
    for (size_t i = 0; i < sizeof filtered / sizeof *filtered; i++)
        layer(b, &filtered[i], TN_CONV_WINOGRAD2);
    for (size_t i = 0; i < sizeof larger / sizeof *larger; i++)
        layer(b, &larger[i], TN_CONV_WINOGRAD4);
}
