/* Facts about plan instructions, expanded from instrs.def.
 *
 *     const TnInstr *row = tn_instr(TN_OP_gemm);      row->name is "gemm", row->max_inputs 4 */
#ifndef TENON_RUNTIME_INSTRS_H
#define TENON_RUNTIME_INSTRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "runtime/kernels.h"

typedef enum TnOpcode {
#define INSTR(name, opcode, ...) TN_OP_##name = opcode,
#include "runtime/instrs.def"
#undef INSTR
    TN_OP_COUNT = 64 /* opcodes are lower; rows may be in any order */
} TnOpcode;

/* Flags of a row: bit i lets output 0 share the buffer of input i. */
#define TN_INPLACE_MASK 0xffffu
#define TN_INSTR_INDEX  0x10000u /* reads indices from data and checks them */

#define TN_ANY_OUTPUTS 0xffffu
/* Operands and scalars of control flow: as many as the functions it runs have, and their dims. */
#define TN_MAX_SCALARS (TN_MAX_OPERANDS * TN_MAX_RANK)

/* Holds the real dims of all operands against each other; says in `why` what does not fit. */
typedef bool TnExtentFn(const TnCall *call, char *why, size_t why_size);

typedef struct TnInstr {
    const char *name;
    uint16_t min_inputs, max_inputs;
    uint16_t outputs; /* TN_ANY_OUTPUTS: as the instruction says */
    uint16_t min_scalars, max_scalars;
    uint32_t flags;
    uint32_t params_bytes; /* size of the parameter record; of its fixed part for map */
    TnExtentFn *extents;
} TnInstr;

/* The row of an opcode, or NULL if there is none. */
const TnInstr *tn_instr(int opcode);

#endif
