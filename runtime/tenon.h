/* Tenon: runs compiled transformer models (.plan files).
 *
 * From simple to expert:
 *
 *     tenon_error err;
 *     tenon_plan *plan = NULL;
 *     tenon_session *s = NULL;
 *     int64_t ids[] = {101, 7592, 2088, 999, 102};
 *     tenon_tensor in = {.dtype = TENON_I64, .rank = 2, .dims = {1, 5}, .data = ids}, out;
 *
 *     tenon_plan_open("model.plan", NULL, &plan, &err);
 *     tenon_session_create(plan, NULL, &s, &err);
 *     tenon_session_bind(s, "input_ids", &in, &err);
 *     tenon_session_run(s, &err);                    // prepares by itself when shapes changed
 *     tenon_session_tensor(s, "logits", &out, &err); // a view, valid until the next bind or run
 *     tenon_session_destroy(s);
 *     tenon_plan_close(plan);
 *
 * Rules that hold for every function:
 *   - A function that can fail returns a tenon_status (0 is success) and describes the failure in
 *     `err`, which may be NULL. After a failure nothing has to be freed and nothing was written to
 *     the places for results, except by a run that had begun (see tenon_session_run).
 *   - Any thread may use a plan. A session serves one thread at a time; a second one that calls it
 *     meanwhile gets TENON_E_BUSY. Different sessions are independent.
 *   - No globals, no environment variables, no printing, no signals, no abort. Opening a plan
 *     starts no thread.
 *   - A plan file is untrusted: it is verified when opened, always. No plan and no input makes
 *     these functions read or write outside their memory.
 *   - Structs of options start with `struct_size`, to be set to the struct's sizeof; fields left
 *     zero have their defaults, and NULL instead of the struct means all defaults.
 *   - Strings are UTF-8 and end in NUL.
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
#define TENON_MAX_RANK      8

/* --- results, errors, tensors --- */

/* Result codes; a released number is never reused. */
typedef enum tenon_status {
    TENON_OK = 0,
    TENON_E_ARGUMENT = 1,     /* NULL handle, unknown name, calls in the wrong order */
    TENON_E_SHAPE = 2,        /* a dimension breaks the model's input contract */
    TENON_E_DTYPE = 3,        /* tensor of the wrong element type */
    TENON_E_RANGE = 4,        /* an index in the data (a token id, say) lies outside its table */
    TENON_E_BUSY = 5,         /* the session is in use by another thread */
    TENON_E_CANCELLED = 6,    /* the caller ended a run (tenon_session_cancel) or a compilation */
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
    TENON_F32 = 1,
    TENON_F16 = 2,
    TENON_BF16 = 3,
    TENON_F64 = 4,
    TENON_I8 = 5,
    TENON_I16 = 6,
    TENON_I32 = 7,
    TENON_I64 = 8,
    TENON_U8 = 9,
    TENON_U16 = 10,
    TENON_U32 = 11,
    TENON_U64 = 12,
    TENON_BOOL = 13, /* one byte, 0 or 1 */
    TENON_F8E4M3FN = 14,
    TENON_F8E4M3FNUZ = 15,
    TENON_F8E5M2 = 16,
    TENON_F8E5M2FNUZ = 17,
    TENON_F8E8M0 = 18
} tenon_dtype;

/* A dense, row-major tensor in the caller's or the session's memory. */
typedef struct tenon_tensor {
    tenon_dtype dtype;
    int32_t rank;
    int64_t dims[TENON_MAX_RANK];
    void *data;   /* aligned to its element size; inputs are only read */
    size_t bytes; /* size of `data`; 0 = exactly what dims and dtype need (inputs only) */
} tenon_tensor;

/* Immutable, reference-counted, usable from any thread and after fork. */
typedef struct tenon_plan tenon_plan;
/* Threads, shared by any number of sessions. */
typedef struct tenon_pool tenon_pool;
/* Arena and bindings of one function; one thread at a time. */
typedef struct tenon_session tenon_session;

