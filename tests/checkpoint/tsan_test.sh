#!/bin/sh
# tsan_test.sh TSAN_SAVER: no race in the background saver, and a planted one is found. 77: skipped.
set -u
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export TSAN_OPTIONS="exitcode=66 halt_on_error=0"
# Without address randomisation where that is allowed: gcc 12's sanitizer does not know every layout.
run=$1
if setarch -R true 2>/dev/null; then run="setarch -R $1"; fi
if $run 2>&1 | grep -q "unexpected memory mapping"; then
  echo "ThreadSanitizer cannot run on this kernel"
  exit 77
fi
$run "$folder/clean" >"$folder/log" 2>&1
code=$?
if [ $code -ne 0 ]; then cat "$folder/log"; echo "clean: exit code $code"; exit 1; fi
$run "$folder/planted" planted >"$folder/log" 2>&1
code=$?
if [ $code -ne 66 ]; then cat "$folder/log"; echo "planted: exit code $code, not 66"; exit 1; fi
grep -q "data race" "$folder/log"
