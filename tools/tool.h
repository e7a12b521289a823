/* What the commands of `tenon` share: options, exit codes, errors, tensors in files.
 *
 * Exit status: 0 done; 1 the input or the environment is at fault; 2 wrong usage; 3 valid but not
 * supported. A command prints its result on standard output and everything else on standard error.
 */
#ifndef TENON_TOOLS_TOOL_H
#define TENON_TOOLS_TOOL_H

#include <stdbool.h>
#include <stdint.h>
#include "backend/tenonc.h"
#include "frontend/hf/safetensors.h"
#include "ir/fail.h"
#include "runtime/tenon.h"

enum { EXIT_DONE = 0, EXIT_FAULT = 1, EXIT_USAGE = 2, EXIT_UNSUPPORTED = 3 };

/* One command: its own memory, and where errors raised by tn_fail end (main.c). */
typedef struct Tool {
    Cx cx;
    const char *command; /* "compile" */
    const char *usage;   /* text of --help */
    int argc;
    char **argv; /* arguments after the command */
    int next;    /* the next one to read */
} Tool;

typedef int Command(Tool *t);
Command cmd_compile, cmd_run, cmd_dump, cmd_bench, cmd_check, cmd_diff, cmd_ops, cmd_models;

/* --- options.c --- */
/* Reads the next argument: true and *name = "--threads" for an option (its value in *value if
 * written --name=value), *name = NULL for a plain argument in *value. False at the end. `--` ends
 * options. --help prints the usage and exits. */
bool tool_next(Tool *t, const char **name, const char **value);
/* The value of an option: what followed '=', or the next argument. */
const char *tool_value(Tool *t, const char *name, const char *value);
int64_t tool_int(Tool *t, const char *name, const char *text, int64_t min, int64_t max);
double tool_number(Tool *t, const char *name, const char *text);
/* Says what is wrong with the arguments, prints the usage and exits 2. */
_Noreturn void tool_usage(Tool *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void tool_exit(Tool *t, int status);
int tool_status(tenon_status s); /* exit status of a code */
/* Raises an error of the runtime under the file's name. */
_Noreturn void tool_fail(Tool *t, const char *file, const tenon_error *err);
/* Standard output, checked: a full disk is an error. */
void tool_print(Tool *t, const char *text);
void tool_printf(Tool *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Text into a file, whole or not at all; path NULL = standard output. */
void tool_write(Tool *t, const char *path, const char *text);

/* --- signals.c --- */
/* From now on SIGINT, SIGTERM and SIGHUP are noted, once: a second one ends the process at once. */
void tool_catch(void);
/* The signal that was noted, or 0. */
int tool_caught(void);
/* Ends the process by that signal, if there was one. */
void tool_end_by_signal(void);

/* --- plans.c --- */
typedef struct PlanRun {
    tenon_plan *plan;
    tenon_pool *pool;
    tenon_session *session;
    const char *path;
    double load_ms;
} PlanRun;
/* Opens a plan and a session on it, closed when the command ends. ISA from TENON_ISA. threads 0 =
 * as many as allowed, 1 = the caller's only. */
PlanRun tool_open(Tool *t, const char *path, const char *function, int threads);
/* The instruction set that runs. */
const char *tool_isa_name(Tool *t);
double tool_now_ms(void);
/* A compiler object, destroyed when the command ends. */
tenonc *tool_compiler(Tool *t, const tenonc_options *options);
/* Raises what the compiler object says went wrong. */
_Noreturn void tool_fail_compile(Tool *t, const tenonc *c);

/* --- tensors.c --- */
typedef struct DimSetting {
    const char *name;
    int64_t value;
    struct DimSetting *next;
} DimSetting;
typedef struct TensorSource {
    SafeTensors *file;    /* --inputs */
    struct NpyInput *npy; /* --input NAME=FILE.npy */
    DimSetting *dims;     /* --dim NAME=N, for inputs made up */
} TensorSource;
void tool_add_npy(Tool *t, TensorSource *s, const char *text);
void tool_add_dim(Tool *t, TensorSource *s, const char *text);
/* Binds every input of the session that the source has; with `make_up`, inputs it lacks are made of
 * zeros (masks: ones) with the given dims. */
void tool_bind(Tool *t, const PlanRun *r, const TensorSource *s, const char *function,
               bool make_up);
/* The tensor that the source has under this name, or NULL. */
const StTensor *tool_find_input(const TensorSource *s, const char *name);
/* states.c: every state that the function finds gets the contents that the source has; with
 * `make_up`, zeros where all its lengths are given. */
void tool_bind_states(Tool *t, const PlanRun *r, const TensorSource *s, bool make_up);
/* Rows of the longest state that the function appends to. */
int64_t tool_state_length(Tool *t, const PlanRun *r);
/* The session's outputs, after a run. */
StTensor *tool_outputs(Tool *t, const PlanRun *r, const char *function, size_t *count);
/* The elements of a tensor of a file, aligned to their size: a copy where the file has them
 * unaligned. Never NULL. */
void *tool_aligned(Tool *t, const StTensor *w);
/* The coordinates of the element at a row-major index: "[1, 0, 7]". */
const char *tool_index_text(Tool *t, const StTensor *w, int64_t index);
/* "0/in/input_ids" -> "input_ids" where a recording has several cases; see tensors.c. */
const StTensor *tool_find(const SafeTensors *st, const char *name);

#endif
