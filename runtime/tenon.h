/* Tenon: runs compiled transformer models (.plan files).
 *
 * From simple to expert:
 *
 *     tenon_error err;
 *     tenon_plan *plan = NULL;
 *     tenon_session *s = NULL;
 *     tenon_plan_open("model.plan", NULL, &plan, &err);
 *     tenon_session_create(plan, NULL, &s, &err);
 *     tenon_session_bind(s, "input_ids", &(tenon_tensor){.dtype = TENON_I64, .rank = 2, .dims = {1, 5}, .data = ids}, &err);
 *     tenon_session_run(s, &err);                      // prepares by itself when shapes changed
 *     tenon_tensor logits;
 *     tenon_session_tensor(s, "logits", &logits, &err);  // a view, valid until the next bind, prepare or run
 *
 * Rules that hold for every function:
 *   - Functions that can fail return a tenon_status (0 is success) and fill the optional `err`. On failure nothing has to be freed
 *     and outputs are untouched.
 *   - No globals, no environment variables, no printing, no signals, no abort. Opening a plan starts no thread.
 *   - A plan file is untrusted: it is verified when opened, always. No plan and no input makes these functions read or
 *     write outside their memory.
 *   - Structs of options start with `struct_size`; pass NULL for defaults. Strings are UTF-8.
 */
#ifndef TENON_H
#define TENON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef TENON_API
#define TENON_API __attribute__((visibility("default")))
#endif

#define TENON_VERSION_MAJOR 0
#define TENON_VERSION_MINOR 1
#define TENON_VERSION_PATCH 0
#define TENON_MAX_RANK 8

/* Result codes; a released number is never reused. */
typedef enum tenon_status {
    TENON_OK = 0,
    TENON_E_ARGUMENT = 1,     /* NULL handle, unknown name, calls in the wrong order */
    TENON_E_SHAPE = 2,        /* a dimension breaks the model's input contract */
    TENON_E_DTYPE = 3,        /* tensor of the wrong element type */
    TENON_E_RANGE = 4,        /* an index in the data (a token id, say) lies outside its table */
    TENON_E_BUSY = 5,         /* the session is in use by another thread */
    TENON_E_CANCELLED = 6,    /* tenon_session_cancel was called */
    TENON_E_IO = 10,          /* the file cannot be opened or read */
    TENON_E_FORMAT = 11,      /* not a plan file */
    TENON_E_VERSION = 12,     /* a plan for another version of Tenon */
    TENON_E_CORRUPT = 20,     /* a damaged plan: truncated, checksum, offsets */
    TENON_E_INVALID = 21,     /* a plan that breaks a rule of the format */
    TENON_E_MEMORY = 30,      /* out of memory */
    TENON_E_LIMIT = 31,       /* larger than the session's memory limit or a documented limit */
    TENON_E_MODEL = 40,       /* compiler: the model is wrong */
    TENON_E_UNSUPPORTED = 41, /* compiler: the model is valid but not supported */
    TENON_E_REQUIRE = 42      /* compiler: a required fusion did not happen */
} tenon_status;

/* Where an error is described; owned by the caller, filled by the callee, never allocated. */
typedef struct tenon_error {
    tenon_status code;
    int32_t instruction; /* index in the function, or -1 */
    char node[128];      /* the model's node(s) the instruction came from, or "" */
    char text[512];      /* one line: where, what was found, what was wanted */
} tenon_error;

/* Element types; numbers are those of the plan format. */
typedef enum tenon_dtype {
    TENON_F32 = 1, TENON_F16 = 2, TENON_BF16 = 3, TENON_F64 = 4,
    TENON_I8 = 5, TENON_I16 = 6, TENON_I32 = 7, TENON_I64 = 8,
    TENON_U8 = 9, TENON_U16 = 10, TENON_U32 = 11, TENON_U64 = 12,
    TENON_BOOL = 13 /* one byte, 0 or 1 */
} tenon_dtype;

/* A dense, row-major tensor in the caller's or the session's memory. */
typedef struct tenon_tensor {
    tenon_dtype dtype;
    int32_t rank;
    int64_t dims[TENON_MAX_RANK];
    void *data;   /* aligned to its element size; inputs are only read */
    size_t bytes; /* size of `data`; 0 = exactly what dims and dtype need (inputs only) */
} tenon_tensor;

typedef struct tenon_plan tenon_plan;       /* immutable, reference-counted, usable from any thread and after fork */
typedef struct tenon_pool tenon_pool;       /* threads, shared by any number of sessions */
typedef struct tenon_session tenon_session; /* arena and bindings of one function; one thread at a time */

/* Memory hooks; `allocate` returns memory aligned to `alignment` or NULL. */
typedef struct tenon_allocator {
    void *(*allocate)(void *user, size_t bytes, size_t alignment);
    void (*release)(void *user, void *memory);
    void *user;
} tenon_allocator;

typedef enum tenon_isa { TENON_ISA_AUTO = 0, TENON_ISA_SCALAR = 1, TENON_ISA_AVX2 = 2, TENON_ISA_AVX512 = 3 } tenon_isa;

typedef struct tenon_plan_options {
    size_t struct_size;
    const tenon_allocator *allocator; /* NULL = malloc; copied; must outlive the plan and its sessions */
    tenon_isa isa;                    /* forces a level; TENON_E_ARGUMENT if this CPU lacks it */
    int32_t read_into_memory;         /* 1: read weights instead of mapping them (a file that may be truncated while in use) */
} tenon_plan_options;

