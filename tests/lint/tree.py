"""The project's own files, for the lint tests beside this one."""
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LIBRARIES = ("runtime", "ir", "passes", "frontend", "models", "backend")
CODE = LIBRARIES + ("tools", "tests", "bench", "examples")
SKIPPED = {".git", "build", "__pycache__"}


def files(folders, *suffixes):
    """(path from the root, path) of every file below `folders` with one of the suffixes, sorted."""
    found = []
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix in suffixes:
                found.append((path.relative_to(ROOT).as_posix(), path))
    return sorted(found)


def everything(*suffixes):
    """The same for all of the tree but builds and version control."""
    found = []
    for folder, inner, names in os.walk(ROOT):
        inner[:] = [name for name in inner if name not in SKIPPED]
        for path in (pathlib.Path(folder, name) for name in names if name not in SKIPPED):
            if path.suffix in suffixes and path.is_file():
                found.append((path.relative_to(ROOT).as_posix(), path))
    return sorted(found)


def report(problems, checked):
    """Prints what was found and ends the test."""
    for problem in problems:
        print(problem)
    print(f"{checked}: {len(problems)} problem(s)")
    sys.exit(1 if problems else 0)
