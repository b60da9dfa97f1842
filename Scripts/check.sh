#!/usr/bin/env bash
# Style and structure, without building: swift-format, the arrows between modules, shellcheck, file sizes.
# Usage: Scripts/check.sh
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
step() { printf 'check: %s\n' "$*"; }

step "swift-format"
swift format lint --strict --recursive --parallel Package.swift Sources Tests || failed=1

step "import arrows"
mapfile -d '' swift_files < <(find Sources Tests -name '*.swift' -print0 | sort -z)
awk -f Scripts/check-arrows.awk Package.swift "${swift_files[@]}" || failed=1

step "shell scripts"
shellcheck Scripts/*.sh .ci/run || failed=1

step "file sizes (split past 500 lines)"
while IFS= read -r -d '' file; do
    lines=$(wc -l <"$file")
    if [ "$lines" -gt 500 ]; then
        printf 'check: %s has %s lines; split it along its ideas\n' "$file" "$lines"
        failed=1
    fi
done < <(find Sources Tests \( -name '*.swift' -o -name '*.c' -o -name '*.h' \) -print0)

step "top level"
# What stands at the top is part of the design: a new name there is a decision, not an accident.
expected=".ci .git .gitignore .swift-format LICENSE Package.swift README.md Scripts Sources Tests docs inbox outbox"
for entry in $(git ls-files | cut -d/ -f1 | sort -u); do
    case " $expected " in
        *" $entry "*) ;;
        *) printf 'check: %s does not belong at the top level\n' "$entry"; failed=1 ;;
    esac
done

step "tests named in the docs"
# Suite.test in backticks on a page must be a test that there is.
while read -r suite test; do
    if ! grep -rlE "(struct|class|extension) $suite\\b" Tests --include='*.swift' | xargs -r grep -qE "func $test\\b"; then
        printf 'check: the docs name %s.%s, which is no test\n' "$suite" "$test"
        failed=1
    fi
done < <(grep -ohE '`[A-Z][A-Za-z]*Tests\.[A-Za-z]+' README.md docs/*.md | tr -d '\140' | tr . ' ' | sort -u)

step "fault matrix"
# docs/FAULTS.md is made from docs/faults.txt: every row names tests that there are, and the page has every row.
while IFS='|' read -r fault _ tests; do
    fault=${fault%% }
    if [ -z "${tests// /}" ]; then
        printf 'check: docs/faults.txt: no test for "%s"\n' "$fault"
        failed=1
    fi
    for name in $tests; do
        if ! grep -rlE "(struct|class|extension) ${name%.*}\\b" Tests --include='*.swift' |
            xargs -r grep -qE "func ${name#*.}\\b"; then
            printf 'check: docs/faults.txt names %s, which is no test\n' "$name"
            failed=1
        fi
        if ! grep -qF "\`$name\`" docs/FAULTS.md; then
            printf 'check: docs/FAULTS.md lacks %s; make it anew with Scripts/fault-matrix.sh\n' "$name"
            failed=1
        fi
    done
done < <(grep -v '^#' docs/faults.txt)

if [ "$failed" -ne 0 ]; then
    echo "check: failed" >&2
    exit 1
fi
echo "check: all good"
