"""The engines that Tenon is timed against: each opens a model folder once and gives a function that runs inputs.

    run = ENGINES["ort"].open(folder, threads, "f32")
    run({"input_ids": array, ...})

A folder has model.onnx and, for what runs checkpoints, hf/ as transformers saves it. What an engine cannot do it says by raising
Unsupported with the reason.
"""
import importlib
import importlib.metadata
import json
import pathlib
import re
import tempfile


class Unsupported(Exception):
    pass


def open_ort(folder, threads, precision):
    import onnxruntime as ort
    if precision != "f32":
        raise Unsupported("ONNX Runtime's CPU kernels compute in f32")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = ort.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    return lambda inputs: session.run(None, {name: inputs[name] for name in names})


def open_openvino(folder, threads, precision):
    import openvino
    core = openvino.Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise Unsupported("OpenVINO has no bf16 on this CPU")
    compiled = core.compile_model(core.read_model(str(folder / "model.onnx")), "CPU", {
        "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision})
    request = compiled.create_infer_request()
    names = [i.get_any_name() for i in compiled.inputs]
    return lambda inputs: request.infer({name: inputs[name] for name in names}, share_inputs=True, share_outputs=True)


def checkpoint(folder):
    """The module of hf/, whatever class of transformers saved it."""
    import transformers
    if not (folder / "hf/config.json").exists():
        raise Unsupported("the folder has no checkpoint hf/")
    config = json.loads((folder / "hf/config.json").read_text())
    name, kind = config["architectures"][0], config["model_type"]
    owner = transformers if hasattr(transformers, name) else importlib.import_module(f"transformers.models.{kind}.modeling_{kind}")
    return getattr(owner, name).from_pretrained(folder / "hf").eval()


def with_cache(named):
    """Inputs past_key_values.N.key and .value as the cache object that transformers takes."""
    import transformers
    layers = {}
    for name in list(named):
        part = re.fullmatch(r"past_key_values\.(\d+)\.(key|value)", name)
        if part:
            layers.setdefault(int(part[1]), {})[part[2]] = named.pop(name)
    if layers:
        pairs = [(layers[i]["key"], layers[i]["value"]) for i in sorted(layers)]
        named.update(past_key_values=transformers.DynamicCache(pairs), use_cache=True)
    return named


def open_torch(folder, threads, precision, compiled=False):
    import torch
    torch.set_num_threads(threads)
    module = checkpoint(folder)
    if precision == "bf16":
        module = module.bfloat16()
    call = torch.compile(module) if compiled else module

    def tensor(array):
        t = torch.from_numpy(array)
        return t.bfloat16() if precision == "bf16" and t.is_floating_point() else t

    def run(inputs):
        with torch.inference_mode():
            return call(**with_cache({name: tensor(array) for name, array in inputs.items()}))
    return run


def open_torch_compile(folder, threads, precision):
    return open_torch(folder, threads, precision, compiled=True)


def open_ctranslate2(folder, threads, precision):
    """Encoders of BERT's kind and decoders, without a past. The converter wants a tokenizer; one that only counts will do."""
    import ctranslate2
    import torch
    config = json.loads((folder / "hf/config.json").read_text()) if (folder / "hf/config.json").exists() else {}
    if config.get("model_type") not in ("bert", "gpt2", "llama"):
        raise Unsupported("CTranslate2 runs BERT encoders and decoders")
    work = pathlib.Path(tempfile.mkdtemp(prefix="bench-ct2-"))
    source, target = work / "hf", work / "ct2"
    source.mkdir()
    (source / "model.safetensors").symlink_to((folder / "hf/model.safetensors").resolve())
    config.setdefault("position_embedding_type", "absolute")  # the converter asks for it; transformers no longer writes it
    (source / "config.json").write_text(json.dumps(config))
    count_tokens(source, config["vocab_size"])
    ctranslate2.converters.TransformersConverter(str(source)).convert(str(target), force=True)
    kind = "bfloat16" if precision == "bf16" else "float32"
    options = dict(device="cpu", inter_threads=1, intra_threads=threads, compute_type=kind)
    torch.set_num_threads(threads)
    model = ctranslate2.Encoder(str(target), **options) if config["model_type"] == "bert" else ctranslate2.Generator(str(target), **options)

    def run(inputs):
        if any(name.startswith("past") and array.size and array.shape[2] > 1 for name, array in inputs.items()):
            raise Unsupported("a past cannot be given to CTranslate2")
        return model.forward_batch(inputs["input_ids"].tolist())
    return run


def count_tokens(folder, size):
    vocabulary = {f"t{i}": i for i in range(size)}
    tokens = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
              "post_processor": None, "decoder": None, "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "t0"}}
    (folder / "tokenizer.json").write_text(json.dumps(tokens))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "t0", "bos_token": "t1", "eos_token": "t2"}))


class Engine:
    def __init__(self, title, package, opener):
        self.title, self.package, self.open = title, package, opener

    def version(self):
        try:
            return importlib.metadata.version(self.package)
        except importlib.metadata.PackageNotFoundError:
            return None


ENGINES = {
    "ort": Engine("ONNX Runtime", "onnxruntime", open_ort),
    "openvino": Engine("OpenVINO", "openvino", open_openvino),
    "torch": Engine("PyTorch", "torch", open_torch),
    "torch-compile": Engine("torch.compile", "torch", open_torch_compile),
    "ctranslate2": Engine("CTranslate2", "ctranslate2", open_ctranslate2),
}
