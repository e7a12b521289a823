#!/usr/bin/env python3
"""Times engines while one length grows: batch, sequence, threads, position of a decoder. Writes a record for bench/report.py.

    scaling.py FOLDER --record OUT.json [--curves batch,length,threads,position] [--threads N] [--engines tenon,ort,openvino]

Inputs of other lengths are made from those of a case: axes that grow are cut or repeated. Goes on where it was interrupted.
"""
import os
import pathlib
import re
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))
from models import arguments, say, summary  # noqa: E402
from peers.record import Record  # noqa: E402
from peers.rounds import open_engines, time_case  # noqa: E402


class Curve:
    """`lengths(x)` gives {pattern of input names: {axis: length}}; axis "threads" leaves inputs as they are."""

    def __init__(self, title, model, case, axis, points, lengths):
        self.title, self.model, self.case, self.axis, self.points, self.lengths = title, model, case, axis, points, lengths


def curve_table(threads):
    return {
        "batch": Curve("Batch: BERT base, 64 tokens each", "bert-base", "b1s128", "batch", (1, 2, 4, 8, 16, 32),
                       lambda x: {".*": {0: x, 1: 64}}),
        "length": Curve("Length: T5 small encoder", "t5-small-encoder", "b1s128", "tokens", (16, 32, 64, 128, 256, 512, 1024, 2048),
                        lambda x: {".*": {1: x}}),
        "position": Curve("Position: one token of a Llama with 160 million weights, after a past", "llama-160m", "decode-past128", "past",
                          (1, 16, 64, 256, 1024, 2047), lambda x: {"past.*": {2: x}, "attention_mask": {1: x + 1}}),
        "threads": Curve("Threads: BERT base, 128 tokens", "bert-base", "b1s128", "threads", range(1, threads + 1), lambda x: {}),
    }


def grown(array, axis, length):
    import numpy
    return numpy.ascontiguousarray(numpy.take(array, numpy.arange(length) % array.shape[axis], axis))


def make_case(curve, source, x, target):
    from safetensors.numpy import load_file, save_file
    inputs = load_file(str(source))
    for pattern, axes in curve.lengths(x).items():
        for name in inputs:
            for axis, length in axes.items() if re.fullmatch(pattern, name) else ():
                inputs[name] = grown(inputs[name], axis, length)
    save_file(inputs, str(target))


def time_curve(a, record, name, curve, work):
    folder, engines, opened = a.folder / curve.model, {}, None
    source = folder / f"{curve.case}.safetensors"
    if not source.exists():
        say(f"{name}: there is no {source}")
        return
    for x in curve.points:
        threads = x if curve.axis == "threads" else a.threads
        if record.has(curve=name, x=x, threads=threads):
            continue
        if opened != threads:
            close(engines)
            engines = open_engines(a.engines.split(","), a.tenon, folder, threads, "f32", a.tenon_flags.split(), say)
            opened = threads
        case = work / f"{name}-{x}.safetensors"
        make_case(curve, source, x, case)
        times = time_case(engines, case, a.rounds, a.seconds, say)
        if times:
            record.add({"curve": name, "title": curve.title, "model": curve.model, "axis": curve.axis, "x": x, "threads": threads,
                        "engines": times})
            say(f"{name} {x}  {summary(times)}")
    close(engines)


def close(engines):
    for engine in engines.values():
        engine.close()


def main():
    count = len(os.sched_getaffinity(0))
    a = arguments(__doc__, [("--curves", dict(default="batch,length,position,threads")), ("--threads", dict(type=int, default=count))])
    record, table = Record(a.record, "scaling", a.tenon), curve_table(count)
    with tempfile.TemporaryDirectory(prefix="bench-scaling-") as work:
        for name in a.curves.split(","):
            time_curve(a, record, name, table[name], pathlib.Path(work))


if __name__ == "__main__":
    main()
