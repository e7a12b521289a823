#!/usr/bin/env python3
"""Trains the example model: a small vision transformer that reads handwritten digits.

    python3 examples/digits/train.py          # rewrites the files beside this script; a few minutes on one core

Data: scikit-learn's copy of the UCI digits, 1797 pictures of 8x8 pixels with intensities 0..16. A stratified split with a fixed
seed holds back 360 pictures, which training never sees; its settings were chosen on a fifth of the others. The network takes
`pixel_values` [batch, 1, 8, 8] in [-1, 1] (intensity / 8 - 1, exact in binary) and cuts each picture into 16 patches of 2x2.

Written here:
    model/config.json, model/model.safetensors    the checkpoint as transformers saves it
    model.onnx                                    the same network, exported by torch.onnx with a dynamic batch
    pictures.safetensors                          the 360 held-back pictures: pixel_values f32, labels i64
    pictures.bin                                  the same for show.c: per picture one byte label, 64 bytes of intensities
Needs torch, transformers, scikit-learn, safetensors, onnx, onnxscript, onnxruntime.
"""
import pathlib
import sys

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "scripts"))
from onnx_export import Flat, export, largest_error

SEED, HELD_BACK, EPOCHS, BATCH = 7, 360, 150, 64
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def pictures():
    """Intensities u8 [n, 8, 8] and labels [n] of the training and of the held-back part."""
    digits = load_digits()
    intensities = digits.images.astype(np.uint8)
    train, held, train_labels, held_labels = train_test_split(
        intensities, digits.target, test_size=HELD_BACK, stratify=digits.target, random_state=SEED)
    return (train, train_labels), (held, held_labels)


def to_pixel_values(intensities):
    return torch.from_numpy(intensities).float().div(8).sub(1).unsqueeze(1)


def shifted(x, generator):
    """Each picture moved by -1, 0 or 1 pixels in both directions; the background is -1."""
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1), value=-1.0)
    moves = torch.randint(0, 3, (len(x), 2), generator=generator)
    return torch.stack([p[:, r:r + 8, c:c + 8] for p, (r, c) in zip(padded, moves.tolist())])


def train(model, x, labels, generator):
    steps = EPOCHS * ((len(x) + BATCH - 1) // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps, pct_start=0.1)
    model.train()
    for epoch in range(EPOCHS):
        total = 0.0
        for rows in torch.randperm(len(x), generator=generator).split(BATCH):
            logits = model(pixel_values=shifted(x[rows], generator)).logits
            loss = torch.nn.functional.cross_entropy(logits, labels[rows], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1:3d}  loss {total / len(x):.4f}", flush=True)
    model.eval()


def main():
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    (seen, seen_labels), (held, held_labels) = pictures()
    config = transformers.ViTConfig(
        image_size=8, patch_size=2, num_channels=1, hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
        intermediate_size=128, initializer_range=0.08, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        id2label=dict(enumerate(NAMES)), label2id={name: i for i, name in enumerate(NAMES)}, attn_implementation="eager")
    model = transformers.ViTForImageClassification(config)
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {len(seen)} pictures to learn from", flush=True)
    train(model, to_pixel_values(seen), torch.from_numpy(seen_labels), generator)

    x, labels = to_pixel_values(held), torch.from_numpy(held_labels)
    with torch.no_grad():
        logits = model(pixel_values=x).logits
    right = int((logits.argmax(1) == labels).sum())
    print(f"held back: {right} of {HELD_BACK} right ({100 * right / HELD_BACK:.1f} %)")
    if right < 0.97 * HELD_BACK:
        raise SystemExit("fewer than 97 % right: nothing written")

    model.save_pretrained(HERE / "model")
    (HERE / "model" / "model.safetensors").chmod(0o644)
    save_file({"pixel_values": x.contiguous(), "labels": labels}, str(HERE / "pictures.safetensors"))
    (HERE / "pictures.safetensors").chmod(0o644)
    records = np.concatenate([held_labels.astype(np.uint8)[:, None], held.reshape(HELD_BACK, 64)], axis=1)
    (HERE / "pictures.bin").write_bytes(records.tobytes())
    flat = Flat(model, ["pixel_values"], ["logits"])
    export(flat, {"pixel_values": x[:3]}, HERE / "model.onnx", {"pixel_values": {0: "batch"}})
    error = largest_error(HERE / "model.onnx", {"pixel_values": x}, {"logits": logits})
    print(f"model.onnx: largest difference between ONNX Runtime and PyTorch {error:.2g}")
    if error > 1e-4:
        raise SystemExit("the ONNX file computes something else")


if __name__ == "__main__":
    main()
