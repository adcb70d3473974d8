#!/bin/sh
# The bundle of scripts/package runs in a root that has glibc, a shell and six small tools, and
# nothing else but the folder of torch. Needs root, for chroot: exits 77 (skipped) without.
#
# usage: package_test.sh [BARE_ROOT]: in that root instead (one that debootstrap made)
set -eu
project=$(cd "$(dirname "$0")/../.." && pwd)
if [ "$(id -u)" -ne 0 ]; then
  echo "skipped: chroot needs root"
  exit 77
fi
# The inner call has mounts of its own, which go with it: what is removed below never holds one.
if [ -z "${TANDEM_PACKAGE_TEST:-}" ]; then
  work=$(mktemp -d)
  mkdir "$work/root"
  status=0
  TANDEM_PACKAGE_TEST=$work unshare --mount --propagation private "$0" "$@" || status=$?
  rm -rf --one-file-system "$work"
  exit "$status"
fi
work=$TANDEM_PACKAGE_TEST
root=${1:-$work/root}

"$project/scripts/package" "$work/out"
[ "$(wc -c <"$work/out.tar.gz")" -le 62914560 ]
[ $# -gt 0 ] || mount -t tmpfs tmpfs "$root"

if [ $# -eq 0 ]; then
  mkdir -p "$root/bin" "$root/lib64" "$root/tmp" "$root/dev" "$root/proc"
  for tool in sh dirname basename readlink sed grep; do
    path=$(readlink -f "$(command -v "$tool")")
    cp "$path" "$root/bin/$tool"
    ldd "$path" | grep -o '/[^ ]*' | while read -r library; do
      mkdir -p "$root$(dirname "$library")"
      cp -L "$library" "$root$library"
    done
  done
  # The parts of glibc that the tools above do not use.
  for name in libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libutil.so.1; do
    library=$(ldconfig -p | sed -n "s/.*\b$name (libc6,x86-64) => //p" | head -n 1)
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
  done
fi
mkdir -p "$root/opt/torch"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind "$(echo "$project"/.deps/python/lib/python3*/site-packages/torch)" "$root/opt/torch"
mount -o remount,bind,ro "$root/opt/torch"
rm -rf "$root/opt/out"
tar -C "$root/opt" -xzf "$work/out.tar.gz"

inside() { env -i PATH=/usr/sbin:/sbin:/usr/bin:/bin HOME=/tmp "$@"; }
status=0
inside chroot "$root" /bin/sh /opt/out/tandem --help >"$work/log" 2>&1 || status=$?
if [ "$status" -ne 64 ] || ! grep -q TANDEM_TORCH_DIR "$work/log"; then
  cat "$work/log"
  echo "expected 64 and advice without torch; got $status"
  exit 1
fi
inside TANDEM_TORCH_DIR=/opt/torch chroot "$root" /bin/sh /opt/out/tandem --help | grep -q train
# Stopped in the middle, the same line goes on to the end.
cp "$project/tests/end_to_end/tiny.yaml" "$root/opt/tiny.yaml"
rm -rf "$root/tmp/run"
train() {
  inside TANDEM_TORCH_DIR=/opt/torch OMP_NUM_THREADS=2 chroot "$root" /bin/sh /opt/out/tandem train \
    /opt/tiny.yaml --out /tmp/run "$@"
}
status=0
train --stop-after 3 || status=$?
[ "$status" = 75 ]
train
[ "$(grep -c '"step"' "$root/tmp/run/metrics.jsonl")" = 20 ]
echo "the bundle trains in a bare root"
