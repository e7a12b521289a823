/* Lowering: graphs become instructions over views of buffers.
 *
 * Views, transposes, slices and broadcasts cost nothing: they are other strides of the same buffer.
 * An operator asks for its operands in the form its kernel reads (any strides, dense rows, or
 * dense), and gets a copy only where the view at hand does not have it. In which order the axes of
 * a result lie in memory, and whether that is a slice of another value, is decided in place.c.
 *
 * What strides under a value's own dims cannot say is kept as it is until somebody needs more. The
 * view of a value may be
 *   - split: under other dims with the same elements in the same order, for example [b, 8, 7, 8, 7,
 *     c], strided, for [b, 56 * 56, c], windows in the order of the image;
 *   - rolled: with axes that are rings (ring.c).
 * Operators that work row by row or element by element take such views as they are (rows.c), and
 * what they compute may lie in memory the way a later view wants it (store.c). For all others
 * lower_operand makes a copy. */
#ifndef TENON_BACKEND_LOWER_H
#define TENON_BACKEND_LOWER_H

#include "backend/image.h"
#include "passes/pass.h"

typedef struct View {
    uint32_t buffer; /* of the function being lowered; TN_NO_ID = absent */
    TnDType dtype;
    TnLayout layout;
    int rank;
    const Expr *dims[TN_MAX_RANK], *strides[TN_MAX_RANK], *offset;
    const Expr *from[TN_MAX_RANK], *period[TN_MAX_RANK]; /* of rings; else NULL */
} View;

typedef struct Buffer {
    PlanBufferKind kind;
    uint32_t index;
    const Expr *elements;
    TnDType dtype;
    uint32_t merged; /* buffer this one became part of (in place), or TN_NO_ID */
    size_t written;  /* the last instruction so far that writes it, plus 1; 0: none */
} Buffer;

typedef struct LInstr {
    TnOpcode kind;
    int inputs, outputs;
    View *operand; /* inputs, then outputs */
    const Expr *const *scalars;
    int scalar_count;
    const void *params;
    uint32_t params_bytes;
    const char *origin;
} LInstr;

/* Where a value of the source model can be looked at: the view, as soon as the instruction ran. */
typedef struct LValue {
    size_t instr, place; /* place: in the order they were noted */
    View view;
    const char *name;
} LValue;

/* How the plan stores a constant of the module: see layout.c. */
typedef struct ConstantLayout {
    /* Its uses: gemm weight, table of rows, anything else; gemm weight in several forms. */
    bool panels, rows, other, mixed;
    bool transposed;                            /* as gemm weight it is [n, k] */
    TnLayout layout;                            /* ... and this is how it is packed */
    Stored *plain, *packed[TN_LAYOUT_COUNT][2]; /* packed: by layout, from [k, n] or [n, k] */
    Stored *conv[CONV_FORMS];                   /* as weight of a convolution */
} ConstantLayout;

typedef struct Lower {
    Image *im;
    Graph *g;
    Cx *cx;
    ExprCx *x;
    ConstantLayout *layouts; /* by constant id */
    View *view_of;           /* by value id; buffer = TN_NO_ID and rank = -1: not lowered yet */
    View *dense_of;          /* by value id: a dense copy of it; rank -1: none */
    struct Part *parts;      /* by value id: what it is computed into; see place.h */
    bool *placed;            /* by value id: a concat or pad whose memory parts may be in already */
    uint32_t *result_buffer; /* by result of the graph: its OUTPUT buffer; TN_NO_ID: a state */
    struct LState *states;   /* by state of the graph */
    Buffer *buffers;
    size_t buffer_count, buffer_capacity;
    uint32_t *constant_buffer; /* by stored constant: its buffer + 1, or 0 */
    size_t constant_buffer_capacity;
    LInstr *instrs;
    size_t instr_count, instr_capacity;
    LValue *named;
    size_t named_count, named_capacity;
    const char *origin;
} Lower;

/* layout.c */
ConstantLayout *layout_constants(Image *im);
void layout_report(Image *im, Report *r);
bool layout_packed_only(const ConstantLayout *l);
/* Panels, pairs or quads: in which layout a product takes a weight, beside activations of a type.
 */
TnLayout lower_weight_layout(const Constant *w, TnDType activations);
/* The same of a matrix, or of several side by side, [k, n] or [n, k] each, which may also be in
 * records. */
TnLayout lower_matrix_layout(Image *im, int parts, const Constant *const *w, bool transposed,
                             TnDType activations);
/* Whether a matmul_int takes b in quads: a matrix with one zero point for each column. */
bool lower_is_quads(const Node *n);
/* [k, n] packed; several parts stand side by side along n. */
View lower_weight(Lower *lo, TnLayout layout, int parts, const Constant *const *part,
                  bool transposed);
View lower_conv_weight(Lower *lo, const Constant *w, ConvForm form);
View lower_plain_constant(Lower *lo, const Constant *c);
/* Vectors one after another. */
View lower_joined_vector(Lower *lo, int parts, const Constant *const *part);

/* view.c: forms of views */
View view_absent(void);
View view_dense(Lower *lo, uint32_t buffer, const Type *t);
bool view_is_dense(Lower *lo, const View *v);
/* Memory orders list the axes as they lie in memory, outermost first. */
IntList view_row_major(int rank);
IntList view_channels_last(int rank); /* [b, c, ..]: 0, 2, .., 1 */
View view_in_order(Lower *lo, uint32_t buffer, const Type *t, const IntList *order); /* no gaps */
/* The order in which v's axes lie; false (and row-major) if it cannot be told, as of broadcast
 * axes. */
