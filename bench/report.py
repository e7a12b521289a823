#!/usr/bin/env python3
"""Makes docs/performance.md and its pictures from records.

    report.py RECORD.json... [--out docs]

Records are those of bench/models.py and bench/scaling.py, and what `bench_kernels --json` prints. Any of them may be missing.
Needs nothing but Python.
"""
import argparse
import json
import math
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))
from peers.engines import ENGINES  # noqa: E402
import svg  # noqa: E402

TITLES = {"tenon": "Tenon", **{name: engine.title for name, engine in ENGINES.items()}}
ORDER = list(TITLES)
HEAD = """# Performance

This page is made by `bench/report.py` from records of `bench/all.sh`; *Reproducing* below says how.
"""
METHOD = """Every engine runs the same model file and inputs in turn, a slice of time each, several rounds over; a figure is the median over the
rounds of the slices' least times. Each peer has a process of its own, whose threads sleep while another is timed. *Speed-up* is the time of
the fastest other engine over Tenon's: above 1, Tenon is faster. Models have random weights, which cost the time of trained ones.
"""
KERNELS = """Each kernel beside what the machine could do at the same moments: peak arithmetic in registers, and reading (or copying) where the
operands lie. The figure is the least time that these allow over the time taken, where no other unit stands; cycles are per 16 elements
in L1. Both times are what the best tenth of many short rounds reaches, rounds set aside during which something else used the cores;
microseconds are the least of all, of one thread its processor's time. *cold*: weights come from memory, as in a model; *hot*: the same ones again and again.

Cycles are as measured. Their targets come from a core that does two 512-bit multiply-adds per cycle (exp 6, erf 16, GELU 8); a core with
units of half that width, which by its measured peak does one, is asked for the same number of multiply-adds, so for twice the cycles.
The figure of a full-width core then stands in brackets.
"""
REPRODUCE = """## Reproducing

```sh
python3 -m venv build/bench-python
build/bench-python/bin/pip install -r bench/requirements.txt
build/bench-python/bin/python bench/export.py build/bench-models       # models with random weights, some 5 GB
bench/all.sh build/bench-models build/bench-record                     # kernels, models, curves, this page: about 20 minutes
```

Parts run by themselves (`bench/all.sh MODELS RECORD kernels models scaling report`), and what was interrupted goes on where it was. A busy
machine shows as shares of the roof that differ from run to run.
"""


def mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def table(head, rows, align=None):
    align = align or ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [head, align, *rows]) + "\n"


def engines_of(rows):
    return sorted({name for row in rows for name in row["engines"]}, key=ORDER.index)


def ms(row, name):
    return row["engines"][name]["ms"] if name in row["engines"] else None


def speedup(row):
    others = [t["ms"] for name, t in row["engines"].items() if name != "tenon"]
    return min(others) / ms(row, "tenon") if others and "tenon" in row["engines"] else None


def cell(value):
    return "" if value is None else svg.number(value)


def threads_text(count):
    return f"{count} thread" + ("s" if count > 1 else "")


def setups(rows):
    return sorted({(row["precision"], row["threads"]) for row in rows}, key=lambda s: (s[0] != "f32", s))


def machine_section(record):
    m, v = record["machine"], record["versions"]
    caches = ", ".join(f"{level} {size}" for level, size in m["caches"].items())
    shown = {ENGINES[name].package: v[name] for name in ENGINES if name in v}
    engines = ", ".join(f"{name} {version}" for name, version in shown.items())
    return (f"{m['cpu']}, {threads_text(m['threads'])} ({', '.join(m['flags'])}; {caches}), {m['memory_gb']} GB, {m['system']}; "
            f"{record['date']}. Tenon {v['tenon']} (build {v['tenon_build']}); {engines}; Python {v['python']}.\n")


def means_table(rows):
    peers = [name for name in engines_of(rows) if name != "tenon"]
    lines = []
    for precision, threads in setups(rows):
        here = [r for r in rows if (r["precision"], r["threads"]) == (precision, threads)]
        ratios = [s for s in map(speedup, here) if s]
        if not ratios:
            continue
        cells = []
        for name in peers:
            both = [ms(r, name) / ms(r, "tenon") for r in here if ms(r, name) and ms(r, "tenon")]
            cells.append(f"{mean(both):.2f} ({len(both)})" if both else "")
        lines.append([precision, threads, len(ratios), f"{mean(ratios):.2f}", f"{min(ratios):.2f}", f"{max(ratios):.2f}", *cells])
    return table(["precision", "threads", "cases", "over the fastest", "least", "most", *(f"over {TITLES[p]}" for p in peers)], lines)


def models_section(record, pictures):
    rows = sorted(record["rows"], key=lambda r: (r["model"], r["case"]))
    parts = ["## Whole models\n", METHOD, "Geometric means of the speed-ups, in brackets of how many cases:\n", means_table(rows)]
    for precision in dict.fromkeys(p for p, _ in setups(rows)):
        here = [r for r in rows if r["precision"] == precision and speedup(r)]
        if not here:
            continue
        counts = sorted({r["threads"] for r in here})
        found = {(r["model"], r["case"], r["threads"]): speedup(r) for r in here}
        labels = sorted({key[:2] for key in found})
        name = f"speedup-{precision}.svg"
        pictures[name] = svg.bars(f"Speed-up over the fastest other engine, {precision}",
                                  [(" ".join(label), [found.get((*label, c)) for c in counts]) for label in labels],
                                  [threads_text(c) for c in counts], "above 1: Tenon is faster", mark=1)
        parts.append(f"![Speed-up per model, {precision}](images/{name})\n")
    for precision, threads in setups(rows):
        here = [r for r in rows if (r["precision"], r["threads"]) == (precision, threads)]
        names = engines_of(here)
        parts += [f"### {precision}, {threads_text(threads)}: milliseconds\n",
                  table(["model", "case", *(TITLES[n] for n in names), "speed-up"],
                        [[r["model"], r["case"], *(cell(ms(r, n)) for n in names), cell(speedup(r))] for r in here],
                        ["---", "---"] + ["---:"] * (len(names) + 1))]
    return parts


