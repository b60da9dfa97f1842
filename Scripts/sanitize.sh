#!/usr/bin/env bash
# Tests under the sanitizers, each with a build of its own: AddressSanitizer on everything that reads foreign bytes,
# ThreadSanitizer on the kernels that compute on several threads. Usage: Scripts/sanitize.sh [address|thread]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=Scripts/sanitized.sh
. Scripts/sanitized.sh

address() {
    build_with_address_sanitizer
    echo "sanitize: Wire, Bundles, Images and the fuzzers' corpora under AddressSanitizer"
    quietly swift test -c release --skip-build --scratch-path .build-address --sanitize=address \
        --filter 'WireTests|BundlesTests|ImagesTests|FuzzTests'
}

thread() {
    export CONSILIUM_SANITIZE=thread
    unset CONSILIUM_FUZZER
    quietly swift build -c release --build-tests --scratch-path .build-thread --sanitize=thread
    echo "sanitize: kernels under ThreadSanitizer"
    quietly swift test -c release --skip-build --scratch-path .build-thread --sanitize=thread --filter TensorsTests
}

case ${1:-both} in
    address) address ;;
    thread) thread ;;
    both) thread && address ;;
    *) sed -n '2,3s/^# \{0,1\}//p' "$0"; exit 64 ;;
esac
