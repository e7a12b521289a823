/* Inside libtenon: the structs behind the handles of tenon.h and what its files tell each other.
 *
 *   plan_load.c           file -> copied, hashed sections
 *   plan_check.c          verification of tables
 *   plan_check_instr.c    of instructions
 *   plan_check_params.c   of parameter records
 *   plan_info.c           ports, metadata, dims as text
 *   session.c             sessions and their bindings
 *   contract.c            dims of inputs -> symbols, expressions, requirements
 *   prepare.c             operands, extents, tiles
 *   place.c               the arena and addresses
 *   exec.c                the interpreter
 *   error.c               messages
 *
 * After tenon_plan_open a plan's tables satisfy every rule that can
 * be told without dims; after prepare every operand lies within its
 * buffer and fits its instruction. Nothing later checks again. */
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
#include "runtime/plan_format.h"
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
    X(ORIGINS, uint32_t, origins)

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
    bool *written; /* per buffer: an earlier instruction of the function wrote it */
} PlanCheck;
/* Reports a broken rule as TENON_E_INVALID; returns false. */
bool plan_invalid(PlanCheck *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool plan_check_function_code(PlanCheck *c);
/* Verifies one parameter record against the instruction it belongs to. */
bool plan_check_params(PlanCheck *c, const PlanInstruction *instruction, const void *record);
/* View of an operand, or NULL if absent; the ids were checked. */
const PlanView *plan_operand(const tenon_plan *p, const PlanInstruction *instruction, int operand);

/* --- sessions --- */

typedef struct Binding {
    bool bound;
    tenon_tensor tensor;
} Binding;

/* Storage of one PlanBuffer of the function. */
typedef struct BufferState {
    unsigned char *base; /* NULL until prepared */
    int64_t elements;
    uint64_t bytes;
    uint32_t first, last; /* instructions between which it is live; first > last if unused */
    uint32_t item; /* its TnMemItem, or TN_NO_ID when its memory is the caller's or the plan's */
} BufferState;

typedef struct SymbolState {
    int64_t value;      /* TN_UNKNOWN until an input sets it */
    int32_t port, axis; /* which input did */
} SymbolState;

/* An expression that cannot be computed: overflow, a divisor <= 0, an unset symbol. */
#define TN_UNKNOWN INT64_MIN

struct tenon_session {
    tenon_plan *plan;
    const PlanFunction *function;
    TnPool *pool; /* NULL: everything runs on the caller */
    uint64_t memory_limit;
    Arena memory; /* everything below but the arena */
    _Atomic(bool) busy, cancelled;

    Binding *bindings; /* per port: inputs, then outputs */
    Binding *shapes;   /* the bindings for which the layout was made */
    bool laid_out;     /* `shapes`, values, operands and offsets are valid */
    bool prepared;     /* and addresses are those of the bindings */

    SymbolState *symbols;
    int64_t *values;  /* per expression of the plan; only those in `needed` are computed */
    uint32_t *needed; /* expressions that the function uses, rising */
    uint32_t needed_count;

    BufferState *buffers; /* of the function */
    TnCall *calls;
    TnTensor *operands; /* of all calls, one after another */
    int64_t *offsets;   /* in elements, per operand */
    uint32_t operand_count;
    int64_t *scalars;
    int32_t last_parallel; /* the last call that uses the pool, or -1 */

    TnMemItem *items;
    void *memplan_scratch;
    unsigned char *arena;
    uint64_t arena_capacity, arena_bytes, live_bytes;
    uint64_t lane_scratch; /* bytes per lane; scratch follows the buffers */
    uint64_t scratch_offset;

    TnFault fault;
    tenon_trace_fn *trace;
    void *trace_user;
};

static inline const PlanPort *session_port(const tenon_session *s, uint32_t port) {
    return plan_port(s->plan, s->function, port);
}
static inline bool is_aligned(const void *p, size_t alignment) {
    return (uintptr_t)p % alignment == 0;
}

/* contract.c: which expressions a function needs; input
 * dims -> symbols -> values -> requirements. */
bool contract_collect(tenon_session *s);
tenon_status contract_solve(tenon_session *s, tenon_error *err);
/* Real dims of a view; false if one is negative, unknown, or their product too large: `*axis` is
 * the first bad one. */
bool contract_dims(const tenon_session *s, const PlanView *v, int64_t *dims, int *axis);

/* prepare.c */
tenon_status session_prepare(tenon_session *s, tenon_error *err);
/* Whether a call is worth a parallel region; the others run on the caller. */
bool session_is_parallel(const tenon_session *s, const TnCall *call);
/* place.c: the arena for the present sizes; addresses of the present bindings. */
tenon_status place_arena(tenon_session *s, tenon_error *err);
tenon_status place_addresses(tenon_session *s, tenon_error *err);
/* exec.c */
tenon_status session_run(tenon_session *s, tenon_error *err);

#endif
