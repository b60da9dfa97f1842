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
# What a test's cases needed and this machine does not have, as "SUITE.TEST <tab> WHAT".
awk -F'\t' '$2 == "skipped" { sub(/:.*/, "", $3); print $1 "\t" $3 }' "$work/points" | sort -u >"$work/missing"
# The page is of the tree as committed, or says that it is not.
commit=$(git rev-parse --short=7 HEAD)
[ -z "$(git status --porcelain -- Package.swift Sources Tests)" ] || commit="$commit and changes to it"

# docs/sweeps.txt as a table: for each suite and kind of fault, what the last sweeps tried of what there is.
sweeps() {
    echo "| suite | fault | steps | points tried | points there are | failures | at commit |"
    echo "|---|---|---|---|---|---|---|"
    awk -F'\t' '!/^#/ {
        key = $1 "` | " $3
        if (!(key in steps)) order[++count] = key
        steps[key]++; tried[key] += $4; all[key] += $5; failed[key] += $6
        if (index(" " commits[key] " ", " " $7 " ") == 0) commits[key] = commits[key] (commits[key] ? " " : "") $7
    } END {
        for (number = 1; number <= count; number++) {
            key = order[number]
            print "| `" key " | " steps[key] " | " tried[key] " | " all[key] " | " failed[key] " | " commits[key] " |"
        }
    }' docs/sweeps.txt
}

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
            points=$(awk -F'\t' -v test="$test" '$1 == test && $2 != "skipped" { sum += $2; found = 1 }
                $1 == test && $2 == "skipped" { found = 1 } END { print found ? sum + 0 : 1 }' "$work/points")
            missing=$(awk -F'\t' -v test="$test" '$1 == test { print $2 }' "$work/missing" | paste -sd'+' | sed 's/+/, /g')
            result="not run"
            if grep -qx "$test" "$work/failed"; then
                result=FAILED
            elif grep -qx "$test" "$work/skipped"; then
                result=skipped
                points=0
            elif [ -n "$missing" ] && [ "$points" -eq 0 ]; then
                result=skipped
            elif grep -qx "$test" "$work/ran"; then
                result="holds${missing:+, not tried: $missing}"
            fi
            echo "| $fault | $expected | \`$test\` | $points | $result |"
            fault="" expected=""
        done
    done
    cat <<TAIL

"skipped" is a test whose tool is missing on the machine that made this page, or may not do there what it does, such as \`strace\` in a container;
"not tried" are those of a test's cases of which that is true. The page was made at commit $commit.

## Full sweeps

What \`Scripts/torture.sh\` tried at its last run over each step, as it wrote it to \`docs/sweeps.txt\`. A step is one command of a session.

TAIL
    sweeps
} >docs/FAULTS.md
printf 'fault-matrix: %s rows, %s points\n' "$(rows | wc -l)" "$(awk -F'|' '/^\|/ { sum += $5 } END { print sum }' docs/FAULTS.md)"
if grep -e '| FAILED |$' -e '| not run |$' docs/FAULTS.md; then
    # Why: a failure that comes once in many runs is told here or nowhere.
    grep -a -A 3 '✘' "$work/log" >&2 || tail -50 "$work/log" >&2
    exit 1
fi
