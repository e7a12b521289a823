/* The regions of a band, in each of which one formula holds; together they are all places. Rows are
 * taken chunk by chunk, i = w n + r:
 *
 *                        first chunk              others                 last chunk
 *     columns up to w    c = w - 1 - u, u < r     c = u                  c = u
 *                        no key: c = u < w - r
 *     column w           c = w                    c = w                  c = w
 *     columns from w     c = w + 1 + u            c = w + 1 + u          c = w + 1 + u < 2 w - r
 *                                                                        no key: c = 2 w - u,
 *                                                                        u <= r */
#include "passes/band_region.h"

typedef enum Chunk { FIRST_ROW, FIRST, MIDDLE, LAST } Chunk;
typedef enum Part { BEFORE, NO_BEFORE, DIAGONAL, BEHIND, NO_BEHIND } Part;

static const struct {
    Chunk chunk;
    Part part;
} regions[BAND_REGIONS] = {{MIDDLE, BEFORE},       {MIDDLE, DIAGONAL},    {MIDDLE, BEHIND},
                           {FIRST_ROW, NO_BEFORE}, {FIRST_ROW, DIAGONAL}, {FIRST_ROW, BEHIND},
                           {FIRST, BEFORE},        {FIRST, NO_BEFORE},    {FIRST, DIAGONAL},
                           {FIRST, BEHIND},        {LAST, BEFORE},        {LAST, DIAGONAL},
                           {LAST, BEHIND},         {LAST, NO_BEHIND}};

const Expr *band_chunks(ExprCx *x, const Band *a) {
    return ex_floordiv(x, a->length, ex_int(x, a->width));
}

bool band_region(ExprCx *x, const Band *a, int which, BandRegion *g) {
    Chunk chunk = regions[which].chunk;
    Part part = regions[which].part;
    int64_t w = a->width;
    bool short_behind = chunk == LAST && part == BEHIND;
    const Expr *rows = ex_int(x, chunk == FIRST_ROW               ? 1
                                 : chunk == FIRST || short_behind ? w - 1
                                                                  : w);
    const Expr *others = ex_sub(x, band_chunks(x, a), ex_int(x, 2)), *n = ex_int(x, 0);
    const Expr *wide = ex_int(x, w), *one = ex_int(x, 1), *r = ex_coord(x, ROW, rows), *c = wide;
    if (ex_is(rows, 0) || (chunk == MIDDLE && ex_is(others, 0))) return false;
    if (chunk == FIRST) r = ex_add(x, r, one);
    if (chunk == MIDDLE) n = ex_add(x, one, ex_coord(x, CHUNK, others));
    if (chunk == LAST) n = ex_add(x, one, others);
    if (chunk == FIRST && part == BEFORE)
        c = ex_sub(x, ex_int(x, w - 1), ex_coord(x, COLUMN, r));
    else if (part == BEFORE)
        c = ex_coord(x, COLUMN, wide);
    else if (part == NO_BEFORE)
        c = ex_coord(x, COLUMN, ex_sub(x, wide, r));
    else if (part == NO_BEHIND)
        c = ex_sub(x, ex_int(x, 2 * w), ex_coord(x, COLUMN, ex_add(x, r, one)));
    else if (part == BEHIND)
        c = ex_add(x, ex_int(x, w + 1),
                   ex_coord(x, COLUMN, short_behind ? ex_sub(x, ex_int(x, w - 1), r) : wide));
    *g =
        (BandRegion){.b = ex_coord(x, BATCH, a->batch), .h = ex_coord(x, HEAD, a->heads), .row = r};
    g->inside = part != NO_BEFORE && part != NO_BEHIND;
    g->i = ex_add(x, ex_mul(x, wide, n), r);
    g->c = c;
    g->key = ex_sub(x, ex_add(x, g->i, c), wide);
    return true;
}

BandRegion band_anywhere(ExprCx *x, const Band *a) {
    return (BandRegion){ex_coord(x, BATCH, a->batch), ex_coord(x, HEAD, a->heads),
                        .i = ex_coord(x, CHUNK, a->length), .c = ex_coord(x, COLUMN, a->sinks)};
}

static const Expr *role_at(ExprCx *x, const BandRegion *g, Role role, const Expr *place,
                           const Expr *d, const Expr *depth) {
    switch (role) {
    case ROLE_NONE: return ex_int(x, 0);
    case ROLE_BATCH: return g->b;
    case ROLE_PLACE: return place;
    case ROLE_HEAD: return g->h;
    case ROLE_DEPTH: return d;
    case ROLE_MERGED: break;
    }
    return ex_add(x, ex_mul(x, g->h, depth), d);
}

static const Expr *role_dim(ExprCx *x, const Band *a, Role role, const Expr *length,
                            const Expr *depth) {
    const Expr *dims[] = {ex_int(x, 1), a->batch, length, a->heads, depth};
    return role == ROLE_MERGED ? ex_mul(x, a->heads, depth) : dims[role];
}

bool band_lies(ExprCx *x, const Band *a, Laid *l, const Origin *o, const BandRegion *g,
               const Expr *place, const Expr *length, const Expr *depth) {
    const Expr *d = depth ? ex_coord(x, DEPTH, depth) : NULL;
    Role last = depth ? ROLE_MERGED : ROLE_PLACE;
    if (!o->value) return false;
    bool first = !l->value;
    if (!first && l->value != o->value) return false;
    for (int k = 0; k < o->value->type.rank; k++) {
        const Expr *dim = o->value->type.dims[k];
        for (Role role = first ? ROLE_NONE : l->role[k]; first; role++) {
            if (role > last) return false;
            if (o->at[k] != role_at(x, g, role, place, d, depth)) continue;
            if (dim != role_dim(x, a, role, length, depth)) continue;
            l->role[k] = role;
            break;
        }
        if (o->at[k] != role_at(x, g, l->role[k], place, d, depth)) return false;
    }
    l->value = o->value;
    l->length = length;
    return true;
}
