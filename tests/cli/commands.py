#!/usr/bin/env python3
"""The command line: exit statuses, help, where errors go and how they read, and that a failure writes nothing.

    commands.py TENON FIXTURES
"""
import json
import os
import pathlib
import random
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

from onnx_bytes import field, node, onnx, value_info

TENON, FIXTURES = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
BERT, VIT = FIXTURES / "bert-base", FIXTURES / "vit-cls"
COMMANDS = ["compile", "run", "dump", "bench", "check", "diff", "ops", "models"]
DONE, FAULT, USAGE, UNSUPPORTED = 0, 1, 2, 3


class Cli(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tenon-cli-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def tenon(self, *args, **options):
        return subprocess.run([TENON, *map(str, args)], capture_output="stdout" not in options, text=True, cwd=self.folder,
                              timeout=120, **({"stderr": subprocess.PIPE} if "stdout" in options else {}), **options)

    def expect(self, status, *args, **options):
        r = self.tenon(*args, **options)
        self.assertEqual(r.returncode, status, f"tenon {args}: {r.stdout} {r.stderr}")
        return r

    def expect_error(self, status, text, *args):
        r = self.expect(status, *args)
        self.assertEqual(r.stderr, f"tenon: {text}\n")
        self.assertEqual(r.stdout, "")

    def write(self, name, data):
        (self.folder / name).write_bytes(data)

    def files(self):
        return sorted(os.listdir(self.folder))

    def checkpoint(self, **changes):
        """A copy of the BERT fixture, its config changed."""
        config = json.loads((BERT / "config.json").read_text()) | changes
        (self.folder / "m").mkdir()
        (self.folder / "m/config.json").write_text(json.dumps(config))
        shutil.copy(BERT / "model.safetensors", self.folder / "m")


class Usage(Cli):
    def test_help(self):
        for command in COMMANDS:
            r = self.expect(DONE, command, "--help")
            self.assertTrue(r.stdout.startswith(f"usage: tenon {command}"), r.stdout)
            self.assertEqual(r.stderr, "")
        r = self.expect(DONE, "--help")
        for command in COMMANDS:
            self.assertIn(f"  {command} ", r.stdout)
        self.assertRegex(self.expect(DONE, "--version").stdout, r"^tenon \d+\.\d+\.\d+\n$")

    def test_wrong_usage(self):
        for args in ([], ["conjure"], ["compile"], ["compile", BERT], ["compile", "-o", "x.plan"], ["run"], ["bench"], ["check"],
                     ["diff", "x.plan"], ["ops", "--all"], ["models", "x"], ["compile", BERT, "-o", "x.plan", "--fast"],
                     ["compile", BERT, "-o"], ["compile", BERT, "-o", "x.plan", "--dim", "batch"],
                     ["compile", BERT, "-o", "x.plan", "--dim", "batch=3..1"], ["compile", BERT, "-o", "x.plan", "--dim", "batch=-1"],
                     ["bench", "x.plan", "--runs", "0"], ["dump", BERT, "--format", "xml"]):
            r = self.expect(USAGE, *args)
            self.assertIn("usage: tenon", r.stderr)
            self.assertEqual(r.stdout, "")
        self.assertEqual(self.files(), [])

    def test_unsupported(self):
        self.checkpoint(model_type="zebra")
        r = self.expect(UNSUPPORTED, "compile", "m", "-o", "x.plan")
        self.assertTrue(r.stderr.startswith("tenon: m/config.json: model_type 'zebra' is unsupported"), r.stderr)
        self.assertEqual(self.expect(UNSUPPORTED, "compile", BERT, "-o", "x.plan", "--precision", "int3").stderr,
                         "tenon: precision 'int3' is unsupported; f32, bf16, int8 and int4 are supported\n")
        self.expect(UNSUPPORTED, "check", "m")
        self.assertEqual(self.files(), ["m"])


class Work(Cli):
    def test_every_command(self):
        self.expect(DONE, "compile", BERT, "-o", "x.plan", "--report=r.json", "--verify")
        self.assertEqual(self.files(), ["r.json", "x.plan"])
        report = json.loads((self.folder / "r.json").read_text())
        self.assertEqual(report["fusions"]["attention"], 2)
        io = BERT / "io.safetensors"
        self.assertIn("last_hidden_state: f32[", self.expect(DONE, "run", "x.plan", "--inputs", io).stdout)
        self.expect(DONE, "run", "x.plan", "--inputs", io, "--outputs", "y.safetensors", "--threads", "1")
        self.assertIn("ok", self.expect(DONE, "diff", "x.plan", "--inputs", io, "--expect", io).stdout)
        self.assertIn("ok", self.expect(DONE, "diff", "x.plan", "--inputs", io, "--against", BERT).stdout)
        self.expect(DONE, "diff", "x.plan", "--inputs", io, "--expect", "y.safetensors", "--rtol", "0", "--atol", "0")
        r = self.expect(FAULT, "diff", "x.plan", "--inputs", io, "--expect", io, "--rtol", "0", "--atol", "0")
        self.assertIn("DIFFERENT", r.stdout)
        self.assertIn("function main(", self.expect(DONE, "dump", "x.plan").stdout)
        self.assertIn("graph main(", self.expect(DONE, "dump", BERT, "--after", "canon").stdout)
        self.expect(DONE, "dump", BERT, "-o", "g.txt")
        for plan in ("x.plan", BERT, VIT / "model.onnx"):
            self.assertIn(": ok, ", self.expect(DONE, "check", plan).stdout)
        self.assertIn("latency", self.expect(DONE, "bench", "x.plan", "--dim", "batch=1", "--dim", "sequence=4", "--runs", "2").stdout)
        json.loads(self.expect(DONE, "bench", "x.plan", "--inputs", io, "--runs", "2", "--json", "-").stdout)
        self.assertIn("matmul", self.expect(DONE, "ops").stdout)
        self.assertIn("BertModel", self.expect(DONE, "models").stdout)

    def test_two_functions(self):
        self.expect(DONE, "compile", BERT, "--function", "text", VIT, "--function", "image", "-o", "x.plan")
        out = self.expect(DONE, "dump", "x.plan").stdout
        self.assertIn("function text(", out)
        self.assertIn("function image(", out)
        self.expect(DONE, "run", "x.plan", "--function", "image", "--inputs", VIT / "io.safetensors")
        self.expect_error(FAULT, "two functions are named 'main'", "compile", BERT, VIT, "-o", "y.plan")

    def test_states(self):
        model, io = FIXTURES / "gpt2-decode/model_ts.onnx", FIXTURES / "gpt2-decode/io.safetensors"
        self.expect(DONE, "compile", model, "--state", "auto", "-o", "x.plan")
        out = self.expect(DONE, "dump", "x.plan").stdout
        self.assertIn("  state append past_key_values.0.key: f32[batch, 2, past_sequence, 8] axis 2 to sequence + past_sequence\n", out)
        self.assertNotIn("present", out)
        self.assertIn('"access":"append"', self.expect(DONE, "dump", "x.plan", "--format", "json").stdout)
        self.assertIn("state past_key_values.0.key", self.expect(DONE, "dump", "x.plan", "--format", "dot").stdout)
        self.expect(DONE, "diff", "x.plan", "--inputs", io, "--expect", io)  # the file has a past
        lengths = [x for d in ("batch=2", "sequence=1", "past_sequence=8", "total_sequence=9") for x in ("--dim", d)]
        self.expect(DONE, "bench", "x.plan", *lengths, "--runs", "40", "--profile")  # each run begins behind 8 rows
        self.expect(DONE, "compile", model, "--state", "off", "-o", "y.plan")
        self.assertIn("present.0.key", self.expect(DONE, "dump", "y.plan").stdout)
        self.assertIn("state 'maybe': off or auto is wanted", self.expect(USAGE, "compile", model, "--state", "maybe", "-o", "z.plan").stderr)

    def test_padding(self):
        model = FIXTURES / "bert-token-cls/model.onnx"
        self.expect(DONE, "compile", model, "--padding", "skip", "--require-fusion", "unpad=1", "-o", "x.plan")
        self.assertIn(" rows <= ", self.expect(DONE, "dump", "x.plan").stdout)
        self.expect(DONE, "compile", model, "--padding", "keep", "--require-fusion", "unpad=0", "-o", "y.plan", "--report=r.json")
        self.assertIn("rows of padding are returned as 'logits'", (self.folder / "r.json").read_text())
        self.assertIn("padding 'no': keep or skip is wanted", self.expect(USAGE, "compile", model, "--padding", "no", "-o", "z.plan").stderr)

    def convolutions(self):
        """A model of three 3 x 3 convolutions, the second of stride 2, with what it is to be run on."""
        noise = random.Random(7)
        floats = lambda n, size: struct.pack(f"<{n}f", *(noise.gauss(0, size) for _ in range(n)))
        ints = lambda name, *values: field(5, field(1, name) + b"".join(field(8, v) for v in values) + field(20, 7))
        weight = lambda name: field(1, 64) * 2 + field(1, 3) * 2 + field(2, 1) + field(8, name) + field(9, floats(64 * 64 * 9, 0.06))
        layers = [(1, "x", "a"), (2, "a", "b"), (1, "b", "y")]
        nodes = [node("Conv", to, [x, "w" + to], [to]) + ints("pads", 1, 1, 1, 1) + ints("strides", step, step) for step, x, to in layers]
        weights = b"".join(field(5, weight("w" + to)) for _, _, to in layers)
        graph = b"".join(field(1, n) for n in nodes) + field(2, "g") + weights
        graph += field(11, value_info("x", [1, 64, 24, 28])) + field(12, value_info("y", [1, 64, 12, 14]))
        self.write("m.onnx", field(1, 8) + field(7, graph) + field(8, field(2, 17)))
        x = floats(64 * 24 * 28, 1)
        header = json.dumps({"x": {"dtype": "F32", "shape": [1, 64, 24, 28], "data_offsets": [0, len(x)]}}).encode()
        self.write("io.safetensors", struct.pack("<Q", len(header)) + header + x)

    def test_conv(self):
        self.convolutions()
        errors = {}
        for way in "accurate", "fast":
            self.expect(DONE, "compile", "m.onnx", "--conv", way, "-o", way)
            said = self.expect(DONE, "diff", way, "--inputs", "io.safetensors", "--against", "m.onnx").stdout
            errors[way] = float(re.search(r"largest difference ([^ ,]+)", said)[1])
            self.assertEqual("conv: fast" in self.expect(DONE, "dump", way).stdout, way == "fast")
        self.assertLess(2 * errors["accurate"], errors["fast"])
        self.assertIn("conv 'no': accurate or fast is wanted", self.expect(USAGE, "compile", "m.onnx", "--conv", "no", "-o", "z").stderr)

    def test_functions_share(self):
        files = FIXTURES / "t5-prefill/model_ts.onnx", FIXTURES / "t5-decode/model_ts.onnx"
        names = "prefill", "decode"
        both = [x for pair in zip(files, names) for x in (pair[0], "--function", pair[1])]
        report = json.loads(self.expect(DONE, "compile", *both, "--state", "auto", "-o", "x.plan", "--report=r.json") and
                            (self.folder / "r.json").read_text())
        self.expect(DONE, "compile", files[0], "-o", "y.plan", "--report=p.json")
        self.assertEqual(report["constant_bytes"], json.loads((self.folder / "p.json").read_text())["constant_bytes"])
        out = self.expect(DONE, "dump", "x.plan").stdout
        self.assertIn("  state write past_key_values.0.encoder.key: f32[batch, 3, encoder_sequence, 12] axis 2\n", out)
        self.expect(DONE, "compile", *both, "--dim", "decode.batch=3", "--dim", "encoder_sequence=4..8", "-o", "z.plan")
        self.assertIn("function decode(input_ids: i64[3, sequence]", self.expect(DONE, "dump", "z.plan").stdout)
        self.assertIn("  state read past_key_values.0.encoder.key: f32[decode.batch, 3, decode.encoder_sequence, 12] axis 2\n", out)

    def test_required_fusions(self):
        self.expect(DONE, "compile", BERT, "-o", "x.plan", "--require-fusion", "attention=2")
        self.expect_error(FAULT, "fusion 'attention' fired 2 times, 3 wanted", "compile", BERT, "-o", "y.plan", "--require-fusion",
                          "attention=3")
        self.assertEqual(self.files(), ["x.plan"])

    def test_same_bytes(self):
        plans = set()
        for i in range(3):
            self.expect(DONE, "compile", VIT / "model.onnx", "-o", f"{i}.plan")
            plans.add((self.folder / f"{i}.plan").read_bytes())
        self.assertEqual(len(plans), 1)

    def contract(self, *args):
        """The function line and the requirements of a model compiled with these options."""
        self.expect(DONE, "compile", *args, "-o", "d.plan")
        lines = self.expect(DONE, "dump", "d.plan").stdout.splitlines()
        return [x.split("//")[0].strip() for x in lines if x.startswith("function") or x.startswith("  require")]

    def test_dims(self):
        model = BERT / "model_ts.onnx"
        lines = self.contract(model, "--rename-dim", "sequence=tokens", "--dim", "tokens=2..9")
        self.assertIn("input_ids: i64[batch, tokens]", lines[0])
        self.assertEqual([x for x in lines if "tokens" in x][1:], ["require 2 <= tokens", "require tokens <= 9"])
        r = self.expect(FAULT, "bench", "d.plan", "--dim", "batch=1", "--dim", "tokens=10", "--runs", "1")
        self.assertIn("input 'input_ids' axis 1 is 10, the model wants tokens from 2 to 9", r.stderr)
        self.assertIn("input_ids: i64[3, sequence]", self.contract(BERT, "--dim", "input_ids.0=3")[0])
        self.assertIn("require sequence <= 4", self.contract(BERT, "--dim", "attention_mask.1=1..4"))
        for command in (["compile", BERT, "-o", "y.plan"], ["dump", BERT]):
            r = self.expect(FAULT, *command, "--dim", "length=4")
            self.assertIn("the model has no dim 'length'; its inputs are input_ids[batch, sequence]", r.stderr)

    def test_stripped(self):
        io = BERT / "io.safetensors"
        for plan, option in (("x.plan", []), ("s.plan", ["--strip"])):
            self.expect(DONE, "compile", BERT / "model.onnx", "-o", plan, *option)
            self.expect(DONE, "run", plan, "--inputs", io, "--outputs", plan + ".safetensors")
        self.assertEqual((self.folder / "x.plan.safetensors").read_bytes(), (self.folder / "s.plan.safetensors").read_bytes())
        instructions = [x for x in self.expect(DONE, "dump", "s.plan").stdout.splitlines() if " = " in x]
        self.assertTrue(instructions and not any("//" in x for x in instructions))

    def npy(self, name, shape, values, order="False", code="q", descr="<i8"):
        header = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}".encode()
        header += b" " * (-(len(header) + 11) % 64) + b"\n"
        data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack(f"<{len(values)}{code}", *values)
        self.write(name, data)
        return data

    def test_npy(self):
        ids = [5, 7, 11, 2, 13, 3]
        self.expect(DONE, "compile", BERT, "-o", "x.plan")
        data = self.npy("ids.npy", "(2, 3)", ids)
        self.expect(DONE, "run", "x.plan", "--input", "input_ids=ids.npy", "--outputs", "a.safetensors")
        text = json.dumps({"input_ids": {"dtype": "I64", "shape": [2, 3], "data_offsets": [0, 48]}}).encode()
        self.write("ids.safetensors", struct.pack("<Q", len(text)) + text + struct.pack("<6q", *ids))
        self.expect(DONE, "run", "x.plan", "--inputs", "ids.safetensors", "--outputs", "b.safetensors")
        self.assertEqual((self.folder / "a.safetensors").read_bytes(), (self.folder / "b.safetensors").read_bytes())
        self.write("cut.npy", data[:-1])
        self.write("text.npy", b"input_ids = 5, 7, 11\n")
        self.npy("order.npy", "(2, 3)", ids, order="True")
        self.npy("complex.npy", "(3,)", ids, descr="<c8")
        self.npy("shape.npy", "(2, x)", ids)
        self.npy("negative.npy", "(-2, -3)", ids)
        for name, status, why in (("cut", FAULT, "shape and file size differ"), ("text", FAULT, "not a .npy file"),
                                  ("order", UNSUPPORTED, "Fortran order"), ("complex", UNSUPPORTED, "element type <c8"),
                                  ("shape", FAULT, "the shape is malformed"), ("negative", FAULT, "the shape is malformed")):
            r = self.expect(status, "run", "x.plan", "--input", f"input_ids={name}.npy")
            self.assertTrue(r.stderr.startswith(f"tenon: '{name}.npy'") and why in r.stderr, r.stderr)

    def test_report(self):
        """What is left of operators, and where buffers lie: their bytes at the peak are the largest live set."""
        self.expect(DONE, "compile", BERT, "-o", "x.plan", "--report=r.json")
        r = json.loads((self.folder / "r.json").read_text())
        self.assertEqual([r["operators"][name] for name in ("attention", "qkv", "linear", "add_norm", "gather")], [2, 2, 7, 4, 2])
        self.assertNotIn("softmax", r["operators"])
        self.assertEqual(r["operators"]["cast"], 1)  # a step of a map: the mask
        self.assertEqual(r["integer_instructions"], 1)
        memory = r["memory"][0]
        live = [b["bytes"] for b in memory["buffers"] if b["first"] <= memory["peak"] <= b["last"]]
        self.assertLessEqual(sum(live), memory["live"])
        text = self.expect(DONE, "compile", BERT, "-o", "x.plan", "--report").stdout
        rows = text.split(f"arena map of main at its peak, instruction {memory['peak']}\n")[1].splitlines()[1:]
        self.assertEqual([int(row.split()[1]) for row in rows], live)
        self.assertIn("encoder.layer.0.attention", rows[-1])

    def test_precision(self):
        """A plan in bf16 is half the size; the report counts its operators, diff holds it against f32 as a whole."""
        io = BERT / "io.safetensors"
        self.expect(DONE, "compile", BERT, "-o", "f32.plan")
        self.expect(DONE, "compile", BERT, "-o", "x.plan", "--precision", "bf16", "--report=r.json")
        report = json.loads((self.folder / "r.json").read_text())
        self.assertGreater(report["precision"]["bf16_operators"], 10)
        self.assertIn(report["precision"]["native"], (True, False))
        text = self.expect(DONE, "compile", BERT, "-o", "x.plan", "--precision", "bf16", "--report").stdout
        self.assertIn(f"precision              bf16: {report['precision']['bf16_operators']} operators, ", text)
        self.assertLess((self.folder / "x.plan").stat().st_size, (self.folder / "f32.plan").stat().st_size)
        self.assertIn("precision: bf16", self.expect(DONE, "dump", "x.plan").stdout)
        self.assertIn("bf16[", self.expect(DONE, "dump", BERT, "--precision", "bf16", "--after", "bfloat").stdout)
        text = self.expect(DONE, "diff", "x.plan", "--inputs", io, "--against", BERT, "--bisect").stdout
        self.assertRegex(text, r"ok, largest difference \S+, error [\d.]+ % of its size, allowed 5 %, cosine 0.99")
        self.assertNotIn("depart", text)
        self.expect(FAULT, "diff", "x.plan", "--inputs", io, "--against", BERT, "--rtol", "1e-6", "--atol", "1e-6")
        self.assertNotIn("cosine", self.expect(DONE, "diff", "f32.plan", "--inputs", io, "--against", BERT).stdout)

    def test_checkpoint_of_16_bits(self):
        """Matrices and tables of f16 stay so in a plan in f32, which computes what the model does."""
        self.checkpoint()
        data = (BERT / "model.safetensors").read_bytes()
        start = 8 + struct.unpack_from("<Q", data)[0]
        tensors, halves = json.loads(data[8:start]), b""
        tensors.pop("__metadata__", None)
        for t in tensors.values():
            begin, end = (start + offset for offset in t["data_offsets"])
            count, first = (end - begin) // 4, len(halves)
            halves += struct.pack(f"<{count}e", *struct.unpack(f"<{count}f", data[begin:end]))
            t.update(dtype="F16", data_offsets=[first, len(halves)])
        header = json.dumps(tensors).encode()
        self.write("m/model.safetensors", struct.pack("<Q", len(header)) + header + halves)
        self.expect(DONE, "compile", "m", "-o", "x.plan")
        constants = json.loads(self.expect(DONE, "dump", "x.plan", "--format", "json").stdout)["constants"]
        self.assertEqual({c["dtype"] for c in constants if c["layout"] == "panels16"}, {"f16"})
        self.assertLess(sum(c["bytes"] for c in constants if c["dtype"] == "f32"), sum(c["bytes"] for c in constants) / 4)
        self.expect(DONE, "diff", "x.plan", "--inputs", BERT / "io.safetensors", "--against", "m")

    def test_weights_in_fewer_bits(self):
        """A plan with int8 weights is smaller, with int4 smaller still; the report counts them, the dump shows how they are stored."""
        io = BERT / "io.safetensors"
        sizes = []
        for precision, bits, allowed in (("f32", 0, 0), ("int8", 8, 10), ("int4", 4, 60)):
            text = self.expect(DONE, "compile", BERT, "-o", "x.plan", "--precision", precision, "--report").stdout
            self.expect(DONE, "compile", BERT, "-o", "x.plan", "--precision", precision, "--report=r.json")
            sizes.append((self.folder / "x.plan").stat().st_size)
            dump = json.loads(self.expect(DONE, "dump", "x.plan", "--format", "json").stdout)
            stored = [c for c in dump["constants"] if c["layout"] == f"records{bits}"]
            if not bits:
                continue
            report = json.loads((self.folder / "r.json").read_text())["precision"]
            self.assertEqual(report, {"weight_bits": bits, "weights": len(stored), "bytes": sum(c["bytes"] for c in stored)})
            self.assertGreater(len(stored), 8)
            self.assertTrue(all(c["dtype"] == "f32" for c in stored))
            self.assertIn(f"precision              {precision}: {len(stored)} weights, {report['bytes']} bytes; all else f32\n", text)
            text = self.expect(DONE, "dump", "x.plan").stdout
            self.assertIn(f"precision: {precision}", text)
            self.assertIn(f"encoder.layer.0.intermediate.dense.weight:{precision}, ", text)
            text = self.expect(DONE, "diff", "x.plan", "--inputs", io, "--against", BERT).stdout
            self.assertRegex(text, rf"ok, largest difference \S+, error [\d.]+ % of its size, allowed {allowed} %")
            self.expect(FAULT, "diff", "x.plan", "--inputs", io, "--against", BERT, "--rtol", "1e-6", "--atol", "1e-6")
        self.assertEqual(sizes, sorted(sizes, reverse=True))
        for precision in "bf16", "int8":
            self.expect(DONE, "compile", BERT, "-o", "x.plan", "--precision", precision, "--unfused")
            text = self.expect(DONE, "diff", "x.plan", "--inputs", io, "--against", BERT).stdout
            self.assertNotIn("of its size", text, "a plan of the graph as imported is in f32")
        text = self.expect(DONE, "compile", VIT, "-o", "x.plan", "--precision", "int8", "--report").stdout
        self.assertIn("  int8 at 'classifier': its weights are less than 32 by 32\n", text)
        self.assertRegex(text, r"  int8 at '\S+': a convolution keeps its weights\n")

    def test_weights_of_few_bits_in_the_file(self):
        """They stay integers with scales in f32."""
        for bits in 8, 4:
            model = BERT.parent / f"bert-int{bits}" / "model.onnx"
            self.expect(DONE, "compile", model, "-o", "x.plan")
            dump = json.loads(self.expect(DONE, "dump", "x.plan", "--format", "json").stdout)
            stored = [c["layout"] for c in dump["constants"] if c["layout"].startswith("records")]
            self.assertEqual(stored, [f"records{bits}f"] * 9, "four products in each of two layers, and the pooler's, whose floats are such")

    def test_profile(self):
        self.expect(DONE, "compile", BERT, "-o", "x.plan", "--report=r.json")
        instructions = sum(json.loads((self.folder / "r.json").read_text())["instructions"].values())
        dims = ["--dim", "batch=1", "--dim", "sequence=4", "--runs", "2", "--warmup", "0"]
        profile = json.loads(self.expect(DONE, "bench", "x.plan", *dims, "--profile", "--json", "-").stdout)["profile"]
        self.assertEqual([p["instruction"] for p in profile], list(range(instructions)))
        self.assertIn("attention", {p["opcode"] for p in profile})
        self.assertTrue(all(p["us"] > 0 and p["node"] for p in profile))
        self.assertIn("encoder.layer.0.attention", self.expect(DONE, "bench", "x.plan", *dims, "--profile").stdout)

    def test_small_stack_and_few_files(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_STACK, (256 << 10, 256 << 10))
            resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
        self.expect(DONE, "compile", FIXTURES / "bert-sharded", "-o", "x.plan", preexec_fn=limit)
        self.expect(DONE, "run", "x.plan", "--inputs", BERT / "io.safetensors", preexec_fn=limit)

    def test_compiling_at_once(self):
        runs = [subprocess.Popen([TENON, "compile", str(BERT), "-o", "x.plan"], cwd=self.folder) for _ in range(4)]
        self.assertEqual([r.wait(120) for r in runs], [0] * 4)
        self.assertEqual(self.files(), ["x.plan"])
        self.expect(DONE, "check", "x.plan")


