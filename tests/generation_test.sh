#!/bin/sh
# generation_test.sh TANDEM: the same tokens as transformers (tests/reference/generation.py), in an
# environment that is installed where it is not there yet.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
"$root/scripts/setup_reference" transformers
exec "$root/.deps/transformers/bin/python" "$root/tests/reference/generation.py" "$1"
