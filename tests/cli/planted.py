#!/usr/bin/env python3
"""tenon diff --bisect: a plan of one model against another that differs in exactly one node, which is the one to be named.

    planted.py TENON FIXTURES

On a plan of the graph as imported (compile --unfused) the node is named exactly. On the usual plan the value of the node may not
exist, having been fused away: then the node is among those that the report says it may be.
"""
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from wire import BOOL, FLOAT, INT32, INT64, all_of, get, graph, model, node, parse, safetensors, tensor, value_info, write

TENON, FIXTURES = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()


class Planted(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tenon-planted-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def tenon(self, status, *args):
        r = subprocess.run([TENON, *map(str, args)], capture_output=True, text=True, cwd=self.folder, timeout=120)
        self.assertEqual(r.returncode, status, f"tenon {args}: {r.stdout}{r.stderr}")
        return r.stdout

    def write(self, name, data):
        (self.folder / name).write_bytes(data)

    def bisect(self, status, plan, inputs, against):
        return self.tenon(status, "diff", plan, "--inputs", inputs, "--against", against, "--bisect")

    def check(self, inputs, wrong, name):
        """u.plan and f.plan are of the right model, unfused and fused; `wrong` has the changed node `name`."""
        text = self.bisect(1, "u.plan", inputs, wrong)
        self.assertIn(f"first to depart: node '{name}' (", text)
        self.assertNotIn("or one of these", text)
        if "DIFFERENT" not in text:
            return  # the change does not reach an output, nor need it reach anything that a fused plan has
        text = self.bisect(1, "f.plan", inputs, wrong)
        self.assertIn(f"node '{name}' (", text.split("first to depart:")[1])

    def compile(self, path):
        self.tenon(0, "compile", path, "-o", "f.plan")
        self.tenon(0, "compile", path, "-o", "u.plan", "--unfused")


# --- small models: a node between two others, then with one thing changed ------------------------------------------------------
X, N = [4, 4], 16
I = {"x": (X, [((i * 7) % 13 - 6) / 4 for i in range(N)]), "ids": ([4], [2, 0, 3, 1])}
CONSTANTS = {
    "w": (X, [((i * 5) % 11 - 5) / 6 for i in range(N)]), "w2": (X, [((i * 3) % 7 - 3) / 5 for i in range(N)]),
    "row": ([4], [0.5, -0.25, 1.5, 0.75]), "row2": ([4], [0.5, -0.25, 1.25, 0.75]),
    "half": ([], [0.5]), "third": ([], [0.3]), "two": ([], [2.0]), "three": ([], [3.0]),
    "low": ([], [-10000.0]), "lower": ([], [-5.0]), "kernel": ([1, 1, 2, 2], [1.0, 2.0, -1.0, 0.5]),
    "kernel2": ([1, 1, 2, 2], [1.0, 2.0, -1.0, 0.75]),
}
INTEGERS = {"i0": ([1], [0]), "i1": ([1], [1]), "i2": ([1], [2]), "i3": ([1], [3]), "i4": ([1], [4]), "axis": ([1], [1]),
            "table": ([4], [3, 1, 2, 0]), "table2": ([4], [3, 1, 0, 2]), "image": ([4], [1, 1, 4, 4]), "pads": ([4], [0, 1, 0, 1]), "pads2": ([4], [0, 2, 0, 0]), "heads": ([4], [1, 4, 2, 2]),
            "cubic": ([4], [2, 2, 2, 2])}
KINDS = {  # kind: (op, inputs, attributes), what is changed in them; "pre" is a value [4, 4] computed from x
    "matmul weight": (("MatMul", ["pre", "w"], {}), ("MatMul", ["pre", "w2"], {})),
    "gemm alpha": (("Gemm", ["pre", "w", "row"], {"alpha": 1.0}), ("Gemm", ["pre", "w", "row"], {"alpha": 1.5})),
    "gemm transposed": (("Gemm", ["pre", "w"], {"transB": 1}), ("Gemm", ["pre", "w"], {})),
    "bias": (("Add", ["pre", "row"], {}), ("Add", ["pre", "row2"], {})),
    "gelu for relu": (("Gelu", ["pre"], {}), ("Relu", ["pre"], {})),
    "gelu approximation": (("Gelu", ["pre"], {}), ("Gelu", ["pre"], {"approximate": "tanh"})),
    "layer norm epsilon": (("LayerNormalization", ["pre", "row"], {"epsilon": 1e-5}),
                           ("LayerNormalization", ["pre", "row"], {"epsilon": 1e-2})),
    "softmax axis": (("Softmax", ["pre"], {"axis": 1}), ("Softmax", ["pre"], {"axis": 0})),
    "gather indices": (("Gather", ["pre", "table"], {"axis": 1}), ("Gather", ["pre", "table2"], {"axis": 1})),
    "embedding rows": (("Gather", ["w", "ids"], {}), ("Gather", ["w2", "ids"], {})),
    "transpose perm": (("Transpose", ["cube"], {"perm": [1, 0, 2, 3]}), ("Transpose", ["cube"], {"perm": [0, 1, 3, 2]})),
    "transpose gone": (("Transpose", ["pre"], {"perm": [1, 0]}), ("Transpose", ["pre"], {"perm": [0, 1]})),
    "slice start": (("Slice", ["pre", "i0", "i3", "axis"], {}), ("Slice", ["pre", "i1", "i4", "axis"], {})),
    "slice step": (("Slice", ["pre", "i0", "i4", "axis", "i2"], {}), ("Slice", ["pre", "i0", "i2", "axis", "i1"], {})),
    "concat order": (("Concat", ["pre", "x"], {"axis": 1}), ("Concat", ["x", "pre"], {"axis": 1})),
    "mask value": (("Where", ["mask", "pre", "low"], {}), ("Where", ["mask", "pre", "lower"], {})),
    "where branches": (("Where", ["mask", "pre", "x"], {}), ("Where", ["mask", "x", "pre"], {})),
    "scale": (("Mul", ["pre", "half"], {}), ("Mul", ["pre", "third"], {})),
    "pow exponent": (("Pow", ["pre", "two"], {}), ("Pow", ["pre", "three"], {})),
    "residual": (("Add", ["pre", "x"], {}), ("Add", ["pre", "pre"], {})),
    "operator": (("Sub", ["pre", "x"], {}), ("Add", ["pre", "x"], {})),
    "reduction": (("ReduceMean", ["pre", "axis"], {}), ("ReduceMax", ["pre", "axis"], {})),
    "reduced axis": (("ReduceSum", ["pre", "axis"], {"keepdims": 0}), ("ReduceSum", ["pre", "i0"], {"keepdims": 0})),
    "cast": (("Cast", ["pre"], {"to": INT32}), ("Cast", ["pre"], {"to": BOOL})),
    "comparison": (("Less", ["pre", "x"], {}), ("LessOrEqual", ["x", "pre"], {})),
    "pad": (("Pad", ["pre", "pads"], {}), ("Pad", ["pre", "pads2"], {})),
    "cumulative sum": (("CumSum", ["pre", "axis0"], {}), ("CumSum", ["pre", "axis0"], {"reverse": 1})),
    "clip": (("Clip", ["pre", "lower", "half"], {}), ("Clip", ["pre", "lower", "third"], {})),
    "rounding": (("Floor", ["pre"], {}), ("Ceil", ["pre"], {})),
    "einsum": (("Einsum", ["pre", "w"], {"equation": "ij,jk->ik"}), ("Einsum", ["pre", "w"], {"equation": "ij,kj->ik"})),
    "leaky slope": (("LeakyRelu", ["pre"], {"alpha": 0.25}), ("LeakyRelu", ["pre"], {"alpha": 0.125})),
    "conv weight": (("Conv", ["pre4", "kernel"], {}), ("Conv", ["pre4", "kernel2"], {})),
    "conv dilation": (("Conv", ["pre4", "kernel"], {"pads": [1, 1, 1, 1], "dilations": [2, 2]}),
                      ("Conv", ["pre4", "kernel"], {"pads": [0, 0, 1, 1], "strides": [1, 1]})),
    "pool": (("MaxPool", ["pre4"], {"kernel_shape": [2, 2]}), ("AveragePool", ["pre4"], {"kernel_shape": [2, 2]})),
    "attention causal": (("Attention", ["q", "q", "q"], {"is_causal": 1}), ("Attention", ["q", "q", "q"], {})),
    "attention scale": (("Attention", ["q", "q", "q"], {"scale": 0.5}), ("Attention", ["q", "q", "q"], {"scale": 0.75})),
}


def small(op, inputs, attributes):
    """x -> Tanh -> the node -> Cast, Mul, so that it is neither first nor last."""
    before = [node("Tanh", "before", ["x"], ["pre"]), node("Less", "compare", ["x", "half"], ["mask"]),
              node("Reshape", "to_image", ["pre", "image"], ["pre4"]), node("Reshape", "to_heads", ["pre", "heads"], ["q"]),
              node("Reshape", "to_cube", ["pre", "cubic"], ["cube"])]
    after = [node("Cast", "behind", ["y"], ["z"], to=FLOAT), node("Mul", "last", ["z", "two"], ["out"])]
    constants = [tensor(k, *v) for k, v in CONSTANTS.items()] + [tensor(k, *v, INT64) for k, v in INTEGERS.items()]
    constants.append(tensor("axis0", [], [1], INT64))
    wanted = set(inputs) | {"half", "two", "image", "heads", "cubic"}
    constants = [c for c in constants if get(parse(c), 8).decode() in wanted]
    ids = [value_info("ids", [4], INT64)] if "ids" in inputs else []
    return model(before + [node(op, "planted", inputs, ["y"], **attributes)] + after, constants,
                 [value_info("x", X)] + ids, [value_info("out", ["n", "m"])], opset=23)


class Kinds(Planted):
    def test_kinds(self):
        self.write("in.safetensors", safetensors(I))
        for kind, (right, wrong) in KINDS.items():
            with self.subTest(kind):
                self.write("right.onnx", small(*right))
                self.write("wrong.onnx", small(*wrong))
                self.compile("right.onnx")
                for plan in ("u.plan", "f.plan"):
                    self.assertNotIn("depart", self.bisect(0, plan, "in.safetensors", "right.onnx"))
                self.check("in.safetensors", "wrong.onnx", "planted")


def loop(factor, power):
    """x -> Loop(4 times: v * factor, Tanh; v * factor collected) -> NonZero of the last v -> Pow."""
    body = graph([node("Mul", "scaled", ["v", "factor"], ["m"]), node("Tanh", "bent", ["m"], ["t"]),
                  node("Identity", "go_on", ["go"], ["goes"])], [tensor("factor", [], [factor])],
                 [value_info("i", [], INT64), value_info("go", [], BOOL), value_info("v", X)],
                 [value_info("goes", [], BOOL), value_info("t", X), value_info("m", X)])
    return model([node("Loop", "repeated", ["times", "", "x"], ["y", "all"], body=body), node("NonZero", "found", ["y"], ["at"]),
                  node("Cast", "as_float", ["at"], ["places"], to=FLOAT), node("Pow", "squared", ["places", "power"], ["out"])],
                 [tensor("times", [], [4], INT64), tensor("power", [], [power])], [value_info("x", X)],
                 [value_info("all", [4, 4, 4]), value_info("out", [2, "found"])])


class ControlFlow(Planted):
    def test_body_and_measured_length(self):
        self.write("in.safetensors", safetensors(I))
        self.write("right.onnx", loop(0.5, 2.0))
        self.compile("right.onnx")
        for plan in ("u.plan", "f.plan"):
            self.assertNotIn("depart", self.bisect(0, plan, "in.safetensors", "right.onnx"))
        self.write("wrong.onnx", loop(0.75, 2.0))
        self.check("in.safetensors", "wrong.onnx", "scaled")
        self.assertIn("iteration 1 of 4", self.bisect(1, "u.plan", "in.safetensors", "wrong.onnx"))
        self.write("wrong.onnx", loop(0.5, 3.0))
        self.check("in.safetensors", "wrong.onnx", "squared")


# --- exports: every kind of node that has a float constant, or another operator of the same arity ------------------------------
SWAPS = {"Erf": "Tanh", "Tanh": "Sin", "Sqrt": "Exp", "ReduceMean": "ReduceMax", "Sub": "Add", "Softmax": "Tanh", "Relu": "Tanh",
         "Gelu": "Relu"}


def change(data, op):
    """The model with the second node of this kind changed, or the only one, and its name; None if there is nothing to change."""
    m = parse(data)
    at = next(i for i, f in enumerate(m) if f[0] == 7)
    main = parse(m[at][1])
    constants = {get(parse(t), 8): parse(t) for t in all_of(main, 5)}
    nodes = [(i, parse(f[1])) for i, f in enumerate(main) if f[0] == 1]
    nodes = [(i, n) for i, n in nodes if get(n, 4) == op.encode()]
    for place, n in nodes[1:] + nodes[:1]:
        swap = SWAPS.get(op)
        for slot, f in enumerate(n):
            t = constants.get(f[1]) if f[0] == 1 else None
            if t is None or get(t, 2) != FLOAT or not get(t, 9) or swap:
                continue
            values = struct.unpack(f"<{len(get(t, 9)) // 4}f", get(t, 9))
            raw = struct.pack(f"<{len(values)}f", *[v * 1.5 + 0.25 for v in values])
            main.append([5, write([x for x in t if x[0] not in (8, 9)] + [[8, "planted"], [9, raw]])])
            n[slot] = [1, b"planted"]
            break
        else:
            if not swap:
                continue
            n[:] = [[4, swap] if x[0] == 4 else x for x in n if x[0] != 5 or not op == "Softmax" and not op == "Gelu"]
        main[place] = [1, write(n)]
        m[at][1] = write(main)
        return write(m), get(n, 3).decode()
    return None


class Exports(Planted):
    def test_exports(self):
        found = set()
        for fixture in ("bert-sequence-cls", "gpt2-lm", "vit-cls", "t5-encoder"):
            for export in ("model.onnx", "model_ts.onnx"):
                path = FIXTURES / fixture / export
                data = path.read_bytes()
                self.compile(path)
                inputs = FIXTURES / fixture / "io.safetensors"
                main = parse(get(parse(data), 7))
                for op in sorted({get(parse(n), 4).decode() for n in all_of(main, 1)}):
                    changed = change(data, op)
                    if not changed:
                        continue
                    with self.subTest(f"{fixture} {export} {op}"):
                        self.write("wrong.onnx", changed[0])
                        self.check(inputs, "wrong.onnx", changed[1])
                        found.add(op)
        self.assertGreaterEqual(len(found), 12, found)

    def test_checkpoint(self):
        """Values of checkpoints go by the names of their modules."""
        bert = FIXTURES / "bert-sequence-cls"
        self.compile(bert)
        copy = self.folder / "copy"
        shutil.copytree(bert, copy)
        data = bytearray((copy / "model.safetensors").read_bytes())
        size = struct.unpack_from("<Q", data)[0]
        import json
        name = "bert.encoder.layer.1.intermediate.dense"
        begin, end = json.loads(data[8:8 + size])[name + ".bias"]["data_offsets"]
        for i in range(begin, end, 4):
            struct.pack_into("<f", data, 8 + size + i, 3.0)
        (copy / "model.safetensors").write_bytes(data)
        self.check(bert / "io.safetensors", copy, name)


class Recordings(Planted):
    def test_recording(self):
        """--expect with --bisect: values by the model's names, of which the first wrong one in the run is named."""
        self.write("in.safetensors", safetensors(I))
        self.write("m.onnx", small("Mul", ["pre", "half"], {}))
        self.tenon(0, "compile", "m.onnx", "-o", "p.plan", "--unfused")
        import math
        pre = [math.tanh(v) for v in I["x"][1]]
        y = [v * 0.5 for v in pre]
        bad = [v + (i == 5) * 0.125 for i, v in enumerate(y)]
        for name, values, status in (("good", y, 0), ("bad", bad, 1)):
            self.write(f"{name}.safetensors", safetensors({"pre": (X, pre), "y": (X, values), "z": (X, values), "other": ([1], [0.0])}))
            text = self.tenon(status, "diff", "p.plan", "--inputs", "in.safetensors", "--expect", f"{name}.safetensors", "--bisect")
            self.assertIn("3 of 4 expected values are in the plan", text)
            self.assertEqual("first to depart: 'y'" in text, status == 1, text)
        self.assertIn("1 of 16 elements differ; at [1, 1]:", text)

    def test_stripped(self):
        self.write("in.safetensors", safetensors(I))
        self.write("m.onnx", small("Mul", ["pre", "half"], {}))
        self.tenon(0, "compile", "m.onnx", "-o", "p.plan", "--strip")
        r = subprocess.run([TENON, "diff", "p.plan", "--inputs", "in.safetensors", "--against", "m.onnx", "--bisect"],
                           capture_output=True, text=True, cwd=self.folder)
        self.assertEqual((r.returncode, r.stderr),
                         (1, "tenon: p.plan does not say where values of its model are (compiled with --strip)\n"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
