#!/usr/bin/env python3
"""The lint tests can fail: each rule is given something that breaks it, and something close that does not."""
import includes
import source
import symbols


def main():
    may, may_not = [], []
    for path, target, allowed in [
        ("runtime/session.c", "runtime/base/arena.h", True), ("runtime/session.c", "ir/ir.h", False),
        ("runtime/base/arena.c", "runtime/tenon.h", False), ("ir/graph.c", "passes/pass.h", False), ("passes/canon.c", "ir/ir.h", True),
        ("models/bert.c", "frontend/frontend.h", True), ("models/bert.c", "frontend/onnx/import.h", False), ("examples/minimal.c", "runtime/tenon.h", True),
        ("examples/minimal.c", "runtime/plan_format.h", False), ("tools/main.c", "ir/ir.h", True), ("ir/graph.c", "ir.h", False),
    ]:
        (may if allowed else may_not).append((includes.quoted(path, target), path, target))
    for path, target, allowed in [
        ("runtime/session.c", "stdint.h", True), ("ir/graph.c", "protobuf-c/protobuf-c.h", False), ("frontend/onnx/wire.c", "protobuf-c/protobuf-c.h", True),
        ("runtime/exec.c", "pthreadpool.h", False), ("ir/expr.c", "xxhash.h", True), ("passes/share.c", "xxhash.h", True), ("models/bert.c", "xxhash.h", False), ("ir/expr.c", "glib.h", False), ("passes/canon.c", "immintrin.h", False),
    ]:
        (may if allowed else may_not).append((includes.angled(path, target), path, target))
    assert not [case for case in may if case[0]], may
    assert not [case for case in may_not if not case[0]], may_not

    for lines, ordered in [
        (['"ir/b.h"', "", "<a.h>", "<z.h>", '"ir/a.h"', '"ir/c.h"'], True), (['"ir/b.h"', "<a.h>"], True), (['"ir/z.h"', '"ir/a.h"', '"ir/b.h"'], True),
        (["<z.h>", "<a.h>"], False), (['"ir/a.h"', '"ir/b.h"', "<a.h>"], False), (["<a.h>", '"ir/b.h"', '"ir/a.h"'], False),
        (["<stddef.h>", "<setjmp.h>", "<cmocka.h>", '"ir/a.h"'], True), (["<a.h>", '"ir/b.h"', '"ir/x.def"', '"ir/a.h"'], True),
    ]:
        found = includes.runs([f"#include {line}" if line else "" for line in lines])
        assert all(includes.in_order(run) for _, run in found) == ordered, lines

    code = 'static int f(int a,\n             int b) {\n    return a; /* abort() */\n}\nstatic const T t[] = {\n    {1},\n};\nint g(void)\n{\n}\n'
    assert list(source.functions(code.splitlines())) == [(1, 4), (8, 3)]
    bare = source.without_comments('x = "printf("; /* exit(1);\n */ abort(); y = \'"\'; // puts(\n')
    assert bare.count("\n") == 2 and source.FORBIDDEN_CALL.findall(bare) == ["abort"]
    assert not source.FORBIDDEN_CALL.search("snprintf(a); tn_exit(b); on_exit_done(c);")
    for text in ["/* TO" + "DO: */", "see .." + "/shared/x", "open /wo" + "rk/main"]:
        assert source.LEFTOVER.search(text), text
    for text in ["TO" + "DOS", "a/wo" + "rk/b", "network/wo" + "rk"]:
        assert not source.LEFTOVER.search(text), text
    listing = "a.o:\n0000 T f\n0000 T g\n\nb.o:\n0000 T %s\n"
    assert list(symbols.defined_twice(listing % "f")) == [("a.o", "b.o", "f")]
    assert not list(symbols.defined_twice(listing % "h"))
    listing = "a.o:     file format elf64\n\n0 l     O %s\t0004 count.0\n"
    for section, variable in [(".bss", True), (".data", True), (".data.rel.local", True), (".data.rel.ro", False), (".data.rel.ro.local", False), (".rodata", False)]:
        for name in ("count.0", "f.count"):
            found = list(symbols.variables(listing.replace("count.0", name) % section))
            assert found == [("a.o", "count")] * variable, section
    print("every rule fires")


if __name__ == "__main__":
    main()
