#!/usr/bin/env python3
"""House rules that can be read off the text: lengths, opening comments, calls a library must not make, leftovers.

Fails above 800 lines per file (tables in .def files may be longer) and 80 per function; mentions files above 500 and functions
above 60 lines, which want a reason.
"""
import re

from tree import CODE, LIBRARIES, everything, files, report

FILE_NOTE, FILE_LIMIT, FUNCTION_NOTE, FUNCTION_LIMIT = 500, 800, 60, 80
FORBIDDEN_CALL = re.compile(r"\b(abort|exit|_exit|quick_exit|printf|fprintf|vprintf|vfprintf|puts|putchar|perror|getenv|system)\s*\(")
# Spelled in pieces so that this file does not find itself.
LEFTOVER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b|\.\./sha" r"red|(?<![\w.])/(wo" r"rk|ro" r"ot|ho" r"me)/\w")
TEXT = (".c", ".h", ".def", ".py", ".sh", ".md", ".cmake", ".in", ".txt", ".json", ".proto", ".ir", "")


def without_comments(text):
    """Comments and string contents blanked, line breaks kept."""
    def blank(match):
        kept = re.sub(r"[^\n]", " ", match[0])
        return kept if match[0].startswith("/") else '""' + kept[2:]
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def functions(lines):
    """(first line, length) of each function definition. Relies on the layout: a definition starts and ends in column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if line.rstrip() == "}" and start:
            yield start, number - start + 1
            start = None
        elif re.match(r"[A-Za-z_]", line) and not line.startswith(("typedef", "struct", "union", "enum", "extern \"C\"")):
            start = number if "=" not in line.split("(")[0] else None


def main():
    problems, notes, count = [], [], 0
    for path, file in files(CODE, ".c", ".h", ".def"):
        count += 1
        text = file.read_text()
        lines = text.splitlines()
        if not text.startswith("/*"):
            problems.append(f"{path}:1: does not open with a comment that says what the file is")
        if file.suffix == ".def":
            continue
        if len(lines) > FILE_NOTE:
            (problems if len(lines) > FILE_LIMIT else notes).append(f"{path}: {len(lines)} lines")
        bare = without_comments(text).splitlines()
        for start, length in functions(bare):
            if length > FUNCTION_NOTE:
                (problems if length > FUNCTION_LIMIT else notes).append(f"{path}:{start}: function of {length} lines")
        if path.startswith(LIBRARIES):
            for number, line in enumerate(bare, 1):
                call = FORBIDDEN_CALL.search(line)
                if call:
                    problems.append(f"{path}:{number}: a library must not call {call[1]}")
    for path, file in everything(*TEXT):
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            left = LEFTOVER.search(line)
            if left:
                problems.append(f"{path}:{number}: leftover '{left[0]}'")
    for note in notes:
        print(f"note: {note}")
    report(problems, f"{count} source files")


if __name__ == "__main__":
    main()
