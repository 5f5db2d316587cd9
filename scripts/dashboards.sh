#!/usr/bin/env bash
# Runs the demo with the public page, has a Prometheus scrape its signers and the page, and asks it each expression of the
# dashboards of contrib/grafana: one that gives no series is about nothing that there is.
#
#   scripts/dashboards.sh
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/prometheus.sh
. scripts/prometheus.sh

tmp=$(mktemp -d)
pids=()
stop() {
  [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
  [ ! -e .demo/pids ] || kill $(cat .demo/pids) 2>/dev/null || true
  wait
  rm -rf "$tmp"
}
trap stop EXIT

KEEP=1 make demo-watch
port=$((20000 + RANDOM % 10000))
"$prometheus" --config.file=.demo/prometheus.yml --storage.tsdb.path="$tmp/data" \
  --web.listen-address="127.0.0.1:$port" --log.level=error &
pids+=($!)
(cd contrib/grafana && GOWORK=off go test . -count=1 -prometheus "http://127.0.0.1:$port")
