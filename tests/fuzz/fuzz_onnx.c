/* Any bytes as an ONNX file: open it and read all initializers. */
#include "frontend/onnx/tensor.h"
#include "tests/fuzz/fuzz.h"

static void open_and_read(Cx *cx, const void *path) {
    OnnxModel *m = onnx_open(cx, path);
    const Onnx__GraphProto *graph = m->proto->graph;
    for (size_t i = 0; i < graph->n_initializer; i++) {
        OnnxTensor t;
        int64_t elements = 1;
        onnx_tensor(m, graph->initializer[i], &t);
        for (int d = 0; d < t.rank; d++) elements *= t.dims[d];
        fuzz_check(t.bytes == (size_t)elements * tn_dtype_size(t.dtype));
        fuzz_touch(t.data, t.bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_run(open_and_read, fuzz_file(data, size));
    return 0;
}
