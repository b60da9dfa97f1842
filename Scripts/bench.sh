#!/usr/bin/env bash
# Times this engine, and PyTorch beside it on demand, run by run in turn. Let nothing else run meanwhile.
# Usage: Scripts/bench.sh [--compare FOLDER] [options of 'consilium bench']
#   --compare FOLDER  put PyTorch into a virtual environment in FOLDER (outside the checkout; about 1 GB, kept for the next
#                     time), and run it twice: as it comes, and with the allocator that keeps its memory; with --job also
#                     TensorFlow, in FOLDER/tensorflow (1.5 GB), which alone does whole jobs
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = "--help" ] || [ "${1:-}" = "-h" ]; then
    sed -n '2,6p' "$0" | sed 's/^# //'
    exit 0
fi
peers=()
if [ "${1:-}" = "--compare" ]; then
    folder=$(realpath -m "${2:?--compare needs a folder}")
    shift 2
    case "$folder/" in "$PWD"/*) echo "bench: choose a folder outside $PWD" >&2; exit 64 ;; esac
    python="$folder/bin/python"
    if ! "$python" -c 'import torch' 2>/dev/null; then
        python3 -m venv "$folder"
        "$python" -m pip install --quiet torch numpy
    fi
    # PyTorch returns large blocks to the system after each step and pays for their pages in the next; so it keeps them.
    tuned=GLIBC_TUNABLES=glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=17179869184:glibc.malloc.mmap_max=0
    peers=(
        --peer "pytorch=$python -B Scripts/bench_torch.py"
        --peer "pytorch, tuned=env $tuned $python -B Scripts/bench_torch.py"
    )
    case " $* " in *" --job "*)
        python="$folder/tensorflow/bin/python"
        if ! "$python" -c 'import tensorflow' 2>/dev/null; then
            python3 -m venv "$folder/tensorflow"
            "$python" -m pip install --quiet tensorflow-cpu
        fi
        peers+=(--peer "tensorflow=$python -B Scripts/bench_tensorflow.py")
        ;;
    esac
fi
swift build -c release --product consilium >&2
.build/release/consilium bench "${peers[@]}" "$@"
