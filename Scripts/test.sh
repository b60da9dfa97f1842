#!/usr/bin/env bash
# Everything that must hold before a change lands: installs what is missing, builds once, checks style and arrows, runs
# all tests. Usage: Scripts/test.sh [arguments for swift test, for example --filter BundlesTests]
set -euo pipefail
cd "$(dirname "$0")/.."

Scripts/install.sh --tests
Scripts/check.sh
Scripts/arm.sh
# One release build serves the tests, the demo and daily use; a second set of flags would rebuild everything.
swift build -c release --build-tests
swift test -c release --skip-build "$@"
