/* The plan while it is being made: the tables of plan_format.h, growing in the arena.
 *
 * Expressions, strings, views and id lists that are equal are stored once. Ids are final as soon as
 * they are given out. */
#ifndef TENON_BACKEND_IMAGE_H
#define TENON_BACKEND_IMAGE_H

#include "ir/ir.h"
#include "runtime/instrs.h"
#include "runtime/pack.h"
#include "runtime/params.h"
#include "runtime/plan_format.h"

/* A growing table of records. */
typedef struct Table {
    unsigned char *data;
    size_t count, capacity, size; /* of a record */
} Table;

typedef struct Dedup Dedup; /* hash of what a table holds */

/* Forms of a convolution's weight [o, c, kernel]. */
typedef enum ConvForm {
    CONV_ROWS,              /* the matrix [kernel c, o]; the view is of the weight's own dims */
    CONV_PANELS,            /* the same, in panels */
    CONV_PAIRS,             /* the same, in pairs */
    CONV_WINOGRAD2,         /* in panels, transformed for tiles of 2 x 4 results (pack.h) */
    CONV_WINOGRAD2_STRIDED, /* ... for tiles of 2 x 2 results, stride 2 */
    CONV_WINOGRAD4,         /* ... for tiles of 4 x 4 results */
    CONV_PLACES,            /* in panels, or in pairs if of bf16, the matrix [c, kernel o] */
    CONV_FORMS
} ConvForm;

/* Elements of a weight that is transformed; 0: it is not. */
static inline int conv_elements(ConvForm form) {
    switch (form) {
    case CONV_WINOGRAD2: return 4 * 6;
    case CONV_WINOGRAD2_STRIDED: return 4 * 4;
    case CONV_WINOGRAD4: return 6 * 6;
    default: return 0;
    }
}

/* One constant as the plan stores it: `parts` tensors packed or laid one after another. */
#define IMAGE_PARTS 3
typedef struct Stored {
    const Constant *part[IMAGE_PARTS];
    int parts;
    TnLayout layout;
    bool transposed; /* packed: the parts are [n, k] instead of [k, n] */
    int64_t taps;    /* not 0: the weight [o, c, taps] of a convolution as the matrix [taps c, o] */
    ConvForm form;   /* of such a weight */
    int64_t run;     /* in pairs: rows of each of its runs (pack.h); 0: of all */
    uint32_t id;     /* in CONSTANTS */
    struct Stored *next;
} Stored;

typedef struct Instr {
    TnOpcode kind;
    int inputs, outputs, scalar_count;
    const uint32_t *operand; /* views; TN_NO_ID = absent */
    const Expr *const *scalars;
    const void *params;
    uint32_t params_bytes;
    const char *origin;
} Instr;

typedef struct Image {
    Module *module;
    Cx *cx;
    ExprCx *ex;
    Table strings, ids, exprs, symbols, requirements, constants, buffers, views, functions, ports,
        instructions, params, metadata, origins, values, states;
    Dedup *string_dedup, *id_dedup, *expr_dedup, *view_dedup, *param_dedup;
    uint32_t *expr_of; /* by Expr id: expression id + 1 */
    size_t expr_capacity;
    uint32_t *symbol_of; /* by symbol number: symbol id + 1 */
    size_t symbol_capacity;
    Stored *stored, *last_stored;
    uint64_t weight_bytes;
    uint64_t ids_used;   /* by instructions */
    signed char *scaled; /* by constant id and form: quantise_scaled_bits + 1; see layout.c */
    size_t scaled_capacity;
    const Graph **functions_of; /* by function: its graph; ends in NULL */
    bool strip;                 /* no origins */
    bool every_value;           /* values with names are there to be looked at */
    const struct Usage *usage;  /* memory at sample lengths, for the report; NULL = unknown */
} Image;

Image *image_new(Module *m);
uint32_t image_string(Image *im, const char *s);
uint32_t image_expr(Image *im, const Expr *e);
/* A symbol that prepare chooses; its id in SYMBOLS. */
uint32_t image_capacity(Image *im, const Expr *symbol);
/* A measured symbol is at most what expression `bound` is. */
void image_bound(Image *im, const Expr *symbol, uint32_t bound);
uint32_t image_ids(Image *im, const uint32_t *ids, int n);
uint32_t image_exprs(Image *im, const Expr *const *e, int n); /* a slice of IDS */
uint32_t image_buffer(Image *im, PlanBufferKind kind, uint32_t index, const Expr *elements,
                      TnDType dtype);
uint32_t image_view(Image *im, uint32_t buffer, TnDType dtype, TnLayout layout, int rank,
                    const Expr *const *dims, const Expr *const *strides, const Expr *offset);
void image_instr(Image *im, const Instr *in);
/* Adds a constant; its bytes are produced when the plan is written. */
Stored *image_constant(Image *im, TnLayout layout, bool transposed, int parts,
                       const Constant *const *part);
Stored *image_conv_weight(Image *im, TnLayout layout, const Constant *w, ConvForm form);
void image_meta(Image *im, const char *key, const char *value);
void *table_add(Image *im, Table *t); /* a zeroed record at the end */

#endif
