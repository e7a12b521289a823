/* Places of a band, as band_find.c asks about them. */
#ifndef TENON_PASSES_BAND_REGION_H
#define TENON_PASSES_BAND_REGION_H

#include "passes/band.h"
#include "passes/origin.h"

enum { BATCH, HEAD, CHUNK, ROW, COLUMN, DEPTH }; /* numbers of coordinates */
enum { BAND_REGIONS = 14 };

/* Where a question is asked: row i = width * chunk + row, column c of the band, whose key is at
 * `key` if there is one. */
typedef struct BandRegion {
    const Expr *b, *h, *row, *i, *c, *key;
    bool inside;
} BandRegion;

/* Region `which` of BAND_REGIONS; false if there is no such place. */
bool band_region(ExprCx *x, const Band *a, int which, BandRegion *g);
/* Any row and sink: the region of the whole. */
BandRegion band_anywhere(ExprCx *x, const Band *a);
const Expr *band_chunks(ExprCx *x, const Band *a); /* how many */

/* The tensor at this place, of this region's batch entry and head, and at depth d; `depth` is NULL
 * for masks, which have neither. The first time says what the axes are, other regions must agree.
 */
bool band_lies(ExprCx *x, const Band *a, Laid *l, const Origin *o, const BandRegion *g,
               const Expr *place, const Expr *length, const Expr *depth);

#endif
