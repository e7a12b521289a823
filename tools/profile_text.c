/* A profile as tables, as JSON and as a trace. Times are each instruction's quickest run, so that
 * what else the machine did stays out; the JSON has the mean too. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "ir/names.h"
#include "tools/profile.h"

#define NODE_WIDTH 72 /* of a node's name in the table */

/* Lines added up under one key. */
typedef struct Sum {
    const char *key;
    int instructions;
    double ns, flops, bytes;
    double bound; /* least nanoseconds of the roofline */
} Sum;

typedef struct Sums {
    Sum *list;
    size_t count, capacity;
    NameMap places;
} Sums;

static double bound(const Profile *p, const ProfileLine *l) {
    return roof_bound(&p->roof, l->type, l->passes * l->flops, l->bytes);
}

static void add(const Profile *p, Sums *s, const char *key, const ProfileLine *l) {
    Arena *a = p->arena;
    s->places.arena = a;
    size_t place = (size_t)(uintptr_t)names_find(&s->places, key);
    if (!place) {
        s->list = arena_grow(a, s->list, &s->capacity, s->count + 1, sizeof *s->list);
        s->list[s->count] = (Sum){.key = key};
        place = ++s->count;
        names_add(&s->places, key, (void *)(uintptr_t)place);
    }
    Sum *sum = &s->list[place - 1];
    sum->instructions++;
    sum->ns += (double)l->least;
    sum->flops += l->flops;
    sum->bytes += l->bytes;
    sum->bound += bound(p, l);
}

/* Adds a line to the group that it is in and to all that hold it: "a/b/c", "a/b", "a". */
static void add_groups(const Profile *p, Sums *s, const ProfileLine *l) {
    for (size_t n = strlen(l->group); n;) {
        add(p, s, arena_strndup(p->arena, l->group, n), l);
        while (n && l->group[n - 1] != '/') n--;
        if (n) n--;
    }
}

static int by_time(const void *a, const void *b) {
    const Sum *x = a, *y = b;
    if (x->ns != y->ns) return x->ns < y->ns ? 1 : -1;
    return strcmp(x->key, y->key);
}

static int by_key(const void *a, const void *b) {
    return strcmp(((const Sum *)a)->key, ((const Sum *)b)->key);
}

static Sums sum_up(const Profile *p, bool groups) {
    Sums s = {0};
    for (uint32_t i = 0; i < p->count; i++) {
        if (!p->lines[i].calls) continue;
        if (groups)
            add_groups(p, &s, &p->lines[i]);
        else
            add(p, &s, p->lines[i].opcode, &p->lines[i]);
    }
    if (s.count) qsort(s.list, s.count, sizeof *s.list, groups ? by_key : by_time);
    return s;
}

static double total(const Profile *p) {
    double ns = 0;
    for (uint32_t i = 0; i < p->count; i++) ns += (double)p->lines[i].least;
    return ns > 0 ? ns : 1;
}

/* Bytes of all instructions, and of those that only move elements. */
static void movement(const Profile *p, double *moved, double *all) {
    *moved = *all = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        *all += p->lines[i].bytes;
        if (p->lines[i].moves) *moved += p->lines[i].bytes;
    }
}

static double share(double part, double whole) {
    return whole > 0 ? 100 * part / whole : 0;
}

/* Per nanosecond: billions per second. */
static double rate(double n, double ns) {
    return ns > 0 ? n / ns : 0;
}

/* --- tables --- */

typedef struct Place {
    int64_t least;
    uint32_t instruction;
} Place;

static int by_least(const void *a, const void *b) {
    const Place *x = a, *y = b;
    if (x->least != y->least) return x->least < y->least ? 1 : -1;
    return x->instruction < y->instruction ? -1 : x->instruction > y->instruction;
}

static void print_instructions(Tool *t, const Profile *p) {
    Place *order = ARENA_ARRAY(p->arena, Place, (size_t)p->count + 1);
    size_t count = 0;
    double all = total(p), sum = 0;
    for (uint32_t i = 0; i < p->count; i++)
        if (p->lines[i].calls) order[count++] = (Place){p->lines[i].least, i};
    if (count) qsort(order, count, sizeof *order, by_least);
    tool_print(t, "\ninstruction            us  share    sum  GFLOP/s    GB/s   roof  from\n");
    for (size_t i = 0; i < count; i++) {
        const ProfileLine *l = &p->lines[order[i].instruction];
        double ns = (double)l->least;
        sum += ns;
        tool_printf(t, "%4" PRIu32 " %-12s %8.1f %5.1f%% %5.1f%% %8.1f %7.1f %5.0f%%  %.*s%s\n",
                    order[i].instruction, l->opcode, ns / 1e3, share(ns, all), share(sum, all),
                    rate(l->flops, ns), rate(l->bytes, ns), share(bound(p, l), ns), NODE_WIDTH,
                    l->node, strlen(l->node) > NODE_WIDTH ? "..." : "");
    }
}

static void print_sums(Tool *t, const Sums *s, double all, const char *title, double least) {
    int width = (int)strlen(title);
    for (size_t i = 0; i < s->count; i++)
        if (share(s->list[i].ns, all) >= least && strlen(s->list[i].key) > (size_t)width)
            width = (int)strlen(s->list[i].key);
    tool_printf(t, "\n%-*s  count       us  share  GFLOP/s    GB/s   roof\n", width, title);
    for (size_t i = 0; i < s->count; i++) {
        const Sum *x = &s->list[i];
        if (share(x->ns, all) < least) continue;
        tool_printf(t, "%-*s  %5d %8.1f %5.1f%% %8.1f %7.1f %5.0f%%\n", width, x->key,
                    x->instructions, x->ns / 1e3, share(x->ns, all), rate(x->flops, x->ns),
                    rate(x->bytes, x->ns), share(x->bound, x->ns));
    }
}

