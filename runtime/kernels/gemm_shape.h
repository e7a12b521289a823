/* What an instruction asks of gemm.c: the product's operands, how each is stored, and the way it is
 * done. */
#ifndef TENON_RUNTIME_KERNELS_GEMM_SHAPE_H
#define TENON_RUNTIME_KERNELS_GEMM_SHAPE_H

#include "runtime/kernels/bf16.h"
#include "runtime/kernels/isa.h"
#include "runtime/kernels/loop.h"
#include "runtime/kernels/records.h"

enum { A, C, RESIDUAL, MATRICES }; /* operands that have rows */

typedef struct Gemm {
    const TnIsaKernels *isa;
    int64_t m, n, k;
    int64_t head, head_stride; /* columns of a head, n if there are none; from one to the next */
    const void *b;             /* panels of f32, f16 or bf16, or of pairs or records */
    TnDType b_dtype;
    TnLayout layout;
    int64_t depth, panel_bytes;   /* rows in b: k, or one more; of a panel of b */
    const RecordStreams *records; /* NULL if there are none in b */
    const float *bias;            /* NULL if absent */
    void *base[MATRICES];         /* residual: NULL if absent */
    bool bf16[MATRICES];          /* else f32 */
    bool in_pairs;                /* B's rows are */
    bool pairs;                   /* ... and multiplied as such */
    bool copied;                  /* rows of A are converted */
    bool begun;                   /* tiles begin their sums with the bias */
    TileEnd end;                  /* of a tile, but for where it is */
    bool bare;             /* C is sums, or a bias and sums, of its type: all tiles store it */
    bool ends;             /* ... and as much more as large tiles can do */
    int64_t row[MATRICES]; /* strides of the last of the leading axes */
    Loop rows;             /* these, merged where strides allow; the longest, tiled, is last */
} Gemm;

Gemm tn_gemm_of(const TnCall *call);

/* Few rows, which read B as linear streams. */
bool tn_gemm_is_stream(const Gemm *g);

/* Rows of A are in the form that streams of records take. */
bool tn_gemm_is_prepared(const Gemm *g);

/* Kernels of streams. */
const Streams *tn_gemm_streams(const Gemm *g);

/* Rows of a tile, and panels of a group; of streams, those that are read at once. */
TileShape tn_gemm_tiles(const Gemm *g);

/* Panels can't be taken as they are: they are widened in scratch. */
bool tn_gemm_is_widened(const Gemm *g);

/* Floats, or bf16, from row to row of a copy of A. */
int64_t tn_gemm_copied_row(const Gemm *g);

#endif
