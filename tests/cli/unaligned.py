#!/usr/bin/env python3
"""A safetensors file may hold tensors that are not aligned to their elements; the commands copy them.

    unaligned.py TENON CHECKPOINT WORK_DIR

The same inputs at an aligned and at an odd offset must give the same outputs, from `run` and from the reference kernels of `diff`.
"""
import json
import pathlib
import struct
import subprocess
import sys


def write(path, ids, shift):
    """input_ids as i64[1, n] behind a pad of `shift` bytes, which is a tensor too."""
    data = b"\0" * shift + struct.pack(f"<{len(ids)}q", *ids)
    header = {"input_ids": {"dtype": "I64", "shape": [1, len(ids)], "data_offsets": [shift, len(data)]}}
    if shift:
        header["pad"] = {"dtype": "U8", "shape": [shift], "data_offsets": [0, shift]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    tenon, model, work = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    work.mkdir(parents=True, exist_ok=True)
    plan, outputs = work / "model.plan", []
    subprocess.run([tenon, "compile", model, "-o", plan], check=True)
    for shift in (0, 3):
        inputs, result = work / f"in{shift}.safetensors", work / f"out{shift}.safetensors"
        write(inputs, [5, 7, 11, 2, 13], shift)
        subprocess.run([tenon, "run", plan, "--inputs", inputs, "--outputs", result], check=True)
        subprocess.run([tenon, "diff", plan, "--inputs", inputs, "--against", model], check=True)
        outputs.append(result.read_bytes())
    assert outputs[0] == outputs[1], "the outputs differ"


if __name__ == "__main__":
    main()
