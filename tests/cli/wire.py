"""ONNX files taken apart and put together, field by field, without the onnx package.

A message is a list of [field number, value]: int for a varint, bytes for everything with a length, ("f", float) for 32 bits.
"""
import struct


def varint(n):
    n &= (1 << 64) - 1
    return bytes([n & 127 | 128]) + varint(n >> 7) if n > 127 else bytes([n])


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def parse(data):
    fields, at = [], 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 0:
            value, at = read_varint(data, at)
        elif key & 7 == 5:
            value, at = ("f", struct.unpack_from("<f", data, at)[0]), at + 4
        else:
            assert key & 7 == 2, key
            size, at = read_varint(data, at)
            value, at = data[at:at + size], at + size
        fields.append([key >> 3, value])
    return fields


def write(fields):
    out = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        elif isinstance(value, tuple):
            out += varint(number << 3 | 5) + struct.pack("<f", value[1])
        else:
            value = value.encode() if isinstance(value, str) else bytes(value)
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return bytes(out)


def get(fields, number):
    return next((v for n, v in fields if n == number), None)


def all_of(fields, number):
    return [v for n, v in fields if n == number]


# --- building ------------------------------------------------------------------------------------------------------------------
FLOAT, INT32, INT64, BOOL, INT8 = 1, 6, 7, 9, 3


def attribute(name, value):
    """A float, an integer, a string, a graph as bytes, or a list of integers."""
    if isinstance(value, float):
        return write([[1, name], [2, ("f", value)], [20, 1]])
    if isinstance(value, int):
        return write([[1, name], [3, value], [20, 2]])
    if isinstance(value, str):
        return write([[1, name], [4, value], [20, 3]])
    if isinstance(value, bytes):
        return write([[1, name], [6, value], [20, 5]])
    return write([[1, name]] + [[8, v] for v in value] + [[20, 7]])


def node(op, name, inputs, outputs, **attributes):
    return write([[1, i] for i in inputs] + [[2, o] for o in outputs] + [[3, name], [4, op]] +
                 [[5, attribute(k, v)] for k, v in attributes.items()])


def tensor(name, dims, values, dtype=FLOAT):
    code = {FLOAT: "f", INT64: "q", INT32: "i", BOOL: "?"}[dtype]
    return write([[1, d] for d in dims] + [[2, dtype], [8, name], [9, struct.pack(f"<{len(values)}{code}", *values)]])


def value_info(name, dims, dtype=FLOAT):
    shape = write([[1, write([[1, d] if isinstance(d, int) else [2, d]])] for d in dims])
    return write([[1, name], [2, write([[1, write([[1, dtype], [2, shape]])]])]])


def graph(nodes, initializers, inputs, outputs):
    return write([[1, n] for n in nodes] + [[2, "g"]] + [[5, t] for t in initializers] + [[11, i] for i in inputs] +
                 [[12, o] for o in outputs])


def model(nodes, initializers, inputs, outputs, opset=21):
    return write([[1, 10], [7, graph(nodes, initializers, inputs, outputs)], [8, write([[2, opset]])]])


# --- safetensors ---------------------------------------------------------------------------------------------------------------
def safetensors(tensors):
    """{name: (dims, values)}, of floats; ints become I64."""
    import json
    header, data = {}, b""
    for name, (dims, values) in tensors.items():
        code, type_name = ("q", "I64") if values and isinstance(values[0], int) else ("f", "F32")
        raw = struct.pack(f"<{len(values)}{code}", *values)
        header[name] = {"dtype": type_name, "shape": dims, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data