class Errors(Cli):
    def test_where_it_is_wrong(self):
        product = [node("MatMul", "/layer/MatMul", ["a", "b"], ["y"])]
        self.write("bad.onnx", onnx(product, [value_info("a", [2, 3]), value_info("b", [4, 5])], [value_info("y", [2, 5])]))
        r = self.expect(FAULT, "compile", "bad.onnx", "-o", "x.plan")
        self.assertTrue(r.stderr.startswith("tenon: bad.onnx: node '/layer/MatMul' (MatMul): "), r.stderr)
        self.write("odd.onnx", onnx([node("Conjure", "n", ["a"], ["y"])], [value_info("a", [2])], [value_info("y", [2])]))
        r = self.expect(UNSUPPORTED, "compile", "odd.onnx", "-o", "x.plan")
        self.assertIn("Conjure", r.stderr)
        for name, data in (("empty.onnx", b""), ("text.onnx", b"hello"), ("html.onnx", b"<!DOCTYPE html>"), ("cut.onnx", b"\x08\x08\x3a\xff")):
            self.write(name, data)
            r = self.expect(FAULT, "compile", name, "-o", "x.plan")
            self.assertTrue(r.stderr.startswith(f"tenon: {name}: "), r.stderr)
            self.assertEqual(r.stderr.count("\n"), 1)
        self.assertNotIn("x.plan", self.files())

    def problems(self):
        """Two unknown operators, one of them twice, a known one of a later opset, an input and operators used in ways that are
        unsupported, and a product that is wrong; what depends on them is skipped, and the rest is fine."""
        nodes = [node("Conjure", "a", ["x"], ["a1"]), node("Conjure", "b", ["x"], ["b1"]), node("Relu", "after", ["a1"], ["a2"]),
                 node("Gelu", "g", ["x"], ["g1"]), node("Relu", "s", ["words"], ["s1"]), node("Reshape", "r", ["x", "ids"], ["r1"]),
                 node("MatMul", "/m", ["x", "x"], ["m1"]), node("Sqrt", "fine", ["x"], ["y"])]
        words = field(1, "words") + field(2, field(1, field(1, 8) + field(2, field(1, field(1, 3)))))
        ids = field(1, "ids") + field(2, field(1, field(1, 7) + field(2, field(1, field(1, 1)))))
        return nodes, [value_info("x", [2, 3]), words, ids], [value_info(y, [2, 3]) for y in ("a2", "g1", "s1", "r1", "y")]

    def test_everything_in_one_go(self):
        nodes, inputs, outputs = self.problems()
        self.write("m.onnx", onnx(nodes, inputs, outputs))
        lines = ["unsupported operator Conjure of opset 17 (2: 'a', 'b')",
                 "unsupported operator Gelu of opset 17 (1: 'g')",
                 "input 'words': STRING is unsupported",
                 "node '/m' (MatMul): inner dimensions differ, 3 and 2"]
        self.expect_error(FAULT, "m.onnx: 4 problems; 2 nodes not looked at\n  " + "\n  ".join(lines), "compile", "m.onnx", "-o", "x.plan")
        list_ = "help: export it as other operators; `tenon ops --onnx` lists what is supported\n"
        text = ("m.onnx: invalid, 4 problems; nodes not looked at, because they depend on these: 2\n"
                "  unsupported: Conjure of opset 17 (2: 'a', 'b'): unsupported operator\n    " + list_ +
                "  unsupported: Gelu of opset 17 (1: 'g'): unsupported operator\n"
                "    help: export with opset 20 or later, which has it\n"
                "  unsupported: input ('words'): STRING is unsupported\n"
                "    help: only numbers and booleans are tensors here: keep strings outside of the model, and complex numbers as pairs\n"
                "  invalid: MatMul of opset 17 (1: '/m'): inner dimensions differ, 3 and 2\n")
        self.assertEqual(self.expect(FAULT, "check", "m.onnx").stdout, text)
        self.write("m.onnx", onnx(nodes[:4] + nodes[7:], inputs[:1], [outputs[0], outputs[1], outputs[4]]))
        r = self.expect(UNSUPPORTED, "check", "m.onnx")
        self.assertIn("m.onnx: unsupported, 2 problems; ", r.stdout)
        self.assertEqual(self.files(), ["m.onnx"])

    def test_everything_as_json(self):
        nodes, inputs, outputs = self.problems()
        self.write("m.onnx", onnx(nodes, inputs, outputs))
        found = json.loads(self.expect(FAULT, "check", "m.onnx", "--json").stdout)
        self.assertEqual(found.pop("invalid"), [{"kind": "node", "operator": "MatMul", "domain": "", "opset": 17, "nodes": ["/m"], "count": 1,
                                                 "reason": "inner dimensions differ, 3 and 2"}])
        operator, gelu, words = found.pop("unsupported")
        self.assertEqual(operator, {"kind": "operator", "operator": "Conjure", "domain": "", "opset": 17, "nodes": ["a", "b"], "count": 2,
                                    "reason": "unsupported operator",
                                    "help": "export it as other operators; `tenon ops --onnx` lists what is supported"})
        self.assertEqual(gelu["help"], "export with opset 20 or later, which has it")
        self.assertEqual((words["kind"], words["nodes"], words["reason"]), ("input", ["words"], "STRING is unsupported"))
        self.assertEqual(found, {"model": "m.onnx", "supported": False, "skipped": 2, "functions": []})

    def test_fine_as_json(self):
        self.expect(DONE, "compile", BERT, "-o", "x.plan")
        found = json.loads(self.expect(DONE, "check", "x.plan", "--json").stdout)
        self.assertEqual(found.pop("plan"), "x.plan")
        model = json.loads(self.expect(DONE, "check", BERT, "--json").stdout)
        self.assertEqual(model.pop("model"), str(BERT))
        self.assertEqual(found, model)
        self.assertTrue(found["supported"])
        self.assertEqual([f["name"] for f in found["functions"]], ["main"])
        self.assertGreater(found["weights_bytes"], 0)
        data = bytearray((self.folder / "x.plan").read_bytes())
        data[-100] ^= 1
        self.write("x.plan", data)
        found = json.loads(self.expect(FAULT, "check", "x.plan", "--json").stdout)
        self.assertEqual([p["kind"] for p in found["invalid"]], ["plan"])
        found = json.loads(self.expect(FAULT, "check", "no.onnx", "--json").stdout)
        self.assertEqual(found["invalid"][0]["reason"], "no.onnx: No such file or directory")
    def test_more_memory_than_there_is(self):
        """Compiling does not take the memory that running would; running says how much that is."""
        outer = [node("Add", "n", ["a", "b"], ["y"])]
        self.write("m.onnx", onnx(outer, [value_info("a", [1 << 20, 1]), value_info("b", [1, 1 << 22])], [value_info("y", [1 << 20, 1 << 22])]))
        self.expect(DONE, "compile", "m.onnx", "-o", "x.plan", "--report=r.json")
        self.assertNotIn("arena_bytes", json.loads((self.folder / "r.json").read_text()))
        r = self.expect(FAULT, "bench", "x.plan", "--runs", "1", "--threads", "1")
        self.assertRegex(r.stderr, r"^tenon: x.plan: the arena needs 1759\d{10} bytes, the limit is \d+\n$")

    def test_missing_files(self):
        for args in (["compile", "no.onnx", "-o", "x.plan"], ["run", "no.plan", "--inputs", BERT / "io.safetensors"], ["dump", "no.plan"],
                     ["check", "no.plan"], ["bench", "no.plan"]):
            r = self.expect(FAULT, *args)
            self.assertRegex(r.stderr, r"^tenon: .*no\.(onnx|plan).*No such file")
        self.assertEqual(self.files(), [])

    def test_nothing_is_written(self):
        (self.folder / "d").mkdir()
        for target in ("d", "none/x.plan", "d/", "/dev/null"):
            r = self.expect(FAULT, "compile", BERT, "-o", target)
            self.assertIn("cannot be written", r.stderr)
        if os.geteuid():  # the superuser may write anywhere
            os.chmod(self.folder / "d", 0o500)
            self.expect(FAULT, "compile", BERT, "-o", "d/x.plan")
        self.assertEqual(self.files(), ["d"])
        self.assertEqual(os.listdir(self.folder / "d"), [])

    def test_the_old_plan_stays(self):
        self.expect(DONE, "compile", BERT, "-o", "x.plan")
        before = (self.folder / "x.plan").read_bytes()
        self.checkpoint(num_attention_heads=5)
        self.expect_error(FAULT, "m/config.json: 5 heads do not divide the width 36", "compile", "m", "-o", "x.plan")
        self.assertEqual((self.folder / "x.plan").read_bytes(), before)
        self.assertEqual(self.files(), ["m", "x.plan"])

    def test_the_model_is_not_overwritten(self):
        shutil.copy(VIT / "model.onnx", self.folder)
        os.link(self.folder / "model.onnx", self.folder / "link.onnx")
        before = (self.folder / "model.onnx").read_bytes()
        for target in ("model.onnx", "link.onnx", "./model.onnx"):
            self.expect_error(FAULT, f"'{target}' is the model itself", "compile", "model.onnx", "-o", target)
        self.assertEqual((self.folder / "model.onnx").read_bytes(), before)
        shutil.copytree(BERT, self.folder / "m")
        before = (self.folder / "m/model.safetensors").read_bytes()
        self.expect_error(FAULT, "'m/model.safetensors' is there, beside the model, and is no plan", "compile", "m", "-o",
                          "m/model.safetensors")
        self.expect(DONE, "compile", "m", "-o", "m/model.plan")
        self.expect(DONE, "compile", "m", "-o", "m/model.plan")
        self.assertEqual((self.folder / "m/model.safetensors").read_bytes(), before)

    def test_damaged_plan(self):
        self.expect(DONE, "compile", BERT, "-o", "x.plan")
        data = bytearray((self.folder / "x.plan").read_bytes())
        self.write("cut.plan", data[:-64])
        r = self.expect(FAULT, "run", "cut.plan", "--inputs", BERT / "io.safetensors")
        self.assertTrue(r.stderr.startswith("tenon: "), r.stderr)
        data[-100] ^= 1
        self.write("weights.plan", data)
        self.assertIn("weights.plan", self.expect(FAULT, "check", "weights.plan").stderr)

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "w") as full:
            self.assertIn("standard output", self.expect(FAULT, "ops", stdout=full).stderr)
            self.expect(FAULT, "--help", stdout=full)
            self.expect(FAULT, "dump", BERT, stdout=full)
        self.expect(FAULT, "ops", stdout=None, preexec_fn=lambda: os.close(1))
        reader, writer = os.pipe()
        os.close(reader)
        self.assertNotEqual(self.tenon("dump", BERT, stdout=writer).returncode, 0)
        os.close(writer)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
