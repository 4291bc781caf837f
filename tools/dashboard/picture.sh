#!/bin/sh
# Makes assets/dashboard.svg anew, from a real run: a load test of the default pipeline whose embeddings come from a simulated
# model service that takes eight calls at once, begun with a width of 2 for them and handed over to the tuner.
#
#   cargo build --release && sh tools/dashboard/picture.sh [docmill]
set -eu
cd "$(dirname "$0")/../.."
program=$(realpath "${1:-target/release/docmill}")
work=$(mktemp -d)
service=
trap 'kill "$service" 2>/dev/null || true; rm -rf "$work"' EXIT
"$program" simulate --listen 127.0.0.1:18321 --concurrency 8 --latency 150ms > "$work/service" 2>&1 &
service=$!
until grep -q listening "$work/service"; do
  kill -0 "$service" 2>/dev/null || { cat "$work/service" >&2; exit 1; }
  sleep 0.1
done
cp pipeline.toml "$work/pipeline.toml"
cd "$work"
"$program" load --documents 20000 --median-size 4KiB --formats text=50,md=30,html=20 --profile '200/s for 75s' --ui none \
  --record run.jsonl --set providers.work.kind='"openai"' --set providers.work.base_url='"http://127.0.0.1:18321/v1"' \
  --set providers.work.model='"simulated"' --set providers.work.dimensions=256 \
  --set stages.embed.provider='"work"' --set 'stages.embed.batch={items=8,tokens=8000,wait="20ms"}' \
  --set 'stages.embed.width={min=1,max=32}' > /dev/null || true
cd - > /dev/null
"$program" top --replay "$work/run.jsonl" --picture "${SECONDS_IN:-62}" --select embed > assets/dashboard.svg
