#!/bin/bash
# Compiles the digits model from both of its sources, runs both plans on the 360 held-back pictures and draws some answers.
#
#     examples/digits/demo.sh [BUILD_DIR [OUTPUT_DIR]]      (`make demo` calls it)
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:-$root/build/release} out=${2:-$root/build/demo} here=$root/examples/digits
mkdir -p "$out"

try() {
    printf '\n$ %s\n' "${*//$root\//}"
    "$@"
}

echo "One network, two sources: a Hugging Face checkpoint folder and an ONNX export."
try "$build/tenon" compile "$here/model" -o "$out/digits.plan" --report --require-fusion attention=3 --require-fusion qkv=3
try "$build/tenon" compile "$here/model.onnx" -o "$out/digits-onnx.plan" --report --require-fusion attention=3 --require-fusion qkv=3

echo
echo "Plan files, and what each was compiled from:"
for file in "$here/model/model.safetensors" "$out/digits.plan" "$here/model.onnx" "$out/digits-onnx.plan"; do
    printf '  %8d bytes  %s\n' "$(stat -c %s "$file")" "${file#"$root"/}"
done

for plan in digits digits-onnx; do
    try "$build/tenon" run "$out/$plan.plan" --inputs "$here/pictures.safetensors" --outputs "$out/$plan.safetensors"
done
try "$build/tenon" diff "$out/digits-onnx.plan" --inputs "$here/pictures.safetensors" --expect "$out/digits.safetensors"
for plan in digits digits-onnx; do
    try "$build/tenon" bench "$out/$plan.plan" --inputs "$here/pictures.safetensors" --threads 1 --runs 20
done
echo
try "$build/digits_show" "$out/digits.plan" "$here/pictures.bin" "$out/digits-onnx.plan"
