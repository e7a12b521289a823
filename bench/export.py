#!/usr/bin/env python3
"""Makes the models that are timed: transformers' architectures at their usual sizes, with random weights.

    export.py OUT [NAME...]

Writes OUT/<name>/model.onnx (weights beside it), hf/ (the checkpoint) and <case>.safetensors (inputs by name). Lengths that vary in
use are dynamic in the file. Nothing is downloaded: weights come from the configurations alone, and cost the time of trained ones.
"""
import gc
import pathlib
import sys

import torch
import transformers as hf
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from onnx_export import Flat  # noqa: E402

MODELS = {}
TEXT = {0: "batch", 1: "sequence"}
IMAGES = {0: "batch"}


class Model:
    """cases: {name: inputs}, the first with every input; dynamic: {input: {axis: dim}}; call: how the module takes named inputs."""

    def __init__(self, module, outputs, cases, dynamic, call=None, example=None):
        self.module, self.outputs, self.cases, self.dynamic, self.call = module, outputs, cases, dynamic, call
        self.example = example or next(iter(cases.values()))


def add(name):
    """Registers a function without arguments that returns a Model."""
    return lambda build: MODELS.setdefault(name, build)


def tokens(batch, length, vocabulary, types=False):
    inputs = {"input_ids": torch.randint(vocabulary, (batch, length)), "attention_mask": torch.ones(batch, length, dtype=torch.long)}
    return {**inputs, "token_type_ids": torch.zeros(batch, length, dtype=torch.long)} if types else inputs


def image(height, width, batch=1):
    return {"pixel_values": torch.randn(batch, 3, height, width)}


@add("bert-base")
def bert():
    sizes = {"b1s16": (1, 16), "b1s512": (1, 512), "b8s128": (8, 128)}
    cases = {"b1s128": tokens(1, 128, 30000, True), **{name: tokens(*size, 30000, True) for name, size in sizes.items()}}
    module = hf.BertForSequenceClassification(hf.BertConfig())
    return Model(module, ["logits"], cases, {name: TEXT for name in cases["b1s128"]})


@add("deberta-v3-base")
def deberta():
    config = hf.DebertaV2Config(
        vocab_size=32000, hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072, type_vocab_size=0,
        relative_attention=True, position_buckets=256, norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type="p2c|c2p",
        max_relative_positions=-1, position_biased_input=False)
    case = tokens(1, 128, 32000)
    return Model(hf.DebertaV2ForSequenceClassification(config), ["logits"], {"b1s128": case}, {name: TEXT for name in case})


@add("t5-small-encoder")
def t5():
    case = tokens(1, 128, 32000)
    return Model(hf.T5EncoderModel(hf.T5Config()), ["last_hidden_state"], {"b1s128": case}, {name: TEXT for name in case})


@add("bart-base-encoder")
def bart():
    sizes = dict(d_model=768, encoder_layers=6, decoder_layers=1, encoder_attention_heads=12, encoder_ffn_dim=3072, decoder_ffn_dim=3072)
    case = tokens(1, 128, 50000)
    return Model(hf.BartModel(hf.BartConfig(**sizes)).encoder, ["last_hidden_state"], {"b1s128": case}, {name: TEXT for name in case})


@add("vit-base")
def vit():
    cases = {"b1": image(224, 224), "b8": image(224, 224, batch=8)}
    return Model(hf.ViTForImageClassification(hf.ViTConfig(num_labels=1000)), ["logits"], cases, {"pixel_values": IMAGES})


@add("convnext-tiny")
def convnext():
    module = hf.ConvNextForImageClassification(hf.ConvNextConfig(num_labels=1000))
    return Model(module, ["logits"], {"b1": image(224, 224)}, {"pixel_values": IMAGES})


@add("swin-tiny")
def swin():
    module = hf.SwinForImageClassification(hf.SwinConfig(num_labels=1000))
    return Model(module, ["logits"], {"b1": image(224, 224)}, {"pixel_values": IMAGES})


@add("segformer-b0")
def segformer():
    module = hf.SegformerForSemanticSegmentation(hf.SegformerConfig(num_labels=150))
    return Model(module, ["logits"], {"b1-512": image(512, 512)}, {"pixel_values": IMAGES})


@add("glpn")
def glpn():
    return Model(hf.GLPNForDepthEstimation(hf.GLPNConfig()), ["predicted_depth"], {"b1-480x640": image(480, 640)}, {})


@add("detr-resnet50")
def detr():
    backbone = hf.ResNetConfig(out_features=["stage4"])
    config = hf.DetrConfig(use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=backbone, num_labels=91)
    case = {**image(480, 640), "pixel_mask": torch.ones(1, 480, 640, dtype=torch.long)}
    return Model(hf.DetrForObjectDetection(config), ["logits", "pred_boxes"], {"b1-480x640": case}, {})


