#!/usr/bin/env python3
"""What bf16 costs in accuracy, in Tenon and in OpenVINO, or int8 and int4 in Tenon: each against Tenon's f32 results, over several inputs.

    accuracy.py FOLDER [--precision bf16] [--models a,b] [--inputs 8] [--threads 2] [--engines tenon,openvino] [--tenon build/release/tenon]

FOLDER is that of models.py. Of each case the recorded inputs are taken and others like them: ids and positions of the same range,
floats of the same mean and spread, masks (nothing but 0 and 1) as they are. A figure is the root mean square of the error relative to
that of what the output varies by around its mean, over all inputs; of a model with several outputs, the mean over them, and the worst.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from safetensors.numpy import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))
from peers.engines import ENGINES, Unsupported  # noqa: E402
from peers.worker import load_inputs  # noqa: E402

LARGE = 1e30  # stands for infinity in masks


def like(inputs, random):
    drawn = {}
    for name, t in inputs.items():
        if t.size and t.dtype.kind == "f":
            t = random.normal(t.mean(), t.std(), t.shape).astype(t.dtype)
        elif t.size and t.dtype.kind == "i" and t.max() > 1 and "position" not in name:
            t = random.integers(t.min(), t.max() + 1, t.shape).astype(t.dtype)
        drawn[name] = t
    return drawn


class Plans:
    """Tenon's command line, a plan per precision."""

    def __init__(self, tenon, folder, threads):
        self.work = tempfile.TemporaryDirectory(prefix="bench-accuracy-")
        self.tenon, self.folder, self.threads = tenon, folder, threads

    def open(self, precision):
        plan = pathlib.Path(self.work.name) / f"{precision}.plan"
        self.call("compile", self.folder / "model.onnx", "--precision", precision, "-o", plan)

        def run(inputs):
            given, results = plan.with_suffix(".in"), plan.with_suffix(".out")
            save_file({name: np.ascontiguousarray(t) for name, t in inputs.items()}, given)
            self.call("run", plan, "--inputs", given, "--outputs", results, "--threads", self.threads)
            return load_file(results)
        return run

    def call(self, *words):
        done = subprocess.run([str(w) for w in (self.tenon, *words)], capture_output=True, text=True)
        if done.returncode:
            raise Unsupported(done.stderr.strip())


def outputs_by_name(result):
    """OpenVINO's results have a port for a key."""
    return {k if isinstance(k, str) else k.get_any_name(): np.asarray(t) for k, t in result.items()}


class Error:
    """Sums over several results of one output."""

    def __init__(self):
        self.gap = self.sum = self.squares = self.count = 0.0

    def add(self, got, want):
        known = np.abs(want) < LARGE
        got, want = got[known].astype(np.float64), want[known].astype(np.float64)
        self.gap += float(np.square(got - want).sum())
        self.sum += float(want.sum())
        self.squares += float(np.square(want).sum())
        self.count += want.size

    def relative(self):
        spread = self.squares - self.sum * self.sum / max(self.count, 1)
        return (self.gap / spread) ** 0.5 if spread > 0 else 0.0


def compare(engines, reference, inputs):
    errors = {name: {} for name in engines}
    for given in inputs:
        want = reference(given)
        for name, run in engines.items():
            got = outputs_by_name(run(given))
            for output, t in want.items():
                if t.dtype.kind == "f" and t.size:
                    errors[name].setdefault(output, Error()).add(got[output], t)
    return {name: [e.relative() for e in of.values()] for name, of in errors.items()}


def compare_model(a, folder):
    plans = Plans(a.tenon, folder, a.threads)
    engines = {}
    try:
        reference = plans.open("f32")
        for name in a.engines.split(","):
            engines[name] = plans.open(a.precision) if name == "tenon" else ENGINES[name].open(folder, a.threads, a.precision)
    except Unsupported as reason:
        print(f"{folder.name}: {reason}", flush=True)
        return
    for case in sorted(c for c in folder.glob("*.safetensors") if not c.name.startswith("model")):
        recorded, random = load_inputs(case), np.random.default_rng(1)
        inputs = [recorded] + [like(recorded, random) for _ in range(a.inputs - 1)]
        found = compare(engines, reference, inputs)
        figures = "  ".join(f"{name} {100 * np.mean(e):.3f} % (worst output {100 * max(e):.3f})" for name, e in found.items())
        print(f"{folder.name} {case.stem}  {figures}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--precision", choices=("bf16", "int8", "int4"), default="bf16", help="int8 and int4: of Tenon alone")
    parser.add_argument("--models", default="")
    parser.add_argument("--inputs", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--engines", help="default: tenon, and openvino with bf16")
    parser.add_argument("--tenon", type=pathlib.Path, default=ROOT / "build/release/tenon")
    a = parser.parse_args()
    a.engines = a.engines or ("tenon,openvino" if a.precision == "bf16" else "tenon")
    names = a.models.split(",") if a.models else sorted(p.parent.name for p in a.folder.glob("*/model.onnx"))
    for name in names:
        compare_model(a, a.folder / name)


if __name__ == "__main__":
    main()
