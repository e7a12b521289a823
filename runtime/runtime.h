/* Inside libtenon: the structs behind the handles of tenon.h and what its files tell each other.
 *
 *   plan_load.c           file -> copied, hashed sections
 *   plan_check.c          verification of tables
 *   plan_check_instr.c    of instructions
 *   plan_check_params.c   of parameter records
 *   plan_check_map.c      of programs of map
 *   plan_check_control.c  of instructions that measure or run other functions
 *   plan_check_state.c    of states
 *   plan_info.c           ports, metadata, dims as text
 *   session.c             sessions and their bindings
 *   stage.c               what can be told of a function when
 *   contract.c            dims of inputs -> symbols, expressions, requirements
 *   prepare.c             operands, extents, tiles
 *   overlap.c             results and what may lie where they do
 *   place.c               memory and addresses
 *   state.c               what lives from run to run
 *   state_edit.c          what callers do to it
 *   exec.c                the interpreter
 *   control.c             instructions that measure, branch or repeat
 *   error.c               messages
 *
 * After tenon_plan_open a plan's tables satisfy every rule that can be told without dims; after
 * prepare every operand lies within its buffer and fits its instruction. Nothing later checks
 * again. */
#ifndef TENON_RUNTIME_RUNTIME_H
#define TENON_RUNTIME_RUNTIME_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "runtime/base/arena.h"
#include "runtime/base/mapfile.h"
#include "runtime/base/threads.h"
#include "runtime/instrs.h"
#include "runtime/kernels.h"
#include "runtime/memplan.h"
#include "runtime/plan_expr.h"
#include "runtime/tenon.h"

#define TN_MAX_ELEMENTS ((int64_t)1 << 44) /* of an operand, counting empty axes as 1 */
#define TN_MAX_LOOPS    ((int64_t)1 << 52) /* innermost steps of an instruction */
#define TN_TEXT_MAX     96                 /* bytes of a dim's text */

/* --- errors (error.c) --- */

/* Fills `err` (may be NULL) and returns `code`. Control bytes of the text are escaped. */
tenon_status tn_error(tenon_error *err, tenon_status code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
tenon_status tn_verror(tenon_error *err, tenon_status code, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));
/* Puts "prefix: " before the text of a filled `err`. */
void tn_error_prefix(tenon_error *err, const char *prefix);
/* Adds to a filled `err` which instruction it was. */
void tn_error_at(tenon_error *err, int32_t instruction, const char *node);

/* --- plans --- */

/* Sections of the program: kind, record, field. WEIGHTS is not among them. */
#define TN_PROGRAM_SECTIONS(X)                     \
    X(STRINGS, char, strings)                      \
    X(IDS, uint32_t, ids)                          \
    X(EXPRS, PlanExpr, exprs)                      \
    X(SYMBOLS, PlanSymbol, symbols)                \
    X(REQUIREMENTS, PlanRequirement, requirements) \
    X(CONSTANTS, PlanConstant, constants)          \
    X(BUFFERS, PlanBuffer, buffers)                \
    X(VIEWS, PlanView, views)                      \
    X(FUNCTIONS, PlanFunction, functions)          \
    X(PORTS, PlanPort, ports)                      \
    X(INSTRUCTIONS, PlanInstruction, instructions) \
    X(PARAMS, unsigned char, params)               \
    X(METADATA, PlanMeta, metadata)                \
    X(STATES, PlanState, states)                   \
    X(ASSETS, PlanAsset, assets)                   \
    X(ORIGINS, uint32_t, origins)                  \
    X(VALUES, PlanValue, values)

struct tenon_plan {
    _Atomic(int) references;
    TnAlloc alloc;
    TnIsa isa;
    Arena arena;  /* the program's copy and what is derived from it */
    MapFile file; /* unless the caller's memory is used */
    PlanHeader header;
#define X(kind, type, field) \
    const type *field;       \
    uint32_t field##_count;
    TN_PROGRAM_SECTIONS(X)
#undef X
    const unsigned char *weights; /* mapped, not copied */
    uint64_t weights_bytes, weights_hash;
    const void **records;    /* verified parameter record of every instruction */
    const char **expr_texts; /* text of expressions that are dims of ports; NULL for others */
};

