#!/bin/bash
# Writes docs/ops.md from the operator tables, or checks that it is what they say.
#
#     scripts/make_ops_doc.sh [BUILD_DIR]            (default: build/release)
#     scripts/make_ops_doc.sh --check [BUILD_DIR]    shows the difference and exits 1 if there is one
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
check=
[ "${1:-}" != --check ] || { check=1; shift; }
tenon=${1:-$root/build/release}/tenon

new=$(mktemp)
trap 'rm -f "$new"' EXIT
"$tenon" ops --markdown >"$new"
if [ -z "$check" ]; then
    cat "$new" >"$root/docs/ops.md"
elif ! diff -u "$root/docs/ops.md" "$new"; then
    echo "docs/ops.md is out of date: run scripts/make_ops_doc.sh" >&2
    exit 1
fi
