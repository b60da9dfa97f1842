#!/usr/bin/env bash
# Makes docs/FAULTS.md: runs the tests that docs/faults.txt names, and lays beside each fault what was tried and what came of it.
# Usage: Scripts/fault-matrix.sh            after a build; CONSILIUM_TORTURE=1 tries every point of the torture rows
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rows() { grep -v '^#' docs/faults.txt | sed 's/ *| */|/g'; }
filter=$(rows | cut -d'|' -f3 | tr ' ' '\n' | sed '/^$/d; s/\./\//' | sort -u | paste -sd'|')
CONSILIUM_FAULTS=$work/points swift test -c release --skip-build --filter "$filter" --xunit-output "$work/results.xml" \
    >"$work/log" 2>&1 || true
[ -z "${FAULT_LOG:-}" ] || cp "$work/log" "$FAULT_LOG"
results=$(ls "$work"/results*-swift-testing.xml)
touch "$work/points"

# SUITE.TEST of what ran, failed, was skipped
# shellcheck disable=SC2016
named='match($0, /classname="[^"]*"/) { suite = substr($0, RSTART + 11, RLENGTH - 12); sub(/.*[.]/, "", suite)
    match($0, / name="[^"(]*/); test = suite "." substr($0, RSTART + 7, RLENGTH - 7) }'
awk "$named"' /<testcase/ { print test }' "$results" | sort -u >"$work/ran"
awk "$named"' /<failure/ { print test }' "$results" | sort -u >"$work/failed"
awk "$named"' /<skipped/ { print test }' "$results" | sort -u >"$work/skipped"

{
    cat <<'HEAD'
# Faults

**Invariant after every case: the state is the one before or the one after, a rerun converges, and the next good bundle still works.**

This page is made by `Scripts/fault-matrix.sh` from `docs/faults.txt` and from what the tests themselves counted. "Points" are the faults that
were tried one by one (offsets, bits, file operations, system calls, inputs); 1 is one scenario. `Scripts/torture.sh` tries every system call of
every tick of a session where a test run takes a sample.

| fault | what must happen | test | points | result |
|---|---|---|---|---|
HEAD
    rows | while IFS='|' read -r fault expected tests; do
        for test in $tests; do
            points=$(awk -F'\t' -v test="$test" '$1 == test { sum += $2 } END { print sum ? sum : 1 }' "$work/points")
            result="not run"
            if grep -qx "$test" "$work/failed"; then
                result=FAILED
            elif grep -qx "$test" "$work/skipped"; then
                result=skipped
                points=0
            elif grep -qx "$test" "$work/ran"; then
                result=holds
            fi
            echo "| $fault | $expected | \`$test\` | $points | $result |"
            fault="" expected=""
        done
    done
    cat <<'TAIL'

"skipped" is a test whose tool is missing on the machine that made this page, or may not do there what it does, such as `strace` in a container.

`Scripts/torture.sh` tried all points of `TortureTests` on an earlier version: 3,658 kills and 22,095 errors of the disk, over 14 ticks; every one
holds. `CrashTests` have 10,734 power cuts and some 13,600 errors in all, over 21 runs. On the version of this page every point of twelve runs was tried
(enrolment, requests, a hospital's training, the idle run at the end): 3,888 power cuts and 5,811 errors; on versions just before it every point of seven
others, and the power cuts of one more. Every one holds; one run's points and another one's errors are left, and no version has seen every one.
TAIL
} >docs/FAULTS.md
printf 'fault-matrix: %s rows, %s points\n' "$(rows | wc -l)" "$(awk -F'|' '/^\|/ { sum += $5 } END { print sum }' docs/FAULTS.md)"
if grep -e '| FAILED |$' -e '| not run |$' docs/FAULTS.md; then exit 1; fi