/* Peak arithmetic and bandwidth, and to how much of the time all bounds add up. */
static void print_roof(Tool *t, const Profile *p, double all) {
    const Roof *r = &p->roof;
    double least = 0;
    for (uint32_t i = 0; i < p->count; i++) least += bound(p, &p->lines[i]);
    tool_printf(t, "\nroofline: %.1f GFLOP/s", r->flops[ROOFLINE_F32] / 1e9);
    if (r->flops[ROOFLINE_BF16] > 1.5 * r->flops[ROOFLINE_F32])
        tool_printf(t, " (bf16 %.1f)", r->flops[ROOFLINE_BF16] / 1e9);
    if (r->flops[ROOFLINE_I8] > 1.5 * r->flops[ROOFLINE_F32])
        tool_printf(t, " (8 bits %.1f)", r->flops[ROOFLINE_I8] / 1e9);
    tool_printf(t, ", %.1f GB/s read from memory; bounds add up to %.1f us, %.0f %% of the time\n",
                r->bytes / 1e9, least / 1e3, share(least, all));
}

void profile_print(Tool *t, const Profile *p) {
    double all = total(p), moved, bytes;
    Sums kinds = sum_up(p, false), groups = sum_up(p, true);
    print_instructions(t, p);
    print_sums(t, &kinds, all, "kind", 0);
    if (groups.count) print_sums(t, &groups, all, "part of the model (from 1 %)", 1);
    print_roof(t, p, all);
    movement(p, &moved, &bytes);
    tool_printf(t, "data movement: %.1f %% of bytes (%.3g of %.3g MB)\n", share(moved, bytes),
                moved / 1e6, bytes / 1e6);
}

/* --- JSON --- */

static void json_sums(TextBuffer *x, const char *name, const char *key, const Sums *s, double all) {
    text_format(x, ",\"%s\":[", name);
    for (size_t i = 0; i < s->count; i++) {
        const Sum *u = &s->list[i];
        text_format(x, "%s{\"%s\":", i ? "," : "", key);
        text_json(x, u->key);
        text_format(x,
                    ",\"instructions\":%d,\"us\":%.3f,\"share\":%.6f,\"flops\":%.0f,\"bytes\":%.0f,"
                    "\"roof\":%.4f}",
                    u->instructions, u->ns / 1e3, u->ns / all, u->flops, u->bytes,
                    rate(u->bound, u->ns));
    }
    text_add(x, "]");
}

static void json_line(TextBuffer *x, const Profile *p, uint32_t i, double all) {
    const ProfileLine *l = &p->lines[i];
    text_format(x, "{\"instruction\":%" PRIu32 ",\"opcode\":\"%s\",\"node\":", i, l->opcode);
    text_json(x, l->node);
    text_add(x, ",\"module\":");
    text_json(x, l->group);
    text_format(x,
                ",\"calls\":%" PRId64 ",\"us\":%.3f,\"min_us\":%.3f,\"share\":%.6f,\"flops\":%.0f,"
                "\"bytes\":%.0f,\"gflop_s\":%.3f,\"gb_s\":%.3f,\"roof\":%.4f}",
                l->calls / p->runs, (double)l->sum / 1e3 / p->runs, (double)l->least / 1e3,
                (double)l->least / all, l->flops, l->bytes, rate(l->flops, (double)l->least),
                rate(l->bytes, (double)l->least), rate(bound(p, l), (double)l->least));
}

void profile_json(TextBuffer *x, const Profile *p) {
    double all = total(p), moved, bytes;
    const char *comma = "";
    Sums kinds = sum_up(p, false), groups = sum_up(p, true);
    text_format(x,
                ",\"roofline\":{\"gflop_s\":%.3f,\"bf16_gflop_s\":%.3f,\"i8_gflop_s\":%.3f,\"gb_"
                "s\":%.3f},\"profile\":[",
                p->roof.flops[ROOFLINE_F32] / 1e9, p->roof.flops[ROOFLINE_BF16] / 1e9,
                p->roof.flops[ROOFLINE_I8] / 1e9, p->roof.bytes / 1e9);
    for (uint32_t i = 0; i < p->count; i++) {
        if (!p->lines[i].calls) continue;
        text_add(x, comma);
        json_line(x, p, i, all);
        comma = ",";
    }
    text_add(x, "]");
    json_sums(x, "opcodes", "opcode", &kinds, all);
    json_sums(x, "modules", "module", &groups, all);
    movement(p, &moved, &bytes);
    text_format(x, ",\"data_movement\":{\"bytes\":%.0f,\"of\":%.0f}", moved, bytes);
}

/* --- trace --- */

/* Complete events in microseconds; what a branch or loop runs lies within it, on one track. */
const char *profile_trace(const Profile *p) {
    TextBuffer x = {.arena = p->arena};
    text_add(&x, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"
                 "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"args\":{\"name\":");
    text_json(&x, p->run->path);
    text_add(&x, "}}");
    for (size_t i = 0; i < p->event_count; i++) {
        const ProfileEvent *e = &p->events[i];
        const ProfileLine *l = &p->lines[e->instruction];
        text_format(&x,
                    ",\n{\"name\":\"%s\",\"cat\":\"instruction\",\"ph\":\"X\",\"pid\":1,\"tid\":1,"
                    "\"ts\":%.3f,\"dur\":%.3f,\"args\":{\"instruction\":%" PRId32 ",\"node\":",
                    l->opcode, (double)e->start / 1e3, (double)e->duration / 1e3, e->instruction);
        text_json(&x, l->node);
        text_add(&x, "}}");
    }
    text_add(&x, "\n]}\n");
    return text_end(&x);
}
