/* What a map takes together of steps that quantise and dequantise, on every ISA: random programs
 * against the same steps one by one, where nothing can be. */
#include <math.h>
#include "tests/kernels/map_call.h"
#include "tests/kernels/views.h"

enum { MOST_STEPS = 14, MOST_ELEMENTS = 700 };

typedef struct Steps {
    TnMapStep step[MOST_STEPS];
    TnDType type[2 + MOST_STEPS]; /* of registers: x, a number, and one per step */
    int count;
} Steps;

static int add_step(Steps *p, TnMapStep step, TnDType to) {
    step.dtype = (uint8_t)to;
    p->step[p->count] = step;
    p->type[2 + p->count] = to;
    return 2 + p->count++;
}

static int unary(Steps *p, TnMapOp op, int x, TnDType to) {
    TnMapStep s = {.op = (uint8_t)op, .arg_dtype = (uint8_t)p->type[x]};
    s.args[0] = (uint8_t)x;
    return add_step(p, s, to);
}

/* Sometimes the number that is an input, sometimes x itself, or a constant. */
static int binary(Steps *p, TnMapOp op, int x, double number, uint32_t *random) {
    int other = 1;
    if (pick(random, 3))
        other = add_step(p, (TnMapStep){.op = TN_MAP_CONST, .value = number}, TN_F32);
    if (!pick(random, 12)) other = x;
    TnMapStep s = {.op = (uint8_t)op, .arg_dtype = TN_F32};
    int second = op == TN_MAP_DIV && pick(random, 8) ? 1 : (int)pick(random, 2);
    s.args[second] = (uint8_t)other;
    s.args[!second] = (uint8_t)x;
    return add_step(p, s, TN_F32);
}

/* x quantised and dequantised over and over, any step left out or read by another as well. */
static Steps random_steps(TnDType x, uint32_t *random) {
    Steps p = {.type = {x, TN_F32}};
    int at = 0, seen[MOST_STEPS], count = 0;
    if (x != TN_F32) at = unary(&p, TN_MAP_CAST, at, TN_F32);
    for (int turn = (int)pick(random, 6); p.count + 4 <= MOST_STEPS; turn = (turn + 1) % 6) {
        const int zero = (int)pick(random, 200) - 100;
        const TnDType byte = pick(random, 2) ? TN_I8 : TN_U8;
        if (!pick(random, 5)) continue;
        if (turn == 0) at = binary(&p, pick(random, 4) ? TN_MAP_DIV : TN_MAP_MUL, at, 0.03, random);
        if (turn == 1) at = unary(&p, TN_MAP_ROUND, at, TN_F32);
        if (turn == 2) at = binary(&p, TN_MAP_ADD, at, zero + (pick(random, 9) ? 0 : 0.5), random);
        if (turn == 3) {
            const int whole = unary(&p, TN_MAP_CAST, at, byte);
            if (!pick(random, 6)) return p;
            if (!pick(random, 6)) unary(&p, TN_MAP_ABS, whole, byte);
            at = unary(&p, TN_MAP_CAST, whole, TN_F32);
        }
        if (turn == 4) at = binary(&p, TN_MAP_ADD, at, -zero, random);
        if (turn == 5) at = binary(&p, TN_MAP_MUL, at, 0.03, random);
        if (count && !pick(random, 8)) {
            TnMapStep s = {.op = TN_MAP_ADD, .arg_dtype = TN_F32};
            s.args[0] = (uint8_t)at;
            s.args[1] = (uint8_t)seen[pick(random, (uint32_t)count)];
            at = add_step(&p, s, TN_F32);
        }
        if (p.type[at] == TN_F32 && count < MOST_STEPS) seen[count++] = at;
    }
    return p;
}

static double register_bytes[2 + MOST_STEPS][MOST_ELEMENTS];

/* The last step's result, from maps of one step each. */
static const void *one_by_one(TnIsa isa, const Steps *p, const View *x, float number, int64_t n) {
    const size_t size = tn_dtype_size(p->type[0]);
    for (int64_t i = 0; i < n; i++) {
        memcpy((char *)register_bytes[0] + i * (int64_t)size, view_element(&x->t, i), size);
        ((float *)register_bytes[1])[i] = number;
    }
    for (int s = 0; s < p->count; s++) {
        TnMapStep step = p->step[s];
        TnTensor operands[3];
        int inputs = 0;
        for (; inputs < tn_map_operands(step.op); inputs++) {
            const int r = step.args[inputs];
            operands[inputs] = dense(register_bytes[r], p->type[r], 1, &n);
            step.args[inputs] = (uint8_t)inputs;
        }
        operands[inputs] = dense(register_bytes[2 + s], p->type[2 + s], 1, &n);
        call_map(isa, &step, 1, operands, inputs);
    }
    return register_bytes[1 + p->count];
}

static bool same(const void *a, const void *b, TnDType t) {
    if (memcmp(a, b, tn_dtype_size(t)) == 0) return true;
    return t == TN_F32 && isnan(real_get(t, a)) && isnan(real_get(t, b));
}

static void check_program(TnIsa isa, uint32_t *random) {
    static const TnDType types[] = {TN_F32, TN_F32, TN_I8, TN_U8, TN_I32};
    static const float numbers[] = {0.25f, 0.03f, -3, 117, 0, INFINITY, NAN};
    const TnDType type = types[pick(random, 5)];
    const int64_t dims[] = {1 + pick(random, 3), 1 + pick(random, 233)}, n = dims[0] * dims[1];
    const Steps p = random_steps(type, random);
    const TnDType result = p.type[1 + p.count];
    View x = view_new(type, 2, dims, pick(random, 2) ? random : NULL);
    View y = view_new(result, 2, dims, pick(random, 3) ? NULL : random);
    float number = numbers[pick(random, 7)];
    view_randomise(&x, random);
    for (int64_t i = 0; i < n && type == TN_F32; i += 1 + pick(random, 40)) {
        static const float rare[] = {NAN, INFINITY, -INFINITY, -0.0f, 0.015f, -0.045f, 1e30f};
        *(float *)view_element(&x.t, i) = rare[pick(random, 7)];
    }
    TnTensor one = dense(&number, TN_F32, 2, dims);
    one.strides[0] = one.strides[1] = 0;
    TnTensor operands[] = {x.t, one, y.t};
    call_map(isa, p.step, (uint32_t)p.count, operands, 2);
    const char *want = one_by_one(isa, &p, &x, number, n);
    for (int64_t i = 0; i < n; i++)
        if (!same(view_element(&y.t, i), want + i * (int64_t)tn_dtype_size(result), result))
            fail_msg("%s: element %lld of %s, %d steps from %s: %g, step by step %g",
                     tn_isa_name(isa), (long long)i, tn_dtype_name(result), p.count,
                     tn_dtype_name(type), any_get(result, view_element(&y.t, i)),
                     any_get(result, want + i * (int64_t)tn_dtype_size(result)));
    view_check(&y);
    view_free(&x);
    view_free(&y);
}

static void as_step_by_step(void **state) {
    (void)state;
    uint32_t random = 3;
    FOR_EACH_ISA(isa) for (int i = 0; i < 3000; i++) check_program(isa, &random);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_step_by_step)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
