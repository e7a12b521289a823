/* Every byte of a .plan file: shared by the writer (backend/), the loader and the printer.
 *
 * Little-endian, fixed-width records, offsets instead of pointers. Layout:
 *
 *     PlanHeader | PlanSection[section_count] | sections, each at a multiple of 64 bytes
 *
 * All sections but WEIGHTS are the *program*: the loader copies them, checks their hashes, then
 * verifies them. WEIGHTS stays mapped; its hash is checked by `tenon check` only.
 *
 * Ids are indexes into the table of that kind; TN_NO_ID means "none". Lists of ids (dims, strides,
 * operands, scalars) are slices of the IDS section: u32 values. An expression may only refer to
 * lower ids; an instruction may only read what an input, a constant or an earlier instruction
 * wrote, and only run functions of higher index. The ranges of functions rise and don't overlap
 * (constant buffers may lie between them).
 *
 * Versions: a reader refuses another major; a newer minor is readable unless `required` has an
 * unknown bit. Sections of unknown kind with TN_SECTION_REQUIRED refuse, others are skipped.
 *
 * docs/plan-format.md tells the same as prose. */
#ifndef TENON_RUNTIME_PLAN_FORMAT_H
#define TENON_RUNTIME_PLAN_FORMAT_H

#include <stdint.h>

/* 8 bytes with the final NUL left out; a copy in text mode changes them. */
#define TN_PLAN_MAGIC "TENON\r\n\x1a"
#define TN_PLAN_MAJOR 1
#define TN_PLAN_MINOR 0
#define TN_NO_ID      0xffffffffu
#define TN_PLAN_ALIGN 64

/* Features that plans need and readers of version 1.0 may lack. */
#define TN_FEATURE_STATES 1u /* STATES is not empty */
#define TN_FEATURES_KNOWN TN_FEATURE_STATES

typedef struct PlanHeader {
    char magic[8];
    uint16_t major, minor;
    uint32_t header_bytes; /* sizeof(PlanHeader) of the writer */
    uint64_t required;     /* feature bits a reader must know: TN_FEATURE_* */
    uint64_t optional;
    uint64_t file_bytes; /* whole file */
    uint32_t section_count;
    uint32_t section_bytes; /* sizeof(PlanSection) of the writer */
    uint64_t hash;          /* XXH3-64 of the header with this field 0, then the section table */
    uint64_t reserved;
} PlanHeader;
_Static_assert(sizeof(PlanHeader) == 64, "plan header");

typedef enum PlanSectionKind {
    TN_SECTION_STRINGS = 1,       /* NUL-terminated UTF-8; a string id is its byte offset */
    TN_SECTION_IDS = 2,           /* u32 lists */
    TN_SECTION_EXPRS = 3,         /* PlanExpr */
    TN_SECTION_SYMBOLS = 4,       /* PlanSymbol */
    TN_SECTION_REQUIREMENTS = 5,  /* PlanRequirement */
    TN_SECTION_CONSTANTS = 6,     /* PlanConstant */
    TN_SECTION_BUFFERS = 7,       /* PlanBuffer */
    TN_SECTION_VIEWS = 8,         /* PlanView */
    TN_SECTION_FUNCTIONS = 9,     /* PlanFunction */
    TN_SECTION_PORTS = 10,        /* PlanPort: inputs and outputs of functions */
    TN_SECTION_INSTRUCTIONS = 11, /* PlanInstruction */
    TN_SECTION_PARAMS = 12,       /* parameter records, each 8-byte aligned */
    TN_SECTION_METADATA = 13,     /* PlanMeta key/value pairs */
    TN_SECTION_STATES = 14,       /* PlanState, by rising function and state */
    TN_SECTION_ASSETS = 15,       /* PlanAsset: tokenizer, labels, ...; empty in version 1.0 */
    TN_SECTION_ORIGINS = 16,      /* u32 string id per instruction: its source nodes; strippable */
    TN_SECTION_WEIGHTS = 17,      /* bytes of constants */
    TN_SECTION_VALUES = 18,       /* PlanValue, by rising instruction; strippable */
} PlanSectionKind;
#define TN_SECTION_REQUIRED 1u

