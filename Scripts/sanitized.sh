#!/usr/bin/env bash
# Sourced by fuzz.sh and sanitize.sh: one build under AddressSanitizer, with libFuzzer's instrumentation, serves both.

# The backtracer would wait for a debugger that is not there, and a crash says enough without it.
export SWIFT_BACKTRACE=enable=no
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}

# Where this toolchain keeps libFuzzer without a main function of its own.
fuzzer_library() {
    local resources
    resources=$(swiftc -print-target-info | sed -n 's/.*"runtimeResourcePath" *: *"\(.*\)".*/\1/p')
    local library
    library=$resources/clang/lib/linux/libclang_rt.fuzzer_no_main-$(uname -m).a
    [ -f "$library" ] || return 1
    printf '%s\n' "$library"
}

build_with_address_sanitizer() {
    CONSILIUM_FUZZER=$(fuzzer_library) || {
        echo "fuzz: this Swift brings no libFuzzer (libclang_rt.fuzzer_no_main); install the one from swift.org" >&2
        exit 69
    }
    export CONSILIUM_FUZZER CONSILIUM_SANITIZE=address
    quietly swift build -c release --build-tests --scratch-path .build-address --sanitize=address
}

# Runs a command; of what it prints only the last line is shown, or where it fails the end.
# The linker warns of hundreds of symbols of the sanitizer's own; they say nothing about this program.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 || status=$?
    if [ "$status" -eq 0 ]; then
        grep -e 'Test run with' -e 'Build complete' "$log" || true
    else
        grep -v -e 'Cannot export local symbol' -e '^◇' -e ' started\.$' -e '^✔' "$log" | tail -n 80
    fi
    rm -f "$log"
    return "$status"
}
