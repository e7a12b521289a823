/* tenon: compiles, runs and explains transformer models. This file finds the command and is where
 * its errors end. */
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tools/tool.h"

#define ISA_NOTE                                                                         \
    "TENON_ISA=scalar|avx2|avx512|avx512_vnni|avx512_bf16 in the environment forces an " \
    "instruction set.\n"

/* clang-format off */
static const struct {
    const char *name;
    Command *run;
    const char *purpose, *usage;
} commands[] = {
    {"compile", cmd_compile, "turn a model into a plan",
     "usage: tenon compile MODEL [--function NAME] [MODEL --function NAME]... -o OUT.plan [options]\n"
     "MODEL is an .onnx file or a checkpoint folder (config.json and model.safetensors).\n"
     "  -o, --output FILE       the plan; it appears whole or not at all\n"
     "  --function NAME         name of the function made from the model before it (default: main)\n"
     "  --dim NAME=N|MIN..MAX   fix or bound a length; NAME may be INPUT.AXIS: input_ids.0=1\n"
     "  --rename-dim OLD=NEW    give a length another name\n"
     "  --task NAME             what a checkpoint is compiled as (see `tenon models`);\n"
     "                          default: what its config.json says\n"
     "  --precision f32|bf16|int8|int4\n"
     "                          f32, bf16: of weights and of values between products (default: f32);\n"
     "                          sums, statistics, inputs and results stay f32. int8, int4: of weights\n"
     "                          of products and of tables, a scale for each 32; values stay f32, but\n"
     "                          CPUs with VNNI round rows that they multiply to 16 bits\n"
     "  --state off|auto        auto: a decoder's past is kept by the plan (default: off)\n"
     "  --padding keep|skip     skip: outputs are zeros where the mask says padding (default: keep)\n"
     "  --conv accurate|fast    fast: 3 x 3 convolutions in fewer multiplications, their rounding\n"
     "                          errors about twice as large (default: accurate)\n"
     "  --require-fusion KIND=N fail unless the fusion fired exactly N times\n"
     "  --report[=FILE.json]    print the fusion report, or write it as JSON\n"
     "  --strip                 leave the names of the model's nodes out\n"
     "  --unfused               the model as it is, slowly: for `diff --bisect`\n"
     "  --verify                also check the weights' checksum of the plan just written\n"},
    {"run", cmd_run, "run a plan on tensors",
     "usage: tenon run PLAN --inputs IN.safetensors [--outputs OUT.safetensors] [options]\n"
     "  --inputs FILE           tensors named like the model's inputs; others are ignored;\n"
     "                          states without one are empty\n"
     "  --input NAME=FILE.npy   one input from a .npy file; goes before --inputs\n"
     "  --outputs FILE          where the outputs go; without it they are summed up on standard output\n"
     "  --function NAME         which function of the plan (default: the first)\n"
     "  --threads N             default: all processors this process may use\n" ISA_NOTE},
    {"dump", cmd_dump, "print a model or a plan",
     "usage: tenon dump MODEL|PLAN [options]\n"
     "A model prints as its graph after the passes, a plan as its contract and instructions.\n"
     "  --passes                list the passes\n"
     "  -o, --output FILE       default: standard output\n"
     "  --format FORMAT         text (default), json (docs/dump-format.md), dot (for Graphviz) or html:\n"
     "                          one page to look around in, opened by any browser, offline\n"
     "  --dim NAME=N            for models as for compile; for plans as json or html a length at which\n"
     "                          the memory plan is made (default: 1 along first axes, 128 elsewhere)\n"
     "For plans only:\n"
     "  --profile FILE.json     times to show, as `tenon bench --profile --json` writes them\n"
     "For models only:\n"
     "  --after PASS            the graph after this pass; `import`: before any. With json and html\n"
     "                          also several, PASS,PASS,..., or `all`, html's default\n"
     "  --rename-dim, --task, --precision   as for compile\n"},
    {"bench", cmd_bench, "time a plan",
     "usage: tenon bench PLAN [--inputs FILE | --dim NAME=N...] [options]\n"
     "  --inputs FILE           real inputs; otherwise zeros (masks: ones) of the given lengths\n"
     "  --dim NAME=N            a length, for example batch=1; NAME may be INPUT.AXIS\n"
     "  --function NAME         which function of the plan (default: the first)\n"
     "  --threads N             default: all processors this process may use\n"
     "  --runs R, --warmup W    default: 20 and 3\n"
     "  --profile               time, GFLOP/s, GB/s and share of the machine's roofline of every\n"
     "                          instruction, kind of instruction and part of the model\n"
     "  --trace FILE            the last run for chrome://tracing or ui.perfetto.dev\n"
     "  --json FILE             the figures as JSON; `-`: on standard output, and nothing else\n" ISA_NOTE},
    {"check", cmd_check, "say everything that is wrong or unsupported",
     "usage: tenon check MODEL|PLAN [options]\n"
     "A model is compiled without writing anything, and everything in it that is invalid or\n"
     "unsupported is listed; a plan is verified with the checksum of its weights.\n"
     "  --json                  the same as JSON (docs/check.md)\n"
     "For models only:\n"
     "  --dim, --rename-dim, --task, --precision   as for compile\n"
     "`tenon ops --onnx` lists the operators that are supported.\n"},
    {"diff", cmd_diff, "compare a plan's results with expected ones",
     "usage: tenon diff PLAN --inputs IN.safetensors --expect OUT.safetensors [options]\n"
     "       tenon diff PLAN --inputs IN.safetensors --against MODEL [options]\n"
     "Exit status 1, and the worst element, where an output differs by more than\n"
     "atol + rtol * max |expected|. --against computes what is expected from the model's unfused\n"
     "graph with the reference kernels.\n"
     "  --bisect                compare intermediate values too, and name the first node whose value\n"
     "                          departs; with --expect, values by the names of the model's values\n"
     "                          (a recording of PyTorch or onnxruntime, outputs not needed)\n"
     "  --rtol R, --atol A      default by element type: f32 2e-5 and 1e-5, f16 2e-3 and 1e-3,\n"
     "                          bf16 2e-2 and 1e-2; integers have to be equal. Without them outputs of\n"
     "                          a plan with --precision bf16 may be off by 5 % of their size, root mean\n"
     "                          squares, with int8 by 10 % and with int4 by 60 %\n"
     "  --function NAME         which function of the plan (default: the first)\n"
     "  --threads N             default: all processors this process may use\n" ISA_NOTE},
    {"ops", cmd_ops, "list the operators",
     "usage: tenon ops [--onnx | --markdown]\n"
     "Lists the operators of the IR, or the ONNX operators that are imported; --markdown gives both,\n"
     "and the instructions of plans, as docs/ops.md.\n"},
    {"models", cmd_models, "list the model families that are built from checkpoints",
     "usage: tenon models\n"
     "Lists architecture, model_type and task of every checkpoint that has a builder.\n"},
};
/* clang-format on */
#define COMMANDS (sizeof commands / sizeof *commands)

