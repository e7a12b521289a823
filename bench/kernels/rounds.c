/* What the rounds of a row say together.
 *
 * Best over best would leave a row to whether the machine and the kernel met equally good moments;
 * medians fall with every disturbance, long kernels' first. So each is what the best tenth reaches.
 * Which rounds count is asked of neither: of how many instructions the cores issued around them,
 * which falls by a third and more when another process, or another tenant's on the same core's
 * other thread, runs there. */
#include <math.h>
#include <stdlib.h>
#include "bench/kernels/bench.h"

static const double CALM = 0.9, BEST = 0.9; /* shares: of the best issue; of the rounds below */

Rounds *rounds_of_next(Bench *b) {
    if (b->row == b->row_count) {
        Rounds *more = realloc(b->rows, (size_t)(b->row_count + 1) * sizeof *more);
        if (!more) return NULL;
        b->rows = more;
        b->rows[b->row_count++] = (Rounds){0};
    }
    return &b->rows[b->row++];
}

void rounds_free(Bench *b) {
    for (int i = 0; i < b->row_count; i++) free(b->rows[i].round);
    free(b->rows);
    b->rows = NULL;
    b->row_count = 0;
}

bool rounds_add(Rounds *r, const Round *round) {
    if (r->count == r->room) {
        int room = r->room ? 2 * r->room : 64;
        Round *more = realloc(r->round, (size_t)room * sizeof *more);
        if (!more) return false;
        r->round = more;
        r->room = room;
    }
    r->round[r->count++] = *round;
    return true;
}

static bool is_calm(const Round *round, double best_issue) {
    return round->issue >= CALM * best_issue;
}

int rounds_calm(const Rounds *r, double best_issue) {
    int calm = 0;
    for (int i = 0; i < r->count; i++) calm += is_calm(&r->round[i], best_issue);
    return calm;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What the best tenth of n values reaches. Of less than ten, the best. */
static double reached(double *values, int n) {
    qsort(values, (size_t)n, sizeof *values, by_value);
    return values[(int)(BEST * n)];
}

Measured rounds_measured(const Rounds *r, double best_issue) {
    Measured m = {.calm = rounds_calm(r, best_issue), .rounds = r->count, .least = 1e9};
    double *v = malloc((size_t)r->count * 4 * sizeof *v);
    if (!v) return m;
    double *rates = v, *flops = v + r->count, *bytes = flops + r->count, *clock = bytes + r->count;
    int n = 0;
    for (int i = 0; i < r->count; i++) {
        const Round *round = &r->round[i];
        m.least = fmin(m.least, round->seconds);
        if (m.calm >= LEAST_CALM && !is_calm(round, best_issue)) continue;
        rates[n] = 1 / round->seconds;
        flops[n] = round->flops;
        bytes[n] = round->bytes;
        clock[n++] = round->clock;
    }
    m.seconds = 1 / reached(rates, n);
    m.flops = reached(flops, n);
    m.bytes = reached(bytes, n);
    m.clock = reached(clock, n);
    free(v);
    return m;
}
