/* pool, resize, resize_plane, deformable_attention: images, channels last. */
#include <stdio.h>
#include "bench/kernels/bench.h"

static void pool(Bench *b, TnPoolMode mode, int64_t channels, int64_t size, uint32_t kernel,
                 uint32_t stride, uint32_t pad) {
    ParamsPool params = {.spatial = 2, .mode = mode, .p = 2};
    for (int i = 0; i < 2; i++) {
        params.kernel[i] = kernel;
        params.stride[i] = stride;
        params.dilation[i] = 1;
    }
    int64_t out = (size + 2 * pad - kernel) / stride + 1;
    Case c = {.opcode = TN_OP_pool,
              .params = &params,
              .inputs = 1,
              .outputs = 2,
              .scalars = {pad, pad, pad, pad},
              .scalar_count = 4,
              .flops = (double)(channels * out * out * kernel * kernel),
              .copies = true};
    snprintf(c.name, sizeof c.name, "pool %s %ux%u s%u %lld %lldx%lld",
             mode == TN_POOL_MAX ? "max" : "mean", kernel, kernel, stride, (long long)channels,
             (long long)size, (long long)size);
    c.operands[0] = bench_image(b->activations, channels, size, size);
    c.operands[1] = bench_image(b->result, channels, out, out);
    c.operands[2] = bench_absent();
    c.bytes = bench_bytes(&c.operands[0]) + bench_bytes(&c.operands[1]);
    c.span = (size_t)c.bytes;
    bench_case(b, &c);
}

/* One axis of an image at a time. */
static void resize(Bench *b, TnResizeMode mode, int64_t channels, int64_t from, int64_t to,
                   uint32_t axis) {
    ParamsResize params = {.axis = axis, .mode = mode, .cubic_a = -0.75};
    Case c = {.opcode = TN_OP_resize,
              .params = &params,
              .inputs = 2,
              .outputs = 1,
              .flops = 4 * (double)(channels * to * (axis == 2 ? from : to)),
              .copies = true};
    snprintf(c.name, sizeof c.name, "resize %s %s %lld %lld>%lld",
             mode == TN_RESIZE_LINEAR ? "linear" : "nearest", axis == 2 ? "rows" : "columns",
             (long long)channels, (long long)from, (long long)to);
    c.operands[0] = bench_image(b->activations, channels, axis == 2 ? from : to, from);
    c.operands[1] = bench_absent();
    c.operands[2] = bench_image(b->result, channels, to, axis == 2 ? from : to);
    c.bytes = bench_bytes(&c.operands[0]) + bench_bytes(&c.operands[2]);
    c.span = (size_t)c.bytes;
    bench_case(b, &c);
}

/* Both axes at once, onto another image or not. */
static void plane(Bench *b, int64_t channels, int64_t from, int64_t to, bool adds) {
    ParamsResizePlane params = {.resize = {.axis = 3, .mode = TN_RESIZE_LINEAR}, .down = 2};
    Case c = {.opcode = TN_OP_resize_plane,
              .params = &params,
              .inputs = 4,
              .outputs = 1,
              .flops = 8 * (double)(channels * to * to),
              .copies = true};
    snprintf(c.name, sizeof c.name, "resize_plane%s %lld %lld>%lld", adds ? " onto" : "",
             (long long)channels, (long long)from, (long long)to);
    c.operands[0] = bench_image(b->activations, channels, from, from);
    c.operands[1] = c.operands[2] = bench_absent();
    c.operands[3] = adds ? bench_image(b->more, channels, to, to) : bench_absent();
    c.operands[4] = bench_image(b->result, channels, to, to);
    c.bytes = bench_bytes(&c.operands[0]) + (adds ? 2 : 1) * bench_bytes(&c.operands[4]);
    c.span = (size_t)c.bytes;
    bench_case(b, &c);
}

/* Every place of maps of size, 2 size and 4 size squared asks for points around itself. */
static void deformable(Bench *b, int64_t size, int64_t heads, int64_t depth, int64_t points) {
    ParamsDeformable params = {.softmax = 1};
    int64_t places = 21 * size * size, at = 0;
    Case c = {.opcode = TN_OP_deformable_attention,
              .params = &params,
              .inputs = 3,
              .outputs = 1,
              .scalars = {size, size, 2 * size, 2 * size, 4 * size, 4 * size},
              .scalar_count = 6,
              .flops = 8 * (double)(places * heads * 3 * points * depth)};
    snprintf(c.name, sizeof c.name, "deformable_attention %lld of %lldx%lld by 3x%lld",
             (long long)places, (long long)heads, (long long)depth, (long long)points);
    for (int64_t n = size; n <= 4 * size; n *= 2)
        for (int64_t i = 0; i < n * n * heads * 3 * points; i++) {
            b->more[at++] = 2 * ((float)(i / (heads * 3 * points) % n) + 0.3f) / (float)n - 1;
            b->more[at++] = 2 * ((float)(i / (heads * 3 * points) / n) + 0.6f) / (float)n - 1;
        }
    c.operands[0] = bench_dense(b->activations, TN_F32, 4, (int64_t[]){1, places, heads, depth});
    c.operands[1] = bench_dense(b->more, TN_F32, 6, (int64_t[]){1, places, heads, 3, points, 2});
    c.operands[2] = bench_dense(b->weights, TN_F32, 4, (int64_t[]){1, places, heads, 3 * points});
    c.operands[3] = bench_dense(b->result, TN_F32, 4, (int64_t[]){1, places, heads, depth});
    c.bytes = 4.0 * (double)(places * heads * (2 * depth + 9 * points));
    c.span = (size_t)c.bytes;
    bench_case(b, &c);
}

void bench_window(Bench *b) {
    pool(b, TN_POOL_MAX, 64, 112, 3, 2, 1);
    pool(b, TN_POOL_MAX, 64, 240, 3, 2, 1);
    pool(b, TN_POOL_AVG, 2048, 7, 7, 7, 0);
    resize(b, TN_RESIZE_LINEAR, 256, 16, 128, 2);
    resize(b, TN_RESIZE_LINEAR, 256, 16, 128, 3);
    resize(b, TN_RESIZE_LINEAR, 64, 120, 240, 3);
    resize(b, TN_RESIZE_NEAREST, 256, 24, 48, 2);
    resize(b, TN_RESIZE_NEAREST, 256, 24, 48, 3);
    plane(b, 64, 30, 60, false);
    plane(b, 64, 180, 360, false);
    plane(b, 256, 16, 128, true);
    deformable(b, 12, 8, 32, 4);
}
