/* map: a small program applied to every element of broadcast inputs.
 *
 * The result's index space is walked in row-major order in blocks of MAP_BLOCK elements, wherever
 * rows begin and end; a step is one function over a block, so its dispatch costs little. What is
 * the same for every element - constants, scalars and steps of these only - is computed once per
 * task. An input whose elements lie as in its register (f32, f64, 64-bit integers) and without gaps
 * is read where it is, and the last step writes straight into such a result; the rest passes
 * through registers in scratch.
 *
 *     y = gelu(x + bias):  registers 0 = x, 1 = bias; step 0: r2 = ADD r0 r1; step 1: r3 = GELU r2
 *
 * The result may be one of the inputs in place: a block is read before it is written. plan_check
 * has made sure that registers exist, that operands have the type arg_dtype and that the op exists
 * for it (map_float_op, map_double_op, map_int_op are the lists). */
#include "runtime/kernels/loop.h"
#include "runtime/kernels/map.h"

TN_FAMILY(map);

#define MAP_REGISTERS (TN_MAX_MAP_INPUTS + TN_MAX_MAP_STEPS)
#define TASK_BLOCKS   32

typedef enum Access {
    ACCESS_UNIFORM, /* one element for all: its register is filled once */
    ACCESS_LINEAR,  /* in memory order without gaps */
    ACCESS_ROWS,    /* by rows of the innermost axis */
} Access;

typedef struct Program {
    const TnCall *call;
    const ParamsMap *params;
    Loop loop; /* inputs, then the result */
    int inputs, registers;
    uint8_t access[LOOP_MAX];
    uint8_t dtype[MAP_REGISTERS];
    uint8_t uniform[MAP_REGISTERS];
    MapFn *fn[TN_MAX_MAP_STEPS];
    int by_rows; /* some operand has ACCESS_ROWS, so `at` and `column` are needed */
    unsigned char *reg[MAP_REGISTERS];
    const void *value[MAP_REGISTERS]; /* where the current block of a register is */
    LoopAt at;                        /* row of the next element */
    int64_t column;
} Program;

static int arity(int op) {
    if (op == TN_MAP_CONST) return 0;
    if (op == TN_MAP_WHERE) return 3;
    int binary = (op >= TN_MAP_ADD && op <= TN_MAP_FMOD) || (op >= TN_MAP_EQ && op <= TN_MAP_XOR) ||
                 (op >= TN_MAP_BIT_AND && op <= TN_MAP_SHIFT_RIGHT);
    return binary ? 2 : 1;
}

/* Rough picoseconds per element. */
static int64_t step_cost(const TnMapStep *s) {
    int vector = map_class((TnDType)s->arg_dtype) == MAP_FLOAT;
    switch (s->op) {
    case TN_MAP_CONST: return 0;
    case TN_MAP_POW:
    case TN_MAP_MOD:
    case TN_MAP_FMOD:
    case TN_MAP_SIN:
    case TN_MAP_COS:
    case TN_MAP_TAN:
    case TN_MAP_ASIN:
    case TN_MAP_ACOS:
    case TN_MAP_ATAN:
    case TN_MAP_SINH:
    case TN_MAP_COSH:
    case TN_MAP_ASINH:
    case TN_MAP_ACOSH:
    case TN_MAP_ATANH: return 10000;
    case TN_MAP_DIV: return vector ? 100 : 3000;
    case TN_MAP_EXP:
    case TN_MAP_LOG:
    case TN_MAP_ERF:
    case TN_MAP_TANH:
    case TN_MAP_SIGMOID:
    case TN_MAP_GELU:
    case TN_MAP_GELU_TANH:
    case TN_MAP_GELU_QUICK:
    case TN_MAP_SILU: return vector ? 250 : 10000;
    default: return vector ? 40 : 150;
    }
}

/* Whether memory holds elements of type t just as a register does. */
static int same_as_register(int t) {
    return t == TN_F32 || t == TN_F64 || t == TN_I64 || t == TN_U64;
}

static size_t element_bytes(TnDType t) {
    return map_class(t) == MAP_FLOAT ? sizeof(float) : sizeof(int64_t);
}

static TnDType register_dtype(const TnCall *call, int r) {
    const ParamsMap *params = call->params;
    return (TnDType)(r < call->inputs ? call->operands[r].dtype
                                      : params->step[r - call->inputs].dtype);
}

