#!/usr/bin/env bash
# A federation of three hospitals on phantom pictures, from invite to prediction, on this machine. The homes lie in .demo/,
# the exchange between them is this repository's own inbox/ and outbox/. Needs Swift; installs the rest.
# Usage: Scripts/demo.sh
set -euo pipefail
cd "$(dirname "$0")/.."

Scripts/install.sh
swift build -c release --product consilium
started=$SECONDS
PATH="$PWD/.build/release:$PATH"
demo="$PWD/.demo"
hospitals=(hospital-a hospital-b hospital-c)
rm -rf "$demo"
rm -f inbox/*.tar* outbox/*.tar*
mkdir "$demo"

say() { printf '\n== %s\n' "$*"; }

say "Phantom pictures of four classes, split into three hospitals and a test set"
consilium data synthesize "$demo/phantoms" --per-class 80 --size 64 --seed 1
consilium data split "$demo/phantoms" "$demo/pictures" --clients 3 --test 0.2 --seed 1

say "The ministry makes a server's home, a first model with random weights, and an invite"
consilium server init --home "$demo/ministry" --name ministry
cat >>"$demo/ministry/consilium.yaml" <<YAML
exchange: $PWD
batch_size: 8
learning_rate: 0.002
YAML
consilium model init --home "$demo/ministry" --arch smallcnn \
    --classes glioma,meningioma,notumor,pituitary --size 64 --seed 1
consilium server invite --home "$demo/ministry"
cp "$demo"/ministry/outbox/invite-*.tar "$demo/invite.tar"

number=0
for hospital in "${hospitals[@]}"; do
    number=$((number + 1))
    say "$hospital makes its home from the invite and sends its enrolment and a request"
    consilium client init --home "$demo/$hospital" --name "$hospital" --invite "$demo/invite.tar" \
        --data "$demo/pictures/client-$number"
    printf 'exchange: %s\n' "$PWD" >>"$demo/$hospital/consilium.yaml"
    consilium client request --home "$demo/$hospital" --rounds 8 --local-epochs 2
done

say "The server's cron tick lays the enrolments on the admin's desk"
consilium server run --home "$demo/ministry"
say "The admin has compared the fingerprints by telephone, and approves by moving the files"
mv "$demo"/ministry/enrolments/pending/*.tar "$demo/ministry/enrolments/approved/"
consilium server run --home "$demo/ministry"
say "The three requests are to train together: the admin moves them into one folder"
mkdir -p "$demo/ministry/requests/approved/spring"
mv "$demo"/ministry/requests/pending/*.tar "$demo/ministry/requests/approved/spring/"
consilium server run --home "$demo/ministry"

say "Nights and mornings: each hospital trains on its own pictures, the server averages"
night=0
while [ ! -f "$demo/ministry/versions/0001/version.json" ]; do
    night=$((night + 1))
    if [ "$night" -gt 12 ]; then
        echo "demo: the session did not finish in $night nights" >&2
        consilium server sessions --home "$demo/ministry" >&2
        exit 70
    fi
    for hospital in "${hospitals[@]}"; do consilium client run --home "$demo/$hospital"; done
    consilium server run --home "$demo/ministry"
done
consilium server history spring --home "$demo/ministry"

say "Each hospital looks at the finished model and accepts it"
for hospital in "${hospitals[@]}"; do
    consilium client run --home "$demo/$hospital" >/dev/null
    consilium client updates --home "$demo/$hospital"
    consilium client accept 1 --home "$demo/$hospital"
done

say "hospital-a uses it, on pictures that nobody trained on"
for class in glioma meningioma notumor pituitary; do
    pictures=("$demo/pictures/test/$class"/*)
    consilium predict --home "$demo/hospital-a" "${pictures[0]}"
done
consilium evaluate "$demo/pictures/test" --home "$demo/hospital-a"
say "Anybody with the signed updates can prove the averages"
consilium server verify spring --home "$demo/ministry"

cat <<TEXT

Done in $((SECONDS - started)) seconds after the build. Where to look:
  .demo/ministry/versions/0001/card.md       the model card: who contributed, how it scored
  .demo/ministry/audit/audit.jsonl           every decision, hash-chained
  .demo/hospital-a/models/                   the accepted model (safetensors)
  inbox/ outbox/                             the bundles on their way, signed and encrypted; to look into one:
    consilium bundle inspect outbox/global-*.tar.age --home .demo/hospital-a
  .build/release/consilium --help
TEXT
