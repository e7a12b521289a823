#!/bin/bash
# Installs a build into a prefix, moves the prefix, and builds and runs programs against it there: through pkg-config and through
# find_package, with the shared and with the static libraries. Nothing installed may remember the build or the first prefix.
#
#     tests/install/run.sh BUILD_DIR
set -euo pipefail
build=$(cd "$1" && pwd)
consumer=$(cd "$(dirname "$0")/consumer" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/moved"
prefix=$work/moved
pc=$(find "$prefix" -name tenon.pc)
lib=$(dirname "$(dirname "$pc")")
export PKG_CONFIG_PATH=$lib/pkgconfig
cd "$work"

if grep -rIlE "$work/first|$build" "$prefix"; then
    echo "install: the files above name the build folder or the first prefix" >&2
    exit 1
fi

# link NAME PACKAGE SOURCE: compiles with what pkg-config says, runs the result. $(...) is split into words on purpose.
link() {
    echo "pkg-config $2:"
    # shellcheck disable=SC2046
    cc -std=c11 -Wall -Wextra -Werror "$consumer/$3" $(pkg-config --cflags --libs "$2") -Wl,-rpath,"$lib" -o "$1"
    "./$1"
}
link shared tenon runtime.c
readelf -d shared | grep -q 'NEEDED.*libtenon\.so\.0' || { echo "install: not linked to libtenon.so.0" >&2; exit 1; }
link static tenon-static runtime.c
if readelf -d static | grep 'NEEDED.*libtenon'; then
    echo "install: the static program needs the shared library" >&2
    exit 1
fi
[ ! -e "$lib/libtenonc.a" ] || link compiler tenonc compiler.c

echo "headers as C++:"
for header in "$prefix"/include/*.h; do
    c++ -x c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -I"$prefix/include" -c -o header.o - <<<"#include <$(basename "$header")>"
done

echo "find_package:"
cmake -S "$consumer" -B cmake-build -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
cmake --build cmake-build >/dev/null
for program in cmake-build/runtime_shared cmake-build/runtime_static cmake-build/compiler; do
    [ ! -x "$program" ] || "$program"
done
if [ -x "$prefix/bin/tenon" ]; then
    (cd / && "$prefix/bin/tenon" ops >/dev/null)
fi
