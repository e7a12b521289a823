#!/usr/bin/env python3
"""What bench/ writes: records that can be resumed, engines that fail, the rows of bench_kernels. No figure is looked at.

    records_test.py TENON BENCH_KERNELS FIXTURES
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TENON, KERNELS, FIXTURES = (pathlib.Path(a).resolve() for a in sys.argv[1:4])
sys.path.insert(0, str(ROOT / "bench"))
from peers import rounds  # noqa: E402
from peers.record import Record  # noqa: E402


class Canned:
    """An engine that answers with what it was given; None: it fails."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def slice(self, case, seconds):
        answer = self.answers.pop(0)
        if answer is None:
            raise rounds.Failed("it is tired")
        return answer


class Records(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tenon-records-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.record = self.folder / "record.json"

    def models(self, *args):
        command = [sys.executable, "-B", str(ROOT / "bench/models.py"), str(FIXTURES), "--record", str(self.record), "--tenon", str(TENON)]
        return subprocess.run([*command, "--threads", "1", "--rounds", "2", "--seconds", "0.001", *args],
                              capture_output=True, text=True, timeout=120)

    def rows(self):
        return json.loads(self.record.read_text())["rows"]

    def test_rounds(self):
        said = []
        engines = {"tenon": Canned(5, 3, 4), "ort": Canned(7, None, 1), "openvino": Canned(9, 9, 8)}
        times = rounds.time_case(engines, "case", 3, 0.1, said.append)
        self.assertEqual(times, {"tenon": {"ms": 4, "rounds": [5, 3, 4]}, "openvino": {"ms": 9, "rounds": [9, 9, 8]}})
        self.assertEqual(said, ["case: ort: it is tired"])

    def test_a_model_is_measured_once(self):
        for _ in range(2):
            done = self.models("--models", "bert-sequence-cls", "--engines", "tenon")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(len(self.rows()), 1)
        self.assertEqual(done.stdout, "")
        row = self.rows()[0]
        self.assertEqual([row[k] for k in ("model", "case", "threads", "precision")], ["bert-sequence-cls", "io", 1, "f32"])
        self.assertEqual(len(row["engines"]["tenon"]["rounds"]), 2)

    def test_what_fails_is_said(self):
        """A peer that cannot open the model leaves a row without it; Tenon failing leaves none."""
        broken = self.folder / "broken"
        broken.mkdir()
        (broken / "model.onnx").write_text("no model")
        shutil.copy(FIXTURES / "bert-sequence-cls/io.safetensors", broken)
        said = []
        self.assertEqual(rounds.open_engines(["tenon", "ort"], TENON, broken, 1, "f32", [], said.append), {})
        self.assertRegex(said[0], "^broken f32 tenon: ")
        self.assertRegex(said[1], "^broken f32 ort: ")
        done = self.models("--models", "bert-sequence-cls", "--engines", "tenon", "--precisions", "f7")
        self.assertRegex(done.stdout, "bert-sequence-cls f7 tenon: .*f7")
        self.assertFalse(self.record.exists())

    def test_a_peer_that_hangs(self):
        peer = rounds.Peer.__new__(rounds.Peer)
        peer.process = subprocess.Popen(["sleep", "60"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        with mock.patch.object(rounds, "PATIENCE", 0.1), self.assertRaisesRegex(rounds.Failed, "no answer in 0.1 seconds"):
            peer.read()
        peer.close()
        self.assertEqual(peer.process.returncode, -9)

    def test_another_build_is_another_record(self):
        Record(self.record, "models", TENON).add({"model": "m"})
        self.assertTrue(Record(self.record, "models", TENON).has(model="m"))
        self.assertFalse(Record(self.record, "models", TENON).has(model="n"))
        with self.assertRaisesRegex(SystemExit, "other kind"):
            Record(self.record, "scaling", TENON)
        with self.assertRaisesRegex(SystemExit, "other versions"):
            Record(self.record, "models", KERNELS)

    def test_rows_of_kernels(self):
        command = [str(KERNELS), "--threads", "1", "--seconds", "0", "--json", "map exp", "gemm 64x64x128"]
        rows = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout)
        self.assertEqual([r["name"] for r in rows], ["gemm 64x64x128 hot", "map exp in L1"])
        self.assertEqual([r["unit"] for r in rows], ["roof", "cycles"])
        in_cycles = rows[1]
        if in_cycles["isa"].startswith("avx512"):
            self.assertEqual(in_cycles["target"] * in_cycles["slots_per_cycle"], 2 * in_cycles["full_width_target"])
            slots = in_cycles["peak_gflops"] / in_cycles["clock_ghz"] / 32
            self.assertAlmostEqual(in_cycles["slots_per_cycle"], min(max(slots, 1), 2), delta=0.51)
        for row in rows:
            self.assertGreater(row["figure"], 0)
            self.assertEqual(row["threads"], 1)
            self.assertEqual("target" in row, "met" in row)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