typedef struct tenon_session_options {
    size_t struct_size;
    const char *function;   /* NULL = the plan's first */
    tenon_pool *pool;       /* NULL = run on the calling thread */
    uint64_t memory_limit;  /* bytes of arena; 0 = no limit. Beyond it prepare fails with TENON_E_LIMIT */
} tenon_session_options;

/* Version of the library as "0.1.0"; constant text. */
TENON_API const char *tenon_version(void);

/* Constant text for a code: "shape", "corrupt", ... */
TENON_API const char *tenon_status_name(tenon_status code);

/* Maps and verifies a plan. Work is proportional to the number of instructions, not to the size of the weights. */
TENON_API tenon_status tenon_plan_open(const char *path, const tenon_plan_options *options, tenon_plan **plan, tenon_error *err);

/* The same over the caller's bytes, which must stay unchanged and start at a multiple of 64 until the last close. */
TENON_API tenon_status tenon_plan_open_memory(const void *bytes, size_t size, const tenon_plan_options *options, tenon_plan **plan, tenon_error *err);

/* Takes one more reference. Each session holds one of its own. */
TENON_API tenon_plan *tenon_plan_retain(tenon_plan *plan);

/* Drops one reference; NULL is fine. */
TENON_API void tenon_plan_close(tenon_plan *plan);

/* Value of a metadata key ("source", "architecture", "labels", ...) or NULL; owned by the plan. */
TENON_API const char *tenon_plan_meta(const tenon_plan *plan, const char *key);

/* One input or output of a function. */
typedef struct tenon_port {
    const char *name;
    tenon_dtype dtype;
    int32_t rank;
    int32_t is_output;
    int32_t is_optional;                     /* an input that may be left out */
    int64_t dims[TENON_MAX_RANK];            /* -1 where the length is symbolic */
    const char *symbols[TENON_MAX_RANK];     /* the length as text: "batch", "sequence", "768" */
} tenon_port;

/* Describes port `index` (inputs first, then outputs) of `function` (NULL = first). TENON_E_ARGUMENT past the end. Strings belong to the plan. */
TENON_API tenon_status tenon_plan_port(const tenon_plan *plan, const char *function, int32_t index, tenon_port *port, tenon_error *err);

/* threads = 0: the CPUs this process may use. No thread starts before the first run that needs one. */
TENON_API tenon_status tenon_pool_create(int32_t threads, tenon_pool **pool, tenon_error *err);
TENON_API void tenon_pool_destroy(tenon_pool *pool); /* after its sessions; NULL is fine */

TENON_API tenon_status tenon_session_create(tenon_plan *plan, const tenon_session_options *options, tenon_session **session, tenon_error *err);
TENON_API void tenon_session_destroy(tenon_session *session); /* NULL is fine */

/* Attaches the caller's memory to an input or output without copying; dims of inputs set the model's symbols. An output left
 * unbound lives in the arena; a bound one needs `bytes`, and a dim of -1 leaves that length to the model. tensor == NULL takes a
 * binding back. The memory must stay valid through run. */
TENON_API tenon_status tenon_session_bind(tenon_session *session, const char *name, const tenon_tensor *tensor, tenon_error *err);

/* Solves the symbols, checks the contract, lays out the arena: the only call that allocates. Cheap when nothing changed. */
TENON_API tenon_status tenon_session_prepare(tenon_session *session, tenon_error *err);

/* Runs the function (prepares first when needed). TENON_E_RANGE if the data holds an index outside its table; outputs then
 * hold no defined values. */
TENON_API tenon_status tenon_session_run(tenon_session *session, tenon_error *err);

/* View of an input or output by name: valid until the next bind, prepare or run. Before prepare: TENON_E_ARGUMENT. */
TENON_API tenon_status tenon_session_tensor(tenon_session *session, const char *name, tenon_tensor *tensor, tenon_error *err);

/* Any thread or signal handler: a run in progress returns TENON_E_CANCELLED after the instruction at hand; otherwise no effect. */
TENON_API void tenon_session_cancel(tenon_session *session);

typedef struct tenon_memory {
    size_t struct_size;
    uint64_t weights;  /* bytes of the plan's constants (mapped) */
    uint64_t program;  /* bytes held by the plan apart from weights */
    uint64_t arena;    /* bytes of the session's arena as prepared, scratch included */
    uint64_t live;     /* largest sum of bytes that are live at once */
    uint64_t scratch;  /* bytes of per-thread scratch within the arena */
} tenon_memory;
TENON_API tenon_status tenon_session_memory(const tenon_session *session, tenon_memory *memory, tenon_error *err);

/* Called around every instruction of later runs; for profilers, dumpers and bisecting. */
typedef struct tenon_event {
    int32_t instruction;
    const char *opcode;      /* "gemm" */
    const char *node;        /* where it came from, or "" */
    int64_t nanoseconds;     /* duration */
    int32_t output_count;
    const tenon_tensor *outputs; /* dense copies are not made: entries with data == NULL are strided views */
} tenon_event;
typedef void tenon_trace_fn(void *user, const tenon_event *event);
TENON_API tenon_status tenon_session_trace(tenon_session *session, tenon_trace_fn *fn, void *user, tenon_error *err);

#ifdef __cplusplus
}
#endif
#endif
