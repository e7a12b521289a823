#!/bin/bash
# Installs the Debian packages that building and testing Tenon needs; says nothing when all are there.
#
#     scripts/setup.sh                       what `make` and `make test` need
#     scripts/setup.sh clang clang-format    those, and the packages named
#
# As root, or through sudo where it asks no password; otherwise prints the command to run and exits 1. Elsewhere than on Debian
# and its relatives it only checks that the tools it can name are on the path.
set -euo pipefail

packages=(build-essential cmake ninja-build pkg-config python3 python3-venv
    libprotobuf-c-dev protobuf-c-compiler libcjson-dev libxxhash-dev libpthreadpool-dev libopenblas0 libcmocka-dev "$@")

if ! command -v dpkg-query >/dev/null; then
    for tool in cc cmake ninja pkg-config protoc-c python3; do
        command -v "$tool" >/dev/null || { echo "setup: $tool is missing; Debian calls the packages: ${packages[*]}" >&2; exit 1; }
    done
    exit 0
fi

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

install="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" = 0 ]; then
    as_root=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n env)
else
    echo "setup: packages are missing; as root run: apt-get update && $install" >&2
    exit 1
fi
echo "setup: installing ${missing[*]}"
"${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get update -q </dev/null
# shellcheck disable=SC2086  # the package names are words of their own
"${as_root[@]}" DEBIAN_FRONTEND=noninteractive $install </dev/null