/* The string of a verified id; "" for TN_NO_ID. */
const char *plan_string(const tenon_plan *p, uint32_t id);
/* The source node(s) of an instruction, "" when stripped. */
const char *plan_origin(const tenon_plan *p, uint32_t instruction);
/* The function of a name (NULL = first); NULL and an error if there is none. */
const PlanFunction *plan_function(const tenon_plan *p, const char *name, tenon_error *err);
/* Port of a function: inputs first, then outputs. */
static inline const PlanPort *plan_port(const tenon_plan *p, const PlanFunction *f, uint32_t port) {
    return &p->ports[port < f->input_count ? f->first_input + port
                                           : f->first_output + port - f->input_count];
}
/* Hash of WEIGHTS against the section table: reads all of them. Used by `tenon check`. */
tenon_status plan_check_weights(const tenon_plan *p, tenon_error *err);
/* Verifies all tables and fills `records`. */
tenon_status plan_check(tenon_plan *p, tenon_error *err);
/* An expression in infix, cut at TN_TEXT_MAX bytes; returns `text`. */
const char *plan_expr_text(const tenon_plan *p, uint32_t id, char text[TN_TEXT_MAX]);
/* Renders the dims of all ports into `expr_texts`; false when out of memory. */
bool plan_render(tenon_plan *p);
/* Elements that a constant of these dims and layout takes;
 * false on overflow or a layout unknown. */
bool plan_constant_elements(const PlanConstant *c, int64_t *elements);