static int help(FILE *to, int status) {
    fputs("usage: tenon COMMAND ...\n\n", to);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-8s  %s\n", commands[i].name, commands[i].purpose);
    fputs("\n`tenon COMMAND --help` explains one. `tenon --version` prints the version.\n"
          "Exit status: 0 done; 1 the input or the environment is at fault; 2 wrong usage;\n"
          "3 valid but unsupported.\n",
          to);
    return fflush(to) ? EXIT_FAULT : status;
}

static int run_command(size_t which, int argc, char **argv) {
    Tool t = {.command = commands[which].name,
              .usage = commands[which].usage,
              .argc = argc,
              .argv = argv};
    jmp_buf on_fail;
    cx_init(&t.cx, tn_default_alloc());
    t.cx.on_fail = &on_fail;
    volatile int status;
    if (setjmp(on_fail)) {
        status = tool_status((tenon_status)t.cx.code);
        if (t.cx.code)
            fprintf(stderr, "tenon: %s\n", t.cx.message);
        else
            status = t.next; /* tool_exit */
    } else {
        status = commands[which].run(&t);
    }
    cx_free(&t.cx);
    tool_end_by_signal();
    if (fflush(stdout) && status == EXIT_DONE) {
        fprintf(stderr, "tenon: standard output: %s\n", strerror(errno));
        status = EXIT_FAULT;
    }
    return status;
}

int main(int argc, char **argv) {
    if (argc < 2) return help(stderr, EXIT_USAGE);
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
        return help(stdout, EXIT_DONE);
    if (!strcmp(argv[1], "--version")) {
        printf("tenon %s\n", tenon_version());
        return fflush(stdout) ? EXIT_FAULT : EXIT_DONE;
    }
    for (size_t i = 0; i < COMMANDS; i++)
        if (!strcmp(argv[1], commands[i].name)) return run_command(i, argc - 2, argv + 2);
    fprintf(stderr, "tenon: there is no command '%s'\n", argv[1]);
    return help(stderr, EXIT_USAGE);
}
