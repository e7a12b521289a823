#!/usr/bin/env python3
"""Who may include whom, and in which order. Includes within the project are written from its root, third-party headers each have one home."""
import re

from tree import CODE, ROOT, files, report

BASE = "runtime/base/"
# The first row that matches a file's path decides. "" allows every header of the project.
MAY_INCLUDE = [
    (BASE, (BASE,)),
    ("runtime/", ("runtime/",)),
    ("ir/", ("ir/", BASE)),
    ("passes/", ("passes/", "ir/", BASE)),
    ("frontend/", ("frontend/", "ir/", BASE)),
    ("models/", ("models/", "ir/", "frontend/frontend.h", "frontend/weights.h", "frontend/hf/config.h", BASE)),
    ("backend/", ("backend/", "models/", "frontend/", "passes/", "ir/", BASE, "runtime/tenon.h", "runtime/plan_format.h",
                  "runtime/instrs.def", "runtime/instrs.h", "runtime/params.h", "runtime/pack.h", "runtime/kernels.h", "runtime/memplan.h", "runtime/plan_expr.h")),
    ("examples/", ("runtime/tenon.h",)),
    ("tests/install/", ()),
    ("", ("",)),
]
# Third-party headers and the folders that may know them. The tests may know all.
THIRD_PARTY = [
    (r"protobuf-c/", ("frontend/onnx/",)),
    (r"cjson/", ("frontend/hf/",)),
    (r"xxhash\.h", ("runtime/", "ir/", "passes/", "frontend/", "backend/")),
    (r"pthreadpool\.h", (BASE,)),
    (r"(imm|x86|cpuid)[a-z0-9]*\.h", ("runtime/kernels/", BASE)),
    (r"cmocka\.h", ()),
    (r"tenonc?\.h", ("tests/install/",)),
    (r"linux/|sys/(prctl|syscall)\.h", ()),
]
C_AND_POSIX = set("""assert ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic stdbool
stddef stdint stdio stdlib stdnoreturn string strings threads time wchar dirent dlfcn fcntl fnmatch getopt glob libgen poll pthread sched termios
unistd sys/auxv sys/ioctl sys/mman sys/resource sys/stat sys/time sys/types sys/uio sys/wait sys/random""".split())
GENERATED = {"onnx.pb-c.h": "frontend/onnx/"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>|(\w+))')


def quoted(path, target):
    if target in GENERATED:
        return None if path.startswith((GENERATED[target], "tests/")) else f"only {GENERATED[target]} may include {target}"
    if not (ROOT / target).is_file():
        return f'"{target}" is no file of the project as seen from its root'
    allowed = next(row[1] for row in MAY_INCLUDE if path.startswith(row[0]))
    return None if target.startswith(tuple(allowed)) else f'may not include "{target}"'


def angled(path, target):
    for pattern, homes in THIRD_PARTY:
        if re.match(pattern, target):
            return None if path.startswith((*homes, "tests/", "bench/")) else f"may not include <{target}>"
    return None if target.removesuffix(".h") in C_AND_POSIX else f"<{target}> is neither in C or POSIX nor a listed library"


def runs(lines):
    """(number of the first line, headers as written) of each run of includes; tables and what a macro names end one."""
    run, start = [], 0
    for number, line in enumerate([*lines, ""], 1):
        match = INCLUDE.match(line)
        if match and not match[3] and not (match[1] or "").endswith(".def"):
            start = start if run else number
            run.append(f"<{match[2]}>" if match[2] else f'"{match[1]}"')
        elif run:
            yield start, run
            run = []


def in_order(run):
    """The headers of C and of libraries, then the project's, each sorted. Before them may stand the header whose file this is; cmocka wants
    its own before it."""
    rest = run[1:] if run[0][0] == '"' else run
    if "<cmocka.h>" in run:
        rest = [header for header in rest if header[0] == '"']
    return rest == sorted(rest, key=lambda header: (header[0] == '"', header))


def main():
    problems, seen = [], 0
    for path, file in files(CODE, ".c", ".h", ".def"):
        lines = file.read_text().splitlines()
        for number, run in runs(lines):
            if not in_order(run):
                problems.append(f"{path}:{number}: includes out of order")
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            if not match or match[3]:
                continue
            seen += 1
            wrong = quoted(path, match[1]) if match[1] else angled(path, match[2])
            if wrong:
                problems.append(f"{path}:{number}: {wrong}")
    report(problems, f"{seen} includes")


if __name__ == "__main__":
    main()
