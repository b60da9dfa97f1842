#!/usr/bin/env bash
# Installs the system libraries and tools that building and testing need, where they are missing (Debian, Ubuntu).
# Usage: Scripts/install.sh [--tests]     --tests adds what only the tests use
set -euo pipefail

packages=(libarchive-dev libpng-dev libjpeg-dev pkg-config)
if [ "${1:-}" = "--tests" ]; then
    packages+=(shellcheck openssh-client age jq strace)
    # For real mounts: sshd on a port of 127.0.0.1 and sshfs, and exFAT in a file. Tests that miss one of them say so and skip.
    packages+=(openssh-server sshfs exfat-fuse exfatprogs procps)
    # The kernels of the other architecture are compiled and run in an emulator.
    if [ "$(uname -m)" = x86_64 ]; then
        packages+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)
    fi
fi

if ! command -v swift >/dev/null 2>&1; then
    echo "install: swift is missing; install Swift 6.3 or later from https://www.swift.org/install and put it on PATH" >&2
    exit 69
fi
version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
if [ -z "$version" ] || [ "$(printf '%s\n6.3\n' "$version" | sort -V | head -n 1)" != "6.3" ]; then
    echo "install: Swift 6.3 or later is needed, found ${version:-no version}" >&2
    exit 69
fi

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
done
[ "${#missing[@]}" -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "install: these packages are missing and neither root nor sudo is at hand: ${missing[*]}" >&2
        exit 77
    fi
    as_root=(sudo)
fi
echo "install: ${missing[*]}"
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
