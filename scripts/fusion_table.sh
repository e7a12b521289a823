#!/bin/sh
# What the passes make of every model below DIR: one line per model.onnx, model_ts.onnx and checkpoint folder.
#
#     scripts/fusion_table.sh DIR [TENON]                      prints the table
#     scripts/fusion_table.sh DIR [TENON] --check FILE         compares it with FILE; exit status 1 if they differ
#     scripts/fusion_table.sh DIR [TENON] --bless FILE         writes FILE
#
#     bert-base/model.onnx    layers 2    attention 2 qkv 2 gelu_erf 2    gemm 9 attention 2 norm 5 map 2 gather 2    left integer 0
#
# `layers` is what config.json says, encoder + decoder; a decoder layer that reads an encoder has two attentions. Then
# come the fusions that make attention, projections and activations, the attentions and projections that were missed,
# with the reason, the instructions of the plan, and what is left of operators that fusions take up: softmax, erf, tanh, those that
# move elements, and instructions on integers.
set -e
dir=$1
[ -d "$dir" ] || { echo "usage: $0 DIR [TENON] [--check FILE | --bless FILE]" >&2; exit 2; }
shift
tenon=build/release/tenon
case $1 in
"" | --*) ;;
*) tenon=$1; shift ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

layers() { # of a config.json: every count of layers in it
    [ -f "$1" ] || { printf -- '-'; return; }
    tr ',{}' '\n\n\n' < "$1" | awk -F: '
        /"(num_hidden_layers|num_layers|n_layers?|encoder_layers|decoder_layers|num_decoder_layers)"/ {
            gsub(/[^0-9]/, "", $2)
            if ($2 != "") all = all (all == "" ? "" : "+") $2
        }
        END { printf "%s", all == "" ? "-" : all }'
}

row() { # NAME MODEL FOLDER
    if ! "$tenon" compile "$2" -o "$work/plan" --report="$work/report" 2> "$work/message"; then
        printf '%-44s %s\n' "$1" "$(head -n 1 "$work/message" | sed 's/.*unsupported/unsupported/')"
        return
    fi
    printf '%-44s layers %s  ' "$1" "$(layers "$3/config.json")"
    tr -d '\n' < "$work/report" | awk '
        function inside(text, name,    from) { # the object {...} called name, without braces
            from = index(text, "\"" name "\":{")
            if (!from) return ""
            text = substr(text, from + length(name) + 4)
            return substr(text, 1, index(text, "}") - 1)
        }
        {
            n = split(inside($0, "fusions"), pair, ",")
            for (i = 1; i <= n; i++)
                if (pair[i] ~ /^"(attention|qkv|kv|gelu|silu)/) {
                    gsub(/"/, "", pair[i]); sub(/:/, " ", pair[i]); printf " %s", pair[i]
                }
            printf "   "
            n = split(inside($0, "instructions"), pair, ",")
            for (i = 1; i <= n; i++) { gsub(/"/, "", pair[i]); sub(/:/, " ", pair[i]); printf " %s", pair[i] }
            n = split(inside($0, "operators"), pair, ",")
            left = ""
            for (i = 1; i <= n; i++)
                if (pair[i] ~ /^"(softmax|log_softmax|erf|tanh|transpose|concat|expand)"/) {
                    gsub(/"/, "", pair[i]); sub(/:/, " ", pair[i]); left = left " " pair[i]
                }
            if (match($0, /"integer_instructions":[0-9]+/)) left = left " integer " substr($0, RSTART + 23, RLENGTH - 23)
            printf "    left%s", left
            n = split($0, miss, /\{"fusion":"/)
            for (i = 2; i <= n; i++) {
                if (miss[i] !~ /^(attention|qkv)"/) continue
                fusion = substr(miss[i], 1, index(miss[i], "\"") - 1)
                why = miss[i]; sub(/.*"why":"/, "", why); sub(/".*/, "", why)
                if (!count[fusion ": " why]++) order[++kinds] = fusion ": " why
            }
            for (i = 1; i <= kinds; i++) printf "\n    missed %s %s", count[order[i]], order[i]
            printf "\n"
        }'
}

table() {
    for folder in "$dir"/*/; do
        folder=${folder%/} name=$(basename "$folder")
        for file in model.onnx model_ts.onnx; do
            if [ -f "$folder/$file" ]; then row "$name/$file" "$folder/$file" "$folder"; fi
        done
        if [ -f "$folder/config.json" ] && ls "$folder" | grep -q '^model.*safetensors'; then row "$name" "$folder" "$folder"; fi
    done
}

case $1 in
"") table ;;
--bless) table > "$2" ;;
--check)
    table > "$work/table"
    diff -u "$2" "$work/table" || { echo "the table has changed; --bless writes it anew" >&2; exit 1; } ;;
*) echo "$0: unknown option '$1'" >&2; exit 2 ;;
esac
