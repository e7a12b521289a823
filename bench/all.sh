#!/bin/bash
# Measures everything and makes docs/performance.md: kernels, whole models, curves. About 20 minutes on two cores.
#
#     bench/all.sh MODELS RECORD [kernels] [models] [scaling] [report]
#
# MODELS is a folder that bench/export.py wrote, RECORD one for the records; without parts, all of them. Every measurement is in its
# record as soon as it is made, and a run that was interrupted goes on where it was; new figures want a new RECORD. The machine should
# have nothing else to do. TENON_BENCH_PYTHON is a Python with what bench/requirements.txt lists (build/bench-python/bin/python);
# TENON_BUILD the build to measure (build/release).
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 2; }
models=$(realpath "$1") && mkdir -p "$2" && record=$(realpath "$2") && shift 2
cd "$(dirname "$0")/.."
python=${TENON_BENCH_PYTHON:-build/bench-python/bin/python}
build=${TENON_BUILD:-build/release}
parts=("${@:-}")
[ -n "${parts[0]}" ] || parts=(kernels models scaling report)
step() { printf '\n== %s (%d s)\n' "$1" "$SECONDS"; }

# The best instruction set of this CPU, and a few kernels of those below.
kernels() {
    local few=("gemm 1x768x768 " "gemm 16x768x768 " "gemm 128x768x768 " "gemm 197x768x768 " "attention 128" "conv 3x3 128" "conv depthwise 7x7 96"
        "in L1" "norm layer 128" "softmax 1536")
    time_kernels best
    time_kernels avx2 --isa avx2 "${few[@]}"
    time_kernels scalar --isa scalar "${few[@]}"
}

time_kernels() {
    local file=$record/kernels-$1.json
    [ ! -f "$file" ] || return 0
    shift
    if "$build/bench_kernels" --json "$@" >"$file.new"; then
        mv "$file.new" "$file"
    else
        rm -f "$file.new" # a CPU that does not have it
    fi
}

# What is measured already is left out of what follows: first the few models that are also run by engines slow to start.
models() {
    local all
    all=$(nproc)
    time_models --models bert-base,vit-base --threads "$all" --engines tenon,ort,openvino,torch,torch-compile,ctranslate2
    time_models --models gpt2 --threads "$all" --engines tenon,ort,openvino,torch,ctranslate2
    time_models --models bert-base,vit-base,gpt2,whisper-tiny-encoder --threads "$all" --engines tenon,openvino --precisions bf16
    time_models
}

time_models() {
    "$python" -B bench/models.py "$models" --record "$record/models.json" --tenon "$build/tenon" --rounds 3 --seconds 0.25 "$@"
}

scaling() {
    "$python" -B bench/scaling.py "$models" --record "$record/scaling.json" --tenon "$build/tenon" --rounds 2 --seconds 0.1
}

report() {
    local records=()
    for name in models scaling kernels-best kernels-avx2 kernels-scalar; do
        [ ! -f "$record/$name.json" ] || records+=("$record/$name.json")
    done
    python3 -B bench/report.py "${records[@]}"
}

for part in "${parts[@]}"; do
    step "$part"
    "$part"
done
step "done"
