#!/usr/bin/env python3
"""What the built libraries show and need.

    symbols.py libtenon.so ARCHIVE...

The shared runtime exports tenon_* and nothing else and needs only libc, libm, libpthreadpool and libxxhash. Neither it nor the
archives call what ends the process, prints, or reads the environment. They remember nothing from one call to the next but what is listed
here. No two members of an archive define the same name: a linker takes
whichever it meets first and says nothing.
"""
import re
import subprocess
import sys

from tree import report

FORBIDDEN = {"abort", "exit", "_exit", "_Exit", "quick_exit", "printf", "fprintf", "vprintf", "vfprintf", "dprintf", "puts", "putchar", "perror",
             "getenv", "secure_getenv", "setenv", "system", "signal", "sigaction", "stdout", "stderr",
             "__printf_chk", "__fprintf_chk", "__vprintf_chk", "__vfprintf_chk", "__assert_fail"}
# Variables: a number for names of temporary files, OpenBLAS where it was found, a table made once.
VARIABLES = {("writefile.c.o", "counter"), ("gemm_blas.c.o", "dgemm"), ("gemm_blas.c.o", "once"), ("attrs_table.c.o", "table")}
LIBRARIES = re.compile(r"^(libc|libm|libdl|libpthread|libpthreadpool|libxxhash|ld-linux-x86-64|ld-linux-aarch64|libgcc_s)\.so")
FOREIGN = re.compile(r"^(pthreadpool_|XXH|_ITM_|__gmon_start__$|__cxa_finalize$)")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def shared(path):
    for line in run("nm", "-D", "--defined-only", path).splitlines():
        name = line.split()[-1].split("@")[0]
        if not name.startswith("tenon_"):
            yield f"{path}: exports {name}"
    for line in run("nm", "-D", "--undefined-only", path).splitlines():
        name, _, version = line.split()[-1].partition("@")
        if name in FORBIDDEN:
            yield f"{path}: uses {name}"
        elif not version and not FOREIGN.match(name):
            yield f"{path}: needs {name}, which is not in libc, libm, pthreadpool or xxHash"
    for needed in re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", path)):
        if not LIBRARIES.match(needed):
            yield f"{path}: needs {needed}"
    if re.search(r"GNU_STACK.*RWE", run("readelf", "-lW", path)):
        yield f"{path}: asks for an executable stack"


def defined_twice(listing):
    """From what nm prints about an archive: (first member, second member, name)."""
    member, first = "?", {}
    for line in listing.splitlines():
        if line.endswith(":"):
            member = line[:-1]
        elif line.split():
            name = line.split()[-1]
            if first.setdefault(name, member) != member:
                yield first[name], member, name


def variables(listing):
    """From what objdump -t prints about an archive: (member, name) of what can be written."""
    member = "?"
    for line in listing.splitlines():
        if ":     file format" in line:
            member = line.split(":")[0]
        elif re.search(r" O \.(bss|data)(\.(?!rel\.ro)\S*)?\t", line):
            # gcc's count.0 and clang's function.count
            yield member, [part for part in line.split()[-1].split(".") if not part.isdigit()][-1]


def archive(path):
    for member, name in variables(run("objdump", "-t", path)):
        if (member, name) not in VARIABLES:
            yield f"{path}({member}): {name} is a variable"
    for one, other, name in defined_twice(run("nm", "--defined-only", "--extern-only", path)):
        yield f"{path}: both {one} and {other} define {name}"
    member = "?"
    for line in run("nm", "--undefined-only", path).splitlines():
        if line.endswith(":"):
            member = line[:-1]
        elif line.split() and line.split()[-1] in FORBIDDEN:
            yield f"{path}({member}): uses {line.split()[-1]}"


def main():
    problems = []
    for path in sys.argv[1:]:
        problems += shared(path) if ".so" in path else archive(path)
    report(problems, f"{len(sys.argv) - 1} libraries")


if __name__ == "__main__":
    main()
