#!/usr/bin/env bash
# Compiles the kernels for 64-bit ARM, and runs them in an emulator against plain loops where one is at hand.
# Usage: Scripts/arm.sh
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v aarch64-linux-gnu-gcc >/dev/null 2>&1; then
    echo "arm: skipped, there is no aarch64-linux-gnu-gcc (Debian's gcc-aarch64-linux-gnu)"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# The vector extension is clang's; the other compiler gives headers and the linker.
for source in Sources/CKernels/*.c Tests/KernelsOnArm/compare.c; do
    clang --target=aarch64-linux-gnu -isystem /usr/aarch64-linux-gnu/include -ISources/CKernels/include -O2 -Wall -Werror \
        -c "$source" -o "$folder/$(basename "$source" .c).o"
done
aarch64-linux-gnu-gcc -static "$folder"/*.o -lm -o "$folder/compare"
if ! command -v qemu-aarch64 >/dev/null 2>&1; then
    echo "arm: the kernels compile; not run, there is no qemu-aarch64 (Debian's qemu-user)"
    exit 0
fi
qemu-aarch64 "$folder/compare" neon
echo "arm: NEON kernels are good"
