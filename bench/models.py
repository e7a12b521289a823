#!/usr/bin/env python3
"""Times Tenon and other engines on whole models, in turn, and writes a record.

    models.py FOLDER --record OUT.json [--models a,b] [--engines tenon,ort,openvino] [--threads 1,2] [--precisions f32,bf16]
              [--rounds 3] [--seconds 0.3] [--tenon build/release/tenon] [--tenon-flags="--state auto"]

FOLDER has one folder per model with model.onnx and inputs <case>.safetensors, as bench/export.py writes them; engines that run
checkpoints (torch, torch-compile, ctranslate2) take hf/ beside them. Measured rows are in the record already when a run is
interrupted; the same command goes on with the rest.
"""
import argparse
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))
from peers.record import Record  # noqa: E402
from peers.rounds import open_engines, time_case  # noqa: E402


def arguments(text, extra=()):
    parser = argparse.ArgumentParser(description=text.strip().splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--record", type=pathlib.Path, required=True)
    parser.add_argument("--engines", default="tenon,ort,openvino")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.3, help="an engine's slice of a round")
    parser.add_argument("--tenon", type=pathlib.Path, default=ROOT / "build/release/tenon")
    parser.add_argument("--tenon-flags", default="")
    for name, options in extra:
        parser.add_argument(name, **options)
    return parser.parse_args()


def say(text):
    print(text, flush=True)


def summary(engines):
    """Times and, with Tenon among several, how many times faster than the fastest other it is."""
    text = "  ".join(f"{name} {times['ms']:.2f} ms" for name, times in engines.items())
    others = [times["ms"] for name, times in engines.items() if name != "tenon"]
    if "tenon" in engines and others:
        text += f"  {min(others) / engines['tenon']['ms']:.2f}x"
    return text


def time_model(a, record, folder, threads, precision):
    cases = [c for c in sorted(folder.glob("*.safetensors")) if not c.name.startswith("model")  # a checkpoint's
             and not record.has(model=folder.name, case=c.stem, threads=threads, precision=precision)]
    if not cases:
        if not any(r["model"] == folder.name for r in record.data["rows"]):
            say(f"{folder.name}: no inputs <case>.safetensors there")
        return
    names = a.engines.split(",")
    engines = open_engines(names, a.tenon, folder, threads, precision, a.tenon_flags.split(), say)
    try:
        if "tenon" in names and "tenon" not in engines:
            return  # the others alone are no comparison
        for case in cases:
            times = time_case(engines, case, a.rounds, a.seconds, say)
            if times:
                record.add({"model": folder.name, "case": case.stem, "threads": threads, "precision": precision, "engines": times})
                say(f"{folder.name} {case.stem} {precision} {threads} thread(s)  {summary(times)}")
    finally:
        for engine in engines.values():
            engine.close()


def main():
    count = len(os.sched_getaffinity(0))
    a = arguments(__doc__, [("--models", dict(default="")), ("--precisions", dict(default="f32")),
                            ("--threads", dict(default="1" if count == 1 else f"1,{count}"))])
    names = a.models.split(",") if a.models else sorted(p.parent.name for p in a.folder.glob("*/model.onnx"))
    record = Record(a.record, "models", a.tenon)
    for name in names:
        for precision in a.precisions.split(","):
            for threads in map(int, a.threads.split(",")):
                time_model(a, record, a.folder / name, threads, precision)


if __name__ == "__main__":
    main()
