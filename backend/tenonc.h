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

#include "runtime/tenon.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tenonc tenonc;

typedef struct tenonc_options {
    size_t struct_size;
    const tenon_allocator *allocator; /* NULL = malloc */
    void (*progress)(void *user, const char *stage, int32_t done,
                     int32_t total); /* may be NULL; called from the compiling thread */
    void *progress_user;
} tenonc_options;

typedef struct tenonc_message {
    tenon_status code;
    const char *text; /* one or more lines; belongs to the compiler object */
} tenonc_message;

/* NULL when out of memory. */
TENON_API tenonc *tenonc_create(const tenonc_options *options);
TENON_API void tenonc_destroy(tenonc *c);
TENON_API const tenonc_message *tenonc_error(const tenonc *c);

/* Settings, before tenonc_add: "dim" ("batch=1", "sequence=1..512", "input_ids.0=4"), "rename-dim"
 * ("s21=batch"), "task" ("fill-mask"), "precision"
 * ("f32"), "require-fusion" ("attention=12"), "strip" ("1": no node names in the plan).
 * TENON_E_ARGUMENT for anything unknown. */
TENON_API tenon_status tenonc_set(tenonc *c, const char *key, const char *value);

/* Reads a model (an .onnx file or a checkpoint folder) as one function of the plan; `function` NULL
 * = "main". */
TENON_API tenon_status tenonc_add(tenonc *c, const char *model, const char *function);

/* Text of the graph after a pass ("import" = before any, NULL = after all); belongs to the compiler
 * object. */
TENON_API tenon_status tenonc_dump(tenonc *c, const char *after, const char **text);

/* Runs passes and backend and writes the plan, then opens and verifies it. */
TENON_API tenon_status tenonc_compile(tenonc *c, const char *plan_path);
/* The same into memory aligned to 64 bytes that belongs to the compiler object. */
TENON_API tenon_status tenonc_compile_memory(tenonc *c, const void **bytes, size_t *size);

/* After a compile: fusions fired and missed, instructions, memory. json != 0: as JSON. */
TENON_API tenon_status tenonc_report(tenonc *c, int32_t json, const char **text);

#ifdef __cplusplus
}
#endif
#endif
