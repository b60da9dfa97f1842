#!/usr/bin/env bash
# Runs a whole federation with one process a tick, as cron would, and prints the wall time and peak memory of every tick.
# Usage: Scripts/measure.sh PICTURES OUT [ROUNDS] [SIZE] [GROUPS.csv]
#   PICTURES  class folders       OUT  a new folder for homes and split pictures
#   MODEL=FILE in the environment is the first model instead of a random smallcnn, PLAN=FILE a plan.yaml
#   for the session, but for its rounds
set -euo pipefail
if [ "$#" -lt 2 ]; then
    sed -n '3,6p' "$0" | sed 's/^# //' >&2
    exit 64
fi
pictures=$(realpath "$1")
out=$2
rounds=${3:-10}
size=${4:-128}
groups=${5:+$(realpath "$5")}
model=${MODEL:+$(realpath "$MODEL")}
plan=${PLAN:+$(realpath "$PLAN")}
PATH="$(cd "$(dirname "$0")/.." && pwd)/.build/release:$PATH"
classes=$(find "$pictures" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | LC_ALL=C sort | paste -sd, -)
mkdir "$out"
cd "$out"

split=(data split "$pictures" split --clients 3 --test 0.2 --seed 1)
if [ -n "$groups" ]; then split+=(--groups "$groups"); fi
consilium "${split[@]}"
consilium server init --home server --name server --quiet
printf 'learning_rate: 0.001\nlocal_epochs: 2\n' >>server/consilium.yaml
if [ -n "$model" ]; then
    consilium model import --home server "$model" --quiet
else
    consilium model init --home server --arch smallcnn --classes "$classes" --size "$size" --seed 1 >/dev/null
fi
consilium server invite --home server >/dev/null
cp server/outbox/*.tar invite.tar
for i in 1 2 3; do
    consilium client init --home "client-$i" --name "client-$i" --invite invite.tar --data "split/client-$i" >/dev/null
    consilium client request --home "client-$i" --rounds "$rounds" --quiet
    cp "client-$i"/outbox/* server/inbox/
done
consilium server run --home server >/dev/null
mv server/enrolments/pending/*.tar server/enrolments/approved/
consilium server run --home server >/dev/null
mkdir -p server/requests/approved/measured
if [ -n "$plan" ]; then
    { cat "$plan"; printf 'rounds: %s\n' "$rounds"; } >server/requests/approved/measured/plan.yaml
fi
mv server/requests/pending/*.tar server/requests/approved/measured/
consilium server run --home server >/dev/null

printf '%-10s %5s %9s %10s\n' tick round 'wall s' 'peak MiB'
tick() {
    local home=$1 round=$2 figures
    shift 2
    figures=$({ command time -f '%e %M' "$@" >/dev/null; } 2>&1 | tail -n 1)
    awk -v home="$home" -v round="$round" -v figures="$figures" \
        'BEGIN { split(figures, f, " "); printf "%-10s %5d %9.2f %10.1f\n", home, round, f[1], f[2] / 1024 }'
}
for round in $(seq 1 "$rounds"); do
    for i in 1 2 3; do
        cp server/outbox/* "client-$i/inbox/"
        tick "client-$i" "$round" consilium client run --home "client-$i"
        cp "client-$i"/outbox/* server/inbox/
    done
    tick server "$round" consilium server run --home server
done
cp server/outbox/* client-1/inbox/
consilium client run --home client-1 >/dev/null
tick idle "$rounds" consilium client run --home client-1
consilium client accept 1 --home client-1
consilium evaluate split/test --home client-1