typedef struct PlanSection {
    uint32_t kind, flags;
    uint64_t offset, bytes, count; /* count of records; bytes for STRINGS and WEIGHTS */
    uint64_t hash;                 /* XXH3-64 of the bytes */
    uint64_t reserved;
} PlanSection;
_Static_assert(sizeof(PlanSection) == 48, "plan section");

/* Integer expressions over symbols, evaluated in order with checked arithmetic as soon as their
 * symbols are known. */
/* clang-format off */
#define TN_PLAN_EXPR_OPS(X)                                                       \
    X(CONST,    const,    1) /* value */                                          \
    X(SYMBOL,   symbol,   2) /* a = symbol id */                                  \
    X(ADD,      add,      3)                                                      \
    X(MUL,      mul,      4)                                                      \
    X(FLOORDIV, floordiv, 5) /* divisor must be > 0 */                            \
    X(MOD,      mod,      6) /* divisor must be > 0; result in [0, divisor) */    \
    X(MIN,      min,      7)                                                      \
    X(MAX,      max,      8)
/* clang-format on */

typedef enum PlanExprOp {
#define X(upper, lower, number) TN_EXPR_##upper = number,
    TN_PLAN_EXPR_OPS(X)
#undef X
        TN_EXPR_OP_COUNT
} PlanExprOp;

typedef struct PlanExpr {
    uint32_t op, a, b, reserved;
    int64_t value;
} PlanExpr;
_Static_assert(sizeof(PlanExpr) == 24, "plan expr");

typedef enum PlanSymbolKind {
    TN_SYMBOL_INPUT = 1,    /* a dim of an input */
    TN_SYMBOL_DERIVED = 2,  /* reserved: computed from other symbols */
    TN_SYMBOL_MEASURED = 3, /* known only during a run: an instruction defines it */
    TN_SYMBOL_CAPACITY = 4, /* rows that states have room for: prepare chooses it */
} PlanSymbolKind;

typedef struct PlanSymbol {
    uint32_t name;    /* string */
    uint32_t kind;    /* PlanSymbolKind; no DERIVED in version 1.0 */
    int64_t min, max; /* inclusive range, checked when the symbol gets its value */
    uint32_t bound;   /* MEASURED: expression that it must not exceed, or TN_NO_ID */
    uint32_t reserved;
} PlanSymbol;
_Static_assert(sizeof(PlanSymbol) == 32, "plan symbol");

/* left REL right must hold, from when both are known. */
typedef enum PlanRelation { TN_RELATION_EQ = 1, TN_RELATION_LE = 2 } PlanRelation;

typedef struct PlanRequirement {
    uint32_t relation, left, right; /* expressions */
    uint32_t text;                  /* string: the relation in symbols, "sequence <= 512" */
    uint32_t origin;                /* string: the node that needs it */
    uint32_t function;              /* the function it belongs to */
} PlanRequirement;
_Static_assert(sizeof(PlanRequirement) == 24, "plan requirement");

typedef struct PlanConstant {
    uint32_t name; /* string */
    uint8_t dtype, layout, rank, reserved;
    uint64_t offset, bytes; /* in WEIGHTS; offset a multiple of 64 */
    int64_t dims[8];        /* of the logical tensor; PANELS16: [K, N] */
} PlanConstant;
_Static_assert(sizeof(PlanConstant) == 88, "plan constant");

/* Storage that views look into. */
typedef enum PlanBufferKind {
    TN_BUFFER_ARENA = 1,    /* planned at prepare; live from first writer to last reader */
    TN_BUFFER_INPUT = 2,    /* index = input port: the caller's memory, read-only */
    TN_BUFFER_OUTPUT = 3,   /* index = output port: the caller's memory if bound, else arena */
    TN_BUFFER_CONSTANT = 4, /* index = constant: read-only */
    TN_BUFFER_STATE = 5,    /* index = state record: memory that lives from run to run */
} PlanBufferKind;

typedef struct PlanBuffer {
    uint32_t kind, index;
    uint32_t elements; /* expression: size in elements of `dtype`; TN_NO_ID for CONSTANT */
    uint8_t dtype, reserved[3];
} PlanBuffer;
_Static_assert(sizeof(PlanBuffer) == 16, "plan buffer");

