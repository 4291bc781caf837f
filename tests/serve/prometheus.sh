#!/usr/bin/env bash
# A real Prometheus scrapes a running service: it is up, what it says is read, the shipped rules load and are evaluated
# without an error, and every query of the dashboard is one that Prometheus understands.
#
#   tests/serve/prometheus.sh http://127.0.0.1:8080 [KEY_FILE]
#
# Needs prometheus and promtool (Debian: apt-get install prometheus), curl, jq and python3.
set -euo pipefail

url=${1:?"usage: $0 URL [KEY_FILE]"}
key_file=${2:-}
root=$(cd "$(dirname "$0")/../.." && pwd)
for program in prometheus promtool curl jq python3; do
    command -v "$program" >/dev/null || { echo "$program is not installed" >&2; exit 2; }
done

directory=$(mktemp -d)
prometheus=
cleanup() {
    if [ -n "$prometheus" ]; then kill "$prometheus" 2>/dev/null || true; wait "$prometheus" 2>/dev/null || true; fi
    rm -rf "$directory"
}
trap cleanup EXIT
fail() {
    echo "FAILED: $*" >&2
    tail -n 20 "$directory/log" 2>/dev/null >&2 || true
    exit 1
}

promtool check rules "$root/dashboards/alerts.yml" || fail "the rules"
(cd "$root/dashboards" && promtool test rules alerts_test.yml) || fail "when the rules fire"

scheme=${url%%://*}
target=${url#*://}
target=${target%%/*}
{
    echo "global: { scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }"
    echo "rule_files: ['$root/dashboards/alerts.yml']"
    echo "scrape_configs:"
    echo "  - job_name: docmill"
    echo "    scheme: $scheme"
    if [ -n "$key_file" ]; then
        echo "    authorization: { type: Bearer, credentials_file: '$(realpath "$key_file")' }"
    fi
    echo "    static_configs: [{ targets: ['$target'] }]"
} >"$directory/prometheus.yml"
promtool check config "$directory/prometheus.yml" >"$directory/check" || { cat "$directory/check"; fail "the configuration"; }

headers=()
if [ -n "$key_file" ]; then headers=(-H "Authorization: Bearer $(cat "$key_file")"); fi
curl -fsS "${headers[@]}" "$url/metrics" >"$directory/metrics" || fail "/metrics does not answer"
promtool check metrics <"$directory/metrics" || fail "promtool has something to say of /metrics"

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
api=http://127.0.0.1:$port
prometheus --config.file="$directory/prometheus.yml" --storage.tsdb.path="$directory/data" \
    --web.listen-address="127.0.0.1:$port" >"$directory/log" 2>&1 &
prometheus=$!

# The answer of an instant query; empty as long as there is none.
ask() {
    curl -fsS --get "$api/api/v1/query" --data-urlencode "query=$1" 2>/dev/null
}
# Waits for up to a minute: nothing depends on how long it takes.
until_is() {
    for _ in $(seq 300); do
        kill -0 "$prometheus" 2>/dev/null || fail "prometheus has ended"
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.2
    done
    return 1
}
is_up() { [ "$(ask 'up{job="docmill"}' | jq -r '.data.result[0].value[1]')" = 1 ]; }
rules_are_evaluated() {
    curl -fsS "$api/api/v1/rules" | jq -e '[.data.groups[].rules[]] | length > 0 and all(.health == "ok")'
}

until_is is_up || fail "up is not 1: $(curl -fsS "$api/api/v1/targets" | jq -r '.data.activeTargets[].lastError')"
version=$(ask docmill_build_info | jq -er '.data.result[0].metric.version') || fail "no docmill_build_info"
series=$(ask 'count({__name__=~"docmill_.+"})' | jq -er '.data.result[0].value[1]') || fail "no series"
until_is rules_are_evaluated || fail "a rule is not well: $(curl -fsS "$api/api/v1/rules")"

queries=0
while IFS= read -r query; do
    query=${query//'$instance'/.*}
    query=${query//'$stage'/.*}
    query=${query//'$__rate_interval'/1m}
    ask "$query" | jq -e '.status == "success"' >/dev/null || fail "prometheus does not understand: $query"
    queries=$((queries + 1))
done < <(jq -r '.. | .expr? // empty' "$root/dashboards/docmill.json")
[ "$queries" -gt 50 ] || fail "the dashboard's queries were not found"

echo "ok: docmill $version is up, $series series, the rules are evaluated, $queries queries are understood"
