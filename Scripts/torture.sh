#!/usr/bin/env bash
# Everything that takes longer than a test run should: the program killed, and failed by its disk, at every system call of
# every tick of a session (TortureTests: an hour on two cores), and its power cut at every operation (CrashTests: longer).
#
#   Scripts/torture.sh [SUITE...]        default: all suites that know CONSILIUM_TORTURE
#
# CONSILIUM_TORTURE=100 tries so many points of each tick, and CONSILIUM_SEED=2 with it others than the test run's;
# CONSILIUM_TICKS=train,final keeps TortureTests to those ticks.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! strace -f -e trace=openat -o /dev/null true 2>/dev/null; then
    echo "torture: strace is missing or may not trace here (ptrace); the program is neither killed nor failed in its calls" >&2
fi
suites=("$@")
if [ "${#suites[@]}" -eq 0 ]; then
    mapfile -t suites < <(grep -lr 'CONSILIUM_TORTURE' Tests --include='*.swift' | xargs -n 1 basename -s .swift | grep 'Tests$' | sort -u)
fi
swift build -c release --build-tests
CONSILIUM_TORTURE=${CONSILIUM_TORTURE:-1} swift test -c release --skip-build --filter "$(IFS='|'; echo "${suites[*]}")" |
    grep -v -e '^◇' -e ' started\.$'
