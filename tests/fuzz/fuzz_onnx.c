/* Any bytes as an ONNX file: open it and read all initializers, then import the graph. */
#include "frontend/frontend.h"
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

static void import_graph(Cx *cx, const void *path) {
    fuzz_check(!ir_verify(onnx_import(ir_module_new(cx), path, NULL)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = fuzz_file(data, size);
    fuzz_run(open_and_read, path);
    fuzz_run(import_graph, path);
    return 0;
}
