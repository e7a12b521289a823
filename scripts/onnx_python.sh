#!/bin/bash
# Runs a Python script that needs the onnx package, with the first of these that has it: $TENON_ONNX_PYTHON, python3, a virtual
# environment in build/python, which is made if pip can (it needs a network, and Debian's python3-venv).
#
#     scripts/onnx_python.sh tests/conformance/run_onnx.py build/release/tenon
#
# Exits with 77, which ctest counts as skipped, where none of them has it.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
own=$root/build/python

has_onnx() { "$1" -c 'import onnx, ml_dtypes' 2>/dev/null; }

for python in ${TENON_ONNX_PYTHON:+"$TENON_ONNX_PYTHON"} python3 "$own/bin/python"; do
    has_onnx "$python" && exec "$python" -B "$@"
done
mkdir -p "$root/build"
if python3 -m venv "$own" >"$root/build/python.log" 2>&1 &&
    timeout 300 "$own/bin/pip" install -q --disable-pip-version-check --retries 1 onnx ml_dtypes >>"$root/build/python.log" 2>&1 &&
    has_onnx "$own/bin/python"; then
    exec "$own/bin/python" -B "$@"
fi
rm -rf "$own"
echo "SKIPPED: no python3 with the onnx package, and none could be installed: $(tail -1 "$root/build/python.log")"
exit 77
