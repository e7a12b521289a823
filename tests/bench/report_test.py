#!/usr/bin/env python3
"""bench/report.py on small records: the page and the pictures are golden text, the pictures are XML.

    report_test.py [--bless]

golden/ has the records that go in and what comes out; --bless writes what comes out anew.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

HERE = pathlib.Path(__file__).resolve().parent
ROOT, GOLDEN = HERE.parent.parent, HERE / "golden"
RECORDS = ["models.json", "scaling.json", "kernels.json"]
sys.path.insert(0, str(ROOT / "bench"))
import svg  # noqa: E402


def report(out, *records):
    subprocess.run([sys.executable, "-B", str(ROOT / "bench/report.py"), *(str(GOLDEN / r) for r in records), "--out", str(out)], check=True)


def outputs(folder):
    return {f.relative_to(folder).as_posix(): f.read_text() for f in sorted(folder.rglob("*")) if f.suffix in (".md", ".svg")}


class Report(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.out = pathlib.Path(tempfile.mkdtemp(prefix="tenon-report-"))
        self.addCleanup(shutil.rmtree, self.out)

    def test_golden(self):
        report(self.out, *RECORDS)
        self.assertEqual(outputs(self.out), outputs(GOLDEN))

    def test_pictures_are_whole(self):
        report(self.out, *RECORDS)
        pictures = list(self.out.glob("images/*.svg"))
        page = (self.out / "performance.md").read_text()
        self.assertEqual(len(pictures), page.count("](images/"))
        for picture in pictures:
            self.assertIn(f"](images/{picture.name})", page)
            root = xml.parse(picture).getroot()
            width, height = map(float, root.get("viewBox").split()[2:])
            for node in root.iter():
                for key, limit in (("x", width), ("x1", width), ("x2", width), ("cx", width), ("y", height), ("y1", height), ("cy", height)):
                    if node.get(key):
                        self.assertTrue(0 <= float(node.get(key)) <= limit, f"{picture.name}: {key}={node.get(key)} of {limit}")

    def test_any_record_may_be_missing(self):
        for record in RECORDS:
            report(self.out, record)
            self.assertIn("## Reproducing", (self.out / "performance.md").read_text())


class Pictures(unittest.TestCase):
    def test_steps_reach_the_most(self):
        for most in (0.003, 0.9, 1, 1.01, 1.45, 2, 4.9, 37, 1000):
            grid = svg.steps(most)
            self.assertGreaterEqual(grid[-1], most)
            self.assertLessEqual(len(grid), 10)
            self.assertEqual(grid[0], 0)

    def test_a_curve_of_one_point(self):
        xml.fromstring(svg.curves("One <point>", {"A & B": [(1, 10)]}, "x", "y"))


if __name__ == "__main__":
    if "--bless" in sys.argv:
        report(GOLDEN, *RECORDS)
        sys.exit()
    unittest.main(verbosity=1)