/* Parts of plan_check that have files of their own; `what` names the record in messages. */
typedef struct PlanCheck {
    tenon_plan *plan;
    tenon_error *err;
    const PlanFunction *function;
    bool *written;  /* per buffer: an earlier instruction of the function wrote it */
    uint8_t *depth; /* per function: how many others may be running around it */
} PlanCheck;
/* The element types of an instruction's operands, letters as in plan_check_instr.c. */
const char *plan_type_rule(int opcode);
/* Reports a broken rule as TENON_E_INVALID; returns false. */
bool plan_invalid(PlanCheck *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool plan_check_function_code(PlanCheck *c);
/* A slice of IDS that holds `count` expression ids. */
bool plan_expr_slice_ok(const tenon_plan *p, uint32_t first, uint32_t count);
/* All records of STATES; functions and views are verified. */
bool plan_check_states(PlanCheck *c);
/* Verifies one parameter record against the instruction it belongs to. */
bool plan_check_params(PlanCheck *c, const PlanInstruction *instruction, const void *record);
/* A program of map. */
bool plan_check_map(PlanCheck *c, const PlanInstruction *instruction, const void *record);
/* Verifies which functions an instruction without kernel runs, its scalars, and its operands
 * against the ports of these. */
bool plan_check_control(PlanCheck *c, const PlanInstruction *instruction, const void *record);
/* View of an operand, or NULL if absent; the ids were checked. */
const PlanView *plan_operand(const tenon_plan *p, const PlanInstruction *instruction, int operand);

/* --- sessions --- */

typedef struct Binding {
    bool bound;
    tenon_tensor tensor;
} Binding;

/* Memory that only grows. */
typedef struct Block {
    unsigned char *data;
    uint64_t capacity;
} Block;

/* Storage of one PlanBuffer of the function. */
typedef struct BufferState {
    unsigned char *base; /* NULL until prepared */
    int64_t elements;
    uint64_t bytes;
    uint64_t offset;      /* in the block of its stage, if it lives there; it has ... */
    uint64_t room;        /* ... this many bytes there */
    uint32_t first, last; /* instructions between which it is live; first = TN_NO_ID: unused */
    uint32_t stage;
    bool placed; /* lives in a block; else its memory is the caller's or the plan's */
} BufferState;

typedef struct SymbolState {
    int64_t value;      /* TN_UNKNOWN until something sets it */
    int32_t port, axis; /* which input did; -1: none */
    int32_t use;        /* or which record of STATES; -1: none */
} SymbolState;

/* What a state holds: dims[axis] rows of `capacity` that there is room for. */
typedef struct State {
    unsigned char *data;
    uint64_t bytes;
    int64_t dims[TN_MAX_RANK], capacity;
    bool grows; /* some function appends to it */
} State;

/* The states of a plan, shared by sessions. */
typedef struct StateSet {
    _Atomic(int) references;
    _Atomic(bool) busy;
    uint64_t generation; /* counts changes of lengths, dims and memory */
    uint64_t held;       /* bytes */
    int64_t reserve;     /* rows that a state which grows gets at once */
    State states[];      /* by the first record of each; others are not used */
} StateSet;

/* What of the function makes a symbol known: the dim of an input (slot TN_NO_ID, stage 0), scalar
 * `slot` of an instruction (all scalars counted through), from `stage` on, or nothing. */
typedef struct Definition {
    bool input;
    uint32_t slot, stage;
} Definition;

/* What can be prepared at once: instructions up to one that defines symbols. Only a function of one
 * stage has everything known before it runs. */
typedef struct Stage {
    uint32_t first, end; /* instructions */
    bool laid_out;       /* for the present values of symbols; addresses may have to be set anew */
    bool reserved;       /* offsets and `room` of its buffers stand, whatever the symbols' values */
    Block block;         /* buffers touched first in this stage, then scratch */
    uint64_t bytes, live, scratch_offset;
    uint64_t lane_scratch; /* bytes per lane */
    int32_t last_parallel; /* the last call that uses the pool, or -1 */
} Stage;

/* Ids by the stage they belong to: those of stage k are ids[first[k]] up to ids[first[k + 1]]. */
typedef struct ByStage {
    uint32_t *ids, *first;
} ByStage;

/* Sets of shapes besides the present one whose layouts a session keeps. */
enum { SHAPES_KEPT = 3 };

struct tenon_session {
    tenon_plan *plan;
    const PlanFunction *function;
    TnPool *pool; /* NULL: everything runs on the caller */
    uint64_t memory_limit;
    Arena memory; /* everything below but the blocks; of the root for all its children */
    _Atomic(bool) busy, cancelled;

    /* A session runs the functions of its plan's control flow by children, at most two per
     * function, that it has from the start. What concerns all of them is in the root. */
    tenon_session *root;               /* itself if it has no caller */
    const tenon_session *caller;       /* whose instruction runs this one */
    tenon_session **children;          /* root: two per function of the plan, or NULL */
    bool in_use;                       /* its memory holds something that is still needed */
    uint64_t held;                     /* root: bytes of all blocks */
    int64_t calls_allowed, calls_left; /* root: branches and iterations of a run, of this one */

    StateSet *states;              /* NULL: the plan has none */
    uint32_t first_use, use_count; /* of STATES: what the function does with them */
    uint64_t state_generation;     /* of the set, when the layout was made */

    Binding *bindings;                /* per port: inputs, then outputs */
    Binding *shapes;                  /* the bindings for which the layout was made */
    bool prepared;                    /* and addresses are those of the bindings */
    unsigned char *kept[SHAPES_KEPT]; /* layouts of other shapes, see shapes.c; NULL: none yet */
    int next_kept;                    /* whose place is the next to be taken */

    SymbolState *symbols;
    Definition *definitions; /* per symbol */
    int64_t *values;         /* per expression of the plan; only those in `needed` are computed */
    Stage *stages;
    uint32_t stage_count, stage; /* the present one */
    ByStage needed;              /* expressions that the function uses, rising within a stage */
    ByStage stage_buffers, stage_ports, stage_requirements;

    BufferState *buffers; /* of the function */
    TnCall *calls;
    TnTensor *operands; /* of all calls, one after another */
    int64_t *offsets;   /* in elements, per operand */
    uint32_t operand_count;
    int64_t *scalars;
    uint32_t scalar_count;
    tenon_tensor *described; /* as many as an instruction has outputs: what a trace is told */
    Block *scans;            /* of a loop body: per output what the iterations gave so far */

    TnMemItem *items;
    void *memplan_scratch;

    TnFault fault;
    bool used_pool; /* root: a call of this run, or of the one before, was a region */
    tenon_trace_fn *trace;
    void *trace_user;
    const tenon_session *traced; /* root: whose instruction the trace is being told of */
    const TnCall *traced_call;   /* that instruction */
};

static inline const PlanPort *session_port(const tenon_session *s, uint32_t port) {
    return plan_port(s->plan, s->function, port);
}
static inline bool is_aligned(const void *p, size_t alignment) {
    return (uintptr_t)p % alignment == 0;
}

static inline bool is_control(int opcode) {
    return opcode >= TN_OP_measure && opcode <= TN_OP_loop;
}
/* Whether instruction `i` of a stage makes symbols known: its outputs belong to the next stage. */
static inline bool ends_stage(const tenon_session *s, uint32_t stage, uint32_t i) {
    return stage + 1 < s->stage_count && s->stages[stage].end == i + 1;
}

/* session.c: one thread at a time; `states`: also among the sessions that share its states. */
tenon_status session_enter(tenon_session *s, bool states, tenon_error *err);
tenon_status session_leave(tenon_session *s, bool states, tenon_status status);
/* All of a session but its children; NULL when out of memory. */
bool session_build(tenon_session *s);
/* stage.c: the tables of stages. */
bool stage_build(tenon_session *s);

/* contract.c: bindings -> symbols -> values -> requirements of stage 0. */
tenon_status contract_solve(tenon_session *s, tenon_error *err);
/* The values of a later stage from the symbols there are now; its requirements. */
tenon_status contract_stage(tenon_session *s, uint32_t stage, tenon_error *err);
/* All expressions of the plan for the present symbols, also those that no operand needs. */
void contract_evaluate(const tenon_session *s, int64_t *values);
/* What a symbol that the function does not set itself is worth where it was called. */
int64_t contract_inherited(const tenon_session *s, uint32_t symbol);
/* Gives a measured symbol the value found by call `call`, if it may have it. */
tenon_status contract_measured(tenon_session *s, uint32_t symbol, int64_t found, int32_t call,
                               tenon_error *err);
/* Real dims of a view; false if one is negative, unknown, or their product too large: `*axis` is
 * the first bad one. */
bool contract_dims(const tenon_session *s, const PlanView *v, int64_t *dims, int *axis);

/* prepare.c */
tenon_status session_prepare(tenon_session *s, tenon_error *err);
/* Makes stage `stage` > 0 the present one, whose symbols have just become known. */
tenon_status session_enter_stage(tenon_session *s, uint32_t stage, tenon_error *err);
/* Whether a call is worth a parallel region; the others run on the caller. */
bool session_is_parallel(const tenon_session *s, const TnCall *call);
/* An error of an instruction: names it and its node. */
tenon_status call_error(const tenon_session *s, int32_t call, tenon_error *err, tenon_status code,
                        const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* Puts node and instruction before a filled error. */
void call_error_prefix(const tenon_session *s, int32_t call, tenon_error *err);

/* overlap.c: a result shares no element with itself or another operand, unless the instruction's
 * row allows in-place and they are the same elements. */
tenon_status overlap_check(const tenon_session *s, const TnCall *c,
                           const PlanInstruction *instruction, tenon_error *err);

/* state.c: the set and which records are the function's. */
tenon_status states_create(tenon_session *s, const tenon_session_options *o, tenon_error *err);
void states_release(tenon_session *s);
State *states_of_use(const tenon_session *s, uint32_t use);
/* For contract.c, in this order: lengths (and other dims, unless it is empty) become symbols; dims
 * are held against the values of expressions; memory and capacities. */
tenon_status states_set_symbols(tenon_session *s, tenon_error *err);
tenon_status states_check(const tenon_session *s, tenon_error *err);
tenon_status states_fit(tenon_session *s, tenon_error *err);
/* Whether a buffer is exactly the memory of its state. */
tenon_status states_check_buffer(const tenon_session *s, const PlanBuffer *b, int64_t elements,
                                 tenon_error *err);
/* Around a run: what is written anew is empty; the new lengths, when it has succeeded. */
void states_begin(tenon_session *s);
void states_commit(tenon_session *s);
/* Memory for these dims (those of the contents) and capacity into *out; held by the set. */
tenon_status state_allocate(tenon_session *s, const PlanState *r, const int64_t *dims,
                            int64_t capacity, State *out, tenon_error *err);
void state_free(tenon_session *s, State *st);
/* The capacity that a state of `length` rows is given. */
int64_t state_room(const StateSet *set, const State *st, int64_t length);
/* Contents of these dims from one memory into another; entry i along the batch axis is entry
 * rows[i] of from_batch, or itself. */
void state_copy(const tenon_plan *p, const PlanState *r, unsigned char *to, int64_t to_capacity,
                const unsigned char *from, int64_t from_capacity, const int64_t *dims,
                const int64_t *rows, int64_t from_batch);
/* Sequence `from` of a state to the place of sequence `to`, or in exchange for it. */
void state_move(const tenon_plan *p, const PlanState *r, State *st, int64_t to, int64_t from,
                bool exchange);
/* state_edit.c: the first record of a state, or TN_NO_ID; contents from the caller's tensor, or
 * none if it is NULL. */
uint32_t states_find(const tenon_session *s, const char *name);
tenon_status states_import(tenon_session *s, uint32_t state, const tenon_tensor *t,
                           tenon_error *err);

/* place.c: the block of a stage for the present sizes; addresses of the present bindings. */
tenon_status place_stage(tenon_session *s, uint32_t stage, tenon_error *err);
tenon_status place_addresses(tenon_session *s, uint32_t stage, tenon_error *err);
/* The block of stage 0 for a layout that was placed before. */
tenon_status place_again(tenon_session *s, tenon_error *err);

/* shapes.c: layouts of stage 0 by shapes. Whether the bindings have those of `then`; whether a
 * layout for them was kept, which is then the present one; keeps the present one, if it can. */
bool shapes_equal(const tenon_session *s, const Binding *then);
bool shapes_recall(tenon_session *s);
void shapes_keep(tenon_session *s);
/* Makes a block larger if it has to be; its first `keep` bytes stay, the rest are zeros. */
tenon_status block_grow(tenon_session *s, Block *b, uint64_t bytes, uint64_t keep,
                        tenon_error *err);
/* Frees the memory of a session and its children that holds nothing which this run needs. */
void session_reclaim(tenon_session *root, const Block *but);
void session_release_blocks(tenon_session *s);

/* exec.c */
tenon_status session_run(tenon_session *s, tenon_error *err);
/* Runs a prepared session, a child's too. */
tenon_status session_execute(tenon_session *s, tenon_error *err);
/* control.c */
tenon_status control_create(tenon_session *root, tenon_error *err);
tenon_status control_run(tenon_session *s, const TnCall *call, tenon_error *err);

#endif
