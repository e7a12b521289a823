/* Entry points that turn a model on disk into a graph of the IR, and what they share. */
#ifndef TENON_FRONTEND_FRONTEND_H
#define TENON_FRONTEND_FRONTEND_H

#include "ir/ir.h"

/* --dim NAME=N, NAME=MIN..MAX, INPUT.AXIS=N, INPUT.AXIS=MIN..MAX; --rename-dim A=B */
typedef struct DimOption {
    const char *name; /* symbol or "input.axis" */
    int64_t min, max;
    const char *rename; /* non-NULL: the symbol's new name; min and max unused */
    bool used;
    struct DimOption *next;
} DimOption;

typedef struct ImportOptions {
    const char *function; /* name of the graph; NULL = "main" */
    const char *task; /* checkpoint folders: instead of what config.json's architectures names */
    DimOption *dims;
} ImportOptions;

/* Both append one graph to `m` and raise on anything wrong; the module keeps pointers into the
 * mapped files, which stay open until the context ends. Sets metadata: "source", "producer",
 * "architecture", ... */
Graph *onnx_import(Module *m, const char *path, ImportOptions *o);
Graph *hf_import(Module *m, const char *folder, ImportOptions *o);
/* An .onnx file or a checkpoint folder, by looking at it. */
Graph *frontend_import(Module *m, const char *path, ImportOptions *o);

/* A declared axis of an input: a number, or (value < 0) a symbol; symbol NULL: one named
 * "INPUT_AXIS". */
typedef struct FrontendAxis {
    int64_t value;
    const char *symbol;
} FrontendAxis;
/* Adds an input whose symbolic axes are fixed, bounded and renamed as the options say. */
Value *frontend_input(Graph *g, ImportOptions *o, const char *name, TnDType dtype, int rank,
                      const FrontendAxis *axes, InputDefault fill);
/* Builds a graph again until no round learns a new requirement: at most 16 rounds. */
typedef void GraphBuilder(Graph *g, void *user);
Graph *frontend_build(Module *m, const char *name, GraphBuilder *build, void *user);

#endif
