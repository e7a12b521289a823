#!/usr/bin/env python3
"""tenon dump as JSON and for Graphviz: golden files of a small model and its plan, the shape of the document for real models,
hostile names.

    dump.py TENON FIXTURES GOLDEN [--bless]
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from onnx_bytes import field, node, onnx, value_info

TENON, FIXTURES, GOLDEN = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve(), pathlib.Path(sys.argv[3]).resolve()
BLESS = "--bless" in sys.argv
BERT = FIXTURES / "bert-sequence-cls"
HOSTILE = '</script><script>alert(1)</script>"\\\x01\x1b[31m\u00e9'


def small(name="/encoder/layer.0"):
    """relu(x) @ relu(x)' + softmax, in two groups."""
    nodes = [node("Relu", f"{name}/act/Relu", ["x"], ["r"]), node("Transpose", f"{name}/attention/Transpose", ["r"], ["t"]),
             node("MatMul", f"{name}/attention/MatMul", ["r", "t"], ["m"]), node("Softmax", f"{name}/attention/Softmax", ["m"], ["y"])]
    return onnx(nodes, [value_info("x", [4, 3])], [value_info("y", [4, 4])])


def strict(text):
    """JSON without duplicate keys and without NaN."""
    def pairs(items):
        assert len(dict(items)) == len(items), items
        return dict(items)

    def constant(name):
        raise ValueError(name)
    return json.loads(text, object_pairs_hook=pairs, parse_constant=constant)


