/* How the elements of a map are cut into tasks: by what its program costs. */
#include "runtime/kernels/loop.h"
#include "runtime/kernels/map.h"

TN_COMMON_FAMILY(map);

#define TASK_BLOCKS 32

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

void map_plan_common(TnCall *call) {
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
        call->scratch_bytes += map_register_bytes(map_register_dtype(call, r));
}