void TN_FN(map_plan)(TnCall *call) {
    const ParamsMap *params = call->params;
    const TnTensor *y = &call->operands[call->inputs];
    int64_t elements = tensor_elements(y), picoseconds = 50 * (call->inputs + 1);
    for (uint32_t s = 0; s < params->steps; s++) picoseconds += step_cost(&params->step[s]);
    int64_t blocks = picoseconds > 4000 ? TASK_BLOCKS / 8 : TASK_BLOCKS;
    call->tile[0] = blocks * MAP_BLOCK;
    call->tasks = TN_CEIL_DIV(elements, call->tile[0]);
    call->work = elements * picoseconds / 1000;
    call->scratch_bytes = 0;
    for (int r = 0; r < call->inputs + (int)params->steps; r++)
        call->scratch_bytes += map_register_bytes(register_dtype(call, r));
}

static void run_step(Program *p, int s, void *y, int64_t n) {
    const TnMapStep *step = &p->params->step[s];
    TnDType t = (TnDType)step->dtype;
    const void *x[3] = {NULL, NULL, NULL};
    for (int i = 0; i < arity(step->op); i++) x[i] = p->value[step->args[i]];
    if (step->op == TN_MAP_CAST) {
        TN_FN(map_cast)(y, t, x[0], (TnDType)p->dtype[step->args[0]], n);
        return;
    }
    p->fn[s](y, x, n);
    TN_FN(map_fit)(y, t, n);
}

static void fill_constant(void *y, const TnMapStep *step) {
    TnDType t = (TnDType)step->dtype;
    float *f = y;
    double *d = y;
    int64_t *v = y;
    for (int i = 0; i < MAP_BLOCK; i++) switch (map_class(t)) {
        case MAP_FLOAT: f[i] = (float)step->value; break;
        case MAP_DOUBLE: d[i] = step->value; break;
        default: v[i] = step->integer; break;
        }
    TN_FN(map_fit)(y, t, MAP_BLOCK);
}

static Access access_of(const Loop *l, int operand) {
    int uniform = 1;
    for (int i = 0; i < l->rank; i++) uniform &= l->strides[operand][i] == 0 || l->dims[i] == 1;
    if (uniform) return ACCESS_UNIFORM;
    return loop_dense(l, operand) ? ACCESS_LINEAR : ACCESS_ROWS;
}

static MapFn *function_of(const TnMapStep *step) {
    TnDType t = (TnDType)step->arg_dtype;
    switch (map_class(t)) {
    case MAP_FLOAT: return TN_FN(map_float_op)(step->op);
    case MAP_DOUBLE: return MAP_FN(map_double_op)(step->op);
    default: return MAP_FN(map_int_op)(step->op, t);
    }
}

static void set_up(Program *p, const TnCall *call, unsigned char *scratch) {
    p->call = call;
    p->params = call->params;
    p->inputs = call->inputs;
    p->registers = call->inputs + (int)p->params->steps;
    p->loop = loop_over(&call->operands[call->inputs]);
    for (int i = 0; i <= call->inputs; i++) loop_add(&p->loop, &call->operands[i]);
    loop_collapse(&p->loop);
    p->by_rows = 0;
    for (int i = 0; i <= call->inputs; i++) {
        p->access[i] = (uint8_t)access_of(&p->loop, i);
        p->by_rows |= p->access[i] == ACCESS_ROWS;
    }
    for (uint32_t s = 0; s < p->params->steps; s++) p->fn[s] = function_of(&p->params->step[s]);
    for (int r = 0; r < p->registers; r++) {
        TnDType t = register_dtype(call, r);
        p->dtype[r] = (uint8_t)t;
        p->reg[r] = scratch;
        p->value[r] = scratch;
        scratch += map_register_bytes(t);
    }
}

/* Fills the registers that stay the same for the whole task. */
static void run_uniform(Program *p) {
    for (int i = 0; i < p->inputs; i++) {
        const TnTensor *x = &p->call->operands[i];
        p->uniform[i] = p->access[i] == ACCESS_UNIFORM;
        if (p->uniform[i]) TN_FN(map_load)(p->reg[i], x->data, (TnDType)x->dtype, 0, MAP_BLOCK);
    }
    for (int s = 0; s < (int)p->params->steps; s++) {
        const TnMapStep *step = &p->params->step[s];
        int r = p->inputs + s, uniform = 1;
        for (int i = 0; i < arity(step->op); i++) uniform &= p->uniform[step->args[i]];
        p->uniform[r] = (uint8_t)uniform;
        if (step->op == TN_MAP_CONST)
            fill_constant(p->reg[r], step);
        else if (uniform)
            run_step(p, s, p->reg[r], MAP_BLOCK);
    }
}

static void *address(const TnTensor *t, int64_t offset) {
    return (unsigned char *)t->data + offset * (int64_t)tn_dtype_size((TnDType)t->dtype);
}