typedef struct PlanView {
    uint32_t buffer;
    uint32_t offset;  /* expression, in elements */
    uint32_t dims;    /* slice of IDS: rank expressions */
    uint32_t strides; /* slice of IDS: rank expressions, in elements, >= 0 */
    uint8_t dtype;    /* the buffer's */
    uint8_t rank, layout, reserved;
} PlanView;
_Static_assert(sizeof(PlanView) == 20, "plan view");

typedef struct PlanFunction {
    uint32_t name;                                                 /* string */
    uint32_t first_input, input_count, first_output, output_count; /* PORTS */
    uint32_t first_instruction, instruction_count;                 /* INSTRUCTIONS */
    uint32_t first_buffer, buffer_count;                           /* BUFFERS */
    uint32_t flags;                                                /* TN_FUNCTION_* */
} PlanFunction;
#define TN_FUNCTION_INTERNAL 1u /* run by instructions of other functions only */
_Static_assert(sizeof(PlanFunction) == 40, "plan function");

/* What an input left out is filled with; its dims must then follow from other inputs. */
typedef enum PlanDefault {
    TN_DEFAULT_NONE = 0, /* it may not be left out */
    TN_DEFAULT_ZEROS = 1,
    TN_DEFAULT_ONES = 2,
} PlanDefault;

typedef struct PlanPort {
    uint32_t name; /* string */
    uint32_t view; /* dense view of its INPUT or OUTPUT buffer: its dims are the contract */
    uint32_t fill; /* PlanDefault */
    uint32_t reserved;
} PlanPort;
_Static_assert(sizeof(PlanPort) == 16, "plan port");

typedef struct PlanInstruction {
    uint16_t opcode; /* of instrs.def */
    uint16_t inputs, outputs, scalar_count;
    uint32_t operands;             /* slice of IDS: inputs + outputs view ids, TN_NO_ID = absent */
    uint32_t scalars;              /* slice of IDS: scalar_count expressions */
    uint32_t params, params_bytes; /* in PARAMS */
} PlanInstruction;
_Static_assert(sizeof(PlanInstruction) == 24, "plan instruction");

/* Ids that the instructions of a function may have in all, of `count` in IDS: equal slices may be
 * one, but what a session holds per operand stays in proportion to the file. */
#define TN_IDS_LIMIT(count) (4 * (uint64_t)(count) + 1024)

/* When the instruction has run, the view holds the value that the source model calls `name`. For
 * tools: it is not read to run the plan, and its view is checked by who looks through it. */
typedef struct PlanValue {
    uint32_t instruction, view;
    uint32_t name; /* string */
} PlanValue;
_Static_assert(sizeof(PlanValue) == 12, "plan value");

typedef struct PlanMeta {
    uint32_t key, value; /* strings */
} PlanMeta;

/* What a run of a function does with a state. */
typedef enum PlanAccess {
    TN_STATE_READ = 1,   /* finds it and leaves it as it is */
    TN_STATE_APPEND = 2, /* finds it and puts rows behind */
    TN_STATE_WRITE = 3,  /* gives it new contents, whatever it held */
} PlanAccess;

/* A state is a tensor that lives from one run to the next, in the sessions that share it; this is
 * what one function does with it. Its length is that of `axis`. In memory the axis has room for
 * `capacity` rows, all other axes are dense: [batch, heads, capacity, d]. A length that is a bare
 * symbol in `dims` has the value that the state has. */
typedef struct PlanState {
    uint32_t name;     /* string */
    uint32_t state;    /* the first record of this state: this one if it is that */
    uint32_t function; /* records rise by function, then by state */
    uint32_t buffer;   /* of kind STATE, of the function */
    uint32_t dims;     /* slice of IDS: rank expressions, as found; WRITE: as left */
    uint32_t capacity; /* symbol of kind CAPACITY */
    uint32_t next;     /* expression: the length when the function has run */
    uint8_t access;    /* PlanAccess */
    uint8_t rank, axis;
    uint8_t batch; /* the axis whose entries belong to one sequence each, or TN_NO_AXIS */
} PlanState;
_Static_assert(sizeof(PlanState) == 32, "plan state");
#define TN_NO_AXIS 0xff

/* Reserved: its section is empty in version 1.0. */
typedef struct PlanAsset {
    uint32_t name, kind;
    uint64_t offset, bytes;
} PlanAsset;

#endif
