"""Exports a PyTorch model to one small ONNX file and checks it against ONNX Runtime.

Used by examples/digits/train.py and tests/fixtures/make_fixtures.py. A file written here holds its weights, has named inputs
and outputs, and carries no doc strings, traces or other text that differs from run to run.
"""
import numpy as np
import onnx
import onnxruntime
import torch


class Flat(torch.nn.Module):
    """Calls `call(model, **inputs)` with positional inputs and returns the named outputs as a tuple."""

    def __init__(self, model, inputs, outputs, call=None):
        super().__init__()
        self.model, self.inputs, self.outputs, self.call = model, inputs, outputs, call

    def forward(self, *tensors):
        named = dict(zip(self.inputs, tensors))
        result = self.call(self.model, **named) if self.call else self.model(**named)
        if isinstance(result, torch.Tensor):
            return (result,)
        return result if isinstance(result, tuple) else tuple(result[name] for name in self.outputs)


def export(flat, example, path, dynamic, exporter="dynamo", opset=None, short=False):
    """Writes `path`. example: {input: tensor}; dynamic: {input: {axis: dim name}}; exporter: "dynamo" or "torchscript"; short: inner
    values get short names, of which TorchScript's would make up most of a small model's file."""
    if exporter == "dynamo":
        shapes = tuple({axis: torch.export.Dim.DYNAMIC for axis in dynamic[name]} if name in dynamic else None for name in example)
        program = torch.onnx.export(flat, tuple(example.values()), None, input_names=list(example), output_names=flat.outputs,
                                    dynamo=True, dynamic_shapes=(shapes,), opset_version=opset, external_data=False, verbose=False)
        program.save(str(path), external_data=False)
    else:
        torch.onnx.export(flat, tuple(example.values()), str(path), input_names=list(example), output_names=flat.outputs,
                          dynamic_axes=dynamic, dynamo=False, opset_version=opset or 17)
    model = onnx.load(str(path))
    strip(model)
    if short:
        shorten(model.graph)
    onnx.save(model, str(path))


def strip(model):
    """Removes doc strings and metadata (stack traces, file names) from the model and its subgraphs."""
    def clear(graph):
        graph.doc_string = ""
        for item in [*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer]:
            item.doc_string = ""
            del item.metadata_props[:]
        for node in graph.node:
            for attribute in node.attribute:
                for inner in [attribute.g] if attribute.type == onnx.AttributeProto.GRAPH else attribute.graphs:
                    clear(inner)
    clear(model.graph)
    model.doc_string = ""
    del model.metadata_props[:]


def shorten(graph):
    """Renames what nodes compute, but for the graph's outputs: v0, v1, ... Nodes and initializers keep their names."""
    kept = {port.name for port in graph.output}
    new = {}
    for node in graph.node:
        for i, name in enumerate(node.output):
            if name and name not in kept:
                node.output[i] = new.setdefault(name, f"v{len(new)}")
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = new.get(name, name)
    for info in graph.value_info:
        info.name = new.get(info.name, info.name)


def largest_error(path, inputs, expected):
    """Runs the file with ONNX Runtime; largest difference from `expected`, {output: tensor}, as part of that output's
    largest element if it is above 1."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    known = {port.name for port in session.get_inputs()}
    got = session.run(list(expected), {name: t.numpy() for name, t in inputs.items() if name in known})
    worst = 0.0
    for (name, want), have in zip(expected.items(), got):
        if have.shape != tuple(want.shape):
            raise ValueError(f"{path}: {name}: shape {have.shape}, expected {tuple(want.shape)}")
        if have.size:
            exact = want.numpy().astype(np.float64)
            worst = max(worst, float(np.abs(have.astype(np.float64) - exact).max() / max(1.0, np.abs(exact).max())))
    return worst
