#!/bin/sh
# scripts/check_layers finds each kind of violation, at its line, and nothing else: on a small tree
# of its own.
set -eu
check=$(cd "$(dirname "$0")/../.." && pwd)/scripts/check_layers
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/include/tandem/base" "$tree/src/base" "$tree/src/data" "$tree/src/models/albatross" \
  "$tree/src/attic" "$tree/src/text" "$tree/src/train"
cat >"$tree/ARCHITECTURE.md" <<'TABLE'
| room | may include | tier |
|---|---|---|
| base | - | 0 |
| text | base | 0 |
| data | base text | 1 |
| models | base data | 2 |
| train | base models | 2 |
TABLE
echo '#include <string>' >"$tree/include/tandem/base/error.h"
printf '// for albatross, says a comment\n#include "tandem/base/error.h"\n#include <ATen/core/Tensor.h>\n' >"$tree/src/data/good.cpp"
printf '#include "tandem/data/sample.h"\n#include <torch/nn/module.h>\n' >"$tree/src/models/albatross/model.cpp"
echo 'int albatross_tokens = 1;' >"$tree/src/text/good.cpp"
expect() {  # expect CODE: what the check prints, sorted, is on stdin
  wanted=$(sort)
  status=0
  got=$("$check" "$tree" | sort) || status=$?
  "$check" "$tree" >/dev/null && status=0 || status=$?
  if [ "$status" != "$1" ] || [ "$got" != "$wanted" ]; then
    printf 'expected exit %s and:\n%s\ngot exit %s and:\n%s\n' "$1" "$wanted" "$status" "$got"
    exit 1
  fi
}

expect 0 </dev/null

printf '\n#include "tandem/data/sample.h"\n' >"$tree/src/base/upward.cpp"
printf '#include "data/private.h"\n' >"$tree/src/text/private.cpp"
printf '#include <ATen/core/Tensor.h>\n' >"$tree/src/text/torch.cpp"
printf '#include <vector>\n#include <torch/nn/module.h>\n' >"$tree/src/data/module.cpp"
printf '#  include <torch/torch.h>\n' >"$tree/src/train/all.cpp"
printf 'int x = 0;\nbool is_it = name == "Albatross";\n' >"$tree/src/train/ladder.cpp"
printf 'int old = 0;\n' >"$tree/src/attic/old.cpp"
expect 1 <<'EXPECTED'
src/base/upward.cpp:2: base may not include data
src/text/private.cpp:1: text may not include data
src/text/torch.cpp:1: text may not include torch
src/data/module.cpp:2: data may not include torch/nn/module.h
src/train/all.cpp:1: train may not include torch/torch.h
src/train/ladder.cpp:2: train names the family Albatross
src/attic/old.cpp:1: attic is not a room of ARCHITECTURE.md's table
EXPECTED