/* Version of the library as "0.1.0"; constant text. */
TENON_API const char *tenon_version(void);

/* Constant text for a code: "shape", "corrupt", ...; "unknown" for any other number. */
TENON_API const char *tenon_status_name(tenon_status code);

/* --- plans --- */

/* Memory hooks; `allocate` returns memory aligned to `alignment` (a power of two) or NULL. They are
 * called by the threads that use the plan and its sessions. */
typedef struct tenon_allocator {
    void *(*allocate)(void *user, size_t bytes, size_t alignment);
    void (*release)(void *user, void *memory);
    void *user;
} tenon_allocator;

/* Instruction sets that kernels exist for; a CPU that has one has those before it. */
typedef enum tenon_isa {
    TENON_ISA_AUTO = 0, /* the best that this CPU has */
    TENON_ISA_SCALAR = 1,
    TENON_ISA_AVX2 = 2,
    TENON_ISA_AVX512 = 3,
    TENON_ISA_AVX512_VNNI = 4, /* and its products of 8 bits */
    TENON_ISA_AVX512_BF16 = 5  /* and its products of bf16 */
} tenon_isa;

typedef struct tenon_plan_options {
    size_t struct_size;
    const tenon_allocator *allocator; /* NULL = malloc; copied; `user` outlives plan and sessions */
    tenon_isa isa;                    /* forces a level; TENON_E_ARGUMENT if this CPU lacks it */
    int32_t read_into_memory; /* 1: read the file instead of mapping it, as it may be truncated */
} tenon_plan_options;

/* Maps and verifies a plan and stores it in *plan, to be closed by the caller. The work grows with
 * the number of instructions, not with the size of the weights, which are neither read nor checked.
 * The file must not be changed while the plan is open, unless read_into_memory is set.
 * Fails with ARGUMENT, IO, FORMAT, VERSION, CORRUPT, INVALID, LIMIT or MEMORY. */
TENON_API tenon_status tenon_plan_open(const char *path, const tenon_plan_options *options,
                                       tenon_plan **plan, tenon_error *err);

/* The same over the caller's bytes, which start at a multiple of 64 and must stay unchanged until
 * the last reference is gone. Fails likewise, but for IO. */
TENON_API tenon_status tenon_plan_open_memory(const void *bytes, size_t size,
                                              const tenon_plan_options *options, tenon_plan **plan,
                                              tenon_error *err);

/* Takes one more reference and returns the plan. Each session holds one of its own, so a plan may
 * be closed before its sessions are destroyed. Any thread. */
TENON_API tenon_plan *tenon_plan_retain(tenon_plan *plan);

/* Drops one reference; the last one unmaps the file. NULL is fine. Any thread. */
TENON_API void tenon_plan_close(tenon_plan *plan);

/* Value of a metadata key ("source", "architecture", "task", ...) or NULL; owned by the plan. */
TENON_API const char *tenon_plan_meta(const tenon_plan *plan, const char *key);

/* One input or output of a function. Strings belong to the plan. */
typedef struct tenon_port {
    const char *name;
    tenon_dtype dtype;
    int32_t rank;
    int32_t is_output;
    int32_t is_optional;                 /* an input that may be left out */
    int64_t dims[TENON_MAX_RANK];        /* -1 where the length is symbolic */
    const char *symbols[TENON_MAX_RANK]; /* the length as text: "batch", "sequence", "768" */
} tenon_port;

/* Describes port `index` of `function` (NULL = the first): inputs come first, then outputs.
 * TENON_E_ARGUMENT for an unknown function and past the last port, which is how a loop ends. */
TENON_API tenon_status tenon_plan_port(const tenon_plan *plan, const char *function, int32_t index,
                                       tenon_port *port, tenon_error *err);

/* --- sessions: bind, prepare, run, look --- */

