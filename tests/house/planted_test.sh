#!/bin/sh
# Every bug of tests/fuzz/planted can be planted; tests/fuzz/planting.py finds the one that cannot.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
check() { python3 -B "$root/tests/fuzz/planting.py" "$@"; }
check
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/tests/fuzz/planted" "$tree/tests/fuzz/targets" "$tree/src"
printf 'one\ntwo\ntwo\n' >"$tree/src/a.cpp"
for target in good gone twice same cut lone; do touch "$tree/tests/fuzz/targets/$target.cpp"; done
plant() { printf 'src/a.cpp\n----\n%s\n----\n%s\n' "$2" "$3" >"$tree/tests/fuzz/planted/$1"; }
plant good one 1
plant gone three 3
plant twice two 2
plant same one one
plant stray one 1
echo 'src/a.cpp' >"$tree/tests/fuzz/planted/cut"
got=$(check "$tree") && exit 1
wanted='planted/stray: no such target
targets/lone.cpp: no bug is planted for it
planted/cut: expected 3 parts with ---- between them; got 1
planted/gone: its text stands 0 times in src/a.cpp
planted/same: it changes nothing
planted/twice: its text stands 2 times in src/a.cpp'
[ "$got" = "$wanted" ] || { printf 'expected:\n%s\ngot:\n%s\n' "$wanted" "$got"; exit 1; }
