"""frontend/onnx/ops.def against the schemas of the onnx package: every version of every operator that has rows is covered,
and its attributes, defaults and numbers of operands agree. What differs on purpose is listed. Skipped without the package."""
import pathlib
import re
import sys

try:
    from onnx import defs, helper
except ImportError:
    print("the onnx package is not installed")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ROW = re.compile(r'^(?:OP|FLOW)\((\w+),\s*(\d+),\s*(\d+),\s*(-?\d+),\s*(-?\d+),\s*(-?\d+),\s*((?:"[^"]*"\s*)+)', re.M)
KINDS = {"FLOAT": "f", "INT": "i", "STRING": "s", "TENSOR": "t", "FLOATS": "F", "INTS": "I", "STRINGS": "S", "GRAPH": "g",
         "SPARSE_TENSOR": "x", "TYPE_PROTO": "p"}
NEWEST = 28
ANY = 2147483647

# (operator, attribute): why its row says something else
ON_PURPOSE = {
    ("Concat", "axis"): "the first version names its default in its text only",
    ("Split", "axis"): "likewise",
    ("Constant", "value"): "one of several attributes, checked together",
    ("Reshape", "shape"): "the first version cannot do without",
    ("RotaryEmbedding", "num_heads"): "absent counts as 0",
    ("GridSample", "mode"): "later opsets call bilinear linear",
    ("Loop", "operands"): "what may be left out at the end does not count",
    ("Scan", "operands"): "likewise",
    ("GRU", "direction"): "the first version misspells its default",
    ("LpPool", "kernel_shape"): "the first version cannot do without",
}
# Operators of no domain that ONNX does not have: those of ONNX Runtime.
FOREIGN = {"SimplifiedLayerNormalization"}
# Versions that are refused as unsupported.
UNSUPPORTED = {("BatchNormalization", 1), ("BatchNormalization", 6)}


def read_rows():
    rows = {}
    for match in ROW.finditer((ROOT / "frontend/onnx/ops.def").read_text()):
        name, since, until, low, high, outputs, text = match.groups()
        text = "".join(re.findall(r'"([^"]*)"', text))
        attributes = dict(word.split(":", 1) for word in text.split())
        rows.setdefault(name, []).append((int(since), int(until) or NEWEST, int(low), int(high), int(outputs), attributes))
    return rows


def default_of(attribute):
    value = attribute.default_value
    value = helper.get_attribute_value(value) if value and value.name else None
    return value.decode() if isinstance(value, bytes) else value


def attribute_problem(attribute, text):
    """What is wrong with the row's text of an attribute, "i=0" or "I!"; None if nothing is."""
    kind, default = KINDS[attribute.type.name], default_of(attribute)
    if text is None:
        return "is missing"
    if text[0] != kind:
        return f"is of kind {text[0]}, not {kind}"
    if attribute.required != text.endswith("!"):
        return "is required" if attribute.required else "is not required"
    ours = text.partition("=")[2]
    if default is None or isinstance(default, list):
        return f"has no default, but {ours} here" if ours else None
    if kind == "f":
        same = bool(ours) and abs(float(ours) - default) <= 1e-6 * abs(default)
    else:
        same = ours == str(default)
    return None if same else f"has the default {default}, not {ours or 'none'}"


def problems_of(schema, row, fewest):
    """`fewest` operands are enough for some version that the row covers."""
    _, _, low, high, outputs, attributes = row
    for name, attribute in schema.attributes.items():
        if name == "consumed_inputs" or (schema.name, name) in ON_PURPOSE:
            continue
        problem = attribute_problem(attribute, attributes.get(name))
        if problem:
            yield f"attribute {name} {problem}"
    most = -1 if schema.max_input == ANY else schema.max_input
    if (schema.name, "operands") in ON_PURPOSE:
        pass
    elif low != fewest or (high != -1 and (most == -1 or high < most)):
        yield f"takes {schema.min_input} to {most} operands, not {low} to {high}"
    if outputs != -1 and outputs < (ANY if schema.max_output == ANY else schema.max_output):
        yield f"gives up to {schema.max_output} results, not {outputs}"


def check(name, schemas, rows):
    schemas.sort(key=lambda schema: schema.since_version)
    for schema, following in zip(schemas, schemas[1:] + [None]):
        first, last = schema.since_version, following.since_version - 1 if following else NEWEST
        if schema.deprecated or first > NEWEST or (name, first) in UNSUPPORTED:
            continue
        mine = [row for row in rows if row[0] <= last and row[1] >= first]
        missing = set(range(first, last + 1)) - {v for row in mine for v in range(row[0], row[1] + 1)}
        if missing:
            yield f"{name}: no row for opsets {min(missing)} to {max(missing)}"
        for row in mine:
            fewest = min(s.min_input for s in schemas if s.since_version <= row[1] and s.since_version >= min(first, row[0]))
            for problem in problems_of(schema, row, fewest):
                yield f"{name} of opset {first}, row {row[0]}: {problem}"


def main():
    rows, schemas = read_rows(), {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            schemas.setdefault(schema.name, []).append(schema)
    problems = [f"{name}: no operator of ONNX" for name in rows if name not in schemas and name not in FOREIGN]
    for name in sorted(set(rows) & set(schemas)):
        problems += check(name, schemas[name], rows[name])
    print("\n".join(problems))
    print(f"{len(rows)} operators, {len(problems)} problem(s)")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