typedef struct tenon_session_options {
    size_t struct_size;
    const char *function;       /* NULL = the plan's first */
    tenon_pool *pool;           /* NULL = run on the calling thread; must outlive the session */
    uint64_t memory_limit;      /* bytes of arena and states; 0 = no limit. Beyond it: LIMIT */
    tenon_session *share_state; /* use this session's states; of the same plan. NULL = own ones */
    int64_t state_capacity; /* rows that growing states get at once; with share_state not used */
} tenon_session_options;

/* A session on one function of the plan, to be destroyed by the caller. Everything but arena and
 * states is allocated here. States that are shared live as long as one of the sessions does. Fails
 * with ARGUMENT or MEMORY. Any thread; that of share_state must not be destroyed meanwhile. */
TENON_API tenon_status tenon_session_create(tenon_plan *plan, const tenon_session_options *options,
                                            tenon_session **session, tenon_error *err);

/* Frees the session and its reference to the plan; views it gave out end. NULL is fine. No other
 * thread may be using it. */
TENON_API void tenon_session_destroy(tenon_session *session);

/* Attaches the caller's memory to an input or output without copying; for the name of a state see
 * below. The dims of inputs set the model's symbols. An output left unbound lives in the arena; a
 * bound one needs `bytes`, and a dim of -1 leaves that length to the model. `tensor` == NULL takes
 * a binding back. The struct is copied; the memory it points to must stay valid through the runs
 * that use it and no other run may write it meanwhile. Fails with ARGUMENT (name, data, alignment,
 * bytes), DTYPE, SHAPE (rank, negative dims) or BUSY; an earlier binding then stays. */
TENON_API tenon_status tenon_session_bind(tenon_session *session, const char *name,
                                          const tenon_tensor *tensor, tenon_error *err);

/* Solves the symbols, checks the model's contract, lays out the arena: after creation the only step
 * that allocates, and only when the arena has to grow (where lengths depend on data and have no
 * bound, run allocates for what follows the instruction that measures them). Does nothing when no
 * binding changed, and little when no shape did. Fails with ARGUMENT (an input is missing, an
 * output is too small or overlaps), SHAPE (a dim breaks the contract: the message names input, axis
 * and requirement), LIMIT, MEMORY, INVALID (a plan that breaks its own bounds with these dims) or
 * BUSY. */
TENON_API tenon_status tenon_session_prepare(tenon_session *session, tenon_error *err);

/* Runs the function; prepares first when needed and then fails as prepare does, also where a length
 * that the data decides breaks the contract or LIMIT. RANGE if the data holds an index outside its
 * table, CANCELLED if told so: outputs then hold no defined values. The results are the same bits
 * for any number of threads. */
TENON_API tenon_status tenon_session_run(tenon_session *session, tenon_error *err);

/* View of an input or output by name, with its dims as prepared: valid until the next bind, prepare
 * or run. Fails with ARGUMENT (unknown name, not prepared yet, an output whose dims depend on data
 * before the run) or BUSY. */
TENON_API tenon_status tenon_session_tensor(tenon_session *session, const char *name,
                                            tenon_tensor *tensor, tenon_error *err);

/* --- states ---
 *
 * A plan compiled with `--state auto` keeps the caches of a decoder itself: a state has the name of
 * the input that it was in the model, and neither it nor the output that it became are ports. A
 * session begins with empty states. A run appends to them what it computes, so the caller binds
 * new tokens only, and masks for all there is:
 *
 *     tenon_session_options o = {.struct_size = sizeof o, .function = "prefill"};
 *     tenon_session_create(plan, &o, &prefill, &err);
 *     o.function = "decode";
 *     o.share_state = prefill;
 *     tenon_session_create(plan, &o, &decode, &err);        // goes on where prefill ended
 *
 * A run that fails or is cancelled leaves states as they were, but that those which its function
 * writes anew are empty, from prepare on if they change their dims. A run whose batch is not that
 * of a state which is not empty fails with SHAPE. Sessions that share states are used by one thread
 * at a time, as if they were one; another thread gets BUSY. Binding a state's name copies the
 * tensor: it is the state's new contents, NULL empties it; this fails with MEMORY or LIMIT too. */

