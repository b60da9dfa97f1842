#!/usr/bin/env bash
# Lets libFuzzer look for inputs that break a parser, under AddressSanitizer, from the committed corpora on.
#
#   Scripts/fuzz.sh TARGET|all SECONDS      SECONDS for each target
#   Scripts/fuzz.sh seeds FOLDER            good inputs, as the committed corpora began
#   Scripts/fuzz.sh merge TARGET FOLDER     keeps of FOLDER's inputs in the committed corpus what reaches something new
#
# CONSILIUM_FUZZ_SEED=N repeats a run. What is new goes to .build-address/corpus/TARGET, an input that breaks something to
# .build-address/found/. Put such an input into Tests/FuzzTests/Corpus/TARGET once the fault is mended: CorpusTests tries it for ever after.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=Scripts/sanitized.sh
. Scripts/sanitized.sh

[ $# -ge 2 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 64; }
build_with_address_sanitizer
program=.build-address/release/FuzzDriver
corpora=Tests/FuzzTests/Corpus
# The same number tries the same inputs in the same order, as far as the time goes; 0 draws another one each time.
seed=${CONSILIUM_FUZZ_SEED:-0}

fuzz() {
    local target=$1 seconds=$2 log
    mkdir -p ".build-address/corpus/$target" .build-address/found
    log=.build-address/found/$target.log
    if ! "$program" "$target" ".build-address/corpus/$target" "$corpora/$target" "-max_total_time=$seconds" "-seed=$seed" -timeout=10 \
        -rss_limit_mb=2048 -malloc_limit_mb=512 "-artifact_prefix=.build-address/found/$target-" -print_final_stats=1 \
        -verbosity=1 >"$log" 2>&1; then
        echo "fuzz: $target broke; the end of $log:"
        tail -n 40 "$log"
        return 1
    fi
    local runs edges
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    printf 'fuzz: %-15s %9s inputs, %5s edges reached, nothing broke\n' "$target" "$runs" "$edges"
}

case $1 in
    seeds) exec "$program" seeds "$2" ;;
    merge) exec "$program" "$2" -merge=1 "$corpora/$2" "$3" ;;
    all)
        # As many at once as there are cores: each uses one.
        failed=0 running=0
        for folder in "$corpora"/*/; do
            if [ "$running" -ge "$(nproc)" ]; then
                wait -n || failed=1
                running=$((running - 1))
            fi
            fuzz "$(basename "$folder")" "$2" &
            running=$((running + 1))
        done
        for ((; running > 0; running--)); do wait -n || failed=1; done
        exit "$failed"
        ;;
    *) fuzz "$1" "$2" ;;
esac
