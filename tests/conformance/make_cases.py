#!/usr/bin/env python3
"""Writes cases.safetensors beside this script: a small part of the ONNX package's test cases, for machines without Python packages.

    python3 tests/conformance/make_cases.py [PER_OPERATOR]

For every operator and opset the smallest cases (PER_OPERATOR of them, 2 unless told) that are not listed in unsupported.txt. Tensors:
    <case>/model        the ONNX file, as bytes
    <case>/tolerance    f64: relative, absolute
    <case>/in/<name>, <case>/out/<name>
"""
import fnmatch
import pathlib
import sys

import numpy as np

import onnx_cases
from run_onnx import expected_refusals

HERE = pathlib.Path(__file__).parent
MAX_BYTES = 8192  # of one case


def tensors_of(case):
    inputs, outputs = next(case.data_sets())
    tensors = {f"{case.name}/model": np.frombuffer(case.model.SerializeToString(), np.uint8),
               f"{case.name}/tolerance": np.array([case.rtol, case.atol])}
    tensors.update({f"{case.name}/in/{name}": value for name, value in inputs.items()})
    tensors.update({f"{case.name}/out/{name}": value for name, value in outputs.items()})
    return tensors


def main():
    per_operator = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    refusals, groups, chosen = expected_refusals(), {}, {}
    for case in onnx_cases.collect():
        if not case.is_storable() or any(fnmatch.fnmatch(case.name, pattern) for pattern in refusals):
            continue
        tensors = tensors_of(case)
        size = sum(value.nbytes for value in tensors.values())
        if size <= MAX_BYTES:
            groups.setdefault((tuple(case.operators()), case.opset()), []).append((size, case.name, tensors))
    for group in groups.values():
        for _, _, tensors in sorted(group, key=lambda entry: entry[:2])[:per_operator]:
            chosen.update(tensors)
    # Wider elements first, so that every tensor is aligned.
    ordered = dict(sorted(chosen.items(), key=lambda entry: (-entry[1].dtype.itemsize, entry[0])))
    onnx_cases.save_tensors(HERE / "cases.safetensors", ordered)
    print(f"{sum(name.endswith('/model') for name in chosen)} cases, {(HERE / 'cases.safetensors').stat().st_size} bytes")


if __name__ == "__main__":
    main()
