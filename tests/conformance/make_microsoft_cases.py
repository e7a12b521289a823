#!/usr/bin/env python3
"""Writes microsoft.safetensors beside this script: one-node models of domain com.microsoft with ONNX Runtime's own results.

    python3 tests/conformance/make_microsoft_cases.py

The layout is that of cases.safetensors (make_cases.py). Every dim of an input is a symbol of its own, so that nothing is known
of lengths but what the operator says. Needs onnx, onnxruntime.
"""
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import helper

import onnx_cases

HERE = pathlib.Path(__file__).parent
B, S, T, H, HEADS = 2, 5, 7, 24, 3  # batch, queries, keys, width, heads
SIZE = H // HEADS
random = np.random.default_rng(7)
cases = {}


def floats(*shape):
    return random.standard_normal(shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int32)


def case(name, op, inputs, outputs, constant=(), domain="com.microsoft", **attributes):
    """Inputs that are None are left out."""
    node = helper.make_node(op, [k if v is not None else "" for k, v in inputs.items()], outputs, domain=domain, name=name, **attributes)
    given = {k: v for k, v in inputs.items() if v is not None and k not in constant}
    ports = [helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), [f"{k}_{i}" if d > 1 else d for i, d in enumerate(v.shape)])
             for k, v in given.items()]
    results = [o for o in outputs if o]
    constants = [onnx.numpy_helper.from_array(inputs[k], k) for k in constant]
    graph = helper.make_graph([node], name, ports, [helper.make_empty_tensor_value_info(o) for o in results], constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    wanted = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(results, given)
    prefix = f"microsoft_{name}"
    cases[f"{prefix}/model"] = np.frombuffer(model, np.uint8)
    cases[f"{prefix}/tolerance"] = np.array([1e-4, 1e-5])
    cases.update({f"{prefix}/in/{k}": v for k, v in given.items()})
    cases.update({f"{prefix}/out/{k}": v for k, v in zip(results, wanted)})


def norms():
    x, gamma, beta, bias = floats(B, S, H), floats(H), floats(H), floats(H)
    case("skip_layer_norm", "SkipLayerNormalization", dict(x=x, skip=floats(B, S, H), gamma=gamma, beta=beta, bias=bias), ["y", "", "", "sum"], epsilon=1e-5)
    case("skip_layer_norm_broadcast", "SkipLayerNormalization", dict(x=x, skip=floats(1, S, H), gamma=gamma), ["y"])
    case("skip_rms_norm", "SkipSimplifiedLayerNormalization", dict(x=x, skip=floats(B, S, H), gamma=gamma, bias=bias), ["y", "", "", "sum"], epsilon=1e-5)
    case("rms_norm", "SimplifiedLayerNormalization", dict(x=x, gamma=gamma), ["y"], domain="", epsilon=1e-5, axis=-1)
    ids = random.integers(0, 20, (B, S)).astype(np.int32)
    tables = dict(words=floats(20, H), places=floats(10, H))
    case("embeddings", "EmbedLayerNormalization",
         dict(ids=ids, kinds=ids % 2, **tables, kind_table=floats(2, H), gamma=gamma, beta=beta, mask=(ids > 3).astype(np.int32)),
         ["y", "index", "sum"], ("words", "places", "kind_table", "gamma", "beta"), epsilon=1e-5)
    case("embeddings_alone", "EmbedLayerNormalization", dict(ids=ids, kinds=None, **tables, kind_table=None, gamma=gamma, beta=beta),
         ["y", "index"], ("words", "places", "gamma", "beta"), epsilon=1e-5)


def activations_and_products():
    x = floats(B, S, H)
    case("bias_gelu", "BiasGelu", dict(x=x, b=floats(H)), ["y"])
    case("fast_gelu", "FastGelu", dict(x=x, b=floats(H)), ["y"])
    case("quick_gelu", "QuickGelu", dict(x=x), ["y"], alpha=1.5)
    case("gelu", "Gelu", dict(x=x), ["y"])
    case("fused_matmul", "FusedMatMul", dict(a=x, b=floats(B, T, H)), ["y"], transB=1, alpha=0.5)
    case("fused_matmul_batch", "FusedMatMul", dict(a=floats(S, B, HEADS, H), b=floats(B, HEADS, H, T)), ["y"], transBatchA=1)
    case("fused_gemm", "FusedGemm", dict(a=floats(4, 6), b=floats(6, 5), c=floats(5)), ["y"], activation="LeakyRelu", activation_alpha=0.1)
    image, kernel = floats(2, 4, 8, 8), floats(6, 4, 3, 3)
    case("fused_conv", "FusedConv", dict(x=image, w=kernel, b=floats(6), z=floats(2, 6, 8, 8)), ["y"], ("w", "b"),
         activation="Relu", pads=[1, 1, 1, 1], kernel_shape=[3, 3])
    case("fused_conv_clip", "FusedConv", dict(x=image, w=kernel), ["y"], ("w",), activation="Clip", activation_params=[-0.5, 0.7], kernel_shape=[3, 3])


def attention():
    x, weights = floats(B, S, H), dict(w=floats(H, 3 * H) * np.float32(0.3), b=floats(3 * H))
    name = "attention"
    case(name, "Attention", dict(x=x, **weights), ["y"], num_heads=HEADS)
    case(f"{name}_mask", "Attention", dict(x=x, **weights, m=np.array([[1, 1, 1, 0, 0], [1] * 5], np.int32)), ["y"], num_heads=HEADS)
    case(f"{name}_lengths", "Attention", dict(x=x, **weights, m=ints(3, 5)), ["y"], num_heads=HEADS)
    case(f"{name}_square_mask", "Attention", dict(x=x, **weights, m=random.integers(0, 2, (B, S, S)).astype(np.int32)), ["y"], num_heads=HEADS)
    past = floats(2, B, HEADS, 4, SIZE)
    case(f"{name}_past", "Attention", dict(x=x, **weights, m=None, past=past), ["y", "present"], num_heads=HEADS, unidirectional=1)
    mask = np.array([[0] + [1] * 8, [1] * 9], np.int32)
    case(f"{name}_past_mask", "Attention", dict(x=x, **weights, m=mask, past=past), ["y", "present"], num_heads=HEADS, unidirectional=1)
    case(f"{name}_bias", "Attention", dict(x=x, **weights, m=None, past=None, bias=floats(B, HEADS, S, S)), ["y"], num_heads=HEADS)
    case(f"{name}_widths", "Attention", dict(x=x, w=floats(H, 42), b=floats(42)), ["y"], num_heads=HEADS, qkv_hidden_sizes=[12, 12, 18])


def multi_head_attention():
    q, k, v, bias = floats(B, S, H), floats(B, T, H), floats(B, T, H), floats(3 * H)
    name = "multi_head_attention"
    case(name, "MultiHeadAttention", dict(q=q, k=k, v=v), ["y"], num_heads=HEADS)
    mask = np.array([[1] * 7, [1, 1, 1, 0, 0, 0, 0]], np.int32)
    case(f"{name}_mask", "MultiHeadAttention", dict(q=q, k=k, v=v, b=bias, m=mask), ["y"], num_heads=HEADS, scale=0.3)
    case(f"{name}_lengths", "MultiHeadAttention", dict(q=q, k=k, v=v, b=None, m=ints(4, 7)), ["y"], num_heads=HEADS)
    past = dict(pk=floats(B, HEADS, 4, SIZE), pv=floats(B, HEADS, 4, SIZE))
    case(f"{name}_past", "MultiHeadAttention",
         dict(q=q, k=floats(B, S, H), v=floats(B, S, H), b=bias, m=None, added=floats(B, HEADS, S, S + 4), **past), ["y", "k2", "v2"], num_heads=HEADS)
    case(f"{name}_causal", "MultiHeadAttention", dict(q=q, k=floats(B, S, H), v=floats(B, S, H)), ["y"], num_heads=HEADS, unidirectional=1)


def rotary():
    positions = random.integers(0, 20, (B, S)).astype(np.int64)
    case("rotary", "RotaryEmbedding", dict(x=floats(B, HEADS, S, 8), p=positions, c=np.cos(floats(20, 4)), s=np.sin(floats(20, 4))), ["y"])
    case("rotary_part", "RotaryEmbedding", dict(x=floats(B, S, H), p=positions, c=np.cos(floats(20, 2)), s=np.sin(floats(20, 2))), ["y"],
         num_heads=HEADS, rotary_embedding_dim=4, interleaved=1)


def group_query_attention():
    heads, groups, size = 4, 2, 16
    angles = dict(cos=np.cos(floats(20, size // 2)), sin=np.sin(floats(20, size // 2)))
    for name, queries, past, last, total, more, attributes in (
            ("prompt", 5, 0, ints(4, 4), 5, {}, {}),
            ("prompt_padded", 5, 0, ints(4, 2), 5, {}, {}),
            ("decode", 1, 6, ints(6, 6), 7, {}, {}),
            ("rotated", 1, 6, ints(6, 6), 7, angles, dict(do_rotary=1)),
            ("window", 1, 6, ints(6, 6), 7, {}, dict(local_window_size=3)),
            ("softcap", 1, 6, ints(6, 6), 7, {}, dict(softcap=2.0)),
            ("smooth", 5, 0, ints(4, 4), 5, {}, dict(smooth_softmax=1))):
        inputs = dict(q=floats(B, queries, heads * size), k=floats(B, queries, groups * size), v=floats(B, queries, groups * size),
                      pk=floats(B, groups, past, size), pv=floats(B, groups, past, size), last=last, total=np.array(total, np.int32), **more)
        outputs = ["y", "k2", "v2"]
        case(f"group_query_attention_{name}", "GroupQueryAttention", inputs, outputs, num_heads=heads, kv_num_heads=groups, **attributes)
        if name == "prompt_padded":  # rows of padding mean nothing
            del cases[f"microsoft_group_query_attention_{name}/out/y"]


def main():
    for make in (norms, activations_and_products, attention, multi_head_attention, rotary, group_query_attention):
        make()
    ordered = dict(sorted(cases.items(), key=lambda entry: (-entry[1].dtype.itemsize, entry[0])))
    onnx_cases.save_tensors(HERE / "microsoft.safetensors", ordered)
    print(f"{sum(name.endswith('/model') for name in cases)} cases, {(HERE / 'microsoft.safetensors').stat().st_size} bytes")


if __name__ == "__main__":
    main()
