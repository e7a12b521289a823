"""A record: one JSON file with the machine, the versions, and a row per measurement, written after every row.

    record = Record(path, kind="models", tenon=program)
    if not record.has(model="bert-base", case="b1s128", threads=2, precision="f32"):
        record.add({"model": "bert-base", ..., "engines": {"tenon": {"ms": 96.7, ...}, ...}})

A run that was interrupted goes on where it ended. Rows of another machine or another build of Tenon do not go into the same file.
"""
import datetime
import hashlib
import json
import os
import pathlib
import platform
import re
import subprocess

from peers.engines import ENGINES

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")


def machine():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", text)
    flags = set((re.search(r"flags\s*: (.*)", text) or ["", ""])[1].split())
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    caches = {}
    for index in sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if (index / "type").read_text().strip() != "Instruction":
            caches["L" + (index / "level").read_text().strip()] = (index / "size").read_text().strip()
    return {"cpu": model[1] if model else platform.machine(), "threads": len(os.sched_getaffinity(0)),
            "flags": [f for f in FLAGS if f in flags], "caches": caches, "memory_gb": round(int(memory[1]) / 2**20) if memory else None,
            "system": f"{platform.system()} {platform.release()}"}


def versions(tenon):
    text = subprocess.run([str(tenon), "--version"], capture_output=True, text=True).stdout.split()
    found = {"tenon": text[-1] if text else "unknown", "tenon_build": hashlib.sha256(pathlib.Path(tenon).read_bytes()).hexdigest()[:16],
             "python": platform.python_version()}
    for name, engine in ENGINES.items():
        if engine.version():
            found[name] = engine.version()
    return found


class Record:
    def __init__(self, path, kind, tenon):
        self.path, now = pathlib.Path(path), {"kind": kind, "machine": machine(), "versions": versions(tenon)}
        self.data = {**now, "date": datetime.date.today().isoformat(), "rows": []}
        if self.path.exists():
            old = json.loads(self.path.read_text())
            for key in now:
                if old[key] != now[key]:
                    raise SystemExit(f"{path} was made with other {key}: {old[key]}, not {now[key]}; give a new file")
            self.data = old

    def has(self, **key):
        return any(all(row.get(k) == v for k, v in key.items()) for row in self.data["rows"])

    def add(self, row):
        self.data["rows"].append(row)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.data, indent=1) + "\n")
        new.replace(self.path)
