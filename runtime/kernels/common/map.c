/* map: a small program applied to every element of broadcast inputs.
 *
 * The result's index space is walked in row-major order in blocks of MAP_BLOCK elements; a step is
 * one function over a block, so its dispatch costs little. A block lies within a row if some
 * operand is walked by rows and these are long enough to be worth it; else it goes on wherever rows
 * begin and end. What is the same for every element - constants, scalars and steps of these only -
 * is computed once per task. An input whose elements lie as in its register (f32, f64, 64-bit
 * integers) and, in this block, without gaps is read where it is, and the last step writes straight
 * into such a result; the rest passes through registers in scratch. Steps that quantise and
 * dequantise are taken together (map_quantise.c).
 *
 *     y = gelu(x + bias):  registers 0 = x, 1 = bias; step 0: r2 = ADD r0 r1; step 1: r3 = GELU r2
 *
 * The result may be one of the inputs in place: a block is read before it is written. plan_check
 * has made sure that registers exist, that operands have the type arg_dtype and that the op exists
 * for it (map_float_op, tn_map_double, tn_map_int are the lists). */
#include <string.h>
#include "runtime/kernels/isa.h"
#include "runtime/kernels/map_program.h"

TN_COMMON_FAMILY(map);

#define LONG_ROW      192 /* elements from which on blocks end with a row */
#define WORTH_COPYING 32  /* bytes */

/* Whether memory holds elements of type t just as a register does. */
static int same_as_register(int t) {
    return t == TN_F32 || t == TN_F64 || t == TN_I64 || t == TN_U64;
}

static size_t element_bytes(TnDType t) {
    return map_class(t) == MAP_FLOAT ? sizeof(float) : sizeof(int64_t);
}

static void run_step(MapProgram *p, int s, void *y, int64_t n) {
    const TnMapStep *step = &p->params->step[s];
    TnDType t = (TnDType)step->dtype;
    const void *x[3] = {NULL, NULL, NULL};
    for (int i = 0; i < tn_map_operands(step->op); i++) x[i] = p->value[step->args[i]];
    if (map_is_whole(p, p->inputs + s)) {
        const MapQuantise q = map_plain_cast(t);
        p->isa->quantise(y, x[0], n, &q);
        return;
    }
    if (step->op == TN_MAP_CAST) {
        p->isa->cast(y, t, x[0], (TnDType)p->dtype[step->args[0]], n);
        return;
    }
    p->fn[s](y, x, n);
    p->isa->fit(y, t, n);
}

static void fill_constant(const MapProgram *p, void *y, const TnMapStep *step, int64_t n) {
    TnDType t = (TnDType)step->dtype;
    const MapClass class = map_class(t);
    float *f = y;
    double *d = y;
    int64_t *v = y;
    for (int64_t i = 0; i < n && class == MAP_FLOAT; i++) f[i] = (float)step->value;
    for (int64_t i = 0; i < n && class == MAP_DOUBLE; i++) d[i] = step->value;
    for (int64_t i = 0; i < n && class == MAP_INT; i++) v[i] = step->integer;
    p->isa->fit(y, t, n);
}

static Access access_of(const Loop *l, int operand) {
    int uniform = 1;
    for (int i = 0; i < l->rank; i++) uniform &= l->strides[operand][i] == 0 || l->dims[i] == 1;
    if (uniform) return ACCESS_UNIFORM;
    return loop_dense(l, operand) ? ACCESS_LINEAR : ACCESS_ROWS;
}

static MapFn *function_of(const MapProgram *p, const TnMapStep *step) {
    TnDType t = (TnDType)step->arg_dtype;
    switch (map_class(t)) {
    case MAP_FLOAT: return p->isa->op(step->op);
    case MAP_DOUBLE: return tn_map_double(step->op);
    default: return tn_map_int(step->op, t);
    }
}

