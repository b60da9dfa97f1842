#!/usr/bin/env bash
# Everything that takes longer than a test run should: the program killed, and failed by its disk or its share, at every call
# of every tick of a session (TortureTests, ShareTortureTests: hours on two cores), and its power cut at every
# operation (CrashTests: longer).
#
#   Scripts/torture.sh [SUITE...]        default: all suites that try every point with CONSILIUM_TORTURE
#
# What was tried goes to docs/sweeps.txt, from which Scripts/fault-matrix.sh makes its table.
#
# CONSILIUM_TORTURE=100 tries so many points of each tick, and CONSILIUM_SEED=2 with it others than the test run's;
# CONSILIUM_TICKS=train,final keeps the suites of ticks to those, CONSILIUM_STEPS="0 1 2" CrashTests to those of their steps.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! strace -f -e trace=openat -o /dev/null true 2>/dev/null; then
    echo "torture: strace is missing or may not trace here (ptrace); the program is neither killed nor failed in its calls" >&2
fi
suites=("$@")
[ "${#suites[@]}" -gt 0 ] || suites=(TortureTests ShareTortureTests CrashTests)
swift build -c release --build-tests
export CONSILIUM_TORTURE=${CONSILIUM_TORTURE:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
commit=$(git rev-parse --short=7 HEAD)
[ -z "$(git status --porcelain -- Package.swift Sources Tests)" ] || commit=$commit+
: >"$work/failed"

# One process of tests, and what it tried. Each failed expectation is told in a line that names the tick or step.
sweep() {
    local name=$1 log=$work/log-$1 suite step kind tried all
    shift
    CONSILIUM_SWEEPS=$work/tried-$name swift test -c release --skip-build --filter "$@" >"$log" 2>&1 || echo "$name" >>"$work/failed"
    grep -ae '✘' -e '^torture: ' -e '^crash points: ' -e '^skipped: ' "$log" || true
    [ -f "$work/tried-$name" ] || return 0
    # A step's failures are the lines that name it: "STEP, POINT: ...", whatever the kind of fault.
    while IFS=$'\t' read -r suite step kind tried all; do
        local failures
        failures=$(grep -ae '✘.*recorded an issue' -A 2 "$log" | grep -acF -e "${step#[0-9]* }, " || true)
        printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$suite" "$step" "$kind" "$tried" "$all" "$failures" "$commit"
    done <"$work/tried-$name" >"$work/new-$name"
}

# Each step in a process of its own; whoever makes the folder first has the step. One that is not there tries nothing.
crash_steps() {
    local step
    for step in ${CONSILIUM_STEPS:-$(seq 0 999)}; do
        mkdir "$work/claim-$step" 2>/dev/null || continue
        CONSILIUM_STEP=$step sweep "step-$step" 'CrashTests/(aLoss|anError)'
        [ -f "$work/tried-step-$step" ] || break
    done
}

for suite in "${suites[@]}"; do
    if [ "$suite" = CrashTests ]; then
        crash_steps &
        crash_steps &
        wait
    else
        sweep "$suite" "$suite/"
    fi
done

# The newest line of each suite, step and kind stays; steps that are not there any more go with a sweep of their suite by hand.
{
    echo "# Made by Scripts/torture.sh: suite, step, fault, points tried, points there are, failures, commit; with tabs between."
    cat docs/sweeps.txt "$work"/new-* 2>/dev/null | awk -F'\t' '!/^#/ { line[$1 FS $2 FS $3] = $0 } END { for (key in line) print line[key] }' | sort
} >"$work/sweeps"
cp "$work/sweeps" docs/sweeps.txt
if [ -s "$work/failed" ]; then
    echo "torture: failed: $(paste -sd' ' "$work/failed")" >&2
    exit 1
fi