def scaling_section(record, pictures):
    parts = ["## Curves\n", "Milliseconds of a run while one length grows; both axes are logarithmic.\n"]
    for curve in dict.fromkeys(r["curve"] for r in record["rows"]):
        rows = sorted((r for r in record["rows"] if r["curve"] == curve), key=lambda r: r["x"])
        names, first = engines_of(rows), rows[0]
        threads = "" if first["axis"] == "threads" else f", {threads_text(first['threads'])}"
        pictures[f"curve-{curve}.svg"] = svg.curves(
            f"{first['title']}{threads}",
            {TITLES[n]: [(r["x"], ms(r, n)) for r in rows if ms(r, n)] for n in names}, first["axis"], "milliseconds")
        parts += [f"### {first['title']}\n", f"![{first['title']}](images/curve-{curve}.svg)\n",
                  table([first["axis"], *(TITLES[n] for n in names), "speed-up"],
                        [[r["x"], *(cell(ms(r, n)) for n in names), cell(speedup(r))] for r in rows], ["---:"] * (len(names) + 2))]
    return parts


UNITS = {"roof": "", "cycles": " cycles", "us": " us"}


def figure(row):
    return f"{row['figure']:.2f}" + UNITS[row["unit"]] if row else ""


def target(row):
    """Of cycles on a core with units of half the width: behind it, what a full-width core would be asked for."""
    full = row.get("full_width_target", row["target"])
    return f"{row['target']:g}" + (f" ({full:g} at full width)" if full != row["target"] else "")


def full_width(rows):
    """A part of the page if targets in cycles are those of a core with units of half the width: how many, and which would hold anyway."""
    twice = [r for r in rows if r.get("full_width_target", r.get("target")) != r.get("target")]
    anyway = [r for r in twice if r["figure"] <= r["full_width_target"]]
    return [f"This core does one 512-bit multiply-add per cycle, so {len(twice)} targets in cycles are twice those of a full-width core; "
            f"{len(anyway)} of these kernels would reach the lower figure as they are.\n"] if twice else []


def goal(rows):
    """Targets of a kernel over thread counts, and whether all are met."""
    with_target = [r for r in rows if "target" in r]
    if not with_target:
        return []
    sign = ">= " if with_target[0]["unit"] == "roof" else "<= "
    return [sign + " / ".join(map(target, with_target)), "yes" if all(r["met"] for r in with_target) else "**no**"]


def kernel_lines(rows, counts):
    """(what a line says of a kernel at every thread count, its goal), per kernel."""
    found = {(r["name"], r["threads"]): r for r in rows}
    for name in dict.fromkeys(r["name"] for r in rows):
        here = [found.get((name, c)) for c in counts]
        cells = [x for r in here for x in (cell(r["microseconds"]) if r else "", figure(r))]
        yield [name, *cells], goal([r for r in here if r])


def kernels_section(rows):
    parts = ["## Kernels\n", KERNELS]
    for isa in dict.fromkeys(r["isa"] for r in rows):
        here = [r for r in rows if r["isa"] == isa]
        counts = sorted({r["threads"] for r in here})
        head = ["kernel", *(x for c in counts for x in (f"us, {threads_text(c)}", "figure"))]
        lines = list(kernel_lines(here, counts))
        aimed = [[*line, *aim] for line, aim in lines if aim]
        others = [line for line, aim in lines if not aim]
        peak = max(r["peak_gflops"] for r in here if r["threads"] == counts[-1])
        parts.append(f"### {isa}\n\nPeak with {threads_text(counts[-1])}: {peak:.0f} GFLOP/s.\n")
        if aimed:
            parts += [f"{sum(aim[-1] == 'yes' for aim in aimed)} of {len(aimed)} kernels with a target reach it.\n", *full_width(here),
                      table([*head, "target", "reached"], aimed)]
        if others:
            parts += [f"<details><summary>{len(others)} kernels without a target</summary>\n", table(head, others), "</details>\n"]
    return parts


def main():
    parser = argparse.ArgumentParser(description="docs/performance.md from records")
    parser.add_argument("records", nargs="+", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs")
    a = parser.parse_args()
    loaded = [json.loads(path.read_text()) for path in a.records]
    kernels = [row for data in loaded if isinstance(data, list) for row in data]
    records = [data for data in loaded if isinstance(data, dict)]
    pictures, parts = {}, [HEAD]
    if records:
        parts += [machine_section(records[0])]
    for record in records:
        parts += {"models": models_section, "scaling": scaling_section}[record["kind"]](record, pictures)
    if kernels:
        parts += kernels_section(kernels)
    (a.out / "images").mkdir(parents=True, exist_ok=True)
    (a.out / "performance.md").write_text("\n".join([*parts, REPRODUCE]))
    for name, content in pictures.items():
        (a.out / "images" / name).write_text(content)


if __name__ == "__main__":
    main()