static void set_up(MapProgram *p, const TnCall *call, unsigned char *scratch) {
    p->isa = tn_isa_kernels[call->isa].map;
    p->call = call;
    p->params = call->params;
    p->inputs = call->inputs;
    p->registers = call->inputs + (int)p->params->steps;
    loop_over(&p->loop, &call->operands[call->inputs]);
    for (int i = 0; i <= call->inputs; i++) loop_add(&p->loop, &call->operands[i]);
    loop_collapse(&p->loop);
    p->by_rows = 0;
    for (int i = 0; i <= call->inputs; i++) {
        p->access[i] = (uint8_t)access_of(&p->loop, i);
        p->by_rows |= p->access[i] == ACCESS_ROWS;
    }
    p->long_rows = p->by_rows && p->loop.dims[p->loop.rank - 1] >= LONG_ROW;
    p->direct = p->access[p->inputs] != ACCESS_ROWS ||
                (p->long_rows && p->loop.strides[p->inputs][p->loop.rank - 1] == 1);
    p->casts = 0;
    for (uint32_t s = 0; s < p->params->steps; s++) {
        p->fn[s] = function_of(p, &p->params->step[s]);
        p->casts |= p->params->step[s].op == TN_MAP_CAST;
    }
    for (int r = 0; r < p->registers; r++) {
        TnDType t = map_register_dtype(call, r);
        p->dtype[r] = (uint8_t)t;
        p->reg[r] = scratch;
        p->value[r] = scratch;
        scratch += map_register_bytes(t);
    }
    if (p->casts) map_keep_as_floats(p);
}

/* n elements of input i, `stride` apart, to a register. */
static void load(const MapProgram *p, int i, void *y, const void *from, int64_t stride, int64_t n) {
    TnDType t = (TnDType)p->call->operands[i].dtype;
    if (map_is_whole(p, i))
        p->isa->load_whole(y, from, t, stride, n, &p->loaded[i]);
    else
        p->isa->load(y, from, t, stride, n);
}

/* Fills the registers that stay the same for the whole task, for blocks of at most n elements. */
static void run_uniform(MapProgram *p, int64_t n) {
    for (int i = 0; i < p->inputs; i++) {
        const TnTensor *x = &p->call->operands[i];
        p->uniform[i] = p->access[i] == ACCESS_UNIFORM;
        p->loaded[i] = (MapAffine){0, 1};
        if (p->uniform[i]) load(p, i, p->reg[i], x->data, 0, n);
    }
    for (int s = 0; s < (int)p->params->steps; s++) {
        const TnMapStep *step = &p->params->step[s];
        int r = p->inputs + s, uniform = 1;
        for (int i = 0; i < tn_map_operands(step->op); i++) uniform &= p->uniform[step->args[i]];
        p->uniform[r] = (uint8_t)uniform;
        if (step->op == TN_MAP_CONST)
            fill_constant(p, p->reg[r], step, n);
        else if (uniform)
            run_step(p, s, p->reg[r], n);
    }
    memset(p->how, MAP_BY_STEP, (size_t)p->registers);
    if (p->casts) map_find_quantised(p);
}

static void *address(const TnTensor *t, int64_t offset) {
    return (unsigned char *)t->data + offset * (int64_t)tn_dtype_size((TnDType)t->dtype);
}

/* n elements of input i from the current place on, which lie within a row. */
static void load_row(MapProgram *p, int i, int64_t n) {
    const TnTensor *x = &p->call->operands[i];
    TnDType t = (TnDType)x->dtype;
    int64_t stride = p->loop.strides[i][p->loop.rank - 1];
    const void *from = address(x, p->at.offset[i] + p->column * stride);
    int direct = stride == 1 && same_as_register(t);
    p->value[i] = direct ? from : p->reg[i];
    if (!direct) load(p, i, p->reg[i], from, stride, n);
}

static void load_linear(MapProgram *p, int i, int64_t first, int64_t n) {
    const TnTensor *x = &p->call->operands[i];
    TnDType t = (TnDType)x->dtype;
    const void *from = address(x, first);
    p->value[i] = same_as_register(t) ? from : p->reg[i];
    if (!same_as_register(t)) load(p, i, p->reg[i], from, 1, n);
}

