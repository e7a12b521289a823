#!/usr/bin/env python3
"""Every C file is laid out as clang-format 14 (Debian 12's) lays it out; another version may differ in detail, so none is asked.

Exit status 77 (ctest: skipped) where clang-format 14 is missing. `make format` mends what this finds.
"""
import re
import shutil
import subprocess
import sys

from tree import CODE, files, report

VERSION = "14"


def main():
    tool = shutil.which("clang-format-" + VERSION) or shutil.which("clang-format")
    version = re.search(r"version (\d+)", subprocess.run([tool, "--version"], capture_output=True, text=True).stdout)[1] if tool else "none"
    if version != VERSION:
        print(f"SKIPPED: the layout of the C files was NOT checked: clang-format {VERSION} wanted, found {version}")
        sys.exit(77)
    sources = files(CODE, ".c", ".h")
    problems = []
    for path, file in sources:
        text = file.read_bytes()
        wanted = subprocess.run([tool, str(file)], check=True, capture_output=True).stdout
        if wanted != text:
            problems.append(f"{path}: not laid out by clang-format (make format)")
    report(problems, f"{len(sources)} C files")


if __name__ == "__main__":
    main()
