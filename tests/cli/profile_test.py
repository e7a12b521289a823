#!/usr/bin/env python3
"""tenon bench --profile and --trace: what is counted, and that the sums are those of the lines.

    profile_test.py TENON FIXTURES
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
from wire import INT64, model, node, tensor, value_info

TENON, FIXTURES = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
W = [i / 10 for i in range(8 * 16)]


class Profile(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tenon-profile-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def tenon(self, *args):
        r = subprocess.run([TENON, *map(str, args)], capture_output=True, text=True, cwd=self.folder, timeout=120)
        self.assertEqual(r.returncode, 0, f"tenon {args}: {r.stdout}{r.stderr}")
        return r.stdout

    def profile(self, *args):
        return json.loads(self.tenon("bench", "m.plan", "--runs", "3", "--threads", "1", "--profile", "--json", "-", *args))

    def compile(self, nodes, initializers, inputs, output, *args):
        out = [value_info("out", output)]
        (self.folder / "m.onnx").write_bytes(model(nodes, initializers, inputs, out))
        self.tenon("compile", "m.onnx", "-o", "m.plan", *args)

    def test_what_is_counted(self):
        """Per line: operations and bytes by the formulas of backend/cost.c."""
        cases = [
            ("gemm", [node("MatMul", "n", ["x", "w"], ["out"])], [tensor("w", [8, 16], W)], [4, 16], 2 * 4 * 8 * 16,
             4 * (4 * 8 + 8 * 16 + 4 * 16)),
            ("softmax", [node("Softmax", "n", ["x"], ["out"])], [], [4, 8], 5 * 32, 4 * 64),
            ("map", [node("Tanh", "n", ["x"], ["y"]), node("Add", "m", ["y", "x"], ["out"])], [], [4, 8], 2 * 32, 4 * 64),
            ("reduce", [node("ReduceSum", "n", ["x", "axis"], ["out"], keepdims=0)], [tensor("axis", [1], [1], INT64)], [4], 32,
             4 * (32 + 4)),
            ("copy", [node("Transpose", "n", ["x"], ["out"], perm=[1, 0])], [], [8, 4], 0, 4 * 64),
            ("gather", [node("Gather", "n", ["w", "ids"], ["y"]), node("Identity", "m", ["y"], ["out"])],
             [tensor("w", [8, 16], W)], ["n", 16], 0, 3 * 8 + 2 * 4 * 3 * 16),
        ]
        for opcode, nodes, initializers, output, flops, size in cases:
            with self.subTest(opcode):
                inputs = [value_info("ids", [3], INT64)] if opcode == "gather" else [value_info("x", [4, 8])]
                self.compile(nodes, initializers, inputs, output)
                p = self.profile()
                self.assertEqual([(e["opcode"], e["flops"], e["bytes"]) for e in p["profile"]], [(opcode, flops, size)])
                moves = opcode in ("copy", "gather")
                self.assertEqual(p["data_movement"], {"bytes": size if moves else 0, "of": size})

    def test_sums(self):
        self.tenon("compile", FIXTURES / "bert-sequence-cls", "-o", "m.plan")
        dims = ["--dim", "batch=1", "--dim", "sequence=8"]
        p = self.profile(*dims)
        for sums, total in ((p["opcodes"], len(p["profile"])),):
            self.assertEqual(sum(s["instructions"] for s in sums), total)
            self.assertAlmostEqual(sum(s["share"] for s in sums), 1, places=3)
        for key in ("flops", "bytes"):
            self.assertEqual(sum(e[key] for e in p["profile"]), sum(s[key] for s in p["opcodes"]))
        parts = {m["module"]: m for m in p["modules"]}
        layer = parts["bert/encoder/layer.1"]
        inside = [e for e in p["profile"] if (e["module"] + "/").startswith("bert/encoder/layer.1/")]
        self.assertEqual(layer["instructions"], len(inside))
        self.assertEqual(layer["flops"], sum(e["flops"] for e in inside))
        for e in p["profile"]:
            self.assertEqual(e["calls"], 1)
            self.assertLessEqual(e["min_us"], e["us"])
        queries = 8 + 8 + 1  # the classifier reads one token of the last layer
        self.assertEqual(sum(e["flops"] for e in p["profile"] if e["opcode"] == "attention"), 2 * 3 * queries * 8 * (12 + 12))

    def test_roof(self):
        """Shares of the roofline follow from the counts, the times and what was measured."""
        self.tenon("compile", FIXTURES / "bert-sequence-cls", "-o", "m.plan")
        p = self.profile("--dim", "batch=2", "--dim", "sequence=20")
        peak, memory = p["roofline"]["gflop_s"], p["roofline"]["gb_s"]
        self.assertGreater(min(peak, memory, p["roofline"]["bf16_gflop_s"]), 0)
        bounds = {}
        for e in p["profile"]:
            bound = max(e["flops"] / peak, e["bytes"] / memory) / 1e3
            bounds[e["opcode"]] = bounds.get(e["opcode"], 0) + bound
            self.assertAlmostEqual(e["roof"] * e["min_us"], bound, delta=0.02 * bound + 1e-4 * e["min_us"])
        for s in p["opcodes"]:
            self.assertAlmostEqual(s["roof"] * s["us"], bounds[s["opcode"]], delta=0.02 * bounds[s["opcode"]] + 1e-4 * s["us"])

    def test_roof_of_weights_in_fewer_bits(self):
        """Rows beside them are two limbs of 8 bits where the CPU multiplies these."""
        self.tenon("compile", FIXTURES / "bert-sequence-cls", "-o", "m.plan", "--precision", "int4")
        p = self.profile("--dim", "batch=2", "--dim", "sequence=20")
        rates = p["roofline"]
        limbs = "vnni" in p["isa"] or "bf16" in p["isa"]
        peak = rates["i8_gflop_s"] / 2 if limbs else rates["gflop_s"]
        for e in p["profile"]:
            if e["opcode"] == "gemm" and "classifier" not in e["node"]:
                bound = max(e["flops"] / peak, e["bytes"] / rates["gb_s"]) / 1e3
                self.assertAlmostEqual(e["roof"] * e["min_us"], bound, delta=0.02 * bound + 1e-4 * e["min_us"])

    def test_report_counts_the_same(self):
        """compile --report at its sample lengths, bench --profile at the same."""
        for fixture in ("bert-sequence-cls", "vit-cls", "t5-encoder/model.onnx"):
            self.tenon("compile", FIXTURES / fixture, "-o", "m.plan", "--report=r.json")
            report = json.loads((self.folder / "r.json").read_text())
            p = self.profile(*[x for d in report["dims"].split() for x in ("--dim", d)])
            self.assertEqual(report["movement"], {
                "moved_bytes": p["data_movement"]["bytes"], "bytes": p["data_movement"]["of"],
                "flops": sum(e["flops"] for e in p["profile"]), "uncounted_instructions": 0})

    def test_tables(self):
        self.tenon("compile", FIXTURES / "bert-sequence-cls", "-o", "m.plan")
        text = self.tenon("bench", "m.plan", "--dim", "batch=1", "--dim", "sequence=8", "--profile", "--runs", "2")
        rows = text.split("instruction")[1].split("\n\n")[0].splitlines()[1:]
        times = [float(r.split()[2]) for r in rows]
        self.assertEqual(times, sorted(times, reverse=True))
        self.assertIn("100.0%", rows[-1])
        self.assertIn("bert/encoder/layer.0/attention ", text)
        self.assertRegex(text, r"roofline: \d+\.\d GFLOP/s.*, \d+\.\d GB/s read from memory; bounds add up to \d+\.\d us, \d+ % of the time\n")
        self.assertRegex(text, r"data movement: \d+\.\d % of bytes")

    def test_trace(self):
        self.tenon("compile", FIXTURES / "bert-sequence-cls", "-o", "m.plan")
        self.tenon("bench", "m.plan", "--dim", "batch=1", "--dim", "sequence=8", "--runs", "2", "--trace", "t.json")
        events = json.loads((self.folder / "t.json").read_text())["traceEvents"]
        self.assertEqual(events[0]["ph"], "M")
        spans = events[1:]
        self.assertEqual([e["args"]["instruction"] for e in spans], list(range(len(spans))))
        for a, b in zip(spans, spans[1:]):
            self.assertEqual((a["ph"], a["pid"], a["tid"]), ("X", 1, 1))
            self.assertLessEqual(a["ts"] + a["dur"], b["ts"] + 0.5)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