class Dump(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tenon-dump-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def tenon(self, *args, status=0):
        r = subprocess.run([TENON, *map(str, args)], capture_output=True, cwd=self.folder, timeout=120,
                           env=os.environ | {"TENON_ISA": "scalar"})
        self.assertEqual(r.returncode, status, f"tenon {args}: {r.stderr}")
        return (r.stderr if status else r.stdout).decode()

    def dump(self, *args):
        return strict(self.tenon("dump", *args, "--format", "json"))

    def golden(self, name, text):
        if BLESS:
            GOLDEN.mkdir(exist_ok=True)
            (GOLDEN / name).write_text(text)
        self.assertEqual(text, (GOLDEN / name).read_text(), f"{name} differs; --bless rewrites it")

    def test_golden(self):
        (self.folder / "small.onnx").write_bytes(small())
        self.tenon("compile", "small.onnx", "-o", "small.plan")
        self.golden("model.json", self.tenon("dump", "small.onnx", "--format", "json", "--after", "import,canon,share"))
        self.golden("model.dot", self.tenon("dump", "small.onnx", "--format", "dot", "--after", "import"))
        # scratch memory is the kernels' own business
        self.golden("plan.json", re.sub(r'"(arena|scratch)":\d+', r'"\1":0', self.tenon("dump", "small.plan", "--format", "json")))
        self.golden("plan.dot", self.tenon("dump", "small.plan", "--format", "dot"))

    def check_graph(self, graph, constants):
        values = range(len(graph["values"]))
        known = {port["value"] for port in graph["inputs"]} | {i for i in values if "constant" in graph["values"][i]}
        results = []
        for n in graph["nodes"]:
            self.assertLessEqual({v for v in n["operands"] if v is not None}, known, n)
            known |= set(n["results"])
            results += n["results"]
        self.assertEqual(results, list(range(len(results))))
        self.assertLessEqual({port["value"] for port in graph["outputs"]}, known)
        self.assertLessEqual({graph["values"][i].get("constant", -1) for i in values} - {-1}, constants)

    def test_models(self):
        for model in (BERT, BERT / "model.onnx", FIXTURES / "gpt2-lm/model_ts.onnx", FIXTURES / "bert-float16/model.onnx"):
            d = self.dump(model, "--after", "all")
            self.assertEqual((d["format"], d["version"], d["kind"]), ("tenon-dump", 1, "model"))
            stages, constants = {s["after"]: s for s in d["stages"]}, {c["id"] for c in d["constants"]}
            self.assertEqual(list(stages)[:2], ["import", "canon"])
            for s in d["stages"]:
                self.assertTrue("graphs" in s or "graphs" in stages[s["same_as"]], s)
                for g in s.get("graphs", []):
                    self.check_graph(g, constants)
            last = d["stages"][-1].get("graphs") or stages[d["stages"][-1]["same_as"]]["graphs"]
            ops = [n["op"] for n in last[0]["nodes"]]
            text = self.tenon("dump", model)
            self.assertEqual(ops, re.findall(r"^    %.*? = (\w+)", text, re.M))
            self.assertEqual(len({n["group"] for n in last[0]["nodes"] if n["op"] == "attention"}), ops.count("attention"))

    def test_constants(self):
        d = self.dump(BERT)
        c = next(c for c in d["constants"] if c["name"] == "classifier.bias")
        self.assertEqual((c["dtype"], c["dims"], c["bytes"], len(c["hash"]), len(c["first"])), ("f32", [4], 16, 16, 4))
        self.assertEqual((c["min"], c["max"]), (min(c["first"]), max(c["first"])))
        self.assertAlmostEqual(c["mean"], sum(c["first"]) / 4, places=6)

    def test_plan(self):
        self.tenon("compile", BERT, "-o", "x.plan")
        d = self.dump("x.plan", "--dim", "batch=2", "--dim", "sequence=7")
        f, memory = d["functions"][0], d["functions"][0]["memory"]
        self.assertEqual(memory["dims"], {"batch": 2, "sequence": 7})
        for i, n in enumerate(f["instructions"]):
            for v in n["operands"]:
                self.assertTrue(all(w < i for w in (v or {}).get("from", [])), n)
                if v and "buffer" in v and f["buffers"][v["buffer"]]["kind"] == "arena":
                    self.assertTrue(v["from"], n)
        self.assertEqual(f["outputs"][0]["view"]["from"], [len(f["instructions"]) - 1])
        for a in memory["buffers"]:
            self.assertLessEqual(a["offset"] + a["bytes"], memory["arena"])
            for b in memory["buffers"]:
                apart = a is b or a["last"] < b["first"] or b["last"] < a["first"] or a["offset"] + a["bytes"] <= b["offset"] \
                    or b["offset"] + b["bytes"] <= a["offset"]
                self.assertTrue(apart, (a, b))
        live = [sum(b["bytes"] for b in memory["buffers"] if b["first"] <= i <= b["last"]) for i in range(len(f["instructions"]))]
        self.assertEqual(memory["peak"], live.index(max(live)))
        self.assertIn("wants sequence", self.dump("x.plan", "--dim", "sequence=99")["functions"][0]["memory"]["error"])
        self.assertIn("the limit is", self.dump("x.plan", "--dim", "batch=99999999")["functions"][0]["memory"]["error"])
        self.assertIn("digraph", self.tenon("dump", "x.plan", "--format", "dot"))

    def test_hostile_names(self):
        (self.folder / "h.onnx").write_bytes(small(HOSTILE))
        d = self.dump("h.onnx", "--after", "import")
        self.assertTrue(any(HOSTILE.split("/")[0] in o for n in d["stages"][0]["graphs"][0]["nodes"] for o in n["origins"]))
        self.tenon("compile", "h.onnx", "-o", "h.plan")
        for f in ("h.onnx", "h.plan"):
            self.dump(f)
            dot = self.tenon("dump", f, "--format", "dot")
            self.assertNotRegex(dot, r"[\x00-\x09\x0b-\x1f]")
            self.assertEqual(re.sub(r"\\.", "", dot).count('"') % 2, 0)

    def test_deep_names(self):
        (self.folder / "d.onnx").write_bytes(small("/a" * 5000))
        group = self.dump("d.onnx")["stages"][0]["graphs"][0]["nodes"][0]["group"]
        self.assertEqual(len(group.split("/")), 32)
        self.tenon("dump", "d.onnx", "--format", "dot")

    def test_wrong_usage(self):
        self.assertIn("there is no pass 'x'", self.tenon("dump", BERT, "--format", "json", "--after", "canon,x", status=1))
        self.assertIn("there is no pass 'canon,share'", self.tenon("dump", BERT, "--after", "canon,share", status=1))
        self.tenon("compile", BERT, "-o", "x.plan")
        self.assertIn("are for models", self.tenon("dump", "x.plan", "--after", "canon", "--format", "json", status=2))
        self.assertIn("--dim and --profile for plans as JSON", self.tenon("dump", "x.plan", "--dim", "batch=1", status=2))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