/* Keeps at most the first `length` rows of every state that grows: 0 begins anew, less than now
 * takes tokens back. States that no function appends to (of an encoder) stay. Fails with ARGUMENT
 * or BUSY. */
TENON_API tenon_status tenon_session_truncate(tenon_session *session, int64_t length,
                                              tenon_error *err);

/* Beam search: sequence i becomes a copy of what is now sequence rows[i], in all states; `count`
 * sequences from then on. Fails with ARGUMENT, RANGE (no such sequence; the states are unchanged),
 * LIMIT, MEMORY (both sets of contents exist for a moment) or BUSY. */
TENON_API tenon_status tenon_session_reorder(tenon_session *session, const int64_t *rows,
                                             int64_t count, tenon_error *err);

/* Copies the contents of a state to tensor->data, which has tensor->bytes, densely; type, dims and
 * bytes of *tensor become those of the state. With data == NULL it does only that. An empty state
 * has length 0. Fails with ARGUMENT (no such state, too few bytes) or BUSY. */
TENON_API tenon_status tenon_session_export(tenon_session *session, const char *name,
                                            tenon_tensor *tensor, tenon_error *err);

/* --- expert: threads, cancelling, memory, tracing --- */

/* A pool of `threads` threads, the caller's included; 0: as many as the CPUs this process may use.
 * No thread starts before the first run that needs one. Sessions that share a pool take turns with
 * it, a run each, in the order in which they ask. Fails with ARGUMENT or MEMORY. Any thread. */
TENON_API tenon_status tenon_pool_create(int32_t threads, tenon_pool **pool, tenon_error *err);

/* Ends the pool's threads, after its sessions are destroyed. NULL is fine. No other thread may be
 * using it. */
TENON_API void tenon_pool_destroy(tenon_pool *pool);

/* A run in progress returns TENON_E_CANCELLED after the instruction at hand; without one, no
 * effect. Any thread or signal handler. */
TENON_API void tenon_session_cancel(tenon_session *session);

typedef struct tenon_memory {
    size_t struct_size;
    uint64_t weights; /* bytes of the plan's constants (mapped) */
    uint64_t program; /* bytes held by the plan apart from weights */
    uint64_t arena;   /* bytes of the session's arena as prepared, scratch included */
    uint64_t live;    /* largest sum of bytes that are live at once */
    uint64_t scratch; /* bytes of per-thread scratch within the arena */
    uint64_t states;  /* bytes of the states, those that it shares too */
} tenon_memory;

/* Fills as much of *memory as its struct_size covers; arena, live and scratch are 0 before the
 * first prepare. Fails with ARGUMENT or BUSY. */
TENON_API tenon_status tenon_session_memory(const tenon_session *session, tenon_memory *memory,
                                            tenon_error *err);

/* One instruction that has just run. Valid during the call only. */
typedef struct tenon_event {
    int32_t instruction; /* index in the plan; those of branches and loop bodies come too */
    const char *opcode;  /* "gemm" */
    const char *node;    /* where it came from, or "" */
    int64_t nanoseconds; /* duration */
    int32_t output_count;
    const tenon_tensor *outputs; /* nothing is copied: data == NULL where the view is strided */
} tenon_event;

/* Called on the thread that runs; must not call into the session, but for tenon_session_cancel. */
typedef void tenon_trace_fn(void *user, const tenon_event *event);

/* Has `fn` called after every instruction of later runs, for profilers, dumpers and bisecting;
 * `fn` == NULL ends it. Fails with ARGUMENT or BUSY. */
TENON_API tenon_status tenon_session_trace(tenon_session *session, tenon_trace_fn *fn, void *user,
                                           tenon_error *err);

#ifdef __cplusplus
}
#endif
#endif
