#!/bin/sh
# device-lock.sh DEVICE TORCH_CPU_SHA256 LOCK TORCH_LOCK > DEVICE_LOCK
# Writes the lock for a device: all of LOCK for cuda; for cpu without PyTorch and its CUDA libraries, and PyTorch's line
# (the lock's version, no hash unless one is given) into TORCH_LOCK.
set -eu
device=$1 sha256=$2 lock=$3 torch_lock=$4
: > "$torch_lock"
case $device in
  cuda) cat "$lock" ;;
  cpu)
    version=$(sed -n 's/^torch==\([^ ;]*\).*/\1/p' "$lock")
    [ -n "$version" ] || { echo "device-lock: no torch in $lock" >&2; exit 1; }
    if [ -n "$sha256" ]; then
      echo "torch==$version --hash=sha256:$sha256" > "$torch_lock"
    else
      echo "torch==$version" > "$torch_lock"
    fi
    # A requirement begins at the left edge; its hashes and remarks are indented below it.
    awk '/^[^ #]/ { left_out = ($0 ~ /^(torch|triton|nvidia-[a-z0-9-]*|cuda-[a-z0-9-]*)==/) } !left_out' "$lock"
    ;;
  *) echo "device-lock: DEVICE is cpu or cuda, not '$device'" >&2; exit 1 ;;
esac
