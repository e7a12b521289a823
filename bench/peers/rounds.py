"""Rounds: every engine in turn runs the same inputs for a slice of time, so that all see the machine's good and bad moments.

A figure is the median over the rounds of the slices' least times. Tenon runs as its users do, by `tenon compile` and
`tenon bench`; peers in workers.
"""
import json
import math
import pathlib
import select
import statistics
import subprocess
import sys
import tempfile

PATIENCE = 300  # seconds for an answer; compiling a model takes a minute
WORKER = pathlib.Path(__file__).resolve().parent / "worker.py"


class Failed(Exception):
    """Why an engine has no figure."""


class Peer:
    """A worker process with one engine and one model."""

    def __init__(self, name, folder, threads, precision):
        self.name = name
        self.process = subprocess.Popen([sys.executable, "-B", str(WORKER), name, str(folder), str(threads), precision],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            self.load_ms = self.read()["load_ms"]
        except Failed:
            self.close()
            raise

    def read(self):
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            self.process.kill()
            raise Failed(f"no answer in {PATIENCE} seconds")
        line = self.process.stdout.readline()
        reply = json.loads(line) if line else {"error": f"ended with status {self.process.wait()}"}
        if "error" in reply:
            raise Failed(reply["error"])
        return reply

    def slice(self, case, seconds):
        try:
            print(json.dumps({"case": str(case), "seconds": seconds}), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass  # it said why before it ended
        return self.read()["ms"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Tenon:
    """A plan, made when the object is; `program` is the path of the command line."""
    name = "tenon"

    def __init__(self, program, folder, threads, precision, flags=()):
        self.program, self.threads, self.expected = program, threads, None
        self.work = tempfile.TemporaryDirectory(prefix="tenon-bench-")
        self.plan = pathlib.Path(self.work.name) / "model.plan"
        precise = [] if precision == "f32" else ["--precision", precision]
        try:
            self.call("compile", folder / "model.onnx", "-o", self.plan, *precise, *flags)
        except Failed:
            self.close()
            raise

    def call(self, *args):
        done = subprocess.run([str(self.program), *map(str, args)], capture_output=True, text=True)
        if done.returncode:
            raise Failed((done.stderr.strip().splitlines() or ["no message"])[0])
        return done.stdout

    def runs(self, case, count):
        text = self.call("bench", self.plan, "--inputs", case, "--threads", self.threads, "--runs", count, "--warmup", 1, "--json", "-")
        return json.loads(text)["latency_ms"]["min"]

    def slice(self, case, seconds):
        if self.expected is None or self.expected[0] != case:
            self.expected = case, self.runs(case, 1)
        ms = self.runs(case, max(1, math.ceil(seconds * 1e3 / self.expected[1])))
        self.expected = case, ms
        return ms

    def close(self):
        self.work.cleanup()


def open_engines(names, tenon, folder, threads, precision, flags, say):
    """Those that can run the model: {name: engine}."""
    engines = {}
    for name in names:
        try:
            if name == "tenon":
                engines[name] = Tenon(tenon, folder, threads, precision, flags)
            else:
                engines[name] = Peer(name, folder, threads, precision)
        except Failed as problem:
            say(f"{folder.name} {precision} {name}: {problem}")
    return engines


def time_case(engines, case, rounds, seconds, say):
    """{name: {"ms": median, "rounds": [ms, ...]}} of the engines that can run the case."""
    times = {name: [] for name in engines}
    for _ in range(rounds):
        for name in list(times):
            try:
                times[name].append(engines[name].slice(case, seconds))
            except Failed as problem:
                say(f"{case}: {name}: {problem}")
                del times[name]
    return {name: {"ms": round(statistics.median(t), 4), "rounds": [round(x, 4) for x in t]} for name, t in times.items()}