bool view_order(Lower *lo, const View *v, IntList *order);
bool view_is_same(const View *a, const View *b);  /* of one rank: the same elements of memory */
bool view_has_rows(const View *v);                /* last axis dense */
bool view_has_dims(const View *v, const Type *t); /* not split */
/* False: needs a copy. */
bool view_reshape(Lower *lo, const View *v, int rank, const Expr *const *dims, View *out);
View view_permute(const View *v, const IntList *perm);
View view_slice(Lower *lo, const View *v, int axis, const Expr *start, const Expr *length,
                int64_t step);
View view_broadcast(Lower *lo, const View *v, int rank, const Expr *const *dims);

/* ring.c: axes that are rings */
bool view_has_ring(const View *v);
/* Element i becomes element (starts + i) mod dims, or back. False: needs a copy, here and in the
 * next. */
bool view_roll(Lower *lo, const View *v, const DimList *starts, bool back, View *out);
bool view_slice_ring(Lower *lo, const View *v, int axis, const Expr *start, const Expr *length,
                     int64_t step, View *out);
bool view_rings_meet(Lower *lo, const View *a, const View *b); /* close at the same places */
/* The instruction, or several of them over parts of the index space of `walkers` (a bit per
 * operand, inputs first), which have the same leading dims and rings that meet. */
void lower_emit_boxes(Lower *lo, TnOpcode kind, int inputs, const View *in, int outputs,
                      const View *out, uint32_t walkers, const void *params, uint32_t params_bytes);

/* lower.c */
uint32_t lower_buffer(Lower *lo, PlanBufferKind kind, uint32_t index, const Expr *elements,
                      TnDType dtype);
View lower_operand(Lower *lo, const Value *v); /* any strides */
View lower_as_is(Lower *lo, const Value *v);   /* may be split or rolled */
View lower_rows(Lower *lo, const Value *v);    /* dense last axis */
View lower_dense(Lower *lo, const Value *v);
View lower_result(Lower *lo, const Value *v); /* where the value is to be written: see place.h */
View lower_copy(Lower *lo, const View *v);    /* into a new dense buffer */
void lower_set(Lower *lo, const Value *v, View view);
LInstr *lower_emit(Lower *lo, TnOpcode kind, int inputs, const View *in, int outputs,
                   const View *out, const void *params, uint32_t params_bytes);
void lower_emit_copy(Lower *lo, const View *from, const View *to);
const char *lower_origin(Cx *cx, const Node *n); /* the source nodes that it came from */
void lower_graph(Image *im, Graph *g, ConstantLayout *layouts);

/* store.c: a buffer for what an operator computes row by row, in the order that its readers want */
View lower_store(Lower *lo, const Value *v);
/* A view that is better than place_own's because of what its only reader makes of it. */
bool store_for_reader(Lower *lo, const Value *v, View *stored);
bool store_is_rowwise(const Node *n); /* takes operands that are split */

/* columns.c: a product straight to its place in another value. c: its columns there, maybe heads;
 * a: its rows under the same leading dims. False: it has no such place. */
bool lower_columns(Lower *lo, const Value *v, const Value *x, View *c, View *a);

/* rows.c: operands and results of an operator that works row by row (rows: over the last axis,
 * which has a length of its own in each and is dense) or element by element, all under the same
 * dims. values: operands, some of which may be NULL, then at most two results, the second of which
 * may be; views: the same. */
void lower_walked(Lower *lo, int inputs, int outputs, const Value *const *values, bool rows,
                  View *views);

/* lower_move.c, lower_compute.c: one function per operator, in the table of lower_table.c */
typedef void LowerFn(Lower *lo, Node *n);
LowerFn *lower_function(OpKind op); /* NULL: has no instruction */

/* lower_values.c: where values of the source model are, after the node that computes them. */
void lower_note_values(Lower *lo, const Node *n);
/* Into VALUES of the plan, in the order of instructions; `buffer_ids` as for record_view. */
void lower_record_values(Lower *lo, const PlanFunction *f, const uint32_t *buffer_ids);
uint32_t lower_record_view(Lower *lo, const View *v, const uint32_t *buffer_ids);

/* lower_state.c: states as buffers of their own, STATE in the plan. */
void lower_states(Lower *lo);
/* The memory of a state if `v` is what the graph appends to it, else NULL. */
const View *lower_appended(const Lower *lo, const Value *v);
const View *lower_made(const Lower *lo, const Value *v); /* the same if it is made anew */
/* What a node has computed of the contents of states is put there, unless it is there already. */
void lower_write_states(Lower *lo, const Value *v);
void lower_record_states(Lower *lo, uint32_t function, const uint32_t *buffer_ids);

/* past.c: what keys or values of attention, lowered as `view`, begin with, if they are a past with
 * rows behind it that is returned; absent if they are not. */
View lower_past(Lower *lo, const Value *v, const View *view);

/* order.c: marks over the finished list: of what is in place, and of copies that nobody reads. */
void order_in_place(Lower *lo);
void order_streams(Lower *lo);

#endif