/* Where a walk of one operand is: the row's index and offset, and the column. */
typedef struct Walk {
    int64_t index[TN_MAX_RANK], offset, column;
} Walk;

/* Goes on by `count` steps along an axis of rows, none beyond its end. */
static void step(const MapProgram *p, int operand, Walk *w, int axis, int64_t count) {
    const int64_t *dims = p->loop.dims, *strides = p->loop.strides[operand];
    w->column = 0;
    for (int i = axis; i >= 0; i--, count = 1) {
        w->index[i] += count;
        w->offset += count * strides[i];
        if (w->index[i] < dims[i]) return;
        w->index[i] = 0;
        w->offset -= dims[i] * strides[i];
    }
}

/* Where an axis that the operand does not have has gone on, and those inside it begin again: what
 * comes is what came last, `done` elements of which lie before `to`. Copies whole repetitions of at
 * most `left` elements; returns how many elements. */
static int64_t repeat(const MapProgram *p, int operand, Walk *w, unsigned char *to, size_t size,
                      int64_t done, int64_t left) {
    int axis = p->loop.rank - 2;
    int64_t period = p->loop.dims[axis + 1];
    if (w->column > 0) return 0;
    for (; axis >= 0 && w->index[axis] == 0; axis--) period *= p->loop.dims[axis];
    if (axis < 0 || p->loop.strides[operand][axis] != 0) return 0;
    if (period > done || period > left || (size_t)period * size < WORTH_COPYING) return 0;
    int64_t times = p->loop.dims[axis] - w->index[axis];
    if (times > left / period) times = left / period;
    size_t bytes = (size_t)period * size;
    for (int64_t i = 0; i < times; i++, to += bytes) memcpy(to, to - bytes, bytes);
    step(p, operand, w, axis, times);
    return times * period;
}

/* n elements of an operand from the current place on, over rows that are short: into its register,
 * or (with `result`) from there to the result. */
static void walk_rows(const MapProgram *p, int operand, int64_t n, const unsigned char *result) {
    const TnTensor *x = &p->call->operands[operand];
    TnDType t = (TnDType)x->dtype;
    int last = p->loop.rank - 1;
    int64_t columns = p->loop.dims[last], stride = p->loop.strides[operand][last];
    Walk w = {.offset = p->at.offset[operand], .column = p->column};
    for (int i = 0; i < last; i++) w.index[i] = p->at.index[i];
    for (int64_t done = 0, run; done < n; done += run) {
        int64_t left = n - done, rows = 1, to_end = columns - w.column;
        void *from = address(x, w.offset + w.column * stride);
        size_t size = element_bytes(result ? t : (TnDType)p->dtype[operand]),
               at = (size_t)done * size;
        if (!result) {
            run = repeat(p, operand, &w, p->reg[operand] + at, size, done, left);
            if (run > 0) continue;
        }
        run = to_end < left ? to_end : left;
        if (result) {
            p->isa->store(from, t, stride, result + at, run);
        } else if (t == TN_F32) {
            if (w.column == 0 && last > 0 && left >= columns) {
                rows = p->loop.dims[last - 1] - w.index[last - 1];
                if (rows > left / columns) rows = left / columns;
            }
            int64_t row_stride = last > 0 ? p->loop.strides[operand][last - 1] : 0;
            p->isa->gather_rows((float *)(p->reg[operand] + at), from, row_stride, stride, rows,
                                run);
            run *= rows;
        } else {
            load(p, operand, p->reg[operand] + at, from, stride, run);
        }
        w.column += run / rows;
        if (w.column == columns) step(p, operand, &w, last - 1, rows);
    }
}

