/* What is printed: a table for reading, JSON for bench/report.py. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "bench/kernels/bench.h"

/* What the machine does of the case's operations per second. */
static double peak_of(const Case *c, const Measured *m) {
    return c->passes ? m->flops / c->passes : m->flops;
}

static double figure_of(const Case *c, const Measured *m) {
    if (c->figure == FIGURE_MICROSECONDS) return m->seconds * 1e6;
    if (c->figure == FIGURE_CYCLES) return m->seconds * m->clock / (c->elements / 16);
    double least = m->flops > 0 ? c->flops / peak_of(c, m) : 0;
    if (m->bytes > 0) least = fmax(least, c->bytes / m->bytes);
    return least / m->seconds;
}

/* 512-bit multiply-adds per cycle, 1 or 2: a core's units are half or whole vectors wide. Peaks
 * fall short of either and never exceed it by half. */
enum { FULL_WIDTH = 2, SLOT_FLOPS = 32 };
static int slots_per_cycle(const Measured *m) {
    return m->flops / m->clock < 1.5 * SLOT_FLOPS ? 1 : FULL_WIDTH;
}

static double target_of(const Bench *b, const Case *c, const Measured *m) {
    if (c->figure == FIGURE_CYCLES) return c->slots / slots_per_cycle(m);
    return c->target[b->threads > 1];
}

static bool is_met(const Case *c, double figure, double target) {
    return c->figure == FIGURE_ROOF ? figure >= target : figure <= target;
}

static const char *unit(Figure figure) {
    return figure == FIGURE_ROOF ? "roof" : figure == FIGURE_CYCLES ? "cycles" : "us";
}

static void print_json(Bench *b, const Case *c, const Measured *m, double figure, double target) {
    printf("%s{\"name\":\"%s\",\"isa\":\"%s\",\"threads\":%d,\"microseconds\":%.3f,"
           "\"gflops\":%.2f,\"peak_gflops\":%.2f,\"gbytes\":%.2f,\"memory_gbytes\":%.2f,"
           "\"clock_ghz\":%.3f,\"rounds\":%d,\"calm\":%d,\"unit\":\"%s\",\"figure\":%.4f",
           b->printed++ ? ",\n" : "[\n", c->name, tn_isa_name(b->isa), b->threads, m->least * 1e6,
           c->flops / m->least / 1e9, peak_of(c, m) / 1e9, c->bytes / m->least / 1e9,
           m->bytes / 1e9, m->clock / 1e9, m->rounds, m->calm, unit(c->figure), figure);
    if (target > 0)
        printf(",\"target\":%g,\"met\":%s", target, is_met(c, figure, target) ? "true" : "false");
    if (c->slots > 0)
        printf(",\"slots_per_cycle\":%d,\"full_width_target\":%g", slots_per_cycle(m),
               c->slots / FULL_WIDTH);
    printf("}");
    fflush(stdout);
}

static void print_rate(double rate) {
    if (rate > 0)
        printf(" %9.1f", rate / 1e9);
    else
        printf(" %9s", "");
}

static void print_row(Bench *b, const Case *c, const Measured *m, double figure, double target) {
    if (!b->printed++)
        printf("%-38s %3s %12s %9s %9s %9s %9s %9s %8s %-6s %6s\n", tn_isa_name(b->isa), "thr",
               "microseconds", "GFLOP/s", "peak", "GB/s", "memory", "calm", "figure", "", "target");
    printf("%-38s %3d %12.2f", c->name, b->threads, m->least * 1e6);
    print_rate(c->flops / m->least);
    print_rate(peak_of(c, m));
    print_rate(c->bytes / m->least);
    print_rate(m->bytes);
    char calm[16];
    snprintf(calm, sizeof calm, "%d/%d", m->calm, m->rounds);
    printf(" %9s %8.3f %-6s", m->rounds ? calm : "", figure, unit(c->figure));
    if (target > 0) printf(" %6.2f%s", target, is_met(c, figure, target) ? "" : "  below");
    if (c->slots > 0) printf("  (%.2f at full width)", c->slots / FULL_WIDTH);
    printf("\n");
    fflush(stdout);
}

void bench_print(Bench *b, const Case *c, const Measured *m) {
    if (c->figure == FIGURE_CYCLES && m->clock <= 0) return;
    double figure = figure_of(c, m), target = target_of(b, c, m);
    if (b->below && (target <= 0 || is_met(c, figure, target))) return;
    if (b->json)
        print_json(b, c, m, figure, target);
    else
        print_row(b, c, m, figure, target);
}
