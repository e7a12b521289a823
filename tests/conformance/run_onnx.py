#!/usr/bin/env python3
"""Runs the ONNX package's test cases through the command line.

    run_onnx.py BUILD/tenon                     all of them; exit 1 if one gives wrong results or an unexpected refusal
    run_onnx.py BUILD/tenon --only 'resize'     those whose name matches
    run_onnx.py BUILD/tenon --list              also prints the refusals

A case passes if it compiles, runs and agrees, or if it is refused as unsupported (exit status 3) and unsupported.txt, beside
this script, lists it. Cases with values that a safetensors file cannot hold (strings, sequences, 4-bit numbers, ...) are only
compiled: they must compile or be refused. Needs the onnx package: see scripts/onnx_python.sh.
"""
import argparse
import concurrent.futures
import fnmatch
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import onnx_cases

UNSUPPORTED = 3
SECONDS = 60


def run(command):
    """(exit status, last line said)"""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS,
                              env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})
    except subprocess.TimeoutExpired:
        return -1, f"no end after {SECONDS} s"
    lines = done.stdout.decode(errors="replace").strip().splitlines()
    return done.returncode, lines[-1] if lines else ""


def try_case(tenon, case):
    """('passed' | 'unsupported' | 'failed' | 'compiled', why)"""
    with tempfile.TemporaryDirectory(prefix="tenon-onnx-") as folder:
        path = pathlib.Path(folder)
        (path / "model.onnx").write_bytes(case.model.SerializeToString())
        status, said = run([tenon, "compile", path / "model.onnx", "-o", path / "model.plan"])
        if status == UNSUPPORTED and "unsupported" in said:
            return "unsupported", said
        if status:
            return "failed", f"compile ends with {status}: {said}"
        if not case.is_storable():
            return "compiled", ""
        for inputs, wanted in case.data_sets():
            onnx_cases.save_tensors(path / "in.safetensors", inputs)
            status, said = run([tenon, "run", path / "model.plan", "--inputs", path / "in.safetensors", "--outputs", path / "out.safetensors"])
            if status:
                return "failed", f"run ends with {status}: {said}"
            got = onnx_cases.load_tensors(path / "out.safetensors")
            for name, value in wanted.items():
                wrong = onnx_cases.difference(got[name], value, case.rtol, case.atol) if name in got else "missing"
                if wrong:
                    return "failed", f"output '{name}': {wrong}"
    return "passed", ""


def expected_refusals():
    """Name patterns of unsupported.txt; what follows a # says why."""
    lines = (pathlib.Path(__file__).parent / "unsupported.txt").read_text().splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tenon")
    parser.add_argument("--only", default="", metavar="REGEX")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    cases = [c for c in onnx_cases.collect() if re.search(options.only, c.name)]
    refusals = expected_refusals()
    counts = {"passed": 0, "compiled": 0, "unsupported": 0, "failed": 0, "unexpected": 0}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda c: try_case(options.tenon, c), cases)
        for case, (outcome, why) in zip(cases, results):
            if outcome == "unsupported" and not any(fnmatch.fnmatch(case.name, p) for p in refusals):
                outcome = "unexpected"
            counts[outcome] += 1
            if outcome in ("failed", "unexpected") or (options.list and outcome == "unsupported"):
                print(f"{outcome}: {case.name}: {why}")
    print(f"{len(cases)} cases: {counts['passed']} right, {counts['compiled']} compiled only, {counts['unsupported']} refused as expected, "
          f"{counts['unexpected']} refused unexpectedly, {counts['failed']} wrong")
    return 1 if counts["failed"] or counts["unexpected"] or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
