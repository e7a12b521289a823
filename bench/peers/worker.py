"""One engine in a process of its own, so that its threads sleep while another is timed and a crash is only its own.

    worker.py ENGINE FOLDER THREADS PRECISION

Answers lines of JSON on standard input with lines on standard output; what libraries print goes to standard error. First
{"load_ms": ...}; then for {"case": FILE, "seconds": S} {"ms": least time of a run in the slice, "runs": how many}. Whatever
fails is answered with {"error": why}, and ends the worker unless it was only about this case.
"""
import json
import os
import pathlib
import sys
import time
import warnings

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
warnings.filterwarnings("ignore")
LONG = 0.5  # seconds of a run that needs no second one to warm up


def answer(**what):
    print(json.dumps(what), file=answers, flush=True)


def timed(run, inputs):
    start = time.perf_counter()
    run(inputs)
    return time.perf_counter() - start


def time_slice(run, inputs, seconds, is_new):
    if is_new and timed(run, inputs) < LONG:
        timed(run, inputs)
    best, runs, end = timed(run, inputs), 1, time.perf_counter() + seconds
    while time.perf_counter() < end:
        best, runs = min(best, timed(run, inputs)), runs + 1
    return {"ms": best * 1e3, "runs": runs}


def serve(run, load, unsupported):
    current = inputs = None
    for line in sys.stdin:
        request = json.loads(line)
        is_new = request["case"] != current
        if is_new:
            current, inputs = request["case"], load(request["case"])
        try:
            answer(**time_slice(run, inputs, request["seconds"], is_new))
        except unsupported as reason:
            answer(error=str(reason))


def load_inputs(path):
    """By name; of a recording, as the tests have them, its first case."""
    from safetensors.numpy import load_file
    tensors = load_file(path)
    recorded = {name.removeprefix("0/in/"): t for name, t in tensors.items() if name.startswith("0/in/")}
    return recorded or tensors


def main():
    name, folder, threads, precision = sys.argv[1:]
    os.environ["OMP_NUM_THREADS"] = threads
    try:
        from peers.engines import ENGINES, Unsupported
        start = time.perf_counter()
        run = ENGINES[name].open(pathlib.Path(folder), int(threads), precision)
        answer(load_ms=(time.perf_counter() - start) * 1e3)
        serve(run, load_inputs, Unsupported)
    except BaseException as problem:  # whatever a foreign library raises
        lines = str(problem).strip().splitlines() or [type(problem).__name__]
        answer(error=lines[0][:300])
        sys.exit(1)


if __name__ == "__main__":
    main()
