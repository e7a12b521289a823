/* tenonc: compiles transformer models to plans.
 *
 *     tenonc *c = tenonc_create(NULL);
 *     if (tenonc_add(c, "model.onnx", NULL) || tenonc_compile(c, "model.plan"))
 *         fprintf(stderr, "%s\n", tenonc_error(c)->text);
 *     tenonc_destroy(c);
 *
 * One compiler object serves one compilation, in one thread at a time. Every call that can fail
 * returns a tenon_status (0 is success); after a failure only tenonc_error and tenonc_destroy may
 * follow. No call prints, aborts or exits. Output files appear whole or not at all. */
#ifndef TENONC_H
#define TENONC_H

#include <stdbool.h>
#include "runtime/tenon.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tenonc tenonc;

typedef struct tenonc_options {
    size_t struct_size;
    const tenon_allocator *allocator; /* NULL = malloc */
    /* Called from the compiling thread as steps of a stage are done; may be NULL. Returns 0, or
     * anything else to have the call at hand fail with CANCELLED. */
    int32_t (*progress)(void *user, const char *stage, int32_t done, int32_t total);
    void *progress_user;
} tenonc_options;

typedef struct tenonc_message {
    tenon_status code;
    const char *text; /* one or more lines; belongs to the compiler object */
} tenonc_message;

/* To be destroyed by the caller; NULL when out of memory. */
TENON_API tenonc *tenonc_create(const tenonc_options *options);

/* Frees everything that belongs to the compiler object. NULL is fine. */
TENON_API void tenonc_destroy(tenonc *c);

/* What the last failed call says; code TENON_OK and "" if none failed. */
TENON_API const tenonc_message *tenonc_error(const tenonc *c);

/* What is wrong with a model or unsupported: all of it where one attempt can find all, else the
 * first. Nodes that read results of one with a problem are skipped and only counted. */
typedef struct tenonc_problem {
    tenon_status code; /* TENON_E_UNSUPPORTED, or the model is wrong */
    /* "operator" (unknown), "attribute", "type", "length", "input", "output", "initializer", "node"
     * (anything else about one), "instruction" (when lowering), "model" */
    const char *kind;
    const char *domain; /* of the operator; "": ONNX's own */
    const char *op;     /* NULL: about no operator */
    int64_t opset;      /* of the domain; 0: not known */
    const char *reason;
    const char *help;         /* what can be done, or NULL */
    const char *const *nodes; /* names of the first of them, or of inputs, outputs, initializers */
    int32_t named;            /* how many names */
    int64_t count;            /* how many there are */
} tenonc_problem;

/* After a failure: the i-th problem in *problem, which is to be released by nobody; false behind
 * the last. */
TENON_API bool tenonc_problem_at(const tenonc *c, int32_t i, tenonc_problem *problem);
/* How many nodes were skipped. */
TENON_API int64_t tenonc_skipped(const tenonc *c);

/* Settings, before tenonc_add:
 *
 *     dim             "batch=1", "sequence=1..512", "input_ids.0=4": fixes or bounds a length
 *     rename-dim      "s21=batch"
 *     task            "fill-mask": what a checkpoint is compiled as
 *     precision       "f32", "bf16": of weights and of values between products; sums, statistics,
 *                     inputs and results stay f32. "int8", "int4": of weights of products and of
 *                     tables, with a scale for each 32; values stay f32, but CPUs with VNNI round
 *                     rows that they multiply to 16 bits
 *     require-fusion  "attention=12": the compile fails unless it fired that often
 *     state           "auto": past and present pairs become states of the plan; "off"
 *     padding         "skip": results hold zeros in rows that the model's mask says are padding,
 *                     and these are not computed; "keep": what the model computes there, where
 *                     returned
 *     conv            "fast": convolutions of 3 x 3 in fewer multiplications, their rounding
 *                     errors about twice as large; "accurate"
 *     strip           "1": no node names in the plan
 *     unfused         "1": a plan of the graph as imported, for looking at every value of it
 *
 * TENON_E_ARGUMENT for anything unknown. */
TENON_API tenon_status tenonc_set(tenonc *c, const char *key, const char *value);

/* Reads a model, an .onnx file or a checkpoint folder, as one function of the plan; a `function` of
 * NULL is "main". Fails with ARGUMENT (two functions of one name), IO, FORMAT, CORRUPT, MODEL,
 * UNSUPPORTED, LIMIT or MEMORY. */
TENON_API tenon_status tenonc_add(tenonc *c, const char *model, const char *function);

/* The graphs after a pass ("import" = before any, NULL = after all) as "text", "json" or "dot"; the
 * result belongs to the compiler object. JSON takes several passes, "import,canon,fuse_map", or
 * "all". ARGUMENT if there is no such pass or format. */
TENON_API tenon_status tenonc_dump(tenonc *c, const char *format, const char *after,
                                   const char **text);

/* Runs passes and backend and writes the plan, then opens and verifies it. Fails as tenonc_add
 * does, with REQUIRE if a required fusion did not happen, and with INVALID for a bug of the
 * compiler. */
TENON_API tenon_status tenonc_compile(tenonc *c, const char *plan_path);
/* The same into memory aligned to 64 bytes that belongs to the compiler object. */
TENON_API tenon_status tenonc_compile_memory(tenonc *c, const void **bytes, size_t *size);

/* After a compile: fusions fired and missed, instructions, memory. json != 0: as JSON. The text
 * belongs to the compiler object. */
TENON_API tenon_status tenonc_report(tenonc *c, int32_t json, const char **text);

#ifdef __cplusplus
}
#endif
#endif
