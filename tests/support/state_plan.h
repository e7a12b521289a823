/* A plan with states: "kv" [batch, 2, capacity, 3] grows, "memory" [batch, length] is written once.
 *
 *     step(x [batch, 2, n, 3])                       appends x to kv; all = kv, seen = memory
 *     fill(x [batch, 2, n, 3], m [batch, length])    kv = x, memory = m; copied = x
 *     plain(x [n])                                   has no states */
#ifndef TENON_TESTS_SUPPORT_STATE_PLAN_H
#define TENON_TESTS_SUPPORT_STATE_PLAN_H

#include "tests/support/plan_builder.h"

typedef struct StatePlan {
    PlanBuilder *b;
    uint32_t batch, n, past, length, one, two, three; /* expressions */
    uint32_t room[2];                                 /* those of the capacities' symbols */
    uint32_t capacity[2];                             /* the symbols: of kv, of memory */
} StatePlan;

static inline uint32_t state_copied(const StatePlan *s, uint32_t from, uint32_t to) {
    pb_instruction(s->b, TN_OP_copy, 1, &from, 1, &to, NULL, 0, NULL, 0, "copy");
    return to;
}

/* Rows [first, first + rows) of kv as the function's buffer has them. */
static inline uint32_t state_rows(const StatePlan *s, uint32_t buffer, uint32_t first,
                                  uint32_t rows) {
    uint32_t head = pb_expr(s->b, TN_EXPR_MUL, s->room[0], s->three);
    return pb_view(s->b, buffer, TN_F32, TN_LAYOUT_STRIDED, 4,
                   (uint32_t[]){s->batch, s->two, rows, s->three},
                   (uint32_t[]){pb_expr(s->b, TN_EXPR_MUL, head, s->two), head, s->three, s->one},
                   pb_expr(s->b, TN_EXPR_MUL, first, s->three));
}

static inline uint32_t state_memory(const StatePlan *s, uint32_t buffer) {
    return pb_view(s->b, buffer, TN_F32, TN_LAYOUT_STRIDED, 2, (uint32_t[]){s->batch, s->length},
                   (uint32_t[]){s->room[1], s->one}, pb_const(s->b, 0));
}

static inline uint32_t state_buffer(const StatePlan *s, uint32_t record, bool kv) {
    uint32_t rows = pb_expr(s->b, TN_EXPR_MUL, s->batch, s->room[!kv]);
    uint32_t six = pb_const(s->b, 6);
    return pb_buffer(s->b, TN_BUFFER_STATE, record,
                     kv ? pb_expr(s->b, TN_EXPR_MUL, rows, six) : rows, TN_F32);
}

/* Both records of a function, whose number is the builder's present one. */
static inline void state_records(const StatePlan *s, uint32_t kv, uint32_t memory, PlanAccess grows,
                                 PlanAccess stays) {
    PlanBuilder *b = s->b;
    uint32_t function = (uint32_t)(b->section[TN_SECTION_FUNCTIONS].bytes / sizeof(PlanFunction));
    bool append = grows == TN_STATE_APPEND;
    uint32_t rows[] = {s->batch, s->two, append ? s->past : s->n, s->three};
    PlanState r = {.name = pb_string(b, "kv"),
                   .state = 0,
                   .function = function,
                   .buffer = kv,
                   .dims = pb_ids(b, rows, 4),
                   .capacity = s->capacity[0],
                   .next = append ? pb_expr(b, TN_EXPR_ADD, s->past, s->n) : s->n,
                   .access = (uint8_t)grows,
                   .rank = 4,
                   .axis = 2,
                   .batch = 0};
    pb_record(b, TN_SECTION_STATES, &r, sizeof r);
    r.name = pb_string(b, "memory");
    r.state = 1;
    r.buffer = memory;
    r.dims = pb_ids(b, (uint32_t[]){s->batch, s->length}, 2);
    r.capacity = s->capacity[1];
    r.next = s->length;
    r.access = (uint8_t)stays;
    r.rank = 2;
    r.axis = 1;
    pb_record(b, TN_SECTION_STATES, &r, sizeof r);
}

static inline void state_step(const StatePlan *s) {
    PlanBuilder *b = s->b;
    pb_begin(b, "step");
    uint32_t x = pb_input(b, "x", TN_F32, 4, (uint32_t[]){s->batch, s->two, s->n, s->three},
                          TN_DEFAULT_NONE);
    uint32_t now = pb_expr(b, TN_EXPR_ADD, s->past, s->n);
    uint32_t all = pb_output(b, "all", TN_F32, 4, (uint32_t[]){s->batch, s->two, now, s->three});
    uint32_t seen = pb_output(b, "seen", TN_F32, 2, (uint32_t[]){s->batch, s->length});
    uint32_t kv = state_buffer(s, 0, true), memory = state_buffer(s, 1, false);
    state_copied(s, x, state_rows(s, kv, s->past, s->n));
    state_copied(s, state_rows(s, kv, pb_const(b, 0), now), all);
    state_copied(s, state_memory(s, memory), seen);
    state_records(s, kv, memory, TN_STATE_APPEND, TN_STATE_READ);
    pb_end(b);
}

static inline void state_fill(const StatePlan *s) {
    PlanBuilder *b = s->b;
    pb_begin(b, "fill");
    uint32_t x = pb_input(b, "x", TN_F32, 4, (uint32_t[]){s->batch, s->two, s->n, s->three},
                          TN_DEFAULT_NONE);
    uint32_t m = pb_input(b, "m", TN_F32, 2, (uint32_t[]){s->batch, s->length}, TN_DEFAULT_NONE);
    uint32_t copied =
        pb_output(b, "copied", TN_F32, 4, (uint32_t[]){s->batch, s->two, s->n, s->three});
    uint32_t kv = state_buffer(s, 2, true), memory = state_buffer(s, 3, false);
    state_copied(s, x, state_rows(s, kv, pb_const(b, 0), s->n));
    state_copied(s, m, state_memory(s, memory));
    state_copied(s, x, copied);
    state_records(s, kv, memory, TN_STATE_WRITE, TN_STATE_WRITE);
    pb_end(b);
}

static inline unsigned char *state_plan(size_t *size) {
    PlanBuilder b = {0};
    StatePlan s = {.b = &b};
    s.one = pb_const(&b, 1);
    s.two = pb_const(&b, 2);
    s.three = pb_const(&b, 3);
    s.batch = pb_symbol(&b, "batch", 1, 64);
    s.n = pb_symbol(&b, "n", 0, 512);
    s.past = pb_symbol(&b, "past", 0, 1000);
    s.length = pb_symbol(&b, "length", 0, 512);
    for (int i = 0; i < 2; i++)
        s.room[i] = pb_capacity(&b, i ? "room.memory" : "room.kv", &s.capacity[i]);
    state_step(&s);
    state_fill(&s);
    pb_begin(&b, "plain");
    uint32_t x = pb_input(&b, "x", TN_F32, 1, &s.n, TN_DEFAULT_NONE),
             y = pb_output(&b, "y", TN_F32, 1, &s.n);
    state_copied(&s, x, y);
    pb_end(&b);
    return pb_finish(&b, size);
}

#endif