@add("mask2former-swin-tiny")
def mask2former():
    stages = [f"stage{i}" for i in range(1, 5)]
    backbone = hf.SwinConfig(embed_dim=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24], window_size=7, image_size=224, out_features=stages)
    module = hf.Mask2FormerForUniversalSegmentation(hf.Mask2FormerConfig(backbone_config=backbone, num_labels=80))
    return Model(module, ["class_queries_logits", "masks_queries_logits"], {"b1-384": image(384, 384)}, {})


@add("clip-vit-b32")
def clip():
    case = {**tokens(4, 16, 40000), **image(224, 224)}
    texts = {0: "texts", 1: "sequence"}
    dynamic = {"input_ids": texts, "attention_mask": texts, "pixel_values": {0: "images"}}
    return Model(hf.CLIPModel(hf.CLIPConfig()), ["logits_per_image", "logits_per_text"], {"b1": case}, dynamic)


@add("wav2vec2-base")
def wav2vec2():
    case = {"input_values": torch.randn(1, 80000)}
    return Model(hf.Wav2Vec2ForCTC(hf.Wav2Vec2Config()), ["logits"], {"b1-5s": case}, {"input_values": {0: "batch", 1: "samples"}})


@add("whisper-tiny-encoder")
def whisper():
    config = hf.WhisperConfig(d_model=384, encoder_layers=4, decoder_layers=1, encoder_attention_heads=6, encoder_ffn_dim=1536)
    case = {"input_features": torch.randn(1, 80, 3000)}
    return Model(hf.WhisperModel(config).encoder, ["last_hidden_state"], {"b1-30s": case}, {"input_features": IMAGES})


def decoder(module, layers, kv_heads, width, vocabulary, sizes):
    """A decoder with its past as inputs and outputs. sizes: {case: (batch, new tokens, past)}."""
    names = [f"{i}.{part}" for i in range(layers) for part in ("key", "value")]

    def inputs(batch, new, past):
        ids = tokens(batch, new, vocabulary)["input_ids"]
        kept = {f"past_key_values.{n}": 0.1 * torch.randn(batch, kv_heads, past, width) for n in names}
        return {"input_ids": ids, "attention_mask": torch.ones(batch, past + new, dtype=torch.long), **kept}

    def call(m, input_ids, attention_mask, **kept):
        pairs = [(kept[f"past_key_values.{i}.key"], kept[f"past_key_values.{i}.value"]) for i in range(layers)]
        result = m(input_ids=input_ids, attention_mask=attention_mask, past_key_values=hf.DynamicCache(pairs), use_cache=True)
        return (result.logits, *(t for layer in result.past_key_values.layers for t in (layer.keys, layer.values)))

    dynamic = {"input_ids": {0: "batch", 1: "new"}, "attention_mask": {0: "batch", 1: "total"}}
    dynamic.update({f"past_key_values.{n}": {0: "batch", 2: "past"} for n in names})
    cases = {name: inputs(*size) for name, size in sizes.items()}
    # exported with lengths that differ from each other and from 1, which the exporter would take for constants
    return Model(module, ["logits", *(f"present.{n}" for n in names)], cases, dynamic, call, example=inputs(2, 3, 5))


@add("gpt2")
def gpt2():
    sizes = {"decode-past128": (1, 1, 128), "decode-past512-b4": (4, 1, 512), "prefill128": (1, 128, 1)}
    return decoder(hf.GPT2LMHeadModel(hf.GPT2Config()), 12, 12, 64, 50000, sizes)


@add("llama-160m")
def llama():
    config = hf.LlamaConfig(vocab_size=32000, hidden_size=768, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=12,
                            num_key_value_heads=4)
    return decoder(hf.LlamaForCausalLM(config), 12, 4, 64, 32000, {"decode-past128": (1, 1, 128)})


def write(name, folder):
    torch.manual_seed(0)
    model = MODELS[name]()
    module = model.module.eval()
    folder.mkdir(parents=True, exist_ok=True)
    module.save_pretrained(folder / "hf")
    flat = Flat(module, list(model.example), model.outputs, model.call).eval()
    shapes = tuple({axis: torch.export.Dim.DYNAMIC for axis in model.dynamic.get(i, {})} or None for i in model.example)
    with torch.no_grad():
        program = torch.onnx.export(flat, tuple(model.example.values()), None, input_names=list(model.example),
                                    output_names=model.outputs, dynamo=True, dynamic_shapes=(shapes,), verbose=False)
    for case, inputs in model.cases.items():
        save_file({n: t.contiguous() for n, t in inputs.items()}, str(folder / f"{case}.safetensors"))
    program.save(str(folder / "model.onnx"), external_data=True)  # last: a folder with it is whole


def main():
    out, names = pathlib.Path(sys.argv[1]), sys.argv[2:] or list(MODELS)
    for name in names:
        if (out / name / "model.onnx").exists():
            continue
        write(name, out / name)
        print(name, flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