static void load_block(MapProgram *p, int64_t first, int64_t n) {
    for (int i = 0; i < p->inputs; i++) {
        if (p->access[i] == ACCESS_UNIFORM) continue;
        if (p->access[i] == ACCESS_LINEAR) {
            load_linear(p, i, first, n);
        } else if (p->long_rows) {
            load_row(p, i, n);
        } else {
            p->value[i] = p->reg[i];
            walk_rows(p, i, n, NULL);
        }
    }
}

/* The current place becomes that of an element. */
static void go_to(MapProgram *p, int64_t element) {
    int rows = p->loop.rank - 1;
    int64_t columns = p->loop.dims[rows];
    loop_seek(&p->loop, rows, element / columns, &p->at);
    p->column = element % columns;
}

/* It moves on by n elements of a long row. */
static void move_on(MapProgram *p, int64_t n) {
    int rows = p->loop.rank - 1;
    p->column += n;
    if (p->column < p->loop.dims[rows]) return;
    p->column = 0;
    loop_next(&p->loop, rows, &p->at);
}

/* A cast that leaves a register's floats as they are: to f32, or before a store that rounds. */
static int is_free_cast(const MapProgram *p, int s, int stored) {
    const TnMapStep *step = &p->params->step[s];
    return step->op == TN_MAP_CAST && map_class((TnDType)step->dtype) == MAP_FLOAT &&
           map_class((TnDType)p->dtype[step->args[0]]) == MAP_FLOAT &&
           (stored || step->dtype == TN_F32);
}

static void run_block(MapProgram *p, int64_t first, int64_t n) {
    const TnTensor *y = &p->call->operands[p->inputs];
    int last = p->registers - 1, result_by_rows = p->access[p->inputs] == ACCESS_ROWS;
    int64_t stride = p->loop.strides[p->inputs][p->loop.rank - 1];
    void *to = address(y, first);
    load_block(p, first, n);
    if (result_by_rows) to = address(y, p->at.offset[p->inputs] + p->column * stride);
    if (!result_by_rows || !p->long_rows) stride = 1;

    int in_place = p->direct && same_as_register(y->dtype) && !p->uniform[last];
    for (int s = 0; s < (int)p->params->steps; s++) {
        int r = p->inputs + s, from = p->from[r];
        void *made = r == last && in_place ? to : p->reg[r];
        if (p->uniform[r] || p->how[r] == MAP_UNUSED) continue;
        if (p->how[r] == MAP_MOVED) {
            p->value[r] = p->value[from];
        } else if (p->how[r] == MAP_QUANTISED) {
            if (r == last && map_is_byte(y->dtype)) {
                p->isa->quantise_bytes(to, p->value[from], n, &p->quantise[s]);
                return;
            }
            p->isa->quantise(made, p->value[from], n, &p->quantise[s]);
            p->value[r] = made;
        } else if (r == last ? !in_place && is_free_cast(p, s, 1) : is_free_cast(p, s, 0)) {
            p->value[r] = p->value[p->params->step[s].args[0]];
        } else {
            run_step(p, s, made, n);
        }
    }
    if (in_place) return;
    if (result_by_rows && !p->long_rows)
        walk_rows(p, p->inputs, n, p->value[last]);
    else
        p->isa->store(to, (TnDType)y->dtype, stride, p->value[last], n);
}

void map_run_common(const TnCall *call, int64_t task, void *scratch) {
    MapProgram p;
    set_up(&p, call, scratch);
    int64_t elements = loop_points(&p.loop, p.loop.rank), columns = p.loop.dims[p.loop.rank - 1];
    int64_t first = task * call->tile[0], last = first + call->tile[0];
    if (last > elements) last = elements;
    run_uniform(&p, last - first < MAP_BLOCK ? last - first : MAP_BLOCK);
    go_to(&p, first);
    for (int64_t i = first, n; i < last; i += n) {
        n = last - i < MAP_BLOCK ? last - i : MAP_BLOCK;
        if (p.long_rows && n > columns - p.column) n = columns - p.column;
        run_block(&p, i, n);
        if (p.long_rows)
            move_on(&p, n);
        else if (p.by_rows && i + n < last)
            go_to(&p, i + n);
    }
}