/* The part [done, done + n) of the block from input i, all in the current row. */
static void load_row(Program *p, int i, int64_t done, int64_t n, int whole_block) {
    const TnTensor *x = &p->call->operands[i];
    TnDType t = (TnDType)x->dtype;
    int64_t stride = p->loop.strides[i][p->loop.rank - 1];
    const void *from = address(x, p->at.offset[i] + p->column * stride);
    if (whole_block && stride == 1 && same_as_register(t)) {
        p->value[i] = from;
        return;
    }
    p->value[i] = p->reg[i];
    TN_FN(map_load)(p->reg[i] + (size_t)done * element_bytes(t), from, t, stride, n);
}

static void load_linear(Program *p, int i, int64_t first, int64_t n) {
    const TnTensor *x = &p->call->operands[i];
    TnDType t = (TnDType)x->dtype;
    const void *from = address(x, first);
    p->value[i] = same_as_register(t) ? from : p->reg[i];
    if (!same_as_register(t)) TN_FN(map_load)(p->reg[i], from, t, 1, n);
}

/* Moves on by n elements, handing each run within a row to the inputs accessed by rows, or (with
 * `result`) to the result. */
static void walk_rows(Program *p, int64_t n, const unsigned char *result) {
    const TnTensor *y = &p->call->operands[p->inputs];
    TnDType t = (TnDType)y->dtype;
    int64_t columns = p->loop.dims[p->loop.rank - 1];
    int64_t stride = p->loop.strides[p->inputs][p->loop.rank - 1];
    for (int64_t done = 0, run; done < n; done += run) {
        run = columns - p->column < n - done ? columns - p->column : n - done;
        if (result) TN_FN(map_store)
        (address(y, p->at.offset[p->inputs] + p->column * stride), t, stride,
         result + (size_t)done * element_bytes(t), run);
        else for (int i = 0; i < p->inputs; i++) if (p->access[i] == ACCESS_ROWS)
            load_row(p, i, done, run, run == n);
        p->column += run;
        if (p->column < columns) continue;
        p->column = 0;
        loop_next(&p->loop, p->loop.rank - 1, &p->at);
    }
}

/* A cast that leaves a register's floats as they are: to f32, or before a store that rounds. */
static int is_free_cast(const Program *p, int s, int stored) {
    const TnMapStep *step = &p->params->step[s];
    return step->op == TN_MAP_CAST && map_class((TnDType)step->dtype) == MAP_FLOAT &&
           map_class((TnDType)p->dtype[step->args[0]]) == MAP_FLOAT &&
           (stored || step->dtype == TN_F32);
}

static void run_block(Program *p, int64_t first, int64_t n) {
    const TnTensor *y = &p->call->operands[p->inputs];
    int last = p->registers - 1, result_by_rows = p->access[p->inputs] == ACCESS_ROWS;
    LoopAt row;
    int64_t column = p->column;
    if (result_by_rows) row = p->at;
    for (int i = 0; i < p->inputs; i++)
        if (p->access[i] == ACCESS_LINEAR) load_linear(p, i, first, n);
    if (p->by_rows) walk_rows(p, n, NULL);

    int in_place = !result_by_rows && same_as_register(y->dtype) && !p->uniform[last];
    for (int s = 0; s < (int)p->params->steps; s++) {
        int r = p->inputs + s;
        if (p->uniform[r]) continue;
        if (r == last ? !in_place && is_free_cast(p, s, 1) : is_free_cast(p, s, 0))
            p->value[r] = p->value[p->params->step[s].args[0]];
        else
            run_step(p, s, r == last && in_place ? address(y, first) : p->reg[r], n);
    }
    if (in_place) return;
    if (!result_by_rows) {
        TN_FN(map_store)(address(y, first), (TnDType)y->dtype, 1, p->value[last], n);
        return;
    }
    p->at = row;
    p->column = column;
    walk_rows(p, n, p->value[last]);
}

void TN_FN(map_run)(const TnCall *call, int64_t task, void *scratch) {
    Program p;
    set_up(&p, call, scratch);
    run_uniform(&p);
    int64_t elements = loop_points(&p.loop, p.loop.rank), columns = p.loop.dims[p.loop.rank - 1];
    int64_t first = task * call->tile[0], last = first + call->tile[0];
    if (last > elements) last = elements;
    loop_seek(&p.loop, p.loop.rank - 1, first / columns, &p.at);
    p.column = first % columns;
    for (int64_t i = first; i < last; i += MAP_BLOCK)
        run_block(&p, i, last - i < MAP_BLOCK ? last - i : MAP_BLOCK);
}
