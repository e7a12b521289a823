/* Steps of a map that quantise and dequantise are taken together:
 *
 *     t = div x scale; t = round t; t = add t zero; t: u8 = cast t
 *     t: f32 = cast t; t = add t shift; t = mul t by
 *
 * is one pass over a block (MapQuantise), either half of it alone and any step left out; so is an
 * integer that is loaded and dequantised. Numbers are what is uniform, also what was computed from
 * the operands. Between the halves are floats: integers that nothing but casts to f32 reads. */
#include "runtime/kernels/map_program.h"

static const TnMapStep *made_by(const MapProgram *p, int r) {
    return r < p->inputs ? NULL : &p->params->step[r - p->inputs];
}

static int is_float(const MapProgram *p, int r) {
    return map_class((TnDType)p->dtype[r]) == MAP_FLOAT;
}

static int is_cast(const TnMapStep *s) {
    return s && s->op == TN_MAP_CAST;
}

void map_keep_as_floats(MapProgram *p) {
    uint8_t casts[MAP_REGISTERS] = {0};
    for (int r = 0; r < p->registers; r++) p->reads[r] = 0;
    for (int r = p->inputs; r < p->registers; r++) {
        const TnMapStep *s = made_by(p, r);
        for (int i = 0; i < tn_map_operands(s->op); i++) {
            const int x = s->args[i];
            p->reads[x]++;
            p->reader[x] = (uint8_t)r;
            casts[x] = (uint8_t)(casts[x] + (is_cast(s) && s->dtype == TN_F32));
        }
    }
    for (int r = 0; r < p->registers; r++) {
        const TnMapStep *s = made_by(p, r);
        const int made = s ? is_cast(s) && is_float(p, s->args[0]) : p->dtype[r] == TN_I32;
        if (casts[r] == 0 || casts[r] != p->reads[r]) continue;
        if (map_is_byte(p->dtype[r]) ? !s || made : !s && made) p->dtype[r] = TN_F32;
    }
}

/* x if register r is op(x, number), else -1. */
static int without(const MapProgram *p, int r, int op, float *number) {
    const TnMapStep *s = made_by(p, r);
    if (!s || s->op != op || s->dtype != TN_F32 || p->how[r] != MAP_BY_STEP) return -1;
    for (int i = 0; i < (op == TN_MAP_DIV ? 1 : 2); i++) {
        const int n = s->args[!i];
        if (!p->uniform[n] || p->dtype[n] != TN_F32) continue;
        *number = *(const float *)p->value[n];
        return s->args[i];
    }
    return -1;
}

/* Follows integers in r to where they have been dequantised, which is not `stop`. */
static int follow(MapProgram *p, int r, int stop, MapAffine *a) {
    static const int op[] = {TN_MAP_CAST, TN_MAP_ADD, TN_MAP_MUL};
    *a = (MapAffine){0, 1};
    for (int i = 0; i < 3 && p->reads[r] == 1; i++) {
        const int next = p->reader[r];
        if (next == stop) break;
        if (i == 0 || without(p, next, op[i], i == 1 ? &a->shift : &a->by) == r) {
            p->how[r] = MAP_UNUSED;
            r = next;
        }
    }
    return r;
}

/* The register that is quantised to what a cast makes of register r; steps between are its. */
static int quantised(MapProgram *p, int r, MapQuantise *q) {
    float zero = 0;
    int before = without(p, r, TN_MAP_ADD, &zero), rounded = before < 0 ? r : before;
    const TnMapStep *s = made_by(p, rounded);
    if (p->reads[r] > 1 || p->reads[rounded] > 1) return r;
    if (!s || s->op != TN_MAP_ROUND || s->dtype != TN_F32) return r;
    q->zero = zero;
    q->round = 1;
    p->how[r] = p->how[rounded] = MAP_UNUSED;
    const int x = s->args[0];
    if (p->reads[x] > 1) return x;
    int from = without(p, x, TN_MAP_DIV, &q->scale);
    q->divide = from >= 0;
    if (from < 0) from = without(p, x, TN_MAP_MUL, &q->scale);
    if (from < 0) return x;
    p->how[x] = MAP_UNUSED;
    return from;
}

void map_find_quantised(MapProgram *p) {
    const int last = p->registers - 1;
    for (int r = 0; r < p->inputs; r++) {
        if (!map_is_whole(p, r) || p->uniform[r]) continue;
        const int end = follow(p, r, last, &p->loaded[r]);
        p->how[end] = MAP_MOVED;
        p->from[end] = (uint8_t)r;
    }
    for (int r = p->inputs; r <= last; r++) {
        const TnMapStep *s = made_by(p, r);
        const int stored = r == last && p->direct && map_is_byte(s->dtype);
        if (!is_cast(s) || p->uniform[r] || !is_float(p, s->args[0])) continue;
        if (!stored && !map_is_whole(p, r)) continue;
        MapQuantise q = map_plain_cast((TnDType)s->dtype);
        const int from = quantised(p, s->args[0], &q), end = follow(p, r, -1, &q.after);
        p->how[end] = MAP_QUANTISED;
        p->from[end] = (uint8_t)from;
        p->quantise[end - p->inputs] = q;
    }
}
